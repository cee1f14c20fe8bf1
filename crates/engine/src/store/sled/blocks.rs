//! The blocks in sled: finding those that have a key or a range, and changing them.

use std::ops::Bound;

use ::sled::{Batch, Db, IVec};
use bytes::Bytes;

use super::block::{self, Change};
use crate::store::{Direction, KeyRange};

/// The smallest key that users of the store can have.
pub(super) const FIRST_KEY: &[u8] = &[1];
/// How many blocks one batch has. For a changed block sled may write its page anew, of 16 blocks, and while it is at it a page that is in the way: 128 KiB, and for
/// all of them as much as a [buffer](super::tree::BUFFER_BYTES) has.
const MAX_BLOCKS: usize = 128;
/// How many bytes of changes to one block are made at once, which make a quarter of as many blocks of it.
const MAX_CHANGED_BYTES: usize = MAX_BLOCKS / 4 * block::MAX_BYTES;

/// What becomes of an attempt to read blocks.
pub(super) type InBlocks<T> = Result<Result<T, block::Damaged>, ::sled::Error>;

/// The block in which this key is or would be, and its fence.
pub(super) fn block_of(db: &Db, key: &[u8]) -> Result<Option<(IVec, IVec)>, ::sled::Error> {
    db.range(FIRST_KEY..=key).next_back().transpose()
}

/// The blocks that may have entries of a range, in the order of a direction. Most ranges are in one block, so the first costs one look into sled.
pub(super) struct Blocks<'a> {
    db: &'a Db,
    range: &'a KeyRange,
    direction: Direction,
    rest: Option<::sled::Iter>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(db: &'a Db, range: &'a KeyRange, direction: Direction) -> Self {
        Self { db, range, direction, rest: None }
    }

    /// The next block, and its fence.
    pub(super) fn next(&mut self) -> Result<Option<(IVec, IVec)>, ::sled::Error> {
        let end = || self.range.end.as_ref().map(|end| IVec::from(&end[..]));
        match (&mut self.rest, self.direction) {
            (Some(rest), Direction::Ascending) => rest.next().transpose(),
            (Some(rest), Direction::Descending) => rest.next_back().transpose(),
            (None, Direction::Ascending) => {
                let first = match lower(self.range) {
                    Some(start) => block_of(self.db, start)?,
                    None => None,
                };
                let after = match &first {
                    Some((fence, _)) => Bound::Excluded(fence.clone()),
                    None => Bound::Included(IVec::from(FIRST_KEY)),
                };
                let mut rest = self.db.range((after, end()));
                let first = first.map_or_else(|| rest.next().transpose(), |first| Ok(Some(first)));
                self.rest = Some(rest);
                first
            }
            (None, Direction::Descending) => {
                let mut rest = self.db.range((Bound::Included(IVec::from(FIRST_KEY)), end()));
                let first = rest.next_back().transpose();
                self.rest = Some(rest);
                first
            }
        }
    }
}

/// Where a range starts, if entries can be before that.
pub(super) fn lower(range: &KeyRange) -> Option<&[u8]> {
    match &range.start {
        Bound::Included(start) | Bound::Excluded(start) if &start[..] >= FIRST_KEY => Some(start),
        _ => None,
    }
}

