//! Branches: a project's roles and databases, each as of some point and from there on its own.

mod change;
mod create;
mod expiry;
mod restore;

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use offshoot_engine::{BranchId as EngineBranch, Fork, Lsn, NamespaceId, Point, Transaction};

pub(crate) use self::{
    change::put_annotation,
    create::{new_record, steps_to_create},
    expiry::{forget_branch_expiry, note_branch_expiry},
    restore::Credentials,
};
pub use self::{
    change::{Annotation, BranchUpdate, Expiry},
    create::{BranchCreated, NewBranch},
    expiry::Expired,
    restore::{BranchReset, NewRestore},
};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, draw_free, name_key, now},
    codec::{BranchIdRecord, BranchRecord, ParentRecord, RestoredRecord, Time},
    deletion::Deletion,
    endpoint::{self, ComputeState},
    error::{Error, Result},
    id::{BranchId, EndpointId, ProjectId, SnapshotId},
    name::{AccountName, BranchName},
    operation::{self, Operation, OperationAction, Step},
    tables::{Source, pair, project},
};

/// How far a branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BranchState {
    /// Its storage is being made.
    Init,
    /// It can be used.
    Ready,
    /// Its storage is being made anew, of another point.
    Resetting,
}

impl fmt::Display for BranchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Ready => "ready",
            Self::Resetting => "resetting",
        })
    }
}

/// What of its origin a branch began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InitSource {
    /// All of it.
    ParentData,
    /// Its roles, databases and schema, without table data; such a branch has no parent.
    SchemaOnly,
}

impl fmt::Display for InitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ParentData => "parent-data",
            Self::SchemaOnly => "schema-only",
        })
    }
}

/// How far a branch that was made of a snapshot is on its way to take another one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestoreStatus {
    /// It can be looked at, and doesn't have the other one's endpoints yet.
    Restored,
    /// It has taken the other one's place.
    Finalized,
}

impl fmt::Display for RestoreStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restored => "restored",
            Self::Finalized => "finalized",
        })
    }
}

/// The snapshot that a branch was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRestored {
    /// The snapshot, which may be deleted by now.
    pub snapshot: SnapshotId,
    /// The branch whose place it takes, or has taken, if any.
    pub target: Option<BranchId>,
    /// How far that is.
    pub status: RestoreStatus,
}

/// The point at which a branch left its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchParent {
    /// The parent.
    pub id: BranchId,
    /// The LSN of the parent that the branch began with.
    pub lsn: Lsn,
    /// The instant of the parent that the branch began with: the one that was asked for, or that of the version it
    /// began with.
    pub time: DateTime<Utc>,
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The branch's id.
    pub id: BranchId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// The branch's name, which no other branch of the project has.
    pub name: BranchName,
    /// Where it comes from; nothing for a root branch.
    pub parent: Option<BranchParent>,
    /// Whether it is the one that is meant where none is named.
    pub default: bool,
    /// Whether it is kept from being deleted.
    pub protected: bool,
    /// How far it is.
    pub state: BranchState,
    /// How far it will be next, if anything is still to come.
    pub pending_state: Option<BranchState>,
    /// What of its origin it began with.
    pub init_source: InitSource,
    /// When it goes by itself, if it does.
    pub expires_at: Option<DateTime<Utc>>,
    /// How long it was to live when that was last said, in seconds.
    pub ttl_seconds: Option<u32>,
    /// When it was last restored or reset.
    pub last_reset_at: Option<DateTime<Utc>>,
    /// The snapshot that it was made of, if it was.
    pub restored: Option<BranchRestored>,
    /// That it is deleted, if it is.
    pub deletion: Option<Deletion>,
    /// The name of the account that created it; nothing where an earlier release did.
    pub created_by: Option<AccountName>,
    /// When its state last changed.
    pub state_changed_at: DateTime<Utc>,
    /// When the branch was created.
    pub created_at: DateTime<Utc>,
    /// When the branch itself last changed; what is on it doesn't count.
    pub updated_at: DateTime<Utc>,
}

