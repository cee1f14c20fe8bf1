//! Connections of the administrator.

use std::{fmt, time::Duration};

use tokio_postgres::{
    Client, Config, NoTls, Row,
    types::{ToSql, Type},
};

use super::error::{ApplyError, MIN_MAJOR};
use crate::tls::ServerTls;

/// How an administrator, a superuser, connects to a server.
#[derive(Clone)]
pub struct Admin {
    config: Config,
    tls: Option<ServerTls>,
}

impl fmt::Debug for Admin {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        f.debug_struct("Admin")
            .field("hosts", &config.get_hosts())
            .field("ports", &config.get_ports())
            .field("user", &config.get_user())
            .field("database", &config.get_dbname())
            .finish_non_exhaustive()
    }
}

/// What a session has, whatever somebody has set for the database or the role.
///
/// The owner of a database chooses its settings, and the administrator who connects to it would get them: a search path
/// in which a function of the owner's is found, another role, transactions that only read. What the administrator sends
/// can be a verifier, so it stays out of the log and of statistics.
const SETTINGS: &[(&str, &str)] = &[
    ("search_path", "pg_catalog"),
    ("role", "none"),
    ("row_security", "off"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", r"read\ committed"),
    ("standard_conforming_strings", "on"),
    ("client_min_messages", "warning"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("lock_timeout", "30s"),
    ("statement_timeout", "120s"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_min_error_statement", "panic"),
    ("pg_stat_statements.track_utility", "off"),
];

impl Admin {
    /// An administrator who connects as `config` says; its database is the one that is always there.
    pub fn new(mut config: Config) -> Self {
        if config.get_dbname().is_none() {
            config.dbname("postgres");
        }
        let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
        let own = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{own} {}", settings.join(" ")).trim());
        config.application_name("offshoot");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        Self { config, tls: None }
    }

    /// The same administrator, whose connections are secured.
    #[must_use]
    pub fn with_tls(self, tls: ServerTls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Connects to the database that is always there.
    pub(crate) async fn connect(&self) -> Result<Session, ApplyError> {
        self.connect_as(self.config.clone()).await
    }

    /// Connects to a database.
    pub(crate) async fn connect_to(&self, database: &str) -> Result<Session, ApplyError> {
        let mut config = self.config.clone();
        config.dbname(database);
        self.connect_as(config).await
    }

    async fn connect_as(&self, config: Config) -> Result<Session, ApplyError> {
        let database = config.get_dbname().unwrap_or_default().to_owned();
        let failed = |error| ApplyError::connect(&database, &error);
        let client = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.connector()).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
        };
        Ok(Session { client })
    }
}

/// An administrator's connection to one database. It ends when this is dropped.
pub(crate) struct Session {
    client: Client,
}

impl Session {
    /// Sends statements, which are done together or not at all, except those that can't be part of a transaction.
    pub(crate) async fn run(&self, doing: &str, statements: &str) -> Result<(), ApplyError> {
        if statements.is_empty() {
            return Ok(());
        }
        self.client.batch_execute(statements).await.map_err(|error| ApplyError::refused(doing, &error))
    }

    /// Asks for rows.
    pub(crate) async fn rows(
        &self,
        doing: &str,
        query: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, ApplyError> {
        self.client.query_typed(query, parameters).await.map_err(|error| ApplyError::refused(doing, &error))
    }

    /// The server's version, and whether it is a standby; after a check that it and the administrator are fit.
    pub(crate) async fn version(&self) -> Result<(Version, bool), ApplyError> {
        let query = "SELECT current_setting('server_version_num'), current_user::text, \
                     (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), pg_is_in_recovery()";
        let doing = "asking for the server's version";
        let rows = self.rows(doing, query, &[]).await?;
        let row = rows.first().ok_or(ApplyError::TooOld { major: 0 })?;
        let number: String = get(row, 0, doing)?;
        let version = Version(number.parse().unwrap_or(0));
        if version.major() < MIN_MAJOR {
            return Err(ApplyError::TooOld { major: version.major() });
        }
        if !get::<bool>(row, 2, doing)? {
            return Err(ApplyError::NotSuperuser { user: get(row, 1, doing)? });
        }
        Ok((version, get(row, 3, doing)?))
    }
}

/// A column of a row.
pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
    doing: &str,
) -> Result<T, ApplyError> {
    row.try_get(column).map_err(|error| ApplyError::refused(doing, &error))
}

/// A server's version as it counts itself, such as 150018.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32);

impl Version {
    pub(crate) fn major(self) -> u32 {
        self.0 / 10_000
    }
}