/// Adds to a batch what becomes of some blocks by changes, which come in the order of their keys, each key once. Takes these off `changes`, and gives the number of
/// blocks that are written; one that is too large for a block, since it has a single entry, counts as several.
pub(super) fn change_some(db: &Db, changes: &mut &[Change<'_>], batch: &mut Batch) -> InBlocks<usize> {
    let mut written = 0;
    while written < MAX_BLOCKS / 2
        && let Some((first, _)) = changes.first()
    {
        let (fence, old) = match block_of(db, first)? {
            Some((fence, block)) => (fence.to_vec(), block),
            None => (FIRST_KEY.to_vec(), IVec::default()),
        };
        let next = db.range::<&[u8], _>((Bound::Excluded(*first), Bound::Unbounded)).next().transpose()?;
        let until_next = changes.partition_point(|(key, _)| next.as_ref().is_none_or(|(next, _)| *key < &next[..]));
        let at_once = few(&changes[..until_next]);
        let (here, later) = changes.split_at(at_once);
        let blocks = match block::changed(&old, here) {
            Ok(blocks) => blocks,
            Err(damaged) => return Ok(Err(damaged)),
        };
        if blocks.is_empty() {
            batch.remove(&fence[..]);
            written += 1;
        }
        // The first one keeps the fence, so that no other block gets its keys.
        for (place, (first, block)) in blocks.into_iter().enumerate() {
            written += block.len().div_ceil(block::MAX_BYTES);
            batch.insert(if place == 0 { fence.clone() } else { first }, block);
        }
        *changes = later;
        if at_once < until_next {
            // The other changes are to what this block becomes.
            break;
        }
    }
    Ok(Ok(written))
}

/// How many of these changes have [`MAX_CHANGED_BYTES`], and at least one.
fn few(changes: &[Change<'_>]) -> usize {
    let mut bytes = 0;
    let fit = changes.iter().take_while(|(key, value)| {
        bytes += key.len() + value.map_or(0, <[u8]>::len);
        bytes <= MAX_CHANGED_BYTES
    });
    fit.count().clamp(1, changes.len().max(1))
}

/// The first `limit` entries of a block that lie in a range, in the order of `direction`, of which only these are copied; and whether the block
/// has entries behind the range.
pub(super) fn entries_in(
    block: &[u8],
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<(Vec<(Bytes, Bytes)>, bool), block::Damaged> {
    let mut before = 0;
    if direction == Direction::Descending {
        let mut inside = 0_usize;
        block::each(block, |key, _| inside += usize::from(range.contains(key)))?;
        before = inside.saturating_sub(limit);
    }
    let (mut entries, mut ends_here) = (Vec::new(), false);
    block::each(block, |key, value| {
        ends_here |= range.ends_before(key);
        if entries.len() == limit || !range.contains(key) {
            return;
        }
        if before > 0 {
            before -= 1;
        } else {
            entries.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        }
    })?;
    if direction == Direction::Descending {
        entries.reverse();
    }
    Ok((entries, ends_here))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection, prelude::*};

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        (0..2_000_u16).prop_map(|number| [&[FIRST_KEY[0]], &number.to_be_bytes()[..]].concat())
    }

    fn changes() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        let value = (0..block::MAX_BYTES, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
        collection::btree_map(key(), proptest::option::weighted(0.8, value), 0..300)
    }

    fn entries(db: &Db) -> Model {
        let mut entries = Model::new();
        for stored in db.range(FIRST_KEY..) {
            let (fence, stored) = stored.unwrap();
            let before = entries.len();
            block::each(&stored, |key, value| {
                assert!(*key >= fence[..]);
                entries.insert(key.to_vec(), value.to_vec());
            })
            .unwrap();
            assert!(entries.len() > before, "a block is empty");
        }
        entries
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn changes_come_a_few_blocks_at_a_time_each_whole(rounds in collection::vec(changes(), 1..4)) {
            let db = ::sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap();
            let mut model = Model::new();
            for round in &rounds {
                let all: Vec<Change<'_>> = round.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
                let mut rest = &all[..];
                while !rest.is_empty() {
                    let before = rest;
                    let mut batch = Batch::default();
                    let written = change_some(&db, &mut rest, &mut batch).unwrap().unwrap();
                    prop_assert!(rest.len() < before.len() && written <= MAX_BLOCKS, "{written} blocks at once");
                    db.apply_batch(batch).unwrap();
                    for (key, value) in &before[..before.len() - rest.len()] {
                        match value {
                            Some(value) => model.insert(key.to_vec(), value.to_vec()),
                            None => model.remove(*key),
                        };
                    }
                    prop_assert_eq!(&entries(&db), &model);
                }
            }
        }
    }
}
