use offshoot_engine::{MemoryStore, Point};
use secrecy::ExposeSecret;

use super::{TestResult, World, code};
use crate::{Error, NewProject, Options, PasswordKeys, RoleLogin, testing::SeededEntropy};

fn keys(seed: u64) -> Result<PasswordKeys, Error> {
    Ok(PasswordKeys::generate(&SeededEntropy::new(seed))?)
}

fn with(keys: PasswordKeys) -> Options {
    Options::default().with_password_keys(keys)
}

#[test]
fn a_stored_password_is_told_again_on_every_branch_as_of_its_point() -> TestResult {
    let world = World::new()?;
    let new =
        world.catalog.role_create(&world.caller, &world.project, &world.main, "sally".parse()?, RoleLogin::Password)?;
    let first = new.password.ok_or("none")?.expose_secret().to_owned();
    assert!(new.role.password_stored);
    assert_eq!(world.reveal(&world.main, "sally")?, first);
    let past = world.pass();
    let child = world.fork(&world.main, Point::Head)?.id;
    world.reset(&world.main, "sally")?;
    assert_ne!(world.reveal(&world.main, "sally")?, first);
    assert_eq!(world.reveal(&child, "sally")?, first);
    let of_past = world.fork(&world.main, Point::Time(past))?.id;
    assert_eq!(world.reveal(&of_past, "sally")?, first);

    let listed = world.catalog.role_list_revealed_up_to(&world.caller, &world.project, &child, 10)?.ok_or("many")?;
    let told: Vec<_> = listed.iter().map(|role| (role.role.name.as_str(), role.password.is_some())).collect();
    assert_eq!(told, [("casey", true), ("web_access", false), ("sally", true)]);
    Ok(())
}

#[test]
fn a_password_that_cannot_be_told_says_why() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    assert_eq!(code(world.reveal(&world.main, "web_access")), "ROLE_HAS_NO_LOGIN");
    assert_eq!(code(world.reveal(&world.main, "nobody")), "ROLE_NOT_FOUND");
    let new = NewProject { store_passwords: Some(false), ..NewProject::default() };
    let plain = world.catalog.project_create(&world.caller, new)?;
    let role = plain.roles[0].role.name.clone();
    assert!(!plain.project.store_passwords && !plain.roles[0].role.password_stored);
    let told = world.catalog.role_reveal_password(&world.caller, &plain.project.id, &plain.branch.id, &role);
    assert_eq!(code(told), "PASSWORDS_NOT_STORED");

    // A server that stores none reveals none either, and refuses projects that want it.
    let forbids = world.with_options(&store, with(keys(0)?).without_stored_passwords(), 7)?;
    assert_eq!(code(forbids.reveal(&world.main, "casey")), "PASSWORDS_NOT_STORED");
    let wants = NewProject { store_passwords: Some(true), ..NewProject::default() };
    assert_eq!(code(forbids.catalog.project_create(&world.caller, wants)), "PASSWORD_STORING_FORBIDDEN");
    assert!(!forbids.catalog.project_create(&world.caller, NewProject::default())?.project.store_passwords);
    // What was set there isn't kept.
    forbids.create_role(&world.main, "sally")?;
    assert_eq!(code(world.reveal(&world.main, "sally")), "PASSWORD_NOT_KEPT");
    Ok(())
}

#[test]
fn a_lost_key_is_named_and_new_passwords_go_on_without_it() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let lost = keys(0)?.ids().next().ok_or("none")?;
    assert!(world.catalog.password_keys_missing()?.is_empty());
    let without = world.with_options(&store, with(keys(9)?), 7)?;
    assert_eq!(without.catalog.password_keys_missing()?, [lost]);
    let refused = without.reveal(&world.main, "casey");
    assert!(matches!(refused, Err(Error::PasswordKeyMissing { key }) if key == lost));
    without.create_role(&world.main, "sally")?;
    without.reveal(&world.main, "sally")?;
    without.reset(&world.main, "casey")?;
    without.reveal(&world.main, "casey")?;

    // With both keys all of it can be told.
    let both = PasswordKeys::parse(&format!("{}{}", text(&keys(0)?), text(&keys(9)?)).into())?;
    let both = world.with_options(&store, with(both), 8)?;
    both.reveal(&world.main, "sally")?;
    let old = both.fork(&world.main, Point::Lsn(offshoot_engine::Lsn::new(1)))?.id;
    both.reveal(&old, "casey")?;
    Ok(())
}

fn text(keys: &PasswordKeys) -> String {
    keys.to_text().expose_secret().to_owned()
}