impl Branch {
    pub(crate) fn from_record(id: BranchId, project: &ProjectId, default: &BranchId, record: BranchRecord) -> Self {
        let parent = |ParentRecord { id, lsn, time }| BranchParent { id, lsn: Lsn::new(lsn), time: time.0 };
        Self {
            project: project.clone(),
            name: record.name,
            parent: record.parent.map(parent),
            default: id == *default,
            protected: record.protected,
            state: record.state,
            pending_state: (record.state != BranchState::Ready).then_some(BranchState::Ready),
            init_source: record.init_source,
            expires_at: record.expiry.as_ref().map(|expiry| expiry.at.0),
            ttl_seconds: record.expiry.as_ref().map(|expiry| expiry.ttl_seconds),
            last_reset_at: record.last_reset_at.map(|time| time.0),
            restored: record.restored.map(|RestoredRecord { snapshot, target, status }| BranchRestored {
                snapshot,
                target,
                status,
            }),
            deletion: None,
            created_by: record.created_by,
            state_changed_at: record.state_changed_at.0,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
            id,
        }
    }

    pub(crate) fn of(project: &FoundProject, id: BranchId, record: BranchRecord) -> Self {
        Self::from_record(id, &project.id, &project.record.default_branch, record)
    }
}

/// What changing a branch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchChanged {
    /// The branch as it is now, or as it was when it was deleted.
    pub branch: Branch,
    /// What will make the change true.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// The branches of a project, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn branch_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Branch>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        of_project(&mut source, &project)
    }

    /// A branch of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn branch_get(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<Branch> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        Ok(Branch::of(&project, branch.id, branch.record))
    }

    /// Draws the id of a new branch: free, and not the name of another branch, since it may become this one's name.
    pub(crate) fn branch_draw(&self, tx: &mut Transaction<'_>, namespace: NamespaceId) -> Result<BranchId> {
        let taken = |id: &BranchId| {
            let key = id.as_str().as_bytes();
            let is_id = project::BRANCHES.get(tx, namespace, key)?.is_some()
                || project::DELETED_BRANCHES.get(tx, namespace, key)?.is_some();
            Ok(is_id || project::BRANCH_NAMES.get(tx, namespace, &name_key(id.as_str()))?.is_some())
        };
        draw_free(|| Ok(BranchId::draw(self.entropy())?), taken)
    }

    /// Schedules what makes a change to roles and databases true on each endpoint of the branch.
    pub(crate) fn schedule_apply(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        branch: &BranchId,
    ) -> Result<Vec<Operation>> {
        let endpoints = endpoint::of_branch(tx, project, branch)?;
        let enabled = endpoints.iter().filter(|endpoint| !endpoint.disabled);
        let steps = enabled.flat_map(|endpoint| steps_to_apply((branch, &endpoint.id), endpoint.state)).collect();
        operation::schedule(tx, self.entropy(), project.place(), steps)
    }
}

/// To apply anything the compute is started, so one that was not running is to be idle again.
pub(crate) fn steps_to_apply((branch, endpoint): (&BranchId, &EndpointId), state: ComputeState) -> Vec<Step> {
    let step = |action| Step { action, branch: branch.clone(), endpoint: Some(endpoint.clone()) };
    let suspends = (state != ComputeState::Active).then(|| step(OperationAction::SuspendCompute));
    std::iter::once(step(OperationAction::ApplyConfig)).chain(suspends).collect()
}

/// The branches of a project, in order of creation.
pub(crate) fn of_project(source: &mut impl Source, project: &FoundProject) -> Result<Vec<Branch>> {
    let records = records_of_project(source, project)?;
    let number = |(id, record): (BranchId, BranchRecord)| (record.number, Branch::of(project, id, record));
    let mut branches: Vec<_> = records.into_iter().map(number).collect();
    branches.sort_by_key(|(number, branch)| (branch.created_at, *number));
    Ok(branches.into_iter().map(|(_, branch)| branch).collect())
}

