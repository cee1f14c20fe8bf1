//! Computes, as an executor sees them: what each may have of its branch, and what it lacks.
//!
//! A compute's record names the versions of which the compute may have something, and pins keep these readable. That is one version while nothing is
//! going on. Before an executor applies another, it notes that one besides ([`Catalog::compute_begin`]), and when it is
//! done only that one is left. So after a crash in between, what either of them had and the branch no longer has is
//! still known, and taken away.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::{BranchId as EngineBranch, Direction, KeyRange, NamespaceId, Transaction, Version};

use crate::{
    catalog::{Catalog, FoundBranch},
    codec::{
        BranchRecord, ComputeRecord, DatabaseRecord, EndpointIdRecord, EndpointPortRecord, LeaseRecord, Marker,
        PortRecord, Stored, Time, VersionRecord,
    },
    database::Database,
    endpoint::{ComputeState, Endpoint},
    entropy::draw_bytes,
    error::Result,
    id::{BranchId, EndpointId, OperationId, ProjectId},
    name::{DatabaseName, RoleName},
    operation::{self, OperationAction, OperationStatus, Step},
    role::Role,
    tables::{Entries, Source, branch as entries, pair, project, system},
};

/// How many versions a compute's record names at most. There is one more for each attempt that failed since the last
/// that succeeded, as far as the branch changed in between.
const MAX_VERSIONS: usize = 64;

/// For how many endpoints one commit schedules something.
const BATCH: usize = 256;

/// What a compute is to be given so that it has what its branch has.
#[derive(Clone, Debug)]
pub struct ComputeChanges {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Whether all roles and databases of the branch are listed, and not only those that may differ.
    pub is_whole: bool,
    /// Roles, and for those that are gone nothing.
    pub roles: BTreeMap<RoleName, Option<Role>>,
    /// Databases.
    pub databases: Vec<DatabaseChange>,
    /// Operations that are done when this is applied, with what becomes of them: those that were scheduled when this was read.
    pub(crate) covers: Vec<(OperationId, OperationStatus)>,
    version: VersionRecord,
    head: Version,
    /// Whether the compute's record has to be changed before this is applied.
    is_new: bool,
}

impl ComputeChanges {
    /// Whether the compute has it all already, as far as is known.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.databases.is_empty() && !self.is_new
    }
}

/// A database, as it is to be and as it may be on the compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseChange {
    /// When the database was created, which tells it from all others of its branch, whatever their names.
    pub created_at: DateTime<Utc>,
    /// The database; nothing where it is gone.
    pub database: Option<Database>,
    /// The names that it may have on the compute.
    pub names: BTreeSet<DatabaseName>,
}

/// An endpoint's compute is another executor's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the executor {holder:?} works on it until {until}")]
pub struct ComputeLeased {
    /// Who has it.
    pub holder: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

impl Catalog {
    /// Gives an executor, known by its name, the compute of an endpoint to itself for `seconds` from now. Nothing is
    /// written where it has a third of that left.
    ///
    /// Executors that share a store need different names; one that is started again should have the name it had, so that
    /// it needn't wait for itself.
    ///
    /// # Errors
    ///
    /// The inner error where another executor has it.
    pub fn compute_lease(
        &self,
        endpoint: &EndpointId,
        holder: &str,
        seconds: u32,
        at: DateTime<Utc>,
    ) -> Result<Result<(), ComputeLeased>> {
        let duration = TimeDelta::seconds(seconds.into());
        if let Some(lease) = load(&mut self.snapshot()?, endpoint)?.lease
            && lease.holder == holder
            && lease.until.0 - at > duration / 3
        {
            return Ok(Ok(()));
        }
        self.commit(|tx| {
            let record = load(tx, endpoint)?;
            if let Err(leased) = check_lease(&record, holder, at) {
                return Ok(Err(leased));
            }
            if is_gone(tx, endpoint)? {
                return Ok(Ok(()));
            }
            let lease = Some(LeaseRecord { holder: holder.to_owned(), until: Time(at + duration) });
            put(tx, endpoint, &ComputeRecord { lease, ..record })?;
            Ok(Ok(()))
        })
    }

