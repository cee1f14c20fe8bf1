//! Opening a store: what sled finds is compared with what was noted down.

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    thread,
    time::Duration,
};

use ::sled::{Config, Db};

use super::{
    SledOptions,
    committer::DataFiles,
    files::{self, CommitsFile},
    stamp::{FORMAT, Stamp, StampError},
    tree::{STAMP_KEY, SledTree, guarded},
};
use crate::store::{Sequence, StoreError, digest::SetDigest};

/// A store's parts, opened and checked.
pub(super) struct Opened {
    pub(super) tree: SledTree,
    pub(super) data: DataFiles,
    pub(super) commits: CommitsFile,
    pub(super) stamp: Stamp,
    pub(super) guard: DirectoryGuard,
}

/// Holds the last handle on sled and, longer than that, the lock on the directory.
pub(super) struct DirectoryGuard {
    db: Option<Db>,
    _lock: File,
}

impl Drop for DirectoryGuard {
    fn drop(&mut self) {
        // Sled panics where its files cannot be made durable at the end.
        let db = self.db.take();
        let closed = guarded("closing", || {
            drop(db);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "sled did not close cleanly");
        }
    }
}

/// Opens the store in `directory`, or creates it where there is none.
pub(super) fn open(directory: &Path, options: &SledOptions) -> Result<Opened, StoreError> {
    files::create_private_dir(directory)?;
    let lock = files::lock(directory)?;
    let noted = CommitsFile::open(directory)?;
    let sled = directory.join("sled");
    files::create_private_dir(&sled)?;
    remove_unfinished_snapshots(&sled)?;
    // A process that was killed may have left something that is not durable. Sled, and the readers, will build on it.
    files::sync_contents(&sled.join("blobs"))?;
    files::sync_contents(&sled)?;
    let db = open_sled(&sled, options)?;
    let guard = DirectoryGuard { db: Some(db.clone()), _lock: lock };
    let tree = SledTree::new(db);
    files::make_files_private(&sled)?;
    let mut data = DataFiles::open(&sled)?;
    data.sync(&tree)?;
    files::sync_contents(&sled)?;
    let found = find(directory, tree.db())?;
    let (stamp, commits) = match (found, noted) {
        (Some(found), Some((mut commits, noted))) => {
            check(&found, &noted)?;
            commits.write(&found)?;
            (found, commits)
        }
        // The store's creation was cut short.
        (Some(found), None) if found.sequence == Sequence::ZERO => (found, CommitsFile::create(directory, &found)?),
        (Some(found), None) => {
            let what = format!("the file COMMITS is missing, although there are {} commits", found.sequence);
            return Err(StoreError::Corrupt { what });
        }
        (None, Some((_, noted))) => {
            return Err(StoreError::RolledBack { expected: noted.sequence, found: Sequence::ZERO });
        }
        (None, None) => create(directory, &tree, &mut data)?,
    };
    Ok(Opened { tree, data, commits, stamp, guard })
}

/// Removes what a crash left of a snapshot of sled's index. Sled takes such a file for a damaged store.
fn remove_unfinished_snapshots(sled: &Path) -> Result<(), StoreError> {
    for path in files::files_of(sled)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(path = %path.display(), "removing an unfinished snapshot of sled's index");
            fs::remove_file(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
        }
    }
    Ok(())
}

fn open_sled(sled: &Path, options: &SledOptions) -> Result<Db, StoreError> {
    // Sled's own threads may hold its files a little longer than a store that was closed just before in this process.
    const ATTEMPTS: usize = 100;
    const PAUSE: Duration = Duration::from_millis(20);
    let config = Config::new().path(sled).cache_capacity(options.sled_bytes()).flush_every_ms(None);
    let is_busy = |error: &::sled::Error| error.to_string().contains("could not acquire lock");
    guarded("opening", || {
        for _ in 1..ATTEMPTS {
            match config.open() {
                Err(error) if is_busy(&error) => thread::sleep(PAUSE),
                opened => return opened,
            }
        }
        config.open()
    })
}

/// The stamp in sled, after all entries were compared with it; `None` where sled is empty.
fn find(directory: &Path, db: &Db) -> Result<Option<Stamp>, StoreError> {
    let (stamp, found) = guarded("reading all entries", || {
        let mut digest = SetDigest::default();
        let mut stamp = None;
        for entry in db.iter() {
            let (key, value) = entry?;
            if key == STAMP_KEY {
                stamp = Some(value);
            } else {
                digest.add(&key, &value);
            }
        }
        Ok((stamp, digest))
    })?;
    let Some(stamp) = stamp else {
        return match found.entries {
            0 => Ok(None),
            entries => {
                Err(StoreError::Corrupt { what: format!("{entries} keys, but not the one that describes them") })
            }
        };
    };
    let stamp = Stamp::decode(&stamp).map_err(|error| match error {
        StampError::Damaged => {
            StoreError::Corrupt { what: "the value that describes all others is damaged".to_owned() }
        }
        StampError::UnknownFormat(found) => {
            StoreError::UnknownFormat { path: directory.to_path_buf(), found, known: FORMAT }
        }
    })?;
    if stamp.digest != found {
        let what = format!(
            "some value is missing, stale or damaged ({} keys expected, {} found); restore the directory from a backup",
            stamp.digest.entries, found.entries
        );
        return Err(StoreError::Corrupt { what });
    }
    Ok(Some(stamp))
}

/// Compares what was found in sled with what was noted down outside of it.
fn check(found: &Stamp, noted: &Stamp) -> Result<(), StoreError> {
    if found.store != noted.store {
        let what = "the file COMMITS belongs to another store; restore the whole directory from one backup";
        return Err(StoreError::Corrupt { what: what.to_owned() });
    }
    if found.sequence < noted.sequence {
        return Err(StoreError::RolledBack { expected: noted.sequence, found: found.sequence });
    }
    if found.sequence == noted.sequence && found != noted {
        let what = format!("commit {} is not the one that was acknowledged", found.sequence);
        return Err(StoreError::Corrupt { what });
    }
    Ok(())
}

/// Makes a store of an empty directory.
fn create(directory: &Path, tree: &SledTree, data: &mut DataFiles) -> Result<(Stamp, CommitsFile), StoreError> {
    let stamp = Stamp { store: random_id(), sequence: Sequence::ZERO, digest: SetDigest::default() };
    guarded("creating", || tree.db().insert(STAMP_KEY, stamp.encode().to_vec()))?;
    data.sync(tree)?;
    files::sync_dir(directory)?;
    let commits = CommitsFile::create(directory, &stamp)?;
    Ok((stamp, commits))
}

/// A number that no two stores share: the standard library seeds its hashers from the operating system.
fn random_id() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(u64::from(std::process::id()));
    hasher.finish()
}
