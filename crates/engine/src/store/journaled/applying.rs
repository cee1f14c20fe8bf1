//! Durable commits on their way to the index.

use std::{collections::VecDeque, time::Duration};

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

#[derive(Default)]
struct State {
    groups: VecDeque<Group>,
    is_closed: bool,
}

/// Groups that the index does not have yet, oldest first. How many there can be is bounded by the overlay.
#[derive(Default)]
pub(super) struct Applying {
    state: Mutex<State>,
    work: Condvar,
}

impl Applying {
    pub(super) fn push(&self, group: Group) {
        self.state.lock().groups.push_back(group);
        self.work.notify_one();
    }

    /// No more groups come.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.work.notify_all();
    }

    /// The next groups, up to the one with which they have `max_bytes`; waits for the first. `None` at the end.
    pub(super) fn take(&self, max_bytes: usize) -> Option<Vec<Group>> {
        let mut state = self.state.lock();
        self.work.wait_while(&mut state, |state| state.groups.is_empty() && !state.is_closed);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes
            && let Some(group) = state.groups.pop_front()
        {
            bytes += group.bytes;
            taken.push(group);
        }
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
