//! API keys: secrets that speak for an account. Only a secret's SHA-256 is kept.

use chrono::{DateTime, Utc};
use offshoot_engine::NamespaceId;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{
    account::Account,
    catalog::{Caller, Catalog, now},
    codec::{KeyHashRecord, KeyRecord},
    error::{Error, Result},
    id::{AccountId, ApiKeyId},
    name::KeyName,
    password::draw_key_secret,
    tables::{Source, numbers, system},
};

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
}

impl From<KeyRecord> for ApiKey {
    fn from(record: KeyRecord) -> Self {
        Self { id: record.id, account: record.account, name: record.name, created_at: record.created_at.0 }
    }
}

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
            Ok(record.into())
        })
    }

    /// The caller that a key's secret speaks for.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] for a secret that is no key, or no longer.
    pub fn authenticate(&self, secret: &str) -> Result<Caller> {
        let mut source = self.engine().snapshot()?;
        // Keys are found by their hash, so how long a search takes tells nothing of the secrets that exist.
        let record = system::KEYS.get(&mut source, NamespaceId::SYSTEM, &hash(secret))?;
        let record = record.ok_or(Error::Unauthorized)?;
        Ok(Caller { account: record.account, key: Some(record.id), request: None })
    }

    /// The caller's API keys, in order of creation.
    pub fn key_list(&self, caller: &Caller) -> Result<Vec<ApiKey>> {
        let mut source = self.engine().snapshot()?;
        let places = system::ACCOUNT_KEYS.all(&mut source, NamespaceId::SYSTEM, &caller.account.get().to_be_bytes())?;
        places.into_iter().map(|(place, found)| Ok(key_at(&mut source, &place, &found)?.into())).collect()
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
            system::ACCOUNT_KEYS.delete(tx, NamespaceId::SYSTEM, &place)?;
            system::KEYS.delete(tx, NamespaceId::SYSTEM, &found.hash)?;
            Ok(record.into())
        })
    }
}

fn key_at(source: &mut impl Source, place: &[u8], found: &KeyHashRecord) -> Result<KeyRecord> {
    let record = system::KEYS.get(source, NamespaceId::SYSTEM, &found.hash)?;
    record.ok_or_else(|| system::ACCOUNT_KEYS.corrupt_key(place, "the key that it leads to is missing"))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
