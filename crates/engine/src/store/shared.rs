//! A store that several own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View};

/// So an engine works on a store that somebody else keeps a handle on, to dump it or to ask how far it is.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        (**self).get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        (**self).snapshot(view)
    }

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        (**self).snapshot_in_memory()
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        (**self).submit(commit)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        (**self).wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        (**self).feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        (**self).wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        (**self).max_commit_bytes()
    }
}
