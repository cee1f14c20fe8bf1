//! Computes that start, stop and go.

use std::{thread, time::Duration};

use offshoot_catalog::{ComputeState, EndpointKind, EndpointSpec, OperationAction, OperationStatus};
use offshoot_compute::ExecutorOptions;

use crate::common::{Fallible, TestResult, World, admin, connect, log_in};

fn state(world: &World) -> Fallible<ComputeState> {
    let endpoints = world.catalog.endpoint_list(&world.caller, &world.project)?;
    Ok(endpoints.first().ok_or("no endpoint")?.state)
}

#[test]
fn a_compute_that_nobody_uses_is_suspended_and_one_that_is_used_is_not() -> TestResult {
    let options = ExecutorOptions {
        upkeep_every: Duration::from_millis(100),
        suspend_after_seconds: 1,
        ..ExecutorOptions::default()
    };
    let mut world = World::with(options)?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    let suspended = |world: &World| -> Fallible<bool> {
        let operations = world.settle()?;
        Ok(operations.iter().any(|operation| operation.action == OperationAction::SuspendCompute))
    };
    let casey = connect(&login, "casey", &world.passwords[&main]["casey"], "neondb")?;
    casey.run("SELECT pg_sleep(2.5)")?;
    assert!(!suspended(&world)?);
    assert_eq!(state(&world)?, ComputeState::Active);
    drop(casey);
    while !suspended(&world)? {
        let moment = world.catalog.moment();
        world.catalog.operations_wait(moment, Duration::from_secs(60));
    }
    assert_eq!(state(&world)?, ComputeState::Idle);
    assert!(log_in(&login, "casey", &world.passwords[&main]["casey"], "neondb").is_err());

    // What is applied while it is idle starts it, and leaves it idle.
    world.create_role(&main, "sally")?;
    let operations = world.settle()?;
    assert_eq!(operations[0].action, OperationAction::SuspendCompute);
    assert_eq!(operations[1].action, OperationAction::ApplyConfig);
    assert!(operations.iter().all(|operation| operation.status == OperationStatus::Finished), "{operations:?}");
    assert!(log_in(&login, "sally", &world.passwords[&main]["sally"], "neondb").is_err());
    Ok(())
}

#[test]
fn short_statements_in_the_database_that_is_always_there_are_use_too() -> TestResult {
    let options = ExecutorOptions {
        upkeep_every: Duration::from_millis(100),
        suspend_after_seconds: 4,
        ..ExecutorOptions::default()
    };
    let world = World::with(options)?;
    world.settle()?;
    let casey = connect(&world.login(&world.main)?, "casey", &world.passwords[&world.main]["casey"], "postgres")?;
    // A client that comes back ten times a second, for more than twice as long as a compute may be idle.
    for _ in 0..100 {
        casey.run("SELECT")?;
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(state(&world)?, ComputeState::Active);
    casey.run("SELECT")?;
    Ok(())
}

#[test]
fn a_compute_goes_with_its_branch_and_with_its_project() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    let child = world.fork(&main, offshoot_engine::Point::Head, world.passwords[&main].clone())?;
    world.check_after_settling()?;
    let (of_child, of_main) = (world.login(&child)?, world.login(&main)?);
    world.catalog.branch_delete_for_good(&world.caller, &world.project, &child)?;
    world.passwords.remove(&child);
    world.settle_removals()?;
    assert!(!of_child.socket.exists());
    world.check_logins()?;
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    world.settle_removals()?;
    assert!(!of_main.socket.exists());
    assert_eq!(std::fs::read_dir(world.clusters())?.count(), 0);
    Ok(())
}

