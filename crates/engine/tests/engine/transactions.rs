//! Transactions are serializable, durable, and leave nothing behind when they fail.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Barrier, mpsc},
    thread,
};

use chrono::{DateTime, TimeDelta};
use offshoot_engine::{
    BranchId, Direction, Engine, Error, KeyRange, Lsn, MAX_KEY_BYTES, MAX_METADATA_BYTES, MAX_VALUE_BYTES, MemoryStore,
    NamespaceId, Options, Point, Step, Store, StoreError, Table,
    storage::View,
    testing::{FaultyStore, ManualClock, Operation},
};

const RECORDS: Table = Table::new("records");
const SYSTEM: NamespaceId = NamespaceId::SYSTEM;

fn engine() -> Result<(Engine, BranchId), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    Ok((engine, main))
}

fn number(bytes: Option<impl AsRef<[u8]>>) -> u64 {
    bytes.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes)
}

#[test]
fn concurrent_increments_are_not_lost_on_branches_and_in_records() -> Result<(), Error> {
    let (engine, main) = engine()?;
    thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..50 {
                        engine.transact(|tx| {
                            let on_branch = number(tx.get(main, b"count")?) + 1;
                            let in_record = number(tx.record(SYSTEM, RECORDS, b"count")?) + 1;
                            assert_eq!(on_branch, in_record, "both are read at one moment");
                            tx.put(main, b"count", &on_branch.to_be_bytes())?;
                            tx.record_put(SYSTEM, RECORDS, b"count", &in_record.to_be_bytes())
                        })?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    assert_eq!(number(engine.head(main)?.get(b"count")?), 400);
    assert_eq!(number(engine.snapshot()?.record(SYSTEM, RECORDS, b"count")?), 400);
    Ok(())
}

/// Runs two transactions so that each has read before either commits: the first attempts of both bodies meet at a barrier.
fn overlapping<T: Send>(
    engine: &Engine,
    left: impl Fn(&mut offshoot_engine::Transaction<'_>) -> Result<T, Error> + Sync,
    right: impl Fn(&mut offshoot_engine::Transaction<'_>) -> Result<T, Error> + Sync,
) -> Result<[(T, u32); 2], Error> {
    let barrier = Barrier::new(2);
    let run = |body: &(dyn Fn(&mut offshoot_engine::Transaction<'_>) -> Result<T, Error> + Sync)| {
        let mut attempts = 0;
        let done = engine.transact(|tx| {
            attempts += 1;
            let value = body(tx);
            if attempts == 1 {
                barrier.wait();
            }
            value
        })?;
        Ok::<_, Error>((done.value, attempts))
    };
    thread::scope(|scope| {
        let left = scope.spawn(|| run(&left));
        let right = run(&right)?;
        Ok([left.join().expect("no panic")?, right])
    })
}

#[test]
fn writers_of_different_keys_on_one_branch_do_not_fail_each_other() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let done = overlapping(&engine, |tx| tx.put(main, b"a", b"1"), |tx| tx.put(main, b"b", b"1"))?;
    assert_eq!(done.map(|(_, attempts)| attempts), [1, 1]);
    let head = engine.head(main)?;
    assert!(head.get(b"a")?.is_some() && head.get(b"b")?.is_some());
    Ok(())
}

#[test]
fn a_write_skew_is_refused() -> Result<(), Error> {
    // Each may take the last one but one; together they would take both.
    let (engine, main) = engine()?;
    engine.transact(|tx| {
        tx.put(main, b"left", b"on call")?;
        tx.put(main, b"right", b"on call")
    })?;
    let leave = |own: &'static [u8], other: &'static [u8]| {
        move |tx: &mut offshoot_engine::Transaction<'_>| {
            let may = tx.get(main, other)?.is_some();
            if may {
                tx.delete(main, own)?;
            }
            Ok(may)
        }
    };
    let done = overlapping(&engine, leave(b"left", b"right"), leave(b"right", b"left"))?;
    let left: Vec<_> = done.iter().filter(|(may, _)| *may).collect();
    assert_eq!(left.len(), 1, "just one may leave");
    Ok(())
}

#[test]
fn a_phantom_is_refused_on_branches_and_in_records() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let on_branch = |key: &'static [u8]| {
        move |tx: &mut offshoot_engine::Transaction<'_>| {
            let found = tx.range(main, &KeyRange::prefix(b"k"), Direction::Ascending, 10)?.len();
            tx.put(main, key, b"v")?;
            Ok(found)
        }
    };
    let in_records = |key: &'static [u8]| {
        move |tx: &mut offshoot_engine::Transaction<'_>| {
            let found = tx.records(SYSTEM, RECORDS, &KeyRange::prefix(b"k"), Direction::Descending, 10)?.len();
            tx.record_put(SYSTEM, RECORDS, key, b"v")?;
            Ok(found)
        }
    };
    let mut found = overlapping(&engine, on_branch(b"k1"), on_branch(b"k2"))?.map(|(found, _)| found);
    found.sort_unstable();
    assert_eq!(found, [0, 1], "the second saw what the first wrote");
    let mut found = overlapping(&engine, in_records(b"k1"), in_records(b"k2"))?.map(|(found, _)| found);
    found.sort_unstable();
    assert_eq!(found, [0, 1]);
    Ok(())
}

