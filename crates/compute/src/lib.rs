//! Makes what an [`offshoot_catalog::Catalog`] says true in PostgreSQL.
#![allow(dead_code)]
mod activity;
mod apply;
mod driver;
mod executor;
mod tls;

use std::{error::Error, iter::successors, time::Duration};

pub use self::{
    apply::{Admin, ApplyError, Drift},
    driver::{
        Driver, DriverError, StartedServer,
        external::{ExternalServers, ServerList},
        postgres::{Clusters, PostgresOptions, Programs},
    },
    executor::{Executor, ExecutorError, ExecutorOptions, Retries},
    tls::{ServerTls, TlsError},
};

/// How long to wait for news; only a failure makes this matter, for a commit ends the wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// An error with what caused it, in one line.
fn error_chain(error: &dyn Error) -> String {
    let mut texts: Vec<String> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    // An error that only passes another one on has its text.
    texts.dedup();
    texts.join(": ").replace('\n', " ")
}
