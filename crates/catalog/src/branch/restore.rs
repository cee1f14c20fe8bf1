//! How a branch gets the contents of another point: restoring, and resetting, which is restoring from the parent.
//!
//! The branch keeps its id, its name and its endpoints, and continues as a fork of the point. What it was lives on under
//! another name and id, with the children, or is dropped. Nothing is copied: it costs the same whatever the branches
//! hold, and a little for each child.

use std::collections::HashSet;

use chrono::SubsecRound;
use offshoot_engine::{BranchId as EngineBranch, Point, Transaction};
use secrecy::SecretString;

use super::{Branch, BranchState, create::new_record, fork, outside, parent_record, put_new};
use crate::{
    account,
    catalog::{Caller, Catalog, FoundBranch, FoundProject, now},
    codec::{BranchIdRecord, BranchRecord, ExpiryRecord, ParentRecord, RoleRecord, Time},
    endpoint::{self, Endpoint},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::{BranchName, RoleName},
    operation::{self, Operation, OperationAction, Step},
    password::NewPassword,
    role::{self, RoleLogin},
    tables::{branch as entries, pair, project},
};

/// What a branch is to be restored to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRestore {
    /// The branch whose contents it gets; its own, or its parent's, which resets it.
    pub source: BranchId,
    /// The point of the source's history.
    pub point: Point,
    /// The name of the branch under which its present contents live on. Without one they are dropped, where nothing
    /// needs them.
    pub preserve_under: Option<BranchName>,
    /// Whether roles that it has now keep the passwords that they have now.
    pub preserve_credentials: bool,
}

/// What restoring a branch brought.
#[derive(Clone, Debug)]
pub struct BranchReset {
    /// The branch.
    pub branch: Branch,
    /// The branch that its former contents are on, if they were to be kept. It is the branch's parent now.
    pub backup: Option<Branch>,
    /// The new passwords of roles that the branch didn't have before, where the source is protected. They are told here
    /// only.
    pub passwords: Vec<(RoleName, SecretString)>,
    /// What will make its storage anew, and restart its endpoints.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// Gives a branch the roles and databases of another point: of another branch, or of its own past.
    ///
    /// Where the source is protected, as with `preserve_credentials`, the roles that the branch has now keep their
    /// passwords; roles that it doesn't have get new ones where the source is protected.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`]; [`Error::BranchNotFound`], also for the source; [`Error::BranchIsProtected`];
    /// [`Error::RestorePointRequired`] for its own head; [`Error::PreserveNameRequired`] where it has children or is its
    /// own source; [`Error::BranchAlreadyExists`] for the name; [`Error::BranchExpires`] where it would become a child
    /// of a source that expires; [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`].
    pub fn branch_restore(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        restore: &NewRestore,
    ) -> Result<BranchReset> {
        let drawn = self.draw_for_restore(caller, project, branch, restore)?;
        self.commit_as(caller, "branch_restore", branch.as_str(), |tx| {
            let (project, target) = FoundBranch::find(tx, caller, project, branch)?;
            let source = project.branch(tx, &restore.source)?;
            check_restorable(tx, &project, &target, &source, restore)?;
            let forked = fork(tx, source.engine, &source.id, restore.point)?;
            let credentials = Credentials {
                kept_from: (restore.preserve_credentials || source.record.protected).then_some(target.engine),
                renews: source.record.protected,
                drawn: &drawn,
            };
            let passwords = self.restore_credentials(tx, &project, forked.branch, credentials)?;

            let mut record = reset_record(tx, &target.record, forked.branch);
            let backup = match &restore.preserve_under {
                Some(name) => {
                    let (id, backup) = self.preserve(tx, &project, &target, name)?;
                    let parent = match source.id == target.id {
                        true => parent_record(&id, &forked),
                        false => head_of(tx, &id, target.engine)?,
                    };
                    record.parent = Some(parent);
                    Some(Branch::of(&project, id, backup))
                }
                None => {
                    record.parent = Some(parent_record(&source.id, &forked));
                    tx.delete_branch(target.engine)?;
                    None
                }
            };
            move_to_parent(tx, &project, &target.id, target.record.parent.as_ref(), record.parent.as_ref())?;
            self.branch_put(tx, &project, &target, record.clone())?;

            let endpoints = endpoint::of_branch(tx, &project, &target.id)?;
            let steps = steps_to_restore(&target.id, &endpoints, backup.is_some());
            let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(BranchReset { branch: Branch::of(&project, target.id, record), backup, passwords, operations })
        })
    }

