//! Failures, and what is done about them.

use offshoot_catalog::{OperationAction, OperationStatus};

use crate::common::{TestResult, World, admin, log_in, query};

#[test]
fn an_operation_that_fails_is_tried_again_until_it_succeeds() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    // Nobody is let in until the way is cleared.
    admin(&login, "postgres")?.run("CREATE ROLE sally SUPERUSER")?;
    world.create_role(&main, "sally")?;
    let failed = world.wait_for(|operation| operation.status == OperationStatus::Failed)?;
    assert!(failed.failures_count > 0 && failed.retry_at.is_some() && failed.error.is_some(), "{failed:?}");
    admin(&login, "postgres")?.run("ALTER ROLE sally NOSUPERUSER")?;
    let operations = world.settle()?;
    assert_eq!(operations[0].status, OperationStatus::Finished);
    assert!(operations[0].failures_count > 0);
    world.check_logins()
}

#[test]
fn what_an_attempt_that_failed_left_behind_is_taken_away() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    // The roles are made before the database fails, for its name is taken by another that is marked as the branch's.
    admin(&login, "postgres")?.run("CREATE DATABASE taken")?;
    admin(&login, "postgres")?.run("ALTER DATABASE taken SET offshoot.database TO '1'")?;
    world.stop();
    world.create_role(&main, "passing")?;
    let database = "taken".parse()?;
    world.catalog.database_create(&world.caller, &world.project, &main, database, "casey".parse()?)?;
    world.start()?;
    let failed = world.wait_for(|operation| operation.failures_count > 0)?;
    assert!(failed.error.is_some_and(|error| error.contains("\"taken\"")));
    log_in(&login, "passing", &world.passwords[&main]["passing"], "postgres")?;
    world.delete_role(&main, "passing")?;
    world.catalog.database_delete(&world.caller, &world.project, &main, &"taken".parse()?)?;
    let operations = world.settle()?;
    let unfinished = |operation: &&offshoot_catalog::Operation| operation.status != OperationStatus::Finished;
    assert_eq!(operations.iter().find(unfinished), None);
    world.check_logins()
}

#[test]
fn a_new_change_does_not_wait_until_an_old_failure_is_tried_again() -> TestResult {
    let mut options = World::options();
    options.retries.first = chrono::TimeDelta::hours(1);
    options.retries.longest = chrono::TimeDelta::hours(1);
    let mut world = World::with(options)?;
    let main = world.main.clone();
    world.settle()?;
    admin(&world.login(&main)?, "postgres")?.run("CREATE ROLE sally SUPERUSER")?;
    world.create_role(&main, "sally")?;
    world.wait_for(|operation| operation.status == OperationStatus::Failed)?;
    world.delete_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    world.settle()?;
    world.check_logins()
}

#[test]
fn a_start_that_a_suspension_follows_is_not_done() -> TestResult {
    let mut world = World::new()?;
    world.settle()?;
    world.stop();
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    world.catalog.computes_suspend(std::slice::from_ref(&endpoint))?;
    world.start()?;
    let operations = world.settle()?;
    let last = &operations[0];
    assert_eq!((last.action, last.status), (OperationAction::SuspendCompute, OperationStatus::Finished));
    Ok(())
}

#[test]
fn finished_operations_are_forgotten_after_their_time() -> TestResult {
    let mut options = World::options();
    options.keep_finished = chrono::TimeDelta::zero();
    let world = World::with(options)?;
    world.settle()?;
    world.catalog.operations_prune(chrono::Utc::now())?;
    assert_eq!(world.settle()?, []);
    Ok(())
}

#[test]
fn what_is_to_be_applied_is_read_only_when_nobody_else_changes_the_server() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    let other = admin(&login, "postgres")?;
    other.run("SELECT pg_advisory_lock(x'6f666673686f6f74'::bigint)")?;
    world.create_role(&main, "early")?;
    let waiting = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while query(&login, "postgres", waiting)? != ["1"] {
        assert!(!world.catalog.operations_open(1)?.is_empty(), "it did not wait");
    }
    assert_eq!(query(&login, "postgres", "SELECT rolname::text FROM pg_roles WHERE rolname = 'early'")?, [""; 0]);
    // What comes before the lock is free is what is applied, all of it by the first operation and in one commit.
    world.delete_role(&main, "early")?;
    for number in 0..20 {
        world.create_role(&main, &format!("role {number}"))?;
    }
    other.run("SELECT pg_advisory_unlock_all()")?;
    let operations = world.settle()?;
    let finished: std::collections::BTreeSet<_> =
        operations[..22].iter().map(|operation| (operation.status, operation.finished_at)).map(|of| of.1).collect();
    assert_eq!(finished.len(), 1, "{operations:?}");
    world.check_logins()
}

#[test]
fn applying_all_of_a_branch_again_changes_nothing() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    for name in ["sally", "bob"] {
        world.create_role(&main, name)?;
    }
    world.settle()?;
    let login = world.login(&main)?;
    // Each row of a catalog has the number of the transaction that wrote it last.
    let rows = "SELECT concat_ws(' ', oid, xmin, rolname, rolpassword) FROM pg_authid \
                UNION ALL SELECT concat_ws(' ', roleid, member, xmin) FROM pg_auth_members \
                UNION ALL SELECT concat_ws(' ', oid, xmin, datname) FROM pg_database \
                UNION ALL SELECT concat_ws(' ', setdatabase, xmin) FROM pg_db_role_setting ORDER BY 1";
    let before = query(&login, "postgres", rows)?;
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    for _ in 0..2 {
        world.catalog.endpoint_start(&world.caller, &world.project, &endpoint)?;
        world.settle()?;
    }
    assert_eq!(query(&login, "postgres", rows)?, before);
    world.check_logins()
}
