//! Password keys: what stored passwords are sealed under, and what the store doesn't hold.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::entropy::{Entropy, EntropyError, draw_bytes};

/// The id of a password key. It is made of the key, so the same key has the same id everywhere; it tells nothing of the
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordKeyId(u64);

impl PasswordKeyId {
    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The id's number.
    pub const fn get(self) -> u64 {
        self.0
    }

    fn of(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"offshoot password key id\0").chain_update(key).finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for PasswordKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The password keys that there are: the newest one is used for what is sealed from now on, the others for what was
/// sealed before.
///
/// As a text, for a file or the environment, each is 32 bytes in base64, the newest one last; lines that begin with `#`
/// are for people.
#[derive(Default)]
pub struct PasswordKeys(Vec<PasswordKey>);

pub(crate) struct PasswordKey {
    pub(crate) id: PasswordKeyId,
    pub(crate) key: SecretBox<[u8; 32]>,
}

impl PasswordKey {
    fn new(key: [u8; 32]) -> Self {
        Self { id: PasswordKeyId::of(&key), key: SecretBox::new(Box::new(key)) }
    }
}

/// Why a text is no password keys. The text isn't shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParsePasswordKeysError {
    /// There is none.
    #[error("there is no password key in it; a key is 32 random bytes in base64")]
    Empty,
    /// One of them is none.
    #[error("number {number} of the password keys in it is not 32 bytes in base64")]
    Unfit {
        /// Which, beginning with 1.
        number: usize,
    },
}

impl PasswordKeys {
    /// No key, so that no password can be kept.
    pub fn none() -> Self {
        Self::default()
    }

    /// One new key.
    ///
    /// # Errors
    ///
    /// [`EntropyError`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Self::none().with_new(entropy)
    }

    /// These keys and a new one, which is used from now on.
    ///
    /// # Errors
    ///
    /// [`EntropyError`].
    pub fn with_new(&self, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let old = self.0.iter().map(|old| PasswordKey::new(*old.key.expose_secret()));
        Ok(Self(old.chain([PasswordKey::new(draw_bytes(entropy)?)]).collect()))
    }

    /// Reads keys from a text, in which whitespace or commas part them.
    ///
    /// # Errors
    ///
    /// [`ParsePasswordKeysError`].
    pub fn parse(text: &SecretString) -> Result<Self, ParsePasswordKeysError> {
        let lines = text.expose_secret().lines().filter(|line| !line.trim_start().starts_with('#'));
        let texts = lines.flat_map(|line| line.split([',', ' ', '\t', '\r'])).filter(|text| !text.is_empty());
        let key = |(number, text): (usize, &str)| {
            let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.map(PasswordKey::new).ok_or(ParsePasswordKeysError::Unfit { number })
        };
        let keys: Vec<_> = (1..).zip(texts).map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(ParsePasswordKeysError::Empty) } else { Ok(Self(keys)) }
    }

    /// The keys as [`PasswordKeys::parse`] reads them, one a line.
    pub fn to_text(&self) -> SecretString {
        self.0.iter().map(|key| BASE64_STANDARD.encode(key.key.expose_secret()) + "\n").collect::<String>().into()
    }

    /// The ids of the keys, the newest one last.
    pub fn ids(&self) -> impl Iterator<Item = PasswordKeyId> {
        self.0.iter().map(|key| key.id)
    }

    /// The key that is used from now on.
    pub(crate) fn newest(&self) -> Option<&PasswordKey> {
        self.0.last()
    }

    pub(crate) fn get(&self, id: PasswordKeyId) -> Option<&PasswordKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl fmt::Debug for PasswordKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids().map(|id| id.to_string())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn keys_survive_their_text_with_the_newest_last() -> TestResult {
        let entropy = SeededEntropy::new(1);
        let one = PasswordKeys::generate(&entropy)?;
        let two = one.with_new(&entropy)?;
        assert_eq!(two.ids().next(), one.ids().next());
        let file = format!("# keep a copy\n{}", two.to_text().expose_secret());
        let environment = two.to_text().expose_secret().trim().replace('\n', ",");
        for text in [file, environment] {
            let read = PasswordKeys::parse(&text.into())?;
            assert!(read.ids().eq(two.ids()));
            assert_eq!(read.newest().map(|key| key.id), two.ids().last());
        }
        Ok(())
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place_and_not_shown() {
        let good = BASE64_STANDARD.encode([7; 32]);
        for bad in ["secret".to_owned(), BASE64_STANDARD.encode([7; 31]), BASE64_STANDARD.encode([7; 33])] {
            let refused = PasswordKeys::parse(&format!("{good}\n{bad}").into());
            let Err(error) = refused else { panic!("read {bad}") };
            assert_eq!(error, ParsePasswordKeysError::Unfit { number: 2 });
            assert!(!error.to_string().contains(&bad));
        }
        for empty in ["", "\n\n", "# nothing", " , "] {
            assert_eq!(PasswordKeys::parse(&empty.into()).err(), Some(ParsePasswordKeysError::Empty));
        }
    }

    #[test]
    fn keys_are_not_printed() -> TestResult {
        let keys = PasswordKeys::parse(&BASE64_STANDARD.encode([7; 32]).into())?;
        let printed = format!("{keys:?}");
        assert!(!printed.contains("BwcH") && !printed.contains("7, 7"), "{printed}");
        Ok(())
    }
}
