//! What becomes of roles on a server besides their logins.

use offshoot_catalog::{OperationAction, OperationStatus, RoleLogin};

use crate::common::{TestResult, World, admin, connect, log_in, query};

#[test]
fn a_role_that_owns_tables_can_be_deleted_and_its_tables_remain() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.settle()?;
    let login = world.login(&main)?;
    let password = &world.passwords[&main]["sally"];
    let made_by_sally = "CREATE SCHEMA s; SET search_path TO s; \
        CREATE TABLE t (x text); INSERT INTO t VALUES ('kept'); CREATE VIEW s.v AS SELECT * FROM t; \
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
        CREATE POLICY p ON t TO sally USING (true)";
    connect(&login, "sally", password, "neondb")?.run(made_by_sally)?;
    let sally = connect(&login, "sally", password, "neondb")?;
    sally.run("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO web_access")?;
    sally.run("CREATE DATABASE own")?;
    connect(&login, "sally", password, "own")?.run("CREATE TABLE public.o AS SELECT 'kept' AS x")?;
    let given = "CREATE TABLE g (x int); GRANT ALL ON g TO sally; GRANT CREATE ON SCHEMA public TO sally";
    admin(&login, "postgres")?.run(given)?;
    admin(&login, "postgres")?.run("GRANT CONNECT ON DATABASE neondb TO sally; GRANT sally TO casey")?;
    let session = connect(&login, "sally", password, "neondb")?;

    world.delete_role(&main, "sally")?;
    world.check_after_settling()?;
    assert!(session.texts("SELECT 'still there'").is_err());
    assert_eq!(query(&login, "neondb", "SELECT x FROM s.v")?, ["kept"]);
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 't'";
    assert_eq!(query(&login, "neondb", owner)?, ["casey"]);
    assert_eq!(query(&login, "own", "SELECT x FROM public.o")?, ["kept"]);
    let owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'own'";
    assert_eq!(query(&login, "postgres", owner)?, ["cloud_admin"]);
    Ok(())
}

#[test]
fn roles_have_what_the_privileged_group_gives_and_no_more() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    let no_login = "reporting".parse()?;
    world.catalog.role_create(&world.caller, &world.project, &main, no_login, RoleLogin::NoLogin)?;
    world.check_after_settling()?;
    let login = world.login(&main)?;
    let attributes = "SELECT concat_ws(' ', rolname, rolcanlogin, rolinherit, rolcreatedb, rolbypassrls, rolreplication, \
          rolsuper, pg_has_role(oid, 'neon_superuser', 'member'), rolpassword IS NULL) \
        FROM pg_authid WHERE rolname IN ('sally', 'reporting', 'web_access', 'neon_superuser') ORDER BY rolname";
    let expected = [
        "neon_superuser f t t t t f t t",
        "reporting f t t t t f t t",
        "sally t t t t t f t f",
        "web_access f t f f f f f t",
    ];
    assert_eq!(query(&login, "postgres", attributes)?, expected);
    // Before PostgreSQL 16, CREATEROLE would let a role run programs as the server's user.
    let sally = connect(&login, "sally", &world.passwords[&main]["sally"], "neondb")?;
    assert!(sally.run("GRANT pg_execute_server_program TO sally").is_err());
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
fn what_was_changed_in_sql_is_put_right_at_the_next_start() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.settle()?;
    let login = world.login(&main)?;
    let meddling = "ALTER ROLE sally PASSWORD 'other'; ALTER ROLE casey NOLOGIN VALID UNTIL '2000-01-01'; \
                    REVOKE neon_superuser FROM sally";
    admin(&login, "postgres")?.run(meddling)?;
    log_in(&login, "sally", "other", "neondb")?;
    world.stop();
    world.start()?;
    world.check_after_settling()
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
    assert_eq!((result.taken_count, result.left_count), (0, 2));
    log_in(&login, "old", "old", "neondb").err().ok_or("a password that is not SCRAM was accepted")?;
    Ok(())
}
