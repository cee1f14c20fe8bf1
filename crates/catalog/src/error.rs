//! What can go wrong, told so that the reader knows what would be right.

use chrono::{DateTime, Utc};
use offshoot_engine::{Lsn, StoreError};
use thiserror::Error;

use crate::{
    entropy::EntropyError,
    id::{AccountId, ApiKeyId, BranchId, EndpointId, ProjectId},
    key_ring::PasswordKeyId,
    name::{AccountName, BranchName, DatabaseName, NameError, NameKind, RoleName},
    units::ComputeUnits,
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
    /// A number is no size of a compute.
    #[error("a compute has 0.25 to 224 units, in steps of 0.25, and {given} was given")]
    ComputeUnitsInvalid {
        /// The number.
        given: f64,
    },
    /// The smallest size of a compute is greater than the largest.
    #[error(
        "a compute cannot be at least {min} and at most {max} units large; give a minimum that is not above the maximum"
    )]
    ComputeLimitsReversed {
        /// The smallest size.
        min: ComputeUnits,
        /// The largest size.
        max: ComputeUnits,
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
    /// An account with projects is deleted only by force.
    #[error("account {name:?} has projects, among them {project}; delete them first, or force it to delete them too", name = name.as_str())]
    AccountHasProjects {
        /// The account.
        name: AccountName,
        /// One of its projects.
        project: ProjectId,
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
    /// No compute here runs this version of PostgreSQL.
    #[error("pg_version is {given}, and there is {} here; choose one of these", versions(supported))]
    PgVersionUnsupported {
        /// The major version.
        given: u8,
        /// The major versions that there are.
        supported: Vec<u8>,
    },
    /// The project has no branch with this id.
    #[error("branch {id:?} not found")]
    BranchNotFound {
        /// The id that was asked for.
        id: String,
    },
    /// The branch is there, so there is nothing to recover.
    #[error("branch {id} is not deleted; there is nothing to recover")]
    BranchNotDeleted {
        /// The branch.
        id: BranchId,
    },
    /// A branch can't be recovered before its parent.
    #[error("the parent of branch {id}, {parent}, is deleted too; recover the parent first")]
    ParentDeleted {
        /// The branch.
        id: BranchId,
        /// Its parent.
        parent: BranchId,
    },
    /// The project is there, so there is nothing to recover.
    #[error("project {id} is not deleted; there is nothing to recover")]
    ProjectNotDeleted {
        /// The project.
        id: ProjectId,
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
    /// The branch has no compute of which roles could be taken over.
    #[error("branch {id} has no read-write endpoint that is enabled; create or enable one first")]
    BranchHasNoCompute {
        /// The branch.
        id: BranchId,
    },
    /// A protected branch can't be deleted, restored or reset.
    #[error("branch {id} is protected and cannot be deleted, restored or reset; lift its protection first")]
    BranchIsProtected {
        /// The branch.
        id: BranchId,
    },
    /// A branch that goes by itself can't be what others rely on.
    #[error("branch {id} expires and cannot {what}; clear its expires_at first")]
    BranchExpires {
        /// The branch.
        id: BranchId,
        /// What it can't do, in words.
        what: &'static str,
    },
    /// The branch is relied on, so it can't go by itself.
    #[error("branch {id} cannot expire, because it {because}")]
    BranchCannotExpire {
        /// The branch.
        id: BranchId,
        /// Why, in words.
        because: &'static str,
    },
    /// Nothing can expire at this instant.
    #[error(
        "expires_at is {}; it must be after the present, {}{}",
        precisely(asked),
        precisely(present),
        at_most(*days)
    )]
    ExpiryInvalid {
        /// The instant that was asked for.
        asked: DateTime<Utc>,
        /// The present.
        present: DateTime<Utc>,
        /// How many days ahead it may be, where that is limited.
        days: Option<u32>,
    },
    /// What a branch was can't be given up in silence.
    #[error(
        "branch {id} {because}, so what it is now has to be kept; give the name to keep it under (preserve_under_name)"
    )]
    PreserveNameRequired {
        /// The branch.
        id: BranchId,
        /// Why, in words.
        because: &'static str,
    },
    /// A branch is restored from itself only as of a point.
    #[error("branch {id} is to be restored from itself; say as of which LSN or time (source_lsn or source_timestamp)")]
    RestorePointRequired {
        /// The branch.
        id: BranchId,
    },
    /// The branch was not made of a snapshot, or has taken its place already.
    #[error(
        "branch {id} does not wait for its restoring to be finalized; only a branch that a snapshot was restored to does"
    )]
    RestoreNotPending {
        /// The branch.
        id: BranchId,
    },
    /// The project has no snapshot with this id.
    #[error("snapshot {id:?} not found")]
    SnapshotNotFound {
        /// The id that was asked for.
        id: String,
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
    #[error("role {name:?} cannot log in and has no password; create a role that can", name = name.as_str())]
    RoleHasNoLogin {
        /// The name.
        name: RoleName,
    },
    /// The project doesn't keep passwords.
    #[error(
        "project {id} does not store passwords (store_passwords is false); reset the role's password to get a new one"
    )]
    PasswordsNotStored {
        /// The project.
        id: ProjectId,
    },
    /// The password came about when passwords could not be kept.
    #[error("the password of role {name:?} was not stored when it was set; reset it to get a new one", name = name.as_str())]
    PasswordNotKept {
        /// The role.
        name: RoleName,
    },
    /// The key that the project's passwords are kept under is gone.
    #[error(
        "the server lacks the password key {key} that this project's passwords are sealed under; \
         the operator can bring it back, or the role's password be reset to get a new one"
    )]
    PasswordKeyMissing {
        /// The key.
        key: PasswordKeyId,
    },
    /// The server was told not to keep passwords.
    #[error("this server does not store passwords; leave store_passwords out, or give false")]
    PasswordStoringForbidden,
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
    /// The endpoint is disabled.
    #[error("endpoint {id} is disabled and cannot be started; enable it first")]
    EndpointIsDisabled {
        /// The endpoint.
        id: EndpointId,
    },
    /// What reaches a protected branch stays.
    #[error(
        "endpoint {id} belongs to the protected branch {branch} and cannot be deleted; lift the branch's protection first"
    )]
    EndpointOfProtectedBranch {
        /// The endpoint.
        id: EndpointId,
        /// The branch.
        branch: BranchId,
    },
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
    /// What was asked for was not kept, or can't be read any more.
    Unmet,
    /// The store or the source of randomness failed.
    Unavailable,
    /// The store has no space for changes at present; what is there can be read.
    Full,
    /// Something stored is damaged.
    Corrupt,
}

