//! A branch of 100,000 roles.

use offshoot_engine::{
    MemoryStore, Point,
    testing::{CountingStore, Counts},
};

use super::{TestResult, World};
use crate::{
    BranchUpdate, ComputeState, Error, NewBranch, NewRestore, NewSnapshot, RoleSearch, ServerRole, SnapshotRestore,
};

const ROLES: usize = 100_000;

/// A verifier of some password; what it is of does not matter.
const VERIFIER: &str = "SCRAM-SHA-256$4096:BwcHBwcHBwcHBwcHBwcHBw==$K97YndbuHX05fl7lN8Bcm3g4gnc43WvYj0OL1dbknsk=:tvVS2vfOxKAzPZ5DC4h+cucyZSS7rNC2MQ2ZJzmzu6s=";

fn name(number: usize) -> String {
    format!("role {number:06}")
}

/// A world whose main branch has taken over this many roles from its server, in one commit.
fn with_roles(roles: usize) -> Result<(World, CountingStore<MemoryStore>), Box<dyn std::error::Error>> {
    let store = CountingStore::new(MemoryStore::new());
    let world = World::over(store.clone())?;
    world.settle(ComputeState::Idle)?;
    world.catalog.role_sync(&world.caller, &world.project, &world.main)?;
    let due = world.catalog.operations_due(1)?.pop().ok_or("nothing is due")?;
    let role = |number| ServerRole { name: name(number), can_login: true, password: Some(VERIFIER.to_owned()) };
    world.catalog.server_take(&due, &(0..roles).map(role).collect::<Vec<_>>(), &[])?;
    world.settle(ComputeState::Idle)?;
    // The engine takes ids in blocks: let the first be taken before anything is counted.
    world.fork(&world.main, Point::Head)?;
    Ok((world, store))
}

