//! Durable commits on their way to the index.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::stamp::Stamp;
use crate::store::overlay::Pending;

/// A durable group of commits.
pub(super) struct Group {
    pub(super) commits: Vec<Pending>,
    /// The store after it.
    pub(super) after: Stamp,
    pub(super) bytes: usize,
}

/// How long groups gather at most: what comes together is applied together, and keys that are overwritten in between only once.
const LINGER: Duration = Duration::from_millis(200);

#[derive(Default)]
struct State {
    groups: VecDeque<Group>,
    bytes: usize,
    is_closed: bool,
}

/// Groups that the index does not have yet, oldest first. How many there can be is bounded by the overlay.
pub(super) struct Applying {
    state: Mutex<State>,
    work: Condvar,
    /// A batch takes no more groups once it has these bytes, and is not waited for any longer.
    batch_bytes: usize,
}

impl Applying {
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), batch_bytes }
    }

    pub(super) fn push(&self, group: Group) {
        let mut state = self.state.lock();
        let was_short = state.bytes < self.batch_bytes;
        state.bytes += group.bytes;
        state.groups.push_back(group);
        // The thread has to be woken for the first group, and when there are enough.
        if state.groups.len() == 1 || (was_short && state.bytes >= self.batch_bytes) {
            self.work.notify_one();
        }
    }

    /// No more groups come.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.work.notify_all();
    }

    /// The next groups; waits for the first, and a little for more. `None` at the end.
    pub(super) fn take(&self) -> Option<Vec<Group>> {
        let mut state = self.state.lock();
        self.work.wait_while(&mut state, |state| state.groups.is_empty() && !state.is_closed);
        let is_short = |state: &mut State| state.bytes < self.batch_bytes && !state.is_closed;
        self.work.wait_while_until(&mut state, is_short, Instant::now() + LINGER);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < self.batch_bytes
            && let Some(group) = state.groups.pop_front()
        {
            bytes += group.bytes;
            taken.push(group);
        }
        state.bytes -= bytes;
        (!taken.is_empty()).then_some(taken)
    }

    /// Waits for a while, or until no more groups come; whether that is so.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            self.work.wait_for(&mut state, time);
        }
        state.is_closed
    }
}
