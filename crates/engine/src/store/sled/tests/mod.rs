//! What the embedded store promises of its directory.

mod damage;
mod faults;
mod gate;
mod maintenance;
mod power;
mod prototypes;
mod rules;
mod takeover;

use std::{fs, sync::Barrier, thread};

use tempfile::TempDir;

use super::{
    tree::{BUFFER_BYTES, STAMP_KEY},
    *,
};
use crate::{
    store::{
        Condition, Direction, KeyRange, Write,
        journaled::{Contents, IndexHome, tests::small_sizes},
    },
    testing::conformance::Medium,
};

/// Sizes so small that a few dozen commits go through everything.
fn small_options() -> SledOptions {
    SledOptions::default().with_cache_bytes(4 << 20).with_sizes(small_sizes())
}

/// Copies all that a directory holds into another one.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else if let Err(error) = fs::copy(entry.path(), to) {
            // Sled removes files on its own.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

/// Does something to sled's tree in the directory of a store that is closed.
fn change_sled<T>(directory: &Path, change: impl FnOnce(&::sled::Db) -> T) -> T {
    let directory = directory.join("sled");
    let mut config = ::sled::Config::new().path(&directory).flush_every_ms(None);
    // Older releases left it at sled's default.
    if let Ok(set_up) = fs::read(directory.join("conf"))
        && String::from_utf8_lossy(&set_up).contains(&format!("segment_size: {BUFFER_BYTES}\n"))
    {
        config = config.segment_size(BUFFER_BYTES);
    }
    let db = loop {
        match config.open() {
            // Sled's own threads may hold its files a little longer than the last handle exists.
            Err(error) if error.to_string().contains("lock") => thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    let result = change(&db);
    db.flush().unwrap();
    result
}

/// Changes an entry of the index behind everybody's back.
fn change_entry(directory: &Path, key: &[u8], value: Option<&[u8]>) {
    change_sled(directory, |db| {
        let mut batch = ::sled::Batch::default();
        blocks::change_some(db, &mut &[(key, value)][..], &mut batch).unwrap().unwrap();
        db.apply_batch(batch).unwrap();
    });
}

/// All entries of an index.
fn entries_of(directory: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    let home = SledHome::new(directory, 4 << 20);
    let index = home.open().unwrap().unwrap();
    index
        .scan(&mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .unwrap();
    drop(index);
    home.release().unwrap();
    entries
}

struct Directory(TempDir);

impl Medium for Directory {
    type Store = SledStore;

    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn open(&self) -> SledStore {
        self.try_open().unwrap()
    }
}

crate::store_conformance!(Directory);

impl Directory {
    /// A closed store with `keys` keys, of one commit each, the last of which was written twice.
    fn filled(keys: u64) -> Self {
        let directory = Self::new();
        let store = directory.open();
        for number in 0..keys {
            commit(&store, &format!("key{number}"), "old");
        }
        commit(&store, &format!("key{}", keys - 1), "new");
        store.close().unwrap();
        directory
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn try_open(&self) -> Result<SledStore, StoreError> {
        SledStore::open(self.path(), &SledOptions::default().with_cache_bytes(16 << 20))
    }
}

fn submit(store: &SledStore, key: &str, value: &str) -> Result<Ticket, StoreError> {
    let write = Write::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    match store.submit(Commit { conditions: Vec::new(), writes: vec![write] })? {
        Submitted::Applied(ticket) => Ok(ticket),
        Submitted::Conflict => unreachable!("there are no conditions"),
    }
}

fn commit(store: &SledStore, key: &str, value: &str) {
    store.wait(submit(store, key, value).unwrap()).unwrap();
}

#[test]
fn a_directory_that_is_open_is_locked() {
    let directory = Directory::new();
    let store = directory.open();
    let error = directory.try_open().unwrap_err();
    assert!(matches!(&error, StoreError::Locked { path } if path == directory.path()));
    assert!(error.to_string().contains(&directory.path().display().to_string()));
    drop(store);
    directory.open();
}

#[test]
fn a_lock_that_is_let_go_of_in_a_moment_is_waited_for() {
    let directory = TempDir::new().unwrap();
    for _ in 0..20 {
        let held = files::lock(directory.path()).unwrap();
        let at_once = Barrier::new(2);
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                at_once.wait();
                files::lock(directory.path()).map(drop)
            });
            at_once.wait();
            drop(held);
            other.join().unwrap().unwrap();
        });
    }
}

#[test]
fn an_unfinished_snapshot_of_sled_does_no_harm() {
    let directory = Directory::filled(3);
    let unfinished = directory.path().join("sled/snap.00000000000000ff.generating");
    fs::write(&unfinished, "torn").unwrap();
    assert_eq!(directory.open().get(View::Durable, b"key0").unwrap().unwrap(), "old");
    assert!(!unfinished.exists());
}

#[test]
#[cfg(unix)]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().unwrap();
    let path = parent.path().join("new/store");
    let _store = SledStore::open(&path, &SledOptions::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for directory in [path.clone(), path.join("sled"), path.join("journal"), path.join("snapshots")] {
        assert_eq!(mode(&directory), 0o700);
        for file in files::files_of(&directory).unwrap() {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

#[test]
fn the_stamp_is_hidden() {
    let directory = Directory::filled(3);
    let store = directory.open();
    let snapshot = store.snapshot(View::Durable).unwrap();
    assert_eq!(snapshot.range(&KeyRange::prefix(&[0]), Direction::Ascending).count(), 0);
    assert_eq!(snapshot.get(STAMP_KEY).unwrap(), None);
    assert_eq!(store.get(View::Latest, STAMP_KEY).unwrap(), None);
    let conditions = vec![Condition { range: KeyRange::ALL, unchanged_since: snapshot.sequence() }];
    let writes = vec![Write::Delete(Bytes::from_static(STAMP_KEY))];
    assert!(matches!(store.submit(Commit { conditions, writes }), Err(StoreError::InvalidCommit { .. })));
}