/// The records of the branches of a project.
pub(crate) fn records_of_project(
    source: &mut impl Source,
    project: &FoundProject,
) -> Result<Vec<(BranchId, BranchRecord)>> {
    let records = project::BRANCHES.all(source, project.namespace(), b"")?;
    records.into_iter().map(|(key, record): (Bytes, BranchRecord)| Ok((id_in(&key)?, record))).collect()
}

/// The branch's id that a key is.
pub(crate) fn id_in(key: &[u8]) -> Result<BranchId> {
    let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| project::BRANCHES.corrupt_key(key, "its key is not an id"))
}

/// The point that a fork began with, on the branch that is to be its parent.
fn parent_record(parent: &BranchId, fork: &Fork) -> ParentRecord {
    let time = match fork.origin.asked {
        // As exact as it is stored.
        Point::Time(asked) => asked.trunc_subsecs(6),
        Point::Head | Point::Lsn(_) => fork.origin.time,
    };
    ParentRecord { id: parent.clone(), lsn: fork.lsn.get(), time: Time(time) }
}

/// Writes a new branch with all that finds it.
pub(crate) fn put_new(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    id: &BranchId,
    record: &BranchRecord,
) -> Result<()> {
    let namespace = project.namespace();
    claim_name(tx, namespace, &record.name, id)?;
    project::BRANCHES.put(tx, namespace, id.as_str().as_bytes(), record)?;
    if let Some(parent) = &record.parent {
        let found = BranchIdRecord { branch: id.clone() };
        project::BRANCH_CHILDREN.put(tx, namespace, &pair(parent.id.as_str(), id.as_str()), &found)?;
    }
    note_branch_expiry(tx, &project.id, id, record)
}

/// Makes a branch be found by a name that no other branch has.
pub(crate) fn claim_name(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    name: &BranchName,
    branch: &BranchId,
) -> Result<()> {
    let key = name_key(name.as_str());
    if project::BRANCH_NAMES.get(tx, namespace, &key)?.is_some() {
        return Err(Error::BranchAlreadyExists { name: name.clone() });
    }
    project::BRANCH_NAMES.put(tx, namespace, &key, &BranchIdRecord { branch: branch.clone() })
}

/// Notes that a branch's storage is made, if the branch is still there.
pub(crate) fn set_ready(tx: &mut Transaction<'_>, namespace: NamespaceId, id: &BranchId) -> Result<()> {
    match project::BRANCHES.get(tx, namespace, id.as_str().as_bytes())? {
        Some(record) if record.state != BranchState::Ready => {
            let ready =
                BranchRecord { state: BranchState::Ready, state_changed_at: now(tx), updated_at: now(tx), ..record };
            project::BRANCHES.put(tx, namespace, id.as_str().as_bytes(), &ready)
        }
        _ => Ok(()),
    }
}

/// Forks `branch`, which people know as `id`, at a point.
pub(crate) fn fork(tx: &mut Transaction<'_>, branch: EngineBranch, id: &BranchId, point: Point) -> Result<Fork> {
    tx.fork(branch, point).map_err(|error| outside(id, error))
}

/// Says which branch's history a point lies outside of.
pub(crate) fn outside(id: &BranchId, error: offshoot_engine::Error) -> Error {
    use offshoot_engine::Error as EngineError;
    let branch = id.clone();
    match error {
        EngineError::LsnOutsideHistory { asked, first, last } => {
            Error::LsnOutsideHistory { branch, asked, first, last }
        }
        EngineError::TimeOutsideHistory { asked, first, present } => {
            Error::TimeOutsideHistory { branch, asked, first, present }
        }
        other => other.into(),
    }
}
