//! How passwords are sealed: XChaCha20-Poly1305 with random nonces.
//!
//! Each project has data keys, which its passwords are sealed with, and which are themselves wrapped with a
//! [password key](crate::PasswordKeys) before they are stored. So a password that many versions of many branches share
//! is never sealed again when the password key is changed: only the data keys are wrapped anew.
//!
//! What something is sealed for is authenticated with it, so that nothing sealed opens in another place.

use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::{
    codec::{DataKeyRecord, SealedRecord, Time},
    entropy::{Entropy, EntropyError, draw_bytes},
    error::Result,
    id::ProjectId,
    key_ring::PasswordKey,
    name::RoleName,
};

/// A key that a project's passwords are sealed with.
pub(crate) struct DataKey {
    /// Its number in its project.
    number: u32,
    key: SecretBox<[u8; 32]>,
}

/// What was sealed doesn't open: it was changed, or sealed for something else.
#[derive(Debug)]
pub(crate) struct Unopened;

impl DataKey {
    pub(crate) fn draw(entropy: &dyn Entropy, number: u32) -> Result<Self, EntropyError> {
        Ok(Self { number, key: SecretBox::new(Box::new(draw_bytes(entropy)?)) })
    }

    /// The data key as it is stored.
    pub(crate) fn wrap(
        &self,
        entropy: &dyn Entropy,
        with: &PasswordKey,
        project: &ProjectId,
        created_at: Time,
    ) -> Result<DataKeyRecord> {
        let nonce = draw_bytes(entropy)?;
        let wrapped = seal(&with.key, &nonce, &wrapped_for(with, project, self.number), self.key.expose_secret())?;
        Ok(DataKeyRecord { wrapped_with: with.id, nonce, wrapped, created_at })
    }

    pub(crate) fn unwrap(
        record: &DataKeyRecord,
        with: &PasswordKey,
        project: &ProjectId,
        number: u32,
    ) -> Result<Self, Unopened> {
        let opened = open(&with.key, &record.nonce, &wrapped_for(with, project, number), &record.wrapped)?;
        let key = opened.expose_secret().as_slice().try_into().map_err(|_| Unopened)?;
        Ok(Self { number, key: SecretBox::new(Box::new(key)) })
    }

    pub(crate) fn seal(
        &self,
        entropy: &dyn Entropy,
        project: &ProjectId,
        role: &RoleName,
        password: &SecretString,
    ) -> Result<SealedRecord> {
        let nonce = draw_bytes(entropy)?;
        let sealed_for = sealed_for(project, role, self.number);
        let sealed = seal(&self.key, &nonce, &sealed_for, password.expose_secret().as_bytes())?;
        Ok(SealedRecord { data_key: self.number, nonce, sealed })
    }

    pub(crate) fn open(
        &self,
        project: &ProjectId,
        role: &RoleName,
        record: &SealedRecord,
    ) -> Result<SecretString, Unopened> {
        let opened = open(&self.key, &record.nonce, &sealed_for(project, role, self.number), &record.sealed)?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(|_| Unopened)?;
        Ok(SecretString::from(text))
    }
}

fn wrapped_for(with: &PasswordKey, project: &ProjectId, number: u32) -> Vec<u8> {
    let (id, number) = (with.id.get().to_be_bytes(), number.to_be_bytes());
    [b"data key\0", &id[..], &number[..], project.as_str().as_bytes()].concat()
}

fn sealed_for(project: &ProjectId, role: &RoleName, number: u32) -> Vec<u8> {
    // No id and no name contains a NUL, so that no two pairs of them look the same.
    [b"password\0", &number.to_be_bytes()[..], project.as_str().as_bytes(), b"\0", role.as_str().as_bytes()].concat()
}

/// The sealed bytes, and behind them what proves that nobody changed them.
fn seal(key: &SecretBox<[u8; 32]>, nonce: &[u8; 24], sealed_for: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let sealed = cipher(key).encrypt(nonce.into(), Payload { msg: plain, aad: sealed_for });
    Ok(sealed.map_err(|_| offshoot_engine::Error::Internal("a secret is too long to be sealed"))?)
}

fn open(
    key: &SecretBox<[u8; 32]>,
    nonce: &[u8; 24],
    sealed_for: &[u8],
    sealed: &[u8],
) -> Result<SecretBox<Vec<u8>>, Unopened> {
    let opened = cipher(key).decrypt(nonce.into(), Payload { msg: sealed, aad: sealed_for });
    Ok(SecretBox::new(Box::new(opened.map_err(|_| Unopened)?)))
}

fn cipher(key: &SecretBox<[u8; 32]>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose_secret().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key_ring::PasswordKeys, testing::SeededEntropy};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn project(text: &str) -> ProjectId {
        text.parse().unwrap()
    }

    fn at() -> Time {
        Time(chrono::DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_password_opens_only_for_its_role_of_its_project_and_unchanged() -> TestResult {
        let entropy = SeededEntropy::new(1);
        let key = DataKey::draw(&entropy, 1)?;
        let (shop, sally): (_, RoleName) = (project("shop"), "sally".parse()?);
        let sealed = key.seal(&entropy, &shop, &sally, &"pencil".into())?;
        let opened = key.open(&shop, &sally, &sealed).map_err(|_| "does not open")?;
        assert_eq!(opened.expose_secret(), "pencil");
        assert!(!sealed.sealed.windows(6).any(|window| window == b"pencil"));

        assert!(key.open(&project("shop2"), &sally, &sealed).is_err());
        assert!(key.open(&shop, &"bob".parse()?, &sealed).is_err());
        assert!(DataKey::draw(&entropy, 1)?.open(&shop, &sally, &sealed).is_err());
        for byte in 0..sealed.sealed.len() {
            let mut changed = sealed.clone();
            changed.sealed[byte] ^= 1;
            assert!(key.open(&shop, &sally, &changed).is_err(), "byte {byte}");
            changed.sealed.truncate(byte);
            assert!(key.open(&shop, &sally, &changed).is_err(), "cut at {byte}");
        }
        Ok(())
    }

    #[test]
    fn a_data_key_unwraps_only_with_its_password_key_in_its_place() -> TestResult {
        let entropy = SeededEntropy::new(1);
        let (keys, others) = (PasswordKeys::generate(&entropy)?, PasswordKeys::generate(&entropy)?);
        let (right, wrong) = (keys.newest().ok_or("none")?, others.newest().ok_or("none")?);
        let key = DataKey::draw(&entropy, 1)?;
        let record = key.wrap(&entropy, right, &project("shop"), at())?;
        let unwrapped = DataKey::unwrap(&record, right, &project("shop"), 1).map_err(|_| "does not unwrap")?;
        assert_eq!(unwrapped.key.expose_secret(), key.key.expose_secret());
        assert!(DataKey::unwrap(&record, wrong, &project("shop"), 1).is_err());
        assert!(DataKey::unwrap(&record, right, &project("shop2"), 1).is_err());
        assert!(DataKey::unwrap(&record, right, &project("shop"), 2).is_err());
        Ok(())
    }
}
