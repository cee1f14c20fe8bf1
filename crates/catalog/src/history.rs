//! What was: the versions of a branch with who made them, what happened to a role, and what differs between two points.
//!
//! Told in the catalog's terms. Of a password it is told that it changed, and never what it is or was.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{Difference, Direction, KeyRange, Lsn, Point, Version};

use crate::{
    branch::outside,
    catalog::{Caller, Catalog, FoundBranch, FoundProject},
    codec::{DatabaseRecord, RoleRecord},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::{DatabaseName, RoleName},
    page::Page,
    provenance::Provenance,
    role::RoleLogin,
    tables::{Source, branch as entries},
};

/// A version of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchVersion {
    /// The branch whose commit made it: the branch itself, or one that it comes from; nothing where that is no longer
    /// there.
    pub branch: Option<BranchId>,
    /// The version's LSN.
    pub lsn: Lsn,
    /// When it was made.
    pub time: DateTime<Utc>,
    /// Who made it, and what for.
    pub by: Provenance,
    /// What it changed; nothing where that can't be told, as of the one that a branch began with.
    pub changes: Option<Changes>,
}

/// What differs between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The roles that differ, by name.
    pub roles: Vec<RoleDifference>,
    /// The databases that differ, in order of creation.
    pub databases: Vec<DatabaseDifference>,
}

/// A role that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDifference {
    /// The role's name.
    pub name: RoleName,
    /// How it logged in before; nothing where it was not there.
    pub before: Option<RoleLogin>,
    /// How it logs in afterwards; nothing where it is gone.
    pub after: Option<RoleLogin>,
    /// Whether it had a password before, and has another one afterwards.
    pub password_changed: bool,
}

/// A database that differs. It is known by when it was created, so it may have another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseDifference {
    /// Its name and its owner before; nothing where it was not there.
    pub before: Option<(DatabaseName, RoleName)>,
    /// Its name and its owner afterwards; nothing where it is gone.
    pub after: Option<(DatabaseName, RoleName)>,
}

/// What happened to a role with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleEvent {
    /// It was created.
    Created,
    /// It got another password.
    PasswordChanged,
    /// Something else about it changed.
    Changed,
    /// It was deleted.
    Deleted,
}

/// A version that brought a change to a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRevision {
    /// The branch whose commit it was: the branch itself, or one that it comes from; nothing where that is no longer
    /// there.
    pub branch: Option<BranchId>,
    /// The version's LSN.
    pub lsn: Lsn,
    /// When it was made.
    pub time: DateTime<Utc>,
    /// Who made it, and what for.
    pub by: Provenance,
    /// What happened.
    pub event: RoleEvent,
    /// Whether it may have happened before that version, which is the oldest that is kept.
    pub may_be_older: bool,
}

impl Catalog {
    /// Up to `limit` versions of a branch, newest first or oldest first, from where the cursor `after` of an earlier page
    /// points: those that it made, and the one that it began with.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::CursorInvalid`].
    pub fn branch_history(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        order: Direction,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<BranchVersion>> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let after = after.map(lsn_of).transpose()?;
        let from_there = match (order, after) {
            (_, None) => (Bound::Unbounded, Bound::Unbounded),
            (Direction::Descending, Some(lsn)) => (Bound::Unbounded, Bound::Excluded(lsn)),
            (Direction::Ascending, Some(lsn)) => (Bound::Excluded(lsn), Bound::Unbounded),
        };
        let versions = source.history(branch.engine, from_there, order, limit.saturating_add(1))?;
        let makers = makers(&mut source, &project, &branch, versions.iter().map(|entry| &entry.version))?;
        let version = |entry: offshoot_engine::HistoryEntry| {
            let changes = entry.changes(KeyRange::ALL).map(Changes::of).transpose()?;
            let version = &entry.version;
            Ok(BranchVersion {
                branch: makers.get(&version.branch().number()).cloned(),
                lsn: version.lsn(),
                time: version.time(),
                by: Provenance::decode(version.metadata())?,
                changes,
            })
        };
        let versions = versions.into_iter().map(version).collect::<Result<_>>()?;
        Ok(Page::cut(versions, limit, |version: &BranchVersion| version.lsn.to_string()))
    }

    /// Up to `limit` versions that changed a role, newest first, from where the cursor `after` of an earlier page points:
    /// of the branch and, before it was forked, of what it was forked from. A role that is gone has its history too.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::CursorInvalid`].
    pub fn role_history(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &RoleName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<RoleRevision>> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let key = entries::ROLES.key(name.as_str().as_bytes());
        // One more than asked for, to tell what the last one changed, and whether there are more.
        let found = source.key_history(branch.engine, &key, ..before(after)?, limit.saturating_add(1))?;
        let makers = makers(&mut source, &project, &branch, found.iter().map(|revision| &revision.version))?;
        let records = found.iter().map(|revision| {
            let bytes = revision.value.as_ref();
            bytes.map(|bytes| entries::ROLES.decode(name.as_str().as_bytes(), bytes)).transpose()
        });
        let records = records.collect::<Result<Vec<_>>>()?;
        let older = records.iter().skip(1).map(Option::as_ref).chain([None]);
        let revisions = found.iter().zip(records.iter().zip(older)).map(|(revision, (record, older))| {
            let version = &revision.version;
            Ok(RoleRevision {
                branch: makers.get(&version.branch().number()).cloned(),
                lsn: version.lsn(),
                time: version.time(),
                by: Provenance::decode(version.metadata())?,
                event: event(older, record.as_ref()),
                may_be_older: revision.may_be_older,
            })
        });
        Ok(Page::cut(revisions.collect::<Result<_>>()?, limit, |revision: &RoleRevision| revision.lsn.to_string()))
    }

