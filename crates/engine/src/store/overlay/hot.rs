//! Bounded caches of small things, in front of the base.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::store::{Direction, KeyRange, Sequence};

/// What was read, so that reading it again costs no look into the base.
pub(crate) struct Hot(Option<Caches>);

struct Caches {
    /// The newest durable values of keys.
    ///
    /// A key leaves before a commit of it can be applied. It comes back, under the same lock, only if no commit was accepted while its value was read.
    values: Cache<Bytes, Bytes, ByBytes>,
    /// Ranges that were read whole and had few entries. They leave by age alone: an entry says of which sequences it is true, and who reads it finds out
    /// whether it still is, as long as the chains know. So a range must be read about as often as the base takes commits, or the base is read again.
    ranges: Cache<(KeyRange, Direction), Arc<ShortRange>, ByBytes>,
}

/// Larger values are not kept: whoever reads those keeps them decoded.
const MAX_HOT_VALUE_BYTES: usize = 512;

/// Ranges with more entries are not kept.
const MAX_SHORT_RANGE: usize = 8;

/// One in so many of all bytes is for ranges.
const RANGES_PART: u64 = 8;

#[derive(Clone)]
struct ByBytes;

/// What a cache and the allocations of an entry take beside the bytes of the entry.
const OVERHEAD: usize = 160;

impl Weighter<Bytes, Bytes> for ByBytes {
    fn weight(&self, key: &Bytes, value: &Bytes) -> u64 {
        (key.len() + value.len() + OVERHEAD) as u64
    }
}

impl Weighter<(KeyRange, Direction), Arc<ShortRange>> for ByBytes {
    fn weight(&self, (range, _): &(KeyRange, Direction), known: &Arc<ShortRange>) -> u64 {
        let entries = known.entries.iter().map(|(key, value)| key.len() + value.len() + OVERHEAD);
        (range.bytes() + entries.sum::<usize>() + 2 * OVERHEAD) as u64
    }
}

impl Hot {
    /// Keeps about this many bytes.
    #[cfg(feature = "sled")]
    pub(crate) fn with_bytes(bytes: u64) -> Self {
        // The caches size their tables by a guess at how many entries they will hold.
        let count = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        let of_ranges = bytes / RANGES_PART;
        let of_values = bytes - of_ranges;
        Self(Some(Caches {
            values: Cache::with_weighter(count(of_values, 256), of_values, ByBytes),
            ranges: Cache::with_weighter(count(of_ranges, 2048), of_ranges, ByBytes),
        }))
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.0.as_ref()?.values.get(key)
    }

    pub(super) fn insert(&self, key: &[u8], value: &Bytes) {
        if let Some(caches) = &self.0
            && value.len() <= MAX_HOT_VALUE_BYTES
        {
            caches.values.insert(Bytes::copy_from_slice(key), value.clone());
        }
    }

    pub(super) fn remove(&self, key: &[u8]) {
        if let Some(caches) = &self.0 {
            caches.values.remove(key);
        }
    }

    pub(super) fn range(&self, range: &KeyRange, direction: Direction) -> Option<Arc<ShortRange>> {
        self.0.as_ref()?.ranges.get(&(range.clone(), direction))
    }

    /// Keeps what a range has at `at`, where that is little.
    pub(super) fn insert_range(&self, range: KeyRange, direction: Direction, entries: &[(Bytes, Bytes)], at: Sequence) {
        let Some(caches) = &self.0 else { return };
        let is_little =
            entries.len() <= MAX_SHORT_RANGE && entries.iter().all(|(_, value)| value.len() <= MAX_HOT_VALUE_BYTES);
        let key = (range, direction);
        // Who reads an old state does not take away what those who read the newest one need.
        if is_little && caches.ranges.get(&key).is_none_or(|known| known.from <= at) {
            let known = ShortRange { entries: entries.to_vec(), from: at, to: AtomicU64::new(at.number()) };
            caches.ranges.insert(key, Arc::new(known));
        }
    }
}

/// All that a range has, and of which sequences that is true.
pub(super) struct ShortRange {
    entries: Vec<(Bytes, Bytes)>,
    from: Sequence,
    to: AtomicU64,
}

impl ShortRange {
    /// What the range has at `at`, where that is known. Nobody may commit meanwhile: `is_unchanged` says whether nothing was written to the range after a
    /// sequence, up to `latest`.
    pub(super) fn at(
        &self,
        at: Sequence,
        latest: Sequence,
        is_unchanged: impl FnOnce(Sequence) -> bool,
    ) -> Option<&[(Bytes, Bytes)]> {
        if at < self.from {
            return None;
        }
        let to = Sequence::new(self.to.load(Ordering::Relaxed));
        if at > to {
            if !is_unchanged(to) {
                return None;
            }
            self.to.fetch_max(latest.number(), Ordering::Relaxed);
        }
        Some(&self.entries)
    }
}
