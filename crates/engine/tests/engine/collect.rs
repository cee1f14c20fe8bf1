//! What is not needed goes, and nothing else does: whenever it is looked at, whoever reads, and wherever it is interrupted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use offshoot_engine::{
    BranchId, Collected, Direction, Engine, Error, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Pace, Point, Step,
    StoreError, Version,
    check::{Kind, Report, check},
    storage::{Change, Commit, Sequence, Snapshot, Store, Submitted, Ticket, View},
    testing::{CountingStore, Counts, ManualClock},
};
use parking_lot::Mutex;

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;

fn collect(engine: &Engine) -> Result<Collected, Error> {
    let mut collector = engine.collector();
    while collector.step(1_000)? != Step::Idle {}
    Ok(collector.collected())
}

fn report(store: &impl Store) -> Result<Report, Error> {
    check(store, &mut |_| {})
}

#[track_caller]
fn assert_nothing_left(report: &Report) {
    assert!(report.is_sound(), "{report}");
    let (waiting, garbage) = (report.waiting, report.garbage.number);
    let left = [waiting.versions.number, waiting.nodes.number, waiting.namespaces, garbage];
    assert_eq!(left, [0; 4], "{report}");
    let notes = [Kind::Garbage, Kind::Unneeded, Kind::Detached].map(|kind| report.count(kind).number);
    assert_eq!(notes, [0; 3], "{report}");
}

type Map = BTreeMap<Bytes, Bytes>;

fn read(version: &Version) -> Result<Map, Error> {
    version.range(KeyRange::ALL, Direction::Ascending).collect()
}

fn key(number: u32) -> Vec<u8> {
    format!("role/{number:06}").into_bytes()
}

fn fill(engine: &Engine, branch: BranchId, round: u8, keys: impl Iterator<Item = u32> + Clone) -> Result<(), Error> {
    engine.transact(|tx| keys.clone().try_for_each(|number| tx.put(branch, &key(number), &[round; 20]))).map(|_| ())
}

fn clock() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_700_000_000, 0).expect("an instant"))
}

fn options(clock: &ManualClock) -> Options {
    Options::default().with_small_nodes().with_clock(clock.clone())
}

/// All that is stored.
type Entries = Vec<(Bytes, Bytes)>;

/// Keeps what is stored after each commit.
#[derive(Clone)]
struct Recorder {
    store: MemoryStore,
    states: Arc<Mutex<Vec<Entries>>>,
}

impl Recorder {
    fn new(entries: Entries) -> Self {
        Self { store: filled(entries), states: Arc::default() }
    }
}

fn filled(entries: Entries) -> MemoryStore {
    let store = MemoryStore::new();
    entries.into_iter().for_each(|(key, value)| store.tamper(key, Some(value)));
    store
}

impl Store for Recorder {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.store.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.store.snapshot(view)
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        let submitted = self.store.submit(commit)?;
        self.states.lock().push(self.store.entries());
        Ok(submitted)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.store.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.store.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.store.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.store.max_commit_bytes()
    }
}

