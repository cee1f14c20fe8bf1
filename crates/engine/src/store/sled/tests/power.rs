//! The power fails under the journal, and sled's real files are left in whatever state: everything that was acknowledged is there.

use std::{env, fs, path::Path, sync::Arc};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;

use super::copy_dir;
use crate::store::{
    StoreError,
    disk::sim::SimDisk,
    journaled::{
        JournaledStore,
        tests::{assert_is_power_failure, small_sizes, workload::Workload},
    },
    overlay::Hot,
    sled::home::SledHome,
};

/// How many times the power fails in a run of the test, unless the environment says otherwise.
const POINTS: u64 = 240;
/// How many failures a store goes through before a new one is taken.
const GENERATIONS: u64 = 12;
const PAGE_BYTES: usize = 4096;

/// What becomes of sled's directory.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Missing,
    /// As it was at the beginning of some generation.
    Stale,
    /// As the store left it.
    Current,
    /// Pages of its log that changed in this generation did so or not.
    Torn,
}

impl Loss {
    const ALL: [Self; 4] = [Self::Missing, Self::Stale, Self::Current, Self::Torn];
}

/// What the runs of the test went through, to show that they went through everything.
#[derive(Debug, Default)]
struct Seen {
    points: u64,
    acknowledged: u64,
    checkpoints: u64,
    snapshots: u64,
    clean_closes: u64,
    losses: [u64; 4],
}

type SledOnSimStore = JournaledStore<SledHome>;

/// A store at rest: its disk, the directory with sled's, and what it must have.
struct World {
    disk: SimDisk,
    directory: TempDir,
    workload: Workload,
    /// Older states of sled's directory, newest last.
    past: Vec<TempDir>,
}

fn copy_of(directory: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_dir(directory, copy.path());
    copy
}

impl World {
    fn new() -> Self {
        Self { disk: SimDisk::new(), directory: TempDir::new().unwrap(), workload: Workload::new(), past: Vec::new() }
    }

    fn open(&self) -> Result<SledOnSimStore, StoreError> {
        let home = SledHome::new(self.directory.path(), 4 << 20);
        JournaledStore::open(Arc::new(self.disk.clone()), home, small_sizes(), Hot::with_bytes(1 << 16))
    }

    /// Works until the power fails, or to a clean end. Gives what is left of sled's directory.
    fn run_until_power_fails(&mut self, random: &mut SmallRng, seen: &mut Seen) -> TempDir {
        self.past.push(copy_of(self.directory.path()));
        let within = if random.random_bool(0.2) { 30 } else { 400 };
        self.disk.stop_after(self.disk.operations() + random.random_range(1..within));
        let store = match self.open() {
            Ok(store) => store,
            Err(error) => {
                assert_is_power_failure(&error);
                return copy_of(self.directory.path());
            }
        };
        let ended = self.workload.run(&store, random.random_range(0..120), random.random());
        // As a kill leaves it: sled does not get to write what it has in memory.
        let left = copy_of(self.directory.path());
        let status = store.status();
        seen.checkpoints += status.checkpoints;
        seen.snapshots += status.snapshots;
        match ended.and_then(|()| store.close()) {
            Ok(()) => {
                seen.clean_closes += 1;
                copy_of(self.directory.path())
            }
            Err(error) => {
                assert_is_power_failure(&error);
                left
            }
        }
    }

    /// The store as a loss of power now leaves it.
    fn after_power_failure(&mut self, left: TempDir, loss: Loss, random: &mut SmallRng) {
        self.disk = match random.random_range(0..10) {
            0 => self.disk.power_cut_keeping_all(),
            1 => self.disk.power_cut_dropping_all(),
            _ => self.disk.power_cut(random.random()),
        };
        self.directory = match loss {
            Loss::Missing => TempDir::new().unwrap(),
            Loss::Stale => copy_of(self.past[random.random_range(0..self.past.len())].path()),
            Loss::Current => left,
            Loss::Torn => {
                tear(left.path(), self.past.last().unwrap().path(), random);
                left
            }
        };
    }
}

/// Takes back what was written to some pages of sled's log.
fn tear(directory: &Path, before: &Path, random: &mut SmallRng) {
    let log = directory.join("sled/db");
    let (Ok(mut bytes), before) = (fs::read(&log), fs::read(before.join("sled/db")).unwrap_or_default()) else {
        return;
    };
    for (number, page) in bytes.chunks_mut(PAGE_BYTES).enumerate() {
        let start = number * PAGE_BYTES;
        let mut old = before.get(start..).unwrap_or_default().to_vec();
        old.resize(page.len(), 0);
        if old != page && random.random_bool(0.5) {
            page.copy_from_slice(&old);
        }
    }
    if bytes.len() > before.len() && random.random_bool(0.5) {
        bytes.truncate(random.random_range(before.len()..bytes.len()));
    }
    fs::write(log, bytes).unwrap();
}

#[test]
fn a_loss_of_power_and_of_sleds_files_costs_nothing_that_was_acknowledged() {
    let number = |name: &str| env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let seed = number("OFFSHOOT_POWER_LOSS_SEED").unwrap_or_else(rand::random);
    println!("OFFSHOOT_POWER_LOSS_SEED={seed}");
    let points = number("OFFSHOOT_SLED_POWER_LOSS_POINTS").unwrap_or(POINTS);
    let mut seen = Seen::default();
    for run in 0..points.div_ceil(GENERATIONS) {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_add(run));
        let mut world = World::new();
        for generation in 0..GENERATIONS {
            let left = world.run_until_power_fails(&mut random, &mut seen);
            seen.acknowledged += world.workload.acknowledged();
            let loss = random.random_range(0..Loss::ALL.len());
            seen.losses[loss] += 1;
            seen.points += 1;
            world.after_power_failure(left, Loss::ALL[loss], &mut random);
            let what = format!("run {run}, generation {generation}, index {:?}", Loss::ALL[loss]);
            let store = world.open().unwrap_or_else(|error| panic!("{what}: {error:?}"));
            world.workload.check(&store).unwrap();
            if random.random_bool(0.3) {
                // The next run begins where this opening was cut off.
                (world.disk, world.directory) =
                    (world.disk.power_cut(random.random()), copy_of(world.directory.path()));
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.acknowledged > seen.points, "{seen:?}");
    assert!(seen.checkpoints > seen.points / 10 && seen.snapshots > seen.points / 20, "{seen:?}");
    assert!(seen.losses.iter().all(|count| *count > seen.points / 10), "{seen:?}");
}
