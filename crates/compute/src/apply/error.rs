//! Why something could not be applied.

use tokio_postgres::error::SqlState;

/// Why a server could not be given what its branch has.
///
/// The texts name roles and databases, and never hold a statement: a statement may hold a verifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The server can't be reached, or doesn't let the administrator in.
    #[error("cannot connect to database {database:?}: {reason}")]
    Connect {
        /// The database.
        database: String,
        /// Why, in the server's or the system's words.
        reason: String,
    },
    /// The server refused a statement.
    #[error("{doing} failed: {reason}")]
    Refused {
        /// What was being done.
        doing: String,
        /// Why, in the server's words.
        reason: String,
        /// The SQLSTATE, where the server gave one.
        code: Option<String>,
    },
    /// The administrator isn't one.
    #[error("the administrator {user:?} is no superuser of the server; connect as one")]
    NotSuperuser {
        /// The user.
        user: String,
    },
    /// The server is too old.
    #[error("the server is PostgreSQL {major}, and {MIN_MAJOR} or newer is needed")]
    TooOld {
        /// The server's major version.
        major: u32,
    },
    /// The branch has a role whose name is that of one of the server's own superusers.
    #[error(
        "the server has a superuser named {name:?}, which a branch's role must not take over; rename or delete one"
    )]
    SuperuserInTheWay {
        /// The name.
        name: String,
    },
    /// A branch has a role of the name of the group that its roles are members of.
    #[error(
        "the branch has a role named {name:?}, as the group of all roles is; delete it, or name another group with --privileged-role"
    )]
    GroupInTheWay {
        /// The name.
        name: String,
    },
    /// A name is taken by a database that isn't the branch's.
    #[error("the server has another database named {name:?}, which is not the branch's; rename one of the two")]
    DatabaseInTheWay {
        /// The name.
        name: String,
    },
    /// What was read back isn't what was written.
    #[error("after all was applied, the server does not have it: {differences}")]
    Differs {
        /// What differs.
        differences: String,
    },
    /// The server can't be changed, and doesn't have what it is to have.
    #[error(
        "the server is a standby, to which nothing can be applied, and its primary has not given it yet: {differences}"
    )]
    StandbyDiffers {
        /// What differs.
        differences: String,
    },
    /// It took too long.
    #[error("it was given up after {seconds} seconds")]
    TimedOut {
        /// How long it was waited.
        seconds: u64,
    },
}

/// The oldest major version that is supported.
pub(crate) const MIN_MAJOR: u32 = 14;

impl ApplyError {
    pub(crate) fn connect(database: &str, error: &tokio_postgres::Error) -> Self {
        Self::Connect { database: database.to_owned(), reason: reason(error) }
    }

    /// The same difference, on a standby.
    pub(crate) fn of_standby(self) -> Self {
        match self {
            Self::Differs { differences } => Self::StandbyDiffers { differences },
            other => other,
        }
    }

    pub(crate) fn refused(doing: &str, error: &tokio_postgres::Error) -> Self {
        let code = error.code().map(|code| SqlState::code(code).to_owned());
        Self::Refused { doing: doing.to_owned(), reason: reason(error), code }
    }
}

/// What went wrong in one line: the server's message with its detail, or the chain of causes.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        let detail = server.detail().map(|detail| format!(" ({})", detail.replace('\n', "; ")));
        return format!("{}{}", server.message(), detail.unwrap_or_default());
    }
    let mut text = error.to_string();
    let mut advice = None;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        advice = advice.or_else(|| crate::tls::advice(cause));
        source = cause.source();
    }
    if text.contains("server does not support TLS") {
        advice = Some("turn its setting ssl on, or give the connection string no sslmode");
    }
    match advice {
        Some(advice) => format!("{text}; {advice}"),
        None => text,
    }
}
