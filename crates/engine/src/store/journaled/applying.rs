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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::store::{Sequence, digest::SetDigest};

    fn group(sequence: u64, bytes: usize) -> Group {
        let after = Stamp { store: 1, sequence: Sequence::new(sequence), digest: SetDigest::default() };
        Group { commits: Vec::new(), after, bytes }
    }

    fn taken(applying: &Applying) -> Option<Vec<u64>> {
        applying.take().map(|groups| groups.iter().map(|group| group.after.sequence.number()).collect())
    }

    #[test]
    fn groups_come_in_their_order_and_in_batches() {
        let applying = Applying::new(10);
        (1..=7).for_each(|number| applying.push(group(number, 4)));
        assert_eq!(taken(&applying), Some(vec![1, 2, 3]));
        applying.push(group(8, 100));
        assert_eq!(taken(&applying), Some(vec![4, 5, 6]));
        assert_eq!(taken(&applying), Some(vec![7, 8]));
    }

    #[test]
    fn fewer_than_a_batch_come_after_a_moment() {
        let applying = Applying::new(10);
        applying.push(group(1, 4));
        assert_eq!(taken(&applying), Some(vec![1]));
    }

    #[test]
    fn what_is_left_at_the_end_comes_and_then_nothing() {
        let applying = Applying::new(10);
        (1..=4).for_each(|number| applying.push(group(number, 4)));
        applying.close();
        assert_eq!(taken(&applying), Some(vec![1, 2, 3]));
        assert_eq!(taken(&applying), Some(vec![4]));
        assert_eq!(taken(&applying), None);
        assert!(applying.pause(Duration::MAX));
    }

    #[test]
    fn each_group_is_taken_while_others_come() {
        let applying = Applying::new(40);
        let all: Vec<u64> = (1..=20_000).collect();
        thread::scope(|scope| {
            let taker = scope.spawn(|| std::iter::from_fn(|| taken(&applying)).flatten().collect::<Vec<_>>());
            all.iter().for_each(|number| applying.push(group(*number, 1 + usize::from(number % 7 == 0) * 90)));
            applying.close();
            assert_eq!(taker.join().unwrap(), all);
        });
    }

    #[test]
    fn the_end_ends_a_pause() {
        let applying = Applying::new(10);
        thread::scope(|scope| {
            let paused = scope.spawn(|| {
                let mut pauses = 0;
                while !applying.pause(Duration::from_secs(3600)) {
                    pauses += 1;
                }
                pauses
            });
            applying.close();
            assert!(paused.join().unwrap() <= 1);
        });
    }
}
