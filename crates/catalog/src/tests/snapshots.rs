use chrono::TimeDelta;
use offshoot_engine::{Clock, Point};
use secrecy::ExposeSecret;

use super::{TestResult, World, code, in_short};
use crate::{
    BranchId, ComputeState, Error, NewSnapshot, RestoreStatus, Snapshot, SnapshotId, SnapshotRestore, SnapshotRestored,
};

fn take(world: &World, branch: &BranchId, new: NewSnapshot) -> Result<Snapshot, Error> {
    world.catalog.snapshot_create(&world.caller, &world.project, branch, new)
}

fn restore(world: &World, id: &SnapshotId, restore: &SnapshotRestore) -> Result<SnapshotRestored, Error> {
    world.catalog.snapshot_restore(&world.caller, &world.project, id, restore)
}

#[test]
fn a_snapshot_outlives_what_it_was_taken_of() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let branch = world.fork(&world.main, Point::Head)?.id;
    world.create_role(&branch, "early")?;
    let past = world.pass();
    world.create_role(&branch, "late")?;
    let now = take(&world, &branch, NewSnapshot { name: Some("now".parse()?), ..NewSnapshot::default() })?;
    let then = take(&world, &branch, NewSnapshot { point: Point::Time(past), ..NewSnapshot::default() })?;
    assert_eq!(then.name.as_str(), then.id.as_str());
    assert!(then.time == past && then.lsn < now.lsn);
    assert_eq!(world.catalog.snapshot_list(caller, project)?, [now.clone(), then.clone()]);
    assert_eq!(world.catalog.branch_list(caller, project)?.len(), 2, "a snapshot is no branch");
    world.catalog.branch_delete(caller, project, &branch)?;

    let restored = restore(&world, &then.id, &SnapshotRestore::default())?;
    assert_eq!(in_short(&restored.operations), ["create_branch running"]);
    assert_eq!(restored.branch.parent, None);
    assert_eq!(restored.branch.restored.as_ref().map(|of| (&of.snapshot, &of.target)), Some((&then.id, &None)));
    assert_eq!(world.role_names(&restored.branch.id)?, ["casey", "web_access", "early"]);
    assert_eq!(world.catalog.snapshot_delete(caller, project, &now.id)?, Some(now.clone()));
    assert_eq!(world.catalog.snapshot_delete(caller, project, &now.id)?, None);
    assert_eq!(code(restore(&world, &now.id, &SnapshotRestore::default())), "SNAPSHOT_NOT_FOUND");
    // A branch that was made of a snapshot doesn't need it any more.
    world.catalog.snapshot_delete(caller, project, &then.id)?;
    assert_eq!(world.role_names(&restored.branch.id)?, ["casey", "web_access", "early"]);
    Ok(())
}

#[test]
fn a_snapshot_has_a_name_and_may_have_an_end() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let soon = world.clock.now() + TimeDelta::seconds(90);
    let taken = take(&world, &world.main, NewSnapshot { expires_at: Some(soon), ..NewSnapshot::default() })?;
    let renamed = world.catalog.snapshot_update(caller, project, &taken.id, Some("release".parse()?))?;
    assert_eq!(world.catalog.snapshot_get(caller, project, &taken.id)?, renamed);
    assert_eq!((renamed.name.as_str(), renamed.expires_at), ("release", Some(soon)));
    let past = NewSnapshot { expires_at: Some(world.clock.now()), ..NewSnapshot::default() };
    assert_eq!(code(take(&world, &world.main, past)), "EXPIRY_INVALID");
    let far = NewSnapshot { point: Point::Time(soon), ..NewSnapshot::default() };
    assert_eq!(code(take(&world, &world.main, far)), "POINT_OUTSIDE_HISTORY");
    world.clock.advance(TimeDelta::seconds(90));
    assert_eq!(world.catalog.expire(10)?.snapshots, [(project.clone(), taken.id)]);
    Ok(())
}

