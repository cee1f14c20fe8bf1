//! How branches are deleted, and what is done about them until they are gone.

use std::ops::Bound;

use offshoot_engine::{BranchId as EngineBranch, KeyRange, NamespaceId, Transaction};

use super::{DeletionMethod, Keeping, OPERATIONS, Step as Settling};
use crate::{
    branch::{Branch, BranchChanged, forget_branch_expiry},
    catalog::{Caller, Catalog, FoundBranch, FoundProject, name_key, now},
    codec::{BranchExpiryRecord, DeletedBranchRecord, DeletionRecord, Time, Whole},
    compute,
    endpoint::{self, ComputeState},
    error::{Error, Result},
    id::{BranchId, OperationId, ProjectId},
    operation::{self, OperationAction, Step},
    tables::{Source, pair, project, system, timed},
};

impl Catalog {
    /// Deletes a branch with its roles, databases and endpoints; nothing where the project has no such branch. For seven days it can be
    /// [recovered](Catalog::branch_recover), and its computes are suspended; then it is removed for good.
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
        self.branch_delete_as(caller, project, branch, Keeping::Recoverable)
    }

    /// Removes a branch for good, a deleted one too; nothing where the project has no such branch.
    ///
    /// # Errors
    ///
    /// Those of [`Catalog::branch_delete`].
    pub fn branch_delete_for_good(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
    ) -> Result<Option<BranchChanged>> {
        self.branch_delete_as(caller, project, branch, Keeping::Nothing)
    }

    fn branch_delete_as(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        keeping: Keeping,
    ) -> Result<Option<BranchChanged>> {
        let done = self.commit_as(caller, "branch_delete", branch.as_str(), |tx| {
            let project = FoundProject::find(tx, caller, project)?;
            match project.branch(tx, branch) {
                Err(Error::BranchNotFound { .. }) if keeping == Keeping::Nothing => {
                    self.branch_give_up(tx, &project, branch)
                }
                Err(Error::BranchNotFound { .. }) => Ok(None),
                found => self.branch_put_away(tx, &project, found?, DeletionMethod::User, keeping).map(Some),
            }
        })?;
        let Some(PutAway { mut changed, due }) = done else { return Ok(None) };
        if let Some(due) = due {
            self.branch_settle(project, branch, due)?;
            if keeping == Keeping::Nothing {
                // What was scheduled with the last step comes too late for this answer.
                changed.branch.deletion = None;
            }
        }
        Ok(Some(changed))
    }

    /// Puts a branch where only recovering and removing find it, and schedules what that takes.
    pub(crate) fn branch_put_away(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        found: FoundBranch,
        method: DeletionMethod,
        keeping: Keeping,
    ) -> Result<PutAway> {
        check_deletable(tx, project, &found)?;
        let (namespace, id) = (project.namespace(), found.id.clone());
        let deletion = DeletionRecord::now(now(tx), method, keeping);
        let cancelled =
            operation::cancel(tx, namespace, of_branch(&id, deletion.at), deletion.at.0, OPERATIONS, false)?;
        let is_all = cancelled.next.is_none();
        let endpoints = endpoint::of_branch(tx, project, &id)?;
        let is_live = |endpoint: &&endpoint::Endpoint| {
            endpoint.state != ComputeState::Idle || !is_all || cancelled.endpoints.contains(&endpoint.id)
        };
        let step = |action, endpoint: Option<&endpoint::Endpoint>| Step {
            action,
            branch: id.clone(),
            endpoint: endpoint.map(|endpoint| endpoint.id.clone()),
        };
        let suspends = endpoints.iter().filter(is_live);
        let mut steps: Vec<_> =
            suspends.map(|endpoint| step(OperationAction::SuspendCompute, Some(endpoint))).collect();
        for endpoint in &endpoints {
            endpoint::put_away(tx, namespace, endpoint)?;
        }
        let deleted = put_away(tx, project, &found, deletion)?;
        let mut branch = Branch::of(project, id.clone(), found.record);
        let mut due = None;
        if is_all && keeping == Keeping::Nothing {
            remove(tx, namespace, &id, &deleted)?;
            steps.push(step(OperationAction::DeleteTimeline, None));
        } else {
            let next = if is_all { deleted.deletion.until } else { deleted.deletion.at };
            enqueue(tx, &project.id, &id, next)?;
            due = Some(next).filter(|_| !is_all);
            branch.deletion = Some(deleted.deletion.into());
        }
        let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
        Ok(PutAway { changed: BranchChanged { branch, operations }, due })
    }

    /// Removes a deleted branch for good, before its time.
    fn branch_give_up(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        id: &BranchId,
    ) -> Result<Option<PutAway>> {
        let Some(mut deleted) = find(tx, project.namespace(), id)? else { return Ok(None) };
        dequeue(tx, id, &deleted.deletion)?;
        let at = deleted.deletion.at;
        deleted.deletion.until = at;
        project::DELETED_BRANCHES.put(tx, project.namespace(), id.as_str().as_bytes(), &deleted)?;
        enqueue(tx, &project.id, id, at)?;
        let branch = Branch::of(project, id.clone(), deleted.branch.0);
        let changed = BranchChanged { branch, operations: Vec::new() };
        Ok(Some(PutAway { changed, due: Some(at) }))
    }

    /// Does what is due about a deleted branch; tells whether it is removed for good now.
    pub(super) fn branch_settle(&self, project: &ProjectId, branch: &BranchId, due: Time) -> Result<bool> {
        // What is scheduled here must not come after the project's operations were forgotten.
        let _alone = self.settling().lock();
        loop {
            match self.commit(|tx| self.branch_settle_step(tx, project, branch, due))? {
                Settling::Unfinished => {}
                step => return Ok(step == Settling::Removed),
            }
        }
    }

    /// Does a part of that in one commit.
    fn branch_settle_step(
        &self,
        tx: &mut Transaction<'_>,
        project: &ProjectId,
        id: &BranchId,
        due: Time,
    ) -> Result<Settling> {
        let key = timed(due, id.as_str());
        if system::BRANCH_DELETIONS.get(tx, NamespaceId::SYSTEM, &key)?.is_none() {
            return Ok(Settling::Done);
        }
        let Some((project, _)) = FoundProject::even_deleted(tx, project)? else {
            system::BRANCH_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key)?;
            return Ok(Settling::Done);
        };
        let Some(deleted) = find(tx, project.namespace(), id)? else {
            system::BRANCH_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key)?;
            return Ok(Settling::Done);
        };
        let DeletionRecord { at, until, .. } = deleted.deletion;
        let cancelled = operation::cancel(tx, project.namespace(), of_branch(id, at), at.0, OPERATIONS, false)?;
        if cancelled.next.is_some() {
            return Ok(Settling::Unfinished);
        }
        system::BRANCH_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key)?;
        if due < until {
            enqueue(tx, &project.id, id, until)?;
            return Ok(Settling::Done);
        }
        remove(tx, project.namespace(), id, &deleted)?;
        let step = Step { action: OperationAction::DeleteTimeline, branch: id.clone(), endpoint: None };
        operation::schedule(tx, self.entropy(), project.place(), vec![step])?;
        Ok(Settling::Removed)
    }
}

