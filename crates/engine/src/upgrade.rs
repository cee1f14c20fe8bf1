//! Gives a store of an older format what the present one has besides: references, the queue of what the collector cuts, and lists of the nodes that
//! transactions had written ahead before they failed.
//!
//! The mark's format says which format a store has, and is written last: an interrupted attempt begins again, and writes the same.

use bytes::Bytes;

use crate::{
    BranchId, NamespaceId, branch, check,
    codec::{
        self, envelope,
        key::{self, NodeId},
        record,
    },
    error::Error,
    store::{Commit, Direction, KeyRange, Snapshot, Store, Submitted, View, Write},
};

/// How many keys one commit writes.
const WRITES: usize = 1024;

/// How many nodes one list names.
const NODES_IN_LIST: usize = 256;

/// Brings a store of the format before references to the present one. Nobody else has it open.
pub(crate) fn add_references(store: &dyn Store, mark: &record::Mark) -> Result<(), Error> {
    tracing::info!("this store is from a release without garbage collection; adding what it needs");
    let snapshot = store.snapshot(View::Latest)?;
    let mut writer = Writer { store, writes: Vec::new() };
    for entry in snapshot.range(&KeyRange::prefix(b"b"), Direction::Ascending) {
        let (key, value) = entry?;
        let (record, _) = codec::open::<record::Branch>(&key, &value)?;
        let id = key::branch_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a branch is too short"))?;
        writer.refer(id, &record)?;
        if let Some(superseded) = branch::oldest_superseded(snapshot.as_ref(), id, &record)? {
            writer.put_empty(key::expiry(id, superseded))?;
        }
    }
    for entry in snapshot.range(&KeyRange::prefix(b"x"), Direction::Ascending) {
        let (key, value) = entry?;
        let (deleted, _) = codec::open::<record::Deleted>(&key, &value)?;
        writer.leave_to_collector(snapshot.as_ref(), &key, deleted)?;
    }
    match check::garbage(store)? {
        Some(garbage) => writer.list(&garbage)?,
        None => {
            tracing::warn!("the store is not sound, so what transactions that failed have left in it stays; check it")
        }
    }
    writer.write(key::MARK, codec::seal(&key::MARK, mark)?.0)?;
    writer.flush()?;
    Ok(())
}

struct Writer<'a> {
    store: &'a dyn Store,
    writes: Vec<Write>,
}

