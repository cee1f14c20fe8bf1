//! What runs computes.

pub(crate) mod external;
pub(crate) mod none;
pub(crate) mod postgres;

use std::{fmt::Display, future::Future, io};

use offshoot_catalog::EndpointId;

use crate::{apply::Admin, tls::TlsError};

/// Runs the computes of endpoints. All of it can be asked for again and does no harm then.
pub trait Driver: Send + Sync + 'static {
    /// Makes sure that an endpoint's server runs, and tells how an administrator connects to it.
    fn start(
        &self,
        endpoint: &EndpointId,
        options: ServerOptions,
    ) -> impl Future<Output = Result<Admin, DriverError>> + Send;

    /// Makes sure that an endpoint's server doesn't run.
    fn stop(&self, endpoint: &EndpointId) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Stops an endpoint's server, and removes all that belongs to it.
    fn remove(&self, endpoint: &EndpointId) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// The endpoints that have a server of this driver's, whether or not it runs.
    fn present(&self) -> Vec<EndpointId> {
        Vec::new()
    }

    /// The servers that were started, whether or not they run still.
    fn started(&self) -> Vec<StartedServer>;

    /// Whether an endpoint's server runs.
    fn is_running(&self, endpoint: &EndpointId) -> impl Future<Output = bool> + Send;

    /// Whether an endpoint's server is the only one to listen on the endpoint's port, so that another can listen there
    /// while it doesn't run.
    fn leaves_ports(&self) -> bool {
        false
    }

    /// Stops all servers that were started.
    fn stop_all(&self) -> impl Future<Output = ()> + Send;
}

/// How an endpoint's server is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where it is to listen, on this machine.
    pub port: Option<u16>,
    /// Whether its transactions only read unless they ask for more.
    pub is_read_only: bool,
}

/// A server that a driver started.
#[derive(Clone, Debug)]
pub struct StartedServer {
    /// Whose server it is.
    pub endpoint: EndpointId,
    /// How an administrator connects to it.
    pub admin: Admin,
}

/// Why a driver could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// Nobody said which server is an endpoint's.
    #[error("no server is given for endpoint {endpoint}; {advice}")]
    NoServer {
        /// The endpoint.
        endpoint: EndpointId,
        /// How to give one.
        advice: String,
    },
    /// The list of servers can't be read.
    #[error("the list of servers cannot be read: {0}")]
    Servers(String),
    /// A file or a directory can't be used.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it said.
        reason: String,
    },
    /// Something is not as it has to be.
    #[error("{0}")]
    Unfit(String),
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl DriverError {
    pub(crate) fn io(doing: impl Display) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing: doing.to_string(), source }
    }
}
