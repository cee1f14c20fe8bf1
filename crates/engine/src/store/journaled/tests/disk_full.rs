//! A disk that is full, read-only or fails to sync: a clear error, reads go on, and nothing that was acknowledged is lost.

use std::error::Error as _;

use bytes::Bytes;
use rand::{SeedableRng, rngs::SmallRng};

use super::{
    SimStore, open,
    sim_index::{Loss, SimHome},
    small_sizes,
    workload::Workload,
};
use crate::store::{
    Commit, Store, StoreError, Submitted, View, Write,
    disk::{Disk as _, sim::SimDisk},
};

fn put(store: &SimStore, key: &str, bytes: usize) -> Result<(), StoreError> {
    let writes = vec![Write::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::from(vec![7; bytes]))];
    match store.submit(Commit { conditions: Vec::new(), writes })? {
        Submitted::Applied(ticket) => store.wait(ticket),
        Submitted::Conflict => unreachable!("there are no conditions"),
    }
}

/// Commits keys of their own until one is refused; gives how many were acknowledged, and the refusal.
fn commit_until_refused(store: &SimStore, prefix: &str) -> (usize, StoreError) {
    for number in 0..10_000 {
        if let Err(error) = put(store, &format!("{prefix}{number}"), 300) {
            return (number, error);
        }
    }
    panic!("10,000 commits were taken");
}

fn assert_has(store: &SimStore, prefix: &str, count: usize) {
    for number in 0..count {
        let key = format!("{prefix}{number}");
        assert!(store.get(View::Durable, key.as_bytes()).unwrap().is_some(), "{key} is lost");
    }
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_space_again() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    put(&store, "before", 10).unwrap();
    disk.set_free_bytes(small_sizes().reserve_bytes + 100);
    let (count, error) = commit_until_refused(&store, "first");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!(error.to_string().contains("no space") && error.source().is_some());
    assert!(count > 0, "what is left of the segment can still be used");
    // Refused again, at the latest when no segment can be used again any more, and reads go on.
    let (again, error) = commit_until_refused(&store, "again");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!(matches!(put(&store, "large", 60_000), Err(StoreError::NoSpace { .. })));
    assert_has(&store, "first", count);
    assert_eq!(store.get(View::Latest, format!("again{again}").as_bytes()).unwrap(), None);
    assert!(store.status().failure.is_none(), "a full disk is no failure");

    disk.set_free_bytes(10 << 20);
    // The index looks now and then whether there is space.
    while let Err(error) = put(&store, "again", 300) {
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
        std::thread::yield_now();
    }
    put(&store, "large", 60_000).unwrap();
    store.close().unwrap();
    let store = open(&disk, &home).unwrap();
    assert_has(&store, "first", count);
    assert!(store.get(View::Durable, b"large").unwrap().is_some());
}

#[test]
fn a_disk_too_full_for_the_index_refuses_commits_only_when_too_much_is_pending() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    put(&store, "before", 10).unwrap();
    // One segment could be prepared, nothing is left for the index.
    disk.set_free_bytes(small_sizes().index_reserve_bytes - 1);
    let (count, error) = commit_until_refused(&store, "first");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert_has(&store, "first", count);
    disk.set_free_bytes(10 << 20);
    while let Err(error) = put(&store, "again", 300) {
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
        std::thread::yield_now();
    }
    drop(store);
    assert_has(&open(&disk, &home).unwrap(), "first", count);
}

#[test]
fn a_full_disk_and_a_kill_lose_nothing() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    disk.set_free_bytes(small_sizes().reserve_bytes + 30_000);
    let (count, _) = commit_until_refused(&store, "key");
    for loss in Loss::ALL {
        let (disk, home) = (disk.power_cut_dropping_all(), home.after_crash(loss, 1));
        assert_has(&open(&disk, &home).unwrap(), "key", count);
    }
}

#[test]
fn a_full_disk_refuses_to_make_a_store() {
    let disk = SimDisk::new();
    disk.set_free_bytes(5_000);
    let home = SimHome::default();
    let error = open(&disk, &home).err().expect("there is no space for a segment");
    assert!(matches!(error, StoreError::Io { .. } | StoreError::NoSpace { .. }), "{error:?}");
    disk.set_free_bytes(10 << 20);
    put(&open(&disk, &home).unwrap(), "key", 10).unwrap();
}

