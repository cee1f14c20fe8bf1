//! The one thread that writes to sled.

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use ::sled::Batch;

use super::{
    files::{CommitsFile, files_of, sync_dir},
    stamp::Stamp,
    tree::{STAMP_KEY, SledTree, guarded},
};
use crate::store::{
    StoreError,
    overlay::{Overlay, Pending},
};

/// What is needed to make commits durable.
pub(super) struct Committer {
    pub(super) overlay: Arc<Overlay<SledTree>>,
    pub(super) data: DataFiles,
    pub(super) commits: CommitsFile,
    /// The state that is durable.
    pub(super) stamp: Stamp,
}

impl Committer {
    /// Starts the thread. It ends when the overlay is closed and all commits are durable, or with the first failure.
    pub(super) fn spawn(self) -> Result<JoinHandle<Result<(), StoreError>>, StoreError> {
        let thread = std::thread::Builder::new().name("offshoot-commit".to_owned());
        thread.spawn(move || self.run()).map_err(StoreError::io("start the thread that commits"))
    }

    fn run(mut self) -> Result<(), StoreError> {
        let overlay = Arc::clone(&self.overlay);
        while let Some(group) = overlay.wait_for_work(usize::MAX) {
            // Whatever waits is one group; the next one gathers while this one becomes durable.
            if let Err(error) = self.write(&group) {
                tracing::error!(%error, "the store failed and takes no more commits");
                overlay.fail(&error);
                return Err(error);
            }
            overlay.publish(&group);
        }
        self.data.sync(self.overlay.base())?;
        self.commits.sync()
    }

    /// Makes a group durable, all of it or nothing.
    fn write(&mut self, group: &[Pending]) -> Result<(), StoreError> {
        let stamp = self.stamp_after(group);
        let db = self.overlay.base().db();
        guarded("writing a group of commits", || {
            let mut batch = Batch::default();
            // A later write of the same key takes the place of the earlier one.
            for write in group.iter().flat_map(|commit| commit.writes.iter()) {
                match write.value() {
                    Some(value) => batch.insert(&write.key()[..], &value[..]),
                    None => batch.remove(&write.key()[..]),
                }
            }
            batch.insert(STAMP_KEY, stamp.encode().to_vec());
            db.apply_batch(batch)
        })?;
        self.data.sync(self.overlay.base())?;
        self.commits.write(&stamp)?;
        self.stamp = stamp;
        Ok(())
    }

    fn stamp_after(&self, group: &[Pending]) -> Stamp {
        let mut stamp = self.stamp;
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
}

/// The files that sled writes. On Linux its flush hands them to the operating system without waiting for the disk, so that is done here.
pub(super) struct DataFiles {
    pub(super) log: File,
    /// Large nodes get files of their own.
    blobs: PathBuf,
    synced_blobs: HashSet<PathBuf>,
}

impl DataFiles {
    pub(super) fn open(sled: &Path) -> Result<Self, StoreError> {
        let path = sled.join("db");
        let log = File::open(&path).map_err(StoreError::io(format!("open {}", path.display())))?;
        let blobs = sled.join("blobs");
        Ok(Self { log, blobs, synced_blobs: HashSet::new() })
    }

    /// Makes durable what was written to sled.
    pub(super) fn sync(&mut self, tree: &SledTree) -> Result<(), StoreError> {
        guarded("flushing", || tree.db().flush())?;
        self.sync_blobs()?;
        self.log.sync_data().map_err(StoreError::io("make sled's log durable"))
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
