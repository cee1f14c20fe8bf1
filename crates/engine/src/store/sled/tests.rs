use std::{fs, io};

use ::sled::IVec;
use tempfile::TempDir;

use super::{
    files::CommitsFile,
    stamp::{STAMP_BYTES, Stamp},
    tree::STAMP_KEY,
    *,
};
use crate::{
    store::{Condition, Direction, KeyRange, Write},
    testing::conformance::Medium,
};

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
        SledStore::open(self.path(), &SledOptions { cache_bytes: 16 << 20 })
    }

    /// Does something to sled's tree while the store is closed.
    fn offline<T>(&self, change: impl FnOnce(&::sled::Db) -> T) -> T {
        let db = ::sled::Config::new().path(self.path().join("sled")).flush_every_ms(None).open().unwrap();
        let result = change(&db);
        db.flush().unwrap();
        result
    }

    fn stamp(&self) -> Stamp {
        self.offline(|db| Stamp::decode(&db.get(STAMP_KEY).unwrap().unwrap()).unwrap())
    }

    fn copy_sled_to(&self, other: &Self) {
        let (from, to) = (self.path().join("sled"), other.path().join("sled"));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(to.join("blobs")).unwrap();
        for file in files::files_of(&from).unwrap() {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
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

fn assert_corrupt(directory: &Directory, why: &str) {
    let error = directory.try_open().expect_err(why);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{why}: {error}");
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
fn an_older_state_of_sled_is_refused() {
    let (directory, backup) = (Directory::filled(10), Directory::new());
    directory.copy_sled_to(&backup);
    let store = directory.open();
    commit(&store, "key0", "newer");
    drop(store);
    backup.copy_sled_to(&directory);
    let error = directory.try_open().unwrap_err();
    let (expected, found) = (Sequence::new(12), Sequence::new(11));
    assert!(
        matches!(error, StoreError::RolledBack { expected: e, found: f } if e == expected && f == found),
        "{error}"
    );

    fs::remove_dir_all(directory.path().join("sled")).unwrap();
    let error = directory.try_open().unwrap_err();
    assert!(matches!(error, StoreError::RolledBack { found: Sequence::ZERO, .. }), "{error}");
}

#[test]
fn a_stamp_that_is_behind_sled_is_brought_up_to_date() {
    let directory = Directory::filled(10);
    let behind = fs::read(directory.path().join("COMMITS")).unwrap();
    let store = directory.open();
    commit(&store, "key0", "newer");
    drop(store);
    // As a loss of power leaves it.
    fs::write(directory.path().join("COMMITS"), behind).unwrap();
    let store = directory.open();
    assert_eq!(store.get(View::Durable, b"key0").unwrap().unwrap(), "newer");
    drop(store);
    let (_, noted) = CommitsFile::open(directory.path()).unwrap().unwrap();
    assert_eq!(noted, directory.stamp());
}

#[test]
fn files_of_two_stores_do_not_mix() {
    // The one that is newer looks as if only its COMMITS were behind.
    let (newer, older) = (Directory::filled(5), Directory::filled(3));
    newer.copy_sled_to(&older);
    assert_corrupt(&older, "sled's files are another store's");
}

#[test]
fn commits_survives_one_damaged_slot_but_not_two() {
    let directory = Directory::filled(3);
    let path = directory.path().join("COMMITS");
    let intact = fs::read(&path).unwrap();
    for slots in [vec![0], vec![4096], vec![0, 4096]] {
        let mut damaged = intact.clone();
        for slot in &slots {
            damaged[slot + STAMP_BYTES / 2] ^= 1;
        }
        fs::write(&path, damaged).unwrap();
        match slots.len() {
            1 => drop(directory.open()),
            _ => assert_corrupt(&directory, "both slots are damaged"),
        }
    }
    fs::remove_file(&path).unwrap();
    assert_corrupt(&directory, "COMMITS is missing");
}

#[test]
fn an_interrupted_creation_is_finished() {
    let directory = Directory::new();
    drop(directory.open());
    fs::remove_file(directory.path().join("COMMITS")).unwrap();
    fs::write(directory.path().join("COMMITS.new"), "torn").unwrap();
    commit(&directory.open(), "a", "1");
    assert_eq!(directory.open().get(View::Durable, b"a").unwrap().unwrap(), "1");
}

#[test]
fn an_unknown_format_is_refused() {
    let with_format = |stamp: &Stamp, format: u32| {
        let mut bytes = stamp.encode();
        bytes[8..12].copy_from_slice(&format.to_be_bytes());
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    };
    let directory = Directory::filled(3);
    let stamp = directory.stamp();
    directory.offline(|db| db.insert(STAMP_KEY, with_format(&stamp, 9).to_vec()).unwrap());
    let error = directory.try_open().unwrap_err();
    assert!(matches!(error, StoreError::UnknownFormat { found: 9, .. }), "{error}");

    let directory = Directory::filled(3);
    let mut commits = fs::read(directory.path().join("COMMITS")).unwrap();
    commits[..STAMP_BYTES].copy_from_slice(&with_format(&stamp, 8));
    fs::write(directory.path().join("COMMITS"), commits).unwrap();
    let error = directory.try_open().unwrap_err();
    assert!(matches!(error, StoreError::UnknownFormat { found: 8, .. }), "{error}");
}

#[test]
fn each_damaged_value_is_found_when_the_store_is_opened() {
    let directory = Directory::filled(10);
    let entries: Vec<_> = directory.offline(|db| db.iter().map(Result::unwrap).collect());
    assert_eq!(entries.len(), 11, "ten keys and the stamp");
    for (key, value) in &entries {
        let mut flipped = value.to_vec();
        flipped[0] ^= 1;
        let cut = value[1..].to_vec();
        for (damaged, why) in [(Some(flipped), "flipped"), (Some(cut), "cut"), (None, "removed")] {
            directory.offline(|db| match damaged {
                Some(damaged) => db.insert(key, damaged).unwrap(),
                None => db.remove(key).unwrap(),
            });
            assert_corrupt(&directory, &format!("{}: {why}", key.escape_ascii()));
            directory.offline(|db| db.insert(key, value.clone()).unwrap());
        }
    }
    let stale = [("key9", Some("old")), ("added", Some("old"))];
    for (key, value) in stale {
        let before = directory.offline(|db| db.insert(key, value.unwrap()).unwrap());
        assert_corrupt(&directory, "a value that is not the one that was written last");
        directory.offline(|db| match before {
            Some(before) => db.insert(key, before).unwrap(),
            None => db.remove(key).unwrap(),
        });
    }
    directory.open();
}

#[test]
fn two_values_that_changed_places_are_found() {
    let directory = Directory::filled(10);
    let swap = |db: &::sled::Db| {
        let old: Option<IVec> = db.insert("key1", "new").unwrap();
        db.insert("key9", old.unwrap()).unwrap();
    };
    directory.offline(swap);
    assert_corrupt(&directory, "two values changed places");
}

#[test]
fn damage_to_sleds_file_is_refused_or_does_no_harm() {
    let intact = Directory::filled(300);
    let length = fs::metadata(intact.path().join("sled/db")).unwrap().len();
    for offset in (0..length).step_by(usize::try_from(length / 40).unwrap()) {
        let directory = Directory::new();
        intact.copy_sled_to(&directory);
        fs::copy(intact.path().join("COMMITS"), directory.path().join("COMMITS")).unwrap();
        let path = directory.path().join("sled/db");
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(offset).unwrap()] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        match directory.try_open() {
            Ok(store) => {
                let snapshot = store.snapshot(View::Durable).unwrap();
                assert_eq!(snapshot.range(&KeyRange::ALL, Direction::Ascending).count(), 300, "offset {offset}");
            }
            Err(StoreError::Corrupt { .. } | StoreError::RolledBack { .. } | StoreError::Io { .. }) => {}
            Err(error) => unreachable!("offset {offset}: {error:?}"),
        }
    }
}

#[test]
fn an_unfinished_snapshot_of_sled_is_removed() {
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
    assert_eq!(mode(&path.join("sled")), 0o700);
    for directory in [&path, &path.join("sled")] {
        for file in files::files_of(directory).unwrap() {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}

/// A store whose disk says that it cannot make anything durable.
fn with_failing_disk(directory: &Directory) -> SledStore {
    let mut opened = open::open(directory.path(), &SledOptions::default()).unwrap();
    // The operating system refuses to make a pipe durable.
    let (pipe, _) = io::pipe().unwrap();
    opened.data.log = fs::File::from(std::os::fd::OwnedFd::from(pipe));
    SledStore::start(opened, Hot::none()).unwrap()
}

#[test]
fn after_a_failure_writes_are_refused_and_reads_go_on() {
    let directory = Directory::filled(3);
    let store = with_failing_disk(&directory);
    let ticket = submit(&store, "key0", "lost").unwrap();
    let error = store.wait(ticket).unwrap_err();
    let StoreError::Poisoned { cause } = &error else { panic!("{error:?}") };
    assert!(matches!(&**cause, StoreError::Io { .. }), "{cause:?}");

    assert!(matches!(submit(&store, "key1", "later"), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.get(View::Latest, b"key0"), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.snapshot(View::Latest).err(), Some(StoreError::Poisoned { .. })));
    assert_eq!(store.get(View::Durable, b"key0").unwrap().unwrap(), "old");
    assert_eq!(store.get(View::Durable, b"key1").unwrap().unwrap(), "old");
    let snapshot = store.snapshot(View::Durable).unwrap();
    let values = snapshot.range(&KeyRange::ALL, Direction::Ascending).map(|entry| entry.unwrap().1);
    assert!(values.eq(["old", "old", "new"]));
    drop(snapshot);

    assert!(matches!(store.close(), Err(StoreError::Io { .. })));
    // What failed may be there or not, but the store is whole and takes commits again.
    commit(&directory.open(), "key0", "again");
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
