//! Any file of a store is damaged, or is gone, or is an old one: everything that was acknowledged is there, or the store is refused and says
//! what is lost, and that only where nothing else has it.

use std::{
    collections::BTreeMap,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    copy_dir,
    faults::{Damage, Target},
    prototypes::{Copied, Prototype},
};
use crate::store::{Sequence, StoreError};

/// How often one file is damaged, unless the environment says otherwise.
const TRIALS: u64 = 1_000;
/// For how many trials with one damaged file there is one with a damaged index besides.
const TRIALS_TO_DOUBLE: u64 = 3;
const THREADS: usize = 3;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|number| number.parse().ok())
}

fn seed() -> u64 {
    let seed = number("OFFSHOOT_DAMAGE_SEED").unwrap_or_else(rand::random);
    println!("OFFSHOOT_DAMAGE_SEED={seed}");
    seed
}

fn trials() -> u64 {
    number("OFFSHOOT_DAMAGE_TRIALS").unwrap_or(TRIALS)
}

/// How the trials of one kind ended.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    opened: u64,
    refused: u64,
}

type Table = BTreeMap<(Target, Damage), Outcomes>;

/// Damage to a copy of a prototype.
struct Trial<'a> {
    prototype: &'a Prototype,
    copied: Copied,
    faults: Vec<Target>,
    what: String,
}

impl<'a> Trial<'a> {
    fn new(prototype: &'a Prototype) -> Self {
        Self { prototype, copied: prototype.copy(), faults: Vec::new(), what: format!("{:?}", prototype.end) }
    }

    fn damage(&mut self, target: Target, damage: Damage, random: &mut SmallRng) {
        let paths = target.paths(self.copied.path());
        // What was journaled last matters most.
        let newest = self.prototype.newest_segment().filter(|_| target == Target::Segment && random.random_bool(0.5));
        let path = newest.unwrap_or_else(|| paths[random.random_range(0..paths.len())].clone());
        let done = damage.apply(target, &path, self.copied.path(), self.prototype.earlier(), random);
        self.faults.push(target);
        self.what = format!("{}; {target:?}: {done}", self.what);
    }

    /// Whether something is lost: a snapshot or a frame that is damaged, and nothing else has what it had.
    fn may_be_refused(&self) -> bool {
        let index_is_damaged = self.faults.iter().any(|target| target.is_index());
        let snapshot_is_damaged =
            self.faults.iter().any(|target| matches!(target, Target::Snapshot | Target::SnapshotsFolder));
        let held = match (index_is_damaged, snapshot_is_damaged) {
            (true, true) => return true,
            (true, false) => self.prototype.in_snapshot,
            (false, true) => self.prototype.in_index,
            (false, false) => self.prototype.in_index.max(self.prototype.in_snapshot),
        };
        self.newest_damaged_frame().is_some_and(|newest| newest > held)
    }

    fn newest_damaged_frame(&self) -> Option<Sequence> {
        let damaged = self.prototype.frames.iter().filter(|frame| {
            let file = fs::read(self.copied.path().join(&frame.file)).unwrap_or_default();
            file.get(frame.position..).is_none_or(|rest| !rest.starts_with(&frame.bytes))
        });
        damaged.map(|frame| frame.last).max()
    }

    /// Opens the store. Gives whether that was refused, rightly.
    fn run(&mut self) -> bool {
        let may_be_refused = self.may_be_refused();
        let error = match self.copied.open() {
            Ok(store) => {
                self.copied.check_open(store);
                return false;
            }
            Err(error) => error,
        };
        assert!(may_be_refused, "everything is there, and the store is refused: {error:?}");
        assert_says_what_is_lost(&error);
        // Who has the files that were damaged in a backup gets everything.
        for folder in ["journal", "snapshots", "sled"] {
            let _ = fs::remove_dir_all(self.copied.path().join(folder));
        }
        copy_dir(self.prototype.path(), self.copied.path());
        self.copied.check();
        true
    }
}

fn assert_says_what_is_lost(error: &StoreError) {
    let text = error.to_string();
    let is_typed = matches!(error, StoreError::Corrupt { .. } | StoreError::RolledBack { .. });
    let names_it = ["journal", "snapshot", "commit"].iter().any(|word| text.contains(word));
    assert!(is_typed && names_it && !text.contains("bug"), "{error:?}");
}

