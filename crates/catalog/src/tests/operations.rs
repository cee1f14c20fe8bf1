use std::time::Duration;

use offshoot_engine::Point;

use super::{TestResult, World, code, in_short};
use crate::{
    BranchId, BranchState, ComputeState, EndpointId, EndpointKind, EndpointSpec, Error, NewBranch, Operation,
    OperationAction, OperationId, OperationStatus, Outcome, ProjectId, RoleLogin, catalog::FoundProject,
    operation::Step, testing::SeededEntropy,
};

fn due(world: &World) -> Result<Vec<Operation>, Error> {
    Ok(world.catalog.operations_due(usize::MAX)?.into_iter().map(|due| due.operation).collect())
}

fn finish(world: &World, id: OperationId, compute: Option<ComputeState>) -> Result<(), Error> {
    world.catalog.operations_finish(&[(world.project.clone(), id, Outcome::Finished { compute })])?;
    Ok(())
}

/// Does what is due until nothing is, leaving computes in `state`.
fn finish_all(world: &World, state: ComputeState) -> Result<(), Error> {
    loop {
        let outcome = |operation: Operation| {
            let compute = operation.endpoint.as_ref().map(|_| state);
            (operation.project, operation.id, Outcome::Finished { compute })
        };
        let outcomes: Vec<_> = due(world)?.into_iter().map(outcome).collect();
        if outcomes.is_empty() {
            return Ok(());
        }
        world.catalog.operations_finish(&outcomes)?;
    }
}

#[test]
fn operations_of_a_request_take_turns() -> TestResult {
    let world = World::new()?;
    assert_eq!(in_short(&due(&world)?), ["create_timeline running"]);
    let [timeline, start] = world.operations()?.try_into().map_err(|_| "two operations")?;
    world.pass();
    finish(&world, timeline.id, None)?;
    assert_eq!(in_short(&world.operations()?), ["create_timeline finished", "start_compute running"]);
    assert_eq!(in_short(&due(&world)?), ["start_compute running"]);
    let branch = world.catalog.branch_get(&world.caller, &world.project, &world.main)?;
    assert_eq!((branch.state, branch.pending_state), (BranchState::Ready, None));
    assert!(branch.state_changed_at > branch.created_at);

    finish(&world, start.id, Some(ComputeState::Active))?;
    assert!(due(&world)?.is_empty());
    let done = world.catalog.operation_get(&world.caller, &world.project, start.id)?;
    assert_eq!((done.status, done.finished_at), (OperationStatus::Finished, Some(done.updated_at)));
    assert!(done.updated_at > done.created_at);
    let endpoint = &world.catalog.endpoint_list(&world.caller, &world.project)?[0];
    assert_eq!((endpoint.state, endpoint.pending_state), (ComputeState::Active, None));
    Ok(())
}

#[test]
fn an_active_compute_is_left_active() -> TestResult {
    let world = World::new()?;
    let create = |name: &str| {
        world.catalog.role_create(&world.caller, &world.project, &world.main, name.parse()?, RoleLogin::Password)
    };
    finish_all(&world, ComputeState::Active)?;
    assert_eq!(in_short(&create("sally")?.operations), ["apply_config running"]);
    finish_all(&world, ComputeState::Idle)?;
    assert_eq!(in_short(&create("bob")?.operations), ["apply_config running", "suspend_compute scheduling"]);
    Ok(())
}

#[test]
fn requests_on_an_endpoint_queue_behind_each_other() -> TestResult {
    let world = World::new()?;
    finish_all(&world, ComputeState::Idle)?;
    world.create_role(&world.main, "sally")?;
    world.create_role(&world.main, "bob")?;
    for turn in ["apply_config", "suspend_compute", "apply_config", "suspend_compute"] {
        let [next] = due(&world)?.try_into().map_err(|_| "one at a time")?;
        assert_eq!((next.action.to_string().as_str(), next.status), (turn, OperationStatus::Running));
        finish(&world, next.id, None)?;
    }
    assert!(due(&world)?.is_empty());
    Ok(())
}

#[test]
fn endpoints_do_not_wait_for_each_other_but_the_branch_does() -> TestResult {
    let world = World::new()?;
    let endpoints = vec![EndpointSpec::new(EndpointKind::ReadWrite), EndpointSpec::new(EndpointKind::ReadOnly)];
    finish_all(&world, ComputeState::Active)?;
    let new = NewBranch { endpoints, ..NewBranch::default() };
    let created = world.catalog.branch_create(&world.caller, &world.project, new)?;
    finish(&world, created.operations[0].id, None)?;
    assert_eq!(in_short(&due(&world)?), ["start_compute running", "start_compute running"]);
    finish_all(&world, ComputeState::Active)?;

    let deleted =
        world.catalog.branch_delete_for_good(&world.caller, &world.project, &created.branch.id)?.ok_or("absent")?;
    let expected = ["suspend_compute running", "suspend_compute running", "delete_timeline scheduling"];
    assert_eq!(in_short(&deleted.operations), expected);
    finish(&world, deleted.operations[0].id, None)?;
    assert_eq!(in_short(&due(&world)?), ["suspend_compute running"]);
    finish(&world, deleted.operations[1].id, None)?;
    assert_eq!(in_short(&due(&world)?), ["delete_timeline running"]);
    finish(&world, deleted.operations[2].id, None)?;
    assert!(due(&world)?.is_empty());
    Ok(())
}

