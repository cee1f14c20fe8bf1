//! An index in memory that can be lost, whole or in part, at a crash.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::store::{
    Direction, KeyRange, StoreError, Write,
    digest::SetDigest,
    journaled::{Contents, EachEntry, Fill, Fingerprint, Index, IndexHome, Stamp},
    overlay::Base,
};

/// What an index holds.
#[derive(Clone, Debug, Default)]
struct Content {
    entries: BTreeMap<Bytes, Bytes>,
    stamp: Option<Stamp>,
}

/// The states that a crash may leave.
#[derive(Default)]
struct Kept {
    /// As readers see it; none where there is no index.
    current: Option<Content>,
    /// As it was made durable, newest last.
    synced: Vec<Content>,
}

/// Where the index is. A clone is the same place.
#[derive(Clone, Default)]
pub(super) struct SimHome(Arc<Mutex<Kept>>);

/// An open index.
pub(super) struct SimIndex(Arc<Mutex<Kept>>);

/// What a crash leaves of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing is left.
    Missing,
    /// An older state that was durable once.
    Stale,
    /// All that was applied.
    Current,
    /// Each entry, and the stamp, is as it was at the last checkpoint, or as it was last.
    Torn,
}

impl Loss {
    pub(super) const ALL: [Self; 4] = [Self::Missing, Self::Stale, Self::Current, Self::Torn];
}

impl SimHome {
    /// The index as a crash may leave it.
    pub(super) fn after_crash(&self, loss: Loss, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let kept = self.0.lock();
        let current = match loss {
            Loss::Missing => None,
            Loss::Stale if kept.synced.is_empty() => None,
            Loss::Stale => Some(kept.synced[random.random_range(0..kept.synced.len())].clone()),
            Loss::Current => kept.current.clone(),
            Loss::Torn => kept.current.clone().map(|current| torn(current, kept.synced.last(), &mut random)),
        };
        let synced = current.iter().cloned().collect();
        Self(Arc::new(Mutex::new(Kept { current, synced })))
    }

    /// Lets everybody who reads or writes the index wait until `run` is done.
    pub(super) fn hold<T>(&self, run: impl FnOnce() -> T) -> T {
        let _kept = self.0.lock();
        run()
    }

    /// Changes the index behind everybody's back.
    pub(super) fn tamper(&self, change: impl FnOnce(&mut BTreeMap<Bytes, Bytes>)) {
        if let Some(current) = &mut self.0.lock().current {
            change(&mut current.entries);
        }
    }
}

fn torn(mut current: Content, synced: Option<&Content>, random: &mut SmallRng) -> Content {
    let empty = Content::default();
    let synced = synced.unwrap_or(&empty);
    if random.random_bool(0.5) {
        current.stamp = synced.stamp;
    }
    let keys: Vec<Bytes> = current.entries.keys().chain(synced.entries.keys()).cloned().collect();
    for key in keys {
        if random.random_bool(0.5) {
            match synced.entries.get(&key) {
                Some(value) => current.entries.insert(key, value.clone()),
                None => current.entries.remove(&key),
            };
        }
    }
    current
}

impl Base for SimIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.lock().current.as_ref().and_then(|content| content.entries.get(key).cloned()))
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let kept = self.0.lock();
        let Some(content) = &kept.current else { return Ok(Vec::new()) };
        let inside = content.entries.range((range.start.clone(), range.end.clone()));
        let inside = inside.map(|(key, value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Ascending => inside.take(limit).collect(),
            Direction::Descending => inside.rev().take(limit).collect(),
        })
    }
}

impl Index for SimIndex {
    fn apply(&self, writes: &mut dyn Iterator<Item = &Write>, after: &Stamp) -> Result<(), StoreError> {
        let mut kept = self.0.lock();
        let content = kept.current.get_or_insert_default();
        for write in writes {
            match write.value() {
                Some(value) => content.entries.insert(write.key().clone(), value.clone()),
                None => content.entries.remove(write.key()),
            };
        }
        content.stamp = Some(*after);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut kept = self.0.lock();
        let current = kept.current.clone().unwrap_or_default();
        kept.synced.push(current);
        Ok(())
    }
}

impl Contents for SimIndex {
    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        Ok(self.0.lock().current.as_ref().and_then(|content| content.stamp))
    }

    fn scan(&self, each: EachEntry<'_>) -> Result<(), StoreError> {
        let content = self.0.lock().current.clone().unwrap_or_default();
        content.entries.iter().try_for_each(|(key, value)| each(key, value))
    }
}

impl IndexHome for SimHome {
    type Index = SimIndex;
    type Bare = SimIndex;

    fn open(&self) -> Result<Option<SimIndex>, StoreError> {
        Ok(self.0.lock().current.is_some().then(|| SimIndex(Arc::clone(&self.0))))
    }

    fn open_bare(&self) -> Result<Option<SimIndex>, StoreError> {
        self.open()
    }

    fn rebuild(&self, fill: Fill<'_, SimIndex>) -> Result<SimIndex, StoreError> {
        let beside = SimIndex(Arc::default());
        fill(&beside)?;
        let made = beside.0.lock().current.clone();
        *self.0.lock() = Kept { synced: made.iter().cloned().collect(), current: made };
        Ok(SimIndex(Arc::clone(&self.0)))
    }

    fn release(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn fingerprint(&self) -> Result<Fingerprint, StoreError> {
        let content = self.0.lock().current.clone().unwrap_or_default();
        let mut digest = SetDigest::default();
        for (key, value) in &content.entries {
            digest.add(key, value);
        }
        let stamp = content.stamp.map_or(0, |stamp| stamp.sequence.number());
        Ok(Fingerprint { bytes: digest.entries, digest: digest.sum ^ u128::from(stamp) })
    }
}