/// Runs trials in several threads; `make` damages the n-th one.
fn run_trials<'a>(
    seed: u64,
    trials: u64,
    make: impl Fn(u64, &mut SmallRng) -> (Trial<'a>, (Target, Damage)) + Sync,
) -> Table {
    let (next, table) = (AtomicU64::new(0), Mutex::new(Table::new()));
    let run = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= trials {
                return;
            }
            let mut random = SmallRng::seed_from_u64(seed.wrapping_add(number));
            let (mut trial, kind) = make(number, &mut random);
            match catch_unwind(AssertUnwindSafe(|| trial.run())) {
                Ok(refused) => {
                    let mut table = table.lock();
                    let outcomes = table.entry(kind).or_default();
                    if refused { outcomes.refused += 1 } else { outcomes.opened += 1 }
                }
                Err(panic) => {
                    eprintln!("OFFSHOOT_DAMAGE_SEED={seed}, trial {number}: {}", trial.what);
                    next.store(trials, Ordering::Relaxed);
                    resume_unwind(panic);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(run);
        }
    });
    table.into_inner()
}

/// The targets and damages of all kinds in turn.
fn kind(number: u64) -> (Target, Damage) {
    let kinds: Vec<_> =
        Target::ALL.iter().flat_map(|target| target.damages().iter().map(|damage| (*target, *damage))).collect();
    kinds[usize::try_from(number).unwrap() % kinds.len()]
}

fn print(table: &Table) {
    println!("{:<16} {:<8} {:>7} {:>8}", "target", "damage", "opened", "refused");
    for ((target, damage), Outcomes { opened, refused }) in table {
        println!("{:<16} {:<8} {opened:>7} {refused:>8}", format!("{target:?}"), format!("{damage:?}"));
    }
}

/// A prototype that has files of this kind.
fn choose<'a>(prototypes: &'a [Prototype], target: Target, random: &mut SmallRng) -> &'a Prototype {
    let having: Vec<_> = prototypes.iter().filter(|prototype| !target.paths(prototype.path()).is_empty()).collect();
    having[random.random_range(0..having.len())]
}

fn assert_each_kind_occurred(table: &Table, trials: u64) {
    let kinds = Target::ALL.iter().map(|target| target.damages().len()).sum::<usize>();
    assert!(table.len() == kinds || trials < kinds as u64, "{} of {kinds} kinds of damage occurred", table.len());
}

#[test]
fn damage_to_any_file_costs_nothing_that_something_else_has() {
    let (seed, trials) = (seed(), trials());
    let prototypes = Prototype::all(seed);
    let table = run_trials(seed, trials, |number, random| {
        let (target, damage) = kind(number);
        let mut trial = Trial::new(choose(&prototypes, target, random));
        trial.damage(target, damage, random);
        (trial, (target, damage))
    });
    print(&table);
    assert_each_kind_occurred(&table, trials);
    for ((target, _), outcomes) in &table {
        let may_be_refused = matches!(target, Target::Segment | Target::JournalFolder);
        assert!(outcomes.refused == 0 || may_be_refused, "{target:?}");
        assert!(outcomes.opened > 0 || may_be_refused, "{target:?}");
    }
    let refused = table.values().map(|outcomes| outcomes.refused).sum::<u64>();
    assert!(refused > 0 || trials < TRIALS, "no trial took what only the journal had");
}

#[test]
fn damage_to_the_index_and_another_file_never_costs_commits_in_silence() {
    let (seed, trials) = (seed(), trials() / TRIALS_TO_DOUBLE);
    let prototypes = Prototype::all(seed);
    let others: Vec<_> = Target::ALL.into_iter().filter(|target| !target.is_index()).collect();
    let table = run_trials(seed, trials, |number, random| {
        let target = others[usize::try_from(number).unwrap() % others.len()];
        let damage = target.damages()[random.random_range(0..target.damages().len())];
        let mut trial = Trial::new(choose(&prototypes, target, random));
        trial.damage(target, damage, random);
        let index = [Target::SledFolder, Target::SledLog][random.random_range(0..2)];
        let index_damage = [Damage::Delete, Damage::Older][random.random_range(0..2)];
        trial.damage(index, index_damage, random);
        (trial, (target, damage))
    });
    print(&table);
    for ((target, damage), outcomes) in &table {
        let is_needed =
            matches!(target, Target::Segment | Target::Snapshot | Target::JournalFolder | Target::SnapshotsFolder);
        assert!(outcomes.refused == 0 || is_needed, "{target:?}, {damage:?}");
    }
    let outcomes = table.values().copied();
    let (opened, refused) =
        outcomes.fold((0, 0), |(opened, refused), now| (opened + now.opened, refused + now.refused));
    assert!((opened > trials / 5 && refused > trials / 5) || trials < 100, "{opened} opened, {refused} refused");
}
