//! The one sled tree, with every call guarded: sled panics on some kinds of damage.

use std::{
    any::Any,
    collections::HashSet,
    fs::File,
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ::sled::{Batch, Db};
use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    block::{self, Change},
    blocks::{Blocks, FIRST_KEY, InBlocks, block_of, change_some, entries_in, lower},
    files::{files_of, sync_dir},
};
use crate::store::{
    Direction, KeyRange, StoreError, Write,
    journaled::{Contents, EachEntry, Index, Stamp},
    overlay::Base,
};

/// Where the stamp is kept. All other keys of sled's are greater.
pub(super) const STAMP_KEY: &[u8] = &[0, 1];
/// Where the stamp is kept by releases that gave each entry a key of its own.
pub(super) const BARE_STAMP_KEY: &[u8] = &[0];

/// How large the buffers are in which sled writes its log: the most that it takes, so that [one batch](SledTree) ends one of them at most.
/// Tests have no nodes of a quarter of that, which sled keeps in files of their own.
pub(super) const BUFFER_BYTES: usize = if cfg!(test) { 1 << 20 } else { 16 << 20 };

/// The index: sled's tree with the entries in [blocks](block), and its files, which have to be made durable here.
///
/// A block's key in sled is its *fence*: not greater than its first entry's key, and greater than all of the blocks before. Blocks are never joined, so that a
/// reader on the way from one to the next finds every entry that is there all the time.
///
/// # Never much at once
///
/// Sled writes its log buffer by buffer, by a pool of seven threads that a whole process shares. Each takes a lock of the tree after a write. Whoever
/// fills the buffers takes that lock too when one is full, and where the file is to grow right after it was to be shortened, waits with it for the pool to
/// shorten the file. If all seven wait for the lock then, nobody is left who could (sled 0.34.7, `bump_tip` and `sa_stabilize`).
///
/// So one batch is written at a time, and awaited before the next. When a batch fills a buffer, it has given the pool two writes before (`pin_log`), and those of
/// the batch before, of which some threads may still be about to take the lock, are four at most: six in all, if it fills one buffer only. That is why batches
/// have only [some blocks](change_some).
pub(super) struct SledTree {
    db: Db,
    files: Mutex<DataFiles>,
}

impl SledTree {
    pub(super) fn new(db: Db, files: DataFiles) -> Self {
        Self { db, files: Mutex::new(files) }
    }

    /// Writes a batch, after the one before is written.
    fn write(&self, batch: Batch) -> Result<(), ::sled::Error> {
        self.db.flush()?;
        self.db.apply_batch(batch)
    }

    /// Whether it was written by a release that gave each entry a key of its own.
    pub(super) fn is_bare(&self) -> Result<bool, StoreError> {
        guarded("reading the stamp", || Ok(!self.db.contains_key(STAMP_KEY)? && self.db.contains_key(BARE_STAMP_KEY)?))
    }
}

impl Index for SledTree {
    fn apply(&self, writes: &mut dyn Iterator<Item = &Write>, after: &Stamp) -> Result<(), StoreError> {
        // A later write of the same key takes the place of the earlier one.
        let mut changes: Vec<Change<'_>> =
            writes.map(|write| (&write.key()[..], write.value().map(|value| &value[..]))).collect();
        changes.reverse();
        changes.sort_by_key(|(key, _)| *key);
        changes.dedup_by_key(|(key, _)| *key);
        let mut rest = &changes[..];
        in_blocks("writing commits", || {
            loop {
                let mut batch = Batch::default();
                if let Err(damaged) = change_some(&self.db, &mut rest, &mut batch)? {
                    return Ok(Err(damaged));
                }
                let is_last = rest.is_empty();
                if is_last {
                    batch.insert(STAMP_KEY, after.encode().to_vec());
                }
                self.write(batch)?;
                if is_last {
                    return Ok(Ok(()));
                }
            }
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        guarded("flushing", || self.db.flush())?;
        self.files.lock().sync()
    }
}

impl Contents for SledTree {
    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        stamp_in(&self.db, STAMP_KEY)
    }

    fn scan(&self, each: EachEntry<'_>) -> Result<(), StoreError> {
        let mut failure = None;
        in_blocks("reading all entries", || {
            for entry in self.db.range(FIRST_KEY..) {
                let (_, block) = entry?;
                let shown = block::each(&block, |key, value| {
                    if failure.is_none() {
                        failure = each(key, value).err();
                    }
                });
                if shown.is_err() || failure.is_some() {
                    return Ok(shown);
                }
            }
            Ok(Ok(()))
        })?;
        failure.map_or(Ok(()), Err)
    }
}

impl Base for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key < FIRST_KEY {
            return Ok(None);
        }
        in_blocks("reading a key", || {
            let Some((_, block)) = block_of(&self.db, key)? else { return Ok(Ok(None)) };
            Ok(block::get(&block, key).map(|value| value.map(Bytes::copy_from_slice)))
        })
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut page: Vec<(Bytes, Bytes)> = Vec::new();
        if range.is_empty() {
            return Ok(page);
        }
        let mut rest = range.clone();
        in_blocks("reading a range", || {
            let mut blocks = Blocks::new(&self.db, range, direction);
            while page.len() < limit
                && let Some((fence, block)) = blocks.next()?
            {
                let (entries, ends_here) = match entries_in(&block, &rest, direction, limit - page.len()) {
                    Ok(found) => found,
                    Err(damaged) => return Ok(Err(damaged)),
                };
                page.extend(entries);
                let is_last = match direction {
                    Direction::Ascending => ends_here,
                    Direction::Descending => lower(range).is_some_and(|start| fence[..] <= *start),
                };
                if is_last {
                    break;
                }
                // Blocks may be split meanwhile, and then some entries come twice.
                if let Some((last, _)) = page.last() {
                    match direction {
                        Direction::Ascending => rest.start = Bound::Excluded(last.clone()),
                        Direction::Descending => rest.end = Bound::Excluded(last.clone()),
                    }
                }
            }
            Ok(Ok(()))
        })?;
        Ok(page)
    }
}

