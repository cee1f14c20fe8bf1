//! Endpoints: the computes through which a branch is reached.

mod change;
mod spec;
mod wake;

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{NamespaceId, Transaction};

pub use self::{
    change::{EndpointChanged, EndpointUpdate},
    spec::{EndpointDefaults, EndpointSpec},
    wake::Wake,
};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, now},
    codec::{EndpointIdRecord, EndpointRecord},
    compute,
    error::{Error, Result},
    id::{BranchId, EndpointId, ProjectId},
    name::EndpointName,
    tables::{Source, pair, project, system},
    text_map::TextMap,
    units::ComputeUnits,
};

/// What an endpoint can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Reads and writes; a branch has one such endpoint at most.
    ReadWrite,
    /// Only reads.
    ReadOnly,
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadWrite => "read_write",
            Self::ReadOnly => "read_only",
        })
    }
}

/// What an endpoint's compute is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComputeState {
    /// It was never started yet.
    Init,
    /// It runs.
    Active,
    /// It is suspended, and starts when it is needed.
    Idle,
}

impl fmt::Display for ComputeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Active => "active",
            Self::Idle => "idle",
        })
    }
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint's id, unique across projects.
    pub id: EndpointId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// The branch that it serves.
    pub branch: BranchId,
    /// What people call it, if they do.
    pub name: Option<EndpointName>,
    /// What it can do.
    pub kind: EndpointKind,
    /// What its compute is doing.
    pub state: ComputeState,
    /// What its compute is about to do, if anything.
    pub pending_state: Option<ComputeState>,
    /// After how many seconds without use its compute is suspended; 0 for the default, -1 for never.
    pub suspend_timeout_seconds: i64,
    /// How small its compute may get.
    pub min_cu: ComputeUnits,
    /// How large its compute may get.
    pub max_cu: ComputeUnits,
    /// Whether its compute is kept from being started.
    pub disabled: bool,
    /// Whether connections go through a pooler unless they ask for something else.
    pub pooler_enabled: bool,
    /// Whether it may be reached without a password, where a proxy offers that.
    pub passwordless_access: bool,
    /// Settings by name, as they were given.
    pub settings: TextMap,
    /// The port of its compute on the loopback address, where computes are on one machine.
    pub port: Option<u16>,
    /// When its compute was last started.
    pub started_at: Option<DateTime<Utc>>,
    /// When its compute was last suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// When the endpoint was created.
    pub created_at: DateTime<Utc>,
    /// When the endpoint last changed.
    pub updated_at: DateTime<Utc>,
}

impl Endpoint {
    /// Whether its compute is meant to run: it runs and is to go on, or it is to be started.
    pub fn is_to_run(&self) -> bool {
        is_to_run(self.disabled, self.state, self.pending_state)
    }

    /// Whether its compute may run, whether or not it is meant to.
    pub(crate) fn may_run(&self) -> bool {
        self.is_to_run() || self.state != ComputeState::Idle
    }

    pub(crate) fn from_record(
        id: EndpointId,
        project: &ProjectId,
        branch: &BranchId,
        record: &EndpointRecord,
        port: Option<u16>,
    ) -> Self {
        Self {
            port,
            id,
            project: project.clone(),
            branch: branch.clone(),
            name: record.name.clone(),
            kind: record.kind,
            state: record.state,
            pending_state: record.pending_state,
            suspend_timeout_seconds: record.suspend_timeout_seconds,
            min_cu: record.min_cu,
            max_cu: record.max_cu,
            disabled: record.disabled,
            pooler_enabled: record.pooler_enabled,
            passwordless_access: record.passwordless_access,
            settings: record.settings.clone(),
            started_at: record.started_at.map(|time| time.0),
            suspended_at: record.suspended_at.map(|time| time.0),
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

impl Catalog {
    /// The endpoints of a project, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn endpoint_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Endpoint>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        of_project(&mut source, &project)
    }

    /// The endpoints of a branch, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn endpoint_list_of_branch(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
    ) -> Result<Vec<Endpoint>> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        of_branch(&mut source, &project, &branch.id)
    }

    /// An endpoint of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`].
    pub fn endpoint_get(&self, caller: &Caller, project: &ProjectId, id: &EndpointId) -> Result<Endpoint> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let found = FoundEndpoint::find(&mut source, &project, id)?;
        Ok(found.endpoint(&project))
    }
}

