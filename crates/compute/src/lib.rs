//! Makes what an [`offshoot_catalog::Catalog`] says true in PostgreSQL: a role that was created can log in, one that was
//! deleted can't.
//!
//! An [`Executor`] does the operations of a catalog with the servers of a [`Driver`]: [`Clusters`] are PostgreSQL
//! clusters on this machine, one for each endpoint; [`ExternalServers`] run elsewhere; and
//! [`Executor::start_without_computes`] does without any.
//!
//! ```no_run
//! use offshoot_catalog::Catalog;
//! use offshoot_compute::{Clusters, Executor, ExecutorOptions, PostgresOptions, Programs};
//!
//! # fn example(catalog: Catalog) -> Result<(), Box<dyn std::error::Error>> {
//! let clusters = Clusters::new(PostgresOptions {
//!     dir: "data/pg".into(),
//!     programs: Programs::find(None)?,
//!     user: None,
//!     is_durable: true,
//! })?;
//! let executor = Executor::start(catalog, clusters, ExecutorOptions::default())?;
//! // The catalog goes on being used; what changes in it is made true. At the end:
//! executor.stop();
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! - When an operation is finished, the endpoint's server lets in the roles that the branch had when the operation was
//!   done, with their passwords, and none that the branch had before and has no longer.
//! - No password is ever known here: what is sent is what PostgreSQL keeps of it.
//! - Superusers of a server, and roles and databases that its branch doesn't know, are left alone.
//! - An executor may be killed at any time. What it was doing is done again.
//! - No PostgreSQL is started, stopped or removed but those in the directory of [`Clusters`].
//!
//! # What it is not
//!
//! It manages metadata. The cluster of a new branch has its roles and databases, and no rows of its parent's tables.

mod activity;
mod apply;
mod doors;
mod driver;
mod executor;
mod progress;
mod tls;

use std::{error::Error, iter::successors, time::Duration};

pub use self::{
    apply::{Admin, ApplyError},
    doors::Patience,
    driver::{
        Driver, DriverError, ServerOptions, StartedServer,
        external::{ExternalServers, ServerAddress, ServerList},
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
