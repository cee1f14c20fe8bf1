//! What becomes of databases on a server.

use offshoot_catalog::{DatabaseName, RoleName};

use crate::common::{Fallible, TestResult, World, admin, connect, query};

fn create(world: &World, name: &str, owner: &str) -> TestResult {
    let (name, owner) = (DatabaseName::new(name)?, RoleName::new(owner)?);
    world.catalog.database_create(&world.caller, &world.project, &world.main, name, owner)?;
    Ok(())
}

fn update(world: &World, name: &str, new: Option<&str>, owner: Option<&str>) -> TestResult {
    let new = new.map(DatabaseName::new).transpose()?;
    let owner = owner.map(RoleName::new).transpose()?;
    let name = DatabaseName::new(name)?;
    world.catalog.database_update(&world.caller, &world.project, &world.main, &name, new, owner)?;
    Ok(())
}

fn mark(world: &World, database: &str) -> TestResult {
    admin(&world.login(&world.main)?, database)?.run(&format!("CREATE TABLE public.was AS SELECT '{database}' AS name"))
}

fn was(world: &World, database: &str) -> Fallible<Vec<String>> {
    query(&world.login(&world.main)?, database, "SELECT name FROM public.was")
}

fn databases(world: &World) -> Fallible<Vec<String>> {
    let query_text = "SELECT datname || ' of ' || pg_get_userbyid(datdba) FROM pg_database \
                      WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname";
    query(&world.login(&world.main)?, "postgres", query_text)
}

#[test]
fn a_renamed_database_keeps_its_tables_also_where_names_are_exchanged_while_nothing_is_applied() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    create(&world, "a", "sally")?;
    create(&world, "b", "casey")?;
    world.check_after_settling()?;
    assert_eq!(databases(&world)?, ["a of sally", "b of casey", "neondb of casey"]);
    mark(&world, "a")?;
    mark(&world, "b")?;
    // Somebody who is connected does not keep it from being renamed.
    let _session = connect(&world.login(&main)?, "sally", &world.passwords[&main]["sally"], "a")?;

    world.stop();
    update(&world, "a", Some("other"), None)?;
    update(&world, "b", Some("a"), Some("sally"))?;
    update(&world, "other", Some("b"), Some("casey"))?;
    create(&world, "c \"quoted\"", "sally")?;
    world.start()?;
    world.check_after_settling()?;
    assert_eq!(databases(&world)?, ["a of sally", "b of casey", "c \"quoted\" of sally", "neondb of casey"]);
    assert_eq!((was(&world, "a")?, was(&world, "b")?), (vec!["b".to_owned()], vec!["a".to_owned()]));
    Ok(())
}

#[test]
fn a_database_that_is_deleted_and_created_again_is_empty() -> TestResult {
    let world = World::new()?;
    create(&world, "a", "casey")?;
    world.settle()?;
    mark(&world, "a")?;
    let name = DatabaseName::new("a")?;
    world.catalog.database_delete(&world.caller, &world.project, &world.main, &name)?;
    create(&world, "a", "casey")?;
    world.check_after_settling()?;
    assert!(was(&world, "a").is_err());
    Ok(())
}

