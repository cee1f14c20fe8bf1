//! What becomes of roles on a server besides their logins.

use offshoot_catalog::{OperationAction, OperationStatus, RoleLogin};
use offshoot_compute::ExecutorOptions;

use crate::common::{TestResult, World, admin, connect, log_in, major, query};

#[test]
fn roles_have_what_the_privileged_group_gives_and_no_more() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    let no_login = "reporting".parse()?;
    world.catalog.role_create(&world.caller, &world.project, &main, no_login, RoleLogin::NoLogin)?;
    world.check_after_settling()?;
    let login = world.login(&main)?;
    let version = major(&login)?;
    let attributes = "SELECT concat_ws(' ', rolname, rolcanlogin, rolinherit, rolcreatedb, rolbypassrls, rolreplication, \
          rolsuper, pg_has_role(oid, 'neon_superuser', 'member'), rolpassword IS NULL, rolcreaterole) \
        FROM pg_authid WHERE rolname IN ('sally', 'reporting', 'web_access', 'neon_superuser') ORDER BY rolname";
    // Before PostgreSQL 16, CREATEROLE would let a role run programs as the server's user.
    let creates = if version >= 16 { "t" } else { "f" };
    let expected = [
        format!("neon_superuser f t t t t f t t {creates}"),
        format!("reporting f t t t t f t t {creates}"),
        format!("sally t t t t t f t f {creates}"),
        "web_access f t f f f f f t f".to_owned(),
    ];
    assert_eq!(query(&login, "postgres", attributes)?, expected);
    let groups = "SELECT concat_ws(' ', g.rolname, m.admin_option) FROM pg_auth_members m \
        JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member \
        WHERE r.rolname = 'neon_superuser' ORDER BY g.rolname";
    let since = [
        (16, "pg_create_subscription f"),
        (17, "pg_maintain f"),
        (14, "pg_monitor t"),
        (14, "pg_read_all_data f"),
        (18, "pg_signal_autovacuum_worker f"),
        (14, "pg_signal_backend t"),
        (14, "pg_write_all_data f"),
    ];
    let expected: Vec<_> = since.iter().filter(|(since, _)| version >= *since).map(|(_, group)| *group).collect();
    assert_eq!(query(&login, "postgres", groups)?, expected);
    for database in ["neondb", "postgres"] {
        let sally = connect(&login, "sally", &world.passwords[&main]["sally"], database)?;
        assert!(sally.run("GRANT pg_execute_server_program TO sally").is_err());
        sally.run("SELECT pg_show_replication_origin_status(); SELECT pg_export_snapshot()")?;
        if version >= 16 {
            sally.run("SELECT pg_log_standby_snapshot()")?;
        }
        admin(&login, database)?.run("CREATE TABLE public.of_admin (x int)")?;
        let passed_on = "GRANT SELECT ON public.of_admin TO web_access; INSERT INTO public.of_admin VALUES (1)";
        sally.run(passed_on)?;
        let creates = "SELECT has_schema_privilege('web_access', 'public', 'CREATE')::text";
        assert_eq!(query(&login, database, creates)?, ["true"]);
    }
    let sally = connect(&login, "sally", &world.passwords[&main]["sally"], "neondb")?;
    assert!(sally.run("CREATE SCHEMA s; CREATE TABLE s.t (x int); INSERT INTO s.t VALUES (1)").is_ok());
    Ok(())
}

#[test]
fn what_was_made_in_sql_is_left_alone_and_a_superuser_is_never_taken_over() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    admin(&login, "postgres")?
        .run("CREATE ROLE mine LOGIN PASSWORD 'in-sql'; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'")?;
    world.create_role(&main, "sally")?;
    world.delete_role(&main, "sally")?;
    world.check_after_settling()?;
    log_in(&login, "mine", "in-sql", "neondb")?;

    world.create_role(&main, "boss")?;
    let operations = world.settle()?;
    assert_eq!(operations[0].status, OperationStatus::Error, "{operations:?}");
    let error = operations[0].error.clone().unwrap_or_default();
    assert!(error.contains("a superuser named \"boss\""), "{error}");
    log_in(&login, "boss", "boss", "neondb")?;

    // The next change mends it.
    world.delete_role(&main, "boss")?;
    assert_eq!(world.settle()?[0].status, OperationStatus::Finished);
    log_in(&login, "boss", "boss", "neondb")?;
    world.check_logins()
}

#[test]
fn a_role_of_the_name_of_the_group_of_all_roles_is_refused_and_the_group_stays() -> TestResult {
    let options = ExecutorOptions { privileged_role: "ops".parse()?, ..World::options() };
    let mut world = World::with(options)?;
    let main = world.main.clone();
    world.settle()?;
    world.create_role(&main, "ops")?;
    let operations = world.settle()?;
    assert_eq!(operations[0].status, OperationStatus::Error, "{operations:?}");
    let error = operations[0].error.clone().unwrap_or_default();
    assert!(error.contains("a role named \"ops\", as the group"), "{error}");
    world.delete_role(&main, "ops")?;
    assert_eq!(world.settle()?[0].status, OperationStatus::Finished);
    let member = "SELECT pg_has_role('casey', 'ops', 'member')::text";
    assert_eq!(query(&world.login(&main)?, "postgres", member)?, ["true"]);
    Ok(())
}

