//! How branches go.

use offshoot_engine::Transaction;

use super::{Branch, BranchChanged, expiry::forget_branch_expiry};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, name_key},
    endpoint::{self, ComputeState, Endpoint},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    operation::{self, OperationAction, Step},
    tables::{Source, pair, project},
};

impl Catalog {
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
            match project.branch(tx, branch) {
                Err(Error::BranchNotFound { .. }) => Ok(None),
                found => self.branch_remove(tx, &project, found?).map(Some),
            }
        })
    }

    /// Removes a branch, and schedules what that takes.
    pub(super) fn branch_remove(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        found: FoundBranch,
    ) -> Result<BranchChanged> {
        check_deletable(tx, project, &found)?;
        operation::cancel(tx, project.namespace(), &found.id)?;
        let endpoints = endpoint::of_branch(tx, project, &found.id)?;
        for endpoint in &endpoints {
            endpoint::remove(tx, project.namespace(), endpoint)?;
        }
        remove(tx, project, &found)?;
        let steps = steps_to_delete(&found.id, &endpoints);
        let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
        Ok(BranchChanged { branch: Branch::of(project, found.id, found.record), operations })
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

fn remove(tx: &mut Transaction<'_>, project: &FoundProject, branch: &FoundBranch) -> Result<()> {
    let namespace = project.namespace();
    project::BRANCHES.delete(tx, namespace, branch.id.as_str().as_bytes())?;
    project::BRANCH_NAMES.delete(tx, namespace, &name_key(branch.record.name.as_str()))?;
    project::ANNOTATIONS.delete(tx, namespace, branch.id.as_str().as_bytes())?;
    if let Some(parent) = &branch.record.parent {
        project::BRANCH_CHILDREN.delete(tx, namespace, &pair(parent.id.as_str(), branch.id.as_str()))?;
    }
    forget_branch_expiry(tx, &branch.id, &branch.record)?;
    Ok(tx.delete_branch(branch.engine)?)
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
