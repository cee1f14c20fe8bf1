//! Snapshots, and range reads that merge the base with the chains.

use std::{cmp::Ordering as Order, collections::VecDeque, ops::Bound, sync::atomic::Ordering};

use bytes::Bytes;

use super::{Base, Overlay};
use crate::store::{Direction, Entries, KeyRange, Sequence, Snapshot, StoreError};

/// How many entries the first page of a range read has; each next one has four times as many.
const FIRST_PAGE: usize = 4;
/// How many entries a page has at most.
const MAX_PAGE: usize = 256;

/// An open snapshot; see the invariants of the overlay.
pub(crate) struct OverlaySnapshot<'a, B: Base> {
    pub(super) overlay: &'a Overlay<B>,
    pub(super) sequence: Sequence,
    pub(super) pin: Sequence,
    /// Whether it may look into the base; else it knows only what is in memory.
    pub(super) reads_base: bool,
}

impl<B: Base> Drop for OverlaySnapshot<'_, B> {
    fn drop(&mut self) {
        self.overlay.unpin(self.pin);
    }
}

impl<B: Base> Snapshot for OverlaySnapshot<'_, B> {
    fn sequence(&self) -> Sequence {
        self.sequence
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if self.reads_base {
            return self.overlay.get_at(key, |_| self.sequence);
        }
        let state = self.overlay.state.read();
        self.overlay.in_memory(&state, key, self.sequence).ok_or(StoreError::NotInMemory)
    }

    fn range(&self, range: &KeyRange, direction: Direction) -> Entries<'_> {
        Box::new(RangeRead {
            snapshot: self,
            rest: range.clone(),
            direction,
            is_begun: false,
            page_size: FIRST_PAGE,
            page: VecDeque::new(),
        })
    }
}

/// A range read in pages.
struct RangeRead<'a, B: Base> {
    snapshot: &'a OverlaySnapshot<'a, B>,
    /// What was not read from the base yet.
    rest: KeyRange,
    direction: Direction,
    is_begun: bool,
    page_size: usize,
    page: VecDeque<(Bytes, Bytes)>,
}

impl<B: Base> RangeRead<'_, B> {
    /// Reads the next page, which may turn out empty while there is more to read.
    fn read_page(&mut self) -> Result<(), StoreError> {
        let overlay = self.snapshot.overlay;
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        if is_first && let Some(known) = self.known() {
            self.page = known;
            self.split_off(&[]);
            return Ok(());
        }
        if !self.snapshot.reads_base {
            return Err(StoreError::NotInMemory);
        }
        let page = overlay.base.page(&self.rest, self.direction, self.page_size)?;
        let span = self.split_off(&page);
        self.page_size = (self.page_size * 4).min(MAX_PAGE);
        // The chains are read after the base: a commit that reached the base meanwhile is there.
        let chained = match overlay.chained.load(Ordering::SeqCst) {
            0 => Vec::new(),
            _ => overlay.state.read().chains.visible_in(&span, self.snapshot.sequence),
        };
        self.page = merge(page, chained, self.direction);
        if is_first && self.rest.is_empty() {
            overlay.hot.insert_range(span, self.direction, self.page.make_contiguous(), self.snapshot.sequence);
        }
        Ok(())
    }

    /// All of the range, where that was read before and nothing was written to it since.
    fn known(&self) -> Option<VecDeque<(Bytes, Bytes)>> {
        let OverlaySnapshot { overlay, sequence, .. } = self.snapshot;
        let known = overlay.hot.range(&self.rest, self.direction)?;
        // As long as it is held, nothing is committed.
        let state = overlay.state.read();
        let entries = known.at(*sequence, state.latest, |since| state.chains.unchanged(&self.rest, since));
        entries.map(|entries| entries.iter().cloned().collect())
    }

    /// Takes off `rest`, and returns, the range that a page covers: up to its last key, or all if the page is not full.
    fn split_off(&mut self, page: &[(Bytes, Bytes)]) -> KeyRange {
        let mut span = self.rest.clone();
        match (page.last(), self.direction) {
            (Some((last, _)), Direction::Ascending) if page.len() == self.page_size => {
                span.end = Bound::Included(last.clone());
                self.rest.start = Bound::Excluded(last.clone());
            }
            (Some((last, _)), Direction::Descending) if page.len() == self.page_size => {
                span.start = Bound::Included(last.clone());
                self.rest.end = Bound::Excluded(last.clone());
            }
            _ => {
                let nothing = Bound::Excluded(Bytes::new());
                self.rest = KeyRange { start: nothing.clone(), end: nothing };
            }
        }
        span
    }
}

impl<B: Base> Iterator for RangeRead<'_, B> {
    type Item = Result<(Bytes, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !self.rest.is_empty() {
            if let Err(error) = self.read_page() {
                // An error ends the iteration: what follows a hole must not look like what follows a key.
                self.split_off(&[]);
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// Merges a page of the base with the chains' values, which win; both are sorted, the second ascending.
fn merge(
    page: Vec<(Bytes, Bytes)>,
    chained: Vec<(Bytes, Option<Bytes>)>,
    direction: Direction,
) -> VecDeque<(Bytes, Bytes)> {
    if chained.is_empty() {
        return page.into();
    }
    let mut merged = VecDeque::with_capacity(page.len() + chained.len());
    let mut page = page.into_iter().peekable();
    let in_order = |left: &Bytes, right: &Bytes| match direction {
        Direction::Ascending => left.cmp(right),
        Direction::Descending => right.cmp(left),
    };
    let mut push_chained = |merged: &mut VecDeque<_>, key: Bytes, value: Option<Bytes>| {
        while let Some(entry) = page.next_if(|(base_key, _)| in_order(base_key, &key) == Order::Less) {
            merged.push_back(entry);
        }
        page.next_if(|(base_key, _)| *base_key == key);
        merged.extend(value.map(|value| (key, value)));
    };
    match direction {
        Direction::Ascending => chained.into_iter().for_each(|(key, value)| push_chained(&mut merged, key, value)),
        Direction::Descending => {
            chained.into_iter().rev().for_each(|(key, value)| push_chained(&mut merged, key, value))
        }
    }
    merged.extend(page);
    merged
}
