use offshoot_engine::{Direction, Point};

use super::{TestResult, World, code};
use crate::{Caller, NewRestore, RoleEvent, RoleLogin};

#[test]
fn who_reset_sally_and_when_is_told_over_branches() -> TestResult {
    let world = World::new()?;
    let sally = "sally".parse()?;
    world.create_role(&world.main, "sally")?;
    world.pass();
    let child = world.fork(&world.main, Point::Head)?.id;
    world.create_role(&child, "bob")?;
    let caller = Caller { key: Some(crate::ApiKeyId::new(7)), ..world.caller.clone() }.with_request("req-1");
    world.catalog.role_reset_password(&caller, &world.project, &child, &sally)?;
    let reset_at = world.role(&child, "sally")?.updated_at;
    world.delete_role(&child, "sally")?;

    let history = |after: Option<&str>, limit| {
        world.catalog.role_history(&world.caller, &world.project, &child, &sally, after, limit)
    };
    let page = history(None, 10)?;
    let told: Vec<_> = page.items.iter().map(|revision| (revision.event, revision.branch.clone())).collect();
    let expected = [
        (RoleEvent::Deleted, Some(child.clone())),
        (RoleEvent::PasswordChanged, Some(child.clone())),
        (RoleEvent::Created, Some(world.main.clone())),
    ];
    assert_eq!((told, page.next), (expected.to_vec(), None));
    let reset = &page.items[1];
    assert_eq!((reset.time, reset.by.key, reset.by.request.as_deref()), (reset_at, caller.key, Some("req-1")));
    assert_eq!(reset.by.action, "role_reset_password sally");
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = history(after.as_deref(), 1)?;
        paged.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(paged, page.items);
    assert_eq!(code(history(Some("nonsense"), 1)), "CURSOR_INVALID");
    Ok(())
}

#[test]
fn versions_of_a_branch_say_what_they_changed_in_the_catalogs_terms() -> TestResult {
    let world = World::new()?;
    let (caller, project, main) = (&world.caller, &world.project, &world.main);
    world.create_role(main, "sally")?;
    world.catalog.role_create(caller, project, main, "bot".parse()?, RoleLogin::NoLogin)?;
    world.reset(main, "sally")?;
    world.catalog.database_create(caller, project, main, "app".parse()?, "sally".parse()?)?;
    let renamed = Some("shop".parse()?);
    world.catalog.database_update(caller, project, main, &"app".parse()?, renamed, Some("casey".parse()?))?;
    let page = world.catalog.branch_history(caller, project, main, Direction::Descending, None, 100)?;
    let actions: Vec<_> = page.items.iter().map(|version| version.by.action.as_str()).collect();
    let expected = [
        "database_update app",
        "database_create app",
        "role_reset_password sally",
        "role_create bot",
        "role_create sally",
        "project_create ",
    ];
    assert_eq!(actions, expected);
    let changes: Vec<_> = page.items.iter().map(|version| version.changes.clone().unwrap_or_default()).collect();
    let database = &changes[0].databases[0];
    let (before, after) = (database.before.as_ref().ok_or("new")?, database.after.as_ref().ok_or("gone")?);
    assert_eq!(
        (before.0.as_str(), before.1.as_str(), after.0.as_str(), after.1.as_str()),
        ("app", "sally", "shop", "casey")
    );
    assert!(changes[0].roles.is_empty() && changes[1].databases[0].before.is_none());
    let reset = &changes[2].roles[0];
    assert!(reset.name.as_str() == "sally" && reset.password_changed && reset.before == reset.after);
    assert_eq!((changes[3].roles[0].before, changes[3].roles[0].after), (None, Some(RoleLogin::NoLogin)));
    assert_eq!((changes[5].roles.len(), changes[5].databases.len()), (2, 1));
    let verifier = world.role(main, "sally")?.verifier.ok_or("none")?;
    assert!(!format!("{page:?}").contains(verifier.expose()));
    Ok(())
}

#[test]
fn two_points_of_two_branches_differ_by_what_was_done_on_either() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let past = world.pass();
    let child = world.fork(&world.main, Point::Head)?.id;
    let diff = |older, newer| world.catalog.branch_diff(&world.caller, &world.project, older, newer);
    assert!(diff((&world.main, Point::Head), (&child, Point::Head))?.is_empty());
    world.delete_role(&world.main, "sally")?;
    world.create_role(&child, "bob")?;
    world.reset(&child, "sally")?;
    let changes = diff((&world.main, Point::Head), (&child, Point::Head))?;
    let names: Vec<_> = changes.roles.iter().map(|role| (role.name.as_str(), role.before.is_some())).collect();
    assert_eq!(names, [("bob", false), ("sally", false)]);
    let changes = diff((&world.main, Point::Time(past)), (&child, Point::Head))?;
    assert_eq!(changes.roles.iter().map(|role| role.password_changed).collect::<Vec<_>>(), [false, true]);
    let far = diff((&world.main, Point::Lsn(offshoot_engine::Lsn::new(99))), (&child, Point::Head));
    assert_eq!(code(far), "POINT_OUTSIDE_HISTORY");
    Ok(())
}

#[test]
fn a_restored_branch_has_the_history_of_its_source() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let past = world.pass();
    world.reset(&world.main, "sally")?;
    let restore = NewRestore {
        source: world.main.clone(),
        point: Point::Time(past),
        preserve_under: Some("old".parse()?),
        preserve_credentials: false,
    };
    let backup = world.restore(&world.main, &restore)?.backup.ok_or("none")?.id;
    world.delete_role(&world.main, "sally")?;
    let page = world.catalog.role_history(&world.caller, &world.project, &world.main, &"sally".parse()?, None, 10)?;
    let told: Vec<_> = page.items.into_iter().map(|revision| (revision.event, revision.branch)).collect();
    // What was on the branch before it was restored is on its backup.
    assert_eq!(told, [(RoleEvent::Deleted, Some(world.main.clone())), (RoleEvent::Created, Some(backup))]);
    Ok(())
}