#[test]
fn a_read_only_disk_fails_commits_while_reads_go_on() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    put(&store, "key", 10).unwrap();
    disk.set_read_only(true);
    let error = put(&store, "other", 10).unwrap_err();
    let StoreError::Poisoned { cause } = &error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("write segment"), "{cause}");
    assert!(store.status().failure.is_some());
    assert!(store.get(View::Durable, b"key").unwrap().is_some());
    assert_eq!(store.get(View::Durable, b"other").unwrap(), None);
    assert!(matches!(put(&store, "third", 10), Err(StoreError::Poisoned { .. })));
    drop(store);
    assert!(matches!(open(&disk, &home), Err(StoreError::Io { .. })));
    disk.set_read_only(false);
    let store = open(&disk, &home).unwrap();
    assert!(store.get(View::Durable, b"key").unwrap().is_some());
    put(&store, "other", 10).unwrap();
}

/// The trap: after a failed sync the operating system shows what was written and calls later syncs a success, although the disk has nothing.
#[test]
fn a_failed_sync_stops_commits_until_the_store_is_reopened_and_then_nothing_rests_on_it() {
    let mut failed = 0;
    for nth in 1..120 {
        let (disk, home) = (SimDisk::new(), SimHome::default());
        let mut workload = Workload::new();
        let store = open(&disk, &home).unwrap();
        workload.run(&store, 5, nth).unwrap();
        disk.fail_sync(nth % 40 + 1);
        match workload.run(&store, 30, nth) {
            Ok(()) => {}
            // A segment could not be prepared; the next attempt takes another file.
            Err(StoreError::NoSpace { .. }) => {}
            Err(_) => {
                failed += 1;
                assert!(matches!(put(&store, "more", 10), Err(StoreError::Poisoned { .. })));
                assert!(store.get(View::Durable, b"twin/0/a").is_ok());
            }
        }
        drop(store);
        // The same machine, so what the operating system shows stays; what is read now is acknowledged by that. The sync that fails may be one
        // of the opening, which then is tried again.
        let store = open(&disk, &home).or_else(|_| open(&disk, &home)).unwrap();
        disk.fail_sync(u64::MAX);
        workload.check(&store).unwrap();
        workload.run(&store, 3, nth).unwrap();
        // And then the power fails, while the store is open.
        let loss = Loss::ALL[usize::try_from(nth % 4).unwrap()];
        let (cut, home) = (disk.power_cut_dropping_all(), home.after_crash(loss, nth));
        drop(store);
        let store = open(&cut, &home).unwrap();
        workload.check(&store).unwrap();
    }
    assert!(failed > 40, "only {failed} of the failed syncs kept a commit from becoming durable");
}

#[test]
fn what_is_wrong_in_the_index_is_found_by_the_next_snapshot() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    let mut workload = Workload::new();
    workload.run(&store, 40, 1).unwrap();
    while store.status().snapshots == 0 {
        std::thread::yield_now();
    }
    drop(store);
    let store = open(&disk, &home).unwrap();
    home.tamper(|entries| {
        let last = entries.last_entry().expect("there are entries");
        last.remove();
    });
    // Commits go on until a snapshot reads everything and finds that an entry is missing.
    let mut random = SmallRng::seed_from_u64(1);
    let error = loop {
        let seed = rand::RngExt::random(&mut random);
        if let Err(error) = workload.run(&store, 20, seed) {
            break error;
        }
    };
    let StoreError::Poisoned { cause } = &error else { panic!("{error:?}") };
    assert!(matches!(&**cause, StoreError::Corrupt { .. }), "{cause:?}");
    drop(store);
    // The index is made anew, and everything is there.
    workload.check(&open(&disk, &home).unwrap()).unwrap();
}

#[test]
fn a_snapshot_leaves_the_reserve_free() {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    put(&store, "large", 20_000).unwrap();
    // The next segment is there, so nothing else is being written.
    while store.status().journal_bytes < 2 * small_sizes().segment_bytes {
        std::thread::yield_now();
    }
    // Enough for a snapshot, if nothing had to be left.
    disk.set_free_bytes(small_sizes().reserve_bytes + 15_000);
    let mut refused = 0;
    for _ in 0..2_000 {
        match put(&store, "small", 10) {
            Ok(()) => {}
            Err(StoreError::NoSpace { .. }) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert!(disk.free_bytes().unwrap() >= small_sizes().reserve_bytes);
    }
    assert!(
        refused > 0 && store.status().snapshots == 0,
        "the last snapshot is too old for the journal to be used again"
    );
    // With space there is a snapshot, and the journal goes on.
    disk.set_free_bytes(1 << 40);
    while store.status().snapshots == 0 {
        put(&store, "small", 10).unwrap();
    }
}
