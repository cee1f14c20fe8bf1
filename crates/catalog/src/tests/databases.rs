use offshoot_engine::Point;

use super::{TestResult, World, code, in_short};
use crate::{BranchId, DatabaseChanged, Error};

fn create(world: &World, branch: &BranchId, name: &str, owner: &str) -> Result<DatabaseChanged, Error> {
    world.catalog.database_create(&world.caller, &world.project, branch, name.parse()?, owner.parse()?)
}

fn update(world: &World, name: &str, new: Option<&str>, owner: Option<&str>) -> Result<DatabaseChanged, Error> {
    let new = new.map(str::parse).transpose()?;
    let owner = owner.map(str::parse).transpose()?;
    world.catalog.database_update(&world.caller, &world.project, &world.main, &name.parse()?, new, owner)
}

fn names(world: &World, branch: &BranchId) -> Result<Vec<String>, Error> {
    let databases = world.catalog.database_list(&world.caller, &world.project, branch)?;
    Ok(databases.into_iter().map(|database| format!("{} of {}", database.name, database.owner)).collect())
}

#[test]
fn databases_are_created_changed_and_deleted_on_one_branch() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let child = world.fork(&world.main, Point::Head)?.id;
    let created = create(&world, &world.main, "app", "sally")?;
    assert_eq!(in_short(&created.operations), ["apply_config running", "suspend_compute scheduling"]);
    world.pass();
    let changed = update(&world, "app", Some("shop"), Some("casey"))?;
    assert_eq!((changed.database.id, changed.database.created_at), (created.database.id, created.database.created_at));
    assert!(changed.database.updated_at > created.database.updated_at);
    assert_eq!(names(&world, &world.main)?, ["neondb of casey", "shop of casey"]);
    let deleted = world.catalog.database_delete(&world.caller, &world.project, &world.main, &"neondb".parse()?)?;
    assert_eq!(deleted.map(|deleted| deleted.database.name.to_string()).as_deref(), Some("neondb"));
    assert_eq!(names(&world, &world.main)?, ["shop of casey"]);
    assert_eq!(names(&world, &child)?, ["neondb of casey"]);
    Ok(())
}

#[test]
fn a_patch_that_changes_nothing_schedules_nothing() -> TestResult {
    let world = World::new()?;
    let operations = world.operations()?;
    for (name, owner) in [(None, None), (Some("neondb"), Some("casey"))] {
        let changed = update(&world, "neondb", name, owner)?;
        assert_eq!((changed.operations, changed.database.owner.as_str()), (Vec::new(), "casey"));
    }
    assert_eq!(world.operations()?, operations);
    Ok(())
}

#[test]
fn refusals_change_nothing() -> TestResult {
    let world = World::new()?;
    create(&world, &world.main, "app", "casey")?;
    let (databases, operations) = (names(&world, &world.main)?, world.operations()?);
    assert_eq!(code(create(&world, &world.main, "app", "casey")), "DATABASE_ALREADY_EXISTS");
    assert_eq!(code(create(&world, &world.main, "template1", "casey")), "DATABASE_NAME_RESERVED");
    assert_eq!(code(create(&world, &world.main, &"x".repeat(64), "casey")), "DATABASE_NAME_TOO_LONG");
    assert_eq!(code(create(&world, &world.main, "", "casey")), "DATABASE_NAME_EMPTY");
    assert_eq!(code(create(&world, &world.main, "new", "absent")), "ROLE_NOT_FOUND");
    assert_eq!(code(create(&world, &world.main, "new", "web_access")), "ROLE_PROTECTED");
    assert_eq!(code(update(&world, "app", Some("neondb"), None)), "DATABASE_ALREADY_EXISTS");
    assert_eq!(code(update(&world, "app", Some("postgres"), None)), "DATABASE_NAME_RESERVED");
    assert_eq!(code(update(&world, "app", None, Some("absent"))), "ROLE_NOT_FOUND");
    assert_eq!(code(update(&world, "absent", Some("x"), None)), "DATABASE_NOT_FOUND");
    let absent = &"absent".parse()?;
    assert_eq!(
        code(world.catalog.database_get(&world.caller, &world.project, &world.main, absent)),
        "DATABASE_NOT_FOUND"
    );
    assert_eq!(world.catalog.database_delete(&world.caller, &world.project, &world.main, absent)?, None);
    assert_eq!((names(&world, &world.main)?, world.operations()?), (databases, operations));
    Ok(())
}

#[test]
fn a_databases_number_stays_and_differs_between_branches() -> TestResult {
    let world = World::new()?;
    let child = world.fork(&world.main, Point::Head)?.id;
    let get = |branch| world.catalog.database_get(&world.caller, &world.project, branch, &"neondb".parse()?);
    let (parents, childs) = (get(&world.main)?, get(&child)?);
    assert_ne!(parents.id, childs.id);
    assert_eq!(get(&child)?.id, childs.id);
    assert!(parents.id < 1 << 53 && childs.id < 1 << 53);
    assert_eq!(parents.created_at, childs.created_at);
    Ok(())
}
