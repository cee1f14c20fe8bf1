//! `offshoot account`, `offshoot key`, `offshoot password-key` and `offshoot purge`: of the server that runs on the directory, where there is one, otherwise of the
//! directory itself.

use super::{require_store, tell};
use crate::{
    AccountCommand, Error, KeyCommand, PasswordKeyCommand, PasswordKeyOptions, PurgeOptions, StoreKind,
    admin::{AccountLine, AdminAnswer, AdminRequest, KeyLine, perform},
    control, lock_holder,
    password_key::PasswordKeySource,
};
use offshoot_catalog::Catalog;
use offshoot_engine::{Engine, SledOptions, SledStore, StoreError};
use std::{path::Path, process::ExitCode};

pub(super) fn account(command: &AccountCommand) -> Result<ExitCode, Error> {
    let (dir, request) = match command {
        AccountCommand::Create { dir, name } => (dir, AdminRequest::AccountCreate { name: name.clone() }),
        AccountCommand::List { dir } => (dir, AdminRequest::AccountList),
        AccountCommand::Delete { dir, name, force } => {
            (dir, AdminRequest::AccountDelete { name: name.clone(), force: *force })
        }
    };
    run(dir, None, request)
}

pub(super) fn key(command: &KeyCommand) -> Result<ExitCode, Error> {
    let (dir, request) = match command {
        KeyCommand::Create { dir, account, name } => {
            (dir, AdminRequest::KeyCreate { account: account.clone(), name: name.clone() })
        }
        KeyCommand::List { dir, account } => (dir, AdminRequest::KeyList { account: account.clone() }),
        KeyCommand::Revoke { dir, account, id } => (dir, AdminRequest::KeyRevoke { account: account.clone(), id: *id }),
    };
    run(dir, None, request)
}

pub(super) fn password_key(command: &PasswordKeyCommand) -> Result<ExitCode, Error> {
    let PasswordKeyCommand::Rotate { dir, keys } = command;
    run(dir, Some(keys), AdminRequest::PasswordKeyRotate)
}

pub(super) fn purge(options: &PurgeOptions) -> Result<ExitCode, Error> {
    let PurgeOptions { dir, account, project, role } = options.clone();
    run(&dir, None, AdminRequest::RolePurge { account, project, role })
}

fn run(dir: &Path, keys: Option<&PasswordKeyOptions>, request: AdminRequest) -> Result<ExitCode, Error> {
    require_store(dir)?;
    let answer = match SledStore::open(dir, &SledOptions::default()) {
        Ok(store) => {
            let file = keys.and_then(|keys| keys.password_key_file.as_deref());
            let environment = keys.and_then(|keys| keys.password_keys.as_ref());
            let source = PasswordKeySource::new(dir, file, environment, StoreKind::Sled);
            let engine = Engine::open(store, offshoot_engine::Options::default())?;
            let catalog = Catalog::open(engine, offshoot_catalog::Options::default())?;
            perform(&catalog, &source, request)?
        }
        Err(StoreError::Locked { .. }) => on_server(dir, &request)?,
        Err(source) => return Err(Error::Store { path: dir.to_owned(), source }),
    };
    tell(&text(&answer))?;
    Ok(ExitCode::SUCCESS)
}

fn on_server(dir: &Path, request: &AdminRequest) -> Result<AdminAnswer, Error> {
    let failed = |source| Error::Control { path: dir.to_owned(), holder: lock_holder::describe(dir), source };
    let body = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    match control::post(dir, "/admin", body).map_err(failed)? {
        Ok(answer) => serde_json::from_slice(&answer).map_err(|error| failed(error.into())),
        Err(refusal) => Err(Error::Refused(refusal)),
    }
}

/// What a person, or a script, gets to read: a line for each thing, with tabs in between.
fn text(answer: &AdminAnswer) -> String {
    match answer {
        AdminAnswer::Account(account) => account_text(account),
        AdminAnswer::Accounts(accounts) => lines("NAME\tPROJECTS\tKEYS\tCREATED", accounts, account_text),
        AdminAnswer::NewKey { secret, .. } => secret.clone(),
        AdminAnswer::Key(key) => key_text(key),
        AdminAnswer::Keys(keys) => lines("ID\tNAME\tCREATED\tLAST USED\tFROM", keys, key_text),
        AdminAnswer::Rotated { projects, missing } => rotated_text(*projects, missing),
        AdminAnswer::Purged { versions } => {
            format!("versions that had an old password, and have it no more: {versions}")
        }
    }
}

fn lines<T>(head: &str, items: &[T], text: fn(&T) -> String) -> String {
    std::iter::once(head.to_owned()).chain(items.iter().map(text)).collect::<Vec<_>>().join("\n")
}

fn account_text(account: &AccountLine) -> String {
    format!("{}\t{}\t{}\t{}", account.name, account.projects, account.keys, account.created_at)
}

fn key_text(key: &KeyLine) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let used = or_dash(&key.last_used_at);
    format!("{}\t{}\t{}\t{used}\t{}", key.id, key.name, key.created_at, or_dash(&key.last_used_from))
}

fn rotated_text(projects: usize, missing: &[String]) -> String {
    let done = format!("the passwords of {projects} projects are sealed under the newest password key");
    match missing {
        [] => format!("{done}; older keys are needed for older backups only"),
        missing => format!(
            "{done}, except for those under keys that are missing: {}; bring these back and rotate again, or have the passwords reset",
            missing.join(", ")
        ),
    }
}
