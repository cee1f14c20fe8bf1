//! The power fails at any moment: whatever was acknowledged is there, and nothing is there by half.

use std::{env, ops::Range};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    SimStore, assert_is_power_failure, open,
    sim_index::{Loss, SimHome},
    workload::Workload,
};
use crate::store::disk::sim::SimDisk;

/// How many times the power fails in a run of the test, unless the environment says otherwise.
const POINTS: u64 = 10_000;
/// How many states after one failure of power are tried.
const IMAGES: u64 = 4;
/// How many failures a store goes through before a new one is taken.
const GENERATIONS: u64 = 12;

/// What the runs of a test went through, to show that they went through everything.
#[derive(Debug, Default)]
struct Seen {
    points: u64,
    acknowledged: u64,
    checkpoints: u64,
    snapshots: u64,
    while_opening: u64,
    clean_closes: u64,
}

fn points() -> u64 {
    env::var("OFFSHOOT_POWER_LOSS_POINTS").ok().and_then(|points| points.parse().ok()).unwrap_or(POINTS)
}

fn base_seed() -> u64 {
    let seed =
        env::var("OFFSHOOT_POWER_LOSS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("OFFSHOOT_POWER_LOSS_SEED={seed}");
    seed
}

/// A store at rest, and what it must have.
struct World {
    disk: SimDisk,
    home: SimHome,
    workload: Workload,
}

impl World {
    fn new() -> Self {
        Self { disk: SimDisk::new(), home: SimHome::default(), workload: Workload::new() }
    }

    /// Works until the power fails, or to a clean end.
    fn run_until_power_fails(&mut self, random: &mut SmallRng, seen: &mut Seen) {
        let within: Range<u64> = 1..if random.random_bool(0.2) { 30 } else { 400 };
        self.disk.stop_after(self.disk.operations() + random.random_range(within));
        let store = match open(&self.disk, &self.home) {
            Ok(store) => store,
            Err(error) => {
                assert_is_power_failure(&error);
                seen.while_opening += 1;
                return;
            }
        };
        let ended = self.workload.run(&store, random.random_range(0..120), random.random());
        let status = store.status();
        seen.checkpoints += status.checkpoints;
        seen.snapshots += status.snapshots;
        match ended.and_then(|()| store.close()) {
            Ok(()) => seen.clean_closes += 1,
            Err(error) => assert_is_power_failure(&error),
        }
    }

    /// The store as a loss of power now leaves it, opened and checked.
    fn after_power_failure(&self, random: &mut SmallRng) -> (Self, Loss) {
        let disk = match random.random_range(0..10) {
            0 => self.disk.power_cut_keeping_all(),
            1 => self.disk.power_cut_dropping_all(),
            _ => self.disk.power_cut(random.random()),
        };
        let loss = Loss::ALL[random.random_range(0..Loss::ALL.len())];
        let home = self.home.after_crash(loss, random.random());
        (Self { disk, home, workload: self.workload.clone() }, loss)
    }

    fn check(&mut self, what: &str) -> SimStore {
        let store = match open(&self.disk, &self.home) {
            Ok(store) => store,
            Err(error) => panic!("{what}: {error:?}"),
        };
        self.workload.check(&store).unwrap();
        store
    }
}

#[test]
fn a_loss_of_power_costs_nothing_that_was_acknowledged() {
    let (seed, points) = (base_seed(), points());
    let mut seen = Seen::default();
    let mut run = 0;
    while seen.points < points {
        run += 1;
        let mut random = SmallRng::seed_from_u64(seed.wrapping_add(run));
        let mut world = World::new();
        for generation in 0..GENERATIONS {
            world.run_until_power_fails(&mut random, &mut seen);
            seen.acknowledged += world.workload.acknowledged();
            let mut next = None;
            for image in 0..IMAGES {
                let (mut after, loss) = world.after_power_failure(&mut random);
                let what = format!("run {run}, generation {generation}, image {image}, index {loss:?}");
                // What is opened is left as a second failure right after would: nothing was asked of it but to open.
                drop(after.check(&what));
                seen.points += 1;
                next = Some(after);
            }
            world = next.unwrap();
        }
    }
    println!("{seen:?}");
    assert!(seen.acknowledged > seen.points, "{seen:?}");
    assert!(seen.checkpoints > seen.points / 10 && seen.snapshots > seen.points / 20, "{seen:?}");
    assert!(seen.while_opening > seen.points / 100 && seen.clean_closes > seen.points / 200, "{seen:?}");
}
