use offshoot_engine::Point;
use secrecy::ExposeSecret;

use super::{TestResult, World, code, in_short};
use crate::{Caller, Error, Provenance, RoleLogin, RoleName};

#[test]
fn refusals_change_nothing() -> TestResult {
    let world = World::new()?;
    let child = world.fork(&world.main, Point::Head)?.id;
    world.create_role(&world.main, "sally")?;
    let nobody: RoleName = "nobody_in".parse()?;
    world.catalog.role_create(&world.caller, &world.project, &world.main, nobody, RoleLogin::NoLogin)?;
    let (roles, operations) = (world.roles(&world.main)?, world.operations()?);

    assert_eq!(code(world.create_role(&world.main, "")), "ROLE_NAME_EMPTY");
    assert_eq!(code(world.create_role(&world.main, &"x".repeat(64))), "ROLE_NAME_TOO_LONG");
    assert_eq!(code(world.create_role(&world.main, "a\0b")), "ROLE_NAME_NUL");
    assert_eq!(code(world.create_role(&world.main, "pg_monitor")), "ROLE_NAME_RESERVED");
    assert_eq!(code(world.create_role(&world.main, "web_access")), "ROLE_NAME_RESERVED");
    assert_eq!(code(world.create_role(&world.main, "sally")), "ROLE_ALREADY_EXISTS");
    assert_eq!(code(world.create_role(&"br-no-such-00000000".parse()?, "x")), "BRANCH_NOT_FOUND");
    assert_eq!(code(world.reset(&world.main, "nobody_in")), "ROLE_HAS_NO_LOGIN");
    assert_eq!(code(world.reset(&world.main, "absent")), "ROLE_NOT_FOUND");
    assert_eq!(code(world.reset(&world.main, "web_access")), "ROLE_PROTECTED");
    assert_eq!(code(world.delete_role(&world.main, "web_access")), "ROLE_PROTECTED");
    assert_eq!(code(world.delete_role(&world.main, "casey")), "ROLE_OWNS_DATABASES");
    assert_eq!(code(world.delete_role(&child, "web_access")), "ROLE_PROTECTED");
    assert_eq!(world.delete_role(&world.main, "absent")?, None);
    assert_eq!(code(world.role(&child, "sally")), "ROLE_NOT_FOUND");

    assert_eq!(world.roles(&world.main)?, roles);
    assert_eq!(world.operations()?, operations);
    Ok(())
}

#[test]
fn only_what_takes_no_time_is_answered_at_once() -> TestResult {
    let world = World::new()?;
    let (caller, project, main) = (&world.caller, &world.project, &world.main);
    let at_once = world.catalog.at_once();
    assert_eq!(at_once.role_list(caller, project, main)?, world.roles(main)?);
    let created = at_once.role_create(caller, project, main, "sally".parse()?, RoleLogin::Password);
    assert!(created.is_err_and(|error| error.is_not_at_once()));
    assert!(at_once.branch_lsn(caller, project, main, Point::Head).is_err_and(|error| error.is_not_at_once()));

    for number in world.roles(main)?.len()..=100 {
        let name = format!("role_{number}").parse()?;
        assert!(at_once.role_list(caller, project, main).is_ok());
        world.catalog.role_create(caller, project, main, name, RoleLogin::NoLogin)?;
    }
    assert!(at_once.role_list(caller, project, main).is_err_and(|error| error.is_not_at_once()));
    assert_eq!(world.roles(main)?.len(), 101);
    Ok(())
}

#[test]
fn a_name_of_63_bytes_or_of_strange_characters_is_fine() -> TestResult {
    let world = World::new()?;
    for name in ["x".repeat(63), "é".repeat(31), "we ird/ro%le\"".into(), "Sally".into(), "sally".into(), " ".into()] {
        let role = world.create_role(&world.main, &name)?;
        assert_eq!(world.role(&world.main, &name)?, role);
    }
    assert_eq!(world.roles(&world.main)?.len(), 8);
    Ok(())
}

#[test]
fn roles_are_listed_in_order_of_creation() -> TestResult {
    let world = World::new()?;
    for name in ["zoe", "adam", "mia", "bob"] {
        world.create_role(&world.main, name)?;
    }
    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "zoe", "adam", "mia", "bob"]);
    world.reset(&world.main, "zoe")?;
    assert_eq!(world.role_names(&world.main)?, ["casey", "web_access", "zoe", "adam", "mia", "bob"]);
    Ok(())
}