/// A branch that was deleted.
pub(crate) struct PutAway {
    pub(crate) changed: BranchChanged,
    /// When there is more to be done about it at once.
    pub(crate) due: Option<Time>,
}

/// A deleted branch of a project.
pub(crate) fn find(
    source: &mut impl Source,
    namespace: NamespaceId,
    id: &BranchId,
) -> Result<Option<DeletedBranchRecord>> {
    project::DELETED_BRANCHES.get(source, namespace, id.as_str().as_bytes())
}

/// The operations of a branch that were scheduled before an instant. Cancelling takes each of them out of the range, so that it comes to an end.
fn of_branch(id: &BranchId, before: Time) -> KeyRange {
    let end = pair(id.as_str(), OperationId::first_at(before.0).as_bytes());
    KeyRange { start: Bound::Included(pair(id.as_str(), "").into()), end: Bound::Excluded(end.into()) }
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

/// Moves a branch's record, and takes back what leads to it.
fn put_away(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    branch: &FoundBranch,
    deletion: DeletionRecord,
) -> Result<DeletedBranchRecord> {
    let (namespace, key) = (project.namespace(), branch.id.as_str().as_bytes());
    let mut parent_number = None;
    if let Some(parent) = &branch.record.parent {
        let found = project::BRANCHES.get(tx, namespace, parent.id.as_str().as_bytes())?;
        parent_number = found.map(|found| found.number);
        project::BRANCH_CHILDREN.delete(tx, namespace, &pair(parent.id.as_str(), branch.id.as_str()))?;
    }
    project::BRANCHES.delete(tx, namespace, key)?;
    project::BRANCH_NAMES.delete(tx, namespace, &name_key(branch.record.name.as_str()))?;
    forget_branch_expiry(tx, &branch.id, &branch.record)?;
    let deleted = DeletedBranchRecord { branch: Whole(branch.record.clone()), deletion, parent_number };
    project::DELETED_BRANCHES.put(tx, namespace, key, &deleted)?;
    Ok(deleted)
}

fn enqueue(tx: &mut Transaction<'_>, project: &ProjectId, branch: &BranchId, due: Time) -> Result<()> {
    let entry = BranchExpiryRecord { project: project.clone(), branch: branch.clone() };
    system::BRANCH_DELETIONS.put(tx, NamespaceId::SYSTEM, &timed(due, branch.as_str()), &entry)
}

/// Takes a deleted branch out of the queue, whatever is due about it next.
pub(super) fn dequeue(tx: &mut Transaction<'_>, branch: &BranchId, deletion: &DeletionRecord) -> Result<()> {
    for due in [deletion.at, deletion.until] {
        system::BRANCH_DELETIONS.delete(tx, NamespaceId::SYSTEM, &timed(due, branch.as_str()))?;
    }
    Ok(())
}

/// Removes a deleted branch with its endpoints and what it holds.
fn remove(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    id: &BranchId,
    deleted: &DeletedBranchRecord,
) -> Result<()> {
    for (key, _) in project::DELETED_ENDPOINTS.all(tx, namespace, &pair(id.as_str(), ""))? {
        let (_, endpoint) = endpoint::ids_in(&key)?;
        project::DELETED_ENDPOINTS.delete(tx, namespace, &key)?;
        system::ENDPOINT_IDS.delete(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
        compute::remove(tx, namespace, &endpoint)?;
    }
    project::DELETED_BRANCHES.delete(tx, namespace, id.as_str().as_bytes())?;
    project::ANNOTATIONS.delete(tx, namespace, id.as_str().as_bytes())?;
    Ok(tx.delete_branch(EngineBranch::new(namespace, deleted.branch.0.number))?)
}
