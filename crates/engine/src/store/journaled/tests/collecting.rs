//! The power fails while the engine and its collector work on a store: whatever is needed reads right, and a collector that goes on frees the rest.

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    SimStore, assert_is_power_failure, open,
    sim_index::{Loss, SimHome},
};
use crate::{
    BranchId, Clock, Collector, Direction, Engine, KeyRange, Lsn, NamespaceId, Options, Point, Step, Table, Version,
    check::{Count, check},
    error::Error,
    store::disk::sim::SimDisk,
    testing::{
        ManualClock,
        model::{Map, ModelBranch, ModelVersion},
    },
};

/// How many times the power fails in a run of the test, unless the environment says otherwise.
const POINTS: u64 = 1_000;
/// How many states after one failure of power are tried.
const IMAGES: u64 = 2;
/// How many failures a store goes through before a new one is taken.
const GENERATIONS: u64 = 8;
const BRANCHES_MAX: usize = 6;

/// The number of the last act that was committed, and of the branch that it made.
const ACTS: Table = Table::new("acts");

/// What one transaction does. Branches are named by their place in the model, and versions by their LSN, for what is before them may be cut off.
#[derive(Clone, Debug)]
enum Act {
    Create,
    Commit { branch: usize, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>> },
    Fork { branch: usize, lsn: Lsn },
    Delete { branch: usize },
    Pin { name: u8, branch: usize, lsn: Lsn },
    Unpin { name: u8 },
    Window(Option<Duration>),
}

/// What can be read, and what may be cut off of it.
#[derive(Clone, Default)]
struct Model {
    branches: Vec<ModelBranch>,
    gone: Vec<BranchId>,
    pins: BTreeMap<u8, ModelVersion>,
    window: Option<Duration>,
    /// How many acts are in it.
    acts: u64,
    /// The act of which it isn't known whether it was committed.
    pending: Option<Act>,
}

/// What the runs of the test went through, to show that they went through everything.
#[derive(Debug, Default)]
struct Seen {
    points: u64,
    acts: u64,
    versions_freed: u64,
    nodes_freed: u64,
    while_collecting: u64,
    pending_committed: u64,
    pending_lost: u64,
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|number| number.parse().ok())
}

impl Model {
    fn draw(&self, random: &mut SmallRng) -> Act {
        if self.branches.is_empty() {
            return Act::Create;
        }
        let branch = random.random_range(0..self.branches.len());
        let versions = &self.branches[branch].versions;
        let lsn = versions[random.random_range(0..versions.len())].lsn;
        let name = random.random_range(0..3);
        match random.random_range(0..20) {
            0..=2 if self.branches.len() < BRANCHES_MAX => Act::Fork { branch, lsn },
            3 | 4 if self.branches.len() > 1 => Act::Delete { branch },
            5 => Act::Pin { name, branch, lsn },
            6 => Act::Unpin { name },
            7 => Act::Window(random.random_bool(0.9).then(|| Duration::from_millis(random.random_range(0..40)))),
            _ => {
                let change = |random: &mut SmallRng| {
                    let key = format!("key {:02}", random.random_range(0..60)).into_bytes();
                    let value = random.random_bool(0.7).then(|| vec![random.random(); random.random_range(0..60)]);
                    (key, value)
                };
                let count = random.random_range(1..12);
                Act::Commit { branch, changes: (0..count).map(|_| change(random)).collect() }
            }
        }
    }

