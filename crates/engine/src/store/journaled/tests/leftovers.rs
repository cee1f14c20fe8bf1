//! What is done with a directory of which only parts are left.

use super::{open, sim_index::SimHome, workload::Workload};
use crate::store::{StoreError, disk::sim::SimDisk};

/// A disk with nothing of a store but its newest snapshot, and that one's name.
fn only_a_snapshot() -> (SimDisk, String) {
    let (disk, home) = (SimDisk::new(), SimHome::default());
    let store = open(&disk, &home).unwrap();
    Workload::new().run(&store, 40, 1).unwrap();
    while store.status().snapshots == 0 {
        std::thread::yield_now();
    }
    store.close().unwrap();
    let mut snapshot = None;
    for (name, _) in disk.files() {
        match name.starts_with("snapshots/") {
            true => snapshot = Some(name),
            false => disk.delete(&name),
        }
    }
    (disk, snapshot.unwrap())
}

#[test]
fn a_snapshot_alone_is_a_store() {
    let (disk, _) = only_a_snapshot();
    let store = open(&disk, &SimHome::default()).unwrap();
    assert!(store.newest_durable().number() > 0);
}

#[test]
fn no_new_store_is_made_where_there_is_a_snapshot_that_cannot_be_read() {
    let (disk, snapshot) = only_a_snapshot();
    disk.flip(&snapshot, 20, 1);
    let files = disk.files();
    let refused = open(&disk, &SimHome::default()).err();
    assert!(matches!(&refused, Some(StoreError::Corrupt { what }) if what.starts_with(&snapshot)), "{refused:?}");
    assert_eq!(disk.files(), files, "nothing was made or removed");
}
