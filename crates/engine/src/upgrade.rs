//! Gives a store of an older format what the present one has besides: references, and the queue of what the collector cuts.
//!
//! The mark's format says which format a store has, and is written last: an interrupted attempt begins again, and writes the same.

use bytes::Bytes;

use crate::{
    BranchId, branch,
    codec::{self, envelope, key, record},
    error::Error,
    store::{Commit, Direction, KeyRange, Snapshot, Store, Submitted, View, Write},
};

/// How many keys one commit writes.
const WRITES: usize = 1024;

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
        Engine, Lsn, MemoryStore, NamespaceId, Options, Point,
        check::{Kind, check},
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
}