#[test]
fn what_is_due_is_shown_as_running_also_where_a_request_is_about_several_branches() -> TestResult {
    let world = World::new()?;
    finish_all(&world, ComputeState::Active)?;
    let dev = world.catalog.branch_create(&world.caller, &world.project, NewBranch::default())?.branch.id;
    finish_all(&world, ComputeState::Active)?;
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?[0].id.clone();
    let step = |branch: &BranchId, endpoint: Option<&EndpointId>| Step {
        action: OperationAction::ApplyConfig,
        branch: branch.clone(),
        endpoint: endpoint.cloned(),
    };
    let steps = [(&world.main, Some(&endpoint)), (&dev, None), (&world.main, Some(&endpoint)), (&dev, None)];
    let scheduled = world.catalog.commit(|tx| {
        let project = FoundProject::find(tx, &world.caller, &world.project)?;
        let steps = steps.iter().map(|(branch, endpoint)| step(branch, *endpoint)).collect();
        crate::operation::schedule(tx, &SeededEntropy::new(5), project.place(), steps)
    })?;
    for _ in 0..2 {
        let due = due(&world)?;
        assert_eq!(in_short(&due), ["apply_config running"; 2]);
        due.iter().try_for_each(|operation| finish(&world, operation.id, None))?;
    }
    assert!(due(&world)?.is_empty());
    assert_eq!(scheduled.len(), 4);
    Ok(())
}

#[test]
fn a_failure_is_noted_and_lets_the_next_have_its_turn() -> TestResult {
    let world = World::new()?;
    let first = due(&world)?[0].id;
    let error = "é".repeat(1000);
    world.catalog.operations_finish(&[(world.project.clone(), first, Outcome::Failed { error, retry_at: None })])?;
    let failed = world.catalog.operation_get(&world.caller, &world.project, first)?;
    assert_eq!((failed.status, failed.failures_count), (OperationStatus::Error, 1));
    assert_eq!(failed.error, Some("é".repeat(512)));
    assert_eq!(in_short(&due(&world)?), ["start_compute running"]);
    Ok(())
}

#[test]
fn the_oldest_of_all_projects_come_first_up_to_the_limit() -> TestResult {
    let world = World::new()?;
    let mut projects = vec![world.project.clone()];
    for _ in 0..5 {
        projects.push(world.catalog.project_create(&world.caller, crate::NewProject::default())?.project.id);
    }
    let owners = |limit| -> Result<Vec<ProjectId>, Error> {
        Ok(world.catalog.operations_due(limit)?.into_iter().map(|due| due.project).collect())
    };
    assert_eq!(owners(usize::MAX)?, projects);
    assert_eq!(owners(2)?, projects[..2]);
    assert_eq!(owners(0)?, []);
    Ok(())
}

#[test]
fn a_long_queue_on_one_branch_does_not_hide_the_others() -> TestResult {
    let world = World::new()?;
    for number in 0..600 {
        let name = format!("role_{number}").parse()?;
        world.catalog.role_create(&world.caller, &world.project, &world.main, name, RoleLogin::NoLogin)?;
    }
    world.catalog.project_create(&world.caller, crate::NewProject::default())?;
    assert_eq!(in_short(&due(&world)?), ["create_timeline running", "create_timeline running"]);
    Ok(())
}

#[test]
fn finishing_again_or_too_late_changes_nothing() -> TestResult {
    let world = World::new()?;
    let first = due(&world)?[0].id;
    finish(&world, first, None)?;
    let operations = world.operations()?;
    world.catalog.operations_finish(&[(
        world.project.clone(),
        first,
        Outcome::Failed { error: "late".into(), retry_at: None },
    )])?;
    let unknown: OperationId = "0185a8f0-0000-7000-8000-000000000000".parse()?;
    finish(&world, unknown, None)?;
    assert_eq!(world.operations()?, operations);
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    finish(&world, operations[1].id, Some(ComputeState::Active))?;
    assert!(due(&world)?.is_empty());
    Ok(())
}

#[test]
fn pages_of_operations_follow_each_other_newest_first() -> TestResult {
    let world = World::new()?;
    for name in ["a", "b", "c"] {
        world.create_role(&world.main, name)?;
    }
    let list = |after: Option<&str>| world.catalog.operation_list(&world.caller, &world.project, after, 3);
    let mut pages = vec![list(None)?];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        pages.push(list(Some(&next))?);
    }
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [3, 3, 2]);
    let mut ids: Vec<_> = pages.into_iter().flat_map(|page| page.items).map(|operation| operation.id).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older));
    ids.reverse();
    assert_eq!(ids, world.operations()?.iter().map(|operation| operation.id).collect::<Vec<_>>());
    assert_eq!(code(list(Some("nonsense"))), "CURSOR_INVALID");
    let unknown: OperationId = "0185a8f0-0000-7000-8000-000000000000".parse()?;
    let unknown = world.catalog.operation_get(&world.caller, &world.project, unknown);
    assert_eq!(code(unknown), "OPERATION_NOT_FOUND");
    Ok(())
}

#[test]
fn an_executor_is_woken_by_what_became_due_after_it_looked() -> TestResult {
    let world = World::new()?;
    let an_age = Duration::from_secs(3600);
    let moment = world.catalog.moment();
    world.create_role(&world.main, "sally")?;
    // What came between looking and waiting ends the wait at once.
    world.catalog.operations_wait(moment, an_age);
    let moment = world.catalog.moment();
    std::thread::scope(|scope| {
        let executor = scope.spawn(|| world.catalog.operations_wait(moment, an_age));
        world.fork(&world.main, Point::Head)?;
        executor.join().map_err(|_| "the executor panicked".into())
    })
}
