use chrono::TimeDelta;
use offshoot_engine::{Clock, MemoryStore};
use secrecy::ExposeSecret;

use super::{TestResult, World, code};
use crate::{Options, ProjectQuery};

#[test]
fn an_account_with_projects_goes_only_by_force_and_with_all_that_it_has() -> TestResult {
    let world = World::new()?;
    let (catalog, account) = (&world.catalog, world.caller.account);
    let key = catalog.key_create(account, &"ci".parse()?)?;
    assert_eq!(code(catalog.account_delete(account, false)), "ACCOUNT_HAS_PROJECTS");
    catalog.authenticate(key.secret.expose_secret())?;

    assert_eq!(catalog.account_delete(account, true)?.name.as_str(), "casey");
    assert_eq!(code(catalog.authenticate(key.secret.expose_secret())), "UNAUTHORIZED");
    assert_eq!(code(catalog.project_get(&world.caller, &world.project)), "PROJECT_NOT_FOUND");
    assert_eq!(code(catalog.account_delete(account, true)), "ACCOUNT_NOT_FOUND");
    assert!(catalog.is_new()? && catalog.operations_open(10)?.is_empty());
    // The name is free again, and nothing of the old account comes with it.
    let casey = catalog.account_create(&"casey".parse()?)?;
    assert!(catalog.project_list(&crate::Caller::new(casey.id), ProjectQuery::default())?.items.is_empty());
    Ok(())
}

#[test]
fn an_account_without_projects_goes_with_its_keys() -> TestResult {
    let world = World::new()?;
    let erin = world.catalog.account_create(&"erin".parse()?)?;
    let key = world.catalog.key_create(erin.id, &"ci".parse()?)?;
    assert_eq!(world.catalog.account_get(erin.id)?, erin);
    assert_eq!(world.catalog.account_delete(erin.id, false)?, erin);
    assert_eq!(code(world.catalog.account_get(erin.id)), "ACCOUNT_NOT_FOUND");
    assert_eq!(code(world.catalog.authenticate(key.secret.expose_secret())), "UNAUTHORIZED");
    Ok(())
}

#[test]
fn the_last_use_of_a_key_is_told_at_once_and_kept_when_it_was_stored() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let new = world.catalog.key_create(world.caller.account, &"ci".parse()?)?;
    assert_eq!((new.key.last_used_at, &new.key.last_used_from), (None, &None));
    world.clock.advance(TimeDelta::seconds(5));
    let entries = store.entries();
    world.catalog.authenticate_from(new.secret.expose_secret(), Some("192.0.2.7"))?;
    assert!(store.entries() == entries, "using a key writes nothing");
    let [used] = world.catalog.key_list(&world.caller)?.try_into().map_err(|_| "one key")?;
    assert_eq!(used.last_used_at, Some(world.clock.now()));
    assert_eq!(used.last_used_from.as_deref(), Some("192.0.2.7"));

    world.catalog.key_uses_store()?;
    let again = world.with_options(&store, Options::default(), 2)?;
    assert_eq!(again.catalog.key_list(&world.caller)?, [used]);
    // A key that was revoked meanwhile leaves nothing behind.
    world.catalog.authenticate(new.secret.expose_secret())?;
    world.catalog.key_revoke(&world.caller, new.key.id)?;
    world.catalog.key_uses_store()?;
    let uses = |entries: &[(bytes::Bytes, bytes::Bytes)]| {
        entries.iter().filter(|(key, _)| key.windows(8).any(|part| part == b"key_uses")).count()
    };
    assert_eq!(uses(&store.entries().into_iter().collect::<Vec<_>>()), 0);
    Ok(())
}