#[test]
fn a_restored_branch_can_be_looked_at_before_it_takes_the_others_place() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let taken = take(&world, &world.main, NewSnapshot::default())?;
    world.settle(ComputeState::Active)?;
    world.create_role(&world.main, "later")?;
    let child = world.fork(&world.main, Point::Head)?.id;
    world.settle(ComputeState::Active)?;
    let restored = restore(&world, &taken.id, &SnapshotRestore { name: Some("look".parse()?), ..Default::default() })?;
    let new = restored.branch.id;
    assert_eq!(restored.branch.restored.map(|of| of.status), Some(RestoreStatus::Restored));
    assert!(restored.endpoints.is_empty() && restored.replaced.is_none());
    assert_eq!(world.role_names(&new)?, ["casey", "web_access"]);
    world.settle(ComputeState::Active)?;

    let endpoint = world.catalog.endpoint_list(caller, project)?[0].id.clone();
    let name = "main_before".parse()?;
    let done = world.catalog.branch_finalize_restore(caller, project, &new, Some(&name))?;
    assert_eq!((done.branch.name.as_str(), done.branch.default), ("main", true));
    assert_eq!((done.replaced.name.as_str(), done.replaced.default), ("main_before", false));
    assert_eq!((&done.replaced.id, &done.branch.id), (&world.main, &new));
    assert_eq!(done.branch.restored.as_ref().map(|of| of.status), Some(RestoreStatus::Finalized));
    assert_eq!(in_short(&done.operations), ["suspend_compute running", "start_compute scheduling"]);
    let moved = world.catalog.endpoint_get(caller, project, &endpoint)?;
    assert_eq!((moved.id, moved.branch), (endpoint, new.clone()));
    assert!(world.catalog.endpoint_list_of_branch(caller, project, &world.main)?.is_empty());
    assert_eq!(world.branch(&child)?.parent.map(|parent| parent.id), Some(world.main.clone()));
    world.settle(ComputeState::Active)?;
    let again = world.catalog.branch_finalize_restore(caller, project, &new, None);
    assert_eq!(code(again), "RESTORE_NOT_PENDING");
    assert_eq!(code(world.catalog.branch_finalize_restore(caller, project, &child, None)), "RESTORE_NOT_PENDING");
    Ok(())
}

#[test]
fn a_snapshot_can_take_a_branchs_place_at_once() -> TestResult {
    let world = World::new()?;
    let taken = take(&world, &world.main, NewSnapshot::default())?;
    let before = world.reveal(&world.main, "casey")?;
    world.reset(&world.main, "casey")?;
    let today = world.reveal(&world.main, "casey")?;
    let at_once = SnapshotRestore { finalize: true, ..SnapshotRestore::default() };
    world.protect(&world.main, true)?;
    assert_eq!(code(restore(&world, &taken.id, &at_once)), "BRANCH_IS_PROTECTED");
    world.protect(&world.main, false)?;
    let restored = restore(&world, &taken.id, &SnapshotRestore { preserve_credentials: true, ..at_once.clone() })?;
    let replaced = restored.replaced.ok_or("none")?;
    assert!(replaced.name.as_str().starts_with("main_old_20"), "{}", replaced.name);
    assert_eq!((restored.branch.name.as_str(), restored.branch.default), ("main", true));
    assert_eq!(world.reveal(&restored.branch.id, "casey")?, today);
    let actions = ["create_branch running", "suspend_compute scheduling", "start_compute scheduling"];
    assert_eq!(in_short(&restored.operations), actions);
    world.settle(ComputeState::Active)?;
    // Without being asked to, it takes the passwords of its time.
    let target = Some(restored.branch.id);
    let restored = restore(&world, &taken.id, &SnapshotRestore { target, ..at_once })?;
    assert_eq!(world.reveal(&restored.branch.id, "casey")?, before);
    Ok(())
}

#[test]
fn a_branch_of_a_protected_branchs_snapshot_has_passwords_of_its_own() -> TestResult {
    let world = World::new()?;
    let taken = take(&world, &world.main, NewSnapshot::default())?;
    world.protect(&world.main, true)?;
    let target = Some(world.fork(&world.main, Point::Head)?.id);
    let of_main = world.reveal(&world.main, "casey")?;
    let restored = restore(&world, &taken.id, &SnapshotRestore { target: target.clone(), ..Default::default() })?;
    assert!(restored.passwords.is_empty());
    let of_target = world.reveal(&target.ok_or("none")?, "casey")?;
    assert_ne!(of_target, of_main);
    assert_eq!(world.reveal(&restored.branch.id, "casey")?, of_target);
    // The snapshot's own branch is the target where none is named.
    let restored = restore(&world, &taken.id, &SnapshotRestore::default())?;
    let [(name, password)] = &restored.passwords[..] else { return Err("one new password".into()) };
    assert_eq!(name.as_str(), "casey");
    assert_eq!(world.reveal(&restored.branch.id, "casey")?, password.expose_secret());
    assert_ne!(world.reveal(&restored.branch.id, "casey")?, of_main);
    let preserved = SnapshotRestore { preserve_credentials: true, ..SnapshotRestore::default() };
    let preserved = restore(&world, &taken.id, &preserved)?;
    assert_eq!(world.reveal(&preserved.branch.id, "casey")?, of_main, "it was asked for");
    Ok(())
}

#[test]
fn a_snapshot_whose_branch_is_gone_takes_no_place_unless_one_is_named() -> TestResult {
    let world = World::new()?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let taken = take(&world, &branch, NewSnapshot::default())?;
    world.catalog.branch_delete_for_good(&world.caller, &world.project, &branch)?;
    let at_once = SnapshotRestore { finalize: true, ..SnapshotRestore::default() };
    assert_eq!(code(restore(&world, &taken.id, &at_once)), "BRANCH_NOT_FOUND");
    let at_once = SnapshotRestore { target: Some(world.main.clone()), ..at_once };
    assert_eq!(restore(&world, &taken.id, &at_once)?.branch.name.as_str(), "main");
    Ok(())
}
