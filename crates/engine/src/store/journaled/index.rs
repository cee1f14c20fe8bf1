//! What a journaled store reads from: an ordered map that takes the journal's commits after they are durable.
//!
//! An index may lose everything, or go back to an older state, at any crash: it is made anew from a snapshot and the journal. So it is
//! checked against the journal's digest, not trusted.

use super::{notes::Fingerprint, stamp::Stamp};
use crate::store::{StoreError, Write, digest::SetDigest, overlay::Base};

/// Is shown the key and the value of one entry after the other; an error ends that.
pub(crate) type EachEntry<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;

/// What can be read of an index as a whole.
pub(crate) trait Contents {
    /// The state that was noted last; none where nothing was ever applied, or it cannot be read.
    fn stamp(&self) -> Result<Option<Stamp>, StoreError>;

    /// Shows all entries, in the order of their keys, as they are without commits meanwhile.
    fn scan(&self, each: EachEntry<'_>) -> Result<(), StoreError>;

    /// Number and digest of all entries.
    fn digest(&self) -> Result<SetDigest, StoreError> {
        let mut digest = SetDigest::default();
        self.scan(&mut |key, value| {
            digest.add(key, value);
            Ok(())
        })?;
        Ok(digest)
    }
}

/// An open index.
pub(crate) trait Index: Base + Contents {
    /// Writes, in their order, and notes the state that they lead to. Meanwhile readers, and after a crash whoever opens the index, may find some of
    /// the writes without the others, and never the new state without all of them: the keys have their values from elsewhere until it is done, and the journal is
    /// applied again.
    fn apply(&self, writes: &mut dyn Iterator<Item = &Write>, after: &Stamp) -> Result<(), StoreError>;

    /// Makes durable what was applied.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Puts entries and commits into a new index.
pub(crate) type Fill<'a, I> = &'a mut dyn FnMut(&I) -> Result<(), StoreError>;

/// Where an index is kept.
pub(crate) trait IndexHome: Send + Sync + 'static {
    /// The index that is kept.
    type Index: Index;

    /// What a release without a journal wrote.
    type Bare: Contents;

    /// Opens the index that is there, if there is one. One of an older layout does not count: it is made anew.
    fn open(&self) -> Result<Option<Self::Index>, StoreError>;

    /// Opens what is there as a release without a journal wrote it, if there is anything.
    fn open_bare(&self) -> Result<Option<Self::Bare>, StoreError>;

    /// Makes a new index beside the one that is there, lets `fill` fill it, makes it durable, and puts it in the place of the other one, which is
    /// kept under another name. The index that is there must not be open.
    fn rebuild(&self, fill: Fill<'_, Self::Index>) -> Result<Self::Index, StoreError>;

    /// Waits until the files of an index that was dropped are closed.
    fn release(&self) -> Result<(), StoreError>;

    /// Length and digest of the files of an index that is not open.
    fn fingerprint(&self) -> Result<Fingerprint, StoreError>;
}
