//! The store in memory, for tests and for trying things out.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::{
    Change, Commit, Direction, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
    overlay::{Base, Hot, MAX_COMMIT_BYTES, Overlay},
};

/// A store that keeps everything in memory and loses it with its last handle.
///
/// Clones are handles on the same store, so that a test can keep one while an engine owns another.
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    overlay: Overlay<Map>,
    /// Held while commits go from the overlay to the map, so that they arrive in order.
    syncing: Mutex<()>,
    manual: bool,
}

#[derive(Default)]
struct Map(RwLock<BTreeMap<Bytes, Bytes>>);

impl Base for Map {
    const IS_MEMORY: bool = true;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.read().get(key).cloned())
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let map = self.0.read();
        let entries = map.range((range.start.clone(), range.end.clone()));
        let entries = entries.map(|(key, value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Ascending => entries.take(limit).collect(),
            Direction::Descending => entries.rev().take(limit).collect(),
        })
    }
}

impl MemoryStore {
    /// An empty store whose commits are durable as soon as they are accepted.
    pub fn new() -> Self {
        Self::with(BTreeMap::new(), Sequence::ZERO, false)
    }

    /// An empty store whose commits stay pending until [`MemoryStore::sync`]; [`Store::wait`] blocks until then.
    pub fn manual() -> Self {
        Self::with(BTreeMap::new(), Sequence::ZERO, true)
    }

    fn with(entries: BTreeMap<Bytes, Bytes>, sequence: Sequence, manual: bool) -> Self {
        let overlay = Overlay::new(Map(RwLock::new(entries)), sequence, usize::MAX, Hot::none());
        Self(Arc::new(Inner { overlay, syncing: Mutex::default(), manual }))
    }

    /// Makes all pending commits durable.
    pub fn sync(&self) {
        let _in_order = self.0.syncing.lock();
        let commits = self.0.overlay.take(usize::MAX);
        let mut map = self.0.overlay.base().0.write();
        for write in commits.iter().flat_map(|commit| commit.writes.iter()) {
            match write.value() {
                Some(value) => map.insert(write.key().clone(), value.clone()),
                None => map.remove(write.key()),
            };
        }
        drop(map);
        self.0.overlay.publish(&commits);
    }

    /// The store as a crash at this moment leaves it: pending commits are lost. They fail on this handle, which takes no more commits.
    pub fn crash(&self) -> Self {
        let _in_order = self.0.syncing.lock();
        self.0.overlay.fail(&StoreError::Closed);
        let entries = self.0.overlay.base().0.read().clone();
        Self::with(entries, self.0.overlay.newest_durable(), self.0.manual)
    }

    /// All durable entries, in the order of their keys.
    pub fn entries(&self) -> Vec<(Bytes, Bytes)> {
        let map = self.0.overlay.base().0.read();
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Changes a stored value, or removes it, behind everybody's back, as damage would.
    pub fn tamper(&self, key: Bytes, value: Option<Bytes>) {
        let mut map = self.0.overlay.base().0.write();
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    /// Leaves out what is stored: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("manual", &self.0.manual).finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.overlay.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.0.overlay.snapshot(view)?))
    }

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.0.overlay.snapshot_in_memory()))
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        let submitted = self.0.overlay.submit(commit)?;
        if !self.0.manual {
            self.sync();
        }
        Ok(submitted)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.0.overlay.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.overlay.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.0.overlay.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        MAX_COMMIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::Write, testing::conformance::Medium};

    struct Memory(MemoryStore);

    impl Medium for Memory {
        type Store = MemoryStore;

        fn new() -> Self {
            Self(MemoryStore::new())
        }

        fn open(&self) -> MemoryStore {
            self.0.clone()
        }
    }

    crate::store_conformance!(Memory);

    fn submit(store: &MemoryStore, value: &'static str) -> Ticket {
        let writes = vec![Write::Put(Bytes::from("key"), Bytes::from(value))];
        match store.submit(Commit { conditions: Vec::new(), writes }).unwrap() {
            Submitted::Applied(ticket) => ticket,
            Submitted::Conflict => unreachable!("there are no conditions"),
        }
    }

    fn value(store: &MemoryStore, view: View) -> Option<Bytes> {
        store.get(view, b"key").unwrap()
    }

    #[test]
    fn a_manual_store_makes_commits_durable_when_it_is_told_to() {
        let store = MemoryStore::manual();
        let ticket = submit(&store, "1");
        assert_eq!(value(&store, View::Durable), None);
        assert!(store.snapshot(View::Durable).unwrap().get(b"key").unwrap().is_none());
        assert!(store.feed(Sequence::ZERO, 1).unwrap().is_empty());
        assert_eq!(value(&store, View::Latest).unwrap(), "1");
        store.sync();
        store.wait(ticket).unwrap();
        assert_eq!(value(&store, View::Durable).unwrap(), "1");
        assert_eq!(store.entries(), [(Bytes::from("key"), Bytes::from("1"))]);
    }

    #[test]
    fn a_crash_loses_what_is_pending() {
        let store = MemoryStore::manual();
        let durable = submit(&store, "durable");
        store.sync();
        let lost = submit(&store, "lost");
        let after = store.crash();
        store.wait(durable).unwrap();
        assert!(matches!(store.wait(lost), Err(StoreError::Poisoned { .. })));
        assert_eq!(value(&store, View::Durable).unwrap(), "durable");
        assert_eq!(value(&after, View::Latest).unwrap(), "durable");
        assert_eq!(submit(&after, "next").sequence(), lost.sequence());
        assert!(matches!(after.feed(Sequence::ZERO, 1), Err(StoreError::FeedGone { .. })));
    }
}