#[test]
fn two_that_found_a_key_absent_do_not_both_create_it() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let create = |tx: &mut offshoot_engine::Transaction<'_>| {
        let free = tx.get(main, b"sally")?.is_none();
        if free {
            tx.put(main, b"sally", b"role")?;
        }
        Ok(free)
    };
    let created = overlapping(&engine, create, create)?.into_iter().filter(|(free, _)| *free).count();
    assert_eq!(created, 1);
    Ok(())
}

#[test]
fn a_branch_deleted_meanwhile_takes_no_commit() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let delete = |tx: &mut offshoot_engine::Transaction<'_>| tx.delete_branch(main);
    let put = |tx: &mut offshoot_engine::Transaction<'_>| match tx.put(main, b"k", b"v") {
        // The second attempt finds the branch gone.
        Err(Error::BranchNotFound(_)) => Ok(()),
        other => other,
    };
    overlapping(&engine, delete, put)?;
    assert!(matches!(engine.head(main), Err(Error::BranchNotFound(_))));
    Ok(())
}

#[test]
fn a_failed_or_panicking_body_leaves_nothing_behind() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let before = engine.branch(main)?;
    let failed = engine.transact(|tx| {
        tx.put(main, b"k", b"v")?;
        tx.record_put(SYSTEM, RECORDS, b"k", b"v")?;
        tx.create_branch(SYSTEM)?;
        Err::<(), _>(Error::KeyLength(0))
    });
    assert!(matches!(failed, Err(Error::KeyLength(0))));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        engine.transact(|tx| {
            tx.put(main, b"k", b"v")?;
            panic!("a caller's bug");
            #[expect(unreachable_code, reason = "says what the closure returns")]
            Ok::<(), Error>(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(engine.branch(main)?, before);
    assert_eq!(engine.snapshot()?.record(SYSTEM, RECORDS, b"k")?, None);
    engine.transact(|tx| tx.put(main, b"k", b"v"))?;
    Ok(())
}

#[test]
fn nobody_is_told_what_a_crash_could_take_back() -> Result<(), Error> {
    let store = MemoryStore::manual();
    let (ready, on_ready) = mpsc::channel();
    let sequence = |view| store.snapshot(view).map(|snapshot| snapshot.sequence());
    thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let engine = Engine::open(store.clone(), Options::default())?;
            ready.send(()).expect("the test waits");
            let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
            ready.send(()).expect("the test waits");
            // This one never becomes durable.
            let lost = engine.transact(|tx| tx.put(main, b"k", b"v"));
            Ok::<_, Error>((engine, main, lost.is_err()))
        });
        // Each of these needs a flush; until it comes, the other thread waits.
        for _ in 0..2 {
            while on_ready.try_recv().is_err() {
                store.sync();
                thread::yield_now();
            }
        }
        let crashed = loop {
            if opening.is_finished() {
                panic!("a commit was acknowledged before it was durable");
            }
            if sequence(View::Latest)? > sequence(View::Durable)? {
                break store.crash();
            }
            thread::yield_now();
        };
        let (engine, main, lost) = opening.join().expect("no panic")?;
        assert!(lost, "the waiter of a lost commit is told so");
        assert_eq!(engine.head(main)?.get(b"k")?, None, "readers never saw it");
        let engine = Engine::open(crashed, Options::default());
        drop(engine);
        Ok(())
    })
}

