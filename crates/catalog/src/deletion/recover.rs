//! How what was deleted comes back.

use offshoot_engine::{NamespaceId, Transaction};

use super::{DeletionMethod, branch::find, project::enqueue};
use crate::{
    branch::{self, Branch, BranchState},
    catalog::{Caller, Catalog, FoundProject, now},
    codec::{BranchRecord, DeletedBranchRecord, ParentRecord, ProjectIdRecord},
    endpoint::{self, Endpoint},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    operation::{self, Operation, OperationAction, Step},
    project::Project,
    tables::{Source, numbers, project, system, timed},
};

/// What recovering a branch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRecovered {
    /// The branch.
    pub branch: Branch,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// What will start those that ran when it was deleted.
    pub operations: Vec<Operation>,
}

/// What recovering a project brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecovered {
    /// The project.
    pub project: Project,
    /// Its branches.
    pub branches: Vec<Branch>,
}

impl Catalog {
    /// The deleted branches of a project that can be recovered, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn branch_list_deleted(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Branch>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let now = self.engine().now();
        let mut branches = Vec::new();
        for (id, deleted) in of_project(&mut source, project.namespace())? {
            if deleted.deletion.until.0 > now {
                let branch = Branch::of(&project, id, deleted.branch.0);
                branches.push(Branch { deletion: Some(deleted.deletion.into()), ..branch });
            }
        }
        branches.sort_by_key(|branch| branch.created_at);
        Ok(branches)
    }

    /// Brings a deleted branch back, with its roles, databases and endpoints; those of its computes that ran are started again. It
    /// doesn't expire any more if it had expired.
    ///
    /// Its parent is the one that it had, under whatever id what it was forked from has now; where that is removed for good, it is a root branch.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`]; [`Error::BranchNotFound`], also where it was removed for good; [`Error::BranchNotDeleted`];
    /// [`Error::BranchAlreadyExists`] where another branch has its name by now; [`Error::ParentDeleted`]; [`Error::BranchExpires`] where its parent
    /// does by now.
    pub fn branch_recover(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<BranchRecovered> {
        let of_caller = FoundProject::find(&mut self.snapshot()?, caller, project)?;
        if let Some(deleted) = find(&mut self.snapshot()?, of_caller.namespace(), branch)? {
            // What its deletion has left to be done, if anything, comes before what is scheduled now.
            self.branch_settle(project, branch, deleted.deletion.at)?;
        }
        self.commit_as(caller, "branch_recover", branch.as_str(), |tx| {
            let project = FoundProject::find(tx, caller, project)?;
            match project.branch(tx, branch) {
                Err(Error::BranchNotFound { .. }) => {}
                found => return Err(Error::BranchNotDeleted { id: found?.id }),
            }
            let deleted = find(tx, project.namespace(), branch)?.filter(|deleted| deleted.deletion.until > now(tx));
            let deleted = deleted.ok_or_else(|| Error::BranchNotFound { id: branch.to_string() })?;
            self.branch_bring_back(tx, &project, branch, deleted)
        })
    }

    fn branch_bring_back(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        id: &BranchId,
        deleted: DeletedBranchRecord,
    ) -> Result<BranchRecovered> {
        let namespace = project.namespace();
        let parent = parent_now(tx, project, id, &deleted)?;
        let (deletion, before) = (deleted.deletion, deleted.branch.0);
        let goes_on = deletion.method == DeletionMethod::User;
        let expiry = before.expiry.clone().filter(|expiry| goes_on && expiry.at > now(tx));
        let record = BranchRecord { parent, expiry, updated_at: now(tx), ..before };
        project::DELETED_BRANCHES.delete(tx, namespace, id.as_str().as_bytes())?;
        system::BRANCH_DELETIONS.delete(tx, NamespaceId::SYSTEM, &timed(deletion.until, id.as_str()))?;
        branch::put_new(tx, project, id, &record)?;
        let mut steps: Vec<_> = step_to_make(id, &record).into_iter().collect();
        for endpoint in endpoint::bring_back(tx, project, id)? {
            let endpoint = Some(endpoint);
            steps.push(Step { action: OperationAction::StartCompute, branch: id.clone(), endpoint });
        }
        let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
        let endpoints = endpoint::of_branch(tx, project, id)?;
        Ok(BranchRecovered { branch: Branch::of(project, id.clone(), record), endpoints, operations })
    }

    /// Brings a deleted project back with all that is in it. The computes that ran are started again.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], also where it was removed for good; [`Error::ProjectNotDeleted`].
    pub fn project_recover(&self, caller: &Caller, id: &ProjectId) -> Result<ProjectRecovered> {
        let not_found = || Error::ProjectNotFound { id: id.to_string() };
        let found = FoundProject::even_deleted(&mut self.snapshot()?, id)?;
        let found = found.filter(|(project, _)| project.record.account == caller.account);
        let (_, Some(deletion)) = found.ok_or_else(not_found)? else {
            return Err(Error::ProjectNotDeleted { id: id.clone() });
        };
        self.project_settle(id, deletion.at)?;
        let due = self.commit(|tx| {
            let found = FoundProject::even_deleted(tx, id)?.ok_or_else(not_found)?;
            let (mut project, Some(deletion)) = found else {
                return Err(Error::ProjectNotDeleted { id: id.clone() });
            };
            if deletion.until <= now(tx) {
                return Err(not_found());
            }
            project.record.updated_at = now(tx);
            let (key, account) = (id.as_str().as_bytes(), project.record.account.get());
            let place = numbers(account, project.record.namespace);
            let entry = ProjectIdRecord { project: id.clone() };
            system::PROJECTS.put(tx, NamespaceId::SYSTEM, key, &project.record)?;
            system::ACCOUNT_PROJECTS.put(tx, NamespaceId::SYSTEM, &place, &entry)?;
            system::DELETED_PROJECTS.delete(tx, NamespaceId::SYSTEM, key)?;
            system::ACCOUNT_DELETED_PROJECTS.delete(tx, NamespaceId::SYSTEM, &place)?;
            system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &timed(deletion.until, id.as_str()))?;
            enqueue(tx, id, now(tx))?;
            Ok(now(tx))
        })?;
        self.project_settle(id, due)?;
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, id)?;
        let branches = branch::of_project(&mut source, &project)?;
        Ok(ProjectRecovered { project: project.into(), branches })
    }
}