#[test]
fn a_compute_comes_back_with_its_branch_and_with_its_project_and_has_what_was_in_it() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    let child = world.fork(&main, offshoot_engine::Point::Head, world.passwords[&main].clone())?;
    world.check_after_settling()?;
    let (login, password) = (world.login(&child)?, world.passwords[&child]["casey"].clone());
    connect(&login, "casey", &password, "neondb")?.run("CREATE TABLE kept AS SELECT 7 AS seven")?;
    let texts = || connect(&login, "casey", &password, "neondb")?.texts("SELECT seven::text FROM kept");

    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    catalog.branch_delete(caller, project, &child)?;
    world.settle_removals()?;
    assert!(log_in(&login, "casey", &password, "neondb").is_err(), "it is suspended");
    catalog.branch_recover(caller, project, &child)?;
    world.settle()?;
    assert_eq!(texts()?, ["7"]);

    catalog.project_delete(caller, project)?;
    world.settle_removals()?;
    assert!(log_in(&login, "casey", &password, "neondb").is_err(), "it is suspended");
    catalog.project_recover(caller, project)?;
    world.settle()?;
    assert_eq!(texts()?, ["7"]);
    world.check_logins()
}

#[test]
fn a_compute_that_was_ended_from_outside_is_started_again() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    world.kill_postgres(&main)?;
    // Be it by looking after it, or by the next change, whichever comes first.
    world.create_role(&main, "sally")?;
    world.settle()?;
    world.check_logins()?;
    admin(&login, "postgres")?.run("SELECT 1")
}

#[test]
fn computes_stop_with_the_executor_and_start_with_the_next() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.check_after_settling()?;
    let login = world.login(&main)?;
    world.stop();
    assert!(log_in(&login, "casey", &world.passwords[&main]["casey"], "neondb").is_err());
    assert!(!world.clusters().join(login.socket.parent().ok_or("no directory")?).join("data/postmaster.pid").exists());
    world.create_role(&main, "sally")?;
    world.delete_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    world.start()?;
    world.check_after_settling()
}

#[test]
fn a_read_only_endpoint_refuses_writes_and_has_the_roles_all_the_same() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    let spec = EndpointSpec::new(EndpointKind::ReadOnly);
    let created = world.catalog.endpoint_create(&world.caller, &world.project, &main, spec)?.endpoint.id;
    world.create_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    world.delete_role(&main, "bob")?;
    world.check_after_settling()?;
    let login = world.login_of(&created)?;
    let sally = connect(&login, "sally", &world.passwords[&main]["sally"], "neondb")?;
    let refused = sally.run("CREATE SCHEMA s").err().ok_or("a read-only endpoint wrote")?;
    assert!(refused.to_string().contains("read-only transaction"), "{refused}");
    assert!(log_in(&login, "bob", "x", "neondb").is_err());
    // The other one of the branch writes.
    connect(&world.login(&main)?, "sally", &world.passwords[&main]["sally"], "neondb")?.run("CREATE SCHEMA s")
}

#[test]
fn what_a_server_has_besides_is_noted_with_its_endpoint() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    let drift = |world: &World| -> Fallible<(Vec<String>, Vec<String>)> {
        let noted = world.catalog.endpoint_drift(&world.caller, &world.project, &endpoint)?.ok_or("not compared")?;
        assert_eq!(
            (noted.roles.len(), noted.databases.len()),
            (noted.roles_count as usize, noted.databases_count as usize)
        );
        Ok((noted.roles, noted.databases))
    };
    world.settle()?;
    assert_eq!(drift(&world)?, (vec![], vec![]));
    admin(&world.login(&main)?, "postgres")?.run("CREATE ROLE drifter")?;
    admin(&world.login(&main)?, "postgres")?.run("CREATE DATABASE adrift")?;
    world.stop();
    world.start()?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    assert_eq!(drift(&world)?, (vec!["drifter".to_owned()], vec!["adrift".to_owned()]));
    // What is taken over isn't any more.
    world.catalog.role_sync(&world.caller, &world.project, &main)?;
    world.settle()?;
    assert_eq!(drift(&world)?, (vec![], vec!["adrift".to_owned()]));
    Ok(())
}
