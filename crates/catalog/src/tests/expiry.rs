use std::time::Duration;

use chrono::TimeDelta;
use offshoot_engine::{Clock, MemoryStore, Point};

use super::{TestResult, World, code};
use crate::{BranchId, BranchUpdate, Error, Expired, Expiry, NewSnapshot};

fn expire_in(world: &World, branch: &BranchId, seconds: i64) -> Result<(), Error> {
    let expiry = Expiry(world.clock.now() + TimeDelta::seconds(seconds));
    world.update(branch, BranchUpdate { expiry: Some(Some(expiry)), ..BranchUpdate::default() })?;
    Ok(())
}

/// How many branches and snapshots went.
fn left(expired: &Expired) -> usize {
    expired.branches.len() + expired.snapshots.len() + expired.removed_branches.len()
}

#[test]
fn branches_go_when_their_time_has_come_and_not_before() -> TestResult {
    let world = World::new()?;
    let fork = || world.fork(&world.main, Point::Head);
    let (early, late, kept) = (fork()?.id, fork()?.id, fork()?.id);
    expire_in(&world, &late, 200)?;
    expire_in(&world, &early, 100)?;
    expire_in(&world, &kept, 100)?;
    world.update(&kept, BranchUpdate { expiry: Some(None), ..BranchUpdate::default() })?;
    let quiet = world.catalog.expire(10)?;
    assert_eq!((quiet.branches, quiet.next), (vec![], Some(Duration::from_secs(100))));

    world.clock.advance(TimeDelta::seconds(100));
    let gone = world.catalog.expire(10)?;
    assert_eq!(gone.branches, [(world.project.clone(), early.clone())]);
    assert_eq!(gone.next, Some(Duration::from_secs(100)));
    assert_eq!(code(world.branch(&early)), "BRANCH_NOT_FOUND");
    world.branch(&late)?;
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(world.catalog.expire(10)?.branches, [(world.project.clone(), late)]);
    assert_eq!(left(&world.catalog.expire(10)?), 0);
    world.branch(&kept)?;
    Ok(())
}

#[test]
fn what_became_due_while_nothing_ran_goes_at_the_next_start() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let branches: Vec<_> = (0..3).map(|_| world.fork(&world.main, Point::Head)).collect::<Result<_, _>>()?;
    branches.iter().try_for_each(|branch| expire_in(&world, &branch.id, 60))?;
    let snapshot =
        NewSnapshot { expires_at: Some(world.clock.now() + TimeDelta::seconds(60)), ..NewSnapshot::default() };
    world.catalog.snapshot_create(&world.caller, &world.project, &world.main, snapshot)?;
    world.clock.advance(TimeDelta::days(2));
    let world = world.reopen(|| Ok::<_, offshoot_engine::StoreError>(store.clone()), 2)?;
    // In as many steps as it takes.
    let first = world.catalog.expire(2)?;
    assert_eq!((first.branches.len(), first.snapshots.len(), first.next), (2, 1, Some(Duration::ZERO)));
    assert_eq!(world.catalog.expire(2)?.branches.len(), 1);
    assert_eq!(left(&world.catalog.expire(2)?), 0);
    assert_eq!(world.catalog.branch_list(&world.caller, &world.project)?.len(), 1);
    assert!(world.catalog.snapshot_list(&world.caller, &world.project)?.is_empty());
    Ok(())
}

#[test]
fn what_is_deleted_before_its_time_leaves_nothing_to_expire() -> TestResult {
    let world = World::new()?;
    let deleted = world.fork(&world.main, Point::Head)?.id;
    expire_in(&world, &deleted, 60)?;
    world.catalog.branch_delete_for_good(&world.caller, &world.project, &deleted)?;
    assert_eq!(world.catalog.expire(10)?, Expired::default());
    let of_project = world.fork(&world.main, Point::Head)?.id;
    expire_in(&world, &of_project, 60)?;
    let snapshot =
        NewSnapshot { expires_at: Some(world.clock.now() + TimeDelta::seconds(60)), ..NewSnapshot::default() };
    world.catalog.snapshot_create(&world.caller, &world.project, &world.main, snapshot)?;
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    assert_eq!(world.catalog.expire(10)?, Expired::default());
    Ok(())
}
