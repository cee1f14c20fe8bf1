//! A journal with an index: a commit is durable in the journal, and read from the index.
//!
//! # A commit's way
//!
//! 1. Space for it is [reserved](space) in the journal's segments, so that a full disk is met now or not at all.
//! 2. The overlay decides it against all that is pending, and queues it.
//! 3. Whoever waits for it takes all commits that are queued, writes them as one [frame], makes that durable, and says so: readers see them,
//!    waiters return. What comes meanwhile is left to the committing thread.
//! 4. The indexing thread applies them to the [index], batch by batch. Until then they are read from the overlay, whose size is bounded.
//! 5. Now and then, by the bytes that were journaled, the index is made durable (a *checkpoint*) and all entries are written to a file (a
//!    *snapshot*). Segments whose commits both have are used again.
//!
//! # What survives what
//!
//! - A crash: everything acknowledged. The journal has it; the index gets again what it may have lost.
//! - The loss of the index, whole or in part: everything. It is made anew from snapshot and journal; the running digest of all entries, which
//!   each frame carries, tells whether an index is right.
//! - Damage to the journal or to a snapshot: everything, as long as the index is right; the store then writes the damaged part anew. Where
//!   that is not so, the store is not opened, and says which commits are lost.
//! - A failed write or sync of the journal: the store takes no more commits until it is opened again; reads go on.
//!
//! [`recover`] has the order in which all that is tried.

mod applying;
mod expected;
pub(crate) mod frame;
mod index;
mod journal;
pub(crate) mod notes;
mod recover;
mod scan;
mod snapshots;
mod space;
mod stamp;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
mod turns;

use std::{io, sync::Arc, thread::JoinHandle, time::Duration};

pub use self::recover::{StoreFinding, StorePart, StoreReport};
pub(crate) use self::{
    index::{Contents, EachEntry, Fill, Index, IndexHome},
    notes::Fingerprint,
    recover::{Plan, inspect, lay_down_dump, plan, run_repair},
    stamp::Stamp,
};
use self::{
    notes::{Note, NoteFile},
    recover::Opened,
    threads::{Shared, Writer},
};
use super::{
    Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
    disk::Disk,
    dump::{self, DumpError, DumpInfo},
    overlay::{Hot, MAX_COMMIT_BYTES, Overlay},
};

/// The names of files and directories that a store has, beside its index.
pub(crate) const NAMES: [&str; 4] = [recover::CHECKPOINT, recover::COMMITS, space::DIRECTORY, snapshots::DIRECTORY];

/// How large the parts of a store are.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// A segment of the journal; one for a larger commit is larger.
    pub(crate) segment_bytes: u64,
    /// A group takes no more commits once it has these bytes of keys and values.
    pub(crate) group_bytes: usize,
    /// Commits wait while the overlay holds more than this for the index.
    pub(crate) pending_bytes: usize,
    /// A batch for the index takes no more groups once it has these bytes.
    pub(crate) batch_bytes: usize,
    /// A checkpoint comes after these bytes of keys and values.
    pub(crate) checkpoint_bytes: usize,
    /// A snapshot comes after these bytes of frames, or as many as the last one has if that is more.
    pub(crate) snapshot_bytes: u64,
    /// A snapshot comes after this time, if there were commits.
    pub(crate) snapshot_age: Duration,
    /// Segments and snapshots leave this much of the disk free.
    pub(crate) reserve_bytes: u64,
    /// The index takes nothing while less than this is free.
    pub(crate) index_reserve_bytes: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            group_bytes: 1 << 20,
            pending_bytes: 32 << 20,
            batch_bytes: 4 << 20,
            checkpoint_bytes: 64 << 20,
            snapshot_bytes: 128 << 20,
            snapshot_age: Duration::from_secs(24 * 60 * 60),
            reserve_bytes: 96 << 20,
            index_reserve_bytes: 16 << 20,
        }
    }
}

/// How far a store is, for those who watch it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStatus {
    /// The newest commit that no crash can take back.
    pub durable: Sequence,
    /// The newest commit that the index has.
    pub applied: Sequence,
    /// The newest commit that the index has durably.
    pub checkpoint: Sequence,
    /// The newest commit in the newest snapshot.
    pub snapshot: Sequence,
    /// How many checkpoints were made since the store was opened.
    pub checkpoints: u64,
    /// How many snapshots were taken since the store was opened.
    pub snapshots: u64,
    /// How many groups of commits were journaled since the store was opened, each with one wait for the disk.
    pub groups: u64,
    /// The bytes of these groups in the journal.
    pub group_bytes: u64,
    /// The bytes of all of the journal's files, those that wait to be used again included.
    pub journal_bytes: u64,
    /// Why the store takes no more commits, if that is so.
    pub failure: Option<StoreError>,
}