    /// What an endpoint's compute is to be given; nothing where the endpoint is gone. `is_whole` asks for all that the
    /// branch has, to compare it with what is there.
    pub fn compute_changes(
        &self,
        project: &ProjectId,
        branch: &BranchId,
        endpoint: &EndpointId,
        is_whole: bool,
    ) -> Result<Option<ComputeChanges>> {
        let mut source = self.snapshot()?;
        let Some(found) = find(&mut source, project, branch, endpoint)? else { return Ok(None) };
        let head = source.head(found.engine)?;
        let version = VersionRecord { branch: head.branch().number(), lsn: head.lsn().get() };
        let record = load(&mut source, endpoint)?;
        let mut before = Vec::new();
        for known in &record.versions {
            // One that isn't pinned any more was taken back by the deletion of a namespace; then the branch is gone, too.
            before.extend(source.pinned(found.engine.namespace(), &pin_name(endpoint, known))?);
        }
        // What a version had that can't be read any more is found by comparing.
        let is_whole = is_whole || record.versions.is_empty() || before.len() < record.versions.len();
        Ok(Some(ComputeChanges {
            endpoint: endpoint.clone(),
            is_whole,
            roles: role_changes(branch, &before, &head, is_whole)?,
            databases: database_changes(branch, &before, &head, is_whole)?,
            covers: operation::covered(&mut source, found.engine.namespace(), branch, endpoint)?,
            is_new: record.versions != [version.clone()],
            version,
            head,
        }))
    }

    /// Notes that an executor is about to apply `changes`. Afterwards comes
    /// [`Outcome::Applied`](crate::Outcome::Applied).
    ///
    /// # Errors
    ///
    /// The inner error where another executor has the endpoint's compute by now.
    pub fn compute_begin(
        &self,
        changes: &ComputeChanges,
        holder: &str,
        at: DateTime<Utc>,
    ) -> Result<Result<(), ComputeLeased>> {
        let endpoint = &changes.endpoint;
        let checked = check_lease(&load(&mut self.snapshot()?, endpoint)?, holder, at);
        if checked.is_err() || !changes.is_new {
            return Ok(checked);
        }
        self.commit(|tx| {
            let mut record = load(tx, endpoint)?;
            if let Err(leased) = check_lease(&record, holder, at) {
                return Ok(Err(leased));
            }
            if is_gone(tx, endpoint)? {
                return Ok(Ok(()));
            }
            record.versions.retain(|version| *version != changes.version);
            // The oldest is what was applied last; of failed attempts the newest matter most.
            if record.versions.len() >= MAX_VERSIONS {
                let forgotten = record.versions.remove(1);
                tx.unpin(changes.head.branch().namespace(), &pin_name(endpoint, &forgotten))?;
            }
            record.versions.push(changes.version.clone());
            tx.pin_version(&pin_name(endpoint, &changes.version), &changes.head)?;
            put(tx, endpoint, &record)?;
            Ok(Ok(()))
        })
    }

    /// Up to `limit` endpoints that are gone, while their computes aren't yet.
    pub fn computes_gone(&self, limit: usize) -> Result<Vec<EndpointId>> {
        let mut source = self.snapshot()?;
        let (all, ascending) = (KeyRange::ALL, Direction::Ascending);
        let gone = system::GONE_COMPUTES.list(&mut source, NamespaceId::SYSTEM, all, ascending, limit)?;
        gone.into_iter().map(|(key, Marker {})| endpoint_id(&key)).collect()
    }

    /// Notes that the computes of endpoints are gone, too.
    pub fn computes_forget(&self, endpoints: &[EndpointId]) -> Result<()> {
        self.commit(|tx| {
            endpoints.iter().try_for_each(|endpoint| {
                system::GONE_COMPUTES.delete(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())
            })
        })
    }

