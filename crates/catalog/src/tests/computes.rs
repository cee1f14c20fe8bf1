use chrono::{DateTime, TimeDelta, Utc};

use super::{TestResult, World, in_short};
use crate::{
    Catalog, ComputeChanges, ComputeState, DueOperation, EndpointId, EndpointKind, EndpointSpec, Error, NewBranch,
    NewProject, NewSnapshot, OperationAction, OperationStatus, Options, Outcome, RoleLogin, SnapshotRestore, Turn,
    Wake, testing::SeededEntropy,
};

fn endpoint(world: &World) -> Result<EndpointId, Error> {
    Ok(world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id)
}

fn now(world: &World) -> DateTime<Utc> {
    offshoot_engine::Clock::now(&world.clock)
}

fn changes(world: &World, is_whole: bool) -> Result<ComputeChanges, Box<dyn std::error::Error>> {
    let changes = world.catalog.compute_changes(&world.project, &world.main, &endpoint(world)?, is_whole)?;
    Ok(changes.ok_or("the endpoint is gone")?)
}

/// What is to become of each role that may differ.
fn roles(changes: &ComputeChanges) -> Vec<(&str, bool)> {
    changes.roles.iter().map(|(name, role)| (name.as_str(), role.is_some())).collect()
}

fn due(world: &World) -> Result<DueOperation, Box<dyn std::error::Error>> {
    Ok(world.catalog.operations_due(1)?.pop().ok_or("nothing is due")?)
}

fn finish(world: &World, due: &DueOperation, outcome: Outcome) -> Result<(), Error> {
    world.catalog.operations_finish(&[(due.project.clone(), due.operation.id, outcome)])?;
    Ok(())
}

/// Does what is due as an executor would, leaving the compute active.
fn apply(world: &World) -> TestResult {
    let changes = changes(world, false)?;
    world.catalog.compute_begin(&changes, "one", now(world))??;
    finish(world, &due(world)?, Outcome::Applied { compute: Some(ComputeState::Active), changes, drift: None })?;
    Ok(())
}

/// A world whose compute is active and has what its branch has.
fn running() -> Result<World, Box<dyn std::error::Error>> {
    let world = World::new()?;
    finish(&world, &due(&world)?, Outcome::Finished { compute: None })?;
    apply(&world)?;
    assert!(changes(&world, false)?.is_empty());
    Ok(world)
}

#[test]
fn a_compute_of_which_nothing_is_known_gets_all_and_later_what_differs() -> TestResult {
    let world = World::new()?;
    let first = changes(&world, false)?;
    assert!(first.is_whole);
    assert_eq!(roles(&first), [("casey", true), ("web_access", true)]);
    assert_eq!(first.databases.len(), 1);

    let world = running()?;
    world.create_role(&world.main, "sally")?;
    world.reset(&world.main, "casey")?;
    let next = changes(&world, false)?;
    assert_eq!((next.is_whole, roles(&next)), (false, vec![("casey", true), ("sally", true)]));
    assert_eq!(roles(&changes(&world, true)?), [("casey", true), ("sally", true), ("web_access", true)]);
    Ok(())
}

#[test]
fn what_an_executor_began_to_apply_before_it_was_killed_is_taken_away() -> TestResult {
    let world = running()?;
    world.create_role(&world.main, "sally")?;
    world.catalog.compute_begin(&changes(&world, false)?, "one", now(&world))??;
    // Whoever comes after it knows neither whether sally was made nor what else was.
    world.delete_role(&world.main, "sally")?;
    world.create_role(&world.main, "bob")?;
    assert_eq!(roles(&changes(&world, false)?), [("bob", true), ("sally", false)]);
    apply(&world)?;
    assert!(changes(&world, false)?.is_empty());
    Ok(())
}

#[test]
fn a_renamed_database_is_the_same_under_both_names() -> TestResult {
    let world = running()?;
    let update = |name: &str, new: &str| {
        let (name, new) = (name.parse()?, new.parse()?);
        world.catalog.database_update(&world.caller, &world.project, &world.main, &name, Some(new), None)
    };
    update("neondb", "app")?;
    let next = changes(&world, false)?;
    let [change] = next.databases.as_slice() else { panic!("one database") };
    assert_eq!(change.database.as_ref().map(|database| database.name.as_str()), Some("app"));
    assert!(change.names.iter().map(|name| name.as_str()).eq(["neondb"]));
    Ok(())
}

