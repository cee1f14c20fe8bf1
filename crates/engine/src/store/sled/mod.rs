//! The embedded store on sled.
//!
//! # What is on disk
//!
//! - `sled/`: sled's files. One tree holds the entries and, under a key that users cannot see, a [`Stamp`](stamp::Stamp): the sequence of the newest
//!   commit, and number and digest of all entries.
//! - `COMMITS`: the newest stamp once more, outside of sled.
//! - `LOCK`: locked while the store is open.
//!
//! # What survives a crash
//!
//! A commit is durable when sled has flushed it and the disk has it; [`Store::wait`] returns after that. One thread takes all commits that wait,
//! writes them with their stamp as one atomic batch, and makes them durable together.
//!
//! Sled can fall back to an older state without a word when its files are damaged. Therefore all entries are read when the store is opened:
//! they must be what the stamp in sled describes, and that must not be older than the stamp in `COMMITS`. A store that fails this check
//! is not opened.

mod committer;
mod files;
mod open;
mod stamp;
mod tree;

#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc, thread::JoinHandle};

use bytes::Bytes;

use self::{
    committer::Committer,
    open::{DirectoryGuard, Opened},
    tree::SledTree,
};
use super::{
    Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
    overlay::{Hot, MAX_COMMIT_BYTES, Overlay},
};

/// How many bytes may be pending before [`Store::submit`] blocks.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// How a [`SledStore`] is opened.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// How many bytes the caches may have; 256 MiB by default. Three quarters are sled's; the rest keeps what is read again and again, such as heads.
    pub cache_bytes: u64,
}

impl SledOptions {
    fn hot_bytes(&self) -> u64 {
        self.cache_bytes / 4
    }

    fn sled_bytes(&self) -> u64 {
        self.cache_bytes - self.hot_bytes()
    }
}

impl Default for SledOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20 }
    }
}

/// A store in a directory of the local file system.
///
/// Dropping it makes durable what is pending; [`SledStore::close`] does the same and says whether it worked.
pub struct SledStore {
    committer: Option<JoinHandle<Result<(), StoreError>>>,
    overlay: Arc<Overlay<SledTree>>,
    /// Closes sled and unlocks the directory after all else is gone: fields are dropped in their order.
    _guard: DirectoryGuard,
}

impl SledStore {
    /// Opens the store in `directory`, or creates it where there is none. Reads all entries to check them.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Locked`] when the store is open already.
    /// - [`StoreError::RolledBack`] and [`StoreError::Corrupt`] when the directory does not hold what was acknowledged.
    /// - [`StoreError::UnknownFormat`] when another release wrote it.
    /// - [`StoreError::Io`] when the operating system refuses something.
    pub fn open(directory: impl AsRef<Path>, options: &SledOptions) -> Result<Self, StoreError> {
        Self::start(open::open(directory.as_ref(), options)?, Hot::with_bytes(options.hot_bytes()))
    }

    fn start(opened: Opened, hot: Hot) -> Result<Self, StoreError> {
        let Opened { tree, data, commits, stamp, guard } = opened;
        let overlay = Arc::new(Overlay::new(tree, stamp.sequence, MAX_PENDING_BYTES, hot));
        let committer = Committer { overlay: Arc::clone(&overlay), data, commits, stamp };
        Ok(Self { committer: Some(committer.spawn()?), overlay, _guard: guard })
    }

    /// Makes durable what is pending, and closes the store.
    ///
    /// # Errors
    ///
    /// The failure that kept a commit from becoming durable, also when a waiter was told of it already.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.overlay.close();
        let Some(committer) = self.committer.take() else { return Ok(()) };
        let bug = |_| StoreError::Corrupt { what: "bug: the thread that commits panicked".to_owned() };
        committer.join().map_err(bug).flatten()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

impl fmt::Debug for SledStore {
    /// Leaves out what is stored: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("durable", &self.overlay.newest_durable()).finish_non_exhaustive()
    }
}

impl Store for SledStore {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.overlay.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.overlay.snapshot(view)?))
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.overlay.submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.overlay.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.overlay.feed(after, limit)
    }

    fn max_commit_bytes(&self) -> usize {
        MAX_COMMIT_BYTES
    }
}
