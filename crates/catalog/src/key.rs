//! API keys: secrets that speak for an account. Only a secret's SHA-256 is kept.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{NamespaceId, Transaction};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{
    account::Account,
    catalog::{Caller, Catalog, now},
    codec::{KeyHashRecord, KeyRecord, KeyUseRecord, Time},
    error::{Error, Result},
    id::{AccountId, ApiKeyId},
    name::KeyName,
    password::draw_key_secret,
    provenance::clipped,
    tables::{Source, numbers, system},
};

/// How much of an address is kept.
const MAX_ADDRESS_BYTES: usize = 64;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's id.
    pub id: ApiKeyId,
    /// The account that it speaks for.
    pub account: AccountId,
    /// What the key is for.
    pub name: KeyName,
    /// When the key was created.
    pub created_at: DateTime<Utc>,
    /// When the key was last used; up to a minute of it may be forgotten in a crash.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The address from which it was used then.
    pub last_used_from: Option<String>,
}

impl ApiKey {
    fn from_record(record: KeyRecord, last_use: Option<KeyUseRecord>) -> Self {
        let (last_used_at, address) = last_use.map(|last| (last.at.0, last.address)).unzip();
        Self {
            id: record.id,
            account: record.account,
            name: record.name,
            created_at: record.created_at.0,
            last_used_at,
            last_used_from: address.flatten(),
        }
    }
}

/// Uses of keys that aren't stored yet: a request must not wait for the disk because of them.
#[derive(Default)]
pub(crate) struct KeyUses(Mutex<HashMap<(AccountId, ApiKeyId), KeyUseRecord>>);

/// A new API key. Its secret is told here only.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The key.
    pub key: ApiKey,
    /// What to send to be known as the account.
    pub secret: SecretString,
}

impl Catalog {
    /// Creates an API key with a secret of its own: `osk_` and 40 letters and digits.
    ///
    /// # Errors
    ///
    /// [`Error::AccountNotFound`]; [`Error::Entropy`] when no secret could be drawn.
    pub fn key_create(&self, account: AccountId, name: &KeyName) -> Result<NewApiKey> {
        let secret = draw_key_secret(self.entropy())?;
        let key = self.key_store(account, name, &secret)?;
        Ok(NewApiKey { key, secret })
    }