/// An endpoint that was found.
struct FoundEndpoint {
    id: EndpointId,
    branch: BranchId,
    record: EndpointRecord,
    port: Option<u16>,
}

impl FoundEndpoint {
    /// Finds an endpoint of a project.
    fn find(source: &mut impl Source, project: &FoundProject, id: &EndpointId) -> Result<Self> {
        let place = system::ENDPOINT_IDS.get(source, NamespaceId::SYSTEM, id.as_str().as_bytes())?;
        let Some(EndpointIdRecord { branch, .. }) = place.filter(|place| place.project == project.id) else {
            return Err(Error::EndpointNotFound { id: id.to_string() });
        };
        let key = pair(branch.as_str(), id.as_str());
        let Some(record) = project::ENDPOINTS.get(source, project.namespace(), &key)? else {
            // It is put away with its branch, unless something is wrong.
            project
                .branch(source, &branch)
                .map_or(Ok(()), |_| Err(project::ENDPOINTS.corrupt_key(&key, "the endpoint is missing")))?;
            return Err(Error::EndpointNotFound { id: id.to_string() });
        };
        let port = compute::port(source, id)?;
        Ok(Self { id: id.clone(), branch, record, port })
    }

    fn put(&self, tx: &mut Transaction<'_>, project: &FoundProject) -> Result<()> {
        let key = pair(self.branch.as_str(), self.id.as_str());
        project::ENDPOINTS.put(tx, project.namespace(), &key, &self.record)
    }

    fn endpoint(&self, project: &FoundProject) -> Endpoint {
        Endpoint::from_record(self.id.clone(), &project.id, &self.branch, &self.record, self.port)
    }
}

/// Refuses an endpoint that the project doesn't have.
pub(crate) fn check_exists(source: &mut impl Source, project: &FoundProject, id: &EndpointId) -> Result<()> {
    FoundEndpoint::find(source, project, id).map(drop)
}

/// The endpoints of a branch, in order of creation.
pub(crate) fn of_branch(source: &mut impl Source, project: &FoundProject, branch: &BranchId) -> Result<Vec<Endpoint>> {
    let records = project::ENDPOINTS.all(source, project.namespace(), &pair(branch.as_str(), ""))?;
    in_order(source, project, records)
}

/// All endpoints of a project.
pub(crate) fn of_project(source: &mut impl Source, project: &FoundProject) -> Result<Vec<Endpoint>> {
    let records = project::ENDPOINTS.all(source, project.namespace(), b"")?;
    in_order(source, project, records)
}

/// Removes an endpoint.
pub(crate) fn remove(tx: &mut Transaction<'_>, namespace: NamespaceId, endpoint: &Endpoint) -> Result<()> {
    project::ENDPOINTS.delete(tx, namespace, &pair(endpoint.branch.as_str(), endpoint.id.as_str()))?;
    system::ENDPOINT_IDS.delete(tx, NamespaceId::SYSTEM, endpoint.id.as_str().as_bytes())?;
    compute::remove(tx, namespace, &endpoint.id)
}

/// Puts an endpoint away with its branch. It keeps its id, its port and its compute.
pub(crate) fn put_away(tx: &mut Transaction<'_>, namespace: NamespaceId, endpoint: &Endpoint) -> Result<()> {
    let key = pair(endpoint.branch.as_str(), endpoint.id.as_str());
    if let Some(record) = project::ENDPOINTS.get(tx, namespace, &key)? {
        project::ENDPOINTS.delete(tx, namespace, &key)?;
        project::DELETED_ENDPOINTS.put(tx, namespace, &key, &record)?;
    }
    Ok(())
}

/// Brings the endpoints of a branch back that were put away. Gives those that are to be started.
pub(crate) fn bring_back(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    branch: &BranchId,
) -> Result<Vec<EndpointId>> {
    let namespace = project.namespace();
    let mut starting = Vec::new();
    for (key, record) in project::DELETED_ENDPOINTS.all(tx, namespace, &pair(branch.as_str(), ""))? {
        project::DELETED_ENDPOINTS.delete(tx, namespace, &key)?;
        let (record, starts) = brought_back(&record);
        if starts {
            starting.push(ids_in(&key)?.1);
        }
        project::ENDPOINTS.put(tx, namespace, &key, &record)?;
    }
    Ok(starting)
}

