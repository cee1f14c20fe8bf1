//! Endpoints: the computes through which a branch is reached.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{NamespaceId, Transaction};

use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, draw_free, now},
    codec::{EndpointIdRecord, EndpointRecord},
    compute,
    error::{Error, Result},
    id::{BranchId, EndpointId, ProjectId},
    tables::{Source, pair, project, system},
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
    /// What it can do.
    pub kind: EndpointKind,
    /// What its compute is doing.
    pub state: ComputeState,
    /// What its compute is about to do, if anything.
    pub pending_state: Option<ComputeState>,
    /// After how many seconds without use its compute is suspended; 0 for the default, -1 for never.
    pub suspend_timeout_seconds: i64,
    /// When the endpoint was created.
    pub created_at: DateTime<Utc>,
    /// When the endpoint last changed.
    pub updated_at: DateTime<Utc>,
}

impl Endpoint {
    pub(crate) fn from_record(id: EndpointId, project: &ProjectId, branch: &BranchId, record: &EndpointRecord) -> Self {
        Self {
            id,
            project: project.clone(),
            branch: branch.clone(),
            kind: record.kind,
            state: record.state,
            pending_state: (record.state == ComputeState::Init).then_some(ComputeState::Active),
            suspend_timeout_seconds: record.suspend_timeout_seconds,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

/// An endpoint to be created with a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// What it can do.
    pub kind: EndpointKind,
    /// After how many seconds without use its compute is suspended: 60 to 604800, 0 for the default, -1 for never. The
    /// default where none is given.
    pub suspend_timeout_seconds: Option<i64>,
}

/// How many endpoints one request can create.
const MAX_SPECS: usize = 32;

impl EndpointSpec {
    /// Refuses what can't be created together on one branch.
    pub(crate) fn check(specs: &[Self]) -> Result<()> {
        if specs.len() > MAX_SPECS {
            let given = i64::try_from(specs.len()).unwrap_or(i64::MAX);
            return Err(Error::OutOfRange { field: "the number of endpoints", given, allowed: "0 to 32" });
        }
        for spec in specs {
            let given = spec.suspend_timeout_seconds.unwrap_or(0);
            if !matches!(given, -1 | 0 | 60..=604_800) {
                let allowed = "-1, 0 or 60 to 604800";
                return Err(Error::OutOfRange { field: "suspend_timeout_seconds", given, allowed });
            }
        }
        if specs.iter().filter(|spec| spec.kind == EndpointKind::ReadWrite).count() > 1 {
            return Err(Error::EndpointAlreadyExists);
        }
        Ok(())
    }
}

impl Catalog {
    /// The endpoints of a project, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn endpoint_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Endpoint>> {
        let mut source = self.engine().snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        in_order(&project, project::ENDPOINTS.all(&mut source, project.namespace(), b"")?)
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
        let mut source = self.engine().snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        of_branch(&mut source, &project, &branch.id)
    }

    /// An endpoint of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`].
    pub fn endpoint_get(&self, caller: &Caller, project: &ProjectId, id: &EndpointId) -> Result<Endpoint> {
        let mut source = self.engine().snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let place = system::ENDPOINT_IDS.get(&mut source, NamespaceId::SYSTEM, id.as_str().as_bytes())?;
        let Some(place) = place.filter(|place| place.project == project.id) else {
            return Err(Error::EndpointNotFound { id: id.to_string() });
        };
        let key = pair(place.branch.as_str(), id.as_str());
        let record = project::ENDPOINTS.get(&mut source, project.namespace(), &key)?;
        let record = record.ok_or_else(|| project::ENDPOINTS.corrupt_key(&key, "the endpoint is missing"))?;
        Ok(Endpoint::from_record(id.clone(), &project.id, &place.branch, &record))
    }

    /// Creates the endpoints of a new branch.
    pub(crate) fn endpoints_create(
        &self,
        tx: &mut Transaction<'_>,
        (project, namespace): (&ProjectId, NamespaceId),
        branch: &BranchId,
        specs: &[EndpointSpec],
    ) -> Result<Vec<Endpoint>> {
        let create = |(place, spec): (u16, &EndpointSpec)| {
            let taken = |id: &EndpointId, tx: &mut Transaction<'_>| {
                Ok(system::ENDPOINT_IDS.get(tx, NamespaceId::SYSTEM, id.as_str().as_bytes())?.is_some())
            };
            let id = draw_free(|| Ok(EndpointId::draw(self.entropy())?), |id| taken(id, tx))?;
            let record = EndpointRecord {
                place,
                kind: spec.kind,
                state: ComputeState::Init,
                suspend_timeout_seconds: spec.suspend_timeout_seconds.unwrap_or(0),
                created_at: now(tx),
                updated_at: now(tx),
            };
            project::ENDPOINTS.put(tx, namespace, &pair(branch.as_str(), id.as_str()), &record)?;
            let place = EndpointIdRecord { project: project.clone(), branch: branch.clone() };
            system::ENDPOINT_IDS.put(tx, NamespaceId::SYSTEM, id.as_str().as_bytes(), &place)?;
            Ok(Endpoint::from_record(id, project, branch, &record))
        };
        (0..).zip(specs).map(create).collect()
    }
}

/// The endpoints of a branch, in order of creation.
pub(crate) fn of_branch(source: &mut impl Source, project: &FoundProject, branch: &BranchId) -> Result<Vec<Endpoint>> {
    in_order(project, project::ENDPOINTS.all(source, project.namespace(), &pair(branch.as_str(), ""))?)
}

/// All endpoints of a project.
pub(crate) fn of_project(source: &mut impl Source, project: &FoundProject) -> Result<Vec<Endpoint>> {
    in_order(project, project::ENDPOINTS.all(source, project.namespace(), b"")?)
}

/// Removes an endpoint.
pub(crate) fn remove(tx: &mut Transaction<'_>, namespace: NamespaceId, endpoint: &Endpoint) -> Result<()> {
    project::ENDPOINTS.delete(tx, namespace, &pair(endpoint.branch.as_str(), endpoint.id.as_str()))?;
    system::ENDPOINT_IDS.delete(tx, NamespaceId::SYSTEM, endpoint.id.as_str().as_bytes())?;
    compute::remove(tx, &endpoint.id)
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
        Some(record) if record.state != state => {
            let changed = EndpointRecord { state, updated_at: now(tx), ..record };
            project::ENDPOINTS.put(tx, namespace, &key, &changed)
        }
        _ => Ok(()),
    }
}

fn in_order(project: &FoundProject, records: Vec<(Bytes, EndpointRecord)>) -> Result<Vec<Endpoint>> {
    let endpoint = |(key, record): (Bytes, EndpointRecord)| {
        let (branch, id) =
            ids_in(&key).ok_or_else(|| project::ENDPOINTS.corrupt_key(&key, "its key is not two ids"))?;
        Ok((record.place, Endpoint::from_record(id, &project.id, &branch, &record)))
    };
    let mut endpoints = records.into_iter().map(endpoint).collect::<Result<Vec<_>>>()?;
    endpoints.sort_by_key(|(place, endpoint)| (endpoint.created_at, *place));
    Ok(endpoints.into_iter().map(|(_, endpoint)| endpoint).collect())
}

fn ids_in(key: &[u8]) -> Option<(BranchId, EndpointId)> {
    let (branch, id) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    Some((branch.parse().ok()?, id.parse().ok()?))
}