    /// Creates an API key whose secret an operator chose: 24 to 256 characters of printable ASCII without spaces.
    ///
    /// # Errors
    ///
    /// [`Error::ApiKeyUnfit`] for any other secret; [`Error::ApiKeyAlreadyExists`] where the secret is a key already,
    /// of whichever account; [`Error::AccountNotFound`].
    pub fn key_import(&self, account: AccountId, name: &KeyName, secret: &SecretString) -> Result<ApiKey> {
        let text = secret.expose_secret();
        if !(24..=256).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::ApiKeyUnfit { length: text.len() });
        }
        self.key_store(account, name, secret)
    }

    fn key_store(&self, account: AccountId, name: &KeyName, secret: &SecretString) -> Result<ApiKey> {
        let hash = hash(secret.expose_secret());
        self.commit(|tx| {
            Account::find(tx, account)?;
            if system::KEYS.get(tx, NamespaceId::SYSTEM, &hash)?.is_some() {
                return Err(Error::ApiKeyAlreadyExists);
            }
            let mut id = ApiKeyId::at(tx.instant());
            // An instant can come again where the clock was set back while nothing ran.
            while system::ACCOUNT_KEYS.get(tx, NamespaceId::SYSTEM, &numbers(account.get(), id.get()))?.is_some() {
                id = ApiKeyId::new(id.get() + 1);
            }
            let record = KeyRecord { account, id, name: name.clone(), created_at: now(tx) };
            system::KEYS.put(tx, NamespaceId::SYSTEM, &hash, &record)?;
            let place = numbers(account.get(), id.get());
            system::ACCOUNT_KEYS.put(tx, NamespaceId::SYSTEM, &place, &KeyHashRecord { hash })?;
            Ok(ApiKey::from_record(record, None))
        })
    }

    /// The caller that a key's secret speaks for.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] for a secret that is no key, or no longer.
    pub fn authenticate(&self, secret: &str) -> Result<Caller> {
        self.authenticate_from(secret, None)
    }

    /// The caller that a key's secret speaks for, with the address that it was sent from, of which 64 bytes are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] for a secret that is no key, or no longer.
    pub fn authenticate_from(&self, secret: &str, address: Option<&str>) -> Result<Caller> {
        let mut source = self.snapshot()?;
        // Keys are found by their hash, so how long a search takes tells nothing of the secrets that exist.
        let record = system::KEYS.get(&mut source, NamespaceId::SYSTEM, &hash(secret))?;
        let record = record.ok_or(Error::Unauthorized)?;
        let address = address.map(|address| clipped(address, MAX_ADDRESS_BYTES).to_owned());
        let used = KeyUseRecord { at: Time(self.engine().now()), address };
        self.key_uses().0.lock().insert((record.account, record.id), used);
        Ok(Caller { account: record.account, key: Some(record.id), request: None })
    }

    /// The caller's API keys, in order of creation.
    pub fn key_list(&self, caller: &Caller) -> Result<Vec<ApiKey>> {
        let mut source = self.snapshot()?;
        let places = system::ACCOUNT_KEYS.all(&mut source, NamespaceId::SYSTEM, &caller.account.get().to_be_bytes())?;
        let key = |(place, found): (Bytes, KeyHashRecord)| {
            let record = key_at(&mut source, &place, &found)?;
            let last_use = self.key_last_use(&mut source, &record)?;
            Ok(ApiKey::from_record(record, last_use))
        };
        places.into_iter().map(key).collect()
    }

    fn key_last_use(&self, source: &mut impl Source, record: &KeyRecord) -> Result<Option<KeyUseRecord>> {
        if let Some(used) = self.key_uses().0.lock().get(&(record.account, record.id)) {
            return Ok(Some(used.clone()));
        }
        let place = numbers(record.account.get(), record.id.get());
        system::KEY_USES.get(source, NamespaceId::SYSTEM, &place)
    }

    /// Stores when keys were last used, which is only in memory until then. A server does so now and then, and at its
    /// end.
    pub fn key_uses_store(&self) -> Result<()> {
        let uses = std::mem::take(&mut *self.key_uses().0.lock());
        if uses.is_empty() {
            return Ok(());
        }
        let stored = self.commit(|tx| {
            for ((account, id), used) in &uses {
                let place = numbers(account.get(), id.get());
                if system::ACCOUNT_KEYS.get(tx, NamespaceId::SYSTEM, &place)?.is_some() {
                    system::KEY_USES.put(tx, NamespaceId::SYSTEM, &place, used)?;
                }
            }
            Ok(())
        });
        if stored.is_err() {
            // Those that came meanwhile are later.
            let mut waiting = self.key_uses().0.lock();
            for (key, used) in uses {
                waiting.entry(key).or_insert(used);
            }
        }
        stored
    }

    /// Revokes one of the caller's API keys: from now on it speaks for nobody.
    ///
    /// # Errors
    ///
    /// [`Error::ApiKeyNotFound`].
    pub fn key_revoke(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
        let place = numbers(caller.account.get(), id.get());
        self.commit(|tx| {
            let found = system::ACCOUNT_KEYS.get(tx, NamespaceId::SYSTEM, &place)?;
            let found = found.ok_or(Error::ApiKeyNotFound { id })?;
            let record = key_at(tx, &place, &found)?;
            let last_use = self.key_last_use(tx, &record)?;
            remove(tx, &place, &found)?;
            Ok(ApiKey::from_record(record, last_use))
        })
    }
}

/// Removes all keys of an account.
pub(crate) fn remove_all(tx: &mut Transaction<'_>, account: AccountId) -> Result<()> {
    let places = system::ACCOUNT_KEYS.all(tx, NamespaceId::SYSTEM, &account.get().to_be_bytes())?;
    places.iter().try_for_each(|(place, found)| remove(tx, place, found))
}

fn remove(tx: &mut Transaction<'_>, place: &[u8], found: &KeyHashRecord) -> Result<()> {
    system::ACCOUNT_KEYS.delete(tx, NamespaceId::SYSTEM, place)?;
    system::KEYS.delete(tx, NamespaceId::SYSTEM, &found.hash)?;
    system::KEY_USES.delete(tx, NamespaceId::SYSTEM, place)
}

fn key_at(source: &mut impl Source, place: &[u8], found: &KeyHashRecord) -> Result<KeyRecord> {
    let record = system::KEYS.get(source, NamespaceId::SYSTEM, &found.hash)?;
    record.ok_or_else(|| system::ACCOUNT_KEYS.corrupt_key(place, "the key that it leads to is missing"))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
