//! What an operation costs, told by what it asks of the store.

use offshoot_engine::{
    MemoryStore, Point,
    testing::{CountingStore, Counts},
};

use super::{TestResult, World};
use crate::{
    Error, NewBranch,
    catalog::{FoundBranch, now},
    codec::RoleRecord,
    tables::branch as entries,
};

/// A catalog whose main branch has this many roles besides the first two.
fn with_roles(count: usize) -> Result<(World, CountingStore<MemoryStore>), Error> {
    let store = CountingStore::new(MemoryStore::new());
    let world = World::over(store.clone())?;
    add_roles(&world, count)?;
    // The engine takes ids in blocks: let the first be taken before anything is counted.
    world.fork(&world.main, Point::Head)?;
    Ok((world, store))
}

/// Gives the main branch of a world this many roles more.
pub(super) fn add_roles(world: &World, count: usize) -> Result<(), Error> {
    world.catalog.commit(|tx| {
        let (_, branch) = FoundBranch::find(tx, &world.caller, &world.project, &world.main)?;
        let like = entries::ROLES.get(tx, branch.engine, b"casey")?.ok_or(Error::Unauthorized)?;
        (0..count).try_for_each(|number| {
            let record = RoleRecord { created_at: now(tx), ..like.clone() };
            entries::ROLES.put(tx, branch.engine, format!("role_{number:06}").as_bytes(), &record)
        })
    })
}

/// What `work` asks of the store while nothing is cached.
fn counted<T>(world: &World, store: &CountingStore<MemoryStore>, work: impl FnOnce() -> T) -> (T, Counts) {
    world.catalog.engine().forget_cached();
    store.reset();
    let done = work();
    (done, store.reset())
}

#[test]
fn branching_costs_the_same_with_10_and_with_10_000_roles() -> TestResult {
    let costs = |roles| -> Result<_, Box<dyn std::error::Error>> {
        let (world, store) = with_roles(roles)?;
        let new = NewBranch::default();
        let (created, counts) =
            counted(&world, &store, || world.catalog.branch_create(&world.caller, &world.project, new));
        let child = created?.branch.id;
        assert_eq!(world.roles(&child)?.len(), roles + 2);
        Ok(counts)
    };
    let (few, many) = (costs(10)?, costs(10_000)?);
    let work =
        |counts: &Counts| (counts.gets, counts.ranges, counts.entries, counts.puts, counts.deletes, counts.commits);
    assert_eq!(work(&few), work(&many));
    // Node or inline map, a root's size is bounded, so what is read is too.
    assert!(many.bytes_read <= few.bytes_read + 16 * 1024, "{many:?}");
    // Numbers of branches are greater where more nodes were numbered before them, and take a byte or two more.
    assert!(many.bytes_written.abs_diff(few.bytes_written) <= 16, "{few:?} {many:?}");
    Ok(())
}

#[test]
fn branching_in_the_past_costs_the_same_with_10_and_with_10_000_roles() -> TestResult {
    let costs = |roles| -> Result<_, Box<dyn std::error::Error>> {
        let (world, store) = with_roles(roles)?;
        let past = world.pass();
        world.create_role(&world.main, "later")?;
        let (created, counts) = counted(&world, &store, || world.fork(&world.main, Point::Time(past)));
        assert_eq!(world.roles(&created?.id)?.len(), roles + 2);
        Ok((counts.gets, counts.ranges, counts.entries, counts.puts, counts.deletes, counts.commits))
    };
    assert_eq!(costs(10)?, costs(10_000)?);
    Ok(())
}

#[test]
fn reading_a_role_costs_the_same_at_every_depth() -> TestResult {
    let (world, store) = with_roles(10)?;
    let mut branch = world.main.clone();
    let (found, on_root) = counted(&world, &store, || world.role(&branch, "role_000003"));
    found?;
    for _ in 0..200 {
        branch = world.fork(&branch, Point::Head)?.id;
    }
    let (found, at_depth) = counted(&world, &store, || world.role(&branch, "role_000003"));
    found?;
    assert_eq!((on_root.gets, on_root.ranges, on_root.entries), (at_depth.gets, at_depth.ranges, at_depth.entries));
    Ok(())
}
