//! What a branch had at an instant is settled before anybody builds on it.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::{
    Engine, Error, MemoryStore, NamespaceId, Options, Point, Store, StoreError,
    storage::{Change, Commit, Sequence, Snapshot, Submitted, Ticket, View},
    testing::ManualClock,
};

/// A store that holds one commit back when it is submitted, if it is told to.
#[derive(Clone)]
struct Holding {
    inner: MemoryStore,
    holds: Arc<AtomicBool>,
    held: Arc<Barrier>,
    released: Arc<Barrier>,
}

impl Store for Holding {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.inner.snapshot(view)
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        if self.holds.swap(false, Ordering::SeqCst) {
            self.held.wait();
            self.released.wait();
        }
        self.inner.submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.inner.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.inner.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.inner.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.inner.max_commit_bytes()
    }
}

#[test]
fn a_fork_of_an_instant_has_what_was_committed_with_an_earlier_one_however_long_that_took() -> Result<(), Error> {
    let barrier = || Arc::new(Barrier::new(2));
    let store = Holding { inner: MemoryStore::new(), holds: Arc::default(), held: barrier(), released: barrier() };
    let clock = ManualClock::new(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(1));
    let engine = Engine::open(store.clone(), Options::default().with_clock(clock.clone()))?;
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    clock.advance(TimeDelta::seconds(1));
    let (point, child) = thread::scope(|scope| {
        store.holds.store(true, Ordering::SeqCst);
        let slow = scope.spawn(|| engine.transact(|tx| tx.put(main, b"k", b"v")));
        // It has its instant by then.
        store.held.wait();
        clock.advance(TimeDelta::seconds(2));
        let point = Point::Time(engine.now() - TimeDelta::seconds(1));
        let engine = &engine;
        let fork = scope.spawn(move || engine.transact(|tx| tx.fork(main, point)));
        // Lets the fork go by, if it does not wait as it should.
        (0..1000).for_each(|_| thread::yield_now());
        store.released.wait();
        slow.join().expect("no panic")?;
        Ok::<_, Error>((point, fork.join().expect("no panic")?.value.branch))
    })?;
    assert_eq!(engine.version(main, point)?.get(b"k")?.as_deref(), Some(&b"v"[..]));
    assert_eq!(engine.head(child)?.get(b"k")?.as_deref(), Some(&b"v"[..]));
    Ok(())
}
