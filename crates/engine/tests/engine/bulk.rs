//! A branch of 100,000 keys, and one transaction that writes them all. How much memory that takes is in `tests/bulk_memory`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use bytes::Bytes;
use offshoot_engine::{
    BranchId, Difference, Direction, Engine, Error, KeyRange, MemoryStore, NamespaceId, Options, Point, StoreError,
    Version,
    testing::{CountingStore, FaultyStore, Operation},
};

const KEYS: u64 = 100_000;

fn key(number: u64) -> Bytes {
    format!("role/{number:09}").into()
}

/// Writes all keys in one transaction.
fn write(engine: &Engine, branch: BranchId) -> Result<(), Error> {
    engine.transact(|tx| (0..KEYS).try_for_each(|number| tx.put(branch, &key(number), &[7; 100]))).map(|_| ())
}

fn keys(version: &Version, direction: Direction) -> Result<Vec<Bytes>, Error> {
    version.range(KeyRange::ALL, direction).map(|entry| Ok(entry?.0)).collect()
}

#[test]
fn a_transaction_that_is_written_in_pieces_is_seen_whole_or_not_at_all() -> Result<(), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                let (head, first, last) = (engine.head(main)?, key(0), key(KEYS - 1));
                assert_eq!(head.get(&first)?.is_some(), head.get(&last)?.is_some());
            }
            Ok::<_, Error>(())
        });
        let written = write(&engine, main);
        is_done.store(true, Ordering::SeqCst);
        reader.join().expect("no panic")?;
        written
    })?;
    assert_eq!(keys(&engine.head(main)?, Direction::Ascending)?.len() as u64, KEYS);
    Ok(())
}

#[test]
fn many_branches_can_have_more_in_one_transaction_than_a_commit_can_hold() -> Result<(), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let written = engine.transact(|tx| {
        let branches = (0..10).map(|_| tx.create_branch(NamespaceId::SYSTEM)).collect::<Result<Vec<_>, _>>()?;
        for branch in &branches {
            (0..100_u32).try_for_each(|number| tx.put(*branch, &number.to_be_bytes(), &[7; 16_000]))?;
        }
        Ok::<_, Error>(branches)
    })?;
    for branch in written.value {
        assert_eq!(keys(&engine.head(branch)?, Direction::Ascending)?.len(), 100);
    }
    Ok(())
}

#[test]
fn a_failure_in_any_piece_of_a_transaction_leaves_nothing_of_it() -> Result<(), Error> {
    let counting = CountingStore::new(MemoryStore::new());
    let store = FaultyStore::new(counting.clone());
    let engine = Engine::open(store.clone(), Options::default().with_cache_bytes(1 << 20))?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    let whole = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    counting.reset();
    write(&engine, whole)?;
    let pieces = usize::try_from(counting.reset().commits).expect("a few");
    assert!(pieces > 3, "{pieces}: so much does not go into one commit");
    for piece in [0, 1, pieces / 2, pieces - 1] {
        store.pass_next(Operation::Submit, piece);
        store.fail_next(Operation::Submit, StoreError::Closed);
        assert!(matches!(write(&engine, main), Err(Error::Store(StoreError::Closed))), "piece {piece}");
        store.heal();
        assert_eq!(keys(&engine.head(main)?, Direction::Ascending)?, Vec::<Bytes>::new(), "piece {piece}");
    }
    write(&engine, main)?;
    assert_eq!(engine.head(main)?.diff(&engine.head(whole)?, KeyRange::ALL).count(), 0, "both have the same keys");
    Ok(())
}

#[test]
fn a_branch_of_many_keys_is_listed_forked_compared_and_remembered() -> Result<(), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    write(&engine, main)?;
    let full = engine.head(main)?;
    let expected: Vec<_> = (0..KEYS).map(key).collect();
    assert_eq!(keys(&full, Direction::Ascending)?, expected);
    assert!(keys(&full, Direction::Descending)?.iter().eq(expected.iter().rev()));

    let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
    engine.transact(|tx| {
        tx.put(child, &key(5), b"changed")?;
        tx.delete(child, &key(99_999))
    })?;
    engine.transact(|tx| (0..KEYS / 2).try_for_each(|number| tx.delete(main, &key(number))))?;
    let of_child = full.diff(&engine.head(child)?, KeyRange::ALL).collect::<Result<Vec<_>, _>>()?;
    let value = Some(Bytes::from_static(&[7; 100]));
    let changed = Difference { key: key(5), before: value.clone(), after: Some(Bytes::from("changed")) };
    assert_eq!(of_child, [changed, Difference { key: key(99_999), before: value, after: None }]);

    let history = engine.snapshot()?.history(main, .., Direction::Descending, 10)?;
    let changes: Vec<_> = history.iter().map(|entry| entry.changes(KeyRange::ALL).map_or(0, Iterator::count)).collect();
    assert_eq!(changes, [50_000, 100_000, 0]);
    let revisions = engine.snapshot()?.key_history(main, &key(5), .., 10)?;
    assert!(matches!(&revisions[..], [gone, made] if gone.value.is_none() && made.value.is_some()));
    Ok(())
}
