//! A transaction's own writes over what is stored.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use crate::{
    error::Error,
    store::{Direction, KeyRange},
};

/// A transaction's own writes whose keys lie in `range`.
pub(crate) fn within<'a>(
    writes: &'a BTreeMap<Bytes, Option<Bytes>>,
    range: &KeyRange,
) -> Vec<(&'a Bytes, &'a Option<Bytes>)> {
    if range.is_empty() {
        return Vec::new();
    }
    writes.range((range.start.clone(), range.end.clone())).collect()
}

/// Up to `limit` entries of `stored` as `own` changes them; `own` is in ascending order.
pub(crate) fn merge(
    stored: impl Iterator<Item = Result<(Bytes, Bytes), Error>>,
    mut own: Vec<(&Bytes, &Option<Bytes>)>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, Error> {
    // The next own write is the last of the list.
    if direction == Direction::Ascending {
        own.reverse();
    }
    let before = |a: &Bytes, b: &Bytes| match direction {
        Direction::Ascending => a < b,
        Direction::Descending => a > b,
    };
    let mut merged = Vec::new();
    let mut stored = stored.peekable();
    while merged.len() < limit {
        let next = match stored.peek() {
            Some(Ok((key, _))) => Some(key),
            Some(Err(_)) | None => None,
        };
        let own_is_next = match (own.last(), next) {
            (Some((own, _)), Some(stored)) => !before(stored, own),
            (Some(_), None) => !matches!(stored.peek(), Some(Err(_))),
            (None, _) => false,
        };
        if own_is_next {
            let Some((key, value)) = own.pop() else { break };
            // An own write hides the stored entry of the same key.
            let _hidden = stored.next_if(|entry| matches!(entry, Ok((stored, _)) if stored == key));
            merged.extend(value.clone().map(|value| (key.clone(), value)));
        } else {
            match stored.next().transpose()? {
                Some(entry) => merged.push(entry),
                None => break,
            }
        }
    }
    Ok(merged)
}

/// What of `range` was read to find `entries`: all, or up to the last one where the limit cut it.
pub(crate) fn read_range(range: &KeyRange, direction: Direction, limit: usize, entries: &[(Bytes, Bytes)]) -> KeyRange {
    let mut read = range.clone();
    if entries.len() == limit {
        let Some((last, _)) = entries.last() else {
            // Nothing was asked for: nothing was read.
            let nothing = Bound::Excluded(Bytes::new());
            return KeyRange { start: nothing.clone(), end: nothing };
        };
        let last = Bound::Included(last.clone());
        match direction {
            Direction::Ascending => read.end = last,
            Direction::Descending => read.start = last,
        }
    }
    read
}