#[test]
fn applying_the_newest_finishes_all_changes_that_were_scheduled_by_then() -> TestResult {
    let world = running()?;
    for name in ["a", "b", "c"] {
        world.create_role(&world.main, name)?;
    }
    let read = changes(&world, false)?;
    world.create_role(&world.main, "later")?;
    world.catalog.compute_begin(&read, "one", now(&world))??;
    finish(&world, &due(&world)?, Outcome::Applied { compute: None, changes: read, drift: None })?;
    let statuses: Vec<_> = world.operations()?.iter().skip(2).map(|operation| operation.status).collect();
    assert_eq!(statuses[..3], [OperationStatus::Finished; 3]);
    assert_eq!(statuses[3], OperationStatus::Running);
    assert_eq!(roles(&changes(&world, false)?), [("later", true)]);
    Ok(())
}

#[test]
fn a_failure_keeps_its_turn_until_it_is_tried_again() -> TestResult {
    let world = running()?;
    world.create_role(&world.main, "sally")?;
    let at = now(&world) + TimeDelta::seconds(5);
    let failed = Outcome::Failed { error: "no".into(), retry_at: Some(at) };
    finish(&world, &due(&world)?, failed.clone())?;
    let next = due(&world)?;
    assert_eq!((next.operation.status, next.operation.failures_count), (OperationStatus::Failed, 1));
    assert_eq!((next.operation.retry_at, next.is_overtaken), (Some(at), false));
    assert_eq!(next.operation.error.as_deref(), Some("no"));
    let listed = world.catalog.operation_get(&world.caller, &world.project, next.operation.id)?;
    assert_eq!(listed, next.operation);

    // Something newer on the endpoint is a reason to try at once.
    world.pass();
    world.create_role(&world.main, "bob")?;
    assert!(due(&world)?.is_overtaken);
    finish(&world, &due(&world)?, failed)?;
    assert_eq!(due(&world)?.operation.failures_count, 2);
    apply(&world)?;
    assert!(world.catalog.operations_due(1)?.is_empty());
    let done = world.catalog.operation_get(&world.caller, &world.project, next.operation.id)?;
    assert_eq!((done.status, done.failures_count, done.retry_at), (OperationStatus::Finished, 2, None));
    Ok(())
}

#[test]
fn many_changes_while_a_compute_is_idle_are_done_in_few_steps() -> TestResult {
    let world = running()?;
    world.catalog.computes_suspend(&[endpoint(&world)?])?;
    finish(&world, &due(&world)?, Outcome::Finished { compute: Some(ComputeState::Idle) })?;
    let before = world.operations()?.len();
    for number in 0..3_000 {
        let name = format!("role {number}").parse()?;
        world.catalog.role_create(&world.caller, &world.project, &world.main, name, RoleLogin::NoLogin)?;
    }
    let mut steps = Vec::new();
    while let Some(due) = world.catalog.operations_due(1)?.pop() {
        steps.push(due.operation.action);
        let outcome = match (due.operation.action, world.catalog.operation_turn(&due)?) {
            (OperationAction::ApplyConfig, _) => {
                let changes = changes(&world, false)?;
                world.catalog.compute_begin(&changes, "one", now(&world))??;
                Outcome::Applied { compute: None, changes, drift: None }
            }
            (_, Turn::Do) => Outcome::Finished { compute: Some(ComputeState::Idle) },
            (_, Turn::Skip | Turn::Cancel) => Outcome::Skipped,
        };
        finish(&world, &due, outcome)?;
    }
    // One commit finishes no more than it can hold.
    let (apply, suspend) = (OperationAction::ApplyConfig, OperationAction::SuspendCompute);
    assert_eq!(steps, [apply, apply, suspend]);
    let operations = world.operations()?.split_off(before);
    let count = |action, status| {
        let fits = |operation: &&crate::Operation| operation.action == action && operation.status == status;
        operations.iter().filter(fits).count()
    };
    assert_eq!(count(apply, OperationStatus::Finished), 3_000);
    assert_eq!(count(suspend, OperationStatus::Skipped), 2_999);
    assert_eq!(count(suspend, OperationStatus::Finished), 1);
    Ok(())
}