    /// As many new passwords as may be needed.
    fn draw_for_restore(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        restore: &NewRestore,
    ) -> Result<Vec<NewPassword>> {
        let mut reads = self.snapshot()?;
        let (project, target) = FoundBranch::find(&mut reads, caller, project, branch)?;
        let source = project.branch(&mut reads, &restore.source)?;
        if !source.record.protected {
            return Ok(Vec::new());
        }
        let has: HashSet<_> =
            role::with_passwords(&mut reads, target.engine)?.into_iter().map(|(name, _)| name).collect();
        drop(reads);
        let version = self.version(source.engine, restore.point).map_err(|error| outside(&source.id, error))?;
        let comes = role::with_passwords_of(&version)?;
        let new = comes.iter().filter(|name| !has.contains(name));
        new.map(|_| self.draw_password()).collect()
    }

    /// Lets what a branch is now live on as another branch, with its children.
    fn preserve(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        target: &FoundBranch,
        name: &BranchName,
    ) -> Result<(BranchId, BranchRecord)> {
        let id = self.branch_draw(tx, project.namespace())?;
        let created_by = account::name_of(tx, project.record.account)?;
        let backup = BranchRecord {
            init_source: target.record.init_source,
            restored: target.record.restored.clone(),
            state: target.record.state,
            ..new_record(tx, target.engine, name.clone(), target.record.parent.clone(), created_by)
        };
        put_new(tx, project, &id, &backup)?;
        for (_, BranchIdRecord { branch }) in
            project::BRANCH_CHILDREN.all(tx, project.namespace(), &pair(target.id.as_str(), ""))?
        {
            let child = project.branch(tx, &branch)?;
            let before = child.record.parent.clone();
            let parent = before.clone().map(|parent| ParentRecord { id: id.clone(), ..parent });
            move_to_parent(tx, project, &branch, before.as_ref(), parent.as_ref())?;
            let record = BranchRecord { parent, updated_at: now(tx), ..child.record };
            project::BRANCHES.put(tx, project.namespace(), branch.as_str().as_bytes(), &record)?;
        }
        Ok((id, backup))
    }

    /// Gives the roles of a branch that was just forked the passwords that they are to have.
    pub(crate) fn restore_credentials(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        branch: EngineBranch,
        credentials: Credentials<'_>,
    ) -> Result<Vec<(RoleName, SecretString)>> {
        let Credentials { kept_from, renews, drawn } = credentials;
        if kept_from.is_none() && !renews {
            return Ok(Vec::new());
        }
        let (mut drawn, mut passwords) = (drawn.iter(), Vec::new());
        let data_key = if renews { self.data_key(tx, project)? } else { None };
        for (name, record) in role::with_passwords(tx, branch)? {
            let key = name.as_str().as_bytes();
            let held = match kept_from {
                Some(held) => entries::ROLES.get(tx, held, key)?,
                None => None,
            };
            let record = match held.filter(|held| held.login == RoleLogin::Password) {
                Some(held) if held.verifier == record.verifier => continue,
                Some(held) => {
                    RoleRecord { verifier: held.verifier, sealed: held.sealed, updated_at: now(tx), ..record }
                }
                None if renews => {
                    let more;
                    let new = match drawn.next() {
                        Some(new) => new,
                        None => {
                            more = self.draw_password()?;
                            &more
                        }
                    };
                    let kept = self.keep_with(data_key.as_ref(), project, &name, new)?;
                    passwords.push((name.clone(), new.password.clone()));
                    role::with_password(tx, record, kept)
                }
                None => continue,
            };
            entries::ROLES.put(tx, branch, key, &record)?;
        }
        Ok(passwords)
    }
}

