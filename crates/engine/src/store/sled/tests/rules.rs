//! Small rules about the directory's files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    change_entry, change_sled, copy_dir, entries_of,
    prototypes::{Copied, End, Prototype},
    small_options,
};
use crate::store::{
    Direction, KeyRange, Store, StoreError, View,
    disk::sim::SimDisk,
    journaled::{
        JournaledStore,
        tests::{assert_is_power_failure, files, small_sizes, workload::Workload},
    },
    overlay::Hot,
    sled::{SledStore, home::SledHome, tree::STAMP_KEY},
};

/// The bytes of a note before its checksum.
const NOTE_BYTES: usize = 112;
const SLOTS: [usize; 2] = [0, 4096];

/// Changes a file's bytes.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn replace_dir(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    copy_dir(from, to);
}

/// A prototype whose snapshot does not have everything.
fn with_needed_journal(end: End, seed: u64) -> Prototype {
    let newest = |prototype: &Prototype| prototype.frames.iter().map(|frame| frame.last).max().unwrap();
    let mut prototypes = (seed..).map(|seed| Prototype::new(end, false, seed));
    prototypes.find(|prototype| prototype.in_snapshot < newest(prototype)).unwrap()
}

fn newest_snapshot(copied: &Copied) -> PathBuf {
    let newest = files::newest_snapshot(copied.path()).unwrap();
    copied.path().join(format!("snapshots/{:016x}", newest.number()))
}

/// All files below some of a directory's entries, with their bytes.
fn contents(directory: &Path, entries: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(path: PathBuf, files: &mut Vec<(PathBuf, Vec<u8>)>) {
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| collect(entry.unwrap().path(), files));
        } else if path.exists() {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    let mut files = Vec::new();
    entries.iter().for_each(|entry| collect(directory.join(entry), &mut files));
    files.sort_unstable();
    files
}

#[test]
fn unknown_formats_of_notes_are_refused() {
    let prototype = Prototype::new(End::Clean, false, 1);
    for name in ["COMMITS", "CHECKPOINT"] {
        for slot in SLOTS {
            let copied = prototype.copy();
            edit(&copied.path().join(name), |bytes| {
                bytes[slot + 8..slot + 12].copy_from_slice(&9_u32.to_be_bytes());
                let checksum = xxh3_64(&bytes[slot..slot + NOTE_BYTES]);
                bytes[slot + NOTE_BYTES..slot + NOTE_BYTES + 8].copy_from_slice(&checksum.to_be_bytes());
            });
            let error = copied.refusal();
            let is_named =
                matches!(&error, StoreError::UnknownFormat { path, found: 9, known: 3 } if path.ends_with(name));
            assert!(is_named, "{error:?}");
        }
    }
}

#[test]
fn notes_survive_one_damaged_slot() {
    for end in [End::Clean, End::Quiet] {
        let prototype = Prototype::new(end, false, 2);
        for name in ["COMMITS", "CHECKPOINT"] {
            for slot in SLOTS {
                let mut copied = prototype.copy();
                edit(&copied.path().join(name), |bytes| bytes[slot + 50] ^= 1);
                copied.check();
            }
        }
    }
}

