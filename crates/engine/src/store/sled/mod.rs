//! The embedded store: a [journal](super::journaled) with sled as its index.
//!
//! Sled 0.34.7 alone is no store to trust: its `flush` does not wait for the disk, it has no group commit, and after damage to its files it
//! rolls back or loses entries in silence. As an index it need not be trusted: whatever it loses is found and made anew.

mod block;
mod blocks;
mod files;
mod home;
mod tree;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    ops::RangeInclusive,
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use self::home::SledHome;
use super::{
    Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
    disk::{Disk, OsDisk},
    dump::{self, DumpError, DumpInfo, DumpReader},
    journaled::{self, JournaledStore, Plan, Sizes, StoreReport, StoreStatus, lay_down_dump},
    overlay::Hot,
};
use crate::check;

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
    pub fn with_snapshot_age(mut self, age: Duration) -> Self {
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

    /// Whether there is something of a store in `directory`, whole or not: where there is nothing, [`SledStore::open`] makes a new one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the operating system does not tell.
    pub fn is_in(directory: impl AsRef<Path>) -> Result<bool, StoreError> {
        let directory = directory.as_ref();
        for name in journaled::NAMES.into_iter().chain([home::DIRECTORY]) {
            let path = directory.join(name);
            let is_there = path.try_exists().map_err(StoreError::io(format!("look for {}", path.display())))?;
            if is_there {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes all durable entries as a dump, as they are at one moment, whatever is committed meanwhile, and flushes `out`; see [`dump`].
    ///
    /// The store keeps, in memory, what is overwritten until the dump is written.
    ///
    /// # Errors
    ///
    /// Those of [`dump::dump`].
    pub fn dump(&self, out: impl Write, progress: &mut dyn FnMut(dump::Progress)) -> Result<DumpInfo, DumpError> {
        self.journaled.dump(out, progress)
    }

    /// Makes a new store in `directory`, which is missing or empty, of a dump that begins where `input` stands: all of it or nothing.
    ///
    /// The new store goes on from the dump's commit, under a number of its own. Until it is whole, it is in a directory of the same name with
    /// `.loading` at its end.
    ///
    /// # Errors
    ///
    /// - [`DumpError::NotEmpty`] when something is in the directory.
    /// - Those of [`dump::verify`]: the dump is read whole before anything is written.
    /// - [`DumpError::Store`] when the new store cannot be made.
    pub fn restore(
        directory: impl AsRef<Path>,
        mut input: impl Read + Seek,
        progress: &mut dyn FnMut(dump::Progress),
    ) -> Result<DumpInfo, DumpError> {
        let directory = directory.as_ref();
        files::refuse_non_empty(directory)?;
        let io = |source| DumpError::Io { action: "find a place in the dump", source };
        let begin = input.stream_position().map_err(io)?;
        let info = dump::verify(&mut input, progress)?;
        input.seek(SeekFrom::Start(begin)).map_err(io)?;
        let unfinished = files::beside(directory, "loading");
        files::remove_dir(&unfinished)?;
        files::create_private_dir(&unfinished)?;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(&unfinished));
        lay_down_dump(&disk, DumpReader::open(input)?, &info, progress)?;
        // The index is made here, so that the first start is as short as any, and is known to succeed.
        Self::open(&unfinished, &SledOptions::default())?.close()?;
        files::take_place(&unfinished, directory)?;
        Ok(info)
    }

    /// Checks the closed store in `directory`: each part of its files against the others, each key, and everything that the engine keeps.
    ///
    /// Mends nothing. Sled may write to its own files when they are opened.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Locked`] when the store is open.
    /// - [`StoreError::Corrupt`] when there is no store, or too little of one to check.
    /// - [`StoreError::Io`] and [`StoreError::UnknownFormat`].
    pub fn check(
        directory: impl AsRef<Path>,
        progress: &mut dyn FnMut(check::Progress),
    ) -> Result<StoreReport, StoreError> {
        let closed = Closed::lock(directory.as_ref())?;
        journaled::inspect(&closed.disk, &closed.home, &Sizes::default(), progress)
    }

    /// Finds out what has to be done so that the closed store in `directory` can be opened, without doing it.
    ///
    /// # Errors
    ///
    /// Those of [`SledStore::check`].
    pub fn plan_repair(directory: impl AsRef<Path>) -> Result<Repair, StoreError> {
        let closed = Closed::lock(directory.as_ref())?;
        let plan = journaled::plan(&closed.disk, &closed.home, &Sizes::default())?;
        Ok(Repair { closed, plan })
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

/// The directory of a closed store, locked so that nobody opens it.
struct Closed {
    disk: Arc<dyn Disk>,
    home: SledHome,
    _lock: File,
}

impl Closed {
    fn lock(directory: &Path) -> Result<Self, StoreError> {
        if !directory.is_dir() {
            return Err(StoreError::Corrupt { what: format!("there is no directory {}", directory.display()) });
        }
        let lock = files::lock(directory)?;
        let home = SledHome::new(directory, SledOptions::default().sled_bytes());
        Ok(Self { disk: Arc::new(OsDisk::new(directory)), home, _lock: lock })
    }
}

/// What has to be done so that a store can be opened; see [`SledStore::plan_repair`]. Its text says what is damaged, what would be done, and
/// what would be lost. The store stays locked as long as this exists.
pub struct Repair {
    closed: Closed,
    plan: Plan,
}

impl Repair {
    /// Whether the store cannot be opened as it is.
    pub fn is_needed(&self) -> bool {
        self.plan != Plan::Nothing
    }

    /// The acknowledged commits that would be given up; none where nothing has to be, or nothing can be saved.
    pub fn gives_up(&self) -> Option<RangeInclusive<Sequence>> {
        match &self.plan {
            Plan::GoBack { to, from, .. } => Some(to.next()..=*from),
            Plan::Nothing | Plan::Impossible { .. } => None,
        }
    }

    /// Does it. Nothing is removed: what is damaged gets other names. Does nothing where nothing has to be done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] where nothing can be saved, and whatever the files fail with.
    pub fn run(self) -> Result<(), StoreError> {
        if let Plan::Impossible { .. } = self.plan {
            return Err(StoreError::Corrupt { what: self.plan.to_string() });
        }
        journaled::run_repair(&self.closed.disk, &self.closed.home, &Sizes::default(), &self.plan)
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl fmt::Debug for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair").field("plan", &self.plan).finish_non_exhaustive()
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

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.journaled.snapshot_in_memory()
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

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.journaled.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.journaled.max_commit_bytes()
    }
}
