//! What can go wrong, told so that the reader knows what would be right.

use chrono::{DateTime, Utc};
use offshoot_engine::{Lsn, StoreError};
use thiserror::Error;

use crate::{
    entropy::EntropyError,
    id::{AccountId, ApiKeyId, BranchId, ProjectId},
    name::{AccountName, BranchName, DatabaseName, NameError, NameKind, RoleName},
};

/// What every method of the catalog answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the catalog refused or failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No key was given, or one that is unknown or revoked.
    #[error("no valid API key was given; send one that exists and is not revoked")]
    Unauthorized,
    /// A name breaks the rules for its kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A number lies outside what is allowed.
    #[error("{field} is {given}, and {allowed} is allowed")]
    OutOfRange {
        /// What the number is for.
        field: &'static str,
        /// The number.
        given: i64,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// A page was asked for with a cursor that no page came with.
    #[error(
        "the cursor {cursor:?} did not come with a page of this list; pass one on unchanged, or none for the first page"
    )]
    CursorInvalid {
        /// The cursor.
        cursor: String,
    },
    /// An account of this name exists.
    #[error("an account named {name:?} exists already", name = name.as_str())]
    AccountAlreadyExists {
        /// The name.
        name: AccountName,
    },
    /// No account has this id.
    #[error("account {id} not found")]
    AccountNotFound {
        /// The id.
        id: AccountId,
    },
    /// A key brought by an operator is too weak or can't be sent.
    #[error(
        "an API key of one's own has 24 to 256 characters of printable ASCII without spaces, which this one of {length} bytes does not fit"
    )]
    ApiKeyUnfit {
        /// The key's length in bytes.
        length: usize,
    },
    /// The same secret is already a key.
    #[error("this API key exists already; choose another secret")]
    ApiKeyAlreadyExists,
    /// The account has no key with this id.
    #[error("API key {id} not found")]
    ApiKeyNotFound {
        /// The id.
        id: ApiKeyId,
    },
    /// The account has no project with this id.
    #[error("project {id:?} not found")]
    ProjectNotFound {
        /// The id that was asked for.
        id: String,
    },
    /// A project with a protected branch can't be deleted.
    #[error("project {project} has the protected branch {branch}; lift its protection before deleting the project")]
    ProjectHasProtectedBranch {
        /// The project.
        project: ProjectId,
        /// The branch.
        branch: BranchId,
    },
    /// The project has no branch with this id.
    #[error("branch {id:?} not found")]
    BranchNotFound {
        /// The id that was asked for.
        id: String,
    },
    /// The project has a branch of this name.
    #[error("a branch named {name:?} exists already in this project", name = name.as_str())]
    BranchAlreadyExists {
        /// The name.
        name: BranchName,
    },
    /// The default branch can't be deleted.
    #[error("branch {id} is the project's default branch and cannot be deleted; make another branch the default first")]
    BranchIsDefault {
        /// The branch.
        id: BranchId,
    },
    /// A protected branch can't be deleted.
    #[error("branch {id} is protected and cannot be deleted; lift its protection first")]
    BranchIsProtected {
        /// The branch.
        id: BranchId,
    },
    /// A branch with children can't be deleted.
    #[error("branch {id} has the child branch {child} and cannot be deleted; delete its children first")]
    BranchHasChildren {
        /// The branch.
        id: BranchId,
        /// One of its children.
        child: BranchId,
    },
    /// The LSN lies outside the history of the branch.
    #[error("LSN {asked} is outside the history of branch {branch}, which reaches from {first} to {last}")]
    LsnOutsideHistory {
        /// The branch.
        branch: BranchId,
        /// The LSN that was asked for.
        asked: Lsn,
        /// The first LSN of the history.
        first: Lsn,
        /// The last LSN of the history.
        last: Lsn,
    },
    /// The time lies outside the history of the branch.
    #[error(
        "time {} is outside the history of branch {branch}, which reaches from {} to the present, {}",
        precisely(asked),
        precisely(first),
        precisely(present)
    )]
    TimeOutsideHistory {
        /// The branch.
        branch: BranchId,
        /// The instant that was asked for.
        asked: DateTime<Utc>,
        /// The first instant of the history.
        first: DateTime<Utc>,
        /// The present, before which it ends.
        present: DateTime<Utc>,
    },
    /// The branch has no such role.
    #[error("role {name:?} not found on this branch", name = name.as_str())]
    RoleNotFound {
        /// The name.
        name: RoleName,
    },
    /// The branch has such a role.
    #[error("a role named {name:?} exists already on this branch", name = name.as_str())]
    RoleAlreadyExists {
        /// The name.
        name: RoleName,
    },
    /// The role belongs to the system.
    #[error("role {name:?} belongs to the system; it cannot be deleted, altered, reset or made an owner", name = name.as_str())]
    RoleProtected {
        /// The name.
        name: RoleName,
    },
    /// The role owns databases.
    #[error(
        "role {name:?} owns {} on this branch and cannot be deleted; give them another owner or delete them first",
        named(databases, *more),
        name = name.as_str()
    )]
    RoleOwnsDatabases {
        /// The role.
        name: RoleName,
        /// The databases it owns; of many, the first few.
        databases: Vec<DatabaseName>,
        /// Whether it owns more than these.
        more: bool,
    },
    /// The role can't log in, so it has no password.
    #[error("role {name:?} cannot log in and has no password to reset; create a role that can", name = name.as_str())]
    RoleHasNoLogin {
        /// The name.
        name: RoleName,
    },
    /// The branch has no such database.
    #[error("database {name:?} not found on this branch", name = name.as_str())]
    DatabaseNotFound {
        /// The name.
        name: DatabaseName,
    },
    /// The branch has such a database.
    #[error("a database named {name:?} exists already on this branch", name = name.as_str())]
    DatabaseAlreadyExists {
        /// The name.
        name: DatabaseName,
    },
    /// The project has no endpoint with this id.
    #[error("endpoint {id:?} not found")]
    EndpointNotFound {
        /// The id that was asked for.
        id: String,
    },
    /// A branch has one read-write endpoint at most.
    #[error("read_write endpoint already exists; a branch has one at most, and any number of read_only ones")]
    EndpointAlreadyExists,
    /// The project has no operation with this id.
    #[error("operation {id:?} not found")]
    OperationNotFound {
        /// The id that was asked for.
        id: String,
    },
    /// The source of randomness failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A stored value can't be read.
    #[error("the stored value at {table}/{key} is damaged: {reason}")]
    Corrupt {
        /// The table, or the part of a branch's map, that holds the value.
        table: &'static str,
        /// The value's key, with unprintable bytes escaped.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine below failed.
    #[error(transparent)]
    Engine(#[from] offshoot_engine::Error),
}

/// What an error means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong; sent again it will fail again.
    Invalid,
    /// Nobody that the catalog knows asked.
    Unauthorized,
    /// What was asked for doesn't exist, or not for this account.
    NotFound,
    /// Something of the same name or place exists.
    Conflict,
    /// The request is well formed, but a rule forbids it as things stand.
    Refused,
    /// The store or the source of randomness failed.
    Unavailable,
    /// The store has no space for changes at present; what is there can be read.
    Full,
    /// Something stored is damaged.
    Corrupt,
}

