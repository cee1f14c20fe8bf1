//! How projects are deleted, and what is done about them until they are gone, or back.

use std::{collections::BTreeSet, ops::Bound};

use bytes::Bytes;
use offshoot_engine::{Direction, KeyRange, NamespaceId, Transaction};

use super::{DeletionMethod, Keeping, OPERATIONS, PAGE, recover::step_to_make};
use crate::{
    branch,
    catalog::{Caller, Catalog, FoundProject, now},
    codec::{DeletedProjectRecord, DeletionRecord, ProjectIdRecord, Time, Whole},
    endpoint::{self, ComputeState},
    error::{Error, Result},
    id::{EndpointId, ProjectId},
    operation::{self, OperationAction, Step},
    project::Project,
    snapshot,
    tables::{Source, numbers, project, system, timed},
};

impl Catalog {
    /// Deletes a project with all that is in it. For seven days it can be [recovered](Catalog::project_recover), and its computes are
    /// suspended; then it is removed for good.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::ProjectHasProtectedBranch`].
    pub fn project_delete(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let (project, due) = self.commit(|tx| {
            let project = FoundProject::find(tx, caller, id)?;
            check_deletable(tx, &project)?;
            put_away(tx, project, Keeping::Recoverable)
        })?;
        self.project_settle(id, due)?;
        Ok(project)
    }

    /// Removes a project for good, a deleted one too.
    ///
    /// # Errors
    ///
    /// Those of [`Catalog::project_delete`].
    pub fn project_delete_for_good(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let (project, due) = self.commit(|tx| match FoundProject::even_deleted(tx, id)? {
            Some((project, deletion)) if project.record.account == caller.account => {
                if deletion.is_none() {
                    check_deletable(tx, &project)?;
                }
                give_up(tx, project, deletion)
            }
            _ => Err(Error::ProjectNotFound { id: id.to_string() }),
        })?;
        self.project_settle(id, due)?;
        Ok(project)
    }

    /// Removes a project for good, whatever is in it.
    pub(crate) fn project_remove(&self, id: &ProjectId) -> Result<()> {
        let due = self.commit(|tx| match FoundProject::even_deleted(tx, id)? {
            Some((project, deletion)) => give_up(tx, project, deletion).map(|(_, due)| Some(due)),
            None => Ok(None),
        })?;
        due.map_or(Ok(()), |due| self.project_settle(id, due).map(drop))
    }

    /// Does what is due about a project that was deleted or recovered; tells whether it is removed for good now.
    pub(super) fn project_settle(&self, id: &ProjectId, due: Time) -> Result<bool> {
        let key = timed(due, id.as_str());
        let _alone = self.settling().lock();
        let mut source = self.snapshot()?;
        if system::PROJECT_DELETIONS.get(&mut source, NamespaceId::SYSTEM, &key)?.is_none() {
            return Ok(false);
        }
        let found = FoundProject::even_deleted(&mut source, id)?;
        drop(source);
        match found {
            Some((project, Some(deletion))) if due >= deletion.until => {
                self.project_quiet(&project, &deletion)?;
                self.project_clear(&project, due)?;
                return Ok(true);
            }
            Some((project, Some(deletion))) => {
                self.project_quiet(&project, &deletion)?;
                self.commit(|tx| move_on(tx, id, due, &deletion))?;
            }
            Some((project, None)) => {
                self.project_wake(&project)?;
                self.commit(|tx| system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key))?;
            }
            None => self.commit(|tx| system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key))?,
        }
        Ok(false)
    }

    /// Cancels a deleted project's operations, and suspends its computes.
    fn project_quiet(&self, project: &FoundProject, deletion: &DeletionRecord) -> Result<()> {
        let (namespace, mut busy) = (project.namespace(), BTreeSet::<EndpointId>::new());
        self.in_pages(|tx, range| {
            if !is_deleted(tx, project, deletion)? {
                return Ok(None);
            }
            let cancelled = operation::cancel(tx, namespace, range, deletion.at.0, OPERATIONS, true)?;
            busy.extend(cancelled.endpoints);
            Ok(cancelled.next)
        })?;
        self.in_pages(|tx, range| {
            if !is_deleted(tx, project, deletion)? {
                return Ok(None);
            }
            let page = project::ENDPOINTS.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            let mut steps = Vec::new();
            for (key, record) in &page {
                let (branch, endpoint) = endpoint::ids_in(key)?;
                if record.state != ComputeState::Idle || busy.contains(&endpoint) {
                    steps.push(Step { action: OperationAction::SuspendCompute, branch, endpoint: Some(endpoint) });
                }
            }
            operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(next_of(&page))
        })
    }

    /// Takes up what was left lying when a project was deleted, now that it is back: storage that was being made, expiries, computes.
    fn project_wake(&self, project: &FoundProject) -> Result<()> {
        let namespace = project.namespace();
        self.in_pages(|tx, range| {
            let page = project::BRANCHES.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            let mut steps = Vec::new();
            for (key, record) in &page {
                let id = branch::id_in(key)?;
                branch::note_branch_expiry(tx, &project.id, &id, record)?;
                steps.extend(step_to_make(&id, record));
            }
            operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(next_of(&page))
        })?;
        self.in_pages(|tx, range| {
            let page = project::SNAPSHOTS.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            for (key, record) in &page {
                snapshot::note_expiry(tx, &project.id, &snapshot::id_in(key)?, record)?;
            }
            Ok(next_of(&page))
        })?;
        self.in_pages(|tx, range| {
            let page = project::ENDPOINTS.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            let mut steps = Vec::new();
            for (key, record) in &page {
                let (back, starts) = endpoint::brought_back(record);
                if back != *record {
                    project::ENDPOINTS.put(tx, namespace, key, &back)?;
                }
                if starts {
                    let (branch, endpoint) = endpoint::ids_in(key)?;
                    steps.push(Step { action: OperationAction::StartCompute, branch, endpoint: Some(endpoint) });
                }
            }
            operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(next_of(&page))
        })
    }

    /// Goes through a table page by page, each in a commit of its own. `body` takes the range that is left, and gives the last key of its page
    /// where there may be more.
    pub(crate) fn in_pages(
        &self,
        mut body: impl FnMut(&mut Transaction<'_>, KeyRange) -> Result<Option<Bytes>>,
    ) -> Result<()> {
        let mut range = KeyRange::ALL;
        while let Some(last) = self.commit(|tx| body(tx, range.clone()))? {
            range.start = Bound::Excluded(last);
        }
        Ok(())
    }
}

