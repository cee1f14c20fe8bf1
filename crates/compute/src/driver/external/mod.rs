//! Driver `external`: endpoints are given PostgreSQL servers that somebody else runs.
//!
//! Nothing is started or stopped, only applied. Which server is whose stands in a file or in the environment, one line
//! each, and not in the store, for it holds passwords of administrators:
//!
//! ```text
//! # endpoint             how its administrator connects
//! ep-misty-fire-18208925 postgresql://admin:secret@db1.example.com/postgres?sslmode=require
//! ```
//!
//! It is read again whenever a server is needed, so that a new endpoint needs no restart.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use offshoot_catalog::EndpointId;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{Driver, DriverError, StartedServer};
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

/// Servers that somebody else runs.
#[derive(Debug)]
pub struct ExternalServers {
    list: ServerList,
    /// A file with the certificates that vouch for the servers'; the system's where none is named.
    ca: Option<PathBuf>,
}

impl ExternalServers {
    /// The servers of a list. The certificates of those that ask for `sslmode=require` are checked against `ca`, a file
    /// in PEM form, or where none is named, against those that the system trusts.
    ///
    /// # Errors
    ///
    /// [`DriverError::Servers`] when the list can't be read.
    pub fn new(list: ServerList, ca: Option<PathBuf>) -> Result<Self, DriverError> {
        let servers = Self { list, ca };
        servers.read()?;
        Ok(servers)
    }

    /// Where clients find an endpoint's server: its host and port; nothing where it has none.
    pub fn address(&self, endpoint: &EndpointId) -> Option<(String, u16)> {
        let config = self.read().ok()?.remove(endpoint)?;
        let Host::Tcp(host) = config.get_hosts().first()? else { return None };
        Some((host.clone(), config.get_ports().first().copied().unwrap_or(5432)))
    }

    fn read(&self) -> Result<BTreeMap<EndpointId, Config>, DriverError> {
        let text = match &self.list {
            ServerList::Text(text) => text.clone(),
            ServerList::File(path) => fs::read_to_string(path)
                .map_err(|error| DriverError::Servers(format!("{}: {error}", path.display())))?
                .into(),
        };
        parse(text.expose_secret())
    }
}

/// Reads a list. Errors name lines, and never show what stands in them.
fn parse(text: &str) -> Result<BTreeMap<EndpointId, Config>, DriverError> {
    let mut servers = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| DriverError::Servers(format!("line {number} {what}"));
        let (endpoint, server) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("is not an endpoint's id, a space and a connection string"))?;
        let endpoint: EndpointId = endpoint.parse().map_err(|_| wrong("does not begin with an endpoint's id"))?;
        let server = server.trim().parse().map_err(|_| wrong("does not end with a connection string of PostgreSQL"))?;
        if servers.insert(endpoint, server).is_some() {
            return Err(wrong("names an endpoint that an earlier line names"));
        }
    }
    Ok(servers)
}

impl Driver for ExternalServers {
    async fn start(&self, endpoint: &EndpointId, _port: Option<u16>) -> Result<Admin, DriverError> {
        let Some(config) = self.read()?.remove(endpoint) else {
            let advice = match &self.list {
                ServerList::File(path) => format!("add a line to {}", path.display()),
                ServerList::Text(_) => "add a line to the list".to_owned(),
            };
            return Err(DriverError::NoServer { endpoint: endpoint.clone(), advice });
        };
        let is_secured = config.get_ssl_mode() == SslMode::Require;
        let admin = Admin::new(config);
        Ok(match (&self.ca, is_secured) {
            (Some(ca), true) => admin.with_tls(ServerTls::trusting_file(ca)?),
            (None, true) => admin.with_tls(ServerTls::trusting_the_system()?),
            (_, false) => admin,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_for_each_endpoint() -> Result<(), DriverError> {
        let servers =
            parse("# a comment\n\nep-a-b-1  postgresql://admin:secret@db1:6432/postgres\nep-a-b-2\thost=db2 user=x\n")?;
        assert_eq!(servers.len(), 2);
        let first: EndpointId = "ep-a-b-1".parse().map_err(|_| DriverError::Servers(String::new()))?;
        assert_eq!(servers.get(&first).map(|config| config.get_ports().to_vec()), Some(vec![6432]));
        Ok(())
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        for text in ["ep-a-b-1", "E secret", "ep-a-b-1 secret", "ep-a-b-1 host=secret\nep-a-b-1 host=secret"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("line ") && !error.contains("secret"), "{error}");
        }
    }
}
