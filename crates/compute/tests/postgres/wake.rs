//! Computes that sleep, and who wakes them.

use std::{net::TcpListener, thread, time::Duration};

use offshoot_catalog::{ComputeState, EndpointId, EndpointUpdate, OperationAction, OperationStatus};
use offshoot_compute::Patience;

use crate::common::{Connected, Fallible, Login, TestResult, World, admin, knock, knock_until_heard, log_in_over, say};

/// The beginning of a session without TLS.
const STARTUP: &[u8] = b"\0\0\0\x0d\0\x03\0\0user\0";

/// What asks for TLS.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

/// A world whose compute is suspended.
fn asleep(mut world: World) -> Fallible<(World, EndpointId, Login)> {
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.settle()?;
    suspend(&world, &endpoint)?;
    let login = world.login(&main)?;
    Ok((world, endpoint, login))
}

fn suspend(world: &World, endpoint: &EndpointId) -> TestResult {
    world.catalog.endpoint_suspend(&world.caller, &world.project, endpoint)?;
    world.settle()?;
    Ok(())
}

fn disable(world: &World, endpoint: &EndpointId, disabled: bool) -> TestResult {
    let update = EndpointUpdate { disabled: Some(disabled), ..EndpointUpdate::default() };
    world.catalog.endpoint_update(&world.caller, &world.project, endpoint, update)?;
    Ok(())
}

fn starts(world: &World) -> Fallible<usize> {
    let page = world.catalog.operation_list(&world.caller, &world.project, None, usize::MAX)?;
    Ok(page.items.iter().filter(|operation| operation.action == OperationAction::StartCompute).count())
}

fn enter(world: &World, login: &Login) -> Fallible<Connected> {
    log_in_over(knock_until_heard(login), login, "sally", &world.passwords[&world.main]["sally"])
}

