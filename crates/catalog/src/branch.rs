//! Branches: a project's roles and databases, each as of some point and from there on its own.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use offshoot_engine::{Fork, Lsn, NamespaceId, Point, Transaction};

use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, draw_free, name_key, now},
    codec::{BranchIdRecord, BranchRecord, ParentRecord, Time},
    endpoint::{self, ComputeState, Endpoint, EndpointSpec},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::BranchName,
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
}

impl fmt::Display for BranchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Ready => "ready",
        })
    }
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
            pending_state: (record.state == BranchState::Init).then_some(BranchState::Ready),
            state_changed_at: record.state_changed_at.0,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
            id,
        }
    }

    fn of(project: &FoundProject, id: BranchId, record: BranchRecord) -> Self {
        Self::from_record(id, &project.id, &project.record.default_branch, record)
    }
}

/// A branch to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBranch {
    /// The branch's name; its id where none is given.
    pub name: Option<BranchName>,
    /// The parent; the project's default branch where none is given.
    pub parent: Option<BranchId>,
    /// The point of the parent's history to begin with.
    pub point: Point,
    /// The endpoints to create with it.
    pub endpoints: Vec<EndpointSpec>,
}

impl Default for NewBranch {
    /// A child of the default branch as it is now, without endpoints.
    fn default() -> Self {
        Self { name: None, parent: None, point: Point::Head, endpoints: Vec::new() }
    }
}

/// What creating a branch brought. Its roles and databases are its parent's, and aren't read to create it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchCreated {
    /// The branch.
    pub branch: Branch,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// What will make its storage and start its endpoints.
    pub operations: Vec<Operation>,
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
    /// Creates a branch that has its parent's roles and databases as of a point. That takes the same time and space
    /// however many there are.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`] for the parent, [`Error::BranchAlreadyExists`],
    /// [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`], [`Error::EndpointAlreadyExists`],
    /// [`Error::OutOfRange`].
    pub fn branch_create(&self, caller: &Caller, project: &ProjectId, new: NewBranch) -> Result<BranchCreated> {
        EndpointSpec::check(&new.endpoints)?;
        let subject = new.name.as_ref().map_or("", BranchName::as_str);
        self.commit_as(caller, "branch_create", subject, |tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let parent = project.branch(tx, new.parent.as_ref().unwrap_or(&project.record.default_branch))?;
            let id = self.branch_draw(tx, project.namespace())?;
            let name = new.name.clone().unwrap_or_else(|| BranchName::from(&id));
            let fork = fork(tx, &parent, new.point)?;
            let record = new_record(tx, name, &fork, &parent.id);
            put_new(tx, project.namespace(), &id, &record)?;
            let place = (&project.id, project.namespace());
            let endpoints = self.endpoints_create(tx, place, &id, &new.endpoints)?;
            let steps = steps_to_create(OperationAction::CreateBranch, &id, &endpoints);
            let operations = operation::schedule(tx, self.entropy(), place, steps)?;
            Ok(BranchCreated { branch: Branch::of(&project, id, record), endpoints, operations })
        })
    }

    /// The branches of a project, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn branch_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Branch>> {
        let mut source = self.engine().snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        of_project(&mut source, &project)
    }

    /// A branch of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn branch_get(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<Branch> {
        let mut source = self.engine().snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        Ok(Branch::of(&project, branch.id, branch.record))
    }

    /// Deletes a branch with its roles, databases and endpoints; nothing where the project has no such branch.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchIsDefault`], [`Error::BranchIsProtected`],
    /// [`Error::BranchHasChildren`].
    pub fn branch_delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
    ) -> Result<Option<BranchChanged>> {
        self.commit_as(caller, "branch_delete", branch.as_str(), |tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let found = match project.branch(tx, branch) {
                Err(Error::BranchNotFound { .. }) => return Ok(None),
                found => found?,
            };
            check_deletable(tx, &project, &found)?;
            operation::cancel(tx, project.namespace(), &found.id)?;
            let endpoints = endpoint::of_branch(tx, &project, &found.id)?;
            for endpoint in &endpoints {
                endpoint::remove(tx, project.namespace(), endpoint)?;
            }
            remove(tx, project.namespace(), &found)?;
            let steps = steps_to_delete(&found.id, &endpoints);
            let operations = operation::schedule(tx, self.entropy(), (&project.id, project.namespace()), steps)?;
            Ok(Some(BranchChanged { branch: Branch::of(&project, found.id, found.record), operations }))
        })
    }

    /// Draws the id of a new branch: free, and not the name of another branch, since it may become this one's name.
    pub(crate) fn branch_draw(&self, tx: &mut Transaction<'_>, namespace: NamespaceId) -> Result<BranchId> {
        let taken = |id: &BranchId| {
            let is_id = project::BRANCHES.get(tx, namespace, id.as_str().as_bytes())?.is_some();
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
        let mut steps = Vec::new();
        for endpoint in endpoint::of_branch(tx, project, branch)? {
            let step = |action| Step { action, branch: branch.clone(), endpoint: Some(endpoint.id.clone()) };
            steps.push(step(OperationAction::ApplyConfig));
            // To apply anything the compute was started, so it is to be idle again.
            if endpoint.state != ComputeState::Active {
                steps.push(step(OperationAction::SuspendCompute));
            }
        }
        operation::schedule(tx, self.entropy(), (&project.id, project.namespace()), steps)
    }
}