fn is_to_run(disabled: bool, state: ComputeState, pending_state: Option<ComputeState>) -> bool {
    !disabled && pending_state.unwrap_or(state) != ComputeState::Idle
}

/// The record of an endpoint that was put away, now that it is back, and whether it is to be started: it is if it ran, or was about to. Its compute was
/// suspended meanwhile, or will be.
pub(crate) fn brought_back(record: &EndpointRecord) -> (EndpointRecord, bool) {
    let starts = is_to_run(record.disabled, record.state, record.pending_state);
    let state = if record.state == ComputeState::Init { ComputeState::Init } else { ComputeState::Idle };
    let pending_state = starts.then_some(ComputeState::Active);
    (EndpointRecord { state, pending_state, ..record.clone() }, starts)
}

/// Lets all endpoints of a branch serve another one.
pub(crate) fn move_all(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    from: &BranchId,
    to: &BranchId,
) -> Result<Vec<Endpoint>> {
    let writes = |endpoint: &Endpoint| endpoint.kind == EndpointKind::ReadWrite;
    let moving = of_branch(tx, project, from)?;
    if moving.iter().any(writes) && of_branch(tx, project, to)?.iter().any(writes) {
        return Err(Error::EndpointAlreadyExists);
    }
    for endpoint in moving {
        let mut found = FoundEndpoint::find(tx, project, &endpoint.id)?;
        project::ENDPOINTS.delete(tx, project.namespace(), &pair(from.as_str(), endpoint.id.as_str()))?;
        found.branch = to.clone();
        found.record.updated_at = now(tx);
        found.put(tx, project)?;
        let place = EndpointIdRecord { project: project.id.clone(), branch: to.clone() };
        system::ENDPOINT_IDS.put(tx, NamespaceId::SYSTEM, endpoint.id.as_str().as_bytes(), &place)?;
    }
    of_branch(tx, project, to)
}

/// Notes what an endpoint's compute is doing, if the endpoint is still there.
pub(crate) fn set_state(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    (branch, endpoint): (&BranchId, &EndpointId),
    state: ComputeState,
) -> Result<()> {
    let key = pair(branch.as_str(), endpoint.as_str());
    match project::ENDPOINTS.get(tx, namespace, &key)? {
        Some(record) if record.state != state || record.pending_state.is_some() => {
            let pending_state = record.pending_state.filter(|pending| *pending != state && record.state == state);
            let mut changed = EndpointRecord { state, pending_state, updated_at: now(tx), ..record };
            if record.state != state {
                match state {
                    ComputeState::Init => {}
                    ComputeState::Active => changed.started_at = Some(now(tx)),
                    ComputeState::Idle => changed.suspended_at = Some(now(tx)),
                }
            }
            project::ENDPOINTS.put(tx, namespace, &key, &changed)
        }
        _ => Ok(()),
    }
}

fn in_order(
    source: &mut impl Source,
    project: &FoundProject,
    records: Vec<(Bytes, EndpointRecord)>,
) -> Result<Vec<Endpoint>> {
    let endpoint = |(key, record): (Bytes, EndpointRecord)| {
        let (branch, id) = ids_in(&key)?;
        let port = compute::port(source, &id)?;
        Ok((record.place, Endpoint::from_record(id, &project.id, &branch, &record, port)))
    };
    let mut endpoints = records.into_iter().map(endpoint).collect::<Result<Vec<_>>>()?;
    endpoints.sort_by_key(|(place, endpoint)| (endpoint.created_at, *place));
    Ok(endpoints.into_iter().map(|(_, endpoint)| endpoint).collect())
}

/// The branch's and the endpoint's id that a key is.
pub(crate) fn ids_in(key: &[u8]) -> Result<(BranchId, EndpointId)> {
    let ids = std::str::from_utf8(key).ok().and_then(|text| text.split_once('\0'));
    let ids = ids.and_then(|(branch, id)| Some((branch.parse().ok()?, id.parse().ok()?)));
    ids.ok_or_else(|| project::ENDPOINTS.corrupt_key(key, "its key is not two ids"))
}