#[test]
fn a_failed_flush_is_reported_to_all_who_built_on_it() -> Result<(), Error> {
    let store = FaultyStore::new(MemoryStore::new());
    let engine = Engine::open(store.clone(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    store.fail_next(Operation::Wait, StoreError::Closed);
    assert!(matches!(engine.transact(|tx| tx.put(main, b"k", b"v")), Err(Error::Store(_))));
    store.fail_next(Operation::Submit, StoreError::Closed);
    assert!(matches!(engine.transact(|tx| tx.put(main, b"k", b"v")), Err(Error::Store(_))));
    Ok(())
}

#[test]
fn a_transaction_inside_a_body_is_refused() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let outcome = engine.transact(|tx| {
        tx.put(main, b"k", b"v")?;
        engine.transact(|tx| tx.put(main, b"k", b"other")).map(|_| ())
    });
    assert!(matches!(outcome, Err(Error::NestedTransaction)));
    engine.transact(|tx| tx.put(main, b"k", b"v")).map(|_| ())
}

#[test]
fn instants_increase_on_a_branch_when_the_clock_goes_back() -> Result<(), Error> {
    let noon = DateTime::from_timestamp(1_700_000_000, 123_456_789).expect("a valid instant");
    let clock = ManualClock::new(noon);
    let store = MemoryStore::new();
    let open = || Engine::open(store.clone(), Options::default().with_clock(clock.clone()));
    let engine = open()?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?;
    assert_eq!(main.instant.timestamp_subsec_nanos() % 1_000, 0, "exact to the microsecond, no finer");
    // A new engine knows of no earlier instant but what the branch says.
    clock.set(noon - TimeDelta::hours(1));
    let engine = {
        drop(engine);
        open()?
    };
    let later = engine.transact(|tx| {
        tx.put(main.value, b"k", b"v")?;
        Ok::<_, Error>(tx.instant())
    })?;
    assert_eq!(later.instant, main.instant + TimeDelta::microseconds(1));
    assert_eq!(later.value, later.instant, "the body was told the instant of the commit");
    assert!(engine.clamped_commits() > 0);
    Ok(())
}

#[test]
fn a_point_in_time_reads_the_same_for_ever() -> Result<(), Error> {
    let (engine, main) = engine()?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..2_000_u64)
                .try_for_each(|round| engine.transact(|tx| tx.put(main, b"k", &round.to_be_bytes())).map(|_| ()))
        });
        let mut seen = Vec::new();
        while !writer.is_finished() {
            // The newest instant that has passed.
            let Err(Error::TimeOutsideHistory { present, .. }) =
                engine.version(main, Point::Time(DateTime::<chrono::Utc>::MAX_UTC))
            else {
                panic!("the end of time has not come");
            };
            let point = Point::Time(present - TimeDelta::microseconds(1));
            match engine.version(main, point) {
                Ok(version) => seen.push((point, version.lsn())),
                Err(Error::TimeOutsideHistory { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        writer.join().expect("no panic")?;
        for (point, lsn) in seen {
            assert_eq!(engine.version(main, point)?.lsn(), lsn, "{point:?}");
        }
        Ok(())
    })
}

#[test]
fn points_outside_the_history_are_refused_with_its_bounds() -> Result<(), Error> {
    let (engine, main) = engine()?;
    engine.transact(|tx| tx.advance(main, Lsn::new(100)))?;
    let child = engine.transact(|tx| tx.fork(main, Point::Lsn(Lsn::new(50))))?.value;
    assert_eq!((child.lsn, child.origin.lsn), (Lsn::new(50), Lsn::new(1)));
    let beyond = engine.version(main, Point::Lsn(Lsn::new(101)));
    assert!(
        matches!(beyond, Err(Error::LsnOutsideHistory { first, last, .. }) if first == Lsn::new(1) && last == Lsn::new(100))
    );
    let beyond = engine.transact(|tx| tx.fork(child.branch, Point::Lsn(Lsn::new(51))));
    assert!(matches!(beyond, Err(Error::LsnOutsideHistory { last, .. }) if last == Lsn::new(50)));
    let before = engine.branch(main)?.first_time - TimeDelta::microseconds(1);
    assert!(matches!(engine.version(main, Point::Time(before)), Err(Error::TimeOutsideHistory { .. })));
    assert!(matches!(
        engine.transact(|tx| tx.fork(main, Point::Time(DateTime::<chrono::Utc>::MAX_UTC))),
        Err(Error::TimeOutsideHistory { .. })
    ));
    // A child's own versions come after its cutoff.
    let own = engine.transact(|tx| tx.put(child.branch, b"k", b"v"))?;
    assert_eq!(own.versions, [(child.branch, Lsn::new(51))]);
    Ok(())
}

#[test]
fn lsns_of_a_branch_only_grow() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let commit = |lsn: u64| {
        engine.transact(|tx| {
            tx.advance(main, Lsn::new(lsn))?;
            tx.put(main, b"k", b"v")
        })
    };
    assert_eq!(commit(0x16B_3748)?.versions, [(main, Lsn::new(0x16B_3748))]);
    for lsn in [0, 1, 0x16B_3748] {
        assert!(matches!(commit(lsn), Err(Error::LsnNotGreater { head, .. }) if head == Lsn::new(0x16B_3748)));
    }
    assert!(matches!(engine.transact(|tx| tx.advance(main, Lsn::new(5))), Err(Error::LsnNotGreater { .. })));
    commit(u64::MAX)?;
    assert!(matches!(engine.transact(|tx| tx.put(main, b"k", b"v")), Err(Error::LsnExhausted(_))));
    Ok(())
}

