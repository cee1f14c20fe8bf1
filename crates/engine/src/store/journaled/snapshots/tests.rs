use std::cell::Cell;

use super::*;
use crate::store::{digest::SetDigest, disk::sim::SimDisk};

const STORE: u64 = 7;

/// Some entries, more for later commits.
fn entries(sequence: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..40 + sequence).map(|number| (format!("key{number:04}").into_bytes(), vec![7; 300])).collect()
}

fn stamp(sequence: u64) -> Stamp {
    let mut digest = SetDigest::default();
    entries(sequence).iter().for_each(|(key, value)| digest.add(key, value));
    Stamp { store: STORE, sequence: Sequence::new(sequence), digest }
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn write_with(disk: &SimDisk, reserve_bytes: u64, stamp: &Stamp) -> Result<DumpInfo, StoreError> {
    write(&shared(disk), reserve_bytes, stamp, |writer| {
        let entries = entries(stamp.sequence.number());
        entries.iter().try_for_each(|(key, value)| writer.entry(key, value).map_err(unwritable))
    })
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let disk = SimDisk::new();
    let info = write_with(&disk, 0, &stamp(26)).unwrap();
    assert_eq!(names(&disk), ["snapshots/000000000000001a"]);
    assert_eq!(info.bytes, disk.files()[0].1);
    assert_eq!(list(&shared(&disk)).unwrap(), [Sequence::new(26)]);
    assert_eq!(store_of(&shared(&disk), Sequence::new(26)).unwrap(), STORE);
    assert_eq!(verify(&shared(&disk), STORE, Sequence::new(26)).unwrap(), stamp(26));
    let mut dump = open(&shared(&disk), STORE, Sequence::new(26)).unwrap();
    let found: Vec<_> = dump.by_ref().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect();
    assert_eq!(found.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), entries(26));
}

#[test]
fn reading_a_whole_snapshot_ends_when_the_store_is_closed() {
    let disk = SimDisk::new();
    write_with(&disk, 0, &stamp(26)).unwrap();
    let asked = Cell::new(0);
    let is_closing = || asked.replace(asked.get() + 1) == 10;
    assert!(matches!(verify_unless(&shared(&disk), STORE, Sequence::new(26), is_closing), Err(StoreError::Closed)));
    assert_eq!(asked.get(), 11);
}

#[test]
fn older_snapshots_and_unfinished_ones_are_removed_and_nothing_else() {
    let disk = SimDisk::new();
    for sequence in [3, 4, 26] {
        write_with(&disk, 0, &stamp(sequence)).unwrap();
    }
    disk.overwrite(UNFINISHED, b"half");
    disk.overwrite("snapshots/readme", b"mine");
    remove_older(&shared(&disk), Sequence::new(4)).unwrap();
    assert_eq!(names(&disk), ["snapshots/0000000000000004", "snapshots/000000000000001a", "snapshots/readme"]);
    assert_eq!(list(&shared(&disk)).unwrap(), [Sequence::new(4), Sequence::new(26)]);
}

#[test]
fn entries_that_the_stamp_does_not_describe_make_no_snapshot() {
    let disk = SimDisk::new();
    let error = write_with(&disk, 0, &Stamp { digest: stamp(2).digest, ..stamp(3) }).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { what } if what.contains("43 entries instead of 42")), "{error}");
    assert_eq!(names(&disk), [""; 0]);
}

#[test]
fn a_full_disk_makes_no_snapshot_and_leaves_what_is_reserved() {
    let disk = SimDisk::new();
    write_with(&disk, 0, &stamp(1)).unwrap();
    let bytes = disk.files()[0].1;
    for (free, reserve, is_enough) in [(bytes - 1, 0, false), (bytes + 999, 1000, false), (2 * bytes, bytes, true)] {
        let disk = SimDisk::new();
        disk.set_free_bytes(free);
        let written = write_with(&disk, reserve, &stamp(1));
        assert_eq!(written.is_ok(), is_enough, "{written:?}");
        assert_eq!(disk.files().len(), usize::from(is_enough));
        assert!(disk.free_bytes().unwrap() >= reserve);
        assert!(written.is_ok() || matches!(written, Err(StoreError::Io { .. })));
    }
}

#[test]
fn a_snapshot_of_another_commit_or_store_or_with_damage_is_refused() {
    let disk = SimDisk::new();
    write_with(&disk, 0, &stamp(1)).unwrap();
    let (one, two) = (name(Sequence::new(1)), name(Sequence::new(2)));
    disk.copy(&one, &disk, &two);
    let refused = |store, sequence| match verify(&shared(&disk), store, Sequence::new(sequence)) {
        Err(StoreError::Corrupt { what }) => what,
        other => panic!("{other:?}"),
    };
    assert!(refused(STORE, 2).starts_with(&two));
    assert!(refused(STORE + 1, 1).contains("another store"));
    let length = usize::try_from(disk.files()[0].1).unwrap();
    for offset in (0..length).step_by(97).chain([length - 1]) {
        disk.flip(&one, offset, 4);
        assert!(refused(STORE, 1).starts_with(&one), "byte {offset}");
        disk.flip(&one, offset, 4);
    }
    disk.cut(&one, length - 1);
    assert!(refused(STORE, 1).starts_with(&one));
}

#[test]
fn a_loss_of_power_leaves_a_whole_snapshot_at_any_moment() {
    let mut seen = [0; 2];
    for stop in 1..40 {
        let disk = SimDisk::new();
        write_with(&disk, 0, &stamp(1)).unwrap();
        disk.stop_after(disk.operations() + stop);
        let written =
            write_with(&disk, 0, &stamp(2)).and_then(|_| remove_older(&shared(&disk), Sequence::new(2))).is_ok();
        for seed in 0..10 {
            let cut = disk.power_cut(seed);
            let newest = *list(&shared(&cut)).unwrap().last().unwrap();
            assert_eq!(verify(&shared(&cut), STORE, newest).unwrap(), stamp(newest.number()));
            assert!(!written || newest == Sequence::new(2));
            seen[usize::from(newest == Sequence::new(2))] += 1;
        }
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}
