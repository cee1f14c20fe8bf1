//! How branches change: their names, what protects them, how long they live, and what is noted about them.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use offshoot_engine::{NamespaceId, Transaction};

use super::{
    Branch, BranchChanged, claim_name,
    expiry::{forget_branch_expiry, note_branch_expiry},
};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, name_key, now},
    codec::{AnnotationRecord, BranchRecord, ExpiryRecord, Time},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::BranchName,
    tables::{Source, pair, project, system},
    text_map::TextMap,
};

/// When a branch goes by itself: in the future, at most 30 days ahead; a fraction of a second is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub DateTime<Utc>);

/// What is to be another way about a branch; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchUpdate {
    /// The branch's name.
    pub name: Option<BranchName>,
    /// Whether it is kept from being deleted, restored and reset.
    pub protected: Option<bool>,
    /// When it goes by itself; `Some(None)` is never.
    pub expiry: Option<Option<Expiry>>,
}

/// What people noted about a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The notes by name.
    pub value: TextMap,
    /// When the first was made.
    pub created_at: DateTime<Utc>,
    /// When they last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<AnnotationRecord> for Annotation {
    fn from(record: AnnotationRecord) -> Self {
        Self { value: record.value, created_at: record.created_at.0, updated_at: record.updated_at.0 }
    }
}

impl Catalog {
    /// Changes a branch. Nothing has to be done on its endpoints for that.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::BranchAlreadyExists`], [`Error::BranchExpires`]
    /// where an expiring branch is to be protected, [`Error::BranchCannotExpire`], [`Error::ExpiryInvalid`].
    pub fn branch_update(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        update: BranchUpdate,
    ) -> Result<BranchChanged> {
        self.commit(|tx| {
            let (project, found) = FoundBranch::find(tx, caller, project, branch)?;
            let mut record = found.record.clone();
            if let Some(name) = &update.name {
                record.name = name.clone();
            }
            record.protected = update.protected.unwrap_or(record.protected);
            if let Some(expiry) = update.expiry {
                record.expiry = expiry.map(|expiry| expiry_record(tx, expiry)).transpose()?;
            }
            if record == found.record {
                return Ok(BranchChanged::without_operations(&project, found));
            }
            if record.expiry.is_some() {
                let asked = update.expiry.is_some();
                check_can_expire(tx, &project, &found.id, &record, asked)?;
            }
            record.updated_at = now(tx);
            self.branch_put(tx, &project, &found, record)
        })
    }

    /// Makes a branch the one that is meant where none is named.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::BranchExpires`].
    pub fn branch_set_default(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<BranchChanged> {
        self.commit(|tx| {
            let (mut project, found) = FoundBranch::find(tx, caller, project, branch)?;
            if found.record.expiry.is_some() {
                return Err(Error::BranchExpires { id: found.id, what: "become the default" });
            }
            if project.record.default_branch != found.id {
                project.record.default_branch = found.id.clone();
                project.record.updated_at = now(tx);
                system::PROJECTS.put(tx, NamespaceId::SYSTEM, project.id.as_str().as_bytes(), &project.record)?;
            }
            Ok(BranchChanged::without_operations(&project, found))
        })
    }

    /// What is noted about a branch, if anything is.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn branch_annotation(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
    ) -> Result<Option<Annotation>> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let key = branch.id.as_str().as_bytes();
        Ok(project::ANNOTATIONS.get(&mut source, project.namespace(), key)?.map(Annotation::from))
    }

    /// What is noted about the branches of a project, deleted ones that can be recovered included, of those about which anything is.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn branch_annotation_list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<(BranchId, Annotation)>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let records = project::ANNOTATIONS.all(&mut source, project.namespace(), b"")?;
        let annotation = |(key, record): (bytes::Bytes, AnnotationRecord)| {
            let id = std::str::from_utf8(&key).ok().and_then(|text| text.parse().ok());
            let id = id.ok_or_else(|| project::ANNOTATIONS.corrupt_key(&key, "its key is not an id"))?;
            Ok((id, record.into()))
        };
        records.into_iter().map(annotation).collect()
    }

    /// Writes a branch's record, with its name and its expiry where others find them.
    pub(super) fn branch_put(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        found: &FoundBranch,
        record: BranchRecord,
    ) -> Result<BranchChanged> {
        if record.name != found.record.name {
            claim_name(tx, project.namespace(), &record.name, &found.id)?;
            project::BRANCH_NAMES.delete(tx, project.namespace(), &name_key(found.record.name.as_str()))?;
        }
        if record.expiry != found.record.expiry {
            forget_branch_expiry(tx, &found.id, &found.record)?;
            note_branch_expiry(tx, &project.id, &found.id, &record)?;
        }
        project::BRANCHES.put(tx, project.namespace(), found.id.as_str().as_bytes(), &record)?;
        let branch = Branch::of(project, found.id.clone(), record);
        Ok(BranchChanged { branch, operations: Vec::new() })
    }
}

impl BranchChanged {
    fn without_operations(project: &FoundProject, found: FoundBranch) -> Self {
        Self { branch: Branch::of(project, found.id, found.record), operations: Vec::new() }
    }
}

/// Refuses to let go by itself what others rely on. `asked` says whether that is the wish, or that something else about
/// a branch that expires should change.
fn check_can_expire(
    source: &mut impl Source,
    project: &FoundProject,
    id: &BranchId,
    record: &BranchRecord,
    asked: bool,
) -> Result<()> {
    let refuse = |because| Err(Error::BranchCannotExpire { id: id.clone(), because });
    if record.protected {
        let (id, what) = (id.clone(), "be protected");
        return if asked { refuse("is protected") } else { Err(Error::BranchExpires { id, what }) };
    }
    if *id == project.record.default_branch {
        return refuse("is the project's default branch");
    }
    match project::BRANCH_CHILDREN.first(source, project.namespace(), &pair(id.as_str(), ""))? {
        Some(_) => refuse("has children"),
        None => Ok(()),
    }
}

const MAX_DAYS: u32 = 30;

/// The record of an expiry that is asked for now.
pub(super) fn expiry_record(tx: &Transaction<'_>, Expiry(asked): Expiry) -> Result<ExpiryRecord> {
    let present = tx.instant();
    let at = asked.trunc_subsecs(0);
    if at <= present || at > present + TimeDelta::days(MAX_DAYS.into()) {
        return Err(Error::ExpiryInvalid { asked, present, days: Some(MAX_DAYS) });
    }
    // What is left of the second in which it was asked for counts as a whole one.
    let ttl = (at - present.trunc_subsecs(0)).num_seconds();
    Ok(ExpiryRecord { at: Time(at), ttl_seconds: u32::try_from(ttl).unwrap_or(u32::MAX) })
}

pub(crate) fn put_annotation(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    branch: &BranchId,
    value: TextMap,
) -> Result<()> {
    let record = AnnotationRecord { value, created_at: now(tx), updated_at: now(tx) };
    project::ANNOTATIONS.put(tx, project.namespace(), branch.as_str().as_bytes(), &record)
}