impl Writer<'_> {
    fn refer(&mut self, child: BranchId, record: &record::Branch) -> Result<(), Error> {
        let Some(origin) = record.origin() else { return Ok(()) };
        let owner = BranchId::new(child.namespace(), origin.owner);
        self.put_empty(key::reference_of_child(owner, crate::Lsn::new(origin.lsn), child.number()))
    }

    fn leave_to_collector(
        &mut self,
        snapshot: &dyn Snapshot,
        key: &Bytes,
        deleted: record::Deleted,
    ) -> Result<(), Error> {
        let Some(record) = deleted.branch else {
            let namespace = key::namespace_of(key).ok_or_else(|| Error::corrupt(key, "key of a mark is too short"))?;
            return self.put_empty(key::garbage_namespace(namespace));
        };
        let id = key::branch_of(key).ok_or_else(|| Error::corrupt(key, "key of a mark is too short"))?;
        if snapshot.get(&key::deleted_namespace(id.namespace()))?.is_some() {
            return Ok(());
        }
        self.refer(id, &record)?;
        let key = key::garbage(id, crate::Lsn::new(0));
        let (value, _) = codec::seal(&key, &record::Garbage { to_lsn: u64::MAX })?;
        self.write(key, value)
    }

    /// Lets the collector remove nodes that nothing leads to.
    fn list(&mut self, garbage: &[(NamespaceId, NodeId)]) -> Result<(), Error> {
        for nodes in garbage.chunk_by(|(one, _), (other, _)| one == other).flat_map(|nodes| nodes.chunks(NODES_IN_LIST))
        {
            let Some((namespace, first)) = nodes.first() else { continue };
            let key = key::unneeded(*namespace, *first);
            let nodes = nodes.iter().map(|(_, id)| id.0).collect();
            let (value, _) = codec::seal(&key, &record::Unneeded { nodes, purged: false })?;
            self.write(key, value)?;
        }
        Ok(())
    }

    fn put_empty(&mut self, key: Bytes) -> Result<(), Error> {
        let (value, _) = envelope::seal(&key, &[]);
        self.write(key, value)
    }

    fn write(&mut self, key: Bytes, value: Bytes) -> Result<(), Error> {
        self.writes.push(Write::Put(key, value));
        if self.writes.len() < WRITES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let commit = Commit { conditions: Vec::new(), writes: std::mem::take(&mut self.writes) };
        match self.store.submit(commit)? {
            Submitted::Applied(ticket) => Ok(self.store.wait(ticket)?),
            Submitted::Conflict => Err(Error::Internal("a commit without conditions cannot conflict")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Engine, Lsn, MemoryStore, Options, Point, Step,
        check::{Count, Kind, check},
    };

    /// A store as a release without references would have left it.
    fn older(store: &MemoryStore) -> Result<MemoryStore, Error> {
        let older = MemoryStore::new();
        for (key, value) in store.entries() {
            let payload = envelope::open(&key, &value)?.0;
            match key[0] {
                b'a' | b'c' | b'g' | b'p' | b'q' | b'u' | b'w' => {}
                // Whoever refers to one of these knows its checksum, in which the format is.
                b'd' | b'v' => older.tamper(key, Some(value)),
                _ => {
                    let value = envelope::seal_as(envelope::FORMAT_WITHOUT_REFERENCES, &key, &payload).0;
                    older.tamper(key, Some(value));
                }
            }
        }
        Ok(older)
    }

    fn world() -> Result<MemoryStore, Error> {
        let store = MemoryStore::new();
        let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
        let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
        for round in 0..5_u8 {
            engine.transact(|tx| (0..50_u8).try_for_each(|number| tx.put(main, &[number], &[round; 20])))?;
        }
        let child = engine.transact(|tx| tx.fork(main, Point::Lsn(Lsn::new(3))))?.value.branch;
        let deleted = engine.transact(|tx| tx.fork(child, Point::Head))?.value.branch;
        for branch in [child, deleted] {
            (0..2_u8).try_for_each(|key| engine.transact(|tx| tx.put(branch, &[key], b"new")).map(|_| ()))?;
        }
        engine.transact(|tx| tx.fork(deleted, Point::Head))?;
        engine.transact(|tx| tx.delete_branch(deleted))?;
        let gone = engine.transact(|tx| tx.create_namespace())?.value;
        engine.transact(|tx| tx.create_branch(gone))?;
        engine.transact(|tx| tx.delete_namespace(gone))?;
        Ok(store)
    }

    #[test]
    fn a_store_of_the_older_format_gets_what_the_present_one_would_have_written() -> Result<(), Error> {
        let store = world()?;
        let older = older(&store)?;
        assert!(check(&older, &mut |_| {})?.is_sound(), "the older format is sound without references");
        Engine::open(older.clone(), Options::default())?;
        let (upgraded, expected) = (check(&older, &mut |_| {})?, check(&store, &mut |_| {})?);
        assert!(upgraded.is_sound(), "all that the present format needs is there: {upgraded}");
        for kind in [Kind::Expiry, Kind::Reference] {
            assert!(upgraded.count(kind).number > 1);
            assert_eq!(upgraded.count(kind), expected.count(kind));
        }
        let left = |store: &MemoryStore| store.entries().into_iter().filter(|(key, _)| key[0] == b'g').count();
        assert_eq!(left(&older), 2, "the deleted branch, and the deleted namespace with all that is in it");
        let again = older.entries();
        Engine::open(older.clone(), Options::default())?;
        assert_eq!(older.entries(), again, "once is enough");
        Ok(())
    }

    /// Puts nodes into a store that nothing leads to, as a transaction leaves them that had written them ahead: copies of all that are there, so that some of
    /// them refer to nodes that are needed.
    fn add_garbage(store: &MemoryStore) -> Result<u64, Error> {
        let entries = store.entries();
        let ids = entries.iter().find(|(key, _)| *key == key::IDS).ok_or(Error::Internal("no ids"))?;
        let mut free = codec::open::<record::Ids>(&ids.0, &ids.1)?.0.last;
        let mut added = 0;
        for (key, value) in entries.iter().filter(|(key, _)| key[0] == b'd') {
            let (namespace, _) = key::node_of(key).ok_or(Error::Internal("no node"))?;
            let copy = key::node(namespace, NodeId(free));
            let value = envelope::seal(&copy, &envelope::open(key, value)?.0).0;
            store.tamper(copy, Some(value));
            (free, added) = (free - 1, added + 1);
        }
        Ok(added)
    }

    #[test]
    fn what_failed_transactions_had_left_is_collected_after() -> Result<(), Error> {
        let store = older(&world()?)?;
        let expected = older(&world()?)?;
        let added = add_garbage(&store)?;
        assert!(added > 10);
        assert_eq!(check(&store, &mut |_| {})?.garbage.number, added);
        for store in [&store, &expected] {
            let engine = Engine::open(store.clone(), Options::default())?;
            let mut collector = engine.collector();
            while collector.step(100)? != Step::Idle {}
        }
        let (report, expected) = (check(&store, &mut |_| {})?, check(&expected, &mut |_| {})?);
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.garbage, Count::default());
        assert_eq!(report.counts, expected.counts, "nothing else is gone");
        Ok(())
    }

    #[test]
    fn nothing_is_taken_from_a_store_that_is_not_sound() -> Result<(), Error> {
        let store = older(&world()?)?;
        add_garbage(&store)?;
        let (version, _) =
            store.entries().into_iter().find(|(key, _)| key[0] == b'v').ok_or(Error::Internal("none"))?;
        store.tamper(version, None);
        Engine::open(store.clone(), Options::default())?;
        assert!(store.entries().iter().all(|(key, _)| key[0] != b'a'));
        Ok(())
    }
}
