use chrono::TimeDelta;
use offshoot_engine::{
    Clock, MemoryStore, Point,
    testing::{CountingStore, Counts},
};

use super::{TestResult, World, code, in_short};
use crate::{
    BranchId, BranchState, BranchUpdate, ComputeState, EndpointKind, EndpointSpec, Error, Expiry, NewBranch,
    NewRestore, RoleLogin,
};

fn from(source: &BranchId) -> NewRestore {
    NewRestore { source: source.clone(), point: Point::Head, preserve_under: None, preserve_credentials: false }
}

fn kept(restore: NewRestore, name: &str) -> Result<NewRestore, Error> {
    Ok(NewRestore { preserve_under: Some(name.parse()?), ..restore })
}

#[test]
fn a_branch_reset_from_its_parent_has_its_parents_contents_and_its_own_identity() -> TestResult {
    let world = World::new()?;
    let endpoints = vec![EndpointSpec::new(EndpointKind::ReadWrite)];
    let new = NewBranch { name: Some("dev".parse()?), endpoints, ..NewBranch::default() };
    let created = world.catalog.branch_create(&world.caller, &world.project, new)?;
    let dev = created.branch.id;
    world.settle(ComputeState::Active)?;
    world.create_role(&dev, "of_dev")?;
    world.create_role(&world.main, "of_main")?;
    world.settle(ComputeState::Active)?;
    world.pass();

    let reset = world.restore(&dev, &from(&world.main))?;
    assert!(reset.backup.is_none() && reset.passwords.is_empty());
    let expected = [
        "suspend_compute running",
        "create_branch scheduling",
        "delete_timeline scheduling",
        "start_compute scheduling",
    ];
    assert_eq!(in_short(&reset.operations), expected);
    let branch = reset.branch;
    assert_eq!((&branch.id, branch.name.as_str(), branch.created_at), (&dev, "dev", created.branch.created_at));
    assert_eq!((branch.state, branch.pending_state), (BranchState::Resetting, Some(BranchState::Ready)));
    assert_eq!(branch.last_reset_at, Some(branch.updated_at));
    let parent = branch.parent.as_ref().ok_or("no parent")?;
    assert!(parent.id == world.main && parent.lsn > created.branch.parent.ok_or("no parent")?.lsn);
    assert_eq!(world.role_names(&dev)?, ["casey", "web_access", "of_main"]);
    let listed = world.catalog.endpoint_list_of_branch(&world.caller, &world.project, &dev)?;
    assert_eq!(listed[0].id, created.endpoints[0].id);
    world.settle(ComputeState::Active)?;
    assert_eq!(world.branch(&dev)?.state, BranchState::Ready);
    assert_eq!(world.catalog.branch_list(&world.caller, &world.project)?.len(), 2);
    Ok(())
}

#[test]
fn a_branch_restored_to_its_past_leaves_what_it_was_as_its_parent_with_its_children() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "early")?;
    let past = world.pass();
    world.create_role(&world.main, "late")?;
    let child = world.fork(&world.main, Point::Head)?.id;
    let restore = kept(NewRestore { point: Point::Time(past), ..from(&world.main) }, "main_old")?;
    let restored = world.restore(&world.main, &restore)?;
    let backup = restored.backup.ok_or("no backup")?;
    assert_eq!(backup.name.as_str(), "main_old");
    assert_eq!(backup.parent, None);
    let parent = restored.branch.parent.as_ref().ok_or("no parent")?;
    assert_eq!((&parent.id, parent.time), (&backup.id, past));
    assert!(restored.branch.default && !backup.default);
    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "early"]);
    assert_eq!(world.role_names(&backup.id)?, ["casey", "web_access", "early", "late"]);
    assert_eq!(world.branch(&child)?.parent.map(|parent| parent.id), Some(backup.id.clone()));
    assert_eq!(world.branch(&backup.id)?, backup);

    // All of it goes on as branches do.
    world.create_role(&world.main, "new")?;
    world.create_role(&backup.id, "newer")?;
    let of_backup = world.fork(&backup.id, Point::Time(past))?.id;
    assert_eq!(world.role_names(&of_backup)?, ["casey", "web_access", "early"]);
    let has_children = world.catalog.branch_delete(&world.caller, &world.project, &backup.id);
    assert_eq!(code(has_children), "BRANCH_HAS_CHILDREN");
    Ok(())
}

