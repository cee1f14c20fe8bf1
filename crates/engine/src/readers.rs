//! Who is reading, so that the collector takes nothing from them.
//!
//! Whoever looks for a version, in a snapshot, a transaction or a single read, *enters* first and leaves when all that was found is held by a handle
//! of its own. What the collector wants to take could not be found any more in a state of the store that it looked at. So those who enter
//! after that cannot find it, and it waits for those who entered before: for a *grace period*. Readers never wait.
//!
//! Readers are counted in two places in turn. [`Readers::begin_grace`] has those who come use the other place, once that is empty; the
//! grace period is over when the place before is empty too. New readers cannot make it longer.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[derive(Default)]
pub(crate) struct Readers {
    /// Counts grace periods; its lowest bit is the place that readers use.
    turn: AtomicU64,
    places: [AtomicU64; 2],
}

/// Somebody who is reading.
pub(crate) struct Reader<'a> {
    place: &'a AtomicU64,
}

/// A grace period that began.
pub(crate) struct Grace {
    before: usize,
}

fn place(turn: u64) -> usize {
    usize::from(turn & 1 == 1)
}

impl Readers {
    pub(crate) fn enter(&self) -> Reader<'_> {
        loop {
            let turn = self.turn.load(SeqCst);
            let place = &self.places[place(turn)];
            place.fetch_add(1, SeqCst);
            // A turn in between may have found the place empty already.
            if self.turn.load(SeqCst) == turn {
                return Reader { place };
            }
            place.fetch_sub(1, SeqCst);
        }
    }

    /// Begins a grace period for what cannot be found any more by now; none while readers from before the last one are left.
    /// Only the collector calls this.
    pub(crate) fn begin_grace(&self) -> Option<Grace> {
        let turn = self.turn.load(SeqCst);
        if self.places[place(turn + 1)].load(SeqCst) > 0 {
            return None;
        }
        self.turn.store(turn + 1, SeqCst);
        Some(Grace { before: place(turn) })
    }

    /// Whether all who entered before the grace period began have left.
    pub(crate) fn is_over(&self, grace: &Grace) -> bool {
        self.places[grace.before].load(SeqCst) == 0
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.place.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        thread,
    };

    use super::*;

    #[test]
    fn a_grace_period_ends_when_those_from_before_have_left_and_not_for_those_who_came_since() {
        let readers = Readers::default();
        let before = readers.enter();
        let grace = readers.begin_grace().expect("nobody is left");
        let since = readers.enter();
        assert!(!readers.is_over(&grace));
        assert!(readers.begin_grace().is_none(), "those from before are still there");
        drop(before);
        assert!(readers.is_over(&grace));
        let next = readers.begin_grace().expect("those from before have left");
        assert!(!readers.is_over(&next));
        drop(since);
        assert!(readers.is_over(&next));
    }

    #[test]
    fn nothing_is_taken_from_a_reader() {
        // The value is taken by making it the greatest number; a reader that found it must not see that.
        let (readers, found, done) = (Readers::default(), AtomicU64::new(0), AtomicBool::new(false));
        let values: Vec<AtomicU64> = (0..2_000).map(|_| AtomicU64::new(1)).collect();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(SeqCst) {
                        let _reader = readers.enter();
                        let at = usize::try_from(found.load(SeqCst)).expect("an index");
                        for _ in 0..10 {
                            assert_eq!(values[at].load(SeqCst), 1, "it was taken from a reader");
                            std::hint::spin_loop();
                        }
                    }
                });
            }
            for old in 0..values.len() - 1 {
                found.store(old as u64 + 1, SeqCst);
                let grace = loop {
                    match readers.begin_grace() {
                        Some(grace) => break grace,
                        None => thread::yield_now(),
                    }
                };
                while !readers.is_over(&grace) {
                    thread::yield_now();
                }
                values[old].store(u64::MAX, SeqCst);
            }
            done.store(true, SeqCst);
        });
    }
}
