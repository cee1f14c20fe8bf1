//! A store that counts what is asked of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::store::{
    Change, Commit, Direction, Entries, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View, Write,
};

/// What was asked of a [`CountingStore`] since it was made or reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads of a single key, from the store and from snapshots, whether they found it or not.
    pub gets: u64,
    /// Snapshots opened.
    pub snapshots: u64,
    /// Range reads begun.
    pub ranges: u64,
    /// Entries that range reads yielded.
    pub entries: u64,
    /// Bytes of values that gets found, and of keys and values that range reads yielded.
    pub bytes_read: u64,
    /// Commits accepted, also those that write nothing.
    pub commits: u64,
    /// Commits answered with a conflict.
    pub conflicts: u64,
    /// Keys that accepted commits created or put.
    pub puts: u64,
    /// Keys that accepted commits deleted.
    pub deletes: u64,
    /// Bytes of keys and values that accepted commits wrote.
    pub bytes_written: u64,
}

#[derive(Default)]
struct Counters {
    gets: AtomicU64,
    snapshots: AtomicU64,
    ranges: AtomicU64,
    entries: AtomicU64,
    bytes_read: AtomicU64,
    commits: AtomicU64,
    conflicts: AtomicU64,
    puts: AtomicU64,
    deletes: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counters {
    /// Makes a copy, with each counter read by `read`.
    fn read(&self, read: impl Fn(&AtomicU64) -> u64) -> Counts {
        Counts {
            gets: read(&self.gets),
            snapshots: read(&self.snapshots),
            ranges: read(&self.ranges),
            entries: read(&self.entries),
            bytes_read: read(&self.bytes_read),
            commits: read(&self.commits),
            conflicts: read(&self.conflicts),
            puts: read(&self.puts),
            deletes: read(&self.deletes),
            bytes_written: read(&self.bytes_written),
        }
    }

    fn count_get(&self, value: Option<&Bytes>) {
        add(&self.gets, 1);
        add(&self.bytes_read, value.map_or(0, Bytes::len));
    }

    fn count_commit(&self, written: &Written) {
        add(&self.commits, 1);
        add(&self.puts, written.puts);
        add(&self.deletes, written.deletes);
        add(&self.bytes_written, written.bytes);
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// What a commit writes.
#[derive(Default)]
struct Written {
    puts: usize,
    deletes: usize,
    bytes: usize,
}

impl Written {
    fn of(commit: &Commit) -> Self {
        let mut written = Self::default();
        for write in &commit.writes {
            match write {
                Write::Create(..) | Write::Put(..) => written.puts += 1,
                Write::Delete(_) => written.deletes += 1,
            }
            written.bytes += write.bytes();
        }
        written
    }
}

/// A store that passes everything on to another one, and counts it.
///
/// With it a test can show that an operation does the same work however much is stored. Clones are handles on the same store and the same counts.
pub struct CountingStore<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    counters: Counters,
}

impl<S> CountingStore<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, counters: Counters::default() }))
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.0.counters.read(|counter| counter.load(Ordering::Relaxed))
    }

    /// Sets all counts to zero, and returns what they were.
    pub fn reset(&self) -> Counts {
        self.0.counters.read(|counter| counter.swap(0, Ordering::Relaxed))
    }

    /// The store that was wrapped.
    pub fn inner(&self) -> &S {
        &self.0.store
    }
}

impl<S> Clone for CountingStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for CountingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CountingStore").field(&self.counts()).finish()
    }
}

impl<S: Store> Store for CountingStore<S> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.0.store.get(view, key)?;
        self.0.counters.count_get(value.as_ref());
        Ok(value)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let snapshot = self.0.store.snapshot(view)?;
        add(&self.0.counters.snapshots, 1);
        Ok(Box::new(CountingSnapshot { snapshot, counters: &self.0.counters }))
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        let written = Written::of(&commit);
        let submitted = self.0.store.submit(commit)?;
        match submitted {
            Submitted::Applied(_) => self.0.counters.count_commit(&written),
            Submitted::Conflict => add(&self.0.counters.conflicts, 1),
        }
        Ok(submitted)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.0.store.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.store.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.0.store.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.0.store.max_commit_bytes()
    }
}

struct CountingSnapshot<'a> {
    snapshot: Box<dyn Snapshot + 'a>,
    counters: &'a Counters,
}

impl Snapshot for CountingSnapshot<'_> {
    fn sequence(&self) -> Sequence {
        self.snapshot.sequence()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.snapshot.get(key)?;
        self.counters.count_get(value.as_ref());
        Ok(value)
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> Entries<'_> {
        add(&self.counters.ranges, 1);
        Box::new(self.snapshot.range(range, direction).inspect(|entry| {
            if let Ok((key, value)) = entry {
                add(&self.counters.entries, 1);
                add(&self.counters.bytes_read, key.len() + value.len());
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn everything_that_is_asked_is_counted() -> Result<(), StoreError> {
        let store = CountingStore::new(MemoryStore::new());
        let writes = vec![
            Write::Put(Bytes::from("a"), Bytes::from("123")),
            Write::Create(Bytes::from("b"), Bytes::from("4")),
            Write::Delete(Bytes::from("c")),
        ];
        assert!(matches!(store.submit(Commit { writes, ..Commit::default() })?, Submitted::Applied(_)));
        assert_eq!(store.get(View::Durable, b"a")?.as_deref(), Some(&b"123"[..]));
        let snapshot = store.snapshot(View::Durable)?;
        assert_eq!(snapshot.get(b"absent")?, None);
        assert_eq!(snapshot.range(&KeyRange::ALL, Direction::Ascending).count(), 2);
        let expected = Counts {
            gets: 2,
            snapshots: 1,
            ranges: 1,
            entries: 2,
            bytes_read: 3 + 6,
            commits: 1,
            conflicts: 0,
            puts: 2,
            deletes: 1,
            bytes_written: 7,
        };
        assert_eq!(store.clone().reset(), expected);
        assert_eq!(store.counts(), Counts::default());
        Ok(())
    }
}