/// A store with garbage of each kind, what must be readable afterwards, and the clock by which it is garbage.
fn world_with_garbage() -> Result<(Entries, Vec<BranchId>, ManualClock), Error> {
    let (store, clock) = (MemoryStore::new(), clock());
    let engine = Engine::open(store.clone(), options(&clock))?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    // So many keys that their nodes are too many for one commit.
    fill(&engine, main, 0, 0..6_000)?;
    for round in 1..6 {
        clock.advance(TimeDelta::seconds(10));
        fill(&engine, main, round, (0..6_000).step_by(97 * usize::from(round)))?;
    }
    let fork = |parent, point| Ok::<_, Error>(engine.transact(|tx| tx.fork(parent, point))?.value.branch);
    let child = fork(main, Point::Lsn(Lsn::new(3)))?;
    fill(&engine, child, 7, 10..40)?;
    let deleted = fork(main, Point::Lsn(Lsn::new(4)))?;
    for round in 8..11 {
        fill(&engine, deleted, round, 100..120)?;
    }
    let heir = fork(deleted, Point::Head)?;
    fill(&engine, deleted, 11, 0..6_000)?;
    engine.transact(|tx| tx.pin(b"pin", main, Point::Lsn(Lsn::new(2))))?;
    engine.transact(|tx| tx.pin(b"released", main, Point::Lsn(Lsn::new(5))))?;
    engine.transact(|tx| tx.unpin(SYSTEM, b"released"))?;
    engine.transact(|tx| tx.delete_branch(deleted))?;
    let unwritten = fork(child, Point::Head)?;
    engine.transact(|tx| tx.delete_branch(unwritten))?;
    let namespace = engine.transact(|tx| tx.create_namespace())?.value;
    let gone = engine.transact(|tx| tx.create_branch(namespace))?.value;
    fill(&engine, gone, 12, 0..500)?;
    engine.transact(|tx| tx.delete_namespace(namespace))?;
    let failed = engine.transact(|tx| {
        (0..300_u32).try_for_each(|number| tx.put(child, &number.to_be_bytes(), &[7; 10_000]))?;
        tx.advance(heir, Lsn::new(1))
    });
    assert!(matches!(failed, Err(Error::LsnNotGreater { .. })));
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::from_secs(5))))?;
    Ok((store.entries(), vec![main, child, heir], clock))
}

fn read_all(engine: &Engine, branches: &[BranchId]) -> Result<Vec<Map>, Error> {
    let pin = engine.pinned(SYSTEM, b"pin")?.expect("the pin is there");
    branches.iter().map(|branch| read(&engine.head(*branch)?)).chain([read(&pin)]).collect()
}

#[test]
fn a_collector_that_is_killed_after_any_commit_goes_on_where_it_was() -> Result<(), Error> {
    let (entries, branches, clock) = world_with_garbage()?;
    let recorder = Recorder::new(entries.clone());
    let engine = Engine::open(recorder.clone(), options(&clock))?;
    let expected = read_all(&engine, &branches)?;
    // In steps as small as they get.
    let mut collector = engine.collector();
    while collector.step(1)? != Step::Idle {}
    let collected = collector.collected();
    assert_eq!((collected.namespaces, collected.branches), (1, 1), "an heir keeps the other deleted branch");
    assert!(collected.cuts > 0 && collected.versions > 6 && collected.nodes > 2_000, "{collected:?}");
    assert_nothing_left(&report(&recorder)?);
    assert_eq!(read_all(&engine, &branches)?, expected);
    let (end, states) = (recorder.store.entries(), recorder.states.lock().clone());
    let apart = states.iter().filter(|state| state.iter().any(|(key, _)| key[..] == b"c"[..])).count();
    assert!(states.len() > 15 && apart > 2, "{} states, {apart} of them with a map taken apart", states.len());
    for (at, state) in states.into_iter().enumerate() {
        let store = filled(state);
        let sound = report(&store)?;
        assert!(sound.is_sound(), "after commit {at}: {sound}");
        let engine = Engine::open(store.clone(), options(&clock))?;
        if at % 4 == 0 {
            assert_eq!(read_all(&engine, &branches)?, expected, "after commit {at}");
        }
        collect(&engine)?;
        assert_eq!(store.entries(), end, "the end is the same, whatever was interrupted; here after commit {at}");
    }
    Ok(())
}

