//! The feed tells of each commit once, in order, or says that it cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use offshoot_engine::{
    BranchId, Direction, Engine, Error, Event, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Point, Position,
    SledOptions, SledStore, Snapshot, Table,
};

const RECORDS: Table = Table::new("records");
const SYSTEM: NamespaceId = NamespaceId::SYSTEM;

/// What a follower knows: it must always be what a snapshot of the same position shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Followed {
    heads: BTreeMap<BranchId, Lsn>,
    records: BTreeMap<Bytes, Bytes>,
}

impl Followed {
    fn of(snapshot: &Snapshot<'_>) -> Result<Self, Error> {
        let branches = snapshot.branches(SYSTEM, None, usize::MAX)?;
        let records = snapshot.records(SYSTEM, RECORDS, &KeyRange::ALL, Direction::Ascending, usize::MAX)?;
        let heads = branches.into_iter().map(|branch| (branch.id, branch.head_lsn)).collect();
        Ok(Self { heads, records: records.into_iter().collect() })
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Branch(info) => drop(self.heads.insert(info.id, info.head_lsn)),
            Event::BranchDeleted(branch) => drop(self.heads.remove(&branch)),
            Event::Record { table, key, value, .. } => {
                assert_eq!(table, RECORDS.name());
                match value {
                    Some(value) => self.records.insert(key, value),
                    None => self.records.remove(&key),
                };
            }
            _ => {}
        }
    }
}

fn engine() -> Result<(Engine, BranchId), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    Ok((engine, main))
}

fn position(engine: &Engine) -> Result<Position, Error> {
    Ok(engine.snapshot()?.position())
}

fn put(engine: &Engine, branch: BranchId, value: u64) -> Result<(), Error> {
    engine.transact(|tx| tx.put(branch, b"key", &value.to_be_bytes())).map(|_| ())
}

#[test]
fn a_commit_is_told_whole_and_nothing_that_the_engine_does_for_itself() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let before = position(&engine)?;
    let done = engine.transact(|tx| {
        tx.set_metadata(b"who")?;
        tx.put(main, b"key", b"value")?;
        tx.record_put(SYSTEM, RECORDS, b"record", b"value")?;
        tx.record_delete(SYSTEM, RECORDS, b"other")
    })?;
    let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
    engine.transact(|tx| tx.delete_branch(child))?;
    let page = engine.feed(before, 100, Duration::ZERO)?;
    assert_eq!(page.position, position(&engine)?);
    let [first, second, third] = &page.commits[..] else { panic!("three commits: {page:?}") };
    let record = |key: &'static str, value: Option<&'static str>| Event::Record {
        namespace: SYSTEM,
        table: "records".into(),
        key: key.into(),
        value: value.map(Bytes::from),
    };
    let version = Event::Version { branch: main, lsn: Lsn::new(2), time: done.instant, metadata: b"who".to_vec() };
    let expected =
        [version, Event::Branch(engine.branch(main)?), record("other", None), record("record", Some("value"))];
    assert_eq!(first.events, expected);
    assert!(matches!(&second.events[..], [Event::Branch(info)] if info.id == child && info.origin.is_some()));
    assert_eq!(third.events, [Event::BranchDeleted(child)]);
    assert!(!format!("{page:?}").contains("value"), "values may be secrets");
    Ok(())
}

