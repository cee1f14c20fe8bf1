//! A digest of a set of entries that follows each change without reading the others.

use xxhash_rust::xxh3::xxh3_128;

/// Number and digest of a set of entries.
///
/// The digest is the wrapping sum of the entries' hashes, so it does not depend on the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetDigest {
    pub(crate) entries: u64,
    pub(crate) sum: u128,
}

impl SetDigest {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.add_hash(hash(key, value));
    }

    /// Adds the entry with this [`hash`].
    pub(crate) fn add_hash(&mut self, hash: u128) {
        self.entries = self.entries.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    #[cfg_attr(not(feature = "sled"), expect(dead_code, reason = "dumps never take an entry back"))]
    pub(crate) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(key, value));
    }
}

/// The hash of one entry. The key's length stands first, so that no two entries have the same bytes.
pub(crate) fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut bytes = Vec::with_capacity(8 + key.len() + value.len());
    bytes.extend_from_slice(&(key.len() as u64).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    xxh3_128(&bytes)
}