#[test]
fn what_was_changed_in_sql_is_put_right_at_the_next_start() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.settle()?;
    let login = world.login(&main)?;
    let meddling = "ALTER ROLE sally PASSWORD 'other' NOCREATEDB; REVOKE neon_superuser FROM sally; \
                    ALTER ROLE casey NOLOGIN VALID UNTIL '2000-01-01'";
    admin(&login, "postgres")?.run(meddling)?;
    log_in(&login, "sally", "other", "neondb")?;
    world.stop();
    world.start()?;
    world.check_after_settling()?;
    assert_eq!(query(&login, "postgres", "SELECT rolcreatedb::text FROM pg_roles WHERE rolname = 'sally'")?, ["true"]);
    Ok(())
}

#[test]
fn what_a_later_release_sets_up_comes_to_servers_of_before() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    // As an earlier release left it.
    for database in ["neondb", "postgres"] {
        admin(&login, database)?.run(&format!(
            "ALTER DATABASE {database} RESET offshoot.setup; REVOKE CREATE ON SCHEMA public FROM web_access; \
             REVOKE EXECUTE ON FUNCTION pg_show_replication_origin_status FROM neon_superuser"
        ))?;
    }
    admin(&login, "postgres")?.run("REVOKE pg_monitor FROM neon_superuser")?;
    world.stop();
    world.start()?;
    world.check_after_settling()?;
    for database in ["neondb", "postgres"] {
        let casey = connect(&login, "casey", &world.passwords[&main]["casey"], database)?;
        casey.run("SELECT pg_show_replication_origin_status()")?;
        let creates = "SELECT has_schema_privilege('web_access', 'public', 'CREATE')::text";
        assert_eq!(query(&login, database, creates)?, ["true"]);
        let monitors = "SELECT pg_has_role('casey', 'pg_monitor', 'member')::text";
        assert_eq!(query(&login, database, monitors)?, ["true"]);
    }
    Ok(())
}

#[test]
fn five_hundred_roles_are_applied_together() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    for number in 0..500 {
        world.create_role(&main, &format!("role {number}"))?;
    }
    let operations = world.settle()?;
    let applied = operations.iter().filter(|operation| operation.action == OperationAction::ApplyConfig);
    assert_eq!(applied.filter(|operation| operation.status == OperationStatus::Finished).count(), 500);
    let login = world.login(&main)?;
    assert_eq!(
        query(&login, "postgres", "SELECT count(*)::text FROM pg_roles WHERE starts_with(rolname, 'role ')")?,
        ["500"]
    );
    for number in [0, 250, 499] {
        let name = format!("role {number}");
        log_in(&login, &name, &world.passwords[&main][&name], "neondb")?;
    }
    // A new server gets them all at once.
    let child = world.fork(&main, offshoot_engine::Point::Head, world.passwords[&main].clone())?;
    world.settle()?;
    let login = world.login(&child)?;
    log_in(&login, "role 499", &world.passwords[&child]["role 499"], "neondb")?;
    for number in 0..500 {
        world.delete_role(&child, &format!("role {number}"))?;
    }
    world.settle()?;
    assert_eq!(
        query(&login, "postgres", "SELECT count(*)::text FROM pg_roles WHERE starts_with(rolname, 'role ')")?,
        ["0"]
    );
    Ok(())
}

#[test]
fn roles_made_in_sql_become_roles_of_the_branch_with_their_passwords() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    admin(&login, "postgres")?.run(
        "CREATE ROLE sally LOGIN PASSWORD 'in-sql'; CREATE ROLE reporting; CREATE ROLE bare LOGIN; \
         SET password_encryption TO md5; CREATE ROLE old LOGIN PASSWORD 'old'",
    )?;
    let operations = world.catalog.role_sync(&world.caller, &world.project, &main)?;
    world.settle()?;
    let result = world.catalog.role_sync_result(&world.caller, &world.project, operations[0].id)?.ok_or("no result")?;
    let result = result.roles;
    assert_eq!(result.taken.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["reporting", "sally"]);
    assert_eq!((result.taken_count, result.left_count), (2, 2));
    assert_eq!(result.left[0].name, "bare");
    assert!(result.left[1].name == "old" && result.left[1].reason.contains("SCRAM-SHA-256"));

    // They are inherited like any other.
    log_in(&login, "sally", "in-sql", "neondb")?;
    let child = world.fork(&main, offshoot_engine::Point::Head, world.passwords[&main].clone())?;
    world.settle()?;
    log_in(&world.login(&child)?, "sally", "in-sql", "neondb")?;
    world.delete_role(&main, "sally")?;
    world.check_after_settling()?;
    assert!(log_in(&login, "sally", "in-sql", "neondb").is_err());

    // There is nothing left to take, and what was left is there still.
    let again = world.catalog.role_sync(&world.caller, &world.project, &main)?;
    world.settle()?;
    let result = world.catalog.role_sync_result(&world.caller, &world.project, again[0].id)?.ok_or("no result")?;
    assert_eq!((result.roles.taken_count, result.roles.left_count), (0, 2));
    log_in(&login, "old", "old", "neondb").err().ok_or("a password that is not SCRAM was accepted")?;
    Ok(())
}