impl Error {
    /// What the error means to whoever asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unauthorized => Kind::Unauthorized,
            Self::Name(NameError::Reserved { .. }) => Kind::Refused,
            Self::Name(_)
            | Self::OutOfRange { .. }
            | Self::CursorInvalid { .. }
            | Self::ApiKeyUnfit { .. }
            | Self::LsnOutsideHistory { .. }
            | Self::TimeOutsideHistory { .. } => Kind::Invalid,
            Self::AccountNotFound { .. }
            | Self::ApiKeyNotFound { .. }
            | Self::ProjectNotFound { .. }
            | Self::BranchNotFound { .. }
            | Self::RoleNotFound { .. }
            | Self::DatabaseNotFound { .. }
            | Self::EndpointNotFound { .. }
            | Self::OperationNotFound { .. } => Kind::NotFound,
            Self::AccountAlreadyExists { .. }
            | Self::ApiKeyAlreadyExists
            | Self::BranchAlreadyExists { .. }
            | Self::RoleAlreadyExists { .. }
            | Self::DatabaseAlreadyExists { .. }
            | Self::EndpointAlreadyExists => Kind::Conflict,
            Self::ProjectHasProtectedBranch { .. }
            | Self::BranchIsDefault { .. }
            | Self::BranchIsProtected { .. }
            | Self::BranchHasChildren { .. }
            | Self::RoleProtected { .. }
            | Self::RoleOwnsDatabases { .. }
            | Self::RoleHasNoLogin { .. } => Kind::Refused,
            Self::Corrupt { .. } | Self::Engine(offshoot_engine::Error::Corrupt { .. }) => Kind::Corrupt,
            Self::Engine(offshoot_engine::Error::Store(StoreError::NoSpace { .. })) => Kind::Full,
            Self::Entropy(_) | Self::Engine(_) => Kind::Unavailable,
        }
    }

    /// A word for programs that never changes; [`Error::CODES`] has them all.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Name(error) => name_code(error),
            Self::OutOfRange { .. } => "VALUE_OUT_OF_RANGE",
            Self::CursorInvalid { .. } => "CURSOR_INVALID",
            Self::AccountAlreadyExists { .. } => "ACCOUNT_ALREADY_EXISTS",
            Self::AccountNotFound { .. } => "ACCOUNT_NOT_FOUND",
            Self::ApiKeyUnfit { .. } => "API_KEY_UNFIT",
            Self::ApiKeyAlreadyExists => "API_KEY_ALREADY_EXISTS",
            Self::ApiKeyNotFound { .. } => "API_KEY_NOT_FOUND",
            Self::ProjectNotFound { .. } => "PROJECT_NOT_FOUND",
            Self::ProjectHasProtectedBranch { .. } => "PROJECT_HAS_PROTECTED_BRANCH",
            Self::BranchNotFound { .. } => "BRANCH_NOT_FOUND",
            Self::BranchAlreadyExists { .. } => "BRANCH_ALREADY_EXISTS",
            Self::BranchIsDefault { .. } => "BRANCH_IS_DEFAULT",
            Self::BranchIsProtected { .. } => "BRANCH_IS_PROTECTED",
            Self::BranchHasChildren { .. } => "BRANCH_HAS_CHILDREN",
            Self::LsnOutsideHistory { .. } | Self::TimeOutsideHistory { .. } => "POINT_OUTSIDE_HISTORY",
            Self::RoleNotFound { .. } => "ROLE_NOT_FOUND",
            Self::RoleAlreadyExists { .. } => "ROLE_ALREADY_EXISTS",
            Self::RoleProtected { .. } => "ROLE_PROTECTED",
            Self::RoleOwnsDatabases { .. } => "ROLE_OWNS_DATABASES",
            Self::RoleHasNoLogin { .. } => "ROLE_HAS_NO_LOGIN",
            Self::DatabaseNotFound { .. } => "DATABASE_NOT_FOUND",
            Self::DatabaseAlreadyExists { .. } => "DATABASE_ALREADY_EXISTS",
            Self::EndpointNotFound { .. } => "ENDPOINT_NOT_FOUND",
            Self::EndpointAlreadyExists => "ENDPOINT_ALREADY_EXISTS",
            Self::OperationNotFound { .. } => "OPERATION_NOT_FOUND",
            Self::Entropy(_) => "ENTROPY_UNAVAILABLE",
            Self::Corrupt { .. } | Self::Engine(offshoot_engine::Error::Corrupt { .. }) => "STORE_CORRUPT",
            Self::Engine(offshoot_engine::Error::Store(StoreError::NoSpace { .. })) => "STORE_FULL",
            Self::Engine(_) => "STORE_UNAVAILABLE",
        }
    }

    /// All codes that [`Error::code`] can give.
    pub const CODES: &'static [&'static str] = &[
        "ACCOUNT_ALREADY_EXISTS",
        "ACCOUNT_NAME_EMPTY",
        "ACCOUNT_NAME_NUL",
        "ACCOUNT_NAME_TOO_LONG",
        "ACCOUNT_NOT_FOUND",
        "API_KEY_ALREADY_EXISTS",
        "API_KEY_NAME_EMPTY",
        "API_KEY_NAME_NUL",
        "API_KEY_NAME_TOO_LONG",
        "API_KEY_NOT_FOUND",
        "API_KEY_UNFIT",
        "BRANCH_ALREADY_EXISTS",
        "BRANCH_HAS_CHILDREN",
        "BRANCH_IS_DEFAULT",
        "BRANCH_IS_PROTECTED",
        "BRANCH_NAME_EMPTY",
        "BRANCH_NAME_NUL",
        "BRANCH_NAME_TOO_LONG",
        "BRANCH_NOT_FOUND",
        "CURSOR_INVALID",
        "DATABASE_ALREADY_EXISTS",
        "DATABASE_NAME_EMPTY",
        "DATABASE_NAME_NUL",
        "DATABASE_NAME_RESERVED",
        "DATABASE_NAME_TOO_LONG",
        "DATABASE_NOT_FOUND",
        "ENDPOINT_ALREADY_EXISTS",
        "ENDPOINT_NOT_FOUND",
        "ENTROPY_UNAVAILABLE",
        "OPERATION_NOT_FOUND",
        "POINT_OUTSIDE_HISTORY",
        "PROJECT_HAS_PROTECTED_BRANCH",
        "PROJECT_NAME_EMPTY",
        "PROJECT_NAME_NUL",
        "PROJECT_NAME_TOO_LONG",
        "PROJECT_NOT_FOUND",
        "ROLE_ALREADY_EXISTS",
        "ROLE_HAS_NO_LOGIN",
        "ROLE_NAME_EMPTY",
        "ROLE_NAME_NUL",
        "ROLE_NAME_RESERVED",
        "ROLE_NAME_TOO_LONG",
        "ROLE_NOT_FOUND",
        "ROLE_OWNS_DATABASES",
        "ROLE_PROTECTED",
        "STORE_CORRUPT",
        "STORE_FULL",
        "STORE_UNAVAILABLE",
        "UNAUTHORIZED",
        "VALUE_OUT_OF_RANGE",
    ];
}