/// A store of a journal and an index; see the module's documentation.
pub(crate) struct JournaledStore<H: IndexHome> {
    threads: Option<Threads>,
    shared: Arc<Shared<H::Index>>,
    /// After all else is gone, notes down that the store was closed: fields are dropped in their order.
    closing: Closing<H>,
}

struct Threads {
    commit: JoinHandle<Result<(), StoreError>>,
    index: JoinHandle<Result<(NoteFile, Stamp), StoreError>>,
    space: JoinHandle<()>,
    snapshot: JoinHandle<()>,
}

/// What is left to do when the index is closed.
struct Closing<H: IndexHome> {
    home: H,
    /// Where to write what, if everything went well.
    clean: Option<(NoteFile, Stamp)>,
}

impl<H: IndexHome> JournaledStore<H> {
    /// Opens the store on `disk`, or creates it where there is none.
    pub(crate) fn open(disk: Arc<dyn Disk>, home: H, sizes: Sizes, hot: Hot) -> Result<Self, StoreError> {
        let Opened { index, stamp, journal, space, commits, checkpoint, snapshot } =
            recover::open(&disk, &home, &sizes)?;
        let overlay = Overlay::new(index, stamp.sequence, sizes.pending_bytes, hot);
        let shared =
            Arc::new(Shared::new(disk, sizes, overlay, space, Writer { journal, notes: commits, stamp }, snapshot));
        let threads = Threads {
            commit: threads::spawn("offshoot-commit", &shared, |shared| shared.commit())?,
            index: threads::spawn("offshoot-index", &shared, move |shared| shared.index(checkpoint, stamp))?,
            space: threads::spawn("offshoot-space", &shared, |shared| shared.space().run())?,
            snapshot: threads::spawn("offshoot-snapshot", &shared, |shared| shared.snapshots())?,
        };
        Ok(Self { threads: Some(threads), shared, closing: Closing { home, clean: None } })
    }

    /// Writes a dump of the durable state.
    pub(crate) fn dump(
        &self,
        out: impl io::Write,
        progress: &mut dyn FnMut(dump::Progress),
    ) -> Result<DumpInfo, DumpError> {
        dump::dump_of(self.shared.store(), self, out, progress)
    }

    /// How far the store is.
    pub(crate) fn status(&self) -> StoreStatus {
        self.shared.status()
    }

    /// The newest commit that no crash can take back.
    pub(crate) fn newest_durable(&self) -> Sequence {
        self.shared.overlay().newest_durable()
    }

    /// Makes durable what is pending, and closes the store.
    pub(crate) fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(threads) = self.threads.take() else { return Ok(()) };
        self.shared.overlay().close();
        let committed = threads::join(threads.commit).flatten();
        // The index takes what was committed, also where the last commits failed.
        let indexed = threads::join(threads.index).flatten();
        self.shared.close();
        threads::join(threads.space)?;
        threads::join(threads.snapshot)?;
        committed?;
        let closed = indexed?;
        // What a failure left, the next start looks at.
        self.shared.status().failure.map_or(Ok(()), Err)?;
        self.closing.clean = Some(closed);
        Ok(())
    }
}

impl<H: IndexHome> Drop for JournaledStore<H> {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

impl<H: IndexHome> Drop for Closing<H> {
    fn drop(&mut self) {
        let released = self.home.release();
        let Some((mut notes, stamp)) = self.clean.take() else { return };
        let note = || {
            released?;
            notes.write(&Note { stamp, clean: Some(self.home.fingerprint()?) })?;
            notes.sync()
        };
        if let Err(error) = note() {
            tracing::warn!(%error, "cannot note down that the store was closed; the next start checks everything");
        }
    }
}

impl<H: IndexHome> Store for JournaledStore<H> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        self.shared.overlay().get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.shared.overlay().snapshot(view)?))
    }

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.shared.overlay().snapshot_in_memory()))
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.shared.submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.shared.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.shared.overlay().feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.shared.overlay().wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        MAX_COMMIT_BYTES
    }
}