    /// The LSN of the version that is current at a point of a branch's history.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::LsnOutsideHistory`],
    /// [`Error::TimeOutsideHistory`].
    pub fn branch_lsn(&self, caller: &Caller, project: &ProjectId, branch: &BranchId, point: Point) -> Result<Lsn> {
        let (_, branch) = FoundBranch::find(&mut self.snapshot()?, caller, project, branch)?;
        let version = self.version(branch.engine, point);
        Ok(version.map_err(|error| outside(&branch.id, error))?.lsn())
    }

    /// What differs between a point of one branch and a point of the same or another one; what both share isn't read.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::LsnOutsideHistory`],
    /// [`Error::TimeOutsideHistory`].
    pub fn branch_diff(
        &self,
        caller: &Caller,
        project: &ProjectId,
        older: (&BranchId, Point),
        newer: (&BranchId, Point),
    ) -> Result<Changes> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let found = [project.branch(&mut source, older.0)?, project.branch(&mut source, newer.0)?];
        drop(source);
        let version = |branch: &FoundBranch, point| {
            self.version(branch.engine, point).map_err(|error| outside(&branch.id, error))
        };
        let (before, after) = (version(&found[0], older.1)?, version(&found[1], newer.1)?);
        Changes::of(before.diff(&after, KeyRange::ALL))
    }
}

impl Changes {
    fn of(differences: impl Iterator<Item = Result<Difference, offshoot_engine::Error>>) -> Result<Self> {
        let (mut roles, mut databases) = (Vec::new(), BTreeMap::new());
        for difference in differences {
            let Difference { key, before, after, .. } = difference?;
            if let Some(name) = entries::ROLES.name_in(&key)? {
                roles.extend(RoleDifference::of(name, before, after)?);
            } else if let Some(name) = entries::DATABASES.name_in(&key)? {
                let parsed =
                    DatabaseName::new(name.as_str()).map_err(|error| entries::DATABASES.corrupt_key(&name, error))?;
                let record = |bytes: Option<Bytes>| -> Result<Option<DatabaseRecord>> {
                    bytes.map(|bytes| entries::DATABASES.decode(name.as_bytes(), &bytes)).transpose()
                };
                for (record, is_after) in [(record(before)?, false), (record(after)?, true)] {
                    let Some(record) = record else { continue };
                    let differs: &mut DatabaseDifference =
                        databases.entry(record.created_at).or_insert(DatabaseDifference { before: None, after: None });
                    let side = if is_after { &mut differs.after } else { &mut differs.before };
                    *side = Some((parsed.clone(), record.owner));
                }
            }
        }
        Ok(Self { roles, databases: databases.into_values().collect() })
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.databases.is_empty()
    }
}

impl RoleDifference {
    /// Nothing where only the way in which the password is kept differs.
    fn of(name: String, before: Option<Bytes>, after: Option<Bytes>) -> Result<Option<Self>> {
        let record = |bytes: Option<Bytes>| -> Result<Option<RoleRecord>> {
            bytes.map(|bytes| entries::ROLES.decode(name.as_bytes(), &bytes)).transpose()
        };
        let (before, after) = (record(before)?, record(after)?);
        let verifier = |record: &Option<RoleRecord>| record.as_ref().and_then(|record| record.verifier.clone());
        let (old, new) = (verifier(&before), verifier(&after));
        let password_changed = old.is_some() && new.is_some() && old != new;
        let login = |record: &Option<RoleRecord>| record.as_ref().map(|record| record.login);
        let (before, after) = (login(&before), login(&after));
        let name = RoleName::new(name.as_str()).map_err(|error| entries::ROLES.corrupt_key(&name, error))?;
        Ok((before != after || password_changed).then_some(Self { name, before, after, password_changed }))
    }
}

fn event(older: Option<&RoleRecord>, record: Option<&RoleRecord>) -> RoleEvent {
    match (older, record) {
        (_, None) => RoleEvent::Deleted,
        (None, Some(_)) => RoleEvent::Created,
        (Some(older), Some(record)) if older.verifier != record.verifier => RoleEvent::PasswordChanged,
        (Some(_), Some(_)) => RoleEvent::Changed,
    }
}

/// The LSN before which a page begins.
fn before(cursor: Option<&str>) -> Result<Lsn> {
    cursor.map_or(Ok(Lsn::new(u64::MAX)), lsn_of)
}

/// The LSN that a cursor is.
fn lsn_of(cursor: &str) -> Result<Lsn> {
    cursor.parse().map_err(|_| Error::CursorInvalid { cursor: cursor.to_owned() })
}

/// The branches that made versions, by their numbers in the engine: a branch and its ancestors, as far up as is needed.
fn makers<'a>(
    source: &mut impl Source,
    project: &FoundProject,
    branch: &FoundBranch,
    versions: impl Iterator<Item = &'a Version>,
) -> Result<BTreeMap<u64, BranchId>> {
    let mut wanted: std::collections::BTreeSet<u64> = versions.map(|version| version.branch().number()).collect();
    let mut makers = BTreeMap::new();
    let mut next = Some((branch.id.clone(), branch.record.number, branch.record.parent.clone()));
    while let Some((id, number, parent)) = next {
        if wanted.remove(&number) {
            makers.insert(number, id);
        }
        next = match parent.filter(|_| !wanted.is_empty()) {
            Some(parent) => {
                let found = project.branch(source, &parent.id)?;
                Some((found.id, found.record.number, found.record.parent))
            }
            None => None,
        };
    }
    Ok(makers)
}