#[test]
fn after_rotation_the_new_key_alone_tells_every_password_of_every_version() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let first = world.reveal(&world.main, "casey")?;
    let past = world.pass();
    world.reset(&world.main, "casey")?;
    let second = world.reveal(&world.main, "casey")?;
    let plain = NewProject { store_passwords: Some(false), ..NewProject::default() };
    world.catalog.project_create(&world.caller, plain)?;

    let new = keys(0)?.with_new(&SeededEntropy::new(5))?;
    let newest = new.ids().last().ok_or("none")?;
    let rotated = world.catalog.password_keys_rotate(new)?;
    assert_eq!((rotated.projects, rotated.missing), (1, vec![]));
    let third = world.create_role(&world.main, "sally").and_then(|_| world.reveal(&world.main, "sally"))?;

    let only_new = PasswordKeys::generate(&SeededEntropy::new(5))?;
    assert_eq!(only_new.ids().collect::<Vec<_>>(), [newest]);
    let after = world.with_options(&store, with(only_new), 7)?;
    assert!(after.catalog.password_keys_missing()?.is_empty());
    assert_eq!(after.reveal(&world.main, "casey")?, second);
    assert_eq!(after.reveal(&world.main, "sally")?, third);
    let of_past = after.fork(&world.main, Point::Time(past))?.id;
    assert_eq!(after.reveal(&of_past, "casey")?, first);
    let before = world.with_options(&store, with(keys(0)?), 8)?;
    assert_eq!(code(before.reveal(&world.main, "casey")), "PASSWORD_KEY_MISSING");
    Ok(())
}

#[test]
fn a_rotation_leaves_alone_what_it_cannot_open_and_says_so() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let lost = keys(0)?.ids().next().ok_or("none")?;
    let without = world.with_options(&store, with(keys(9)?), 7)?;
    let rotated = without.catalog.password_keys_rotate(keys(10)?)?;
    assert_eq!(rotated.missing, [lost]);
    assert_eq!(without.catalog.password_keys_missing()?, [lost]);
    let again = world.with_options(&store, with(keys(0)?), 8)?;
    again.reveal(&world.main, "casey")?;
    Ok(())
}

#[test]
fn a_password_is_stored_in_clear_and_printed_nowhere() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let new = world.catalog.role_reset_password(&world.caller, &world.project, &world.main, &"casey".parse()?)?;
    let password = new.password.as_ref().ok_or("none")?.expose_secret().to_owned();
    assert!(!format!("{new:?}").contains(&password));
    let holds = |bytes: &[u8]| bytes.windows(password.len()).any(|window| window == password.as_bytes());
    assert!(store.entries().iter().all(|(key, value)| !holds(key) && !holds(value)));
    assert_eq!(world.reveal(&world.main, "casey")?, password);
    Ok(())
}

#[test]
fn without_keys_nothing_is_stored() -> TestResult {
    let world = World::new()?;
    let store = MemoryStore::new();
    let catalog = World::open_with(store, &world.clock, Options::default(), 3)?;
    let account = catalog.account_create(&"casey".parse()?)?;
    let caller = crate::Caller::new(account.id);
    let created = catalog.project_create(&caller, NewProject::default())?;
    assert!(!created.project.store_passwords && !catalog.stores_passwords());
    Ok(())
}

#[test]
fn hidden_system_roles_are_left_out_of_lists_only() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let hiding = world.with_options(&store, with(keys(0)?).with_hidden_system_roles(), 7)?;
    assert_eq!(hiding.role_names(&world.main)?, ["casey"]);
    assert!(hiding.role(&world.main, "web_access")?.protected);
    let created = hiding.catalog.project_create(&world.caller, NewProject::default())?;
    assert_eq!(created.roles.iter().map(|role| role.role.name.as_str()).collect::<Vec<_>>(), ["casey"]);
    let few = |most| hiding.catalog.role_list_up_to(&world.caller, &world.project, &world.main, most);
    assert_eq!((few(0)?, few(1)?.map(|roles| roles.len())), (None, Some(1)));
    hiding.create_role(&world.main, "sally")?;
    assert_eq!(few(1)?, None);
    Ok(())
}

#[test]
fn versions_of_postgres_that_are_not_there_are_refused_with_those_that_are() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let old = world.with_options(&store, with(keys(0)?).with_pg_versions([15, 16]), 7)?;
    let create =
        |pg_version| old.catalog.project_create(&world.caller, NewProject { pg_version, ..NewProject::default() });
    let refused = create(Some(17));
    assert!(matches!(&refused, Err(Error::PgVersionUnsupported { given: 17, supported }) if *supported == [15, 16]));
    assert_eq!(create(None)?.project.pg_version, 16);
    assert_eq!(create(Some(15))?.project.pg_version, 15);
    let new = world.with_options(&store, with(keys(0)?).with_pg_versions([18]), 8)?;
    assert_eq!(new.catalog.project_create(&world.caller, NewProject::default())?.project.pg_version, 18);
    Ok(())
}
