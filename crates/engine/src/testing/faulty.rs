//! A store that fails, or tells wrong things, as a test wants it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::store::{
    Change, Commit, Direction, Entries, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View,
};

/// What a [`FaultyStore`] can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A read of a single key, from the store or a snapshot.
    Get,
    /// The opening of a snapshot.
    Snapshot,
    /// A range read; it yields the error instead of its first entry.
    Range,
    /// A submission; nothing was written.
    Submit,
    /// The answer to a submission; the commit was accepted, or not, all the same.
    SubmitAnswer,
    /// A wait for a commit, which may become durable all the same.
    Wait,
    /// A read of the change feed.
    Feed,
}

/// A store that passes everything on to another one, but for the faults that a test plans.
///
/// Clones are handles on the same store and the same plan.
pub struct FaultyStore<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    /// What becomes of the next operations, one after the other; none where one is passed on.
    failures: HashMap<Operation, VecDeque<Option<StoreError>>>,
    tampered: BTreeMap<Bytes, Option<Bytes>>,
}

impl Plan {
    fn fail(&mut self, operation: Operation) -> Result<(), StoreError> {
        let error = self.failures.get_mut(&operation).and_then(VecDeque::pop_front).flatten();
        error.map_or(Ok(()), Err)
    }
}

impl<S> FaultyStore<S> {
    /// Wraps a store; there are no faults yet.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, plan: Mutex::default() }))
    }

    /// Makes the next `operation` fail; called twice, the next two.
    pub fn fail_next(&self, operation: Operation, error: StoreError) {
        self.0.plan.lock().failures.entry(operation).or_default().push_back(Some(error));
    }

    /// Passes on the next `times` of `operation`, before the failures that are planned after this.
    pub fn pass_next(&self, operation: Operation, times: usize) {
        self.0.plan.lock().failures.entry(operation).or_default().extend(std::iter::repeat_n(None, times));
    }

    /// Lets every read of `key` find `value`, or nothing. Range reads show another value, or hide the key, but never show a key that is not stored.
    pub fn tamper(&self, key: Bytes, value: Option<Bytes>) {
        self.0.plan.lock().tampered.insert(key, value);
    }

    /// Forgets all faults that are still planned.
    pub fn heal(&self) {
        *self.0.plan.lock() = Plan::default();
    }

    /// The store that was wrapped.
    pub fn inner(&self) -> &S {
        &self.0.store
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for FaultyStore<S> {
    /// Leaves out what is stored: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

/// Reads one key as planned, or else by `read`.
fn get(
    plan: &Mutex<Plan>,
    key: &[u8],
    read: impl FnOnce() -> Result<Option<Bytes>, StoreError>,
) -> Result<Option<Bytes>, StoreError> {
    {
        let mut plan = plan.lock();
        plan.fail(Operation::Get)?;
        if let Some(value) = plan.tampered.get(key) {
            return Ok(value.clone());
        }
    }
    read()
}

impl<S: Store> Store for FaultyStore<S> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        get(&self.0.plan, key, || self.0.store.get(view, key))
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.0.plan.lock().fail(Operation::Snapshot)?;
        Ok(Box::new(FaultySnapshot { snapshot: self.0.store.snapshot(view)?, plan: &self.0.plan }))
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.0.plan.lock().fail(Operation::Submit)?;
        let submitted = self.0.store.submit(commit)?;
        self.0.plan.lock().fail(Operation::SubmitAnswer)?;
        Ok(submitted)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.0.plan.lock().fail(Operation::Wait)?;
        self.0.store.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.plan.lock().fail(Operation::Feed)?;
        self.0.store.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.0.store.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.0.store.max_commit_bytes()
    }
}

struct FaultySnapshot<'a> {
    snapshot: Box<dyn Snapshot + 'a>,
    plan: &'a Mutex<Plan>,
}

impl Snapshot for FaultySnapshot<'_> {
    fn sequence(&self) -> Sequence {
        self.snapshot.sequence()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        get(self.plan, key, || self.snapshot.get(key))
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> Entries<'_> {
        if let Err(error) = self.plan.lock().fail(Operation::Range) {
            return Box::new(std::iter::once(Err(error)));
        }
        Box::new(self.snapshot.range(range, direction).filter_map(|entry| {
            let Ok((key, value)) = entry else { return Some(entry) };
            match self.plan.lock().tampered.get(&key) {
                None => Some(Ok((key, value))),
                Some(tampered) => tampered.clone().map(|value| Ok((key, value))),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Write};

    #[test]
    fn each_planned_fault_happens_once() -> Result<(), StoreError> {
        let store = FaultyStore::new(MemoryStore::new());
        let put = || Commit { writes: vec![Write::Put(Bytes::from("a"), Bytes::from("1"))], ..Commit::default() };
        store.fail_next(Operation::Submit, StoreError::Closed);
        assert!(matches!(store.submit(put()), Err(StoreError::Closed)));
        assert_eq!(store.get(View::Durable, b"a")?, None);
        store.fail_next(Operation::SubmitAnswer, StoreError::OutcomeUnknown);
        assert!(matches!(store.submit(put()), Err(StoreError::OutcomeUnknown)));
        assert_eq!(store.get(View::Durable, b"a")?.as_deref(), Some(&b"1"[..]));
        Ok(())
    }

    #[test]
    fn reads_see_what_was_tampered_with() -> Result<(), StoreError> {
        let store = FaultyStore::new(MemoryStore::new());
        let writes = ["a", "b"].map(|key| Write::Put(Bytes::from(key), Bytes::from("1"))).to_vec();
        assert!(matches!(store.submit(Commit { writes, ..Commit::default() })?, Submitted::Applied(_)));
        store.tamper(Bytes::from("a"), None);
        store.tamper(Bytes::from("b"), Some(Bytes::from("2")));
        assert_eq!(store.get(View::Durable, b"a")?, None);
        let snapshot = store.snapshot(View::Durable)?;
        let entries: Result<Vec<_>, _> = snapshot.range(&KeyRange::ALL, Direction::Ascending).collect();
        assert_eq!(entries?, [(Bytes::from("b"), Bytes::from("2"))]);
        Ok(())
    }
}
