use super::{TestResult, World, code};
use crate::{Caller, EndpointDefaults, NewProject, OperationAction, ProjectQuery, ProjectUpdate};

#[test]
fn a_project_is_created_as_the_request_says() -> TestResult {
    let world = World::new()?;
    let new = NewProject {
        name: Some("shop".parse()?),
        branch_name: Some("production".parse()?),
        role_name: Some("sally".parse()?),
        database_name: Some("app".parse()?),
        pg_version: Some(16),
        history_retention_seconds: Some(0),
        endpoint_defaults: EndpointDefaults { suspend_timeout_seconds: Some(-1), ..EndpointDefaults::default() },
        ..NewProject::default()
    };
    let created = world.catalog.project_create(&world.caller, new)?;
    assert_eq!((created.project.name.as_str(), created.project.pg_version), ("shop", 16));
    assert_eq!(created.branch.name.as_str(), "production");
    assert_eq!(created.roles[0].role.name.as_str(), "sally");
    assert_eq!((created.databases[0].name.as_str(), created.databases[0].owner.as_str()), ("app", "sally"));
    assert_eq!(created.endpoints[0].suspend_timeout_seconds, -1);
    Ok(())
}

#[test]
fn an_account_whose_name_cannot_be_a_roles_gets_the_databases_owner() -> TestResult {
    let world = World::new()?;
    for (account, role) in [("postgres", "app_owner"), (&"x".repeat(64), "app_owner"), ("erin", "erin")] {
        let account = world.catalog.account_create(&account.parse()?)?;
        let new = NewProject { database_name: Some("app".parse()?), ..NewProject::default() };
        let created = world.catalog.project_create(&Caller::new(account.id), new)?;
        assert_eq!(created.roles[0].role.name.as_str(), role);
    }
    Ok(())
}

#[test]
fn refusals_create_nothing() -> TestResult {
    let world = World::new()?;
    let soon = EndpointDefaults { suspend_timeout_seconds: Some(30), ..EndpointDefaults::default() };
    let refused = [
        (NewProject { role_name: Some("pg_x".parse()?), ..NewProject::default() }, "ROLE_NAME_RESERVED"),
        (NewProject { database_name: Some("postgres".parse()?), ..NewProject::default() }, "DATABASE_NAME_RESERVED"),
        (NewProject { pg_version: Some(13), ..NewProject::default() }, "VALUE_OUT_OF_RANGE"),
        (NewProject { history_retention_seconds: Some(2_592_001), ..NewProject::default() }, "VALUE_OUT_OF_RANGE"),
        (NewProject { endpoint_defaults: soon, ..NewProject::default() }, "VALUE_OUT_OF_RANGE"),
    ];
    for (new, expected) in refused {
        assert_eq!(code(world.catalog.project_create(&world.caller, new)), expected);
    }
    let stranger = Caller::new(crate::AccountId::new(5));
    assert_eq!(code(world.catalog.project_create(&stranger, NewProject::default())), "ACCOUNT_NOT_FOUND");
    assert_eq!(world.catalog.project_list(&world.caller, ProjectQuery::default())?.items.len(), 1);
    Ok(())
}

#[test]
fn pages_of_projects_follow_each_other_in_order_of_creation() -> TestResult {
    let world = World::new()?;
    world.catalog.project_delete(&world.caller, &world.project)?;
    for number in 0..7 {
        let name = Some(format!("Project {number}").parse()?);
        world.catalog.project_create(&world.caller, NewProject { name, ..NewProject::default() })?;
    }
    let mut names = Vec::new();
    let mut after = None;
    let mut pages = 0;
    loop {
        let page =
            world.catalog.project_list(&world.caller, ProjectQuery { after, limit: 3, ..ProjectQuery::default() })?;
        names.extend(page.items.into_iter().map(|project| project.name.to_string()));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, names), (3, (0..7).map(|number| format!("Project {number}")).collect()));

    // The last one is full: it has a cursor all the same, for a client that takes only one that is not full for the last.
    let page = |after, limit| {
        world.catalog.project_list(&world.caller, ProjectQuery { after, limit, ..ProjectQuery::default() })
    };
    let full = page(None, 7)?;
    assert_eq!(full.items.len(), 7);
    let last = page(full.next, 7)?;
    assert_eq!((last.items.len(), last.next), (0, None));

    let search = |search: &str| -> Result<usize, crate::Error> {
        let query = ProjectQuery { search: Some(search.into()), ..ProjectQuery::default() };
        Ok(world.catalog.project_list(&world.caller, query)?.items.len())
    };
    assert_eq!((search("project")?, search("ECT 3")?, search("absent")?), (7, 1, 0));
    let query = ProjectQuery { after: Some("nonsense".into()), ..ProjectQuery::default() };
    assert_eq!(code(world.catalog.project_list(&world.caller, query)), "CURSOR_INVALID");
    Ok(())
}

