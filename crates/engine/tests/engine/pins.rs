//! Pins keep versions readable, and move only with their transaction.

use offshoot_engine::{BranchId, Direction, Engine, Error, KeyRange, Lsn, MemoryStore, NamespaceId, Options, Point};

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;

fn engine_with_three_versions() -> Result<(Engine, BranchId), Error> {
    let engine = Engine::open(MemoryStore::new(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    for round in [b"1", b"2"] {
        engine.transact(|tx| tx.put(main, b"key", round))?;
    }
    Ok((engine, main))
}

fn pinned_value(engine: &Engine, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some(version) = engine.pinned(SYSTEM, name)? else { return Ok(None) };
    Ok(version.get(b"key")?.map(Vec::from))
}

#[test]
fn a_pin_reads_its_version_until_it_is_moved_or_released() -> Result<(), Error> {
    let (engine, main) = engine_with_three_versions()?;
    engine.transact(|tx| tx.pin(b"applied", main, Point::Lsn(Lsn::new(2))))?;
    engine.transact(|tx| tx.put(main, b"key", b"3"))?;
    assert_eq!(pinned_value(&engine, b"applied")?.as_deref(), Some(&b"1"[..]));
    let head = engine.head(main)?;
    engine.transact(|tx| tx.pin_version(b"applied", &head))?;
    assert_eq!(pinned_value(&engine, b"applied")?.as_deref(), Some(&b"3"[..]));
    assert!(engine.transact(|tx| tx.unpin(SYSTEM, b"applied"))?.value);
    assert!(!engine.transact(|tx| tx.unpin(SYSTEM, b"applied"))?.value);
    assert_eq!(pinned_value(&engine, b"applied")?, None);
    Ok(())
}

#[test]
fn a_version_that_was_purged_since_it_was_opened_is_pinned_as_it_is_now() -> Result<(), Error> {
    let (engine, main) = engine_with_three_versions()?;
    let open = engine.version(main, Point::Lsn(Lsn::new(2)))?;
    engine.purge(SYSTEM, b"key", None, b"")?;
    engine.transact(|tx| tx.pin_version(b"applied", &open))?;
    assert_eq!(pinned_value(&engine, b"applied")?, None);
    assert!(engine.pinned(SYSTEM, b"applied")?.is_some());
    assert!(engine.transact(|tx| tx.fork_pinned(SYSTEM, b"applied"))?.value.is_some());
    Ok(())
}

#[test]
fn a_pin_that_is_put_in_a_failed_transaction_is_not_there() -> Result<(), Error> {
    let (engine, main) = engine_with_three_versions()?;
    let failed: Result<_, Error> = engine.transact(|tx| {
        tx.pin(b"applied", main, Point::Head)?;
        assert!(tx.pinned(SYSTEM, b"applied")?.is_some(), "a transaction reads what it wrote");
        Err::<(), _>(Error::SystemNamespace)
    });
    assert!(failed.is_err());
    assert_eq!(pinned_value(&engine, b"applied")?, None);
    Ok(())
}

#[test]
fn a_snapshot_lists_pins_as_they_were() -> Result<(), Error> {
    let (engine, main) = engine_with_three_versions()?;
    for name in ["a", "b", "c"] {
        engine.transact(|tx| tx.pin(name.as_bytes(), main, Point::Head))?;
    }
    let snapshot = engine.snapshot()?;
    engine.transact(|tx| tx.unpin(SYSTEM, b"b"))?;
    let pins = snapshot.pins(SYSTEM, &KeyRange::ALL, Direction::Ascending, 10)?;
    assert_eq!(pins.iter().map(|pin| &pin.name[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert!(pins.iter().all(|pin| (pin.branch, pin.lsn) == (main, Lsn::new(3))));
    assert!(snapshot.pinned(SYSTEM, b"b")?.is_some());
    let pins = engine.snapshot()?.pins(SYSTEM, &KeyRange::ALL, Direction::Descending, 1)?;
    assert_eq!(pins.iter().map(|pin| &pin.name[..]).collect::<Vec<_>>(), [b"c"]);
    Ok(())
}

#[test]
fn what_cannot_be_pinned_is_refused() -> Result<(), Error> {
    let (engine, main) = engine_with_three_versions()?;
    let pin = |name: &[u8], branch, point| engine.transact(|tx| tx.pin(name, branch, point)).map(|_| ());
    assert!(matches!(pin(b"", main, Point::Head), Err(Error::KeyLength(0))));
    assert!(matches!(pin(b"a", main, Point::Lsn(Lsn::new(9))), Err(Error::LsnOutsideHistory { .. })));
    assert!(matches!(pin(b"a", BranchId::new(SYSTEM, 99), Point::Head), Err(Error::BranchNotFound(_))));
    let uncommitted = engine.transact(|tx| {
        tx.put(main, b"key", b"new")?;
        tx.pin(b"a", main, Point::Head)
    });
    assert!(matches!(uncommitted, Err(Error::Uncommitted(_))));
    let namespace = engine.transact(|tx| tx.create_namespace())?.value;
    let branch = engine.transact(|tx| tx.create_branch(namespace))?.value;
    let version = engine.head(branch)?;
    engine.transact(|tx| tx.pin(b"a", branch, Point::Head))?;
    engine.transact(|tx| tx.delete_namespace(namespace))?;
    assert!(engine.pinned(namespace, b"a")?.is_none(), "its pins go with a namespace");
    assert!(matches!(engine.transact(|tx| tx.pin_version(b"a", &version)), Err(Error::NamespaceNotFound(_))));
    Ok(())
}
