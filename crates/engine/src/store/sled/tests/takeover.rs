//! Directories of the release without a journal: taken over once and whole, also when interrupted; or refused, and left as they were.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use bytes::Bytes;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    change_sled, copy_dir, entries_of,
    prototypes::{End, Prototype},
    small_options,
};
use crate::store::{
    Commit, Direction, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted, View, Write,
    digest::SetDigest,
    disk::{Disk, sim::SimDisk},
    journaled::{
        JournaledStore,
        tests::{assert_is_power_failure, files, small_sizes},
    },
    overlay::Hot,
    sled::{
        SledStore,
        home::SledHome,
        tree::{BARE_STAMP_KEY, STAMP_KEY},
    },
};

const STORE: u64 = 0x1122_3344_5566_7788;

type Entries = BTreeMap<Bytes, Bytes>;

/// The stamp of the release without a journal.
fn old_stamp(store: u64, sequence: u64, entries: &Entries) -> [u8; 64] {
    let mut digest = SetDigest::default();
    entries.iter().for_each(|(key, value)| digest.add(key, value));
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(b"OFFSHOOT");
    bytes[8..12].copy_from_slice(&1_u32.to_be_bytes());
    for (start, number) in [(12, store), (20, sequence), (28, digest.entries)] {
        bytes[start..start + 8].copy_from_slice(&number.to_be_bytes());
    }
    bytes[36..52].copy_from_slice(&digest.sum.to_be_bytes());
    let checksum = xxh3_64(&bytes[..56]);
    bytes[56..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The file `COMMITS` of the release without a journal: two slots, written in turn.
fn old_commits(older: &[u8; 64], newer: &[u8; 64]) -> Vec<u8> {
    let mut bytes = older.to_vec();
    bytes.resize(4096, 0);
    bytes.extend_from_slice(newer);
    bytes
}

/// A closed directory of the release without a journal, and what it holds.
struct OldDirectory {
    directory: TempDir,
    entries: Entries,
    /// The entries one commit before.
    before: Entries,
}

const COMMITS: u64 = 40;

impl OldDirectory {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut entries = Entries::new();
        let mut before = Entries::new();
        for number in 0..COMMITS {
            before = entries.clone();
            let value = vec![number.to_le_bytes()[0]; usize::try_from(number * 50).unwrap()];
            entries.insert(Bytes::from(format!("key{}", number % 30)), value.into());
        }
        let old = Self { directory, entries, before };
        fs::create_dir(old.path().join("sled")).unwrap();
        change_sled(old.path(), |db| {
            for (key, value) in &old.entries {
                db.insert(key, &value[..]).unwrap();
            }
            db.insert(BARE_STAMP_KEY, &old.stamp()[..]).unwrap();
        });
        fs::write(old.path().join("COMMITS"), old_commits(&old.stamp_before(), &old.stamp())).unwrap();
        fs::write(old.path().join("LOCK"), "").unwrap();
        old
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn stamp(&self) -> [u8; 64] {
        old_stamp(STORE, COMMITS, &self.entries)
    }

    fn stamp_before(&self) -> [u8; 64] {
        old_stamp(STORE, COMMITS - 1, &self.before)
    }

    fn open(&self) -> Result<SledStore, StoreError> {
        SledStore::open(self.path(), &small_options())
    }

    fn check(&self, store: &impl Store) {
        let snapshot = store.snapshot(View::Durable).unwrap();
        assert_eq!(snapshot.sequence(), Sequence::new(COMMITS));
        assert_holds(&*snapshot, &self.entries);
    }

    /// Asserts that the directory is refused, and is as before but for what nobody reads.
    fn assert_refused(&self) -> StoreError {
        let path = self.path();
        let commits = fs::read(path.join("COMMITS")).unwrap();
        let content = |db: &::sled::Db| db.iter().collect::<Result<Vec<_>, _>>().unwrap();
        let sled = path.join("sled").exists().then(|| change_sled(path, content));
        for _ in 0..2 {
            assert!(self.open().is_err());
        }
        assert!(!path.join("CHECKPOINT").exists() && !path.join("sled.replaced").exists());
        assert!(commits == fs::read(path.join("COMMITS")).unwrap());
        if let Some(sled) = sled {
            assert!(sled == change_sled(path, content));
        }
        self.open().map(drop).unwrap_err()
    }
}

fn assert_holds(snapshot: &dyn Snapshot, entries: &Entries) {
    let found: Result<Entries, _> = snapshot.range(&KeyRange::ALL, Direction::Ascending).collect();
    assert!(found.unwrap() == *entries);
}

fn put(store: &impl Store, key: &str) {
    let writes = vec![Write::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::from_static(b"new"))];
    let Submitted::Applied(ticket) = store.submit(Commit { conditions: Vec::new(), writes }).unwrap() else {
        unreachable!("there are no conditions")
    };
    store.wait(ticket).unwrap();
}

/// Asserts that the release without a journal finds nothing of its own in the file.
fn assert_has_new_format(commits: &[u8]) {
    for slot in [0, 4096] {
        assert_eq!(&commits[slot..slot + 8], b"OFFSNOTE");
        assert_eq!(commits[slot + 8..slot + 12], 3_u32.to_be_bytes());
    }
}

#[test]
fn a_directory_without_a_journal_is_taken_over_once() {
    let mut old = OldDirectory::new();
    let store = old.open().unwrap();
    old.check(&store);
    assert_eq!(store.status().snapshot, Sequence::new(COMMITS));
    put(&store, "after");
    store.close().unwrap();
    assert_has_new_format(&fs::read(old.path().join("COMMITS")).unwrap());
    assert_eq!(files::noted_commits(old.path()).unwrap().stamp.store, STORE);

    // The next start finds a store like any other, and the journal has what came since.
    old.entries.insert(Bytes::from_static(b"after"), Bytes::from_static(b"new"));
    let frames = files::frames(old.path()).len();
    for _ in 0..2 {
        let store = old.open().unwrap();
        assert_holds(&*store.snapshot(View::Durable).unwrap(), &old.entries);
        assert_eq!(store.status().snapshot, Sequence::new(COMMITS));
        store.close().unwrap();
        assert_eq!(files::frames(old.path()).len(), frames);
    }
    fs::remove_dir_all(old.path().join("sled")).unwrap();
    assert_holds(&*old.open().unwrap().snapshot(View::Durable).unwrap(), &old.entries);
}

#[test]
fn a_directory_without_a_journal_and_without_commits_is_taken_over() {
    let old = OldDirectory::new();
    let stamp = old_stamp(STORE, 0, &Entries::new());
    fs::remove_dir_all(old.path().join("sled")).unwrap();
    change_sled(old.path(), |db| db.insert(BARE_STAMP_KEY, &stamp[..]).unwrap());
    fs::write(old.path().join("COMMITS"), old_commits(&stamp, &stamp)).unwrap();
    put(&old.open().unwrap(), "key");
    assert!(old.open().unwrap().get(View::Durable, b"key").unwrap().is_some());
}

#[test]
fn commits_that_is_behind_or_half_damaged_is_no_reason_against_a_takeover() {
    let torn = |mut bytes: Vec<u8>, slot: usize| {
        bytes[slot + 30] ^= 1;
        bytes
    };
    let old = OldDirectory::new();
    let (older, newer) = (old.stamp_before(), old.stamp());
    for commits in [
        // A loss of power may leave it behind.
        old_commits(&older, &older),
        old_commits(&newer, &older),
        torn(old_commits(&older, &newer), 0),
        torn(old_commits(&older, &newer), 4096),
        newer.to_vec(),
    ] {
        let old = OldDirectory::new();
        fs::write(old.path().join("COMMITS"), commits).unwrap();
        old.check(&old.open().unwrap());
        old.check(&old.open().unwrap());
    }
}

#[test]
fn a_takeover_that_is_interrupted_is_finished_by_the_next_start() {
    let old = OldDirectory::new();
    let disk = SimDisk::new();
    disk.create("COMMITS").unwrap();
    disk.overwrite("COMMITS", &fs::read(old.path().join("COMMITS")).unwrap());
    disk.sync_dir("").unwrap();
    let disk = disk.power_cut_keeping_all();
    let open = |disk: &SimDisk, directory: &Path| {
        let home = SledHome::new(directory, 4 << 20);
        JournaledStore::open(Arc::new(disk.clone()), home, small_sizes(), Hot::with_bytes(1 << 16))
    };
    let (mut interrupted, mut untouched, mut done) = (0, 0, 0);
    for operation in 1.. {
        let disk = disk.clone_state();
        let directory = TempDir::new().unwrap();
        copy_dir(old.path(), directory.path());
        disk.stop_after(operation);
        match open(&disk, directory.path()) {
            Err(error) => assert_is_power_failure(&error),
            Ok(store) => {
                drop(store);
                if disk.operations() < operation {
                    break;
                }
            }
        }
        interrupted += 1;
        let cuts = [disk.power_cut_keeping_all(), disk.power_cut_dropping_all()];
        for disk in cuts.into_iter().chain((0..3).map(|seed| disk.power_cut(seed))) {
            if disk.read("COMMITS").starts_with(b"OFFSHOOT") {
                untouched += 1
            } else {
                done += 1
            }
            let copy = TempDir::new().unwrap();
            copy_dir(directory.path(), copy.path());
            let store = open(&disk, copy.path()).unwrap_or_else(|error| panic!("operation {operation}: {error:?}"));
            old.check(&store);
            put(&store, "after");
            store.close().unwrap();
            assert_has_new_format(&disk.read("COMMITS"));
            // Also without sled's files.
            let store = open(&disk, TempDir::new().unwrap().path()).unwrap();
            assert!(store.get(View::Durable, b"after").unwrap().is_some());
            assert!(store.get(View::Durable, b"key7").unwrap().is_some());
        }
    }
    assert!(interrupted > 15 && untouched > 30 && done > 5, "{interrupted}, {untouched}, {done}");
}

#[test]
fn a_takeover_of_an_older_state_is_refused() {
    let old = OldDirectory::new();
    let ahead = old_stamp(STORE, COMMITS + 1, &old.before);
    fs::write(old.path().join("COMMITS"), old_commits(&old.stamp(), &ahead)).unwrap();
    let (expected, found) = (Sequence::new(COMMITS + 1), Sequence::new(COMMITS));
    let error = old.assert_refused();
    assert!(
        matches!(error, StoreError::RolledBack { expected: e, found: f } if e == expected && f == found),
        "{error}"
    );

    let old = OldDirectory::new();
    fs::remove_dir_all(old.path().join("sled")).unwrap();
    let error = old.assert_refused();
    assert!(matches!(error, StoreError::RolledBack { found: Sequence::ZERO, .. }), "{error}");
}

#[test]
fn a_takeover_of_what_does_not_belong_together_is_refused() {
    let old = OldDirectory::new();
    let other = OldDirectory::new();
    let foreign = old_stamp(STORE + 1, 3, &other.before);
    let altered = old_stamp(STORE, COMMITS, &other.before);
    for (commits, named) in [(foreign, "COMMITS belongs to another store"), (altered, "is not the one")] {
        fs::write(old.path().join("COMMITS"), old_commits(&commits, &commits)).unwrap();
        let error = old.assert_refused();
        assert!(matches!(&error, StoreError::Corrupt { what } if what.contains(named)), "{error}");
    }
    fs::write(old.path().join("COMMITS"), vec![7; 5000]).unwrap();
    let error = old.assert_refused();
    assert!(matches!(&error, StoreError::Corrupt { what } if what.contains("COMMITS")), "{error}");
    // With the right file again, nothing was lost.
    fs::write(old.path().join("COMMITS"), old_commits(&old.stamp_before(), &old.stamp())).unwrap();
    old.check(&old.open().unwrap());
}

#[test]
fn an_index_with_a_key_for_each_entry_is_made_anew() {
    for end in [End::Clean, End::Quiet] {
        let mut copied = Prototype::new(end, false, 15).copy();
        let path = copied.path().to_path_buf();
        let entries = entries_of(&path);
        change_sled(&path, |db| {
            let stamp = db.get(STAMP_KEY).unwrap().unwrap();
            db.clear().unwrap();
            db.insert(BARE_STAMP_KEY, stamp).unwrap();
            for (key, value) in &entries {
                db.insert(&key[..], &value[..]).unwrap();
            }
        });
        copied.check();
        assert_eq!(change_sled(&path, |db| db.get(BARE_STAMP_KEY).unwrap()), None);
        assert!(path.join("sled.replaced/db").exists(), "the old one is kept");
    }
}

#[test]
fn an_index_with_buffers_of_another_size_is_made_anew() {
    for end in [End::Clean, End::Quiet] {
        let mut copied = Prototype::new(end, false, 16).copy();
        let path = copied.path().to_path_buf();
        let blocks = change_sled(&path, |db| db.iter().collect::<Result<Vec<_>, _>>().unwrap());
        fs::remove_dir_all(path.join("sled")).unwrap();
        fs::create_dir(path.join("sled")).unwrap();
        change_sled(&path, |db| {
            for (fence, block) in &blocks {
                db.insert(fence, block).unwrap();
            }
        });
        let set_up = |directory: &str| fs::read(path.join(directory).join("conf")).unwrap();
        let older = set_up("sled");
        copied.check();
        assert_ne!(set_up("sled"), older);
        assert_eq!(set_up("sled.replaced"), older, "the old one is kept");
    }
}

#[test]
fn a_takeover_of_damaged_entries_is_refused() {
    let old = OldDirectory::new();
    let (key, value) = old.entries.iter().nth(7).unwrap();
    let stamp = old.stamp();
    let damages: [(&[u8], Option<&[u8]>); 5] = [
        (key, Some(b"damaged")),
        (key, None),
        (b"added", Some(b"damaged")),
        (BARE_STAMP_KEY, Some(b"damaged")),
        (BARE_STAMP_KEY, None),
    ];
    for (key, damaged) in damages {
        let change = |value: Option<&[u8]>| {
            change_sled(old.path(), |db| match value {
                Some(value) => db.insert(key, value).unwrap(),
                None => db.remove(key).unwrap(),
            });
        };
        change(damaged);
        let error = old.assert_refused();
        assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::RolledBack { .. }), "{error}");
        change(match key {
            b"added" => None,
            BARE_STAMP_KEY => Some(&stamp),
            _ => Some(value),
        });
    }
    old.check(&old.open().unwrap());
}