/// Which passwords the roles of a branch that was just forked are to have, unless those that they come with.
pub(crate) struct Credentials<'a> {
    /// The branch whose roles' passwords the roles of the same names get.
    pub(crate) kept_from: Option<EngineBranch>,
    /// Whether the other roles get new ones.
    pub(crate) renews: bool,
    /// New ones that were drawn before the transaction; should more be needed, more are drawn.
    pub(crate) drawn: &'a [NewPassword],
}

fn check_restorable(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    target: &FoundBranch,
    source: &FoundBranch,
    restore: &NewRestore,
) -> Result<()> {
    let id = target.id.clone();
    if target.record.protected {
        return Err(Error::BranchIsProtected { id });
    }
    let is_its_own = source.id == target.id;
    if is_its_own && restore.point == Point::Head {
        return Err(Error::RestorePointRequired { id });
    }
    if restore.preserve_under.is_some() {
        return Ok(());
    }
    if is_its_own {
        return Err(Error::PreserveNameRequired { id, because: "is to be restored from itself" });
    }
    if project::BRANCH_CHILDREN.first(tx, project.namespace(), &pair(id.as_str(), ""))?.is_some() {
        return Err(Error::PreserveNameRequired { id, because: "has children" });
    }
    if source.record.expiry.is_some() {
        return Err(Error::BranchExpires { id: source.id.clone(), what: "have children" });
    }
    Ok(())
}

/// The record of a branch that continues on another branch of the engine.
fn reset_record(tx: &Transaction<'_>, record: &BranchRecord, branch: EngineBranch) -> BranchRecord {
    let lives_on = |expiry: &ExpiryRecord| {
        let at = tx.instant().trunc_subsecs(0) + chrono::TimeDelta::seconds(expiry.ttl_seconds.into());
        ExpiryRecord { at: Time(at), ttl_seconds: expiry.ttl_seconds }
    };
    BranchRecord {
        number: branch.number(),
        state: BranchState::Resetting,
        state_changed_at: now(tx),
        updated_at: now(tx),
        expiry: record.expiry.as_ref().map(lives_on),
        last_reset_at: Some(now(tx)),
        restored: None,
        ..record.clone()
    }
}

/// The newest point of a branch, as that at which another one left it.
fn head_of(tx: &mut Transaction<'_>, id: &BranchId, branch: EngineBranch) -> Result<ParentRecord> {
    let info = tx.branch(branch)?;
    Ok(ParentRecord { id: id.clone(), lsn: info.head_lsn.get(), time: Time(info.head_time) })
}

/// Makes a branch be found among the children of another parent.
fn move_to_parent(
    tx: &mut Transaction<'_>,
    project: &FoundProject,
    id: &BranchId,
    before: Option<&ParentRecord>,
    after: Option<&ParentRecord>,
) -> Result<()> {
    let key = |parent: &ParentRecord| pair(parent.id.as_str(), id.as_str());
    if let Some(before) = before {
        project::BRANCH_CHILDREN.delete(tx, project.namespace(), &key(before))?;
    }
    if let Some(after) = after {
        let found = BranchIdRecord { branch: id.clone() };
        project::BRANCH_CHILDREN.put(tx, project.namespace(), &key(after), &found)?;
    }
    Ok(())
}

/// Restoring suspends the endpoints that may be running, makes the storage anew, removes the old one if it is not kept,
/// and starts the endpoints again.
fn steps_to_restore(branch: &BranchId, endpoints: &[Endpoint], is_preserved: bool) -> Vec<Step> {
    let on = |action, endpoint: Option<&Endpoint>| Step {
        action,
        branch: branch.clone(),
        endpoint: endpoint.map(|endpoint| endpoint.id.clone()),
    };
    let may_run = endpoints.iter().filter(|endpoint| endpoint.may_run());
    let suspends = may_run.map(|endpoint| on(OperationAction::SuspendCompute, Some(endpoint)));
    let removes = (!is_preserved).then(|| on(OperationAction::DeleteTimeline, None));
    let to_run = endpoints.iter().filter(|endpoint| endpoint.is_to_run());
    let starts = to_run.map(|endpoint| on(OperationAction::StartCompute, Some(endpoint)));
    suspends.chain([on(OperationAction::CreateBranch, None)]).chain(removes).chain(starts).collect()
}