    /// All endpoints whose computes are to run.
    pub fn computes_active(&self) -> Result<Vec<Endpoint>> {
        let mut source = self.snapshot()?;
        let ids = system::ENDPOINT_IDS.all(&mut source, NamespaceId::SYSTEM, b"")?;
        let mut active = Vec::new();
        for (key, place) in ids {
            let endpoint = load_endpoint(&mut source, &place.project, &place.branch, &endpoint_id(&key)?)?;
            active.extend(endpoint.filter(|endpoint| endpoint.state == ComputeState::Active));
        }
        Ok(active)
    }

    /// An endpoint by its id alone; nothing where there is none.
    pub fn compute_endpoint(&self, endpoint: &EndpointId) -> Result<Option<Endpoint>> {
        self::endpoint(&mut self.snapshot()?, endpoint)
    }

    /// Whether an endpoint's compute is to be kept: that of an endpoint that is there, or whose branch or project can be recovered.
    pub fn compute_is_kept(&self, endpoint: &EndpointId) -> Result<bool> {
        Ok(!is_gone(&mut self.snapshot()?, endpoint)?)
    }

    /// Schedules that the computes of endpoints are suspended, as nobody used them for a while. Those that aren't to run
    /// and those with operations before them are left alone.
    pub fn computes_suspend(&self, endpoints: &[EndpointId]) -> Result<()> {
        self.computes_schedule(endpoints, OperationAction::SuspendCompute)
    }

    /// Schedules that the computes of endpoints are started, as they don't run. Those that aren't to run and those with
    /// operations before them are left alone.
    pub fn computes_restart(&self, endpoints: &[EndpointId]) -> Result<()> {
        self.computes_schedule(endpoints, OperationAction::StartCompute)
    }

    fn computes_schedule(&self, endpoints: &[EndpointId], action: OperationAction) -> Result<()> {
        for batch in endpoints.chunks(BATCH) {
            self.commit(|tx| batch.iter().try_for_each(|endpoint| self.compute_schedule(tx, endpoint, action)))?;
        }
        Ok(())
    }

