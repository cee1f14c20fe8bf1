//! Servers that somebody else runs.

use std::{fs, path::PathBuf};

use offshoot_catalog::EndpointId;
use offshoot_compute::{Clusters, Driver, PostgresOptions, Programs, ServerOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Fallible, Login, TestResult};

/// Somebody else's server.
pub(crate) struct Elsewhere {
    dir: TempDir,
    runtime: Runtime,
    clusters: Clusters,
    pub(crate) login: Login,
}

impl Elsewhere {
    pub(crate) fn start(port: u16) -> Fallible<Self> {
        let dir = TempDir::with_prefix("offshoot-elsewhere-")?;
        let (clusters, programs) = (dir.path().join("pg"), Programs::find(None)?);
        let login = Login { socket: clusters.join("ep-some-where-1").join("s"), port };
        let options = PostgresOptions { dir: clusters, programs, user: None, is_durable: false };
        let (runtime, clusters) = (Runtime::new()?, Clusters::new(options)?);
        let options = ServerOptions { port: Some(port), is_read_only: false };
        runtime.block_on(clusters.start(&"ep-some-where-1".parse()?, options))?;
        Ok(Self { dir, runtime, clusters, login })
    }

    /// Makes a standby of it, which follows nobody.
    pub(crate) fn stand_by(&self) -> TestResult {
        let endpoint: EndpointId = "ep-some-where-1".parse()?;
        self.runtime.block_on(self.clusters.stop(&endpoint))?;
        fs::write(self.login.socket.with_file_name("data").join("standby.signal"), "")?;
        let options = ServerOptions { port: Some(self.login.port), is_read_only: false };
        self.runtime.block_on(self.clusters.start(&endpoint, options))?;
        Ok(())
    }

    pub(crate) fn list(&self) -> PathBuf {
        self.dir.path().join("servers")
    }

    /// Says that the server is an endpoint's.
    pub(crate) fn give_to(&self, endpoint: &EndpointId) -> TestResult {
        let password = fs::read_to_string(self.file("key"))?;
        let socket = self.login.socket.display();
        self.give(endpoint, &format!("host={socket} user=cloud_admin password={password}"))
    }

    /// Says how an endpoint's server is reached, but for the port.
    pub(crate) fn give(&self, endpoint: &EndpointId, connection: &str) -> TestResult {
        Ok(fs::write(self.list(), format!("{endpoint} {connection} port={}\n", self.login.port))?)
    }

    /// One of the server's files.
    pub(crate) fn file(&self, kind: &str) -> PathBuf {
        self.dir.path().join("pg/ep-some-where-1").with_extension(kind)
    }

    /// A file beside the list.
    pub(crate) fn write(&self, name: &str, text: &str) -> Fallible<PathBuf> {
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.runtime.block_on(self.clusters.stop_all());
    }
}