    /// Commits an act, or tells that there is nothing to commit any more.
    fn commit(&self, engine: &Engine, act: &Act) -> Result<bool, Error> {
        let done = engine.transact(|tx| {
            let mut made = 0;
            match act {
                Act::Create => made = tx.create_branch(NamespaceId::SYSTEM)?.number(),
                Act::Commit { branch, changes } => {
                    let id = self.branches[*branch].id;
                    for (key, value) in changes {
                        match value {
                            Some(value) => tx.put(id, key, value)?,
                            None => tx.delete(id, key)?,
                        }
                    }
                }
                Act::Fork { branch, lsn } => {
                    made = tx.fork(self.branches[*branch].id, Point::Lsn(*lsn))?.branch.number();
                }
                Act::Delete { branch } => tx.delete_branch(self.branches[*branch].id)?,
                Act::Pin { name, branch, lsn } => {
                    tx.pin(&[*name], self.branches[*branch].id, Point::Lsn(*lsn))?;
                }
                Act::Unpin { name } => drop(tx.unpin(NamespaceId::SYSTEM, &[*name])?),
                Act::Window(window) => tx.set_retention(NamespaceId::SYSTEM, *window)?,
            }
            let note = [(self.acts + 1).to_be_bytes(), made.to_be_bytes()].concat();
            tx.record_put(NamespaceId::SYSTEM, ACTS, b"last", &note)
        });
        match done {
            Ok(_) => Ok(true),
            // The collector was there first.
            Err(Error::LsnOutsideHistory { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes over an act that was committed.
    fn take(&mut self, engine: &Engine, act: Act) -> Result<(), Error> {
        let made = BranchId::new(NamespaceId::SYSTEM, last_act(engine)?.1);
        match act {
            Act::Create => {
                let head = engine.head(made)?;
                let version = ModelVersion { branch: made, lsn: head.lsn(), time: head.time(), map: Map::new() };
                self.branches.push(ModelBranch::new(made, version, head.lsn()));
            }
            Act::Commit { branch, changes } => {
                let branch = &mut self.branches[branch];
                let head = engine.head(branch.id)?;
                branch.commit(head.lsn(), head.time(), &changes);
            }
            Act::Fork { branch, lsn } => {
                let child = self.branches[branch].fork(made, Point::Lsn(lsn));
                self.branches.push(child.unwrap());
            }
            Act::Delete { branch } => self.gone.push(self.branches.remove(branch).id),
            Act::Pin { name, branch, lsn } => {
                let version = self.branches[branch].at(Point::Lsn(lsn)).cloned();
                self.pins.insert(name, version.unwrap());
            }
            Act::Unpin { name } => drop(self.pins.remove(&name)),
            Act::Window(window) => self.window = window,
        }
        self.acts += 1;
        Ok(())
    }

    /// Forgets what the collector has cut off, which must be no more than it may, and with `is_all` no less.
    fn take_cuts(&mut self, engine: &Engine, clock: &ManualClock, is_all: bool) -> Result<(), Error> {
        let start = self.window.map(|window| clock.now() - TimeDelta::from_std(window).unwrap());
        for branch in &mut self.branches {
            let first = engine.branch(branch.id)?.first_lsn;
            let mut cut = branch.clone();
            start.into_iter().for_each(|start| cut.cut(start));
            let most = cut.versions[0].lsn;
            assert!(branch.versions[0].lsn <= first && first <= most, "{first} is the first, {most} may be");
            assert!(!is_all || first == most, "{first} is the first, {most} has to be");
            branch.versions.retain(|version| version.lsn >= first);
        }
        Ok(())
    }

    /// Does some acts, with the collector working in between.
    fn work(
        &mut self,
        engine: &Engine,
        clock: &ManualClock,
        random: &mut SmallRng,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let mut collector = engine.collector();
        let worked = self.work_beside(&mut collector, engine, clock, random, seen);
        seen.versions_freed += collector.collected().versions;
        seen.nodes_freed += collector.collected().nodes;
        worked
    }

    fn work_beside(
        &mut self,
        collector: &mut Collector<'_>,
        engine: &Engine,
        clock: &ManualClock,
        random: &mut SmallRng,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        for _ in 0..random.random_range(0..150) {
            clock.advance(TimeDelta::microseconds(random.random_range(1..3_000)));
            if random.random_bool(0.4) {
                let worked = collector.step(random.random_range(1..60));
                seen.while_collecting += u64::from(worked.is_err());
                worked?;
                continue;
            }
            let act = self.draw(random);
            if matches!(act, Act::Window(_)) {
                self.take_cuts(engine, clock, false)?;
            }
            self.pending = Some(act.clone());
            if self.commit(engine, &act)? {
                self.take(engine, act)?;
                seen.acts += 1;
            }
            self.pending = None;
        }
        Ok(())
    }

    /// Finds out what became of the last act, and checks all that can be read.
    fn check(&mut self, engine: &Engine, clock: &ManualClock, is_all: bool) -> Result<(), Error> {
        self.take_cuts_of_living(engine, clock, is_all)?;
        for branch in &self.branches {
            assert_eq!(engine.branch(branch.id)?.head_lsn, branch.head_lsn);
            for version in &branch.versions {
                compare(&engine.version(branch.id, Point::Lsn(version.lsn))?, version)?;
            }
        }
        for name in 0..3 {
            match (engine.pinned(NamespaceId::SYSTEM, &[name])?, self.pins.get(&name)) {
                (Some(found), Some(expected)) => compare(&found, expected)?,
                (found, expected) => assert!(found.is_none() && expected.is_none(), "pin {name}: {found:?}"),
            }
        }
        for branch in &self.gone {
            assert!(matches!(engine.head(*branch), Err(Error::BranchNotFound(_))));
        }
        Ok(())
    }

    fn take_cuts_of_living(&mut self, engine: &Engine, clock: &ManualClock, is_all: bool) -> Result<(), Error> {
        let pending = self.pending.take();
        let is_committed = last_act(engine)?.0 > self.acts;
        assert!(!is_committed || pending.is_some(), "an act is there that nobody did");
        assert!(last_act(engine)?.0 >= self.acts, "an act that was acknowledged is gone");
        match pending.filter(|_| is_committed) {
            // What is deleted can't be asked any more, and what was cut was cut with the window before.
            Some(act @ Act::Delete { .. }) => {
                self.take(engine, act)?;
                self.take_cuts(engine, clock, is_all)
            }
            Some(act) => {
                self.take_cuts(engine, clock, false)?;
                self.take(engine, act)
            }
            None => self.take_cuts(engine, clock, is_all),
        }
    }
}

fn last_act(engine: &Engine) -> Result<(u64, u64), Error> {
    let note = engine.snapshot()?.record(NamespaceId::SYSTEM, ACTS, b"last")?;
    let number = |part: &[u8]| u64::from_be_bytes(part.try_into().unwrap());
    Ok(note.map_or((0, 0), |note| (number(&note[..8]), number(&note[8..]))))
}

fn compare(found: &Version, expected: &ModelVersion) -> Result<(), Error> {
    assert_eq!((found.lsn(), found.time()), (expected.lsn, expected.time));
    let entries = found.range(KeyRange::ALL, Direction::Ascending);
    let map: Map =
        entries.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect::<Result<_, _>>()?;
    assert!(map == expected.map, "{found:?} has another map than it had");
    Ok(())
}

/// A store at rest, and what must be readable in it.
struct World {
    disk: SimDisk,
    home: SimHome,
    clock: ManualClock,
    model: Model,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        Self { disk: SimDisk::new(), home: SimHome::default(), clock, model: Model::default() }
    }

    fn engine(&self, store: &Arc<SimStore>) -> Result<Engine, Error> {
        Engine::open(Arc::clone(store), Options::default().with_small_nodes().with_clock(self.clock.clone()))
    }

    /// Works until the power fails, or to an end.
    fn run_until_power_fails(&mut self, random: &mut SmallRng, seen: &mut Seen) {
        let within = if random.random_bool(0.2) { 40 } else { 700 };
        self.disk.stop_after(self.disk.operations() + random.random_range(1..within));
        let worked = open(&self.disk, &self.home).map_err(Error::from).and_then(|store| {
            let engine = self.engine(&Arc::new(store))?;
            self.model.work(&engine, &self.clock, random, seen)
        });
        if let Err(error) = worked {
            assert_is_power_failure(&error);
        }
    }

    /// The store as a loss of power now leaves it.
    fn after_power_failure(&self, random: &mut SmallRng) -> Self {
        let disk = match random.random_range(0..10) {
            0 => self.disk.power_cut_keeping_all(),
            1 => self.disk.power_cut_dropping_all(),
            _ => self.disk.power_cut(random.random()),
        };
        let loss = Loss::ALL[random.random_range(0..Loss::ALL.len())];
        let home = self.home.after_crash(loss, random.random());
        Self { disk, home, clock: self.clock.clone(), model: self.model.clone() }
    }

    fn check(&mut self, frees_all: bool, seen: &mut Seen) -> Result<(), Error> {
        let store = Arc::new(open(&self.disk, &self.home)?);
        let report = check(&store, &mut |_| {})?;
        assert!(report.is_sound(), "{report}");
        let engine = self.engine(&store)?;
        let (acts, was_pending) = (self.model.acts, self.model.pending.is_some());
        self.model.check(&engine, &self.clock, false)?;
        if was_pending {
            let counted = if self.model.acts > acts { &mut seen.pending_committed } else { &mut seen.pending_lost };
            *counted += 1;
        }
        if !frees_all {
            return Ok(());
        }
        engine.forget_cached();
        let mut collector = engine.collector();
        while collector.step(1_000)? != Step::Idle {}
        drop(collector);
        engine.forget_cached();
        self.model.check(&engine, &self.clock, true)?;
        drop(engine);
        let report = check(&store, &mut |_| {})?;
        assert!(report.is_sound(), "{report}");
        let left = [report.waiting.versions, report.waiting.instants, report.waiting.nodes, report.garbage];
        assert_eq!(left, [Count::default(); 4], "a collector that went on has left something: {report}");
        Ok(())
    }
}

#[test]
fn a_loss_of_power_costs_nothing_that_is_needed_and_leaves_nothing_that_is_not() {
    let seed = number("OFFSHOOT_POWER_LOSS_SEED").unwrap_or_else(rand::random);
    println!("OFFSHOOT_POWER_LOSS_SEED={seed}");
    let points = number("OFFSHOOT_COLLECTOR_POWER_LOSS_POINTS").unwrap_or(POINTS);
    let mut seen = Seen::default();
    let mut run = 0;
    while seen.points < points {
        run += 1;
        let mut random = SmallRng::seed_from_u64(seed.wrapping_add(run));
        let mut world = World::new();
        for generation in 0..GENERATIONS {
            world.run_until_power_fails(&mut random, &mut seen);
            let mut next = None;
            for image in 0..IMAGES {
                let mut after = world.after_power_failure(&mut random);
                let frees_all = random.random_bool(0.5);
                if let Err(error) = after.check(frees_all, &mut seen) {
                    panic!("run {run}, generation {generation}, image {image}: {error:?}");
                }
                seen.points += 1;
                next = Some(after);
            }
            world = next.unwrap();
        }
    }
    println!("{seen:?}");
    assert!(seen.acts > 4 * seen.points && seen.versions_freed > seen.points, "{seen:?}");
    assert!(seen.nodes_freed > seen.versions_freed && seen.while_collecting > seen.points / 50, "{seen:?}");
    assert!(seen.pending_committed > seen.points / 50 && seen.pending_lost > seen.points / 50, "{seen:?}");
}