    fn compute_schedule(&self, tx: &mut Transaction<'_>, endpoint: &EndpointId, action: OperationAction) -> Result<()> {
        let place = system::ENDPOINT_IDS.get(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
        let Some(EndpointIdRecord { project, branch }) = place else { return Ok(()) };
        let Some(found) = load_endpoint(tx, &project, &branch, endpoint)? else { return Ok(()) };
        let Some(of) = find(tx, &project, &branch, endpoint)? else { return Ok(()) };
        let namespace = of.engine.namespace();
        if found.state != ComputeState::Active || !operation::open_on(tx, namespace, &branch, endpoint)?.is_empty() {
            return Ok(());
        }
        let step = Step { action, branch, endpoint: Some(endpoint.clone()) };
        operation::schedule(tx, self.entropy(), (&project, namespace), vec![step])?;
        Ok(())
    }

    /// The port of an endpoint's compute, which it gets now where it has none; nothing where the catalog has no ports
    /// to give, or none left, or no such endpoint.
    pub fn compute_port(&self, endpoint: &EndpointId) -> Result<Option<u16>> {
        match port(&mut self.snapshot()?, endpoint)? {
            Some(port) => Ok(Some(port)),
            None => self.commit(|tx| if is_gone(tx, endpoint)? { Ok(None) } else { self.port_draw(tx, endpoint) }),
        }
    }

    /// Gives an endpoint a port, unless it has one.
    pub(crate) fn port_draw(&self, tx: &mut Transaction<'_>, endpoint: &EndpointId) -> Result<Option<u16>> {
        let Some(range) = self.compute_ports() else { return Ok(None) };
        if let Some(port) = port(tx, endpoint)? {
            return Ok(Some(port));
        }
        let drawn = u16::from_be_bytes(draw_bytes(self.entropy())?);
        let first = range.start().saturating_add(drawn % u16::try_from(range.len()).unwrap_or(u16::MAX).max(1));
        // From a place anywhere in the range to its end, and on from its beginning.
        for port in (first..=*range.end()).chain(*range.start()..first) {
            let key = port.to_be_bytes();
            if system::PORTS.get(tx, NamespaceId::SYSTEM, &key)?.is_none() {
                system::PORTS.put(tx, NamespaceId::SYSTEM, &key, &PortRecord { endpoint: endpoint.clone() })?;
                let record = EndpointPortRecord { port };
                system::ENDPOINT_PORTS.put(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes(), &record)?;
                return Ok(Some(port));
            }
        }
        Ok(None)
    }
}

/// The name of the pin that keeps a version readable of which a compute may have something.
fn pin_name(endpoint: &EndpointId, version: &VersionRecord) -> Vec<u8> {
    format!("compute/{endpoint}/{}/{}", version.branch, version.lsn).into_bytes()
}

/// Notes that a compute has what `changes` say, and nothing else.
pub(crate) fn note_applied(tx: &mut Transaction<'_>, changes: &ComputeChanges) -> Result<()> {
    if is_gone(tx, &changes.endpoint)? {
        return Ok(());
    }
    let record = load(tx, &changes.endpoint)?;
    let versions = vec![changes.version.clone()];
    if record.versions == versions {
        return Ok(());
    }
    for past in record.versions.iter().filter(|past| **past != changes.version) {
        tx.unpin(changes.head.branch().namespace(), &pin_name(&changes.endpoint, past))?;
    }
    put(tx, &changes.endpoint, &ComputeRecord { versions, ..record })
}

/// Forgets what the compute of an endpoint had, as the endpoint goes, and notes that the compute has to go.
pub(crate) fn remove(tx: &mut Transaction<'_>, namespace: NamespaceId, endpoint: &EndpointId) -> Result<()> {
    for version in load(tx, endpoint)?.versions {
        tx.unpin(namespace, &pin_name(endpoint, &version))?;
    }
    let key = endpoint.as_str().as_bytes();
    if let Some(port) = port(tx, endpoint)? {
        system::PORTS.delete(tx, NamespaceId::SYSTEM, &port.to_be_bytes())?;
        system::ENDPOINT_PORTS.delete(tx, NamespaceId::SYSTEM, key)?;
    }
    system::COMPUTES.delete(tx, NamespaceId::SYSTEM, key)?;
    system::DRIFTS.delete(tx, NamespaceId::SYSTEM, key)?;
    system::GONE_COMPUTES.put(tx, NamespaceId::SYSTEM, key, &Marker {})
}

/// The port of an endpoint's compute, if it has one.
pub(crate) fn port(source: &mut impl Source, endpoint: &EndpointId) -> Result<Option<u16>> {
    let record = system::ENDPOINT_PORTS.get(source, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
    Ok(record.map(|record| record.port))
}

fn load(source: &mut impl Source, endpoint: &EndpointId) -> Result<ComputeRecord> {
    let record = system::COMPUTES.get(source, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
    Ok(record.unwrap_or(ComputeRecord { versions: Vec::new(), lease: None }))
}

/// Whether an endpoint is gone for good, so that nothing is to be kept of its compute any more.
pub(crate) fn is_gone(source: &mut impl Source, endpoint: &EndpointId) -> Result<bool> {
    let place = system::ENDPOINT_IDS.get(source, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
    Ok(place.is_none())
}

fn put(tx: &mut Transaction<'_>, endpoint: &EndpointId, record: &ComputeRecord) -> Result<()> {
    system::COMPUTES.put(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes(), record)
}

fn check_lease(record: &ComputeRecord, holder: &str, at: DateTime<Utc>) -> Result<(), ComputeLeased> {
    match &record.lease {
        Some(lease) if lease.holder != holder && lease.until.0 > at => {
            Err(ComputeLeased { holder: lease.holder.clone(), until: lease.until.0 })
        }
        _ => Ok(()),
    }
}

/// The branch of an endpoint, if both are there.
fn find(
    source: &mut impl Source,
    project: &ProjectId,
    branch: &BranchId,
    endpoint: &EndpointId,
) -> Result<Option<FoundBranch>> {
    let Some(found) = system::PROJECTS.get(source, NamespaceId::SYSTEM, project.as_str().as_bytes())? else {
        return Ok(None);
    };
    let namespace = NamespaceId::new(found.namespace);
    let key = pair(branch.as_str(), endpoint.as_str());
    if project::ENDPOINTS.get(source, namespace, &key)?.is_none() {
        return Ok(None);
    }
    let record = project::BRANCHES.get(source, namespace, branch.as_str().as_bytes())?;
    let found = |record: BranchRecord| FoundBranch {
        id: branch.clone(),
        engine: EngineBranch::new(namespace, record.number),
        record,
    };
    Ok(record.map(found))
}

/// An endpoint by its id alone; nothing where there is none.
pub(crate) fn endpoint(source: &mut impl Source, endpoint: &EndpointId) -> Result<Option<Endpoint>> {
    let place = system::ENDPOINT_IDS.get(source, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
    let Some(place) = place else { return Ok(None) };
    load_endpoint(source, &place.project, &place.branch, endpoint)
}

fn load_endpoint(
    source: &mut impl Source,
    project: &ProjectId,
    branch: &BranchId,
    endpoint: &EndpointId,
) -> Result<Option<Endpoint>> {
    let Some(found) = system::PROJECTS.get(source, NamespaceId::SYSTEM, project.as_str().as_bytes())? else {
        return Ok(None);
    };
    let key = pair(branch.as_str(), endpoint.as_str());
    let record = project::ENDPOINTS.get(source, NamespaceId::new(found.namespace), &key)?;
    let port = port(source, endpoint)?;
    Ok(record.map(|record| Endpoint::from_record(endpoint.clone(), project, branch, &record, port)))
}

pub(crate) fn endpoint_id(key: &[u8]) -> Result<EndpointId> {
    let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| system::GONE_COMPUTES.corrupt_key(key, "its key is not an endpoint's id"))
}

/// The roles that differ between any of `before` and `after`, or all of them.
fn role_changes(
    branch: &BranchId,
    before: &[Version],
    after: &Version,
    is_whole: bool,
) -> Result<BTreeMap<RoleName, Option<Role>>> {
    let mut changes = BTreeMap::new();
    for key in differing(&entries::ROLES, before, after, is_whole)? {
        let name = RoleName::new(key.as_str()).map_err(|error| entries::ROLES.corrupt_key(&key, error))?;
        let record = entries::ROLES.at(after, key.as_bytes())?;
        let role = record.map(|record| Role::from_record(branch, name.clone(), record));
        changes.insert(name, role);
    }
    Ok(changes)
}

/// The databases that differ between any of `before` and `after`, or all of them, in the order of creation.
fn database_changes(
    branch: &BranchId,
    before: &[Version],
    after: &Version,
    is_whole: bool,
) -> Result<Vec<DatabaseChange>> {
    let mut changes: BTreeMap<Time, DatabaseChange> = BTreeMap::new();
    for key in differing(&entries::DATABASES, before, after, is_whole)? {
        let name = DatabaseName::new(key.as_str()).map_err(|error| entries::DATABASES.corrupt_key(&key, error))?;
        for version in before {
            if let Some(record) = entries::DATABASES.at(version, key.as_bytes())? {
                change_of(&mut changes, &record).names.insert(name.clone());
            }
        }
        if let Some(record) = entries::DATABASES.at(after, key.as_bytes())? {
            let change = change_of(&mut changes, &record);
            change.database = Some(Database::from_record(branch, name, record));
        }
    }
    Ok(changes.into_values().collect())
}

fn change_of<'a>(changes: &'a mut BTreeMap<Time, DatabaseChange>, record: &DatabaseRecord) -> &'a mut DatabaseChange {
    let created_at = record.created_at;
    let new = || DatabaseChange { created_at: created_at.0, database: None, names: BTreeSet::new() };
    changes.entry(created_at).or_insert_with(new)
}

/// The keys whose records differ between any of `before` and `after`, or all that are in any of them.
fn differing<R: Stored>(
    part: &Entries<R>,
    before: &[Version],
    after: &Version,
    is_whole: bool,
) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for version in before {
        keys.extend(part.differing(version, after)?);
    }
    if is_whole {
        keys.extend(part.keys(after)?);
    }
    Ok(keys)
}
