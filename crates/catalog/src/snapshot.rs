//! Snapshots: points of branches' histories that are kept, and that branches can be made of.
//!
//! A snapshot is a branch of the engine that nobody writes to. Making one copies nothing, and it outlives the branch
//! that it was taken of.

mod restore;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use offshoot_engine::{BranchId as EngineBranch, Lsn, NamespaceId, Point, Transaction};

pub use self::restore::{RestoreFinalized, SnapshotRestore, SnapshotRestored};
use crate::{
    branch::fork,
    catalog::{Caller, Catalog, FoundBranch, FoundProject, draw_free, now},
    codec::{SnapshotExpiryRecord, SnapshotRecord, Time},
    error::{Error, Result},
    id::{BranchId, ProjectId, SnapshotId},
    name::SnapshotName,
    tables::{Source, project, system, timed},
};

/// A point of a branch's history that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The snapshot's id.
    pub id: SnapshotId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// The snapshot's name; others may have the same.
    pub name: SnapshotName,
    /// The branch that it was taken of; it may be deleted by now.
    pub source: BranchId,
    /// The LSN of the point.
    pub lsn: Lsn,
    /// The instant of the point: the one that was asked for, or that of the version that was current.
    pub time: DateTime<Utc>,
    /// When the snapshot was made.
    pub created_at: DateTime<Utc>,
    /// When it goes by itself, if it does.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Snapshot {
    fn from_record(id: SnapshotId, project: &ProjectId, record: SnapshotRecord) -> Self {
        Self {
            id,
            project: project.clone(),
            name: record.name,
            source: record.source,
            lsn: Lsn::new(record.lsn),
            time: record.time.0,
            created_at: record.created_at.0,
            expires_at: record.expires_at.map(|time| time.0),
        }
    }
}

/// A snapshot to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// The snapshot's name; its id where none is given.
    pub name: Option<SnapshotName>,
    /// The point of the branch's history.
    pub point: Point,
    /// When it is to go by itself: in the future; a fraction of a second is cut off.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Default for NewSnapshot {
    /// Of the branch as it is now, for good.
    fn default() -> Self {
        Self { name: None, point: Point::Head, expires_at: None }
    }
}

impl Catalog {
    /// Makes a snapshot of a branch, which takes the same time and space whatever the branch holds.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::LsnOutsideHistory`],
    /// [`Error::TimeOutsideHistory`], [`Error::ExpiryInvalid`].
    pub fn snapshot_create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        new: NewSnapshot,
    ) -> Result<Snapshot> {
        self.commit(|tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let fork = fork(tx, branch.engine, &branch.id, new.point)?;
            let expires_at = new.expires_at.map(|asked| asked.trunc_subsecs(0));
            if let (Some(asked), Some(at)) = (new.expires_at, expires_at)
                && at <= tx.instant()
            {
                return Err(Error::ExpiryInvalid { asked, present: tx.instant(), days: None });
            }
            let taken = |id: &SnapshotId| Ok(get(tx, &project, id)?.is_some());
            let id = draw_free(|| Ok(SnapshotId::draw(self.entropy())?), taken)?;
            let record = SnapshotRecord {
                number: fork.branch.number(),
                name: new.name.clone().unwrap_or_else(|| SnapshotName::from(&id)),
                source: branch.id.clone(),
                lsn: fork.lsn.get(),
                time: Time(match new.point {
                    Point::Time(asked) => asked.trunc_subsecs(6),
                    Point::Head | Point::Lsn(_) => fork.origin.time,
                }),
                created_at: now(tx),
                expires_at: expires_at.map(Time),
            };
            put(tx, &project, &id, &record)?;
            note_expiry(tx, &project.id, &id, &record)?;
            Ok(Snapshot::from_record(id, &project.id, record))
        })
    }

    /// The snapshots of a project, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn snapshot_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Snapshot>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let mut records = of_project(&mut source, &project)?;
        records.sort_by_key(|(_, record)| (record.created_at, record.number));
        Ok(records.into_iter().map(|(id, record)| Snapshot::from_record(id, &project.id, record)).collect())
    }

    /// A snapshot of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::SnapshotNotFound`].
    pub fn snapshot_get(&self, caller: &Caller, project: &ProjectId, id: &SnapshotId) -> Result<Snapshot> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        Ok(Snapshot::from_record(id.clone(), &project.id, find(&mut source, &project, id)?))
    }

    /// Gives a snapshot another name, if one is given.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::SnapshotNotFound`].
    pub fn snapshot_update(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &SnapshotId,
        name: Option<SnapshotName>,
    ) -> Result<Snapshot> {
        let Some(name) = name else { return self.snapshot_get(caller, project, id) };
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let record = SnapshotRecord { name: name.clone(), ..find(tx, &project, id)? };
            put(tx, &project, id, &record)?;
            Ok(Snapshot::from_record(id.clone(), &project.id, record))
        })
    }

    /// Deletes a snapshot; nothing where the project has no such snapshot. Branches that were made of it stay.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn snapshot_delete(&self, caller: &Caller, project: &ProjectId, id: &SnapshotId) -> Result<Option<Snapshot>> {
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let Some(record) = get(tx, &project, id)? else { return Ok(None) };
            remove(tx, &project, id, &record)?;
            Ok(Some(Snapshot::from_record(id.clone(), &project.id, record)))
        })
    }
}

