//! The most recent durable commits.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::Pending;
use crate::store::{Change, Sequence, StoreError};

/// How many commits are kept at most.
const MAX_CHANGES: usize = 1024;
/// How many bytes of keys and values are kept at most, unless the newest commit alone has more.
const MAX_BYTES: usize = 4 << 20;

/// A bounded window on the durable commits, which ends with the newest.
pub(super) struct Feed {
    changes: VecDeque<(Change, usize)>,
    bytes: usize,
    /// The commit before the first that is kept.
    oldest: Sequence,
}

impl Feed {
    /// Nothing yet; the next commit follows `oldest`.
    pub(super) fn new(oldest: Sequence) -> Self {
        Self { changes: VecDeque::new(), bytes: 0, oldest }
    }

    pub(super) fn push(&mut self, commit: &Pending) {
        let change = Change { sequence: commit.sequence, writes: Arc::clone(&commit.writes) };
        self.bytes += commit.bytes;
        self.changes.push_back((change, commit.bytes));
        while self.changes.len() > MAX_CHANGES || (self.bytes > MAX_BYTES && self.changes.len() > 1) {
            let Some((change, bytes)) = self.changes.pop_front() else { break };
            self.bytes -= bytes;
            self.oldest = change.sequence;
        }
    }

    /// Up to `limit` commits that follow `after`.
    pub(super) fn read(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        if after < self.oldest {
            return Err(StoreError::FeedGone { oldest: self.oldest });
        }
        let first = self.changes.partition_point(|(change, _)| change.sequence <= after);
        Ok(self.changes.iter().skip(first).take(limit).map(|(change, _)| change.clone()).collect())
    }
}

/// Wakes those who wait for more.
pub(super) struct Arrivals {
    newest: Mutex<Sequence>,
    more: Condvar,
}

impl Arrivals {
    pub(super) fn new(newest: Sequence) -> Self {
        Self { newest: Mutex::new(newest), more: Condvar::new() }
    }

    /// Says that the feed has the commits up to `newest`.
    pub(super) fn announce(&self, newest: Sequence) {
        *self.newest.lock() = newest;
        self.more.notify_all();
    }

    /// Waits until the feed has a commit that follows `after`; false when `timeout` has passed before that.
    pub(super) fn wait(&self, after: Sequence, timeout: Duration) -> bool {
        let mut newest = self.newest.lock();
        !self.more.wait_while_for(&mut newest, |newest| *newest <= after, timeout).timed_out()
    }
}
