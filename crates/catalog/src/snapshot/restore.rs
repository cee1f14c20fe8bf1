//! How a snapshot becomes a branch, and how that branch takes another one's place.

use std::collections::HashMap;

use offshoot_engine::{NamespaceId, Point, Transaction};
use secrecy::SecretString;

use super::{engine_branch, find};
use crate::{
    account,
    branch::{Branch, Credentials, RestoreStatus, claim_name, fork, new_record, put_new},
    catalog::{Caller, Catalog, FoundBranch, FoundProject, name_key, now},
    codec::{BranchRecord, RestoredRecord},
    endpoint::{self, Endpoint},
    error::{Error, Result},
    id::{BranchId, EndpointId, ProjectId, SnapshotId},
    name::{BranchName, RoleName},
    operation::{self, Operation, OperationAction, Step},
    password::NewPassword,
    role,
    tables::{project, system},
};

/// How a snapshot is to become a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRestore {
    /// The branch's name; its id where none is given. Where it takes another one's place at once, that one gets the name.
    pub name: Option<BranchName>,
    /// The branch whose place it is to take; the one that the snapshot was taken of where none is given, if that is
    /// still there.
    pub target: Option<BranchId>,
    /// Whether it takes that place at once. Otherwise it can be looked at first, and
    /// [`Catalog::branch_finalize_restore`] makes it so.
    pub finalize: bool,
    /// Whether roles that the target has keep the passwords that they have there.
    pub preserve_credentials: bool,
}

/// What restoring a snapshot brought.
#[derive(Clone, Debug)]
pub struct SnapshotRestored {
    /// The new branch.
    pub branch: Branch,
    /// The branch whose place it has taken, if it has.
    pub replaced: Option<Branch>,
    /// The endpoints of the new branch: those of the one whose place it has taken.
    pub endpoints: Vec<Endpoint>,
    /// The new passwords of its roles where the snapshot is of a protected branch. They are told here only.
    pub passwords: Vec<(RoleName, SecretString)>,
    /// What will make its storage, and restart its endpoints.
    pub operations: Vec<Operation>,
}

