use offshoot_engine::Point;

use super::{TestResult, World};
use crate::{Caller, Error, NewBranch, Provenance, RoleLogin};

#[test]
fn a_purged_role_keeps_its_present_passwords_and_no_branch_of_the_past_has_an_old_one() -> TestResult {
    let world = World::new()?;
    let World { catalog, caller, project, main, .. } = &world;
    world.create_role(main, "sally")?;
    let first = catalog.role_get(caller, project, main, &"sally".parse()?)?;
    let then = catalog.branch_lsn(caller, project, main, Point::Head)?;
    world.pass();
    let child = catalog.branch_create(caller, project, NewBranch::default())?.branch.id;
    world.pass();
    catalog.role_reset_password(caller, project, main, &"sally".parse()?)?;
    let second = catalog.role_get(caller, project, main, &"sally".parse()?)?;
    catalog.role_reset_password(caller, project, main, &"sally".parse()?)?;
    let present = catalog.role_get(caller, project, main, &"sally".parse()?)?;

    // The child has the first one at present, so only the second one goes.
    assert_eq!(catalog.role_purge(caller, project, &"sally".parse()?)?.versions, 1);
    assert_eq!(catalog.role_get(caller, project, main, &"sally".parse()?)?, present);
    assert_eq!(catalog.role_get(caller, project, &child, &"sally".parse()?)?.verifier, first.verifier);
    assert_ne!(first.verifier, second.verifier);

    // Without the child, the first one goes too, also from the child itself, which can be recovered.
    catalog.branch_delete(caller, project, &child)?;
    assert!(catalog.role_purge(caller, project, &"sally".parse()?)?.versions > 0);
    assert_eq!(catalog.role_purge(caller, project, &"sally".parse()?)?.versions, 0);
    catalog.branch_recover(caller, project, &child)?;
    assert_eq!(catalog.role_get(caller, project, &child, &"sally".parse()?)?.verifier, None);
    assert_eq!(catalog.role_get(caller, project, main, &"sally".parse()?)?, present);
    let new = NewBranch { point: Point::Lsn(then), ..NewBranch::default() };
    let past = catalog.branch_create(caller, project, new)?.branch.id;
    let revived = catalog.role_get(caller, project, &past, &"sally".parse()?)?;
    assert_eq!((revived.verifier, revived.login), (None, RoleLogin::Password));
    let told = catalog.role_reveal_password(caller, project, &past, &"sally".parse()?);
    assert!(matches!(told, Err(Error::PasswordNotKept { .. })), "{told:?}");
    assert!(catalog.role_reset_password(caller, project, &past, &"sally".parse()?).is_ok());
    Ok(())
}

#[test]
fn a_purge_says_who_did_it_and_is_for_the_owner_of_the_project() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let stranger = Caller::new(world.catalog.account_create(&"erin".parse()?)?.id);
    let refused = world.catalog.role_purge(&stranger, &world.project, &"sally".parse()?);
    assert!(matches!(refused, Err(Error::ProjectNotFound { .. })), "{refused:?}");

    world.catalog.role_purge(&world.caller, &world.project, &"sally".parse()?)?;
    let snapshot = world.catalog.engine().snapshot()?;
    let mut purges = Vec::new();
    for namespace in snapshot.namespaces(None, 100)? {
        purges.extend(snapshot.purges(namespace)?);
    }
    let [purge] = &purges[..] else { panic!("{} purges", purges.len()) };
    assert!(purge.is_done && purge.key.ends_with(b"sally"));
    let who = Provenance::decode(&purge.metadata)?;
    assert_eq!((who.account, who.action.as_str()), (world.caller.account, "role_purge sally"));
    Ok(())
}