#[test]
fn what_an_owner_sets_for_a_database_does_not_hold_for_the_administrator() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    create(&world, "trap", "casey")?;
    world.settle()?;
    let login = world.login(&main)?;
    let casey = connect(&login, "casey", &world.passwords[&main]["casey"], "trap")?;
    casey.run("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC")?;
    connect(&login, "sally", &world.passwords[&main]["sally"], "trap")?.run("CREATE TABLE evil.t (x int)")?;
    for setting in [
        "search_path TO evil, pg_catalog",
        "default_transaction_read_only TO on",
        "statement_timeout TO 1",
        "idle_session_timeout TO 1",
        "role TO casey",
        "row_security TO on",
        "standard_conforming_strings TO off",
    ] {
        casey.run(&format!("ALTER DATABASE trap SET {setting}"))?;
    }
    // A function of the owner's must not be taken for the system's by a superuser.
    casey.run(
        "SET default_transaction_read_only TO off; SET statement_timeout TO 0; \
         CREATE FUNCTION evil.starts_with(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN \
           RAISE 'a trap was stepped on by %', current_user; END $$",
    )?;
    world.delete_role(&main, "sally")?;
    update(&world, "trap", Some("sprung"), None)?;
    world.check_after_settling()?;
    let owner =
        "SELECT pg_catalog.pg_get_userbyid(relowner)::pg_catalog.text FROM pg_catalog.pg_class WHERE relname = 't'";
    let mended = admin(&login, "postgres")?;
    mended.run("ALTER DATABASE sprung RESET ALL")?;
    assert_eq!(query(&login, "sprung", owner)?, ["casey"]);
    Ok(())
}

#[test]
fn databases_made_in_sql_become_databases_of_the_branch_with_their_owners() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let login = world.login(&main)?;
    let password = world.passwords[&main]["casey"].clone();
    connect(&login, "casey", &password, "postgres")?.run("CREATE DATABASE shop")?;
    connect(&login, "casey", &password, "shop")?.run("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 'kept' AS x")?;
    let boss = admin(&login, "postgres")?;
    boss.run("CREATE ROLE sally LOGIN PASSWORD 'in-sql'")?;
    boss.run("CREATE DATABASE \"of sally\" OWNER sally")?;
    boss.run("CREATE DATABASE of_admin")?;
    boss.run("CREATE DATABASE of_another OWNER casey")?;
    boss.run("ALTER DATABASE of_another SET offshoot.database TO '1'")?;

    let operations = world.catalog.role_sync(&world.caller, &world.project, &main)?;
    world.settle()?;
    let result = world.catalog.role_sync_result(&world.caller, &world.project, operations[0].id)?.ok_or("no result")?;
    assert_eq!((result.roles.taken_count, result.databases.taken_count), (1, 2));
    assert_eq!(result.databases.taken, [DatabaseName::new("shop")?, DatabaseName::new("of sally")?]);
    let left: Vec<_> = result.databases.left.iter().map(|left| left.name.as_str()).collect();
    assert_eq!((left, result.databases.left_count), (vec!["of_admin", "of_another"], 2));
    assert!(result.databases.left[0].reason.contains("\"cloud_admin\""), "{:?}", result.databases.left);

    // They are the branch's: with what is in them, and set up like any other; a child has them, and empty.
    world.check_after_settling()?;
    assert_eq!(query(&login, "shop", "SELECT x FROM s.t")?, ["kept"]);
    let functions =
        "SELECT has_function_privilege('neon_superuser', 'pg_show_replication_origin_status()', 'EXECUTE')::text";
    assert_eq!(query(&login, "shop", functions)?, ["true"]);
    let child = world.fork(&main, offshoot_engine::Point::Head, world.passwords[&main].clone())?;
    world.check_after_settling()?;
    let of_child = "SELECT datname || ' of ' || pg_get_userbyid(datdba) FROM pg_database \
                    WHERE datname IN ('shop', 'of sally') ORDER BY 1";
    assert_eq!(query(&world.login(&child)?, "postgres", of_child)?, ["of sally of sally", "shop of casey"]);
    update(&world, "shop", Some("store"), Some("sally"))?;
    world.catalog.database_delete(&world.caller, &world.project, &main, &DatabaseName::new("of sally")?)?;
    world.check_after_settling()?;
    assert_eq!(query(&login, "store", "SELECT x FROM s.t")?, ["kept"]);
    let names: Vec<_> =
        databases(&world)?.into_iter().map(|name| name.split(' ').next().unwrap_or("").to_owned()).collect();
    assert_eq!(names, ["neondb", "of_admin", "of_another", "store"]);
    Ok(())
}
