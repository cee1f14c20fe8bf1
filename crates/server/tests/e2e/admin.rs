//! Accounts, keys and the password key from the command line: on a stopped data directory, and on the server that has it open.

use crate::common::{
    Server, ServerCommand, TestResult,
    cli::{command, offshoot},
    text,
};
use chrono::{DateTime, TimeDelta, Utc};
use offshoot_catalog::{
    BranchUpdate, Caller, Catalog, Expiry, NewBranch, NewProject, PasswordKeys, testing::SeededEntropy,
};
use offshoot_engine::{Engine, SledOptions, SledStore, testing::ManualClock};
use secrecy::ExposeSecret;
use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt, path::Path, time::SystemTime};

fn admin(data: &Path, command: &[&str], rest: &[&str]) -> crate::common::cli::Done {
    let args = command.iter().map(OsStr::new).chain([data.as_os_str()]).chain(rest.iter().map(OsStr::new));
    offshoot(args)
}

/// Everything about accounts and keys, whether a server has the directory open or not.
fn walk(data: &Path) -> TestResult {
    admin(data, &["account", "create"], &["erin"]).expect(0);
    let again = admin(data, &["account", "create"], &["erin"]).expect(1);
    assert_eq!(again, "error: an account named \"erin\" exists already\n");
    let secret = admin(data, &["key", "create"], &["erin", "laptop"]).expect(0).trim().to_owned();
    assert!(secret.starts_with("osk_"), "{secret}");
    let listed = admin(data, &["key", "list"], &["erin"]).expect(0);
    assert!(listed.contains("\tlaptop\t") && !listed.contains(&secret), "{listed}");
    let id = listed.lines().nth(1).and_then(|line| line.split('\t').next()).ok_or("no key")?;
    let accounts = admin(data, &["account", "list"], &[]).expect(0);
    assert!(accounts.contains("casey\t") && accounts.contains("erin\t0\t1\t"), "{accounts}");
    admin(data, &["key", "revoke"], &["erin", id]).expect(0);
    let gone = admin(data, &["key", "revoke"], &["erin", id]).expect(1);
    assert!(gone.contains("not found"), "{gone}");
    assert!(admin(data, &["key", "list"], &["nobody"]).expect(1).contains("there is no account \"nobody\""));
    admin(data, &["account", "delete"], &["erin"]).expect(0);
    Ok(())
}

#[test]
fn accounts_and_keys_are_kept_by_command_on_a_running_server_and_on_a_stopped_one() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    walk(dir.path())?;
    // What a command changes, the server knows at once.
    let secret = admin(dir.path(), &["key", "create"], &["casey", "ci"]).expect(0);
    server.client_with(secret.trim()).create_project();
    let refused = admin(dir.path(), &["account", "delete"], &["casey"]).expect(1);
    assert!(refused.starts_with("error: account \"casey\" has projects") && refused.lines().count() == 1, "{refused}");
    let log = server.terminate().log;
    assert!(!log.contains(secret.trim()) && log.contains("an operator's request"), "{log}");
    walk(dir.path())?;
    // When the server ended, it stored when keys were used.
    let listed = admin(dir.path(), &["key", "list"], &["casey"]).expect(0);
    let used = listed.lines().find(|line| line.contains("\tci\t")).ok_or("no key")?;
    assert!(!used.contains("\t-\t"), "{used}");
    admin(dir.path(), &["account", "delete", "--force"], &["casey"]).expect(0);
    Ok(())
}

#[test]
fn a_directory_without_a_store_is_left_alone() -> TestResult {
    let dir = tempfile::tempdir()?;
    let said = admin(&dir.path().join("none"), &["account", "list"], &[]).expect(1);
    assert!(said.contains("there is no store in"), "{said}");
    assert!(fs::read_dir(dir.path())?.next().is_none());
    Ok(())
}

#[test]
fn the_password_key_is_a_private_file_and_is_rotated_with_the_server_running_or_stopped() -> TestResult {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("password-key");
    let server = Server::start(dir.path());
    let (created, _) = server.client().create_project();
    assert_eq!(created["project"]["store_passwords"], true);
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let keys = || -> Result<usize, Box<dyn std::error::Error>> {
        Ok(PasswordKeys::parse(&fs::read_to_string(&file)?.into())?.ids().count())
    };
    assert_eq!(keys()?, 1);
    let said = admin(dir.path(), &["password-key", "rotate"], &[]).expect(0);
    assert!(said.starts_with("the passwords of 1 projects are sealed under the newest password key; older"), "{said}");
    assert_eq!(keys()?, 2);
    server.terminate();
    admin(dir.path(), &["password-key", "rotate"], &[]).expect(0);
    assert_eq!(keys()?, 3);

    // The newest alone tells the password.
    let file_text = fs::read_to_string(&file)?;
    fs::write(&file, file_text.lines().last().ok_or("empty")?)?;
    let (project, branch) = (text(&created["project"]["id"]), text(&created["branch"]["id"]));
    let password = text(&created["roles"][0]["password"]);
    let catalog = open(dir.path(), PasswordKeys::parse(&fs::read_to_string(&file)?.into())?)?;
    let account = catalog.account_by_name(&"casey".parse()?)?.ok_or("no account")?;
    let caller = Caller::new(account.id);
    let told = catalog.role_reveal_password(&caller, &project.parse()?, &branch.parse()?, &"casey".parse()?)?;
    assert_eq!(told.expose_secret(), password);
    Ok(())
}