/// What makes a branch's storage where that was under way when the branch was deleted.
pub(super) fn step_to_make(id: &BranchId, record: &BranchRecord) -> Option<Step> {
    let step = Step { action: OperationAction::CreateBranch, branch: id.clone(), endpoint: None };
    (record.state != BranchState::Ready).then_some(step)
}

/// The deleted branches of a project.
pub(super) fn of_project(
    source: &mut impl Source,
    namespace: NamespaceId,
) -> Result<Vec<(BranchId, DeletedBranchRecord)>> {
    let records = project::DELETED_BRANCHES.all(source, namespace, b"")?;
    records.into_iter().map(|(key, record)| Ok((branch::id_in(&key)?, record))).collect()
}

/// Where what a branch was forked from is now: restoring its parent may have given it another id.
fn parent_now(
    source: &mut impl Source,
    project: &FoundProject,
    id: &BranchId,
    deleted: &DeletedBranchRecord,
) -> Result<Option<ParentRecord>> {
    let (Some(parent), Some(number)) = (deleted.branch.0.parent.clone(), deleted.parent_number) else {
        return Ok(None);
    };
    let namespace = project.namespace();
    let same = project::BRANCHES.get(source, namespace, parent.id.as_str().as_bytes())?;
    let found = match same.filter(|record| record.number == number) {
        Some(record) => Some((parent.id.clone(), record)),
        None => branch::records_of_project(source, project)?.into_iter().find(|(_, record)| record.number == number),
    };
    if let Some((now, record)) = found {
        if record.expiry.is_some() {
            return Err(Error::BranchExpires { id: now, what: "have children" });
        }
        return Ok(Some(ParentRecord { id: now, ..parent }));
    }
    match of_project(source, namespace)?.into_iter().find(|(_, deleted)| deleted.branch.0.number == number) {
        Some((parent, _)) => Err(Error::ParentDeleted { id: id.clone(), parent }),
        None => Ok(None),
    }
}