fn name_code(error: &NameError) -> &'static str {
    macro_rules! codes {
        ($prefix:literal) => {
            match error {
                NameError::Empty { .. } => concat!($prefix, "_NAME_EMPTY"),
                NameError::TooLong { .. } => concat!($prefix, "_NAME_TOO_LONG"),
                NameError::Nul { .. } => concat!($prefix, "_NAME_NUL"),
                NameError::Reserved { .. } => concat!($prefix, "_NAME_RESERVED"),
            }
        };
    }
    match error.kind() {
        NameKind::Account => codes!("ACCOUNT"),
        NameKind::ApiKey => codes!("API_KEY"),
        NameKind::Project => codes!("PROJECT"),
        NameKind::Branch => codes!("BRANCH"),
        NameKind::Role => codes!("ROLE"),
        NameKind::Database => codes!("DATABASE"),
    }
}

/// An instant with its microseconds: the bounds of a history are of no use when rounded.
fn precisely(instant: &DateTime<Utc>) -> impl std::fmt::Display {
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ")
}

fn named(databases: &[DatabaseName], more: bool) -> String {
    let names: Vec<String> = databases.iter().map(|name| format!("{:?}", name.as_str())).collect();
    let databases = if names.len() == 1 { "the database" } else { "the databases" };
    let rest = if more { " and more" } else { "" };
    format!("{databases} {}{rest}", names.join(", "))
}