#[test]
fn a_project_can_be_renamed() -> TestResult {
    let world = World::new()?;
    let before = world.catalog.project_get(&world.caller, &world.project)?;
    assert_eq!(before.name.as_str(), before.id.as_str());
    world.pass();
    let renamed = ProjectUpdate { name: Some("shop".parse()?), ..ProjectUpdate::default() };
    let changed = world.catalog.project_update(&world.caller, &world.project, &renamed)?;
    assert!(changed.operations.is_empty(), "nobody else has to know a name");
    let after = changed.project;
    assert_eq!((after.name.as_str(), after.created_at), ("shop", before.created_at));
    assert!(after.updated_at > before.updated_at);
    let unchanged = world.catalog.project_update(&world.caller, &world.project, &ProjectUpdate::default())?;
    assert_eq!(unchanged.project, after);
    assert_eq!(world.catalog.project_get(&world.caller, &world.project)?, after);
    Ok(())
}

#[test]
fn a_change_of_how_long_history_is_kept_is_an_operation_of_the_default_branch() -> TestResult {
    let world = World::new()?;
    let keep = |seconds| {
        let update = ProjectUpdate { history_retention_seconds: Some(seconds), ..ProjectUpdate::default() };
        let changed = world.catalog.project_update(&world.caller, &world.project, &update)?;
        Ok::<_, crate::Error>(changed.operations.into_iter().map(|of| (of.action, of.branch)).collect::<Vec<_>>())
    };
    let expected = vec![(OperationAction::ApplyStorageConfig, Some(world.main.clone()))];
    assert_eq!(keep(3_600)?, expected);
    assert_eq!(keep(3_600)?, [], "nothing changes");
    assert_eq!(keep(7_200)?, expected);
    Ok(())
}

#[test]
fn a_project_deleted_for_good_leaves_nothing_behind() -> TestResult {
    let store = offshoot_engine::MemoryStore::new();
    let world = World::over(store.clone())?;
    let kept = world.catalog.project_create(&world.caller, NewProject::default())?;
    let created = world.catalog.project_create(&world.caller, NewProject::default())?;
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    let deleted = world.catalog.project_delete_for_good(&world.caller, &created.project.id)?;
    assert_eq!(deleted, created.project);
    assert_eq!(code(world.catalog.project_get(&world.caller, &world.project)), "PROJECT_NOT_FOUND");
    assert_eq!(code(world.roles(&world.main)), "PROJECT_NOT_FOUND");
    assert_eq!(code(world.catalog.project_delete(&world.caller, &world.project)), "PROJECT_NOT_FOUND");
    let due = world.catalog.operations_due(10)?;
    assert!(due.iter().all(|due| due.project == kept.project.id));
    let listed = world.catalog.project_list(&world.caller, ProjectQuery::default())?.items;
    assert_eq!(listed, [kept.project]);
    // Nothing that is stored names them any more, once their computes are gone too.
    world.catalog.computes_forget(&world.catalog.computes_gone(10)?)?;
    for (key, value) in store.entries() {
        for id in [world.project.as_str(), created.project.id.as_str(), created.endpoints[0].id.as_str()] {
            let holds = |bytes: &[u8]| bytes.windows(id.len()).any(|window| window == id.as_bytes());
            assert!(!holds(&key) && !holds(&value), "{}", key.escape_ascii());
        }
    }
    Ok(())
}
