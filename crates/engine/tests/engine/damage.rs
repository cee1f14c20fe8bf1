//! Damage to stored values is found, and never read as data.

use bytes::Bytes;
use offshoot_engine::{
    BranchId, Direction, Engine, Error, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Point, Store, Table,
    storage::{Commit, Submitted, Write},
};

const RECORDS: Table = Table::new("records");

struct World {
    store: MemoryStore,
    branches: Vec<BranchId>,
}

/// Branches with several versions and maps of several levels, one inline map, and records.
fn world() -> Result<World, Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    engine.transact(|tx| tx.put(main, b"inline", b"small"))?;
    for round in 0..3_u8 {
        engine.transact(|tx| {
            tx.set_metadata(&[round])?;
            (0..60_u8).step_by(usize::from(round) + 1).try_for_each(|number| {
                tx.record_put(NamespaceId::SYSTEM, RECORDS, &[number % 5], &[round, number])?;
                tx.put(main, format!("key {number}").as_bytes(), &[round; 20])
            })
        })?;
    }
    let child = engine.transact(|tx| tx.fork(main, Point::Lsn(Lsn::new(4))))?.value.branch;
    engine.transact(|tx| tx.delete(child, b"key 7"))?;
    let unwritten = engine.transact(|tx| tx.fork(child, Point::Head))?.value.branch;
    Ok(World { store, branches: vec![main, child, unwritten] })
}

type Entries = Vec<(Bytes, Bytes)>;

/// Reads everything there is to read; each read on its own, so that one that fails hides no other.
fn read_all(store: &MemoryStore, branches: &[BranchId]) -> Result<Vec<Result<Entries, Error>>, Error> {
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let mut reads = Vec::new();
    for branch in branches {
        let points = (1..=6).map(|lsn| Point::Lsn(Lsn::new(lsn))).chain([Point::Head]);
        for point in points {
            let version = engine.version(*branch, point);
            // The bounds of the history are the same whether damaged or not, as far as they are answered at all.
            let version = match version {
                Err(Error::LsnOutsideHistory { .. }) => {
                    reads.extend((0..4).map(|_| Ok(vec![(Bytes::from_static(b"outside"), Bytes::new())])));
                    continue;
                }
                version => version,
            };
            reads.push(version.and_then(|version| {
                let head = [(version.lsn().to_string().into(), Bytes::copy_from_slice(version.metadata()))];
                let entries = version.range(KeyRange::ALL, Direction::Ascending);
                head.into_iter().map(Ok).chain(entries).collect()
            }));
            // By its keys one by one, too: a get takes another way than a range.
            for number in [0, 7, 59] {
                let key = Bytes::from(format!("key {number}"));
                let found = engine.version(*branch, point).and_then(|version| version.get(&key));
                reads.push(found.map(|value| value.map(|value| (key, value)).into_iter().collect()));
            }
        }
    }
    let snapshot = engine.snapshot()?;
    reads.push(snapshot.records(NamespaceId::SYSTEM, RECORDS, &KeyRange::ALL, Direction::Descending, 100));
    Ok(reads)
}

fn copy(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    let writes = store.entries().into_iter().map(|(key, value)| Write::Create(key, value)).collect();
    let submitted = copy.submit(Commit { conditions: Vec::new(), writes });
    assert!(matches!(submitted, Ok(Submitted::Applied(_))));
    copy
}

/// Replaces the value under `key` and checks that each read gives what it gave before, or an error.
fn check_damage(world: &World, truth: &[Result<Entries, Error>], key: &Bytes, value: Bytes, what: &str) -> bool {
    let damaged = copy(&world.store);
    damaged.tamper(key.clone(), Some(value));
    let name = key.escape_ascii();
    let Ok(reads) = read_all(&damaged, &world.branches) else { return true };
    assert_eq!(reads.len(), truth.len());
    let mut found = false;
    for (read, truth) in reads.iter().zip(truth) {
        match (read, truth) {
            (Ok(read), Ok(truth)) => assert_eq!(read, truth, "{what} of {name} was read as data"),
            (Err(Error::Corrupt { .. }), Ok(_)) => found = true,
            (read, _) => panic!("{what} of {name}: {read:?}"),
        }
    }
    found
}

#[test]
fn every_flipped_cut_or_swapped_value_is_an_error_or_makes_no_difference() -> Result<(), Error> {
    let world = world()?;
    let truth = read_all(&world.store, &world.branches)?;
    assert!(truth.iter().all(Result::is_ok));
    let entries = world.store.entries();
    assert!(entries.len() > 60, "{} values are too few to mean much", entries.len());
    let mut found = 0;
    for (at, (key, value)) in entries.iter().enumerate() {
        for position in (0..value.len()).step_by(5) {
            let mut flipped = value.to_vec();
            flipped[position] ^= 1 << (position % 8);
            found += usize::from(check_damage(&world, &truth, key, flipped.into(), "a flipped bit"));
        }
        for length in [0, 8, value.len() / 2, value.len() - 1] {
            found += usize::from(check_damage(&world, &truth, key, value.slice(..length), "a cut"));
        }
        // Another value of the same kind, valid where it comes from.
        let other = entries.iter().cycle().skip(at + 1).find(|(other, _)| other[0] == key[0]);
        if let Some((_, other)) = other.filter(|(other, _)| other != key) {
            found += usize::from(check_damage(&world, &truth, key, other.clone(), "a swapped value"));
        }
    }
    assert!(found > entries.len() * 4, "only {found} damages were found");
    Ok(())
}

#[test]
fn a_valid_node_or_head_of_another_history_is_found() -> Result<(), Error> {
    // Immutable values are never written twice; so take those of a store with another history, where the same ids mean other things.
    let world = world()?;
    let truth = read_all(&world.store, &world.branches)?;
    let other = MemoryStore::new();
    let engine = Engine::open(other.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    for round in 0..8_u8 {
        engine.transact(|tx| {
            (0..60_u8).try_for_each(|number| tx.put(main, format!("key {number}").as_bytes(), &[round + 100; 20]))
        })?;
    }
    let entries = world.store.entries();
    let head = entries.iter().rfind(|(key, _)| key[..] < b"v\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x03"[..]);
    let head = &head.expect("main has versions").0;
    let (mut nodes, mut found) = (0, 0);
    for (key, value) in other.entries() {
        let is_stored = entries.iter().any(|(own, stored)| *own == key && *stored != value);
        if is_stored && key == *head {
            assert!(check_damage(&world, &truth, &key, value, "a head of another history"));
        } else if is_stored && key[0] == b'd' {
            nodes += 1;
            found += usize::from(check_damage(&world, &truth, &key, value, "a node of another history"));
        }
    }
    assert!(nodes > 20 && found == nodes, "{found} of {nodes} swapped nodes were found");
    Ok(())
}
