//! Driver `external`: endpoints are given PostgreSQL servers that somebody else runs.
//!
//! Nothing is started or stopped, only applied. Which server is whose stands in a file or in the environment, one line
//! each, and not in the store, for it holds passwords of administrators:
//!
//! ```text
//! # endpoint             how its administrator connects
//! ep-misty-fire-18208925 postgresql://admin:secret@db1.example.com/postgres?sslmode=verify-full
//! ```
//!
//! It is read again whenever a server is needed, so that a new endpoint needs no restart.

mod list;

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, sync::Arc, time::SystemTime};

use offshoot_catalog::EndpointId;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::Host;

use self::list::{Security, Server, parse};
use super::{Driver, DriverError, ServerOptions, StartedServer};
use crate::{apply::Admin, tls::ServerTls};

/// Where it stands which server is whose.
#[derive(Clone)]
pub enum ServerList {
    /// In a file.
    File(PathBuf),
    /// In a text, such as an environment variable's.
    Text(SecretString),
}

impl fmt::Debug for ServerList {
    /// Leaves out the text: it holds passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(redacted)"),
        }
    }
}

/// Servers that somebody else runs. A clone is of the same servers.
#[derive(Clone)]
pub struct ExternalServers {
    list: ServerList,
    /// A file with the certificates that vouch for the servers'; the system's where none is named.
    ca: Option<PathBuf>,
    known: Arc<Mutex<Known>>,
}

/// The list as it was read last, and what the file was like then.
#[derive(Default)]
struct Known {
    servers: Arc<BTreeMap<EndpointId, Server>>,
    of: Option<(SystemTime, u64)>,
}

impl fmt::Debug for ExternalServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalServers").field("list", &self.list).field("ca", &self.ca).finish_non_exhaustive()
    }
}

/// Where clients find a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Its host, by name or by address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether its administrator connects only with TLS, so that clients can, too.
    pub has_tls: bool,
}

impl ExternalServers {
    /// The servers of a list. The certificates of those that ask for `sslmode=require` or `sslmode=verify-full` are
    /// checked against those that the line's `sslrootcert` names, or else against `ca`, a file in PEM form, or where
    /// none is named, against those that the system trusts.
    ///
    /// # Errors
    ///
    /// [`DriverError::Servers`] when the list can't be read.
    pub fn new(list: ServerList, ca: Option<PathBuf>) -> Result<Self, DriverError> {
        let servers = Self { list, ca, known: Arc::default() };
        servers.read()?;
        Ok(servers)
    }

    /// Where clients find an endpoint's server; nothing where it has none, or where that has only a Unix socket.
    pub fn address(&self, endpoint: &EndpointId) -> Option<ServerAddress> {
        let servers = self.known().ok()?;
        let Server { config, security } = servers.get(endpoint)?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(_)) => return None,
            None => config.get_hostaddrs().first()?.to_string(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        Some(ServerAddress { host, port, has_tls: *security != Security::None })
    }

    /// The list, which is read again when the file has changed.
    fn known(&self) -> Result<Arc<BTreeMap<EndpointId, Server>>, DriverError> {
        let metadata = match &self.list {
            ServerList::File(path) => fs::metadata(path).ok(),
            ServerList::Text(_) => None,
        };
        let of = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
        let mut known = self.known.lock();
        if of.is_none() || known.of != of {
            *known = Known { servers: Arc::new(self.read()?), of };
        }
        Ok(Arc::clone(&known.servers))
    }

    fn read(&self) -> Result<BTreeMap<EndpointId, Server>, DriverError> {
        let text = match &self.list {
            ServerList::Text(text) => text.clone(),
            ServerList::File(path) => fs::read_to_string(path)
                .map_err(|error| DriverError::Servers(format!("{}: {error}", path.display())))?
                .into(),
        };
        parse(text.expose_secret())
    }

    fn tls(&self, security: &Security) -> Result<Option<ServerTls>, DriverError> {
        Ok(match (security, &self.ca) {
            (Security::None, _) => None,
            (Security::File(file), _) | (Security::Usual, Some(file)) => Some(ServerTls::trusting_file(file)?),
            (Security::System, _) | (Security::Usual, None) => Some(ServerTls::trusting_the_system()?),
        })
    }
}

impl Driver for ExternalServers {
    async fn start(&self, endpoint: &EndpointId, _options: ServerOptions) -> Result<Admin, DriverError> {
        let Some(Server { config, security }) = self.read()?.remove(endpoint) else {
            let advice = match &self.list {
                ServerList::File(path) => format!("add a line to {}", path.display()),
                ServerList::Text(_) => "add a line to the list".to_owned(),
            };
            return Err(DriverError::NoServer { endpoint: endpoint.clone(), advice });
        };
        let admin = Admin::new(config);
        Ok(match self.tls(&security)? {
            Some(tls) => admin.with_tls(tls),
            None => admin,
        })
    }

    async fn stop(&self, _endpoint: &EndpointId) -> Result<(), DriverError> {
        Ok(())
    }

    async fn remove(&self, _endpoint: &EndpointId) -> Result<(), DriverError> {
        Ok(())
    }

    fn started(&self) -> Vec<StartedServer> {
        Vec::new()
    }

    async fn is_running(&self, _endpoint: &EndpointId) -> bool {
        true
    }

    async fn stop_all(&self) {}
}
