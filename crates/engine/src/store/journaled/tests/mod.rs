//! What a journaled store promises, on a simulated disk whose power fails, and with an index that loses what it likes.

mod collecting;
mod disk_full;
pub(crate) mod files;
mod leftovers;
mod power;
mod sim_index;
mod waiting;
pub(crate) mod workload;

use std::{sync::Arc, time::Duration};

use self::sim_index::SimHome;
use super::{JournaledStore, Sizes};
use crate::store::{StoreError, disk::sim::SimDisk, overlay::Hot};

/// Sizes so small that a few dozen commits fill segments, make checkpoints and snapshots, and use segments again.
pub(crate) fn small_sizes() -> Sizes {
    Sizes {
        segment_bytes: 6 * 4096,
        group_bytes: 2048,
        pending_bytes: 16 << 10,
        batch_bytes: 256,
        checkpoint_bytes: 1024,
        snapshot_bytes: 8 * 4096,
        snapshot_age: Duration::from_secs(3600),
        reserve_bytes: 8192,
        index_reserve_bytes: 4096,
    }
}

type SimStore = JournaledStore<SimHome>;

fn open(disk: &SimDisk, home: &SimHome) -> Result<SimStore, StoreError> {
    JournaledStore::open(Arc::new(disk.clone()), home.clone(), small_sizes(), Hot::with_bytes(1 << 16))
}

/// An operation was refused because the simulated disk has no power.
pub(crate) fn assert_is_power_failure(error: &(dyn std::error::Error + 'static)) {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    assert!(cause.to_string().contains("power"), "{error:?}");
}