#[test]
fn a_name_to_keep_the_old_state_under_is_asked_for_where_it_is_needed() -> TestResult {
    let world = World::new()?;
    let past = world.pass();
    let (branch, other) = (world.fork(&world.main, Point::Head)?.id, world.fork(&world.main, Point::Head)?.id);
    let restore = |target: &BranchId, restore: NewRestore| code(world.restore(target, &restore));
    assert_eq!(restore(&branch, from(&branch)), "RESTORE_POINT_REQUIRED");
    assert_eq!(restore(&branch, kept(from(&branch), "old")?), "RESTORE_POINT_REQUIRED");
    let at_past = NewRestore { point: Point::Time(past), ..from(&world.main) };
    assert_eq!(restore(&world.main, at_past.clone()), "PRESERVE_NAME_REQUIRED");
    assert_eq!(restore(&world.main, from(&other)), "PRESERVE_NAME_REQUIRED", "it has children");
    assert_eq!(restore(&branch, kept(from(&world.main), "main")?), "BRANCH_ALREADY_EXISTS");
    assert_eq!(restore(&branch, from(&"br-no-such-00000000".parse()?)), "BRANCH_NOT_FOUND");
    world.protect(&branch, true)?;
    assert_eq!(restore(&branch, from(&world.main)), "BRANCH_IS_PROTECTED");
    world.protect(&branch, false)?;
    let far = NewRestore { point: Point::Time(past - TimeDelta::days(9)), ..from(&world.main) };
    assert_eq!(restore(&branch, far), "POINT_OUTSIDE_HISTORY");
    assert_eq!(world.catalog.branch_list(&world.caller, &world.project)?.len(), 3);
    // Of a sibling it becomes the child.
    assert_eq!(restore(&branch, from(&other)), "OK");
    assert_eq!(world.branch(&branch)?.parent.map(|parent| parent.id), Some(other.clone()));
    assert_eq!(code(world.catalog.branch_delete(&world.caller, &world.project, &other)), "BRANCH_HAS_CHILDREN");
    Ok(())
}

#[test]
fn users_keep_their_passwords_where_that_is_asked_for() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    world.reset(&branch, "sally")?;
    let today = world.reveal(&branch, "sally")?;
    world.create_role(&world.main, "bob")?;
    let restore = NewRestore { preserve_credentials: true, ..from(&world.main) };
    world.restore(&branch, &restore)?;
    assert_eq!(world.reveal(&branch, "sally")?, today);
    assert_ne!(world.reveal(&world.main, "sally")?, today);
    assert_eq!(world.role(&branch, "bob")?.verifier, world.role(&world.main, "bob")?.verifier);
    // Without it, the parent's are taken.
    world.restore(&branch, &from(&world.main))?;
    assert_eq!(world.reveal(&branch, "sally")?, world.reveal(&world.main, "sally")?);
    Ok(())
}

#[test]
fn a_child_of_a_protected_branch_keeps_its_passwords_when_it_is_reset() -> TestResult {
    let world = World::new()?;
    world.protect(&world.main, true)?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let own = world.reveal(&branch, "casey")?;
    world.create_role(&world.main, "bob")?;
    let nobody = "nobody".parse()?;
    world.catalog.role_create(&world.caller, &world.project, &world.main, nobody, RoleLogin::NoLogin)?;
    let reset = world.restore(&branch, &from(&world.main))?;
    assert_eq!(world.reveal(&branch, "casey")?, own);
    assert_eq!(reset.passwords.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bob"]);
    assert_ne!(world.reveal(&branch, "bob")?, world.reveal(&world.main, "bob")?);
    Ok(())
}

#[test]
fn a_reset_begins_the_time_to_live_again() -> TestResult {
    let world = World::new()?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let expiry = Expiry(world.clock.now() + TimeDelta::seconds(100));
    world.update(&branch, BranchUpdate { expiry: Some(Some(expiry)), ..BranchUpdate::default() })?;
    world.clock.advance(TimeDelta::seconds(60));
    let reset = world.restore(&branch, &kept(from(&world.main), "old")?)?;
    assert_eq!(reset.branch.ttl_seconds, Some(100));
    assert_eq!(reset.backup.ok_or("none")?.expires_at, None);
    world.clock.advance(TimeDelta::seconds(60));
    assert!(world.catalog.expire(10)?.branches.is_empty());
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!(world.catalog.expire(10)?.branches.len(), 1);
    Ok(())
}

#[test]
fn restoring_costs_the_same_with_10_and_with_3_000_roles() -> TestResult {
    let costs = |roles: usize| -> Result<_, Box<dyn std::error::Error>> {
        let store = CountingStore::new(MemoryStore::new());
        let world = World::over(store.clone())?;
        super::structure::add_roles(&world, roles)?;
        let branch = world.fork(&world.main, Point::Head)?.id;
        world.catalog.engine().forget_cached();
        store.reset();
        world.restore(&branch, &kept(from(&world.main), "old")?)?;
        let Counts { gets, ranges, entries, puts, deletes, commits, .. } = store.reset();
        assert_eq!(world.roles(&branch)?.len(), roles + 2);
        Ok((gets, ranges, entries, puts, deletes, commits))
    };
    assert_eq!(costs(10)?, costs(3_000)?);
    Ok(())
}