fn open(data: &Path, keys: PasswordKeys) -> Result<Catalog, Box<dyn std::error::Error>> {
    let engine = Engine::open(SledStore::open(data, &SledOptions::default())?, offshoot_engine::Options::default())?;
    Ok(Catalog::open(engine, offshoot_catalog::Options::default().with_password_keys(keys))?)
}

#[test]
fn a_lost_password_key_is_told_at_the_start_and_does_not_stop_it() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    server.client().create_project();
    assert!(!server.terminate().log.contains("is missing"));
    fs::rename(dir.path().join("password-key"), dir.path().join("lost"))?;
    let server = Server::start(dir.path());
    server.client().create_project();
    let log = server.terminate().log;
    assert!(log.contains("a password key is missing") && log.contains("made a password key"), "{log}");
    // Rotating says what it could not seal anew; with the key back, all is well.
    let said = admin(dir.path(), &["password-key", "rotate"], &[]).expect(0);
    assert!(said.contains("except for those under keys that are missing: "), "{said}");
    let both = fs::read_to_string(dir.path().join("lost"))? + &fs::read_to_string(dir.path().join("password-key"))?;
    fs::write(dir.path().join("password-key"), both)?;
    assert!(!admin(dir.path(), &["password-key", "rotate"], &[]).expect(0).contains("missing"));
    assert!(!Server::start(dir.path()).terminate().log.contains("is missing"));
    Ok(())
}

#[test]
fn keys_from_the_environment_leave_no_file_and_a_file_for_others_is_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let keys = PasswordKeys::generate(&SeededEntropy::new(4))?.to_text();
    let server = ServerCommand::new(dir.path()).env("OFFSHOOT_PASSWORD_KEYS", keys.expose_secret().trim()).start();
    assert_eq!(server.client().create_project().0["project"]["store_passwords"], true);
    server.terminate();
    assert!(!dir.path().join("password-key").exists());
    let unfit = ServerCommand::new(dir.path()).env("OFFSHOOT_PASSWORD_KEYS", "hunter2").fail();
    let said = String::from_utf8(unfit.stderr)?;
    assert!(said.contains("OFFSHOOT_PASSWORD_KEYS does not hold password keys") && !said.contains("hunter2"), "{said}");
    let file = dir.path().join("shared");
    fs::write(&file, keys.expose_secret())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let path = file.to_str().ok_or("not text")?;
    let open = ServerCommand::new(dir.path()).arg("--password-key-file").arg(path).fail();
    assert!(String::from_utf8(open.stderr)?.contains("can be read by others; run chmod 600"));
    Ok(())
}

#[test]
fn a_server_can_be_told_to_store_no_passwords_and_to_hide_the_systems_roles() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server =
        ServerCommand::new(dir.path()).arg("--no-stored-passwords").arg("--system-roles").arg("hidden").start();
    let (created, _) = server.client().create_project();
    assert_eq!(created["project"]["store_passwords"], false);
    let names: Vec<_> = created["roles"].as_array().ok_or("no roles")?.iter().map(|role| text(&role["name"])).collect();
    assert_eq!(names, ["casey"]);
    Ok(())
}

#[test]
fn a_branch_that_expired_while_no_server_ran_goes_when_one_starts() -> TestResult {
    let dir = tempfile::tempdir()?;
    // Made an hour ago, to live for a minute.
    let past = DateTime::<Utc>::from(SystemTime::now()) - TimeDelta::hours(1);
    let options = offshoot_engine::Options::default().with_clock(ManualClock::new(past));
    let engine = Engine::open(SledStore::open(dir.path(), &SledOptions::default())?, options)?;
    let catalog = Catalog::open(engine, offshoot_catalog::Options::default())?;
    let caller = Caller::new(catalog.account_create(&"casey".parse()?)?.id);
    let project = catalog.project_create(&caller, NewProject::default())?.project.id;
    let branch = catalog.branch_create(&caller, &project, NewBranch::default())?.branch.id;
    let expiry = Some(Some(Expiry(past + TimeDelta::minutes(1))));
    catalog.branch_update(&caller, &project, &branch, BranchUpdate { expiry, ..BranchUpdate::default() })?;
    drop(catalog);

    let server = Server::start(dir.path());
    let branches = format!("/projects/{project}/branches");
    server.client().poll(&branches, |answer| answer["branches"].as_array().is_some_and(|list| list.len() == 1));
    assert!(server.terminate().log.contains("deleted a branch that has expired"));
    Ok(())
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2() {
    let output = command(["account", "create"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn old_passwords_are_purged_by_command_on_a_running_server_and_on_a_stopped_one() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (created, _) = client.create_project();
    let project = text(&created["project"]["id"]);
    let branch = format!("/projects/{project}/branches/{}", text(&created["branch"]["id"]));
    client.create_role(&branch, "sally");
    let reset = || client.expect(200, "POST", &format!("{branch}/roles/sally/reset_password"), None);
    reset();
    let purge = |project: &str, role| admin(dir.path(), &["purge"], &["casey", project, role]);
    assert_eq!(purge(&project, "sally").expect(0), "versions that had an old password, and have it no more: 1\n");
    assert_eq!(purge(&project, "sally").expect(0), "versions that had an old password, and have it no more: 0\n");
    assert!(purge("muddy-queen-14993027", "sally").expect(1).contains("project \"muddy-queen-14993027\" not found"));
    reset();
    server.terminate();
    assert_eq!(purge(&project, "sally").expect(0), "versions that had an old password, and have it no more: 1\n");
    Ok(())
}
