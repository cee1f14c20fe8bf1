//! The embedded store: a [journal](super::journaled) with sled as its index.
//!
//! Sled 0.34.7 alone is no store to trust: its `flush` does not wait for the disk, it has no group commit, and after damage to its files it
//! rolls back or loses entries in silence. As an index it need not be trusted: whatever it loses is found and made anew.

mod files;
mod home;
mod tree;

#[cfg(test)]
mod tests;

use std::{fmt, fs::File, path::Path, sync::Arc};

use bytes::Bytes;

use self::home::SledHome;
use super::{
    Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
    disk::OsDisk,
    journaled::{JournaledStore, Sizes, StoreStatus},
    overlay::Hot,
};

/// How a [`SledStore`] is opened; [`SledOptions::default`] says what is usual.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SledOptions {
    cache: CacheBytes,
    sizes: Sizes,
}

/// How many bytes the caches may have.
#[derive(Clone, Copy, Debug)]
struct CacheBytes(u64);

impl Default for CacheBytes {
    fn default() -> Self {
        Self(256 << 20)
    }
}

impl SledOptions {
    /// How many bytes the caches may have; 256 MiB by default. Three quarters are sled's; the rest keeps what is read again and again, such as
    /// heads.
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache = CacheBytes(bytes);
        self
    }

    /// After how many bytes of journal a snapshot is taken; 128 MiB by default, and never fewer than the last snapshot has. What is journaled since
    /// the newest snapshot has to be read at each start.
    pub fn with_snapshot_bytes(mut self, bytes: u64) -> Self {
        self.sizes.snapshot_bytes = bytes;
        self
    }

    /// After how much time a snapshot is taken if there were commits; 24 hours by default.
    pub fn with_snapshot_age(mut self, age: std::time::Duration) -> Self {
        self.sizes.snapshot_age = age;
        self
    }

    #[cfg(test)]
    fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    fn hot_bytes(&self) -> u64 {
        self.cache.0 / 4
    }

    fn sled_bytes(&self) -> u64 {
        self.cache.0 - self.hot_bytes()
    }
}

/// A store in a directory of the local file system.
///
/// Dropping it makes durable what is pending; [`SledStore::close`] does the same and says whether it worked.
pub struct SledStore {
    journaled: JournaledStore<SledHome>,
    /// Unlocks the directory after all else is gone: fields are dropped in their order.
    _lock: File,
}

impl SledStore {
    /// Opens the store in `directory`, or creates it where there is none.
    ///
    /// What an unclean stop or damage left is put right, as far as nothing that was acknowledged is lost by that; what was done is logged. A directory
    /// of a release without a journal gets one.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Locked`] when the store is open already.
    /// - [`StoreError::RolledBack`] and [`StoreError::Corrupt`] when the directory does not hold what was acknowledged.
    /// - [`StoreError::UnknownFormat`] when another release wrote it.
    /// - [`StoreError::Io`] when the operating system refuses something.
    pub fn open(directory: impl AsRef<Path>, options: &SledOptions) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        files::create_private_dir(directory)?;
        let lock = files::lock(directory)?;
        let home = SledHome::new(directory, options.sled_bytes());
        let disk = Arc::new(OsDisk::new(directory));
        let journaled = JournaledStore::open(disk, home, options.sizes.clone(), Hot::with_bytes(options.hot_bytes()))?;
        Ok(Self { journaled, _lock: lock })
    }

    /// How far the store is.
    pub fn status(&self) -> StoreStatus {
        self.journaled.status()
    }

    /// Makes durable what is pending, and closes the store.
    ///
    /// # Errors
    ///
    /// The failure that kept a commit from becoming durable, also when a waiter was told of it already.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { journaled, _lock } = self;
        journaled.close()
    }
}

impl fmt::Debug for SledStore {
    /// Leaves out what is stored: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("durable", &self.journaled.newest_durable()).finish_non_exhaustive()
    }
}

impl Store for SledStore {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.journaled.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.journaled.snapshot(view)
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.journaled.submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.journaled.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.journaled.feed(after, limit)
    }

    fn max_commit_bytes(&self) -> usize {
        self.journaled.max_commit_bytes()
    }
}
