//! Directories of stores with a past, as different ends left them, for tests that damage copies of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;

use super::{copy_dir, gate::GatedDisk, small_options};
use crate::store::{
    Sequence, StoreError,
    journaled::{
        Contents, IndexHome, JournaledStore,
        tests::{
            files::{self, PlacedFrame},
            small_sizes,
            workload::Workload,
        },
    },
    overlay::Hot,
    sled::{SledStore, home::SledHome},
};

/// How the last run of a store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// It was closed.
    Clean,
    /// It was killed when it had nothing to do.
    Quiet,
    /// It was killed while commits went on.
    Busy,
}

/// A copy of a prototype's directory, for a test to do with as it likes.
pub(super) struct Copied {
    directory: TempDir,
    pub(super) workload: Workload,
}

impl Copied {
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn open(&self) -> Result<SledStore, StoreError> {
        SledStore::open(self.path(), &small_options())
    }

    /// Checks that all is there, now and after more commits.
    pub(super) fn check(&mut self) {
        let store = self.open().unwrap();
        self.check_open(store);
    }

    /// Like [`Copied::check`], for a store that is open.
    pub(super) fn check_open(&mut self, store: SledStore) {
        self.workload.check(&store).unwrap();
        self.workload.run(&store, 5, 1).unwrap();
        store.close().unwrap();
        self.workload.check(&self.open().unwrap()).unwrap();
    }

    /// The error with which the store is refused.
    pub(super) fn refusal(&self) -> StoreError {
        self.open().map(drop).expect_err("something is lost, and the store is opened")
    }
}

/// A directory, and what is known of it.
pub(super) struct Prototype {
    pub(super) end: End,
    directory: TempDir,
    /// The same store's directory, some commits before.
    earlier: TempDir,
    /// What the store must have, and may have.
    pub(super) workload: Workload,
    /// The newest commit that is found without the journal: the index has it, and is right.
    pub(super) in_index: Sequence,
    /// The newest commit that is found without journal and index.
    pub(super) in_snapshot: Sequence,
    pub(super) frames: Vec<PlacedFrame>,
}

impl Prototype {
    /// All prototypes that tests use, made by this seed.
    pub(super) fn all(seed: u64) -> Vec<Self> {
        let kinds = [
            (End::Clean, false),
            (End::Quiet, false),
            (End::Busy, false),
            (End::Clean, true),
            (End::Quiet, true),
            (End::Clean, false),
            (End::Quiet, false),
            (End::Busy, false),
        ];
        let numbered = kinds.into_iter().zip(0..);
        numbered.map(|((end, has_blobs), number)| Self::new(end, has_blobs, seed.wrapping_add(number))).collect()
    }

    /// Values of some of its entries are so large that sled keeps them in files of their own.
    pub(super) fn new(end: End, has_blobs: bool, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let [live, directory, earlier] = [(), (), ()].map(|()| TempDir::new().unwrap());
        let mut workload = if has_blobs { Workload::with_large_values(600_000) } else { Workload::new() };
        let store = SledStore::open(live.path(), &small_options()).unwrap();
        workload.run(&store, random.random_range(40..70), random.random()).unwrap();
        store.close().unwrap();
        // The second run ends like the whole, so that there are older files of each kind.
        let count = random.random_range(40..90);
        run(live.path(), end, &mut workload, count, random.random(), earlier.path());
        workload.check(&SledStore::open(live.path(), &small_options()).unwrap()).unwrap();
        let count = random.random_range(60..120);
        run(live.path(), end, &mut workload, count, random.random(), directory.path());

        let path = directory.path();
        let noted = files::noted_commits(path).unwrap().stamp.sequence;
        workload.acknowledged_up_to(noted);
        let frames = files::frames(path);
        let in_snapshot = files::newest_snapshot(path).unwrap();
        let in_index = verified_index(path).unwrap_or(in_snapshot);
        println!("{end:?}, blobs {has_blobs}: {noted} commits, {in_index} in the index, {in_snapshot} in the snapshot");
        Self { end, directory, earlier, workload, in_index, in_snapshot, frames }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn copy(&self) -> Copied {
        let directory = TempDir::new().unwrap();
        copy_dir(self.path(), directory.path());
        Copied { directory, workload: self.workload.clone() }
    }

    pub(super) fn earlier(&self) -> &Path {
        self.earlier.path()
    }

    /// The segment with the newest frame.
    pub(super) fn newest_segment(&self) -> Option<PathBuf> {
        self.frames.iter().max_by_key(|frame| frame.last).map(|frame| PathBuf::from(&frame.file))
    }
}

/// Runs a store with some commits; the end leaves its directory in `copy`.
fn run(directory: &Path, end: End, workload: &mut Workload, count: usize, seed: u64, copy: &Path) {
    let disk = GatedDisk::new(directory);
    let home = SledHome::new(directory, 4 << 20);
    let store = JournaledStore::open(Arc::new(disk.clone()), home, small_sizes(), Hot::with_bytes(1 << 16)).unwrap();
    if end == End::Busy {
        disk.copy_before(seed % 100 + 100, directory, copy);
    }
    workload.run(&store, count, seed).unwrap();
    match end {
        End::Clean => {
            store.close().unwrap();
            copy_dir(directory, copy);
        }
        End::Quiet => {
            // The index has everything then, if not durably.
            while store.status().applied < store.status().durable {
                std::thread::yield_now();
            }
            disk.hold(|| copy_dir(directory, copy));
            store.close().unwrap();
        }
        End::Busy => {
            while !disk.has_copied() {
                workload.run(&store, 5, seed).unwrap();
            }
            store.close().unwrap();
        }
    }
}

/// The newest commit of an index that holds just what its own stamp says.
fn verified_index(directory: &Path) -> Option<Sequence> {
    let copy = TempDir::new().unwrap();
    copy_dir(directory, copy.path());
    let index = SledHome::new(copy.path(), 4 << 20).open().ok()??;
    let stamp = index.stamp().ok()??;
    (index.digest().ok()? == stamp.digest).then_some(stamp.sequence)
}
