//! What the threads of a store do, and what they share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::{
    Sizes, StoreStatus,
    applying::{Applying, Group},
    frame,
    index::Index,
    journal::Journal,
    notes::{Note, NoteFile},
    snapshots,
    space::Space,
    stamp::Stamp,
    turns::Turns,
};
use crate::store::{
    Commit, Direction, KeyRange, Sequence, Snapshot as _, StoreError, Submitted, Ticket, View,
    disk::Disk,
    overlay::{self, Overlay, Pending},
};

/// How long the index waits before it looks again whether the full disk has space.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(100);

/// How often at most somebody looks whether there is anything new for a snapshot that is due by its age.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// What all threads of a store, and its users, work on.
pub(super) struct Shared<I> {
    disk: Arc<dyn Disk>,
    sizes: Sizes,
    overlay: Overlay<I>,
    space: Arc<Space>,
    writer: Turns<Writer>,
    applying: Applying,
    progress: Mutex<Progress>,
    /// A snapshot may be due, or the end.
    snapshot_work: Condvar,
    is_closing: AtomicBool,
    checkpoints: AtomicU64,
    snapshots: AtomicU64,
}

/// What is needed to make commits durable.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) notes: NoteFile,
    /// The state that is durable.
    pub(super) stamp: Stamp,
}

/// How far everything is.
struct Progress {
    /// The newest state that is durable in the journal.
    published: Stamp,
    applied: Sequence,
    checkpoint: Sequence,
    snapshot: Sequence,
    /// Bytes of frames since the newest snapshot.
    journaled_bytes: u64,
    /// When there are more, the next snapshot is due.
    snapshot_due_bytes: u64,
    snapshot_at: Instant,
    groups: u64,
    group_bytes: u64,
    failure: Option<StoreError>,
    is_closing: bool,
}

/// Starts a thread of a store.
pub(super) fn spawn<I: Index, T: Send + 'static>(
    name: &str,
    shared: &Arc<Shared<I>>,
    run: impl FnOnce(&Shared<I>) -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    thread.map_err(StoreError::io(format!("start the thread {name}")))
}

/// Waits for a thread's end.
pub(super) fn join<T>(thread: JoinHandle<T>) -> Result<T, StoreError> {
    thread.join().map_err(|_| StoreError::Corrupt { what: "bug: a thread of the store panicked".to_owned() })
}