/// The branches of a project, in order of creation.
pub(crate) fn of_project(source: &mut impl Source, project: &FoundProject) -> Result<Vec<Branch>> {
    let records = project::BRANCHES.all(source, project.namespace(), b"")?;
    let branch = |(key, record): (Bytes, BranchRecord)| {
        let id = std::str::from_utf8(&key).ok().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| project::BRANCHES.corrupt_key(&key, "its key is not an id"))?;
        Ok((record.number, Branch::of(project, id, record)))
    };
    let mut branches = records.into_iter().map(branch).collect::<Result<Vec<_>>>()?;
    branches.sort_by_key(|(number, branch)| (branch.created_at, *number));
    Ok(branches.into_iter().map(|(_, branch)| branch).collect())
}

/// Creating a branch makes its storage, then starts its endpoints.
pub(crate) fn steps_to_create(action: OperationAction, branch: &BranchId, endpoints: &[Endpoint]) -> Vec<Step> {
    let storage = Step { action, branch: branch.clone(), endpoint: None };
    let start = |endpoint: &Endpoint| Step {
        action: OperationAction::StartCompute,
        branch: branch.clone(),
        endpoint: Some(endpoint.id.clone()),
    };
    std::iter::once(storage).chain(endpoints.iter().map(start)).collect()
}

/// Deleting a branch suspends the endpoints that may be running, then removes the storage.
fn steps_to_delete(branch: &BranchId, endpoints: &[Endpoint]) -> Vec<Step> {
    let suspend = |endpoint: &Endpoint| Step {
        action: OperationAction::SuspendCompute,
        branch: branch.clone(),
        endpoint: Some(endpoint.id.clone()),
    };
    let storage = Step { action: OperationAction::DeleteTimeline, branch: branch.clone(), endpoint: None };
    let live = endpoints.iter().filter(|endpoint| endpoint.state != ComputeState::Idle);
    live.map(suspend).chain([storage]).collect()
}

fn new_record(tx: &Transaction<'_>, name: BranchName, fork: &Fork, parent: &BranchId) -> BranchRecord {
    let time = match fork.origin.asked {
        // As exact as it is stored.
        Point::Time(asked) => asked.trunc_subsecs(6),
        Point::Head | Point::Lsn(_) => fork.origin.time,
    };
    BranchRecord {
        number: fork.branch.number(),
        name,
        parent: Some(ParentRecord { id: parent.clone(), lsn: fork.lsn.get(), time: Time(time) }),
        protected: false,
        state: BranchState::Init,
        state_changed_at: now(tx),
        created_at: now(tx),
        updated_at: now(tx),
    }
}