/// What `work` asks of the store while nothing is cached.
fn counted<T>(
    world: &World,
    store: &CountingStore<MemoryStore>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<(T, Counts), Error> {
    world.catalog.engine().forget_cached();
    store.reset();
    let done = work()?;
    Ok((done, store.reset()))
}

fn kept(world: &World) -> NewRestore {
    NewRestore { source: world.main.clone(), point: Point::Head, preserve_under: None, preserve_credentials: false }
}

#[test]
fn all_of_them_are_listed_at_once_or_page_by_page_and_found_by_a_part_of_the_name() -> TestResult {
    let (world, _) = with_roles(ROLES)?;
    let all = world.role_names(&world.main)?;
    assert_eq!(all.len(), ROLES + 2);
    assert_eq!(all[..3], ["casey", "web_access", "role 000000"]);
    let page = |text: Option<&str>, after: Option<String>, limit| {
        let search = RoleSearch { text: text.map(str::to_owned), after };
        world.catalog.role_search(&world.caller, &world.project, &world.main, &search, limit)
    };
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let found = page(None, after, 30_000)?;
        assert_eq!(found.found, ROLES + 2);
        paged.extend(found.roles.into_iter().map(|role| role.name.to_string()));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert!(paged == all, "the pages make up the list");
    let found = page(Some("ROLE 0999"), None, 10)?;
    assert_eq!((found.found, found.roles.len(), found.roles[0].name.as_str()), (100, 10, "role 099900"));
    let rest = page(Some("ROLE 0999"), found.next, 1_000)?;
    assert_eq!((rest.found, rest.roles.len(), rest.next), (100, 90, None));
    assert!(matches!(page(None, Some("role 000001".to_owned()), 10), Err(Error::CursorInvalid { .. })));
    Ok(())
}

#[test]
fn what_is_done_with_one_of_them_costs_what_it_costs_with_10() -> TestResult {
    let costs = |roles| -> Result<_, Box<dyn std::error::Error>> {
        let (world, store) = with_roles(roles)?;
        let main = &world.main;
        let three = name(3);
        let costs = [
            counted(&world, &store, || world.role(main, &three))?.1,
            counted(&world, &store, || world.create_role(main, "new"))?.1,
            counted(&world, &store, || world.reset(main, &three))?.1,
            counted(&world, &store, || world.delete_role(main, &three))?.1,
        ];
        Ok(costs)
    };
    for (few, many) in costs(10)?.into_iter().zip(costs(ROLES)?) {
        // Each level of the map is one more node to read and to write.
        assert!(many.gets <= few.gets + 6 && many.puts <= few.puts + 6, "{few:?} {many:?}");
        assert_eq!((many.ranges, many.entries, many.commits), (few.ranges, few.entries, few.commits));
        assert!(many.bytes_read.max(many.bytes_written) <= 32 * 1024, "{many:?}");
    }
    Ok(())
}

#[test]
fn branches_of_any_point_restores_snapshots_and_deletions_cost_what_they_cost_with_10() -> TestResult {
    let costs = |roles| -> Result<_, Box<dyn std::error::Error>> {
        let (world, store) = with_roles(roles)?;
        let (catalog, caller, project, main) = (&world.catalog, &world.caller, &world.project, &world.main);
        let (before, time) = (catalog.branch_lsn(caller, project, main, Point::Head)?, world.pass());
        let later = world.create_role(main, "later")?;
        world.settle(ComputeState::Idle)?;
        let (child, at_head) = counted(&world, &store, || world.fork(main, Point::Head))?;
        let (by_lsn, at_lsn) = counted(&world, &store, || world.fork(main, Point::Lsn(before)))?;
        let (by_time, at_time) = counted(&world, &store, || world.fork(main, Point::Time(time)))?;
        assert_eq!(world.role(&child.id, "later")?.verifier, later.verifier);
        for child in [&by_lsn, &by_time] {
            assert!(world.role(&child.id, "later").is_err() && world.role(&child.id, &name(roles - 1)).is_ok());
        }
        let (_, reset) = counted(&world, &store, || world.restore(&by_lsn.id, &kept(&world)))?;
        assert!(world.role(&by_lsn.id, "later").is_ok());
        let past = NewRestore { point: Point::Time(time), preserve_under: Some("old".parse()?), ..kept(&world) };
        let (_, restored) = counted(&world, &store, || world.restore(&child.id, &past))?;
        assert!(world.role(&child.id, "later").is_err());
        let new = NewSnapshot { point: Point::Time(time), ..NewSnapshot::default() };
        let (snapshot, taken) = counted(&world, &store, || catalog.snapshot_create(caller, project, main, new))?;
        let restore = SnapshotRestore::default();
        let (_, of_snapshot) =
            counted(&world, &store, || catalog.snapshot_restore(caller, project, &snapshot.id, &restore))?;
        let (_, deleted) = counted(&world, &store, || catalog.branch_delete(caller, project, &by_time.id))?;
        Ok([at_head, at_lsn, at_time, reset, restored, taken, of_snapshot, deleted])
    };
    for (few, many) in costs(10)?.into_iter().zip(costs(ROLES)?) {
        let work = |counts: &Counts| (counts.gets, counts.ranges, counts.entries, counts.puts, counts.commits);
        assert_eq!(work(&few), work(&many));
        assert!(many.bytes_read <= few.bytes_read + 16 * 1024, "{few:?} {many:?}");
    }
    Ok(())
}

#[test]
fn a_difference_of_three_reads_little_more_than_the_three() -> TestResult {
    let (world, store) = with_roles(ROLES)?;
    let child = world.fork(&world.main, Point::Head)?.id;
    world.reset(&child, &name(7))?;
    world.delete_role(&child, &name(50_000))?;
    world.create_role(&child, "new")?;
    let (main, child) = ((&world.main, Point::Head), (&child, Point::Head));
    let (changes, counts) =
        counted(&world, &store, || world.catalog.branch_diff(&world.caller, &world.project, main, child))?;
    assert_eq!(changes.roles.len(), 3);
    assert!(counts.gets < 60 && counts.bytes_read < 64 * 1024, "{counts:?}");
    Ok(())
}

#[test]
fn a_branch_of_a_protected_one_keeps_the_passwords_that_it_has() -> TestResult {
    let (world, _) = with_roles(ROLES)?;
    let new = NewBranch { name: Some("dev".parse()?), ..NewBranch::default() };
    let dev = world.catalog.branch_create(&world.caller, &world.project, new)?.branch.id;
    world.delete_role(&dev, &name(1))?;
    world.update(&world.main, BranchUpdate { protected: Some(true), ..BranchUpdate::default() })?;
    let reset = world.restore(&dev, &kept(&world))?;
    let renewed: Vec<_> = reset.passwords.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(renewed, [name(1)], "only the role that it did not have gets a new one");
    assert!(world.roles(&dev)?.len() == ROLES + 2);
    Ok(())
}