impl Error {
    /// Whether a catalog that must [not wait](crate::Catalog::at_once) refused what takes a while.
    pub fn is_not_at_once(&self) -> bool {
        matches!(self, Self::Engine(offshoot_engine::Error::Store(StoreError::NotInMemory)))
    }

    /// What the error means to whoever asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unauthorized => Kind::Unauthorized,
            Self::Name(NameError::Reserved { .. }) => Kind::Refused,
            Self::Name(_)
            | Self::OutOfRange { .. }
            | Self::ComputeUnitsInvalid { .. }
            | Self::ComputeLimitsReversed { .. }
            | Self::ExpiryInvalid { .. }
            | Self::CursorInvalid { .. }
            | Self::ApiKeyUnfit { .. }
            | Self::LsnOutsideHistory { .. }
            | Self::TimeOutsideHistory { .. } => Kind::Invalid,
            Self::AccountNotFound { .. }
            | Self::ApiKeyNotFound { .. }
            | Self::ProjectNotFound { .. }
            | Self::BranchNotFound { .. }
            | Self::SnapshotNotFound { .. }
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
            | Self::BranchHasNoCompute { .. }
            | Self::BranchNotDeleted { .. }
            | Self::ParentDeleted { .. }
            | Self::ProjectNotDeleted { .. }
            | Self::BranchIsProtected { .. }
            | Self::BranchHasChildren { .. }
            | Self::RoleProtected { .. }
            | Self::RoleOwnsDatabases { .. }
            | Self::RoleHasNoLogin { .. }
            | Self::AccountHasProjects { .. }
            | Self::PgVersionUnsupported { .. }
            | Self::BranchExpires { .. }
            | Self::BranchCannotExpire { .. }
            | Self::PreserveNameRequired { .. }
            | Self::RestorePointRequired { .. }
            | Self::RestoreNotPending { .. }
            | Self::PasswordStoringForbidden
            | Self::EndpointIsDisabled { .. }
            | Self::EndpointOfProtectedBranch { .. } => Kind::Refused,
            Self::PasswordsNotStored { .. } | Self::PasswordNotKept { .. } | Self::PasswordKeyMissing { .. } => {
                Kind::Unmet
            }
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
            Self::BranchNotDeleted { .. } => "BRANCH_NOT_DELETED",
            Self::ParentDeleted { .. } => "PARENT_DELETED",
            Self::ProjectNotDeleted { .. } => "PROJECT_NOT_DELETED",
            Self::BranchIsDefault { .. } => "BRANCH_IS_DEFAULT",
            Self::BranchHasNoCompute { .. } => "BRANCH_HAS_NO_COMPUTE",
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
            Self::ComputeUnitsInvalid { .. } => "COMPUTE_UNITS_INVALID",
            Self::ComputeLimitsReversed { .. } => "COMPUTE_LIMITS_REVERSED",
            Self::ExpiryInvalid { .. } => "EXPIRY_INVALID",
            Self::SnapshotNotFound { .. } => "SNAPSHOT_NOT_FOUND",
            Self::AccountHasProjects { .. } => "ACCOUNT_HAS_PROJECTS",
            Self::PgVersionUnsupported { .. } => "PG_VERSION_UNSUPPORTED",
            Self::BranchExpires { .. } => "BRANCH_EXPIRES",
            Self::BranchCannotExpire { .. } => "BRANCH_CANNOT_EXPIRE",
            Self::PreserveNameRequired { .. } => "PRESERVE_NAME_REQUIRED",
            Self::RestorePointRequired { .. } => "RESTORE_POINT_REQUIRED",
            Self::RestoreNotPending { .. } => "RESTORE_NOT_PENDING",
            Self::PasswordStoringForbidden => "PASSWORD_STORING_FORBIDDEN",
            Self::EndpointIsDisabled { .. } => "ENDPOINT_IS_DISABLED",
            Self::EndpointOfProtectedBranch { .. } => "ENDPOINT_OF_PROTECTED_BRANCH",
            Self::PasswordsNotStored { .. } => "PASSWORDS_NOT_STORED",
            Self::PasswordNotKept { .. } => "PASSWORD_NOT_KEPT",
            Self::PasswordKeyMissing { .. } => "PASSWORD_KEY_MISSING",
            Self::Entropy(_) => "ENTROPY_UNAVAILABLE",
            Self::Corrupt { .. } | Self::Engine(offshoot_engine::Error::Corrupt { .. }) => "STORE_CORRUPT",
            Self::Engine(offshoot_engine::Error::Store(StoreError::NoSpace { .. })) => "STORE_FULL",
            Self::Engine(_) => "STORE_UNAVAILABLE",
        }
    }

    /// All codes that [`Error::code`] can give.
    pub const CODES: &'static [&'static str] = &[
        "ACCOUNT_ALREADY_EXISTS",
        "ACCOUNT_HAS_PROJECTS",
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
        "BRANCH_CANNOT_EXPIRE",
        "BRANCH_EXPIRES",
        "BRANCH_HAS_CHILDREN",
        "BRANCH_HAS_NO_COMPUTE",
        "BRANCH_IS_DEFAULT",
        "BRANCH_IS_PROTECTED",
        "BRANCH_NAME_EMPTY",
        "BRANCH_NAME_NUL",
        "BRANCH_NAME_TOO_LONG",
        "BRANCH_NOT_DELETED",
        "BRANCH_NOT_FOUND",
        "COMPUTE_LIMITS_REVERSED",
        "COMPUTE_UNITS_INVALID",
        "CURSOR_INVALID",
        "DATABASE_ALREADY_EXISTS",
        "DATABASE_NAME_EMPTY",
        "DATABASE_NAME_NUL",
        "DATABASE_NAME_RESERVED",
        "DATABASE_NAME_TOO_LONG",
        "DATABASE_NOT_FOUND",
        "ENDPOINT_ALREADY_EXISTS",
        "ENDPOINT_IS_DISABLED",
        "ENDPOINT_NAME_EMPTY",
        "ENDPOINT_NAME_NUL",
        "ENDPOINT_NAME_TOO_LONG",
        "ENDPOINT_NOT_FOUND",
        "ENDPOINT_OF_PROTECTED_BRANCH",
        "ENTROPY_UNAVAILABLE",
        "EXPIRY_INVALID",
        "OPERATION_NOT_FOUND",
        "PARENT_DELETED",
        "PASSWORDS_NOT_STORED",
        "PASSWORD_KEY_MISSING",
        "PASSWORD_NOT_KEPT",
        "PASSWORD_STORING_FORBIDDEN",
        "PG_VERSION_UNSUPPORTED",
        "POINT_OUTSIDE_HISTORY",
        "PRESERVE_NAME_REQUIRED",
        "PROJECT_HAS_PROTECTED_BRANCH",
        "PROJECT_NAME_EMPTY",
        "PROJECT_NAME_NUL",
        "PROJECT_NAME_TOO_LONG",
        "PROJECT_NOT_DELETED",
        "PROJECT_NOT_FOUND",
        "RESTORE_NOT_PENDING",
        "RESTORE_POINT_REQUIRED",
        "ROLE_ALREADY_EXISTS",
        "ROLE_HAS_NO_LOGIN",
        "ROLE_NAME_EMPTY",
        "ROLE_NAME_NUL",
        "ROLE_NAME_RESERVED",
        "ROLE_NAME_TOO_LONG",
        "ROLE_NOT_FOUND",
        "ROLE_OWNS_DATABASES",
        "ROLE_PROTECTED",
        "SNAPSHOT_NAME_EMPTY",
        "SNAPSHOT_NAME_NUL",
        "SNAPSHOT_NAME_TOO_LONG",
        "SNAPSHOT_NOT_FOUND",
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
        NameKind::Endpoint => codes!("ENDPOINT"),
        NameKind::Snapshot => codes!("SNAPSHOT"),
    }
}

/// An instant with its microseconds: the bounds of a history are of no use when rounded.
fn precisely(instant: &DateTime<Utc>) -> impl std::fmt::Display {
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ")
}

fn at_most(days: Option<u32>) -> String {
    days.map(|days| format!(", and at most {days} days ahead")).unwrap_or_default()
}

fn versions(supported: &[u8]) -> String {
    let texts: Vec<String> = supported.iter().map(u8::to_string).collect();
    texts.join(", ")
}

fn named(databases: &[DatabaseName], more: bool) -> String {
    let names: Vec<String> = databases.iter().map(|name| format!("{:?}", name.as_str())).collect();
    let databases = if names.len() == 1 { "the database" } else { "the databases" };
    let rest = if more { " and more" } else { "" };
    format!("{databases} {}{rest}", names.join(", "))
}
