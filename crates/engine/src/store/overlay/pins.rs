//! Which snapshots are open.

use std::collections::BTreeMap;

use crate::store::Sequence;

/// The open snapshots, by the newest commit that the base had when they were opened.
#[derive(Default)]
pub(super) struct Pins(BTreeMap<Sequence, Readers>);

/// Snapshots with the same pin.
struct Readers {
    count: usize,
    /// The newest commit that any of them has shown, also of those that were closed.
    newest: Sequence,
}

/// What snapshots with one pin may read: states from `pin` to `newest`.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) pin: Sequence,
    pub(super) newest: Sequence,
}

impl Span {
    /// Whether one of the snapshots shows a commit that the base did not have yet when it was opened.
    pub(super) fn shows(&self, sequence: Sequence) -> bool {
        self.pin < sequence && sequence <= self.newest
    }
}

impl Pins {
    pub(super) fn open(&mut self, pin: Sequence, sequence: Sequence) {
        let readers = self.0.entry(pin).or_insert(Readers { count: 0, newest: pin });
        readers.count += 1;
        readers.newest = readers.newest.max(sequence);
    }

    /// Forgets one snapshot; whether it was the last of those with the oldest pin.
    pub(super) fn close(&mut self, pin: Sequence) -> bool {
        let was_oldest = self.oldest() == Some(pin);
        let Some(readers) = self.0.get_mut(&pin) else { return false };
        readers.count -= 1;
        let was_last = readers.count == 0;
        if was_last {
            self.0.remove(&pin);
        }
        was_oldest && was_last
    }

    pub(super) fn oldest(&self) -> Option<Sequence> {
        self.0.first_key_value().map(|(pin, _)| *pin)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.0.iter().map(|(pin, readers)| Span { pin: *pin, newest: readers.newest }).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