#[test]
fn followers_of_concurrent_writers_miss_nothing_and_are_told_nothing_twice() -> Result<(), Error> {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 200;
    let (engine, main) = engine()?;
    let others = engine.transact(|tx| (0..2).map(|_| tx.create_branch(SYSTEM)).collect::<Result<Vec<_>, _>>())?.value;
    let branches = [main, others[0], others[1]];
    let (snapshot, is_done) = (engine.snapshot()?, AtomicBool::new(false));
    let (start, begun) = (snapshot.position(), Followed::of(&snapshot)?);
    drop(snapshot);
    let follow = |limit: usize| {
        let (mut followed, mut after, mut versions) = (begun.clone(), start, BTreeMap::<_, Vec<Lsn>>::new());
        loop {
            let at_end = is_done.load(Ordering::SeqCst);
            let page = engine.feed(after, limit, Duration::from_millis(if at_end { 0 } else { 50 }))?;
            assert!(page.commits.len() <= limit && page.commits.is_sorted_by(|one, next| one.position < next.position));
            assert!(page.commits.first().is_none_or(|commit| commit.position > after));
            for event in page.commits.into_iter().flat_map(|commit| commit.events) {
                if let Event::Version { branch, lsn, .. } = event {
                    versions.entry(branch).or_default().push(lsn);
                }
                followed.apply(event);
            }
            if at_end && after == page.position {
                return Ok::<_, Error>((followed, versions));
            }
            after = page.position;
        }
    };
    let (follow, engine_ref) = (&follow, &engine);
    let followers = thread::scope(|scope| {
        let followers = [1, 7, 1_000].map(|limit| scope.spawn(move || follow(limit)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    (0..ROUNDS).try_for_each(|round| {
                        let branch = branches[usize::try_from((writer + round) % 3).unwrap_or_default()];
                        engine_ref.transact(|tx| {
                            tx.put(branch, b"key", &[writer.to_be_bytes(), round.to_be_bytes()].concat())?;
                            tx.record_put(SYSTEM, RECORDS, &writer.to_be_bytes(), &round.to_be_bytes())
                        })?;
                        Ok::<_, Error>(())
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"))?;
        is_done.store(true, Ordering::SeqCst);
        Ok::<_, Error>(followers.map(|follower| follower.join().expect("no panic")))
    })?;
    let snapshot = engine.snapshot()?;
    let expected = Followed::of(&snapshot)?;
    for follower in followers {
        let (followed, versions) = follower?;
        assert_eq!(followed, expected);
        for branch in branches {
            // All but the version that the branch was made with, which was there before.
            let history = snapshot.history(branch, Lsn::new(2).., Direction::Ascending, usize::MAX)?;
            let history: Vec<_> = history.iter().map(|entry| entry.version.lsn()).collect();
            assert_eq!(versions[&branch], history);
        }
    }
    Ok(())
}

#[test]
fn a_follower_that_comes_too_late_is_told_so_and_begins_anew() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let early = position(&engine)?;
    (0..3_000).try_for_each(|value| put(&engine, main, value))?;
    let Err(Error::FeedGone { asked, first, last }) = engine.feed(early, 10, Duration::ZERO) else {
        panic!("so much is not kept for one who stays away");
    };
    assert!(asked == early && early < first && first < last && last == position(&engine)?);
    // From the first position that is said to be good, it goes on without a hole.
    let positions: BTreeSet<_> =
        engine.feed(first, 5_000, Duration::ZERO)?.commits.iter().map(|commit| commit.position.number()).collect();
    assert!(positions.into_iter().eq(first.number() + 1..=position(&engine)?.number()));
    let snapshot = engine.snapshot()?;
    let (mut followed, after) = (Followed::of(&snapshot)?, snapshot.position());
    drop(snapshot);
    put(&engine, main, 3_000)?;
    let page = engine.feed(after, 10, Duration::ZERO)?;
    page.commits.into_iter().flat_map(|commit| commit.events).for_each(|event| followed.apply(event));
    assert_eq!(followed, Followed::of(&engine.snapshot()?)?);
    Ok(())
}

#[test]
fn after_a_restart_the_newest_position_is_good_and_others_are_refused() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let open = || -> Result<Engine, Error> {
        let store = SledStore::open(directory.path(), &SledOptions::default())?;
        Engine::open(store, Options::default())
    };
    let engine = open()?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let older = position(&engine)?;
    put(&engine, main, 1)?;
    let newest = engine.feed(older, 10, Duration::ZERO)?.position;
    drop(engine);

    let engine = open()?;
    let page = engine.feed(newest, 10, Duration::ZERO)?;
    assert!(page.commits.is_empty() && page.position == newest);
    put(&engine, main, 2)?;
    let page = engine.feed(newest, 10, Duration::ZERO)?;
    let versions = page.commits.iter().flat_map(|commit| &commit.events);
    let versions: Vec<_> = versions.filter(|event| matches!(event, Event::Version { .. })).collect();
    assert!(matches!(versions[..], [Event::Version { lsn, .. }] if *lsn == Lsn::new(3)));
    assert!(matches!(engine.feed(older, 10, Duration::ZERO), Err(Error::FeedGone { .. })));
    let unheard_of = Position::new(u64::MAX);
    assert!(matches!(engine.feed(unheard_of, 10, Duration::ZERO), Err(Error::FeedGone { .. })));
    Ok(())
}

#[test]
fn a_follower_waits_for_what_comes_and_no_longer_than_it_wants() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let after = position(&engine)?;
    assert_eq!(engine.feed(after, 10, Duration::from_millis(1))?.commits, []);
    thread::scope(|scope| {
        let follower = scope.spawn(|| engine.feed(after, 10, Duration::MAX));
        put(&engine, main, 1)?;
        assert_eq!(follower.join().expect("no panic")?.commits.len(), 1);
        Ok(())
    })
}

#[test]
fn namespaces_and_branches_are_listed_in_pages() -> Result<(), Error> {
    let (engine, main) = engine()?;
    let made = engine.transact(|tx| {
        let namespace = tx.create_namespace()?;
        Ok::<_, Error>((namespace, (0..3).map(|_| tx.create_branch(namespace)).collect::<Result<Vec<_>, _>>()?))
    })?;
    let (namespace, branches) = made.value;
    engine.transact(|tx| tx.delete_branch(branches[1]))?;
    let snapshot = engine.snapshot()?;
    assert_eq!(snapshot.namespaces(None, 10)?, [SYSTEM, namespace]);
    assert_eq!(snapshot.namespaces(Some(SYSTEM), 10)?, [namespace]);
    let ids = |page: Vec<offshoot_engine::BranchInfo>| page.into_iter().map(|branch| branch.id).collect::<Vec<_>>();
    assert_eq!(ids(snapshot.branches(SYSTEM, None, 10)?), [main]);
    assert_eq!(ids(snapshot.branches(namespace, None, 1)?), [branches[0]]);
    assert_eq!(ids(snapshot.branches(namespace, Some(branches[0]), 10)?), [branches[2]]);
    assert!(snapshot.branches(namespace, Some(branches[2]), 10)?.is_empty());
    Ok(())
}