#[test]
fn too_long_keys_values_and_metadata_are_refused() -> Result<(), Error> {
    let (engine, main) = engine()?;
    engine.transact(|tx| {
        tx.put(main, &[1; MAX_KEY_BYTES], &[2; MAX_VALUE_BYTES])?;
        tx.set_metadata(&[3; MAX_METADATA_BYTES])?;
        assert!(matches!(tx.put(main, b"", b""), Err(Error::KeyLength(0))));
        assert!(matches!(tx.put(main, &[1; MAX_KEY_BYTES + 1], b""), Err(Error::KeyLength(_))));
        assert!(matches!(tx.record_put(SYSTEM, RECORDS, b"k", &[1; MAX_VALUE_BYTES + 1]), Err(Error::ValueLength(_))));
        assert!(matches!(tx.set_metadata(&[3; MAX_METADATA_BYTES + 1]), Err(Error::MetadataLength(_))));
        Ok::<_, Error>(())
    })?;
    let head = engine.head(main)?;
    assert_eq!(head.get(&[1; MAX_KEY_BYTES])?.map(|value| value.len()), Some(MAX_VALUE_BYTES));
    assert_eq!(head.metadata().len(), MAX_METADATA_BYTES);
    Ok(())
}

#[test]
fn a_namespace_is_cleared_in_steps_of_any_size() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let before = store.entries().len();
    let namespace = engine.transact(|tx| tx.create_namespace())?.value;
    engine.transact(|tx| {
        for number in 0..10_u8 {
            let branch = tx.create_branch(namespace)?;
            tx.put(branch, b"k", &[number])?;
            tx.record_put(namespace, RECORDS, &[number], b"v")?;
        }
        Ok::<_, Error>(())
    })?;
    let branches = engine.snapshot()?.branches(namespace, None, usize::MAX)?;
    for branch in &branches[..5] {
        engine.transact(|tx| tx.pin(format!("pin of {}", branch.id.number()).as_bytes(), branch.id, Point::Head))?;
    }
    let mut steps = Vec::new();
    while steps.last().is_none_or(|deleted| *deleted == 7) {
        steps.push(engine.transact(|tx| tx.clear_namespace(namespace, 7))?.value);
    }
    assert_eq!(steps, [7, 7, 7, 4], "10 branches, 5 pins, 10 records");
    assert!(engine.snapshot()?.branches(namespace, None, 1)?.is_empty());
    assert!(matches!(engine.transact(|tx| tx.clear_namespace(SYSTEM, 7)), Err(Error::SystemNamespace)));
    engine.transact(|tx| tx.delete_namespace(namespace))?;
    let mut collector = engine.collector();
    while collector.step(100)? != Step::Idle {}
    assert_eq!(store.entries().len(), before, "nothing of it is left");
    engine.head(main).map(|_| ())
}

