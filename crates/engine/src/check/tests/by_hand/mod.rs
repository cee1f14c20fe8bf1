//! Wrongs that no damage makes, with valid checksums: what a mistake in a release could write.

mod branches;
mod maps;
mod values;

use bytes::Bytes;

use super::{SYSTEM, put, report};
use crate::{
    BranchId, Engine, Error, Lsn, MemoryStore, Options,
    check::Report,
    clock::Micros,
    codec::{
        self,
        envelope::{self, Checksum},
        key::{self, NodeId},
        record::{self, First, VersionRef},
    },
    tree::Child,
};

const MAIN: BranchId = BranchId::new(SYSTEM, 2);
const FORK: BranchId = BranchId::new(SYSTEM, 3);

/// A node's keys and payloads.
type Entries<'a> = &'a [(&'a str, &'a [u8])];

/// A store that the engine was opened on once, to which everything else is written by hand.
struct Hand {
    store: MemoryStore,
    next: u64,
}

impl Hand {
    fn new() -> Result<Self, Error> {
        let store = MemoryStore::new();
        Engine::open(store.clone(), Options::default())?;
        let hand = Self { store, next: 100 };
        // Of the format without references: the tests of those add them to what an engine wrote.
        let mark = codec::encode(&record::Mark { created_micros: 1 })?;
        put(&hand.store, (key::MARK, envelope::seal_as(envelope::FORMAT_WITHOUT_REFERENCES, &key::MARK, &mark).0));
        hand.seal(&key::IDS, &record::Ids { last: 1_000 })?;
        Ok(hand)
    }

    fn seal(&self, key: &Bytes, stored: &impl bincode::Encode) -> Result<Checksum, Error> {
        let (value, checksum) = codec::seal(key, stored)?;
        put(&self.store, (key.clone(), value));
        Ok(checksum)
    }

    fn payload(&self, key: &Bytes, payload: &[u8]) -> Checksum {
        let (value, checksum) = envelope::seal(key, payload);
        put(&self.store, (key.clone(), value));
        checksum
    }

    fn node_at(&self, id: u64, level: u8, entries: Entries<'_>) -> Result<Child, Error> {
        let entries = entries.iter().map(|(key, payload)| record::Entry { key: key.as_bytes(), payload }).collect();
        let payload = codec::encode(&record::Node { level, entries })?;
        let id = NodeId(id);
        Ok(Child { id, checksum: self.payload(&key::node(SYSTEM, id), &payload) })
    }

    fn node(&mut self, level: u8, entries: Entries<'_>) -> Result<Child, Error> {
        self.next += 1;
        self.node_at(self.next, level, entries)
    }

    fn leaf(&mut self, keys: &[&str]) -> Result<Child, Error> {
        let entries: Vec<_> = keys.iter().map(|key| (*key, &b"value"[..])).collect();
        self.node(0, &entries)
    }

    fn inner(&mut self, level: u8, children: &[(&str, Child)]) -> Result<Child, Error> {
        let children: Vec<_> = children.iter().map(|(key, child)| (*key, child.to_bytes())).collect();
        let entries: Vec<_> = children.iter().map(|(key, bytes)| (*key, &bytes[..])).collect();
        self.node(level, &entries)
    }

    /// A version of `branch`, with the entry that finds it.
    fn version(&self, branch: BranchId, lsn: u64, micros: i64, root: record::Root) -> Result<VersionRef, Error> {
        let (number, lsn) = (branch.number(), Lsn::new(lsn));
        let version = record::Version { micros, metadata: Vec::new(), root };
        let checksum = self.seal(&key::version(branch, lsn), &version)?;
        self.payload(&key::instant(branch, Micros(micros), lsn), &[]);
        Ok(VersionRef { owner: number, lsn: lsn.get(), checksum: checksum.0 })
    }

    fn empty_version(&self, branch: BranchId, lsn: u64, micros: i64) -> Result<VersionRef, Error> {
        self.version(branch, lsn, micros, record::Root::Inline(vec![0, 0]))
    }

    /// `MAIN` with one version, of a map with this root.
    fn main(&self, root: record::Root) -> Result<(), Error> {
        let head = self.version(MAIN, 1, 10, root)?;
        self.seal(&key::branch(MAIN), &root_branch(head))?;
        Ok(())
    }

    fn main_over(&self, root: Child) -> Result<(), Error> {
        self.main(over(root))
    }

    fn report(&self) -> Result<Report, Error> {
        report(&self.store)
    }
}

/// A root branch whose only version, at instant 10, is this.
fn root_branch(head: VersionRef) -> record::Branch {
    let first = First::Root { lsn: head.lsn, micros: 10 };
    record::Branch { head, head_micros: 10, head_lsn: head.lsn, first }
}

fn node_key(child: Child) -> Bytes {
    key::node(SYSTEM, child.id)
}

fn over(root: Child) -> record::Root {
    record::Root::Node { id: root.id.0, checksum: root.checksum.0 }
}
