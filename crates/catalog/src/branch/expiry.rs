//! Branches and snapshots that go by themselves: which, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use offshoot_engine::{NamespaceId, Transaction};

use crate::{
    catalog::{Caller, Catalog, FoundProject},
    codec::{BranchExpiryRecord, BranchRecord, SnapshotExpiryRecord, Time},
    deletion::{DeletionMethod, Keeping, first},
    error::{Error, Result},
    id::{BranchId, ProjectId, SnapshotId},
    snapshot,
    tables::{system, timed},
};

/// What [`Catalog::expire`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// The branches that are deleted now.
    pub branches: Vec<(ProjectId, BranchId)>,
    /// The snapshots that are deleted now.
    pub snapshots: Vec<(ProjectId, SnapshotId)>,
    /// The branches that were deleted a while ago, and can't be recovered any more.
    pub removed_branches: Vec<(ProjectId, BranchId)>,
    /// The projects that were deleted a while ago, and can't be recovered any more.
    pub removed_projects: Vec<ProjectId>,
    /// How long it is until the next one goes; nothing where none is to go.
    pub next: Option<Duration>,
}

impl Catalog {
    /// Deletes up to `limit` branches and as many snapshots whose time has come, and removes for good as many branches and projects that can't be recovered
    /// any more. A server calls it when the
    /// [next](Expired::next) is due, and now and then, for an earlier one may come.
    ///
    /// # Errors
    ///
    /// Those of the engine; whatever goes was not refused when it was asked for, and is not refused now.
    pub fn expire(&self, limit: usize) -> Result<Expired> {
        let mut expired = Expired::default();
        let mut source = self.snapshot()?;
        let branches = first(&mut source, &system::BRANCH_EXPIRIES, limit)?;
        let snapshots = first(&mut source, &system::SNAPSHOT_EXPIRIES, limit)?;
        drop(source);
        let now = self.engine().now();
        let mut next = None;
        for (at, BranchExpiryRecord { project, branch }) in branches {
            if at > now {
                next = Some(at);
                break;
            }
            if self.branch_expire(&project, &branch, Time(at))? {
                expired.branches.push((project, branch));
            }
        }
        for (at, SnapshotExpiryRecord { project, snapshot }) in snapshots {
            if at > now {
                next = Some(next.map_or(at, |next: DateTime<Utc>| next.min(at)));
                break;
            }
            if self.snapshot_expire(&project, &snapshot, Time(at))? {
                expired.snapshots.push((project, snapshot));
            }
        }
        let settled = self.settle_deleted(limit)?;
        next = next.into_iter().chain(settled.next).min();
        (expired.removed_branches, expired.removed_projects) = (settled.branches, settled.projects);
        let more = settled.more || expired.branches.len().max(expired.snapshots.len()) == limit;
        expired.next = match next {
            _ if more => Some(Duration::ZERO),
            next => next.map(|next| (next - now).to_std().unwrap_or_default()),
        };
        Ok(expired)
    }

    /// Deletes a branch if it is still to go at this instant.
    fn branch_expire(&self, project: &ProjectId, branch: &BranchId, at: Time) -> Result<bool> {
        self.expire_in(project, |tx, project| {
            // Whatever becomes of the branch, this is not to be looked at again.
            system::BRANCH_EXPIRIES.delete(tx, NamespaceId::SYSTEM, &timed(at, branch.as_str()))?;
            let Some(project) = project else { return Ok(false) };
            let is_due = |record: &BranchRecord| record.expiry.as_ref().is_some_and(|expiry| expiry.at == at);
            match project.branch(tx, branch) {
                Ok(found) if is_due(&found.record) => {
                    self.branch_put_away(tx, &project, found, DeletionMethod::Ttl, Keeping::Recoverable).map(|_| true)
                }
                Err(Error::BranchNotFound { .. }) | Ok(_) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn snapshot_expire(&self, project: &ProjectId, id: &SnapshotId, at: Time) -> Result<bool> {
        self.expire_in(project, |tx, project| {
            system::SNAPSHOT_EXPIRIES.delete(tx, NamespaceId::SYSTEM, &timed(at, id.as_str()))?;
            let Some(project) = project else { return Ok(false) };
            match snapshot::find(tx, &project, id) {
                Ok(record) if record.expires_at == Some(at) => {
                    snapshot::remove(tx, &project, id, &record).map(|()| true)
                }
                Err(Error::SnapshotNotFound { .. }) | Ok(_) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Commits in the name of a project's account, if the project is still there.
    fn expire_in(
        &self,
        project: &ProjectId,
        mut body: impl FnMut(&mut Transaction<'_>, Option<FoundProject>) -> Result<bool>,
    ) -> Result<bool> {
        self.commit(|tx| {
            let record = system::PROJECTS.get(tx, NamespaceId::SYSTEM, project.as_str().as_bytes())?;
            let found = record.map(|record| FoundProject::find(tx, &Caller::new(record.account), project));
            body(tx, found.transpose()?)
        })
    }
}

/// Notes when a branch goes by itself, if it does.
pub(crate) fn note_branch_expiry(
    tx: &mut Transaction<'_>,
    project: &ProjectId,
    id: &BranchId,
    record: &BranchRecord,
) -> Result<()> {
    let Some(expiry) = &record.expiry else { return Ok(()) };
    let found = BranchExpiryRecord { project: project.clone(), branch: id.clone() };
    system::BRANCH_EXPIRIES.put(tx, NamespaceId::SYSTEM, &timed(expiry.at, id.as_str()), &found)
}

/// Takes that back.
pub(crate) fn forget_branch_expiry(tx: &mut Transaction<'_>, id: &BranchId, record: &BranchRecord) -> Result<()> {
    let Some(expiry) = &record.expiry else { return Ok(()) };
    system::BRANCH_EXPIRIES.delete(tx, NamespaceId::SYSTEM, &timed(expiry.at, id.as_str()))
}
