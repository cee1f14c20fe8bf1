//! A purged key's old values are gone: from every version, from every fork of one, and from the store's bytes.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use offshoot_engine::{
    BranchId, Direction, Engine, Error, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Point, Step, check::check,
};

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;
const SECRET: &[u8] = b"role/000050/secret";

type Map = BTreeMap<Bytes, Bytes>;

fn read(engine: &Engine, branch: BranchId, lsn: Lsn) -> Result<Map, Error> {
    engine.version(branch, Point::Lsn(lsn))?.range(KeyRange::ALL, Direction::Ascending).collect()
}

fn collect(engine: &Engine) -> Result<(), Error> {
    let mut collector = engine.collector();
    while collector.step(1_000)? != Step::Idle {}
    Ok(())
}

fn secret(number: u8) -> Vec<u8> {
    format!("the secret number {number} of them").into_bytes()
}

/// Whether the secret's bytes are anywhere in the store.
fn is_stored(store: &MemoryStore, number: u8) -> bool {
    let secret = secret(number);
    store.entries().iter().any(|(_, value)| value.windows(secret.len()).any(|window| window == secret))
}

struct World {
    store: MemoryStore,
    engine: Engine,
    main: BranchId,
    /// Has secret 2 as its present one.
    child: BranchId,
    /// Begins with a version of `main` that has secret 1, and has secret 3 of its own.
    other: BranchId,
}

/// Secrets 0 to 4 one after the other on `main`, with other changes between, and forks and pins at some of them.
fn world(keys: u32) -> Result<World, Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    let key = |number: u32| format!("role/{number:06}").into_bytes();
    engine.transact(|tx| (0..keys).try_for_each(|number| tx.put(main, &key(number), &[7; 20])))?;
    let (mut child, mut other) = (main, main);
    for number in 0..5_u8 {
        engine.transact(|tx| tx.put(main, SECRET, &secret(number)))?;
        for change in 0..4_u32 {
            engine.transact(|tx| tx.put(main, &key(keys / 2 + change * 7), &[number; 20]))?;
        }
        if number == 1 {
            other = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
            engine.transact(|tx| tx.put(other, &key(1), b"changed"))?;
            engine.transact(|tx| tx.put(other, SECRET, &secret(3)))?;
            engine.transact(|tx| tx.pin(b"pin", main, Point::Head))?;
        }
        if number == 2 {
            child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
        }
    }
    Ok(World { store, engine, main, child, other })
}

fn versions(world: &World) -> Result<Vec<(BranchId, Lsn)>, Error> {
    let mut versions = Vec::new();
    for branch in [world.main, world.child, world.other] {
        let info = world.engine.branch(branch)?;
        versions.extend((info.first_lsn.get()..=info.head_lsn.get()).map(|lsn| (branch, Lsn::new(lsn))));
    }
    Ok(versions)
}

fn check_purge(keys: u32, replacement: Option<&[u8]>) -> Result<(), Error> {
    let world = world(keys)?;
    let engine = &world.engine;
    let versions = versions(&world)?;
    let read_all =
        || versions.iter().map(|(branch, lsn)| read(engine, *branch, *lsn)).collect::<Result<Vec<Map>, Error>>();
    let before = read_all()?;
    assert!((0..5).all(|number| is_stored(&world.store, number)));

    let purged = engine.purge(SYSTEM, SECRET, replacement, b"request 7: leaked")?;
    assert_eq!(purged.versions, 5 + 5 + 1, "those with secret 0 or 1, inherited ones once");
    for (before, after) in before.iter().zip(read_all()?) {
        let mut expected = before.clone();
        let is_old = before.get(SECRET).is_some_and(|value| [0, 1].map(secret).contains(&value.to_vec()));
        if is_old {
            expected.remove(SECRET);
            expected.extend(replacement.map(|value| (SECRET.into(), Bytes::copy_from_slice(value))));
        }
        assert_eq!(after, expected, "other keys, and values in use, are as they were");
    }
    let pin = engine.pinned(SYSTEM, b"pin")?.expect("the pin is there");
    assert_eq!(pin.get(SECRET)?.as_deref(), replacement);
    let lsn = engine.branch(world.main)?.first_lsn.get() + 3;
    let fork = engine.transact(|tx| tx.fork(world.main, Point::Lsn(Lsn::new(lsn))))?.value.branch;
    assert_eq!(engine.head(fork)?.get(SECRET)?.as_deref(), replacement, "a fork does not bring it back");

    drop(pin);
    collect(engine)?;
    let stored = [0, 1, 2, 3, 4].map(|number| is_stored(&world.store, number));
    assert_eq!(stored, [false, false, true, true, true], "what is in use is stored, and nothing else");
    let report = check(&world.store, &mut |_| {})?;
    assert!(report.is_sound() && report.garbage.number == 0, "{report}");
    // A later commit on a fork of a purged version, and collecting both, shows that maps are whole.
    engine.transact(|tx| tx.put(fork, b"role/000051", b"new"))?;
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::ZERO)))?;
    engine.forget_cached();
    collect(engine)?;
    let report = check(&world.store, &mut |_| {})?;
    assert!(report.is_sound() && report.garbage.number == 0 && report.waiting.nodes.number == 0, "{report}");
    Ok(())
}

