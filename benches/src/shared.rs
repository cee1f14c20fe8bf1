//! A store that an engine works on, and that can still be asked how it is.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use offshoot_engine::storage::{Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View};

/// A handle on a store, for an engine; the store stays in the hands of whoever made it too.
pub struct Shared<S>(pub Arc<S>);

impl<S: Store> Store for Shared<S> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.0.snapshot(view)
    }

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.0.snapshot_in_memory()
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.0.submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.0.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.0.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.0.max_commit_bytes()
    }
}