#[test]
fn who_connects_to_a_suspended_compute_wakes_it_and_is_let_in() -> TestResult {
    let (world, endpoint, login) = asleep(World::new()?)?;
    let before = starts(&world)?;
    let sally = log_in_over(knock(&login)?, &login, "sally", &world.passwords[&world.main]["sally"])?;
    assert_eq!(sally.texts("SELECT current_user::text")?, ["sally"]);
    assert_eq!(sally.texts("SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?, ["true"]);
    let operations = world.settle()?;
    let newest = operations.first().ok_or("no operation")?;
    assert_eq!((newest.action, newest.status), (OperationAction::StartCompute, OperationStatus::Finished));
    let woken = world.catalog.endpoint_get(&world.caller, &world.project, &endpoint)?;
    assert_eq!((woken.state, starts(&world)?), (ComputeState::Active, before + 1));
    // Others come by the same way now.
    enter(&world, &login)?.run("SELECT 1")?;

    // It is suspended and woken as often as one likes; who was connected is thrown out.
    suspend(&world, &endpoint)?;
    assert!(sally.run("SELECT 1").is_err());
    enter(&world, &login)?.run("SELECT 1")?;
    world.check_logins()
}

#[test]
fn those_who_come_together_are_all_let_in_and_wake_it_once() -> TestResult {
    let (world, _, login) = asleep(World::new()?)?;
    let before = starts(&world)?;
    let streams = (0..20).map(|_| knock(&login)).collect::<Fallible<Vec<_>>>()?;
    let password = world.passwords[&world.main]["sally"].as_str();
    let login = &login;
    let enter = |stream| move || log_in_over(stream, login, "sally", password).map_err(|error| error.to_string());
    let entered: Vec<_> = thread::scope(|scope| {
        let entering: Vec<_> = streams.into_iter().map(|stream| scope.spawn(enter(stream))).collect();
        entering.into_iter().map(|entering| entering.join()).collect()
    });
    for entered in entered {
        entered.map_err(|_| "a client panicked")??.run("SELECT 1")?;
    }
    world.settle()?;
    assert_eq!(starts(&world)?, before + 1);
    Ok(())
}

#[test]
fn who_does_not_begin_as_a_client_of_postgres_wakes_nobody() -> TestResult {
    let mut options = World::options();
    options.patience = Patience { first_bytes: Duration::from_millis(100), ..Patience::default() };
    let (world, _, login) = asleep(World::with(options)?)?;
    let before = starts(&world)?;
    for said in [&b""[..], &SSL_REQUEST[..7], b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\0\0\0\0\0"]
    {
        // It may have hung up before it read all of that.
        let answer = say(knock(&login)?, said).unwrap_or_default();
        assert_eq!(answer, "");
    }
    drop(knock(&login)?);
    world.settle()?;
    assert_eq!(starts(&world)?, before);
    enter(&world, &login)?.run("SELECT 1")
}

#[test]
fn who_connects_to_a_disabled_endpoint_is_told_so_until_it_is_enabled() -> TestResult {
    let (world, endpoint, login) = asleep(World::new()?)?;
    let before = starts(&world)?;
    disable(&world, &endpoint, true)?;
    world.settle()?;
    for said in [STARTUP, SSL_REQUEST] {
        let answer = say(knock_until_heard(&login), said)?;
        assert!(answer.starts_with('E') && answer.contains(&format!("{endpoint} is disabled")), "{answer}");
    }
    world.settle()?;
    assert_eq!(starts(&world)?, before);
    disable(&world, &endpoint, false)?;
    enter(&world, &login)?.run("SELECT 1")
}

#[test]
fn suspended_computes_can_be_woken_after_a_restart_and_not_while_nothing_runs() -> TestResult {
    let (mut world, _, login) = asleep(World::new()?)?;
    world.stop();
    assert!(knock(&login).is_err());
    world.start()?;
    enter(&world, &login)?.run("SELECT 1")
}

#[test]
fn who_waits_for_a_start_that_fails_is_told_and_the_next_one_is_let_in() -> TestResult {
    let (world, endpoint, login) = asleep(World::new()?)?;
    let settings = world.clusters().join(endpoint.as_str()).join("data/postgresql.auto.conf");
    let good = std::fs::read(&settings)?;
    std::fs::write(&settings, "nonsense")?;
    let answer = say(knock(&login)?, STARTUP)?;
    assert!(answer.contains("57P03") && answer.contains("could not be started"), "{answer}");
    let failed = world.wait_for(|operation| operation.error.is_some())?;
    assert_eq!(failed.action, OperationAction::StartCompute);
    std::fs::write(&settings, good)?;
    // Be it that the next try is under way by then, or that this one asks for it.
    world.settle()?;
    enter(&world, &login)?.run("SELECT 1")
}

#[test]
fn a_port_that_another_program_had_meanwhile_is_listened_on_when_it_is_free() -> TestResult {
    let (mut world, _, login) = asleep(World::new()?)?;
    world.stop();
    let other = TcpListener::bind(("127.0.0.1", login.port))?;
    let main = world.main.clone();
    world.create_role(&main, "bob")?;
    world.start()?;
    // It can neither be listened on nor given to the server, until the last try has failed.
    let operations = world.settle()?;
    assert!(operations.iter().any(|operation| operation.status == OperationStatus::Error), "{operations:?}");
    drop(other);
    enter(&world, &login)?.run("SELECT 1")?;
    world.settle()?;
    world.check_logins()
}

#[test]
fn a_woken_compute_that_is_used_is_not_suspended_until_it_is_used_no_more() -> TestResult {
    let mut options = World::options();
    options.suspend_after_seconds = 1;
    options.upkeep_every = Duration::from_millis(100);
    let (world, _, login) = asleep(World::with(options)?)?;
    let suspensions = |world: &World| -> Fallible<usize> {
        let operations = world.settle()?;
        Ok(operations.iter().filter(|operation| operation.action == OperationAction::SuspendCompute).count())
    };
    let sally = enter(&world, &login)?;
    let before = suspensions(&world)?;
    sally.run("SELECT pg_sleep(2.5)")?;
    assert_eq!(suspensions(&world)?, before);
    while suspensions(&world)? == before {
        let moment = world.catalog.moment();
        world.catalog.operations_wait(moment, Duration::from_secs(60));
    }
    enter(&world, &login)?.run("SELECT 1")
}

#[test]
fn a_door_goes_with_its_endpoint() -> TestResult {
    let (world, endpoint, login) = asleep(World::new()?)?;
    world.catalog.endpoint_delete(&world.caller, &world.project, &endpoint)?;
    world.settle_removals()?;
    assert!(knock(&login).is_err());
    assert!(admin(&login, "postgres").is_err());
    Ok(())
}