#[test]
fn old_values_are_gone_from_every_version_and_from_the_store() -> Result<(), Error> {
    check_purge(200, None)
}

#[test]
fn a_replacement_takes_the_place_of_old_values() -> Result<(), Error> {
    check_purge(200, Some(b"cannot log in"))
}

#[test]
fn inline_maps_are_purged_too() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    for number in 0..3 {
        engine.transact(|tx| tx.put(main, SECRET, &secret(number)))?;
    }
    assert_eq!(engine.purge(SYSTEM, SECRET, None, b"")?.versions, 2);
    collect(&engine)?;
    assert_eq!([0, 1, 2].map(|number| is_stored(&store, number)), [false, false, true]);
    assert!(read(&engine, main, Lsn::new(2))?.is_empty());
    assert!(check(&store, &mut |_| {})?.is_sound());
    Ok(())
}

#[test]
fn a_purge_is_on_record_and_says_when_there_is_nothing_to_do() -> Result<(), Error> {
    let world = world(50)?;
    assert!(world.engine.snapshot()?.purges(SYSTEM)?.is_empty());
    world.engine.purge(SYSTEM, SECRET, None, b"who and why")?;
    assert_eq!(world.engine.purge(SYSTEM, SECRET, None, b"again")?.versions, 0);
    let purges = world.engine.snapshot()?.purges(SYSTEM)?;
    let told: Vec<_> = purges.iter().map(|purge| (&purge.key[..], &purge.metadata[..], purge.is_done)).collect();
    assert_eq!(told, [(SECRET, &b"who and why"[..], true), (SECRET, &b"again"[..], true)]);
    assert_eq!(purges.iter().map(|purge| purge.versions).collect::<Vec<_>>(), [11, 0]);
    assert!(matches!(world.engine.purge(SYSTEM, b"", None, b""), Err(Error::KeyLength(0))));
    let absent = NamespaceId::new(9_999);
    assert!(matches!(world.engine.purge(absent, SECRET, None, b""), Err(Error::NamespaceNotFound(_))));
    Ok(())
}

#[test]
fn whoever_has_a_version_open_reads_it_as_it_was() -> Result<(), Error> {
    let world = world(200)?;
    let open = world.engine.version(world.main, Point::Lsn(Lsn::new(4)))?;
    world.engine.purge(SYSTEM, SECRET, None, b"")?;
    world.engine.forget_cached();
    collect(&world.engine)?;
    world.engine.forget_cached();
    assert_eq!(open.get(SECRET)?.as_deref(), Some(&secret(0)[..]));
    assert!(is_stored(&world.store, 0), "it is still there for the one who reads it");
    drop(open);
    collect(&world.engine)?;
    assert!(!is_stored(&world.store, 0));
    Ok(())
}

#[test]
fn commits_forks_and_collection_go_on_while_a_key_is_purged() -> Result<(), Error> {
    let World { store, engine, main, .. } = world(100)?;
    engine.transact(|tx| tx.set_retention(SYSTEM, Some(Duration::from_millis(20))))?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let mut collector = engine.collector();
            while !done.load(Ordering::Relaxed) {
                collector.step(30)?;
            }
            Ok::<_, Error>(())
        });
        let committing = scope.spawn(|| {
            for round in 0..150_u8 {
                engine.transact(|tx| tx.put(main, SECRET, &secret(round)))?;
                engine.transact(|tx| tx.put(main, b"role/000049", &[round; 10]))?;
                let info = engine.branch(main)?;
                let lsn = Lsn::new(info.first_lsn.get().midpoint(info.head_lsn.get()));
                match engine.transact(|tx| tx.fork(main, Point::Lsn(lsn))) {
                    Ok(fork) => {
                        let child = fork.value.branch;
                        engine.transact(|tx| tx.put(child, b"role/000052", &[round; 10]))?;
                        assert_eq!(
                            engine
                                .head(child)?
                                .range(KeyRange::ALL, Direction::Ascending)
                                .filter(Result::is_err)
                                .count(),
                            0
                        );
                        engine.transact(|tx| tx.delete_branch(child))?;
                    }
                    Err(Error::LsnOutsideHistory { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
            Ok::<_, Error>(())
        });
        while !committing.is_finished() {
            engine.purge(SYSTEM, SECRET, None, b"")?;
        }
        done.store(true, Ordering::Relaxed);
        committing.join().expect("no panic")?;
        collecting.join().expect("no panic")
    })?;
    engine.purge(SYSTEM, SECRET, None, b"")?;
    engine.forget_cached();
    collect(&engine)?;
    let report = check(&store, &mut |_| {})?;
    assert!(report.is_sound() && report.garbage.number == 0, "{report}");
    let left: Vec<u8> = (0..150).filter(|number| is_stored(&store, *number)).collect();
    assert!(left.contains(&149) && left.len() <= 3, "only present values are left: {left:?}");
    Ok(())
}