impl<I: Index> Shared<I> {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        sizes: Sizes,
        overlay: Overlay<I>,
        space: Arc<Space>,
        writer: Writer,
        snapshot: Sequence,
    ) -> Self {
        let stamp = writer.stamp;
        // Roughly what was journaled since the snapshot: what is needed of the journal.
        let journaled_bytes = space.bytes().0;
        let progress = Progress {
            published: stamp,
            applied: stamp.sequence,
            checkpoint: stamp.sequence,
            snapshot,
            journaled_bytes,
            snapshot_due_bytes: sizes.snapshot_bytes,
            snapshot_at: Instant::now(),
            groups: 0,
            group_bytes: 0,
            failure: None,
            is_closing: false,
        };
        Self {
            disk,
            overlay,
            space,
            writer: Turns::new(writer),
            applying: Applying::new(sizes.batch_bytes),
            sizes,
            progress: Mutex::new(progress),
            snapshot_work: Condvar::new(),
            is_closing: AtomicBool::new(false),
            checkpoints: AtomicU64::new(0),
            snapshots: AtomicU64::new(0),
        }
    }

    pub(super) fn overlay(&self) -> &Overlay<I> {
        &self.overlay
    }

    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    /// The number that this store has of its own.
    pub(super) fn store(&self) -> u64 {
        self.progress.lock().published.store
    }

    pub(super) fn status(&self) -> StoreStatus {
        let progress = self.progress.lock();
        StoreStatus {
            durable: progress.published.sequence,
            applied: progress.applied,
            checkpoint: progress.checkpoint,
            snapshot: progress.snapshot,
            checkpoints: self.checkpoints.load(Ordering::Relaxed),
            snapshots: self.snapshots.load(Ordering::Relaxed),
            groups: progress.groups,
            group_bytes: progress.group_bytes,
            journal_bytes: self.space.bytes().1,
            failure: progress.failure.clone(),
        }
    }

    /// See [`crate::store::Store::submit`].
    pub(super) fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        if commit.writes.is_empty() {
            return self.overlay.submit(commit);
        }
        overlay::check_size(&commit)?;
        let bytes = frame::bytes_alone(&commit.writes) as u64;
        self.space.reserve(bytes, || self.overlay.call_for_work())?;
        let submitted = self.overlay.submit(commit);
        if !matches!(submitted, Ok(Submitted::Applied(_))) {
            self.space.release(bytes);
        } else if self.space.is_awaited() {
            // Whoever waits for space has called for those that were accepted before; one of the two calls comes after this commit was queued.
            self.overlay.call_for_work();
        }
        submitted
    }

    /// Ends what goes on beside commits.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.space.close();
        self.progress.lock().is_closing = true;
        self.snapshot_work.notify_all();
    }

    /// Takes no more commits; what is not durable has failed.
    fn fail(&self, error: &StoreError) {
        tracing::error!(%error, "the store failed and takes no more commits");
        self.progress.lock().failure.get_or_insert_with(|| error.clone());
        self.overlay.fail(error);
        self.space.abandon();
    }

    /// See [`crate::store::Store::wait`].
    pub(super) fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        let write_group = |writer: &mut Writer| {
            self.write_group(writer);
        };
        self.writer.take_one(write_group, || self.overlay.call_for_work());
        self.overlay.wait(ticket)
    }

    /// Makes commits durable, group by group, until the store is closed or fails: those that come while others are written.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.writer.take_all(|| self.overlay.wait_for_work(), |writer| self.write_group(writer));
        self.applying.close();
        self.writer.lock().notes.sync()
    }

    /// Makes durable what waits, as one group; whether there was anything.
    fn write_group(&self, writer: &mut Writer) -> bool {
        let group = self.overlay.take(self.sizes.group_bytes);
        if group.is_empty() {
            return false;
        }
        if let Err(error) = self.write(writer, group) {
            self.fail(&error);
        }
        true
    }

    fn write(&self, writer: &mut Writer, group: Vec<Pending>) -> Result<(), StoreError> {
        let after = stamp_after(writer.stamp, &group);
        let bytes = writer.journal.append(&group, &after)?;
        writer.stamp = after;
        writer.notes.write(&Note { stamp: after, clean: None })?;
        self.overlay.durable(&group);
        self.note_frame(after, bytes);
        let bytes = group.iter().map(|commit| commit.bytes).sum();
        self.applying.push(Group { commits: group, after, bytes });
        Ok(())
    }

    fn note_frame(&self, stamp: Stamp, bytes: u64) {
        let mut progress = self.progress.lock();
        progress.published = stamp;
        progress.journaled_bytes += bytes;
        progress.groups += 1;
        progress.group_bytes += bytes;
        if progress.journaled_bytes >= progress.snapshot_due_bytes {
            self.snapshot_work.notify_one();
        }
    }

    /// Applies durable groups to the index until no more come, and makes them durable there. Gives the newest state and where to note it.
    pub(super) fn index(&self, mut notes: NoteFile, mut stamp: Stamp) -> Result<(NoteFile, Stamp), StoreError> {
        let mut index = || {
            let mut unsynced_bytes = 0;
            while let Some(groups) = self.applying.take() {
                self.wait_for_disk()?;
                let Some(last) = groups.last() else { continue };
                stamp = last.after;
                let commits = groups.iter().flat_map(|group| &group.commits);
                self.overlay.base().apply(&mut commits.flat_map(|commit| commit.writes.iter()), &stamp)?;
                let bytes = groups.iter().map(|group| group.bytes).sum();
                self.overlay.applied(stamp.sequence, bytes);
                self.progress.lock().applied = stamp.sequence;
                unsynced_bytes += bytes;
                if unsynced_bytes >= self.sizes.checkpoint_bytes {
                    self.checkpoint(&mut notes, stamp)?;
                    unsynced_bytes = 0;
                }
            }
            self.checkpoint(&mut notes, stamp)
        };
        if let Err(error) = index() {
            self.fail(&error);
            return Err(error);
        }
        Ok((notes, stamp))
    }

    /// Waits while the disk is too full for the index; commits are refused with the reason once the overlay is full too.
    fn wait_for_disk(&self) -> Result<(), StoreError> {
        let has_space = || {
            let free = self.disk.free_bytes().map_err(StoreError::io("ask how much of the disk is free"))?;
            Ok(free >= self.sizes.index_reserve_bytes)
        };
        if has_space()? {
            return Ok(());
        }
        tracing::error!("the disk is full: the index takes no more commits until there is space");
        let full = || StoreError::NoSpace { source: Arc::new(std::io::ErrorKind::StorageFull.into()) };
        self.overlay.stall(Some(full()));
        while !has_space()? {
            if self.applying.pause(DISK_FULL_PAUSE) {
                return Err(full());
            }
        }
        self.overlay.stall(None);
        Ok(())
    }

    fn checkpoint(&self, notes: &mut NoteFile, stamp: Stamp) -> Result<(), StoreError> {
        self.overlay.base().sync()?;
        notes.write(&Note { stamp, clean: None })?;
        notes.sync()?;
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        let covered = {
            let mut progress = self.progress.lock();
            progress.checkpoint = stamp.sequence;
            progress.checkpoint.min(progress.snapshot)
        };
        self.space.cover(covered);
        Ok(())
    }

    /// Takes snapshots when they are due, until the end.
    pub(super) fn snapshots(&self) {
        let (store, newest) = {
            let progress = self.progress.lock();
            (progress.published.store, progress.snapshot)
        };
        let is_closing = || self.is_closing.load(Ordering::Relaxed);
        let mut is_due = match snapshots::verify_unless(&self.disk, store, newest, is_closing) {
            Ok(_) | Err(StoreError::Closed) => false,
            Err(error) => {
                tracing::error!(%error, "the newest snapshot is damaged; taking another one");
                true
            }
        };
        while is_due || self.wait_until_snapshot_is_due() {
            is_due = false;
            match self.take_snapshot() {
                Ok(()) => {
                    self.snapshots.fetch_add(1, Ordering::Relaxed);
                }
                Err(StoreError::Closed) => return,
                Err(error @ StoreError::Corrupt { .. }) => {
                    self.fail(&error);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a snapshot; the journal grows until the next attempt");
                    let mut progress = self.progress.lock();
                    progress.snapshot_due_bytes = progress.journaled_bytes.saturating_add(self.sizes.snapshot_bytes);
                    progress.snapshot_at = Instant::now();
                }
            }
        }
    }

    /// Whether a snapshot is due, and not the end.
    fn wait_until_snapshot_is_due(&self) -> bool {
        let mut progress = self.progress.lock();
        loop {
            if progress.is_closing {
                return false;
            }
            let has_news = progress.published.sequence > progress.snapshot;
            let age = progress.snapshot_at.elapsed();
            let is_old = age >= self.sizes.snapshot_age;
            if has_news && (is_old || progress.journaled_bytes >= progress.snapshot_due_bytes) {
                return true;
            }
            let left = if is_old { self.sizes.snapshot_age.max(MIN_PAUSE) } else { self.sizes.snapshot_age - age };
            self.snapshot_work.wait_for(&mut progress, left);
        }
    }

    fn take_snapshot(&self) -> Result<(), StoreError> {
        let (stamp, snapshot, journaled_before) = loop {
            let (stamp, journaled) = {
                let progress = self.progress.lock();
                (progress.published, progress.journaled_bytes)
            };
            let snapshot = self.overlay.snapshot(View::Durable)?;
            // A group may have become durable in between; its state is published in a moment.
            if snapshot.sequence() == stamp.sequence {
                break (stamp, snapshot, journaled);
            }
            std::thread::yield_now();
        };
        let info = snapshots::write(&self.disk, self.sizes.reserve_bytes, &stamp, |writer| {
            for entry in snapshot.range(&KeyRange::ALL, Direction::Ascending) {
                let (key, value) = entry?;
                writer.entry(&key, &value).map_err(snapshots::unwritable)?;
                if self.is_closing.load(Ordering::Relaxed) {
                    return Err(StoreError::Closed);
                }
            }
            Ok(())
        })?;
        drop(snapshot);
        snapshots::remove_older(&self.disk, stamp.sequence)?;
        let covered = {
            let mut progress = self.progress.lock();
            progress.snapshot = stamp.sequence;
            progress.snapshot_at = Instant::now();
            progress.journaled_bytes -= journaled_before;
            progress.snapshot_due_bytes = self.sizes.snapshot_bytes.max(info.bytes);
            progress.checkpoint.min(progress.snapshot)
        };
        self.space.cover(covered);
        Ok(())
    }
}

/// The state that a group leads to.
fn stamp_after(mut stamp: Stamp, group: &[Pending]) -> Stamp {
    for commit in group {
        stamp.sequence = commit.sequence;
        for (write, before) in commit.writes.iter().zip(&commit.before) {
            if let Some(before) = before {
                stamp.digest.remove(write.key(), before);
            }
            if let Some(after) = write.value() {
                stamp.digest.add(write.key(), after);
            }
        }
    }
    stamp
}
