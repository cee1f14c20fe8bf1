//! Accounts: who owns projects and API keys.

use chrono::{DateTime, Utc};
use offshoot_engine::{Direction, KeyRange, NamespaceId};

use crate::{
    catalog::{Catalog, name_key, now},
    codec::{AccountNameRecord, AccountRecord, ProjectIdRecord},
    error::{Error, Result},
    id::AccountId,
    key,
    name::AccountName,
    tables::{Source, system},
};

/// An owner of projects and API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's id.
    pub id: AccountId,
    /// The account's name, which no other account has.
    pub name: AccountName,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
}

impl Account {
    fn from_record(id: AccountId, record: AccountRecord) -> Self {
        Self { id, name: record.name, created_at: record.created_at.0 }
    }

    pub(crate) fn find(source: &mut impl Source, id: AccountId) -> Result<Self> {
        let record = system::ACCOUNTS.get(source, NamespaceId::SYSTEM, &id.get().to_be_bytes())?;
        Ok(Self::from_record(id, record.ok_or(Error::AccountNotFound { id })?))
    }
}

/// The name of an account that is there.
pub(crate) fn name_of(source: &mut impl Source, id: AccountId) -> Result<Option<AccountName>> {
    let record = system::ACCOUNTS.get(source, NamespaceId::SYSTEM, &id.get().to_be_bytes())?;
    Ok(record.map(|record| record.name))
}

impl Catalog {
    /// Creates an account.
    ///
    /// # Errors
    ///
    /// [`Error::AccountAlreadyExists`] where the name is taken.
    pub fn account_create(&self, name: &AccountName) -> Result<Account> {
        let name_key = name_key(name.as_str());
        self.commit(|tx| {
            if system::ACCOUNT_NAMES.get(tx, NamespaceId::SYSTEM, &name_key)?.is_some() {
                return Err(Error::AccountAlreadyExists { name: name.clone() });
            }
            let mut id = AccountId::at(tx.instant());
            // An instant can come again where the clock was set back while nothing ran.
            while system::ACCOUNTS.get(tx, NamespaceId::SYSTEM, &id.get().to_be_bytes())?.is_some() {
                id = AccountId::new(id.get() + 1);
            }
            let record = AccountRecord { name: name.clone(), created_at: now(tx) };
            system::ACCOUNTS.put(tx, NamespaceId::SYSTEM, &id.get().to_be_bytes(), &record)?;
            system::ACCOUNT_NAMES.put(tx, NamespaceId::SYSTEM, &name_key, &AccountNameRecord { account: id })?;
            Ok(Account::from_record(id, record))
        })
    }

    /// An account.
    ///
    /// # Errors
    ///
    /// [`Error::AccountNotFound`].
    pub fn account_get(&self, id: AccountId) -> Result<Account> {
        Account::find(&mut self.snapshot()?, id)
    }

    /// Deletes an account with its API keys and what it deleted; with `force`, also with its projects. None of that can be recovered.
    ///
    /// # Errors
    ///
    /// [`Error::AccountNotFound`]; [`Error::AccountHasProjects`] without `force`.
    pub fn account_delete(&self, id: AccountId, force: bool) -> Result<Account> {
        let prefix = id.get().to_be_bytes();
        loop {
            let mut source = self.snapshot()?;
            let account = Account::find(&mut source, id)?;
            let has = system::ACCOUNT_PROJECTS.first(&mut source, NamespaceId::SYSTEM, &prefix)?;
            if let Some(ProjectIdRecord { project }) = has.as_ref().filter(|_| !force) {
                return Err(Error::AccountHasProjects { name: account.name, project: project.clone() });
            }
            let deleted = system::ACCOUNT_DELETED_PROJECTS.first(&mut source, NamespaceId::SYSTEM, &prefix)?;
            drop(source);
            if let Some(ProjectIdRecord { project }) = has.or(deleted) {
                self.project_remove(&project)?;
                continue;
            }
            let gone = self.commit(|tx| {
                let account = Account::find(tx, id)?;
                for table in [&system::ACCOUNT_PROJECTS, &system::ACCOUNT_DELETED_PROJECTS] {
                    if table.first(tx, NamespaceId::SYSTEM, &prefix)?.is_some() {
                        return Ok(None);
                    }
                }
                key::remove_all(tx, id)?;
                system::ACCOUNT_NAMES.delete(tx, NamespaceId::SYSTEM, &name_key(account.name.as_str()))?;
                system::ACCOUNTS.delete(tx, NamespaceId::SYSTEM, &prefix)?;
                Ok(Some(account))
            })?;
            if let Some(account) = gone {
                return Ok(account);
            }
        }
    }

    /// The account of this name, if there is one.
    pub fn account_by_name(&self, name: &AccountName) -> Result<Option<Account>> {
        let mut source = self.snapshot()?;
        let found = system::ACCOUNT_NAMES.get(&mut source, NamespaceId::SYSTEM, &name_key(name.as_str()))?;
        found.map(|found| Account::find(&mut source, found.account)).transpose()
    }

    /// All accounts, in order of creation.
    pub fn account_list(&self) -> Result<Vec<Account>> {
        self.accounts(usize::MAX)
    }

    /// Whether there is no account yet.
    pub fn is_new(&self) -> Result<bool> {
        Ok(self.accounts(1)?.is_empty())
    }

    fn accounts(&self, limit: usize) -> Result<Vec<Account>> {
        let mut source = self.snapshot()?;
        let records =
            system::ACCOUNTS.list(&mut source, NamespaceId::SYSTEM, KeyRange::ALL, Direction::Ascending, limit)?;
        let account = |(key, record): (bytes::Bytes, AccountRecord)| {
            let number =
                key.as_ref().try_into().map_err(|_| system::ACCOUNTS.corrupt_key(&key, "its key is not a number"))?;
            Ok(Account::from_record(AccountId::new(u64::from_be_bytes(number)), record))
        };
        records.into_iter().map(account).collect()
    }
}
