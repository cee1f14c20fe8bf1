//! The main job from one end to the other.

use offshoot_engine::{Point, SledOptions, SledStore};
use secrecy::ExposeSecret;

use super::{TestResult, World, in_short};
use crate::{NewProject, RoleLogin};

#[test]
fn a_new_project_has_what_is_needed_to_log_in() -> TestResult {
    let world = World::new()?;
    let created = world.catalog.project_create(&world.caller, NewProject::default())?;
    assert_eq!((created.branch.name.as_str(), created.branch.default), ("main", true));
    assert_eq!(created.branch.parent, None);
    let [owner, system] = created.roles.as_slice() else { panic!("two roles") };
    assert_eq!((owner.role.name.as_str(), owner.role.protected), ("casey", false));
    assert!(owner.password.as_ref().is_some_and(|password| password.expose_secret().len() >= 16));
    assert_eq!((system.role.name.as_str(), system.role.protected), ("web_access", true));
    assert_eq!((system.role.login, system.password.is_none()), (RoleLogin::NoLogin, true));
    let [database] = created.databases.as_slice() else { panic!("one database") };
    assert_eq!((database.name.as_str(), &database.owner), ("neondb", &owner.role.name));
    let [endpoint] = created.endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!((endpoint.kind.to_string(), endpoint.state.to_string()), ("read_write".into(), "init".into()));
    assert_eq!(in_short(&created.operations), ["create_timeline running", "start_compute scheduling"]);

    let (project, main) = (&created.project.id, &created.branch.id);
    let listed = world.catalog.role_list(&world.caller, project, main)?;
    assert_eq!(listed, [owner.role.clone(), system.role.clone()]);
    assert_eq!(world.catalog.database_list(&world.caller, project, main)?, created.databases);
    assert_eq!(world.catalog.endpoint_list(&world.caller, project)?, created.endpoints);
    assert_eq!(world.catalog.project_get(&world.caller, project)?, created.project);
    Ok(())
}

#[test]
fn a_role_lives_on_its_branch_and_on_the_children_that_saw_it() -> TestResult {
    let world = World::new()?;
    let before_sally = world.pass();
    let sally = world.create_role(&world.main, "sally")?;
    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "sally"]);
    let with_sally = world.pass();
    let reset = world.reset(&world.main, "sally")?;
    assert_eq!(reset.created_at, sally.created_at);
    assert!(reset.updated_at > sally.updated_at);
    assert_ne!(reset.verifier, sally.verifier);
    let after_reset = world.pass();
    assert_eq!(world.delete_role(&world.main, "sally")?, Some(reset.clone()));
    world.pass();

    let now = world.fork(&world.main, Point::Head)?;
    assert_eq!(world.role_names(&now.id)?, ["casey", "web_access"]);
    let none = world.fork(&world.main, Point::Time(before_sally))?;
    assert_eq!(world.role_names(&none.id)?, ["casey", "web_access"]);
    let old = world.fork(&world.main, Point::Time(with_sally))?;
    let inherited = world.role(&old.id, "sally")?;
    assert_eq!(inherited.branch, old.id);
    assert_eq!((inherited.created_at, inherited.verifier), (sally.created_at, sally.verifier));
    let new = world.fork(&world.main, Point::Time(after_reset))?;
    assert_eq!(world.role(&new.id, "sally")?.verifier, reset.verifier);
    assert_eq!(new.parent.map(|parent| (parent.id, parent.time)), Some((world.main.clone(), after_reset)));
    Ok(())
}

#[test]
fn a_branch_as_of_an_lsn_has_what_was_there_then() -> TestResult {
    let world = World::new()?;
    let child_before = world.fork(&world.main, Point::Head)?;
    let lsn_before = child_before.parent.ok_or("no parent")?.lsn;
    world.create_role(&world.main, "sally")?;
    let lsn_with = world.fork(&world.main, Point::Head)?.parent.ok_or("no parent")?.lsn;
    assert!(lsn_with > lsn_before);
    world.delete_role(&world.main, "sally")?;

    let before = world.fork(&world.main, Point::Lsn(lsn_before))?;
    assert_eq!(world.role_names(&before.id)?, ["casey", "web_access"]);
    let with = world.fork(&world.main, Point::Lsn(lsn_with))?;
    assert_eq!(world.role_names(&with.id)?, ["casey", "web_access", "sally"]);
    assert_eq!(with.parent.map(|parent| parent.lsn), Some(lsn_with));
    Ok(())
}

#[test]
fn parent_and_child_never_see_each_others_changes() -> TestResult {
    let world = World::new()?;
    let sally = world.create_role(&world.main, "sally")?;
    let child = world.fork(&world.main, Point::Head)?.id;

    world.create_role(&child, "only_child")?;
    world.create_role(&world.main, "only_parent")?;
    let parents = world.reset(&world.main, "sally")?;
    assert_eq!(world.role(&child, "sally")?.verifier, sally.verifier);
    let childs = world.reset(&child, "sally")?;
    assert_eq!(world.role(&world.main, "sally")?.verifier, parents.verifier);
    world.delete_role(&world.main, "sally")?;
    assert_eq!(world.role(&child, "sally")?.verifier, childs.verifier);

    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "only_parent"]);
    assert_eq!(world.role_names(&child)?, ["casey", "web_access", "sally", "only_child"]);
    Ok(())
}

#[test]
fn a_child_of_a_child_begins_with_what_the_child_has() -> TestResult {
    let world = World::new()?;
    let mut branch = world.main.clone();
    for generation in 0..50 {
        world.create_role(&branch, &format!("role_{generation:02}"))?;
        branch = world.fork(&branch, Point::Head)?.id;
    }
    assert_eq!(world.role_names(&branch)?.len(), 52);
    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "role_00"]);
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_when_the_store_is_opened_again() -> TestResult {
    let directory = tempfile::tempdir()?;
    let open = || SledStore::open(directory.path(), &SledOptions::default());
    let world = World::over(open()?)?;
    world.create_role(&world.main, "sally")?;
    let child = world.fork(&world.main, Point::Head)?.id;
    let (roles, operations) = (world.roles(&child)?, world.operations()?);
    let world = world.reopen(open, 2)?;
    assert_eq!((world.roles(&child)?, world.operations()?), (roles, operations));
    Ok(())
}