#[test]
fn a_role_that_owns_databases_stays_until_they_have_another_owner() -> TestResult {
    let world = World::new()?;
    let (caller, project, main) = (&world.caller, &world.project, &world.main);
    world.create_role(main, "sally")?;
    let child = world.fork(main, Point::Head)?.id;
    world.catalog.database_create(caller, project, main, "app".parse()?, "sally".parse()?)?;
    let Err(Error::RoleOwnsDatabases { databases, more, .. }) = world.delete_role(main, "sally") else {
        panic!("sally owns a database")
    };
    assert_eq!((databases, more), (vec!["app".parse()?], false));
    // On the child she owns nothing.
    assert!(world.delete_role(&child, "sally")?.is_some());

    world.catalog.database_update(caller, project, main, &"app".parse()?, None, Some("casey".parse()?))?;
    assert!(world.delete_role(main, "sally")?.is_some());
    Ok(())
}

#[test]
fn of_many_owned_databases_the_first_are_named() -> TestResult {
    let world = World::new()?;
    for number in 0..25 {
        let name = format!("db_{number:02}").parse()?;
        world.catalog.database_create(&world.caller, &world.project, &world.main, name, "casey".parse()?)?;
    }
    let error = world.delete_role(&world.main, "casey").unwrap_err();
    assert!(matches!(&error, Error::RoleOwnsDatabases { databases, more: true, .. } if databases.len() == 20));
    assert!(error.to_string().contains("\"db_00\", \"db_01\""), "{error}");
    assert!(error.to_string().contains(" and more on this branch"), "{error}");
    Ok(())
}

#[test]
fn a_password_is_told_once_and_kept_as_a_verifier_only() -> TestResult {
    let world = World::new()?;
    let (caller, project, main) = (&world.caller, &world.project, &world.main);
    let created = world.catalog.role_create(caller, project, main, "sally".parse()?, RoleLogin::Password)?;
    let password = created.password.as_ref().ok_or("no password")?;
    assert!(!format!("{created:?}").contains(password.expose_secret()));
    assert!(format!("{:?}", created.role).contains("redacted"));
    let verifier = world.role(main, "sally")?.verifier.ok_or("no verifier")?;
    assert!(verifier.expose().starts_with("SCRAM-SHA-256$4096:"));

    let no_login = world.catalog.role_create(caller, project, main, "group".parse()?, RoleLogin::NoLogin)?;
    assert!(no_login.password.is_none() && no_login.role.verifier.is_none());
    Ok(())
}

#[test]
fn changing_roles_schedules_what_makes_it_true() -> TestResult {
    let world = World::new()?;
    let (caller, project, main) = (&world.caller, &world.project, &world.main);
    let expected = ["apply_config running", "suspend_compute scheduling"];
    let created = world.catalog.role_create(caller, project, main, "sally".parse()?, RoleLogin::Password)?;
    assert_eq!(in_short(&created.operations), expected);
    let reset = world.catalog.role_reset_password(caller, project, main, &"sally".parse()?)?;
    assert_eq!(in_short(&reset.operations), expected);
    let deleted = world.catalog.role_delete(caller, project, main, &"sally".parse()?)?.ok_or("absent")?;
    assert_eq!(in_short(&deleted.operations), expected);
    assert!(deleted.password.is_none());

    let child = world.fork(main, Point::Head)?.id;
    let created = world.catalog.role_create(caller, project, &child, "sally".parse()?, RoleLogin::Password)?;
    assert_eq!(created.operations, [], "a branch without endpoints has nothing to apply");
    Ok(())
}

#[test]
fn history_tells_who_changed_what() -> TestResult {
    let world = World::new()?;
    let key = world.catalog.key_create(world.caller.account, &"ci".parse()?)?;
    let caller: Caller = world.catalog.authenticate(key.secret.expose_secret())?.with_request("req-1");
    world.catalog.role_create(&caller, &world.project, &world.main, "sally".parse()?, RoleLogin::Password)?;
    let mut source = world.catalog.engine().snapshot()?;
    let (_, branch) = crate::catalog::FoundBranch::find(&mut source, &caller, &world.project, &world.main)?;
    let head = world.catalog.engine().head(branch.engine)?;
    let expected = Provenance {
        account: caller.account,
        key: Some(key.key.id),
        request: Some("req-1".into()),
        action: "role_create sally".into(),
    };
    assert_eq!(Provenance::decode(head.metadata())?, expected);
    Ok(())
}

#[test]
fn many_at_once_on_one_branch_all_get_their_role() -> TestResult {
    let world = World::new()?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let world = &world;
                scope.spawn(move || {
                    (0..10).try_for_each(|n| world.create_role(&world.main, &format!("role_{thread}_{n}")).map(drop))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    assert_eq!(world.roles(&world.main)?.len(), 82);
    assert_eq!(world.operations()?.len(), 2 + 2 * 80);
    Ok(())
}