/// What a release without a journal wrote: sled's tree with each entry under its own key.
pub(super) struct BareTree(pub(super) Db);

impl Contents for BareTree {
    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        stamp_in(&self.0, BARE_STAMP_KEY)
    }

    fn scan(&self, each: EachEntry<'_>) -> Result<(), StoreError> {
        let mut failure = None;
        guarded("reading all entries", || {
            for entry in self.0.range(FIRST_KEY..) {
                let (key, value) = entry?;
                if let Err(error) = each(&key, &value) {
                    failure = Some(error);
                    break;
                }
            }
            Ok(())
        })?;
        failure.map_or(Ok(()), Err)
    }
}

fn stamp_in(db: &Db, key: &[u8]) -> Result<Option<Stamp>, StoreError> {
    let stamp = guarded("reading the stamp", || db.get(key))?;
    Ok(stamp.and_then(|stamp| Stamp::decode(&stamp).ok()))
}

/// The files that sled writes. On Linux its flush hands them to the operating system without waiting for the disk, so that is done here.
pub(super) struct DataFiles {
    directory: PathBuf,
    log: File,
    /// Large nodes get files of their own.
    blobs: PathBuf,
    synced_blobs: HashSet<PathBuf>,
}

impl DataFiles {
    pub(super) fn open(sled: &Path) -> Result<Self, StoreError> {
        let path = sled.join("db");
        let log = File::open(&path).map_err(StoreError::io(format!("open {}", path.display())))?;
        let (directory, blobs) = (sled.to_path_buf(), sled.join("blobs"));
        Ok(Self { directory, log, blobs, synced_blobs: HashSet::new() })
    }

    /// Makes durable what was written.
    fn sync(&mut self) -> Result<(), StoreError> {
        self.sync_blobs()?;
        self.log.sync_data().map_err(StoreError::io("make sled's log durable"))?;
        sync_dir(&self.directory)
    }

    fn sync_blobs(&mut self) -> Result<(), StoreError> {
        let blobs = files_of(&self.blobs)?;
        let is_new = |path: &&PathBuf| !self.synced_blobs.contains(*path);
        let new: Vec<_> = blobs.iter().filter(is_new).collect();
        for path in &new {
            match File::open(path).and_then(|file| file.sync_all()) {
                // Sled removes blobs that nothing refers to any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced.map_err(StoreError::io(format!("make {} durable", path.display())))?,
            }
        }
        if !new.is_empty() {
            sync_dir(&self.blobs)?;
        }
        self.synced_blobs = blobs.into_iter().collect();
        Ok(())
    }
}

/// Calls sled to read blocks, and makes errors of its errors and panics, and of damaged blocks.
fn in_blocks<T>(action: &str, call: impl FnOnce() -> InBlocks<T>) -> Result<T, StoreError> {
    guarded(action, call)?.map_err(|block::Damaged| StoreError::Corrupt {
        what: format!("a block of the index is damaged, found while {action}"),
    })
}

/// Calls sled, and makes errors of its errors and panics.
pub(super) fn guarded<T>(action: &str, call: impl FnOnce() -> Result<T, ::sled::Error>) -> Result<T, StoreError> {
    // What a panic leaves behind is never written to again: the store fails with it.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| sled_error(action, error)),
        Err(panic) => {
            Err(StoreError::Corrupt { what: format!("sled panicked while {action}: {}", panic_text(&*panic)) })
        }
    }
}

fn sled_error(action: &str, error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(error) => StoreError::io(format!("go on {action} with sled"))(error),
        error => StoreError::Corrupt { what: format!("sled failed while {action}: {error}") },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