#[test]
fn what_is_older_than_the_window_is_refused_with_the_bounds() -> Result<(), Error> {
    let (store, clock) = (MemoryStore::new(), clock());
    let engine = Engine::open(store.clone(), options(&clock))?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let mut times = Vec::new();
    for round in 0..5 {
        clock.advance(TimeDelta::seconds(60));
        fill(&engine, main, round, 0..40)?;
        times.push(engine.branch(main)?.head_time);
    }
    collect(&engine)?;
    assert_eq!(engine.branch(main)?.first_lsn, Lsn::new(1), "without a window, all is kept");
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::from_secs(90))))?;
    assert_eq!(engine.retention(SYSTEM)?, Some(Duration::from_secs(90)));
    collect(&engine)?;
    // 90 seconds ago, the version of two minutes ago was current.
    let info = engine.branch(main)?;
    assert_eq!((info.first_lsn, info.first_time), (Lsn::new(4), times[2]));
    assert!(engine.version(main, Point::Time(times[2])).is_ok());
    match engine.version(main, Point::Lsn(Lsn::new(3))) {
        Err(Error::LsnOutsideHistory { first, last, .. }) => {
            assert_eq!((first, last), (Lsn::new(4), Lsn::new(6)));
        }
        other => panic!("{other:?}"),
    }
    let before = times[2] - TimeDelta::microseconds(1);
    for outcome in [
        engine.version(main, Point::Time(before)).map(|_| ()),
        engine.transact(|tx| tx.fork(main, Point::Time(before))).map(|_| ()),
        engine.transact(|tx| tx.pin(b"pin", main, Point::Time(before))).map(|_| ()),
    ] {
        assert!(matches!(outcome, Err(Error::TimeOutsideHistory { first, .. }) if first == times[2]), "{outcome:?}");
    }
    engine.transact(|tx| tx.set_retention(SYSTEM, None))?;
    collect(&engine)?;
    assert_eq!(engine.branch(main)?.first_lsn, Lsn::new(4), "what is gone does not come back");
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn an_open_version_is_left_until_it_is_dropped() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    fill(&engine, main, 1, 0..200)?;
    let (version, expected) = (engine.head(main)?, read(&engine.head(main)?)?);
    let half_read = engine.head(main)?;
    let mut entries = half_read.range(KeyRange::ALL, Direction::Ascending);
    entries.next().transpose()?;
    fill(&engine, main, 2, 0..200)?;
    engine.transact(|tx| tx.delete_branch(main))?;
    engine.forget_cached();
    let collected = collect(&engine)?;
    assert_eq!((collected.versions, collected.branches), (2, 0), "the first, empty one, and the head");
    engine.forget_cached();
    assert_eq!(read(&version)?, expected);
    drop((version, half_read));
    assert_eq!(collect(&engine)?, Collected::default(), "an iterator keeps its version open");
    engine.forget_cached();
    assert_eq!(entries.filter(Result::is_ok).count(), 199);
    let collected = collect(&engine)?;
    assert_eq!((collected.versions, collected.branches), (1, 1));
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn an_open_version_keeps_its_deleted_namespace() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let namespace = engine.transact(|tx| tx.create_namespace())?.value;
    let branch = engine.transact(|tx| tx.create_branch(namespace))?.value;
    fill(&engine, branch, 1, 0..200)?;
    let version = engine.head(branch)?;
    engine.transact(|tx| tx.delete_namespace(namespace))?;
    engine.forget_cached();
    assert_eq!(collect(&engine)?, Collected::default());
    engine.forget_cached();
    assert_eq!(read(&version)?.len(), 200);
    drop(version);
    assert_eq!(collect(&engine)?.namespaces, 1);
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn an_open_snapshot_finds_what_it_found_before() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    fill(&engine, main, 1, 0..200)?;
    let snapshot = engine.snapshot()?;
    engine.transact(|tx| tx.delete_branch(main))?;
    let mut collector = engine.collector();
    for _ in 0..5 {
        assert_eq!(collector.step(1_000)?, Step::Waiting);
    }
    engine.forget_cached();
    assert_eq!(read(&snapshot.head(main)?)?.len(), 200);
    drop(snapshot);
    while collector.step(1_000)? != Step::Idle {}
    assert_eq!(collector.collected().versions, 2);
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn a_version_that_is_pinned_between_look_and_removal_stays() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    fill(&engine, main, 1, 0..200)?;
    let version = engine.head(main)?;
    let expected = read(&version)?;
    fill(&engine, main, 2, 0..200)?;
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::ZERO)))?;
    assert_eq!(collect(&engine)?.versions, 1, "the first one; this one is open");
    // The collector looks, and has to wait.
    let snapshot = engine.snapshot()?;
    let mut collector = engine.collector();
    assert_eq!(collector.step(1_000)?, Step::Waiting);
    engine.transact(|tx| tx.pin_version(b"late", &version))?;
    drop((version, snapshot));
    engine.forget_cached();
    while collector.step(1_000)? != Step::Idle {}
    engine.forget_cached();
    assert_eq!(read(&engine.pinned(SYSTEM, b"late")?.expect("the pin is there"))?, expected);
    engine.transact(|tx| tx.unpin(SYSTEM, b"late"))?;
    engine.forget_cached();
    while collector.step(1_000)? != Step::Idle {}
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn a_node_that_is_damaged_stops_nothing_but_its_version() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let branches = engine.transact(|tx| Ok::<_, Error>([tx.create_branch(SYSTEM)?, tx.create_branch(SYSTEM)?]))?.value;
    fill(&engine, branches[0], 1, 0..200)?;
    let of_first = store.entries().into_iter().rfind(|(key, _)| key[0] == b'd').expect("there are nodes");
    fill(&engine, branches[1], 1, 0..200)?;
    for branch in branches {
        engine.transact(|tx| tx.delete_branch(branch))?;
    }
    store.tamper(of_first.0.clone(), Some(of_first.1.slice(..20)));
    engine.forget_cached();
    let mut collector = engine.collector();
    let mut failures = 0;
    for _ in 0..20 {
        match collector.step(1_000) {
            Ok(_) => {}
            Err(Error::Corrupt { key, .. }) if key == of_first.0 => failures += 1,
            Err(other) => return Err(other),
        }
    }
    assert!(failures > 0);
    assert_eq!(collector.collected().branches, 1, "the other branch went");
    store.tamper(of_first.0, Some(of_first.1));
    while collector.step(1_000)? != Step::Idle {}
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn commits_forks_pins_and_reads_go_on_while_garbage_is_collected() -> Result<(), Error> {
    const KEYS: u32 = 120;
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes().with_cache_bytes(1 << 16))?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    fill(&engine, main, 0, 0..KEYS)?;
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::from_micros(500))))?;
    let is_whole = |version: &Version| -> Result<(), Error> {
        let map = read(version)?;
        assert!(map.is_empty() || map.len() == KEYS as usize, "a map is whole");
        assert!(map.values().collect::<std::collections::BTreeSet<_>>().len() <= 1, "a map is of one commit");
        Ok(())
    };
    let done = AtomicBool::new(false);
    let collected = thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let mut collector = engine.collector();
            while !done.load(Ordering::Relaxed) {
                collector.step(50)?;
            }
            while collector.step(1_000)? != Step::Idle {}
            Ok::<_, Error>(collector.collected())
        });
        let writers: Vec<_> = (0..3_u8)
            .map(|writer| {
                let engine = &engine;
                let is_whole = &is_whole;
                scope.spawn(move || {
                    for round in 0..60_u8 {
                        let info = engine.branch(main)?;
                        let lsn = Point::Lsn(Lsn::new(info.first_lsn.get().midpoint(info.head_lsn.get())));
                        match round % 4 {
                            0 => fill(engine, main, round, 0..KEYS)?,
                            1 => match engine.transact(|tx| tx.fork(main, lsn)) {
                                Ok(fork) => {
                                    is_whole(&engine.head(fork.value.branch)?)?;
                                    fill(engine, fork.value.branch, round, 0..KEYS)?;
                                    engine.transact(|tx| tx.delete_branch(fork.value.branch))?;
                                }
                                Err(Error::LsnOutsideHistory { .. }) => {}
                                Err(other) => return Err(other),
                            },
                            2 => match engine.transact(|tx| tx.pin(&[writer], main, lsn)) {
                                Ok(_) | Err(Error::LsnOutsideHistory { .. }) => {}
                                Err(other) => return Err(other),
                            },
                            _ => match engine.version(main, lsn) {
                                Ok(version) => {
                                    engine.forget_cached();
                                    is_whole(&version)?;
                                }
                                Err(Error::LsnOutsideHistory { .. }) => {}
                                Err(other) => return Err(other),
                            },
                        }
                        if let Some(version) = engine.pinned(SYSTEM, &[writer])? {
                            is_whole(&version)?;
                        }
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        let outcome: Result<(), Error> = writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"));
        done.store(true, Ordering::Relaxed);
        let collected = collecting.join().expect("no panic");
        outcome.and(collected)
    })?;
    assert!(collected.versions > 50 && collected.branches > 20, "{collected:?}");
    for writer in 0..3_u8 {
        engine.transact(|tx| tx.unpin(SYSTEM, &[writer]))?;
    }
    engine.forget_cached();
    collect(&engine)?;
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn a_large_transaction_is_not_taken_for_one_that_failed() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let mut collector = engine.collector();
            while !done.load(Ordering::Relaxed) {
                collector.step(10)?;
            }
            Ok::<_, Error>(())
        });
        let outcome = (0..6_u8).try_for_each(|round| {
            engine
                .transact(|tx| (0..800_u32).try_for_each(|number| tx.put(main, &key(number), &[round; 9_000])))
                .map(|_| ())
        });
        done.store(true, Ordering::Relaxed);
        collecting.join().expect("no panic").and(outcome)
    })?;
    engine.forget_cached();
    assert_eq!(read(&engine.head(main)?)?.len(), 800);
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::ZERO)))?;
    engine.forget_cached();
    collect(&engine)?;
    assert_nothing_left(&report(&store)?);
    Ok(())
}

