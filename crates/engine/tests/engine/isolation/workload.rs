//! Random transactions on a few branches and records, from many threads.

use std::{
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use offshoot_engine::{Direction, Error, KeyRange, NamespaceId};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::checker::{History, Recorder};

/// Few keys: transactions should meet.
const KEYS: u8 = 12;

pub(super) struct Workload {
    pub(super) threads: u64,
    /// How many transactions each thread runs.
    pub(super) transactions: u64,
    pub(super) seed: u64,
}

/// What a body panics with on purpose.
struct OnPurpose;

impl Workload {
    /// Runs it, and gives how many versions were collected meanwhile.
    pub(super) fn run(&self, history: &History) -> Result<u64, Error> {
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let collecting = scope.spawn(|| collect(history, &is_done));
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let mut random = SmallRng::seed_from_u64(self.seed * 1_000 + thread);
                    scope.spawn(move || (0..self.transactions).try_for_each(|_| run_one(history, &mut random)))
                })
                .collect();
            let run = threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"));
            is_done.store(true, Ordering::SeqCst);
            let collected = collecting.join().expect("no panic");
            run.and(collected)
        })
    }
}

/// Purges one key after the other, while the past is collected, and read as far as it is left.
fn collect(history: &History, is_done: &AtomicBool) -> Result<u64, Error> {
    let engine = history.engine();
    engine.transact(|tx| tx.set_retention(NamespaceId::SYSTEM, Some(Duration::from_millis(2))))?;
    thread::scope(|scope| {
        let purging = scope.spawn(|| {
            let mut keys = (0..KEYS).cycle();
            while !is_done.load(Ordering::SeqCst)
                && let Some(key) = keys.next()
            {
                engine.purge(NamespaceId::SYSTEM, &[b'k', key], Some(b"purged"), b"")?;
                history.follow()?;
            }
            Ok::<_, Error>(())
        });
        let mut collector = engine.collector();
        while !is_done.load(Ordering::SeqCst) {
            collector.step(20)?;
            history.read_past()?;
        }
        purging.join().expect("no panic").map(|()| collector.collected().versions)
    })
}

fn run_one(history: &History, random: &mut SmallRng) -> Result<(), Error> {
    if random.random_ratio(1, 10) {
        return history.read_all();
    }
    // A body that runs again does the same again, as far as it is told the same.
    let seed = random.random();
    let end = random.random_range(0..20_u8);
    let run = || {
        history.transact(|tx| {
            let mut random = SmallRng::seed_from_u64(seed);
            for _ in 0..random.random_range(1..6_u8) {
                operate(tx, &mut random)?;
                // So that others come in between, also where there are few processors.
                thread::yield_now();
            }
            match end {
                0 => Err(Error::KeyLength(0)),
                // Without a word on standard error.
                1 => resume_unwind(Box::new(OnPurpose)),
                _ => Ok(()),
            }
        })
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Err(Error::KeyLength(0))) => Ok(()),
        Ok(done) => done,
        Err(panic) => {
            assert!(panic.is::<OnPurpose>(), "another panic than was planned");
            Ok(())
        }
    }
}

fn operate(tx: &mut Recorder<'_, '_>, random: &mut SmallRng) -> Result<(), Error> {
    let branch = tx.branch(random.random_range(0..8));
    let key = [b'k', random.random_range(0..KEYS)];
    let value: [u8; 8] = random.random();
    match random.random_range(0..40_u8) {
        0..8 => tx.get(branch, &key).map(drop),
        8..13 => tx.range(branch, range(random), direction(random), random.random_range(0..6)),
        13..20 => tx.put(branch, &key, &value),
        20..24 => tx.delete(branch, &key),
        24..27 => tx.record(&key),
        27..31 => tx.records(range(random), direction(random), random.random_range(0..6)),
        31..35 => tx.record_put(&key, &value),
        35..37 => tx.record_delete(&key),
        37..39 => tx.fork(branch).map(drop),
        _ => tx.delete_branch(branch),
    }
}

fn direction(random: &mut SmallRng) -> Direction {
    if random.random() { Direction::Ascending } else { Direction::Descending }
}

fn range(random: &mut SmallRng) -> KeyRange {
    let first = random.random_range(0..KEYS);
    let bound = |number: u8| Bound::Included(Bytes::copy_from_slice(&[b'k', number]));
    KeyRange { start: bound(first), end: bound(first + random.random_range(0..4_u8)) }
}
