//! What becomes of what a role has when it is deleted.

use offshoot_catalog::{DatabaseName, RoleName};

use crate::common::{Fallible, Login, TestResult, World, admin, connect, major, query};

/// A world with the roles sally and bob, and the database `other`, which is bob's.
fn world() -> Fallible<(World, Login)> {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    let (name, owner) = (DatabaseName::new("other")?, RoleName::new("bob")?);
    world.catalog.database_create(&world.caller, &world.project, &main, name, owner)?;
    world.settle()?;
    let login = world.login(&main)?;
    Ok((world, login))
}

fn run_as(world: &World, role: &str, database: &str, statements: &str) -> TestResult {
    connect(&world.login(&world.main)?, role, &world.passwords[&world.main][role], database)?.run(statements)
}

fn delete_sally(world: &mut World) -> TestResult {
    let main = world.main.clone();
    world.delete_role(&main, "sally")?;
    world.check_after_settling()
}

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
fn what_it_owned_goes_to_the_owner_of_each_database() -> TestResult {
    let (mut world, login) = world()?;
    for database in ["neondb", "other"] {
        run_as(
            &world,
            "sally",
            database,
            "CREATE SCHEMA s; CREATE TABLE s.t (x serial); CREATE TYPE s.e AS ENUM ('a'); CREATE DOMAIN s.d AS int; \
             CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1'; CREATE PUBLICATION p; SELECT lo_create(4711); \
             CREATE STATISTICS s.st ON x, (x + 1) FROM s.t",
        )?;
    }
    // Nobody can connect to it, not even a superuser.
    admin(&login, "postgres")?.run("ALTER DATABASE other ALLOW_CONNECTIONS false")?;
    delete_sally(&mut world)?;
    let closed = "SELECT datallowconn::text FROM pg_database WHERE datname = 'other'";
    assert_eq!(query(&login, "postgres", closed)?, ["false"]);
    admin(&login, "postgres")?.run("ALTER DATABASE other ALLOW_CONNECTIONS true")?;
    for (database, owner) in [("neondb", "casey"), ("other", "bob")] {
        let owners = "SELECT DISTINCT pg_get_userbyid(owner)::text FROM ( \
            SELECT nspowner AS owner FROM pg_namespace WHERE nspname = 's' \
            UNION ALL SELECT relowner FROM pg_class WHERE relnamespace = 's'::regnamespace \
            UNION ALL SELECT typowner FROM pg_type WHERE typnamespace = 's'::regnamespace \
            UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 's'::regnamespace \
            UNION ALL SELECT stxowner FROM pg_statistic_ext \
            UNION ALL SELECT pubowner FROM pg_publication \
            UNION ALL SELECT lomowner FROM pg_largeobject_metadata WHERE oid = 4711) owned";
        assert_eq!(query(&login, database, owners)?, [owner]);
    }
    Ok(())
}

#[test]
fn what_others_granted_to_it_is_taken_back_whoever_granted_it() -> TestResult {
    let (mut world, login) = world()?;
    let objects = "CREATE SCHEMA s; CREATE TABLE s.t (x serial, \"the y\" int); \
        CREATE FUNCTION s.f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE s.e AS ENUM ('a'); \
        SELECT lo_create(4711);";
    let granted = |role: &str, option: &str| {
        format!(
            "GRANT SELECT, UPDATE ON s.t TO {role} {option}; GRANT INSERT (x, \"the y\") ON s.t TO {role} {option}; \
             GRANT USAGE ON SEQUENCE s.t_x_seq TO {role} {option}; GRANT USAGE ON SCHEMA s TO {role} {option}; \
             GRANT EXECUTE ON FUNCTION s.f TO {role} {option}; GRANT USAGE ON TYPE s.e TO {role} {option}; \
             GRANT SELECT ON LARGE OBJECT 4711 TO {role} {option}; GRANT CONNECT ON DATABASE neondb TO {role} {option}"
        )
    };
    run_as(&world, "casey", "neondb", objects)?;
    run_as(&world, "casey", "neondb", &granted("bob", "WITH GRANT OPTION"))?;
    run_as(&world, "bob", "neondb", &granted("sally", "WITH GRANT OPTION"))?;
    run_as(&world, "sally", "neondb", &granted("web_access", ""))?;
    // In the schema public it is the group that grants.
    admin(&login, "neondb")?.run("CREATE TABLE public.g (x int)")?;
    run_as(&world, "bob", "neondb", "GRANT SELECT, DELETE ON public.g TO sally")?;
    delete_sally(&mut world)?;
    // The others have theirs still, but for what they had of her.
    let left = "SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl) \
                WHERE oid IN ('s.t'::regclass, 's.t_x_seq'::regclass) ORDER BY 1";
    assert_eq!(query(&login, "neondb", left)?, ["bob", "casey"]);
    let left =
        "SELECT DISTINCT grantee::regrole::text FROM pg_attribute, aclexplode(attacl) WHERE grantee <> 0 ORDER BY 1";
    assert_eq!(query(&login, "neondb", left)?, ["bob"]);
    Ok(())
}

