//! The one sled tree, with every call guarded: sled panics on some kinds of damage.

use std::{
    any::Any,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ::sled::{Db, IVec};
use bytes::Bytes;

use crate::store::{Direction, KeyRange, StoreError, overlay::Base};

/// Where the stamp is kept. All other keys are greater than this and [`FIRST_KEY`].
pub(super) const STAMP_KEY: &[u8] = &[0];
/// The smallest key that users of the store can have.
const FIRST_KEY: &[u8] = &[1];

/// The base of the store's overlay.
pub(super) struct SledTree(Db);

impl SledTree {
    pub(super) fn new(db: Db) -> Self {
        Self(db)
    }

    /// For the one who writes.
    pub(super) fn db(&self) -> &Db {
        &self.0
    }
}

impl Base for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key < FIRST_KEY {
            return Ok(None);
        }
        let value = guarded("reading a key", || self.0.get(key))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let range = without_stamp(range);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let to_bytes = |entry: Result<(IVec, IVec), _>| {
            entry.map(|(key, value)| (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        };
        guarded("reading a range", || {
            let entries = self.0.range((range.start, range.end));
            match direction {
                Direction::Ascending => entries.take(limit).map(to_bytes).collect(),
                Direction::Descending => entries.rev().take(limit).map(to_bytes).collect(),
            }
        })
    }
}

/// The part of a range that lies behind the stamp.
fn without_stamp(range: &KeyRange) -> KeyRange {
    let start = match &range.start {
        Bound::Included(start) | Bound::Excluded(start) if start.as_ref() >= FIRST_KEY => range.start.clone(),
        _ => Bound::Included(Bytes::from_static(FIRST_KEY)),
    };
    KeyRange { start, end: range.end.clone() }
}

/// Calls sled, and makes errors of its errors and panics.
pub(super) fn guarded<T>(action: &str, call: impl FnOnce() -> Result<T, ::sled::Error>) -> Result<T, StoreError> {
    // What a panic leaves behind is never written to again: the store fails with it.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| sled_error(action, error)),
        Err(panic) => {
            Err(StoreError::Corrupt { what: format!("sled panicked while {action}: {}", panic_text(&*panic)) })
        }
    }
}

fn sled_error(action: &str, error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(error) => StoreError::io(format!("go on {action} with sled"))(error),
        error => StoreError::Corrupt { what: format!("sled failed while {action}: {error}") },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