#[test]
fn a_compute_is_not_suspended_where_it_is_needed_nor_started_where_it_is_not() -> TestResult {
    let world = running()?;
    let endpoint = endpoint(&world)?;
    let turn = || -> Result<_, Box<dyn std::error::Error>> { Ok(world.catalog.operation_turn(&due(&world)?)?) };
    world.catalog.computes_suspend(std::slice::from_ref(&endpoint))?;
    assert_eq!(turn()?, Turn::Do);
    finish(&world, &due(&world)?, Outcome::Finished { compute: Some(ComputeState::Idle) })?;

    // Idle: a change starts it and suspends it again, unless the next change needs it.
    world.create_role(&world.main, "a")?;
    finish(&world, &due(&world)?, Outcome::Finished { compute: None })?;
    assert_eq!((in_short(&[due(&world)?.operation]), turn()?), (vec!["suspend_compute running".into()], Turn::Do));
    world.create_role(&world.main, "b")?;
    assert_eq!(turn()?, Turn::Skip);
    finish(&world, &due(&world)?, Outcome::Skipped)?;
    finish(&world, &due(&world)?, Outcome::Finished { compute: None })?;
    assert_eq!(turn()?, Turn::Do);

    // Nor where it is to run by then.
    world.catalog.endpoint_start(&world.caller, &world.project, &endpoint)?;
    assert_eq!(turn()?, Turn::Skip);
    finish(&world, &due(&world)?, Outcome::Skipped)?;
    assert_eq!(turn()?, Turn::Do);
    world.catalog.endpoint_suspend(&world.caller, &world.project, &endpoint)?;
    assert_eq!(turn()?, Turn::Cancel);
    Ok(())
}

/// What is to become of all that is due, oldest first.
fn turns(world: &World) -> Result<Vec<(OperationAction, Turn)>, Error> {
    let due = world.catalog.operations_due(usize::MAX)?;
    due.iter().map(|due| Ok((due.operation.action, world.catalog.operation_turn(due)?))).collect()
}

#[test]
fn nothing_is_applied_to_the_compute_of_an_endpoint_that_went() -> TestResult {
    let world = World::new()?;
    world.settle(ComputeState::Active)?;
    world.create_role(&world.main, "sally")?;
    let endpoint = endpoint(&world)?;
    world.catalog.endpoint_delete(&world.caller, &world.project, &endpoint)?;
    assert_eq!(turns(&world)?, [(OperationAction::ApplyConfig, Turn::Cancel)]);
    let due = world.catalog.operations_due(1)?.remove(0);
    world.catalog.operations_finish(&[(due.project, due.operation.id, Outcome::Cancelled)])?;
    assert_eq!(turns(&world)?, [(OperationAction::SuspendCompute, Turn::Do)]);
    Ok(())
}