#[test]
fn default_privileges_and_policies_lose_it_and_keep_the_others() -> TestResult {
    let (mut world, login) = world()?;
    run_as(
        &world,
        "casey",
        "neondb",
        "CREATE SCHEMA s; CREATE TABLE s.t (x int); ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY ours ON s.t TO sally, bob USING (true); CREATE POLICY hers ON s.t TO sally USING (true); \
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO sally, bob; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT EXECUTE ON FUNCTIONS TO sally",
    )?;
    run_as(&world, "sally", "neondb", "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO bob")?;
    delete_sally(&mut world)?;
    let policies = "SELECT polname || ' ' || polroles::regrole[]::text FROM pg_policy";
    assert_eq!(query(&login, "neondb", policies)?, ["ours {bob}"]);
    let defaults = "SELECT DISTINCT defaclrole::regrole || ' ' || grantee::regrole \
                    FROM pg_default_acl, aclexplode(defaclacl) WHERE defaclrole <> 'cloud_admin'::regrole ORDER BY 1";
    assert_eq!(query(&login, "neondb", defaults)?, ["casey bob", "casey casey"]);
    Ok(())
}

#[test]
fn nothing_of_it_comes_into_the_hands_of_a_superuser() -> TestResult {
    let (mut world, login) = world()?;
    let trap = "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC; \
        CREATE FUNCTION s.trap() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user::text'; \
        CREATE TABLE s.t (x int); CREATE VIEW s.v AS SELECT * FROM s.t";
    run_as(&world, "sally", "neondb", "CREATE DATABASE own")?;
    run_as(&world, "sally", "own", trap)?;
    admin(&login, "postgres")?.run("GRANT CREATE ON DATABASE postgres TO sally")?;
    run_as(&world, "sally", "postgres", trap)?;
    delete_sally(&mut world)?;
    for database in ["own", "postgres"] {
        let bob = connect(&login, "bob", &world.passwords[&world.main]["bob"], database)?;
        assert_eq!(bob.texts("SELECT s.trap()")?, ["neon_superuser"]);
        bob.run("SELECT * FROM s.v")?;
    }
    Ok(())
}

#[test]
fn what_only_superusers_may_own_is_handed_over_and_disabled() -> TestResult {
    let (mut world, login) = world()?;
    admin(&login, "postgres")?.run("ALTER ROLE sally SUPERUSER")?;
    run_as(
        &world,
        "sally",
        "neondb",
        "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$; \
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER r FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR sally SERVER r; \
         CREATE EVENT TRIGGER et ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.e()",
    )?;
    admin(&login, "postgres")?.run("ALTER ROLE sally NOSUPERUSER")?;
    delete_sally(&mut world)?;
    let owners = "SELECT concat_ws(' ', evtowner::regrole, evtenabled, fdwowner::regrole, srvowner::regrole, \
                    (SELECT count(*) FROM pg_user_mapping)) \
                  FROM pg_event_trigger, pg_foreign_data_wrapper, pg_foreign_server";
    assert_eq!(query(&login, "neondb", owners)?, ["cloud_admin D cloud_admin casey 0"]);
    Ok(())
}

/// Something to subscribe to that isn't there.
const SUBSCRIBE: &str = "CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1 dbname=no user=no password=no' \
                         PUBLICATION p WITH (connect = false)";

/// Lets sally subscribe. Before PostgreSQL 16 only superusers can.
fn subscribe(world: &World, login: &Login, database: &str) -> TestResult {
    let needs_superuser = major(login)? < 16;
    if needs_superuser {
        admin(login, "postgres")?.run("ALTER ROLE sally SUPERUSER")?;
    }
    run_as(world, "sally", database, SUBSCRIBE)?;
    if needs_superuser {
        admin(login, "postgres")?.run("ALTER ROLE sally NOSUPERUSER")?;
    }
    Ok(())
}

#[test]
fn a_subscription_that_it_owned_is_handed_over() -> TestResult {
    let (mut world, login) = world()?;
    // The first of the databases is another one.
    run_as(&world, "sally", "neondb", "CREATE SCHEMA s")?;
    subscribe(&world, &login, "other")?;
    delete_sally(&mut world)?;
    let owner = "SELECT subowner::regrole::text FROM pg_subscription";
    let expected = if major(&login)? < 16 { "cloud_admin" } else { "bob" };
    assert_eq!(query(&login, "postgres", owner)?, [expected]);
    Ok(())
}

#[test]
fn a_database_that_subscribes_to_something_can_be_deleted() -> TestResult {
    let (world, login) = world()?;
    subscribe(&world, &login, "other")?;
    // Its owner can make it hard to drop.
    admin(&login, "postgres")?.run("ALTER DATABASE other IS_TEMPLATE true ALLOW_CONNECTIONS false")?;
    world.catalog.database_delete(&world.caller, &world.project, &world.main, &DatabaseName::new("other")?)?;
    world.check_after_settling()?;
    let left =
        "SELECT datname::text FROM pg_database WHERE datname = 'other' UNION SELECT subname FROM pg_subscription";
    assert_eq!(query(&login, "postgres", left)?, Vec::<String>::new());
    Ok(())
}