#[test]
fn a_deleted_namespace_is_gone_with_all_that_is_in_it() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let (namespace, branch) = engine
        .transact(|tx| {
            let namespace = tx.create_namespace()?;
            let branch = tx.create_branch(namespace)?;
            tx.put(branch, b"k", b"v")?;
            tx.record_put(namespace, RECORDS, b"k", b"v")?;
            Ok::<_, Error>((namespace, branch))
        })?
        .value;
    engine.transact(|tx| tx.delete_namespace(namespace))?;
    assert!(matches!(engine.head(branch), Err(Error::BranchNotFound(_))));
    assert_eq!(engine.snapshot()?.record(namespace, RECORDS, b"k")?, None);
    let refused = engine.transact(|tx| tx.record_put(namespace, RECORDS, b"k", b"v"));
    assert!(matches!(refused, Err(Error::NamespaceNotFound(_))));
    assert!(matches!(engine.transact(|tx| tx.delete_namespace(namespace)), Err(Error::NamespaceNotFound(_))));
    assert!(matches!(engine.transact(|tx| tx.delete_namespace(SYSTEM)), Err(Error::SystemNamespace)));
    engine.head(main).map(|_| ())
}

#[test]
fn one_commit_changes_branches_and_records_of_several_namespaces_at_one_instant() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let done = engine.transact(|tx| {
        let namespace = tx.create_namespace()?;
        let other = tx.create_branch(namespace)?;
        tx.put(main, b"k", b"v")?;
        tx.put(other, b"k", b"v")?;
        tx.record_put(namespace, RECORDS, b"k", b"v")?;
        Ok::<_, Error>(other)
    })?;
    let versions: BTreeSet<_> = done.versions.iter().map(|(branch, _)| *branch).collect();
    assert_eq!(versions, BTreeSet::from([main, done.value]));
    for branch in [main, done.value] {
        assert_eq!(engine.head(branch)?.time(), done.instant);
    }
    Ok(())
}

#[test]
fn a_foreign_store_is_refused() -> Result<(), Error> {
    let store = MemoryStore::new();
    store.tamper("key".into(), Some("value".into()));
    assert!(matches!(Engine::open(store, Options::default()), Err(Error::ForeignStore)));
    Ok(())
}

#[test]
fn a_commit_larger_than_the_store_takes_is_written_ahead_and_published_at_once() -> Result<(), Error> {
    let (engine, main) = engine()?;
    // 1,000 values of 16 KiB are twice what one commit of the store may hold.
    let fill = |seed: u8| {
        engine.transact(|tx| {
            (0..1_000_u32).try_for_each(|number| tx.put(main, &number.to_be_bytes(), &[seed; MAX_VALUE_BYTES]))
        })
    };
    fill(1)?;
    fill(2)?;
    let head = engine.head(main)?;
    let all = head.range(KeyRange::ALL, Direction::Ascending).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(all.len(), 1_000);
    assert!(all.iter().all(|(_, value)| value[0] == 2));
    Ok(())
}