#[test]
fn an_endpoint_that_came_to_another_branch_follows_the_operations_of_that_branch_alone() -> TestResult {
    use OperationAction::{StartCompute, SuspendCompute};
    type Prepare = fn(&World, &EndpointId) -> TestResult;
    let start: Prepare = |world, endpoint| {
        world.catalog.endpoint_start(&world.caller, &world.project, endpoint)?;
        Ok(())
    };
    let apply: Prepare = |world, _| {
        world.create_role(&world.main, "sally")?;
        Ok(())
    };
    let suspend: Prepare = |world, endpoint| {
        world.catalog.endpoint_suspend(&world.caller, &world.project, endpoint)?;
        Ok(())
    };
    let restart: Prepare = |world, endpoint| {
        world.catalog.endpoint_restart(&world.caller, &world.project, endpoint)?;
        // It is idle in between.
        let due = due(world)?;
        finish(world, &due, Outcome::Finished { compute: Some(ComputeState::Idle) })?;
        Ok(())
    };
    let cases: [(ComputeState, Prepare, &[OperationAction]); 5] = [
        (ComputeState::Active, restart, &[SuspendCompute, StartCompute]),
        (ComputeState::Idle, start, &[SuspendCompute, StartCompute]),
        // The compute may have been started for it by now.
        (ComputeState::Idle, apply, &[SuspendCompute]),
        (ComputeState::Active, suspend, &[SuspendCompute]),
        (ComputeState::Idle, |_, _| Ok(()), &[]),
    ];
    for (state, prepare, expected) in cases {
        let world = World::new()?;
        world.settle(ComputeState::Active)?;
        let endpoint = endpoint(&world)?;
        if state == ComputeState::Idle {
            suspend(&world, &endpoint)?;
            world.settle(state)?;
        }
        let taken =
            world.catalog.snapshot_create(&world.caller, &world.project, &world.main, NewSnapshot::default())?;
        let restore = SnapshotRestore { name: Some("look".parse()?), ..SnapshotRestore::default() };
        let new = world.catalog.snapshot_restore(&world.caller, &world.project, &taken.id, &restore)?.branch.id;
        world.settle(ComputeState::Active)?;
        prepare(&world, &endpoint)?;
        let old = world.catalog.operations_open(usize::MAX)?.len();

        let done = world.catalog.branch_finalize_restore(&world.caller, &world.project, &new, None)?;
        let actions: Vec<_> = done.operations.iter().map(|operation| operation.action).collect();
        assert_eq!(actions, expected);
        let mut cancelled = 0;
        loop {
            let due = world.catalog.operations_due(usize::MAX)?;
            let Some(due) = due.into_iter().find(|due| due.operation.branch.as_ref() == Some(&world.main)) else {
                break;
            };
            assert_eq!(world.catalog.operation_turn(&due)?, Turn::Cancel);
            world.catalog.operations_finish(&[(due.project, due.operation.id, Outcome::Cancelled)])?;
            cancelled += 1;
        }
        assert_eq!(cancelled, old);
        world.settle(ComputeState::Active)?;
        let moved = world.catalog.endpoint_get(&world.caller, &world.project, &endpoint)?;
        let runs = expected.contains(&StartCompute);
        let state = if runs { ComputeState::Active } else { ComputeState::Idle };
        assert_eq!((moved.branch, moved.state, moved.pending_state), (new, state, None));
    }
    Ok(())
}

#[test]
fn one_executor_at_a_time_has_a_compute() -> TestResult {
    let world = running()?;
    let id = endpoint(&world)?;
    let lease = |name, at| world.catalog.compute_lease(&id, name, 60, at);
    let start = now(&world);
    lease("one", start)??;
    let leased = lease("two", start + TimeDelta::seconds(59))?.unwrap_err();
    assert_eq!((leased.holder.as_str(), leased.until), ("one", start + TimeDelta::seconds(60)));
    lease("one", start + TimeDelta::seconds(59))??;
    assert!(lease("two", start + TimeDelta::seconds(100))?.is_err());

    // Who lost it can't begin to apply anything.
    world.create_role(&world.main, "sally")?;
    let read = changes(&world, false)?;
    lease("two", start + TimeDelta::seconds(200))??;
    assert!(world.catalog.compute_begin(&read, "one", start + TimeDelta::seconds(200))?.is_err());
    world.catalog.compute_begin(&read, "two", start + TimeDelta::seconds(200))??;
    Ok(())
}

#[test]
fn computes_of_deleted_endpoints_are_told_until_they_are_forgotten() -> TestResult {
    let world = running()?;
    let id = endpoint(&world)?;
    assert!(world.catalog.computes_gone(10)?.is_empty());
    world.catalog.endpoint_delete(&world.caller, &world.project, &id)?;
    assert_eq!(world.catalog.computes_gone(10)?, std::slice::from_ref(&id));
    assert_eq!(world.catalog.compute_endpoint(&id)?, None);
    world.catalog.computes_forget(&[id])?;
    assert!(world.catalog.computes_gone(10)?.is_empty());
    Ok(())
}

