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

use ::sled::{Batch, Db, IVec};
use bytes::Bytes;
use parking_lot::Mutex;

use super::files::{files_of, sync_dir};
use crate::store::{
    Direction, KeyRange, StoreError, Write,
    journaled::{EachEntry, Index, Stamp},
    overlay::Base,
};

/// Where the stamp is kept. All other keys are greater than this and [`FIRST_KEY`].
pub(super) const STAMP_KEY: &[u8] = &[0];
/// The smallest key that users of the store can have.
const FIRST_KEY: &[u8] = &[1];

/// The index: sled's tree, and its files, which have to be made durable here.
pub(super) struct SledTree {
    db: Db,
    files: Mutex<DataFiles>,
}

impl SledTree {
    pub(super) fn new(db: Db, files: DataFiles) -> Self {
        Self { db, files: Mutex::new(files) }
    }
}

impl Index for SledTree {
    fn apply(&self, writes: &mut dyn Iterator<Item = &Write>, after: &Stamp) -> Result<(), StoreError> {
        guarded("writing commits", || {
            let mut batch = Batch::default();
            // A later write of the same key takes the place of the earlier one.
            for write in writes {
                match write.value() {
                    Some(value) => batch.insert(&write.key()[..], &value[..]),
                    None => batch.remove(&write.key()[..]),
                }
            }
            batch.insert(STAMP_KEY, after.encode().to_vec());
            self.db.apply_batch(batch)
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        guarded("flushing", || self.db.flush())?;
        self.files.lock().sync()
    }

    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        let stamp = guarded("reading the stamp", || self.db.get(STAMP_KEY))?;
        Ok(stamp.and_then(|stamp| Stamp::decode(&stamp).ok()))
    }

    fn scan(&self, each: EachEntry<'_>) -> Result<(), StoreError> {
        let mut failure = None;
        guarded("reading all entries", || {
            for entry in self.db.range(FIRST_KEY..) {
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

impl Base for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key < FIRST_KEY {
            return Ok(None);
        }
        let value = guarded("reading a key", || self.db.get(key))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let range = without_stamp(range);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let to_bytes = |entry: Result<(IVec, IVec), _>| {
            entry.map(|(key, value)| (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        };
        guarded("reading a range", || {
            let entries = self.db.range((range.start, range.end));
            match direction {
                Direction::Ascending => entries.take(limit).map(to_bytes).collect(),
                Direction::Descending => entries.rev().take(limit).map(to_bytes).collect(),
            }
        })
    }
}

/// The part of a range that lies behind the stamp.
fn without_stamp(range: &KeyRange) -> KeyRange {
    let start = match &range.start {
        Bound::Included(start) | Bound::Excluded(start) if start.as_ref() >= FIRST_KEY => range.start.clone(),
        _ => Bound::Included(Bytes::from_static(FIRST_KEY)),
    };
    KeyRange { start, end: range.end.clone() }
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