#[test]
fn files_of_two_stores_do_not_mix() {
    let (store, other) = (Prototype::new(End::Clean, false, 3), Prototype::new(End::Clean, false, 4));
    for name in ["COMMITS", "CHECKPOINT"] {
        let copied = store.copy();
        fs::copy(other.path().join(name), copied.path().join(name)).unwrap();
        let error = copied.refusal();
        assert!(matches!(&error, StoreError::Corrupt { what } if what.contains(name)), "{error}");
        fs::copy(store.path().join(name), copied.path().join(name)).unwrap();
        store.copy().check();
    }
    // What is another store's counts as missing.
    for folder in ["journal", "snapshots", "sled"] {
        let mut copied = store.copy();
        replace_dir(&other.path().join(folder), &copied.path().join(folder));
        copied.check();
    }
    let copied = store.copy();
    replace_dir(&other.path().join("sled"), &copied.path().join("sled"));
    replace_dir(&other.path().join("snapshots"), &copied.path().join("snapshots"));
    let error = copied.refusal();
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_creation_that_is_interrupted_is_finished_by_the_next_start() {
    let open = |disk: &SimDisk, directory: &Path| {
        let home = SledHome::new(directory, 4 << 20);
        JournaledStore::open(std::sync::Arc::new(disk.clone()), home, small_sizes(), Hot::with_bytes(1 << 16))
    };
    let mut interrupted = 0;
    for operation in 1.. {
        let (disk, directory) = (SimDisk::new(), TempDir::new().unwrap());
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
        for disk in [disk.power_cut_keeping_all(), disk.power_cut_dropping_all(), disk.power_cut(operation)] {
            let copy = TempDir::new().unwrap();
            copy_dir(directory.path(), copy.path());
            let mut workload = Workload::new();
            let store = open(&disk, copy.path()).unwrap();
            workload.check(&store).unwrap();
            workload.run(&store, 5, operation).unwrap();
            store.close().unwrap();
            workload.check(&open(&disk, copy.path()).unwrap()).unwrap();
        }
    }
    assert!(interrupted > 15, "{interrupted}");
}

#[test]
fn each_wrong_value_in_the_index_is_found_and_put_right() {
    for end in [End::Clean, End::Quiet] {
        let prototype = Prototype::new(end, false, 5);
        let copied = prototype.copy();
        let entries: Vec<_> = change_sled(copied.path(), |db| db.iter().map(Result::unwrap).collect());
        assert!(entries.len() > 12);
        let stale = entries.iter().find(|(key, _)| key.starts_with(b"log")).unwrap().1.clone();
        for (number, (key, value)) in entries.iter().enumerate() {
            let mut flipped = value.to_vec();
            flipped[0] ^= 1;
            let kinds = [Some(flipped), Some(value[1..].to_vec()), Some(stale.to_vec()), None];
            // Each kind for some keys, and each for the stamp.
            for damaged in if number == 0 { &kinds[..] } else { &kinds[number % 4..=number % 4] } {
                let mut copied = prototype.copy();
                change_sled(copied.path(), |db| match damaged {
                    Some(damaged) => db.insert(key, &damaged[..]).unwrap(),
                    None => db.remove(key).unwrap(),
                });
                copied.check();
            }
        }
        let mut copied = prototype.copy();
        change_entry(copied.path(), b"added", Some(b"value"));
        copied.check();
        assert!(copied.path().join("sled.replaced/db").exists());
    }
}

#[test]
fn two_values_that_changed_places_are_found() {
    let mut copied = Prototype::new(End::Quiet, false, 6).copy();
    let entries = entries_of(copied.path());
    let [first, second] =
        [&b"twin/0/a"[..], b"twin/1/a"].map(|key| entries.iter().find(|entry| entry.0 == key).unwrap());
    change_entry(copied.path(), &first.0, Some(&second.1));
    change_entry(copied.path(), &second.0, Some(&first.1));
    copied.check();
}

#[test]
fn what_a_new_index_takes_the_place_of_is_kept() {
    let mut copied = Prototype::new(End::Clean, false, 7).copy();
    edit(&copied.path().join("sled/db"), |bytes| bytes.fill(7));
    copied.check();
    let kept = fs::read(copied.path().join("sled.replaced/db")).unwrap();
    assert!(kept.iter().filter(|byte| **byte == 7).count() > kept.len() / 2);
    assert!(!copied.path().join("sled.new").exists());
    // Also where the new one was not put in its place any more.
    fs::remove_dir_all(copied.path().join("sled")).unwrap();
    fs::create_dir(copied.path().join("sled.new")).unwrap();
    copied.check();
    assert!(kept == fs::read(copied.path().join("sled.replaced/db")).unwrap());
}

#[test]
fn a_new_index_that_cannot_be_made_leaves_everything_as_it_was() {
    for end in [End::Clean, End::Quiet] {
        let prototype = Prototype::new(end, false, 8);
        let mut copied = prototype.copy();
        let snapshot = newest_snapshot(&copied);
        let intact = fs::read(&snapshot).unwrap();
        edit(&snapshot, |bytes| bytes[intact.len() / 2] ^= 1);
        change_entry(copied.path(), b"added", Some(b"value"));
        let rest = ["journal", "snapshots", "COMMITS", "LOCK"];
        let before = contents(copied.path(), &rest);
        for _ in 0..2 {
            let error = copied.refusal().to_string();
            assert!(error.contains(&*snapshot.file_name().unwrap().to_string_lossy()), "{error}");
        }
        assert!(before == contents(copied.path(), &rest));
        assert!(copied.path().join("sled").exists() && !copied.path().join("sled.replaced").exists());
        fs::write(snapshot, intact).unwrap();
        copied.check();
    }
}

#[test]
fn an_index_that_cannot_be_read_is_made_anew() {
    let mut copied = Prototype::new(End::Clean, false, 9).copy();
    let blobs = copied.path().join("sled/blobs");
    fs::create_dir_all(&blobs).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", blobs.join("1")).unwrap();
    copied.check();
}

#[test]
fn a_damaged_snapshot_is_replaced() {
    let mut copied = Prototype::new(End::Quiet, false, 10).copy();
    edit(&newest_snapshot(&copied), |bytes| bytes[100] ^= 1);
    let store = copied.open().unwrap();
    while store.status().snapshots == 0 {
        std::thread::yield_now();
    }
    store.close().unwrap();
    fs::remove_dir_all(copied.path().join("sled")).unwrap();
    copied.check();
}

#[test]
fn a_damaged_journal_is_put_aside_and_kept() {
    let prototype = with_needed_journal(End::Clean, 11);
    let mut copied = prototype.copy();
    let segment = prototype.newest_segment().unwrap();
    let number = segment.file_name().unwrap().to_string_lossy().into_owned();
    fs::write(copied.path().join(&segment), "damaged").unwrap();
    let aside = copied.path().join(format!("journal/damaged-{number}"));
    copied.check();
    assert_eq!(fs::read(&aside).unwrap(), b"damaged");
    // A new journal does not use the number again, be it that all else is gone.
    for entry in fs::read_dir(copied.path().join("journal")).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().starts_with("damaged-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    copied.check();
    let numbers = files::frames(copied.path());
    assert!(numbers.iter().all(|frame| frame.file.as_str() > &*format!("journal/{number}")));
    assert_eq!(fs::read(&aside).unwrap(), b"damaged");
}

#[test]
fn what_fills_up_the_last_page_of_a_frame_is_not_needed() {
    let prototype = with_needed_journal(End::Quiet, 15);
    let newest = prototype.frames.iter().max_by_key(|frame| frame.last).unwrap();
    let mut copied = prototype.copy();
    edit(&copied.path().join(&newest.file), |bytes| bytes.truncate(newest.position + newest.bytes.len()));
    copied.check();
}

#[test]
fn a_snapshot_that_has_everything_is_enough() {
    let newest = |prototype: &Prototype| prototype.frames.iter().map(|frame| frame.last).max().unwrap();
    let mut prototypes = (16..).map(|seed| Prototype::new(End::Quiet, false, seed));
    let prototype = prototypes.find(|prototype| prototype.in_snapshot == newest(prototype)).unwrap();
    let mut copied = prototype.copy();
    fs::remove_dir_all(copied.path().join("sled")).unwrap();
    fs::remove_dir_all(copied.path().join("journal")).unwrap();
    fs::copy(prototype.earlier().join("CHECKPOINT"), copied.path().join("CHECKPOINT")).unwrap();
    copied.check();
}

#[test]
fn files_of_nobody_do_no_harm() {
    for end in [End::Clean, End::Quiet] {
        let mut copied = Prototype::new(end, false, 12).copy();
        let names = [
            "ffffffffffffffff",
            "+000000000000001",
            "00000000000000FF",
            "spare-ffffffffffffffff",
            "spare-x",
            "damaged-ffffffffffffffff",
            "unfinished",
            "notes.txt",
        ];
        for folder in ["journal", "snapshots", ""] {
            for name in names {
                fs::write(copied.path().join(folder).join(name), "what is this").unwrap();
            }
        }
        fs::write(copied.path().join("COMMITS.new"), "torn").unwrap();
        fs::write(copied.path().join("CHECKPOINT.new"), "torn").unwrap();
        copied.check();
        fs::remove_file(copied.path().join("COMMITS")).unwrap();
        fs::remove_file(copied.path().join("CHECKPOINT")).unwrap();
        copied.check();
    }
}

#[test]
fn an_index_that_has_more_than_the_journal_is_not_set_back() {
    let prototype = with_needed_journal(End::Quiet, 13);
    let newest = prototype.frames.iter().max_by_key(|frame| frame.last).unwrap();
    let closed = prototype.copy();
    closed.open().unwrap().close().unwrap();
    let damaged = || {
        let copied = prototype.copy();
        // As if the store had been killed just after sled wrote everything on its own account.
        replace_dir(&closed.path().join("sled"), &copied.path().join("sled"));
        fs::copy(prototype.earlier().join("CHECKPOINT"), copied.path().join("CHECKPOINT")).unwrap();
        // Nothing but the index knows then that there was a newest frame.
        edit(&copied.path().join(&newest.file), |bytes| bytes[newest.position..].fill(0));
        fs::remove_file(copied.path().join("COMMITS")).unwrap();
        copied
    };
    damaged().check();
    let copied = damaged();
    change_entry(copied.path(), b"added", Some(b"value"));
    let error = copied.refusal();
    assert!(matches!(error, StoreError::RolledBack { expected, .. } if expected == newest.last), "{error}");
}

#[test]
fn an_index_with_a_part_of_a_batch_makes_good_a_damaged_frame_before_that() {
    let needed = |prototype: &Prototype| {
        let after = |frame: &&files::PlacedFrame| frame.last > prototype.in_snapshot;
        let mut frames: Vec<_> = prototype.frames.iter().filter(after).cloned().collect();
        frames.sort_by_key(|frame| frame.last);
        frames
    };
    // Sled may not have written yet what it was given last, and then its files have no newer batch to take the stamp away from.
    let has_all = |found: &Prototype| needed(found).last().is_some_and(|newest| newest.last == found.in_index);
    let mut prototypes = (40..).map(|seed| Prototype::new(End::Quiet, false, seed));
    let prototype = prototypes.find(|found| needed(found).len() > 3 && has_all(found)).unwrap();
    let [damaged, .., stamped, _newest] = &needed(&prototype)[..] else { unreachable!("there are more than three") };
    let mut copied = prototype.copy();
    fs::copy(prototype.earlier().join("CHECKPOINT"), copied.path().join("CHECKPOINT")).unwrap();
    edit(&copied.path().join(&damaged.file), |bytes| bytes[damaged.position + damaged.bytes.len() - 1] ^= 1);
    // As if the newest batch had been written but for the stamp, which comes last.
    let stamp = files::stamp_of(stamped);
    change_sled(copied.path(), |db| db.insert(STAMP_KEY, &stamp.encode()[..]).unwrap());
    copied.check();
}

#[test]
fn no_new_store_is_made_where_one_was() {
    let prototype = Prototype::new(End::Quiet, false, 14);
    let without = |entries: &[&str]| {
        let copied = prototype.copy();
        for entry in entries {
            let path = copied.path().join(entry);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        copied
    };
    let notes = ["COMMITS", "CHECKPOINT"];
    without(&notes).check();
    without(&[&notes[..], &["sled"]].concat()).check();
    for lost in [&["snapshots", "sled"][..], &["snapshots", "journal"][..]] {
        let copied = without(&[&notes[..], lost].concat());
        let kept = contents(copied.path(), &["journal"]);
        let error = copied.refusal();
        assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::RolledBack { .. }), "{error}");
        assert!(kept == contents(copied.path(), &["journal"]));
    }
    // Not even where nothing of it can be read.
    let copied = without(&[&notes[..], &["sled", "journal"]].concat());
    let snapshot = newest_snapshot(&copied);
    edit(&snapshot, |bytes| bytes.truncate(7));
    let error = copied.refusal();
    assert!(error.to_string().contains("snapshots/"), "{error}");
    assert!(snapshot.exists());
    // Nor where the index does not say any more what it is.
    let copied = without(&[&notes[..], &["snapshots", "journal"]].concat());
    change_sled(copied.path(), |db| db.remove(STAMP_KEY).unwrap());
    let error = copied.refusal();
    assert!(matches!(&error, StoreError::Corrupt { what } if what.contains("entries")), "{error}");
    // Where nothing is left, there is no trace of a store.
    let nothing = TempDir::new().unwrap();
    let store = SledStore::open(nothing.path(), &small_options()).unwrap();
    let snapshot = store.snapshot(View::Durable).unwrap();
    assert_eq!(snapshot.range(&KeyRange::ALL, Direction::Ascending).count(), 0);
}
