//! Transactions that ran at once are as if they had run one after the other.

mod checker;
mod workload;

use std::{sync::Barrier, thread};

use offshoot_engine::{Direction, Engine, Error, KeyRange, MemoryStore, Options, SledOptions, SledStore, Store};

use self::{
    checker::{History, Recorder},
    workload::Workload,
};

fn options() -> Options {
    Options::default().with_small_nodes()
}

/// Runs one random workload on a new engine; what the checker says, and how many versions were collected meanwhile.
fn check_random(store: impl Store, options: Options, seed: u64) -> Result<(Result<(), String>, u64), Error> {
    let history = History::begin(Engine::open(store, options)?, 3)?;
    let collected = Workload { threads: 6, transactions: 50, seed }.run(&history)?;
    Ok((history.check()?, collected))
}

#[test]
fn random_transactions_in_memory_are_serializable() -> Result<(), Error> {
    let mut collected_in_all = 0;
    for seed in 0..12 {
        let (checked, collected) = check_random(MemoryStore::new(), options(), seed)?;
        assert_eq!(checked, Ok(()), "seed {seed}");
        collected_in_all += collected;
    }
    assert!(collected_in_all > 0, "the collector was at work all the time");
    Ok(())
}

#[test]
fn random_transactions_on_sled_are_serializable() -> Result<(), Box<dyn std::error::Error>> {
    for seed in 0..4 {
        let directory = tempfile::tempdir()?;
        let store = SledStore::open(directory.path(), &SledOptions::default())?;
        assert_eq!(check_random(store, options(), seed)?.0, Ok(()), "seed {seed}");
    }
    Ok(())
}

#[test]
fn the_checker_notices_when_random_transactions_are_not_validated() {
    // Most workloads have two transactions that meet, or one that forks what is purged meanwhile; a hundred without would be a checker that is blind.
    let is_noticed =
        |seed| !matches!(check_random(MemoryStore::new(), options().without_validation(), seed), Ok((Ok(()), _)));
    assert!((0..100).any(is_noticed));
}

/// Runs two transactions without validation so that each has read before either commits; what the checker says.
fn check_overlapping(
    prepare: impl Fn(&mut Recorder<'_, '_>) -> Result<(), Error> + Sync,
    left: impl Fn(&mut Recorder<'_, '_>) -> Result<(), Error> + Sync,
    right: impl Fn(&mut Recorder<'_, '_>) -> Result<(), Error> + Sync,
) -> Result<Result<(), String>, Error> {
    let engine = Engine::open(MemoryStore::new(), options().without_validation())?;
    let history = History::begin(engine, 1)?;
    history.transact(prepare)?;
    let barrier = Barrier::new(2);
    let run = |body: &(dyn Fn(&mut Recorder<'_, '_>) -> Result<(), Error> + Sync)| {
        history.transact(|tx| {
            body(tx)?;
            barrier.wait();
            Ok(())
        })
    };
    thread::scope(|scope| {
        let left = scope.spawn(|| run(&left));
        run(&right)?;
        left.join().expect("no panic")
    })?;
    history.check()
}

#[test]
fn the_checker_notices_a_write_skew() -> Result<(), Error> {
    // Each may leave while the other one stays; without validation, both do.
    let leave = |own: &'static [u8], other: &'static [u8]| {
        move |tx: &mut Recorder<'_, '_>| {
            let main = tx.branch(0);
            match tx.get(main, other)? {
                Some(_) => tx.delete(main, own),
                None => Ok(()),
            }
        }
    };
    let both = |tx: &mut Recorder<'_, '_>| {
        let main = tx.branch(0);
        tx.put(main, b"left", b"on call")?;
        tx.put(main, b"right", b"on call")
    };
    let found = check_overlapping(both, leave(b"left", b"right"), leave(b"right", b"left"))?;
    assert!(found.is_err_and(|why| why.contains("Get")), "a key that was read was gone by then");
    Ok(())
}

#[test]
fn the_checker_notices_a_phantom_on_a_branch_and_in_records() -> Result<(), Error> {
    let nothing = |_: &mut Recorder<'_, '_>| Ok(());
    let on_branch = |key: &'static [u8]| {
        move |tx: &mut Recorder<'_, '_>| {
            let main = tx.branch(0);
            tx.range(main, KeyRange::prefix(b"k"), Direction::Ascending, 10)?;
            tx.put(main, key, b"value")
        }
    };
    let found = check_overlapping(nothing, on_branch(b"k1"), on_branch(b"k2"))?;
    assert!(found.is_err_and(|why| why.contains("Range")), "a range that was read had one more key by then");
    let in_records = |key: &'static [u8]| {
        move |tx: &mut Recorder<'_, '_>| {
            tx.records(KeyRange::prefix(b"k"), Direction::Descending, 10)?;
            tx.record_put(key, b"value")
        }
    };
    let found = check_overlapping(nothing, in_records(b"k1"), in_records(b"k2"))?;
    assert!(found.is_err_and(|why| why.contains("Records")), "a range of records had one more by then");
    Ok(())
}
