//! Reads that must not wait: from memory or not at all.

use offshoot_engine::{
    BranchId, Engine, Error, MemoryStore, NamespaceId, Options, SledOptions, SledStore, StoreError, Table,
};

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;
const TABLE: Table = Table::new("things");

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn values(engine: &Engine, branch: BranchId) -> Result<[Option<Vec<u8>>; 2], Error> {
    let snapshot = engine.snapshot_in_memory()?;
    let record = snapshot.record(SYSTEM, TABLE, b"record")?;
    Ok([record, snapshot.head(branch)?.get(b"key")?].map(|value| value.map(Vec::from)))
}

fn is_refused<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Store(StoreError::NotInMemory)))
}

#[test]
fn what_was_read_once_is_in_memory_and_what_was_written_since_is_new_there() -> TestResult {
    let directory = tempfile::tempdir()?;
    let store = SledStore::open(directory.path(), &SledOptions::default())?;
    let engine = Engine::open(store, Options::default())?;
    let branch = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    engine.transact(|tx| {
        tx.record_put(SYSTEM, TABLE, b"record", b"1")?;
        tx.put(branch, b"key", b"1")
    })?;
    drop(engine);

    // Whatever is not in memory after a start is read where waiting is allowed.
    let engine = Engine::open(SledStore::open(directory.path(), &SledOptions::default())?, Options::default())?;
    assert!(is_refused(&values(&engine, branch)));
    let snapshot = engine.snapshot()?;
    snapshot.record(SYSTEM, TABLE, b"record")?;
    snapshot.head(branch)?.get(b"key")?;
    drop(snapshot);
    let of = |text: &[u8]| [Some(text.to_vec()), Some(text.to_vec())];
    assert_eq!(values(&engine, branch)?, of(b"1"));

    let before = engine.snapshot_in_memory()?;
    engine.transact(|tx| {
        tx.record_put(SYSTEM, TABLE, b"record", b"2")?;
        tx.put(branch, b"key", b"2")
    })?;
    assert_eq!(before.record(SYSTEM, TABLE, b"record")?.as_deref(), Some(&b"1"[..]));
    // As long as the snapshot is open, what was written since is not left to the index alone.
    assert_eq!(values(&engine, branch)?, of(b"2"));
    drop(before);
    Ok(())
}

#[test]
fn a_range_is_in_memory_only_where_everything_is() -> TestResult {
    let directory = tempfile::tempdir()?;
    let sled = Engine::open(SledStore::open(directory.path(), &SledOptions::default())?, Options::default())?;
    assert!(is_refused(&sled.snapshot_in_memory()?.namespaces(None, 1)));
    let memory = Engine::open(MemoryStore::new(), Options::default())?;
    assert_eq!(memory.snapshot_in_memory()?.namespaces(None, 1)?, [SYSTEM]);
    Ok(())
}
