//! What operators do with accounts, keys, the password key and old passwords: on a data directory, or through its control socket on the server that has it open.

use crate::{Error, password_key::PasswordKeySource};
use chrono::{DateTime, SecondsFormat, Utc};
use offshoot_catalog::{Account, AccountName, ApiKey, ApiKeyId, Caller, Catalog, KeyName, ProjectQuery, RoleName};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AdminRequest {
    AccountCreate {
        name: String,
    },
    AccountList,
    /// With `force` also its projects.
    AccountDelete {
        name: String,
        force: bool,
    },
    KeyCreate {
        account: String,
        name: String,
    },
    KeyList {
        account: String,
    },
    KeyRevoke {
        account: String,
        id: u64,
    },
    PasswordKeyRotate,
    RolePurge {
        account: String,
        project: String,
        role: String,
    },
}

/// What came of it. It has no `Debug`, because it may carry a secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AdminAnswer {
    Account(AccountLine),
    Accounts(Vec<AccountLine>),
    NewKey { key: KeyLine, secret: String },
    Key(KeyLine),
    Keys(Vec<KeyLine>),
    Rotated { projects: usize, missing: Vec<String> },
    Purged { versions: u64 },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AccountLine {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at: String,
    /// How many projects it has.
    pub(crate) projects: usize,
    /// How many API keys it has.
    pub(crate) keys: usize,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyLine {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at: String,
    pub(crate) last_used_at: Option<String>,
    pub(crate) last_used_from: Option<String>,
}

impl From<ApiKey> for KeyLine {
    fn from(key: ApiKey) -> KeyLine {
        KeyLine {
            id: key.id.get(),
            name: key.name.to_string(),
            created_at: seconds(&key.created_at),
            last_used_at: key.last_used_at.as_ref().map(seconds),
            last_used_from: key.last_used_from,
        }
    }
}

/// Does what is asked.
pub(crate) fn perform(
    catalog: &Catalog,
    keys: &PasswordKeySource,
    request: AdminRequest,
) -> Result<AdminAnswer, Error> {
    Ok(match request {
        AdminRequest::AccountCreate { name } => {
            let created = catalog.account_create(&account_name(&name)?)?;
            AdminAnswer::Account(account_line(catalog, created)?)
        }
        AdminRequest::AccountList => {
            let lines = catalog.account_list()?.into_iter().map(|account| account_line(catalog, account));
            AdminAnswer::Accounts(lines.collect::<Result<_, _>>()?)
        }
        AdminRequest::AccountDelete { name, force } => {
            let line = account_line(catalog, account(catalog, &name)?)?;
            catalog.account_delete(offshoot_catalog::AccountId::new(line.id), force)?;
            AdminAnswer::Account(line)
        }
        AdminRequest::KeyCreate { account: name, name: key } => {
            let key = key.parse::<KeyName>().map_err(offshoot_catalog::Error::from)?;
            let created = catalog.key_create(account(catalog, &name)?.id, &key)?;
            AdminAnswer::NewKey { key: created.key.into(), secret: created.secret.expose_secret().to_owned() }
        }
        AdminRequest::KeyList { account: name } => {
            let keys = catalog.key_list(&Caller::new(account(catalog, &name)?.id))?;
            AdminAnswer::Keys(keys.into_iter().map(KeyLine::from).collect())
        }
        AdminRequest::KeyRevoke { account: name, id } => {
            let caller = Caller::new(account(catalog, &name)?.id);
            AdminAnswer::Key(catalog.key_revoke(&caller, ApiKeyId::new(id))?.into())
        }
        AdminRequest::PasswordKeyRotate => {
            let rotated = keys.rotate(catalog)?;
            let missing = rotated.missing.iter().map(ToString::to_string).collect();
            AdminAnswer::Rotated { projects: rotated.projects, missing }
        }
        AdminRequest::RolePurge { account: name, project, role } => {
            let caller = Caller::new(account(catalog, &name)?.id);
            let not_found = || offshoot_catalog::Error::ProjectNotFound { id: project.clone() };
            let role = role.parse::<RoleName>().map_err(offshoot_catalog::Error::from)?;
            let purged = catalog.role_purge(&caller, &project.parse().map_err(|_| not_found())?, &role)?;
            AdminAnswer::Purged { versions: purged.versions }
        }
    })
}

fn account_name(name: &str) -> Result<AccountName, Error> {
    Ok(name.parse::<AccountName>().map_err(offshoot_catalog::Error::from)?)
}

fn account(catalog: &Catalog, name: &str) -> Result<Account, Error> {
    let found = catalog.account_by_name(&account_name(name)?)?;
    found.ok_or_else(|| Error::NoAccount { name: name.to_owned() })
}

fn account_line(catalog: &Catalog, account: Account) -> Result<AccountLine, Error> {
    let caller = Caller::new(account.id);
    Ok(AccountLine {
        id: account.id.get(),
        name: account.name.to_string(),
        created_at: seconds(&account.created_at),
        projects: catalog.project_list(&caller, ProjectQuery::default())?.items.len(),
        keys: catalog.key_list(&caller)?.len(),
    })
}

/// An instant to the second, as people read it.
fn seconds(instant: &DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
