//! A small store with everything in it that a store can have.

use bytes::Bytes;

use super::SYSTEM;
use crate::{BranchId, Engine, Error, Lsn, MemoryStore, NamespaceId, Options, Point, Table};

pub(super) const RECORDS: Table = Table::new("records");

pub(super) struct World {
    pub(super) store: MemoryStore,
    /// What was stored some time before the end.
    pub(super) earlier: Vec<(Bytes, Bytes)>,
    /// A root branch with a deep map and several versions.
    pub(super) main: BranchId,
    /// Forked from an earlier version of `main`; has versions of its own.
    pub(super) child: BranchId,
    /// Forked from `child`; has none.
    pub(super) unwritten: BranchId,
    /// Was forked from `main`, and is deleted; another one was forked from it.
    pub(super) deleted: BranchId,
    pub(super) other: NamespaceId,
    pub(super) deleted_namespace: NamespaceId,
}

fn put_some(engine: &Engine, branch: BranchId, round: u8, keys: impl Iterator<Item = u8> + Clone) -> Result<(), Error> {
    let put = |tx: &mut crate::Transaction<'_>| {
        tx.set_metadata(&[round])?;
        keys.clone().try_for_each(|number| tx.put(branch, format!("key {number}").as_bytes(), &[round; 20]))
    };
    engine.transact(put).map(|_| ())
}

/// Namespaces, forks of forks and deletions, with maps of three levels, small ones, empty ones, and records.
pub(super) fn world() -> Result<World, Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    engine.transact(|tx| tx.put(main, b"inline", b"small"))?;
    for round in 1..4_u8 {
        put_some(&engine, main, round, (0..60).step_by(usize::from(round)))?;
    }
    let fork = |parent, point| Ok::<_, Error>(engine.transact(|tx| tx.fork(parent, point))?.value.branch);
    let child = fork(main, Point::Lsn(Lsn::new(4)))?;
    engine.transact(|tx| tx.delete(child, b"key 7"))?;
    let deleted = fork(main, Point::Head)?;
    put_some(&engine, deleted, 10, 0..3)?;
    let time = engine.branch(deleted)?.head_time;
    put_some(&engine, deleted, 11, 20..60)?;
    let other = engine.transact(|tx| {
        let other = tx.create_namespace()?;
        tx.record_put(other, RECORDS, b"of another namespace", b"1")?;
        tx.set_retention(other, Some(std::time::Duration::from_secs(3600)))?;
        tx.set_retention(SYSTEM, Some(std::time::Duration::from_secs(60)))?;
        Ok::<_, Error>(other)
    })?;
    let other = other.value;
    let small = engine.transact(|tx| tx.create_branch(other))?.value;
    put_some(&engine, small, 20, 0..40)?;
    (0..5_u8).try_for_each(|number| {
        let put = |tx: &mut crate::Transaction<'_>| tx.record_put(SYSTEM, RECORDS, &[number], &[number; 10]);
        engine.transact(put).map(|_| ())
    })?;
    let earlier = store.entries();

    // The instant must have passed.
    put_some(&engine, main, 4, 0..1)?;
    let heir = fork(deleted, Point::Time(time))?;
    put_some(&engine, heir, 12, 50..51)?;
    put_some(&engine, small, 21, 7..8)?;
    engine.transact(|tx| tx.advance(main, Lsn::new(0x1000)))?;
    put_some(&engine, child, 13, 30..31)?;
    let unwritten = fork(child, Point::Head)?;
    let grandchild = fork(unwritten, Point::Head)?;
    engine.transact(|tx| tx.put(grandchild, b"a key", b"a value"))?;
    engine.transact(|tx| tx.pin(b"a pin", deleted, Point::Head))?;
    engine.transact(|tx| tx.pin(b"another pin", main, Point::Lsn(Lsn::new(2))))?;
    engine.transact(|tx| tx.delete_branch(deleted))?;
    let deleted_namespace = engine.transact(|tx| tx.create_namespace())?.value;
    let (gone, deleted_first) = engine
        .transact(|tx| Ok::<_, Error>((tx.create_branch(deleted_namespace)?, tx.create_branch(deleted_namespace)?)))?
        .value;
    put_some(&engine, gone, 30, 0..30)?;
    engine.transact(|tx| tx.delete_branch(deleted_first))?;
    engine.transact(|tx| {
        tx.record_put(deleted_namespace, RECORDS, b"k", b"v")?;
        tx.delete_namespace(deleted_namespace)
    })?;
    Ok(World { store, earlier, main, child, unwritten, deleted, other, deleted_namespace })
}