/// What finalizing a restore brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreFinalized {
    /// The branch that has the other one's name and endpoints now.
    pub branch: Branch,
    /// The branch whose place it has taken, under its new name.
    pub replaced: Branch,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// What will restart them.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// Makes a root branch of a snapshot, which takes the same time and space whatever it holds, unless passwords change.
    ///
    /// Of a protected branch's snapshot the roles get new passwords, but for those that the target has, if that is not protected: they keep theirs.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::SnapshotNotFound`], [`Error::BranchNotFound`] for the target,
    /// [`Error::BranchAlreadyExists`], and those of [`Catalog::branch_finalize_restore`] where it takes the target's
    /// place at once.
    pub fn snapshot_restore(
        &self,
        caller: &Caller,
        project: &ProjectId,
        snapshot: &SnapshotId,
        restore: &SnapshotRestore,
    ) -> Result<SnapshotRestored> {
        let drawn = self.draw_for_snapshot(caller, project, snapshot)?;
        self.commit_as(caller, "snapshot_restore", snapshot.as_str(), |tx| {
            let mut project = FoundProject::find(tx, caller, project)?;
            let kept = find(tx, &project, snapshot)?;
            let source = match project.branch(tx, &kept.source) {
                Err(Error::BranchNotFound { .. }) => None,
                found => Some(found?),
            };
            let target = match &restore.target {
                Some(target) => Some(project.branch(tx, target)?),
                None => source.as_ref().map(|source| project.branch(tx, &source.id)).transpose()?,
            };
            if restore.finalize && target.is_none() {
                // The one whose place it would take by default.
                return Err(Error::BranchNotFound { id: kept.source.to_string() });
            }
            let id = self.branch_draw(tx, project.namespace())?;
            let forked = fork(tx, engine_branch(&project, &kept), &kept.source, Point::Head)?;
            let renews = source.is_some_and(|source| source.record.protected);
            // What a protected branch's users have today is for no other branch, unless somebody asks for it.
            let keeps = |target: &&FoundBranch| restore.preserve_credentials || (renews && !target.record.protected);
            let credentials = Credentials {
                kept_from: target.as_ref().filter(keeps).map(|found| found.engine),
                renews,
                drawn: &drawn,
            };
            let passwords = self.restore_credentials(tx, &project, forked.branch, credentials)?;

            let name = restore.name.clone().filter(|_| !restore.finalize).unwrap_or_else(|| BranchName::from(&id));
            let created_by = account::name_of(tx, caller.account)?;
            let mut record = new_record(tx, forked.branch, name, None, created_by);
            record.restored = Some(RestoredRecord {
                snapshot: snapshot.clone(),
                target: target.as_ref().map(|target| target.id.clone()),
                status: RestoreStatus::Restored,
            });
            put_new(tx, &project, &id, &record)?;
            let mut steps = vec![Step { action: OperationAction::CreateBranch, branch: id.clone(), endpoint: None }];
            let mut branch = Branch::of(&project, id.clone(), record);
            let (mut replaced, mut endpoints) = (None, Vec::new());
            if restore.finalize {
                let found = project.branch(tx, &id)?;
                let swapped = self.swap(tx, &mut project, found, restore.name.as_ref())?;
                steps.extend(swapped.steps);
                (branch, replaced, endpoints) = (swapped.branch, Some(swapped.replaced), swapped.endpoints);
            }
            let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(SnapshotRestored { branch, replaced, endpoints, passwords, operations })
        })
    }

    /// Lets a branch that was made of a snapshot take the place of its target: its name, its endpoints, and being the
    /// default. The target keeps its id, its children and its contents, under another name: the one given, or its own
    /// with `_old_` and the time.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`]; [`Error::BranchNotFound`], also for the target; [`Error::RestoreNotPending`];
    /// [`Error::BranchIsProtected`] for the target; [`Error::BranchAlreadyExists`] for the name;
    /// [`Error::BranchExpires`] where the branch is to become the default; [`Error::EndpointAlreadyExists`] where both
    /// have a read-write endpoint.
    pub fn branch_finalize_restore(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: Option<&BranchName>,
    ) -> Result<RestoreFinalized> {
        self.commit(|tx| {
            let (mut project, found) = FoundBranch::find(tx, caller, project, branch)?;
            let swapped = self.swap(tx, &mut project, found, name)?;
            let operations = operation::schedule(tx, self.entropy(), project.place(), swapped.steps)?;
            let Swapped { branch, replaced, endpoints, .. } = swapped;
            Ok(RestoreFinalized { branch, replaced, endpoints, operations })
        })
    }

    fn draw_for_snapshot(
        &self,
        caller: &Caller,
        project: &ProjectId,
        snapshot: &SnapshotId,
    ) -> Result<Vec<NewPassword>> {
        let mut reads = self.snapshot()?;
        let project = FoundProject::find(&mut reads, caller, project)?;
        let kept = find(&mut reads, &project, snapshot)?;
        let is_protected = project.branch(&mut reads, &kept.source).is_ok_and(|source| source.record.protected);
        if !is_protected {
            return Ok(Vec::new());
        }
        let count = role::with_passwords(&mut reads, engine_branch(&project, &kept))?.len();
        drop(reads);
        (0..count).map(|_| self.draw_password()).collect()
    }

    fn swap(
        &self,
        tx: &mut Transaction<'_>,
        project: &mut FoundProject,
        found: FoundBranch,
        name: Option<&BranchName>,
    ) -> Result<Swapped> {
        let pending = found.record.restored.clone().filter(|restored| restored.status == RestoreStatus::Restored);
        let Some(RestoredRecord { snapshot, target: Some(target), .. }) = pending else {
            return Err(Error::RestoreNotPending { id: found.id });
        };
        let target = project.branch(tx, &target)?;
        if target.record.protected {
            return Err(Error::BranchIsProtected { id: target.id });
        }
        let namespace = project.namespace();

        let old_name = name.cloned().unwrap_or_else(|| target.record.name.outdated(tx.instant()));
        for freed in [&found.record.name, &target.record.name] {
            project::BRANCH_NAMES.delete(tx, namespace, &name_key(freed.as_str()))?;
        }
        claim_name(tx, namespace, &old_name, &target.id)?;
        claim_name(tx, namespace, &target.record.name, &found.id)?;
        let restored = RestoredRecord { snapshot, target: Some(target.id.clone()), status: RestoreStatus::Finalized };
        let taking = BranchRecord {
            name: target.record.name.clone(),
            restored: Some(restored),
            updated_at: now(tx),
            ..found.record
        };
        let giving = BranchRecord { name: old_name, updated_at: now(tx), ..target.record };
        for (id, record) in [(&found.id, &taking), (&target.id, &giving)] {
            project::BRANCHES.put(tx, namespace, id.as_str().as_bytes(), record)?;
        }
        if project.record.default_branch == target.id {
            if taking.expiry.is_some() {
                return Err(Error::BranchExpires { id: found.id, what: "become the default" });
            }
            project.record.default_branch = found.id.clone();
            project.record.updated_at = now(tx);
            system::PROJECTS.put(tx, NamespaceId::SYSTEM, project.id.as_str().as_bytes(), &project.record)?;
        }
        let mut scheduled = HashMap::new();
        for endpoint in endpoint::of_branch(tx, project, &target.id)? {
            let open = operation::open_on(tx, namespace, &target.id, &endpoint.id)?;
            scheduled.insert(endpoint.id, open.into_iter().map(|(_, record)| record.action).collect());
        }
        let endpoints = endpoint::move_all(tx, project, &target.id, &found.id)?;
        Ok(Swapped {
            steps: steps_to_follow(&found.id, &endpoints, &scheduled),
            endpoints,
            branch: Branch::of(project, found.id, taking),
            replaced: Branch::of(project, target.id, giving),
        })
    }
}

/// What [`Catalog::swap`] did, and what is to be done for it.
struct Swapped {
    branch: Branch,
    replaced: Branch,
    endpoints: Vec<Endpoint>,
    steps: Vec<Step>,
}

/// What makes endpoints serve the branch that they came to: those that are to run are started anew. Others are suspended where they may run all the same, for
/// what is still `scheduled` for the branch that they came from is done no more.
fn steps_to_follow(
    branch: &BranchId,
    endpoints: &[Endpoint],
    scheduled: &HashMap<EndpointId, Vec<OperationAction>>,
) -> Vec<Step> {
    let steps = |endpoint: &Endpoint| {
        let open = scheduled.get(&endpoint.id).map_or(&[][..], Vec::as_slice);
        let is_switch = |action: &&OperationAction| {
            matches!(action, OperationAction::StartCompute | OperationAction::SuspendCompute)
        };
        // Also one that was suspended just now to be started anew.
        let is_being_started = open.iter().rfind(is_switch) == Some(&OperationAction::StartCompute);
        let starts = endpoint.is_to_run() || (is_being_started && !endpoint.disabled);
        let suspends = endpoint.may_run() || !open.is_empty();
        let actions = [(OperationAction::SuspendCompute, suspends), (OperationAction::StartCompute, starts)];
        let step = |action| Step { action, branch: branch.clone(), endpoint: Some(endpoint.id.clone()) };
        actions.into_iter().filter(|(_, is_needed)| *is_needed).map(|(action, _)| step(action)).collect::<Vec<_>>()
    };
    endpoints.iter().flat_map(steps).collect()
}