/// The last key of a page after which there may be more.
pub(super) fn next_of<R>(page: &[(Bytes, R)]) -> Option<Bytes> {
    page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone())
}

/// Whether a project is still deleted, as it was.
fn is_deleted(source: &mut impl Source, project: &FoundProject, deletion: &DeletionRecord) -> Result<bool> {
    let found = FoundProject::even_deleted(source, &project.id)?;
    Ok(found.is_some_and(|(_, now)| now.is_some_and(|now| now.at == deletion.at)))
}

fn check_deletable(source: &mut impl Source, project: &FoundProject) -> Result<()> {
    let branches = branch::records_of_project(source, project)?;
    match branches.into_iter().find(|(_, record)| record.protected) {
        Some((branch, _)) => Err(Error::ProjectHasProtectedBranch { project: project.id.clone(), branch }),
        None => Ok(()),
    }
}

/// Puts a project where only recovering and removing find it. Gives it, and when there is more to be done about it.
fn put_away(tx: &mut Transaction<'_>, project: FoundProject, keeping: Keeping) -> Result<(Project, Time)> {
    let (id, record) = (project.id.clone(), project.record.clone());
    let deletion = DeletionRecord::now(now(tx), DeletionMethod::User, keeping);
    let (key, place) = (id.as_str().as_bytes(), numbers(record.account.get(), record.namespace));
    let entry = ProjectIdRecord { project: id.clone() };
    system::PROJECTS.delete(tx, NamespaceId::SYSTEM, key)?;
    system::ACCOUNT_PROJECTS.delete(tx, NamespaceId::SYSTEM, &place)?;
    let deleted = DeletedProjectRecord { project: Whole(record), deletion: deletion.clone() };
    system::DELETED_PROJECTS.put(tx, NamespaceId::SYSTEM, key, &deleted)?;
    system::ACCOUNT_DELETED_PROJECTS.put(tx, NamespaceId::SYSTEM, &place, &entry)?;
    enqueue(tx, &id, deletion.at)?;
    let (at, is_kept) = (deletion.at, keeping == Keeping::Recoverable);
    let deletion = is_kept.then(|| deletion.into());
    Ok((Project { deletion, ..Project::from(project) }, at))
}

/// Puts a project away so that it can't be recovered.
fn give_up(
    tx: &mut Transaction<'_>,
    project: FoundProject,
    deletion: Option<DeletionRecord>,
) -> Result<(Project, Time)> {
    let Some(before) = deletion else { return put_away(tx, project, Keeping::Nothing) };
    let (id, at) = (project.id.clone(), before.at);
    for due in [at, before.until] {
        system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &timed(due, id.as_str()))?;
    }
    let deletion = DeletionRecord { until: at, ..before };
    let deleted = DeletedProjectRecord { project: Whole(project.record.clone()), deletion };
    system::DELETED_PROJECTS.put(tx, NamespaceId::SYSTEM, id.as_str().as_bytes(), &deleted)?;
    enqueue(tx, &id, at)?;
    Ok((project.into(), at))
}

/// Has a deleted project looked at again when it can't be recovered any more.
fn move_on(tx: &mut Transaction<'_>, id: &ProjectId, due: Time, deletion: &DeletionRecord) -> Result<()> {
    let key = timed(due, id.as_str());
    if system::PROJECT_DELETIONS.get(tx, NamespaceId::SYSTEM, &key)?.is_none() {
        return Ok(());
    }
    system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key)?;
    enqueue(tx, id, deletion.until)
}

/// Has a project that was deleted or recovered looked at when something is due about it.
pub(super) fn enqueue(tx: &mut Transaction<'_>, project: &ProjectId, due: Time) -> Result<()> {
    let entry = ProjectIdRecord { project: project.clone() };
    system::PROJECT_DELETIONS.put(tx, NamespaceId::SYSTEM, &timed(due, project.as_str()), &entry)
}