/// The branch of the engine that a snapshot is.
fn engine_branch(project: &FoundProject, record: &SnapshotRecord) -> EngineBranch {
    EngineBranch::new(project.namespace(), record.number)
}

fn get(source: &mut impl Source, project: &FoundProject, id: &SnapshotId) -> Result<Option<SnapshotRecord>> {
    project::SNAPSHOTS.get(source, project.namespace(), id.as_str().as_bytes())
}

pub(crate) fn find(source: &mut impl Source, project: &FoundProject, id: &SnapshotId) -> Result<SnapshotRecord> {
    get(source, project, id)?.ok_or_else(|| Error::SnapshotNotFound { id: id.to_string() })
}

fn put(tx: &mut Transaction<'_>, project: &FoundProject, id: &SnapshotId, record: &SnapshotRecord) -> Result<()> {
    project::SNAPSHOTS.put(tx, project.namespace(), id.as_str().as_bytes(), record)
}

/// Removes a snapshot.
pub(crate) fn remove(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    id: &SnapshotId,
    record: &SnapshotRecord,
) -> Result<()> {
    project::SNAPSHOTS.delete(tx, project.namespace(), id.as_str().as_bytes())?;
    forget_expiry(tx, id, record)?;
    Ok(tx.delete_branch(engine_branch(project, record))?)
}

/// Notes when a snapshot goes by itself, if it does.
pub(crate) fn note_expiry(
    tx: &mut Transaction<'_>,
    project: &ProjectId,
    id: &SnapshotId,
    record: &SnapshotRecord,
) -> Result<()> {
    let Some(at) = record.expires_at else { return Ok(()) };
    let found = SnapshotExpiryRecord { project: project.clone(), snapshot: id.clone() };
    system::SNAPSHOT_EXPIRIES.put(tx, NamespaceId::SYSTEM, &timed(at, id.as_str()), &found)
}

/// Takes back when a snapshot goes by itself.
pub(crate) fn forget_expiry(tx: &mut Transaction<'_>, id: &SnapshotId, record: &SnapshotRecord) -> Result<()> {
    let Some(at) = record.expires_at else { return Ok(()) };
    system::SNAPSHOT_EXPIRIES.delete(tx, NamespaceId::SYSTEM, &timed(at, id.as_str()))
}

/// The snapshots of a project.
pub(crate) fn of_project(
    source: &mut impl Source,
    project: &FoundProject,
) -> Result<Vec<(SnapshotId, SnapshotRecord)>> {
    let records = project::SNAPSHOTS.all(source, project.namespace(), b"")?;
    records.into_iter().map(|(key, record): (Bytes, SnapshotRecord)| Ok((id_in(&key)?, record))).collect()
}

/// The snapshot's id that a key is.
pub(crate) fn id_in(key: &[u8]) -> Result<SnapshotId> {
    let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| project::SNAPSHOTS.corrupt_key(key, "its key is not an id"))
}