#[test]
fn each_endpoint_has_a_port_of_its_own_while_there_are_any() -> TestResult {
    let world = World::new()?;
    let first = endpoint(&world)?;
    assert_eq!(world.catalog.compute_port(&first)?, None);
    let options = Options::default().with_entropy(SeededEntropy::new(9)).with_compute_ports(20_000..=20_002);
    let catalog = Catalog::open(world.catalog.engine().clone(), options)?;
    // One that is older than the ports gets one when it is needed.
    let mut ports = vec![catalog.compute_port(&first)?];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let created = catalog.project_create(&world.caller, NewProject::default())?;
        ports.push(catalog.compute_port(&created.endpoints[0].id)?);
        ids.push(created.project.id);
    }
    ports.sort();
    assert_eq!(ports, [Some(20_000), Some(20_001), Some(20_002)]);
    let endpoints = vec![EndpointSpec::new(EndpointKind::ReadOnly)];
    let new = NewBranch { endpoints, ..NewBranch::default() };
    let without = catalog.branch_create(&world.caller, &world.project, new)?.endpoints.remove(0).id;
    assert_eq!(catalog.compute_port(&without)?, None);
    catalog.project_delete_for_good(&world.caller, &ids[0])?;
    assert!(catalog.compute_port(&without)?.is_some());
    Ok(())
}

#[test]
fn old_operations_are_forgotten_and_unfinished_ones_kept() -> TestResult {
    let world = running()?;
    world.create_role(&world.main, "sally")?;
    let before = world.pass();
    assert_eq!(world.catalog.operations_prune(before)?, 2);
    assert_eq!(in_short(&world.operations()?), ["apply_config running"]);
    assert_eq!(world.catalog.operations_prune(before)?, 0);
    Ok(())
}

#[test]
fn waking_starts_a_compute_that_sleeps_once_and_one_that_is_disabled_never() -> TestResult {
    let store = offshoot_engine::MemoryStore::new();
    let options = Options::default().with_compute_ports(20_000..=20_009);
    let world = World::over(store.clone())?.with_options(&store, options, 7)?;
    let id = endpoint(&world)?;
    let port = world.catalog.compute_port(&id)?.ok_or("no port")?;
    let wake = || world.catalog.endpoint_wake(&id);
    // It is about to be started already.
    let before = world.operations()?.len();
    assert_eq!((wake()?, world.operations()?.len()), (Wake::Starts, before));
    while let Some(due) = world.catalog.operations_due(1)?.pop() {
        let starts = due.operation.action == OperationAction::StartCompute;
        finish(&world, &due, Outcome::Finished { compute: starts.then_some(ComputeState::Active) })?;
    }
    assert_eq!(world.catalog.endpoints_asleep()?, []);

    // Also where its suspension is under way still, or a change starts it just for itself.
    world.catalog.endpoint_suspend(&world.caller, &world.project, &id)?;
    assert_eq!((wake()?, wake()?, world.operations()?.len()), (Wake::Starts, Wake::Starts, before + 2));
    finish(&world, &due(&world)?, Outcome::Finished { compute: Some(ComputeState::Idle) })?;
    assert_eq!(world.catalog.endpoints_asleep()?, [(id.clone(), port)]);
    finish(&world, &due(&world)?, Outcome::Finished { compute: Some(ComputeState::Idle) })?;
    world.create_role(&world.main, "sally")?;
    assert_eq!((wake()?, wake()?, world.operations()?.len()), (Wake::Starts, Wake::Starts, before + 5));
    let woken = world.catalog.endpoint_get(&world.caller, &world.project, &id)?;
    assert_eq!(woken.pending_state, Some(ComputeState::Active));

    let disable = crate::EndpointUpdate { disabled: Some(true), ..crate::EndpointUpdate::default() };
    world.catalog.endpoint_update(&world.caller, &world.project, &id, disable)?;
    let before = world.operations()?.len();
    assert_eq!((wake()?, world.operations()?.len()), (Wake::Disabled, before));
    world.catalog.endpoint_delete(&world.caller, &world.project, &id)?;
    assert_eq!(wake()?, Wake::Gone);
    assert_eq!(world.catalog.endpoints_asleep()?, []);
    Ok(())
}