/// The record of a project's root branch.
pub(crate) fn root_record(tx: &Transaction<'_>, branch: offshoot_engine::BranchId, name: BranchName) -> BranchRecord {
    BranchRecord {
        number: branch.number(),
        name,
        parent: None,
        protected: false,
        state: BranchState::Init,
        state_changed_at: now(tx),
        created_at: now(tx),
        updated_at: now(tx),
    }
}

/// Writes a new branch with all that finds it.
pub(crate) fn put_new(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    id: &BranchId,
    record: &BranchRecord,
) -> Result<()> {
    let name_key = name_key(record.name.as_str());
    if project::BRANCH_NAMES.get(tx, namespace, &name_key)?.is_some() {
        return Err(Error::BranchAlreadyExists { name: record.name.clone() });
    }
    let found = BranchIdRecord { branch: id.clone() };
    project::BRANCHES.put(tx, namespace, id.as_str().as_bytes(), record)?;
    project::BRANCH_NAMES.put(tx, namespace, &name_key, &found)?;
    if let Some(parent) = &record.parent {
        project::BRANCH_CHILDREN.put(tx, namespace, &pair(parent.id.as_str(), id.as_str()), &found)?;
    }
    Ok(())
}

fn remove(tx: &mut Transaction<'_>, namespace: NamespaceId, branch: &FoundBranch) -> Result<()> {
    project::BRANCHES.delete(tx, namespace, branch.id.as_str().as_bytes())?;
    project::BRANCH_NAMES.delete(tx, namespace, &name_key(branch.record.name.as_str()))?;
    if let Some(parent) = &branch.record.parent {
        project::BRANCH_CHILDREN.delete(tx, namespace, &pair(parent.id.as_str(), branch.id.as_str()))?;
    }
    Ok(tx.delete_branch(branch.engine)?)
}

/// Notes that a branch's storage is made, if the branch is still there.
pub(crate) fn set_ready(tx: &mut Transaction<'_>, namespace: NamespaceId, id: &BranchId) -> Result<()> {
    match project::BRANCHES.get(tx, namespace, id.as_str().as_bytes())? {
        Some(record) if record.state == BranchState::Init => {
            let ready =
                BranchRecord { state: BranchState::Ready, state_changed_at: now(tx), updated_at: now(tx), ..record };
            project::BRANCHES.put(tx, namespace, id.as_str().as_bytes(), &ready)
        }
        _ => Ok(()),
    }
}

fn check_deletable(source: &mut impl Source, project: &FoundProject, branch: &FoundBranch) -> Result<()> {
    let id = branch.id.clone();
    if id == project.record.default_branch {
        return Err(Error::BranchIsDefault { id });
    }
    if branch.record.protected {
        return Err(Error::BranchIsProtected { id });
    }
    match project::BRANCH_CHILDREN.first(source, project.namespace(), &pair(id.as_str(), ""))? {
        Some(found) => Err(Error::BranchHasChildren { id, child: found.branch }),
        None => Ok(()),
    }
}

fn fork(tx: &mut Transaction<'_>, parent: &FoundBranch, point: Point) -> Result<Fork> {
    use offshoot_engine::Error as EngineError;
    let branch = parent.id.clone();
    tx.fork(parent.engine, point).map_err(|error| match error {
        EngineError::LsnOutsideHistory { asked, first, last } => {
            Error::LsnOutsideHistory { branch, asked, first, last }
        }
        EngineError::TimeOutsideHistory { asked, first, present } => {
            Error::TimeOutsideHistory { branch, asked, first, present }
        }
        other => other.into(),
    })
}
