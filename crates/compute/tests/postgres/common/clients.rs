//! Clients of PostgreSQL.

use std::{fs, path::PathBuf, sync::LazyLock};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use super::Fallible;

#[expect(clippy::unwrap_used, reason = "without threads no test can go on")]
pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Where a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
}

/// A connection, and the queries that it answers.
pub(crate) struct Connected(Client);

impl Connected {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) fn run(&self, statements: &str) -> Fallible<()> {
        Ok(RUNTIME.block_on(self.0.batch_execute(statements)).map_err(told)?)
    }

    pub(crate) fn texts(&self, query: &str) -> Fallible<Vec<String>> {
        let rows = RUNTIME.block_on(self.0.query(query, &[])).map_err(told)?;
        Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect())
    }
}

pub(super) fn told(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

pub(crate) fn connect(login: &Login, role: &str, password: &str, database: &str) -> Result<Connected, String> {
    let mut config = Config::new();
    config.host_path(&login.socket).port(login.port).user(role).password(password).dbname(database);
    RUNTIME.block_on(async {
        let (client, connection) = config.connect(NoTls).await.map_err(told)?;
        tokio::spawn(connection);
        Ok(Connected(client))
    })
}

pub(crate) fn log_in(login: &Login, role: &str, password: &str, database: &str) -> Result<(), String> {
    connect(login, role, password, database).map(drop)
}

/// Connects as the superuser.
pub(crate) fn admin(login: &Login, database: &str) -> Fallible<Connected> {
    let dir = login.socket.parent().ok_or("no directory")?;
    let password = fs::read_to_string(dir.with_extension("key"))?;
    Ok(connect(login, "cloud_admin", &password, database)?)
}

/// What the superuser is told.
pub(crate) fn query(login: &Login, database: &str, query: &str) -> Fallible<Vec<String>> {
    admin(login, database)?.texts(query)
}

/// The server's major version.
pub(crate) fn major(login: &Login) -> Fallible<u32> {
    let version = query(login, "postgres", "SELECT current_setting('server_version_num')")?;
    Ok(version.first().ok_or("no version")?.parse::<u32>()? / 10_000)
}
