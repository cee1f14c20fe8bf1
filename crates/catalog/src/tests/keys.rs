use secrecy::{ExposeSecret, SecretString};

use super::{TestResult, World, code};
use crate::{AccountId, Caller};

#[test]
fn a_key_speaks_for_its_account_until_it_is_revoked() -> TestResult {
    let world = World::new()?;
    let account = world.caller.account;
    let new = world.catalog.key_create(account, &"ci".parse()?)?;
    let other = world.catalog.key_create(account, &"ci".parse()?)?;
    let secret = new.secret.expose_secret();
    assert!(secret.starts_with("osk_") && secret.len() >= 36);
    let caller = world.catalog.authenticate(secret)?;
    assert_eq!(caller, Caller { account, key: Some(new.key.id), request: None });
    let [used, unused] = world.catalog.key_list(&caller)?.try_into().map_err(|_| "two keys")?;
    assert_eq!((used.id, unused), (new.key.id, other.key.clone()));

    assert_eq!(world.catalog.key_revoke(&caller, new.key.id)?.id, new.key.id);
    assert_eq!(code(world.catalog.authenticate(secret)), "UNAUTHORIZED");
    assert_eq!(code(world.catalog.key_revoke(&world.caller, new.key.id)), "API_KEY_NOT_FOUND");
    assert_eq!(world.catalog.key_list(&world.caller)?, std::slice::from_ref(&other.key));
    world.catalog.authenticate(other.secret.expose_secret())?;
    Ok(())
}

#[test]
fn only_whole_secrets_are_known() -> TestResult {
    let world = World::new()?;
    let new = world.catalog.key_create(world.caller.account, &"ci".parse()?)?;
    let secret = new.secret.expose_secret();
    let lower = secret.to_lowercase();
    for wrong in ["", " ", "osk_", &secret[..secret.len() - 1], &format!("{secret} "), &lower] {
        assert_eq!(code(world.catalog.authenticate(wrong)), "UNAUTHORIZED");
    }
    Ok(())
}

#[test]
fn an_operators_key_must_be_long_and_sendable() -> TestResult {
    let world = World::new()?;
    let account = world.caller.account;
    let import = |secret: &str| world.catalog.key_import(account, &"first".parse()?, &SecretString::from(secret));
    let long = "x".repeat(257);
    for unfit in [
        "",
        &"x".repeat(23),
        "with a space in between, no",
        "ümlaut-in-a-key-of-24-bytes",
        "line\nbreak-in-this-long-key",
        &long,
    ] {
        let refused = import(unfit);
        assert!(refused.as_ref().is_err_and(|error| unfit.is_empty() || !error.to_string().contains(unfit)));
        assert_eq!(code(refused), "API_KEY_UNFIT");
    }
    let key = import("correct-horse-battery-staple")?;
    assert_eq!(world.catalog.authenticate("correct-horse-battery-staple")?.key, Some(key.id));
    assert_eq!(code(import("correct-horse-battery-staple")), "API_KEY_ALREADY_EXISTS");
    Ok(())
}

#[test]
fn a_secret_is_stored_and_printed_nowhere() -> TestResult {
    let store = offshoot_engine::MemoryStore::new();
    let world = World::over(store.clone())?;
    let new = world.catalog.key_create(world.caller.account, &"ci".parse()?)?;
    let secret = new.secret.expose_secret();
    assert!(!format!("{new:?}").contains(secret));
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(store.entries().iter().all(|(key, value)| !holds(key) && !holds(value)));
    Ok(())
}

#[test]
fn accounts_have_unique_names() -> TestResult {
    let world = World::new()?;
    assert!(!world.catalog.is_new()?);
    assert_eq!(code(world.catalog.account_create(&"casey".parse()?)), "ACCOUNT_ALREADY_EXISTS");
    let erin = world.catalog.account_create(&"erin".parse()?)?;
    assert_eq!(world.catalog.account_by_name(&"erin".parse()?)?, Some(erin.clone()));
    assert_eq!(world.catalog.account_by_name(&"frank".parse()?)?, None);
    let names: Vec<_> = world.catalog.account_list()?.into_iter().map(|account| account.name.to_string()).collect();
    assert_eq!(names, ["casey", "erin"]);
    assert_eq!(code(world.catalog.key_create(AccountId::new(5), &"ci".parse()?)), "ACCOUNT_NOT_FOUND");
    Ok(())
}