#[test]
fn a_background_collector_frees_what_a_deleted_branch_used() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default())?;
    let before = store.entries().len();
    let pace = Pace { rest: Duration::from_millis(1), between_rounds: Duration::from_millis(1), ..Pace::default() };
    let collector = engine.collect_in_background(pace).expect("a thread");
    for round in 0..5 {
        let branch = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
        fill(&engine, branch, round, 0..500)?;
        engine.transact(|tx| tx.delete_branch(branch))?;
    }
    while collector.status().collected.branches < 5 {
        thread::yield_now();
    }
    let status = collector.status();
    assert_eq!((status.failures, status.collected.versions), (0, 10));
    drop(collector);
    assert_eq!(store.entries().len(), before);
    Ok(())
}

/// What collecting ten superseded versions of one key asks of the store.
fn cost_of_ten_versions(keys: u32, branches: u32, other_versions: u32) -> Result<(Counts, Collected), Error> {
    let store = CountingStore::new(MemoryStore::new());
    let engine = Engine::open(store.clone(), Options::default())?;
    let namespace = engine.transact(|tx| tx.create_namespace())?.value;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let other = engine.transact(|tx| tx.create_branch(namespace))?.value;
    fill(&engine, main, 0, 0..keys)?;
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::ZERO)))?;
    collect(&engine)?;
    (0..branches).try_for_each(|_| engine.transact(|tx| tx.fork(main, Point::Head)).map(|_| ()))?;
    (0..other_versions).try_for_each(|version| fill(&engine, other, 1, version % 100..version % 100 + 1))?;
    (0..10).try_for_each(|round| fill(&engine, main, round + 1, keys / 2..keys / 2 + 1))?;
    engine.forget_cached();
    store.reset();
    let collected = collect(&engine)?;
    Ok((store.counts(), collected))
}

#[test]
fn the_cost_of_collecting_follows_the_garbage_and_not_the_store() -> Result<(), Error> {
    let (small, expected) = cost_of_ten_versions(100, 1, 1)?;
    assert_eq!((expected.versions, expected.cuts), (9, 1), "the first one is what the fork began with");
    for (keys, branches, others) in [(100_000, 1, 1), (100, 10_000, 1), (100, 1, 10_000)] {
        let (found, collected) = cost_of_ten_versions(keys, branches, others)?;
        assert_eq!((collected.versions, collected.cuts), (expected.versions, expected.cuts));
        // A larger map has more nodes on the path to a key.
        let more_nodes = collected.nodes - expected.nodes;
        assert!(more_nodes <= 4 * collected.versions, "{more_nodes}");
        assert!(found.deletes <= small.deletes + more_nodes, "{found:?}, small: {small:?}");
        assert!(found.gets <= small.gets + 5 * more_nodes, "{found:?}, small: {small:?}");
        assert!(found.entries <= small.entries + 4, "{found:?}, small: {small:?}");
        assert!(found.puts <= small.puts + 2, "{found:?}, small: {small:?}");
    }
    Ok(())
}
