//! The rules of a branching Postgres platform: accounts, API keys, projects, branches, roles, databases, endpoints and
//! operations.
//!
//! A control plane embeds this crate and asks it who may log in where, as of when; an executor takes the
//! [operations](Operation) that make the answers true on computes. Branches share what they have in common, so creating
//! one costs the same however many roles there are.
//!
//! ```
//! use offshoot_catalog::{Caller, Catalog, NewBranch, NewProject, Options, RoleLogin};
//! use offshoot_engine::{Engine, MemoryStore};
//!
//! let engine = Engine::open(MemoryStore::new(), offshoot_engine::Options::default())?;
//! let catalog = Catalog::open(engine, Options::default())?;
//! let account = catalog.account_create(&"casey".parse()?)?;
//! let caller = Caller::new(account.id);
//!
//! // A new project has a root branch, a default role and a database.
//! let created = catalog.project_create(&caller, NewProject::default())?;
//! let (project, main) = (created.project.id, created.branch.id);
//! let sally = catalog.role_create(&caller, &project, &main, "sally".parse()?, RoleLogin::Password)?;
//!
//! // A child has what its parent had, and from there on goes its own way.
//! let child = catalog.branch_create(&caller, &project, NewBranch::default())?.branch.id;
//! catalog.role_reset_password(&caller, &project, &main, &sally.role.name)?;
//! let on_child = catalog.role_get(&caller, &project, &child, &sally.role.name)?;
//! assert_eq!(on_child.verifier, sally.role.verifier);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - A method that changes something returns when that is durable. What it refuses has changed nothing.
//! - An account's [`Caller`] can't see, guess or count anything of another's.
//! - Passwords and secrets of keys are [`secrecy::SecretString`]s. What is kept of a key can't be turned back. Of a
//!   password, a verifier is kept, and where its project stores passwords also the password itself, sealed under a
//!   [key](PasswordKeys) that is not in the store.
//! - Each version of a branch says who made it, and for what: see [`Provenance`].
//!
//! # What it is not
//!
//! No server and no executor: it knows nothing of HTTP or SQL, and starts nothing.

mod account;
mod branch;
mod catalog;
mod codec;
mod compute;
mod database;
mod deletion;
mod drift;
mod endpoint;
mod entropy;
mod error;
mod history;
mod id;
mod key;
mod key_ring;
mod name;
mod operation;
mod page;
mod password;
mod project;
mod provenance;
mod role;
mod scram;
mod seal;
mod server_sync;
mod snapshot;
mod stored_password;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod text_map;
mod units;

pub use self::{
    account::Account,
    branch::{
        Annotation, Branch, BranchChanged, BranchCreated, BranchParent, BranchReset, BranchRestored, BranchState,
        BranchUpdate, Expired, Expiry, InitSource, NewBranch, NewRestore, RestoreStatus,
    },
    catalog::{Caller, Catalog, Moment, Options},
    compute::{ComputeChanges, ComputeLeased, DatabaseChange},
    database::{Database, DatabaseChanged},
    deletion::{BranchRecovered, Deletion, DeletionMethod, ProjectRecovered},
    drift::{Drift, NotedDrift},
    endpoint::{
        ComputeState, Endpoint, EndpointChanged, EndpointDefaults, EndpointKind, EndpointSpec, EndpointUpdate, Wake,
    },
    entropy::{Entropy, EntropyError, OsEntropy},
    error::{Error, Kind, Result},
    history::{BranchVersion, Changes, DatabaseDifference, RoleDifference, RoleEvent, RoleRevision},
    id::{AccountId, ApiKeyId, BranchId, EndpointId, OperationId, ProjectId, SnapshotId},
    key::{ApiKey, NewApiKey},
    key_ring::{ParsePasswordKeysError, PasswordKeyId, PasswordKeys},
    name::{
        AccountName, BranchName, DatabaseName, EndpointName, KeyName, LengthUnit, NameError, NameKind, ProjectName,
        RoleName, SnapshotName,
    },
    operation::{DueOperation, OpenOperation, Operation, OperationAction, OperationStatus, Outcome, Turn},
    page::Page,
    project::{NewProject, Project, ProjectChanged, ProjectCreated, ProjectQuery, ProjectUpdate},
    provenance::Provenance,
    role::{
        Role, RoleChanged, RoleLogin, RolePage, RolePurged, RoleSearch, RoleWithPassword, RolesAtHead, RolesVersion,
    },
    scram::{ParseVerifierError, ScramVerifier},
    server_sync::{Left, ServerDatabase, ServerRole, ServerTaken, Taken},
    snapshot::{NewSnapshot, RestoreFinalized, Snapshot, SnapshotRestore, SnapshotRestored},
    stored_password::PasswordKeysRotated,
    text_map::TextMap,
    units::ComputeUnits,
};
