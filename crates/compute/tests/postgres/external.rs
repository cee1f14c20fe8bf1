//! Servers that somebody else runs.

use offshoot_catalog::OperationStatus;
use offshoot_compute::{Executor, ExecutorOptions, ExternalServers, ServerList};

use crate::common::{Elsewhere, Fallible, TestResult, World, log_in, query};

#[test]
fn an_endpoint_is_given_a_server_that_runs_elsewhere() -> TestResult {
    let elsewhere = Elsewhere::start(32_001)?;
    let login = &elsewhere.login;
    let mut world = World::with_list(elsewhere.list())?;
    let main = world.main.clone();
    let failed = world.wait_for(|operation| operation.status == OperationStatus::Failed)?;
    let endpoint = failed.endpoint.ok_or("no endpoint")?;
    let error = failed.error.unwrap_or_default();
    assert!(error.contains(endpoint.as_str()) && error.contains("add a line to"), "{error}");

    elsewhere.give_to(&endpoint)?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    for role in ["casey", "sally"] {
        log_in(login, role, &world.passwords[&main][role], "neondb")?;
    }
    world.delete_role(&main, "sally")?;
    world.settle()?;
    assert!(log_in(login, "sally", "x", "neondb").is_err());
    let started = "SELECT pg_postmaster_start_time()::text";
    let before = query(login, "postgres", started)?;
    world.catalog.endpoint_restart(&world.caller, &world.project, &endpoint)?;
    world.settle()?;
    world.catalog.endpoint_suspend(&world.caller, &world.project, &endpoint)?;
    world.settle()?;
    world.stop();
    // Nothing of it was stopped or started.
    assert_eq!(query(login, "postgres", started)?, before);
    // A socket is no address for clients elsewhere.
    assert_eq!(ExternalServers::new(ServerList::File(elsewhere.list()), None)?.address(&endpoint), None);
    Ok(())
}

#[test]
fn executors_that_share_a_store_do_each_operation_and_do_not_get_in_each_others_way() -> TestResult {
    let elsewhere = Elsewhere::start(32_002)?;
    let mut world = World::with_list(elsewhere.list())?;
    let main = world.main.clone();
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    elsewhere.give_to(&endpoint)?;
    let options = ExecutorOptions { lease_seconds: 1, ..World::options() };
    let names = ["two", "three"].map(|name| ExecutorOptions { name: name.into(), ..options.clone() });
    let start = |options| -> Fallible<Executor> {
        let servers = ExternalServers::new(ServerList::File(elsewhere.list()), None)?;
        Ok(Executor::start(world.catalog.clone(), servers, options)?)
    };
    let others = names.into_iter().map(start).collect::<Fallible<Vec<_>>>()?;
    for number in 0..30 {
        world.create_role(&main, &format!("role {number}"))?;
        if number % 2 == 0 {
            world.delete_role(&main, &format!("role {number}"))?;
        }
    }
    // The first goes with its lease; the others have to wait for its end, and no longer.
    world.stop();
    world.create_role(&main, "after")?;
    world.settle()?;
    others.into_iter().for_each(Executor::stop);
    for number in 0..30 {
        let name = format!("role {number}");
        let password = world.passwords[&main].get(&name);
        let accepted = log_in(&elsewhere.login, &name, password.map_or("none", |password| password), "neondb");
        assert_eq!(accepted.is_ok(), number % 2 == 1, "{name}: {accepted:?}");
    }
    log_in(&elsewhere.login, "after", &world.passwords[&main]["after"], "neondb")?;
    Ok(())
}

#[test]
fn a_standby_is_compared_and_never_changed() -> TestResult {
    let elsewhere = Elsewhere::start(32_003)?;
    let mut world = World::with_list(elsewhere.list())?;
    let main = world.main.clone();
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    elsewhere.give_to(&endpoint)?;
    world.settle()?;
    elsewhere.stand_by()?;
    // It has all that it is to have.
    world.catalog.endpoint_start(&world.caller, &world.project, &endpoint)?;
    world.settle()?;
    world.create_role(&main, "sally")?;
    let behind = |operation: &offshoot_catalog::Operation| {
        operation.error.as_ref().is_some_and(|error| error.contains("is a standby") && error.contains("role \"sally\""))
    };
    world.wait_for(behind)?;
    Ok(())
}
