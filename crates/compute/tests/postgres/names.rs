//! Names of any kind.

use std::collections::BTreeSet;

use offshoot_catalog::{DatabaseName, RoleName};
use proptest::{
    prelude::{Strategy, any},
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::common::{TestResult, World, query};

/// Names that would do harm, or would be changed, where they are not quoted as they have to be.
const HOSTILE: &[&str] = &[
    r#"x"; drop role y; --"#,
    "x'; drop role y; --",
    r"\",
    r"a\'b",
    r#"""#,
    "'",
    "$$",
    "$offshoot$; select 1; $offshoot$",
    "select",
    "user",
    "UPPER lower",
    " leading and trailing ",
    "new\nline\tand tab",
    "Ünï cödé",
    "数据库",
    "👩‍👩‍👧",
    "%s %I %%",
    "a/b?c=d&e#f",
    "63_bytes_63_bytes_63_bytes_63_bytes_63_bytes_63_bytes_63_bytes_6",
];

#[test]
fn names_that_try_to_break_out_of_their_quotes_are_just_names() -> TestResult {
    let names = HOSTILE.iter().map(|name| name.chars().take(63).collect::<String>());
    check(names.filter(|name| RoleName::new(name.as_str()).is_ok()).collect())
}

#[test]
fn fifty_random_names_are_created_exactly_as_they_are() -> TestResult {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let name = any::<String>().prop_map(|text| {
        let text: String = text.chars().filter(|character| *character != '\0').collect();
        text[..text.floor_char_boundary(63)].to_owned()
    });
    let is_free = |name: &String| !name.is_empty() && !name.starts_with("pg_") && !name.starts_with("databricks_");
    let names = proptest::collection::btree_set(name.prop_filter("not a name", is_free), 50);
    let names = names.new_tree(&mut runner).map_err(|reason| reason.to_string())?.current();
    eprintln!("the names are {names:?}");
    check(names)
}

/// Creates roles and a database of each name, resets and deletes some, and looks at what the server has.
fn check(names: BTreeSet<String>) -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    for name in &names {
        world.create_role(&main, name)?;
    }
    let databases: Vec<&String> = names.iter().step_by(5).collect();
    for name in &databases {
        let owner = RoleName::new(name.as_str())?;
        world.catalog.database_create(
            &world.caller,
            &world.project,
            &main,
            DatabaseName::new(name.as_str())?,
            owner,
        )?;
    }
    world.check_after_settling()?;
    let login = world.login(&main)?;
    let roles = "SELECT rolname::text FROM pg_roles WHERE NOT starts_with(rolname, 'pg_') \
                 AND rolname NOT IN ('cloud_admin', 'neon_superuser', 'web_access', 'casey')";
    assert_eq!(BTreeSet::from_iter(query(&login, "postgres", roles)?), names);
    let owned = "SELECT datname::text FROM pg_database d JOIN pg_roles r ON r.oid = datdba WHERE rolname = datname";
    let found = query(&login, "postgres", owned)?;
    assert_eq!(BTreeSet::from_iter(&found), BTreeSet::from_iter(databases.iter().copied()));

    for name in names.iter().step_by(3) {
        world.reset(&main, name)?;
    }
    for name in &databases {
        world.catalog.database_delete(&world.caller, &world.project, &main, &DatabaseName::new(name.as_str())?)?;
    }
    let kept: BTreeSet<String> = names.iter().skip(1).step_by(2).cloned().collect();
    for name in names.difference(&kept) {
        world.delete_role(&main, name)?;
    }
    world.check_after_settling()?;
    assert_eq!(BTreeSet::from_iter(query(&login, "postgres", roles)?), kept);
    assert_eq!(query(&login, "postgres", owned)?, Vec::<String>::new());
    Ok(())
}
