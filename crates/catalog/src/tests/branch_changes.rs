use chrono::{SubsecRound, TimeDelta};
use offshoot_engine::{Clock, Point};
use secrecy::ExposeSecret;

use super::{TestResult, World, code};
use crate::{BranchUpdate, Expiry, InitSource, NewBranch, TextMap};

fn rename(name: &str) -> Result<BranchUpdate, crate::Error> {
    Ok(BranchUpdate { name: Some(name.parse()?), ..BranchUpdate::default() })
}

#[test]
fn a_renamed_branch_frees_its_name() -> TestResult {
    let world = World::new()?;
    let branch = world.fork(&world.main, Point::Head)?;
    world.pass();
    let renamed = world.update(&branch.id, rename("dev")?)?;
    assert_eq!(renamed.name.as_str(), "dev");
    assert!(renamed.updated_at > branch.updated_at && renamed.created_at == branch.created_at);
    assert_eq!(code(world.update(&world.main, rename("dev")?)), "BRANCH_ALREADY_EXISTS");
    world.update(&world.main, rename(branch.name.as_str())?)?;
    world.pass();
    // What changes nothing is no change.
    assert_eq!(world.update(&branch.id, rename("dev")?)?, renamed);
    assert_eq!(world.update(&branch.id, BranchUpdate::default())?, renamed);
    assert_eq!(code(world.update(&"br-no-such-00000000".parse()?, rename("x")?)), "BRANCH_NOT_FOUND");
    Ok(())
}

#[test]
fn the_default_moves_and_its_former_holder_can_go() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let child = world.fork(&world.main, Point::Head)?.id;
    assert!(world.catalog.branch_set_default(caller, project, &child)?.branch.default);
    assert!(!world.branch(&world.main)?.default);
    assert_eq!(code(world.catalog.branch_delete(caller, project, &child)), "BRANCH_IS_DEFAULT");
    // It is the parent of the new one, so it stays for that reason now.
    assert_eq!(code(world.catalog.branch_delete(caller, project, &world.main)), "BRANCH_HAS_CHILDREN");
    assert_eq!(
        world.catalog.branch_create(caller, project, NewBranch::default())?.branch.parent.map(|of| of.id),
        Some(child)
    );
    Ok(())
}

#[test]
fn what_others_rely_on_cannot_expire_and_what_expires_cannot_be_relied_on() -> TestResult {
    let world = World::new()?;
    let now = world.clock.now();
    let expiring = |seconds| BranchUpdate {
        expiry: Some(Some(Expiry(now + TimeDelta::seconds(seconds)))),
        ..BranchUpdate::default()
    };
    let (parent, lone) = (world.fork(&world.main, Point::Head)?.id, world.fork(&world.main, Point::Head)?.id);
    world.fork(&parent, Point::Head)?;
    assert_eq!(code(world.update(&parent, expiring(60))), "BRANCH_CANNOT_EXPIRE");
    assert_eq!(code(world.update(&world.main, expiring(60))), "BRANCH_CANNOT_EXPIRE");
    world.protect(&lone, true)?;
    assert_eq!(code(world.update(&lone, expiring(60))), "BRANCH_CANNOT_EXPIRE");
    world.protect(&lone, false)?;
    for seconds in [-1, 0, 30 * 86_400 + 5] {
        assert_eq!(code(world.update(&lone, expiring(seconds))), "EXPIRY_INVALID", "{seconds}");
    }

    let branch = world.update(&lone, expiring(3600))?;
    assert_eq!(branch.expires_at, Some((now + TimeDelta::seconds(3600)).trunc_subsecs(0)));
    assert_eq!(branch.ttl_seconds, Some(3600));
    assert_eq!(code(world.protect(&lone, true)), "BRANCH_EXPIRES");
    assert_eq!(code(world.catalog.branch_set_default(&world.caller, &world.project, &lone)), "BRANCH_EXPIRES");
    assert_eq!(code(world.fork(&lone, Point::Head)), "BRANCH_EXPIRES");
    // Both at once are as good as one after the other.
    let both = BranchUpdate { protected: Some(true), expiry: Some(None), ..BranchUpdate::default() };
    let branch = world.update(&lone, both)?;
    assert_eq!((branch.protected, branch.expires_at, branch.ttl_seconds), (true, None, None));

    let expiry = Some(Expiry(now + TimeDelta::seconds(60)));
    let new = NewBranch { protected: true, expiry, ..NewBranch::default() };
    assert_eq!(code(world.catalog.branch_create(&world.caller, &world.project, new)), "BRANCH_CANNOT_EXPIRE");
    Ok(())
}

#[test]
fn a_schema_only_branch_is_a_root_with_the_roles_of_its_point() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    let past = world.pass();
    world.delete_role(&world.main, "sally")?;
    let new = NewBranch { init_source: InitSource::SchemaOnly, point: Point::Time(past), ..NewBranch::default() };
    let created = world.catalog.branch_create(&world.caller, &world.project, new)?.branch;
    assert_eq!((created.parent.clone(), created.init_source), (None, InitSource::SchemaOnly));
    assert_eq!(world.role_names(&created.id)?, ["casey", "web_access", "sally"]);
    // Nothing ties it to where it came from.
    let update =
        BranchUpdate { expiry: Some(Some(Expiry(world.clock.now() + TimeDelta::hours(1)))), ..BranchUpdate::default() };
    assert_eq!(code(world.update(&created.id, update)), "OK");
    assert!(world.catalog.branch_delete(&world.caller, &world.project, &created.id)?.is_some());
    Ok(())
}

#[test]
fn annotations_are_kept_with_their_branch() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let annotation = TextMap::new([("pr".to_owned(), "17".to_owned())])?;
    let new = NewBranch { annotation: annotation.clone(), ..NewBranch::default() };
    let branch = world.catalog.branch_create(caller, project, new)?.branch.id;
    let kept = world.catalog.branch_annotation(caller, project, &branch)?.ok_or("none")?;
    assert_eq!(kept.value, annotation);
    assert_eq!(world.catalog.branch_annotation(caller, project, &world.main)?, None);
    assert_eq!(world.catalog.branch_annotation_list(caller, project)?, [(branch.clone(), kept)]);
    world.catalog.branch_delete_for_good(caller, project, &branch)?;
    assert!(world.catalog.branch_annotation_list(caller, project)?.is_empty());
    Ok(())
}

#[test]
fn a_child_of_a_protected_branch_has_passwords_of_its_own() -> TestResult {
    let world = World::new()?;
    world.create_role(&world.main, "sally")?;
    world.protect(&world.main, true)?;
    let created = world.catalog.branch_create(&world.caller, &world.project, NewBranch::default())?;
    let child = created.branch.id;
    assert_eq!(created.passwords.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["casey", "sally"]);
    for (name, told) in &created.passwords {
        assert_ne!(world.role(&child, name.as_str())?.verifier, world.role(&world.main, name.as_str())?.verifier);
        assert_eq!(world.reveal(&child, name.as_str())?, told.expose_secret());
        assert_ne!(world.reveal(&world.main, name.as_str())?, told.expose_secret());
    }
    // A child of that child shares its passwords as any child does.
    let grandchild = world.fork(&child, Point::Head)?.id;
    assert_eq!(world.role(&grandchild, "sally")?.verifier, world.role(&child, "sally")?.verifier);
    Ok(())
}
