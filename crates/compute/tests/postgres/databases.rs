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
