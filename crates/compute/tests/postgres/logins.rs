//! Who can log in where.

use chrono::Utc;
use offshoot_catalog::NewRestore;
use offshoot_engine::Point;

use crate::common::{TestResult, World};

#[test]
fn a_tree_of_branches_accepts_exactly_the_logins_that_the_catalog_promises() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.check_after_settling()?;
    for name in ["sally", "bob", "Ünï cödé"] {
        world.create_role(&main, name)?;
    }
    world.check_after_settling()?;
    let (earlier, before) = (Utc::now(), world.passwords[&main].clone());

    // What comes after the cutoff is not on the child of it.
    world.reset(&main, "sally")?;
    world.delete_role(&main, "bob")?;
    world.create_role(&main, "later")?;
    world.check_after_settling()?;
    let child = world.fork(&main, Point::Head, world.passwords[&main].clone())?;
    let past = world.fork(&main, Point::Time(earlier), before)?;
    world.check_after_settling()?;

    // From here on each goes its own way.
    world.reset(&child, "sally")?;
    world.delete_role(&child, "later")?;
    world.create_role(&past, "later")?;
    world.reset(&main, "Ünï cödé")?;
    world.delete_role(&main, "sally")?;
    world.check_after_settling()?;

    // A name that was deleted can be used again, and has nothing of what it was.
    world.create_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    world.check_after_settling()
}

#[test]
fn a_restored_branch_accepts_exactly_the_logins_of_its_point() -> TestResult {
    let mut world = World::new()?;
    let main = world.main.clone();
    world.create_role(&main, "sally")?;
    world.create_role(&main, "bob")?;
    world.check_after_settling()?;
    let (earlier, before) = (Utc::now(), world.passwords[&main].clone());
    world.reset(&main, "sally")?;
    world.delete_role(&main, "bob")?;
    world.create_role(&main, "later")?;
    world.check_after_settling()?;

    let (point, preserve_under) = (Point::Time(earlier), Some("old".parse()?));
    let restore = NewRestore { source: main.clone(), point, preserve_under, preserve_credentials: false };
    world.catalog.branch_restore(&world.caller, &world.project, &main, &restore)?;
    world.passwords.insert(main.clone(), before);
    world.check_after_settling()?;

    // From there it goes on.
    world.reset(&main, "bob")?;
    world.delete_role(&main, "sally")?;
    world.check_after_settling()
}
