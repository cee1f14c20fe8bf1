//! The contract between the engine and whatever keeps its bytes.
//!
//! A store is one ordered map from keys to values with multi-version reads and one way to write: a conditional,
//! atomic, durable [`Commit`]. It knows nothing of branches; the engine above knows nothing of files.
//!
//! # Two views
//!
//! A commit that [`Store::submit`] accepted is *pending* until it is durable. [`View::Latest`] shows pending commits:
//! writers build on it, so that many of them share one flush. [`View::Durable`] shows only what no crash can take back:
//! readers get it. Commits become durable in the order of their [`Sequence`]; if one fails, all later ones fail with it,
//! and the store refuses writes until it is opened again.
//!
//! # Conflicts
//!
//! A commit names the key ranges it depends on, each with the sequence of the snapshot it was read at. The store accepts
//! the commit only if nothing in those ranges was written after that sequence. This covers keys that were read, keys
//! that were found absent and ranges that were found empty, with one rule.

mod digest;
#[cfg(feature = "sled")]
mod disk;
pub mod dump;
mod error;
#[cfg(feature = "sled")]
mod journaled;
mod memory;
mod overlay;
mod shared;
#[cfg(feature = "sled")]
mod sled;

use std::{fmt, ops::Bound, time::Duration};

use bytes::Bytes;

#[cfg(all(feature = "sled", any(test, feature = "testing")))]
pub(crate) use self::journaled::{frame, notes};
pub use self::{error::StoreError, memory::MemoryStore};
#[cfg(feature = "sled")]
pub use self::{
    journaled::{StoreFinding, StorePart, StoreReport, StoreStatus},
    sled::{Repair, SledOptions, SledStore},
};

/// The position of a commit in a store's order of commits; the first commit has sequence 1.
///
/// Sequences go on across restarts and are never given twice to commits that became durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The sequence with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// This sequence's number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The sequence that follows this one. No store gets to the last one, but bytes that nobody wrote may name it.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which commits a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Only commits that no crash can take back.
    Durable,
    /// All accepted commits, also those that are not durable yet.
    Latest,
}

/// The order in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the smallest key to the greatest.
    Ascending,
    /// From the greatest key to the smallest.
    Descending,
}

/// A range of keys, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// Where the range starts.
    pub start: Bound<Bytes>,
    /// Where the range ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// All keys.
    pub const ALL: Self = Self { start: Bound::Unbounded, end: Bound::Unbounded };

    /// The range that holds just this key.
    pub fn key(key: Bytes) -> Self {
        Self { start: Bound::Included(key.clone()), end: Bound::Included(key) }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let start = Bound::Included(Bytes::copy_from_slice(prefix));
        // The end is the prefix with its last byte that can still grow made one greater.
        let end = match prefix.iter().rposition(|byte| *byte < u8::MAX) {
            None => Bound::Unbounded,
            Some(last) => {
                let mut end = prefix[..=last].to_vec();
                end[last] += 1;
                Bound::Excluded(end.into())
            }
        };
        Self { start, end }
    }

    /// How many bytes the bounds have together.
    pub(crate) fn bytes(&self) -> usize {
        let of = |bound: &Bound<Bytes>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.len(),
            Bound::Unbounded => 0,
        };
        of(&self.start) + of(&self.end)
    }

    /// Whether `key` lies in this range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= start.as_ref(),
            Bound::Excluded(start) => key > start.as_ref(),
            Bound::Unbounded => true,
        };
        after_start && !self.ends_before(key)
    }

    /// Whether this range has no keys from `key` on.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key > end.as_ref(),
            Bound::Excluded(end) => key >= end.as_ref(),
            Bound::Unbounded => false,
        }
    }

    /// Whether no key can lie in this range. Ordered maps panic on some such ranges, so ask first.
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            _ => false,
        }
    }
}

/// One change of one key.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes a key that has no value: the caller vouches for it, so the store need not look. Where that is not true, older snapshots lose the value that
    /// there was, and the store's digest is wrong from then on; debug builds check it.
    Create(Bytes, Bytes),
    /// Writes a key, whether it had a value or not.
    Put(Bytes, Bytes),
    /// Removes a key; removing an absent one is no error.
    Delete(Bytes),
}

impl Write {
    /// The key that is written.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Create(key, _) | Self::Put(key, _) | Self::Delete(key) => key,
        }
    }

    /// The key's value after this write.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Create(_, value) | Self::Put(_, value) => Some(value),
            Self::Delete(_) => None,
        }
    }

    /// How many bytes its key and its value have.
    pub fn bytes(&self) -> usize {
        self.key().len() + self.value().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for Write {
    /// Leaves out the value: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Create(_, value) => ("Create", value.len()),
            Self::Put(_, value) => ("Put", value.len()),
            Self::Delete(_) => ("Delete", 0),
        };
        write!(f, "{name}({}, {value} bytes)", self.key().escape_ascii())
    }
}

/// Something a commit depends on: nothing in `range` may have been written after `unchanged_since`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The keys that were read, or found absent.
    pub range: KeyRange,
    /// The sequence of the snapshot they were read at.
    pub unchanged_since: Sequence,
}

/// What is written at once, if all conditions hold. Each key may be written once. It is not empty and does not begin with a zero byte: stores
/// keep such keys for themselves.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// What must not have changed.
    pub conditions: Vec<Condition>,
    /// What is written.
    pub writes: Vec<Write>,
}

/// What became of a submitted commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum Submitted {
    /// The commit is accepted, but not durable before [`Store::wait`] says so.
    Applied(Ticket),
    /// A condition did not hold; nothing was written.
    Conflict,
}

/// An accepted commit, to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a commit is not durable before its ticket was waited for"]
pub struct Ticket(pub(crate) Sequence);

impl Ticket {
    /// The ticket of the commit at this position, as the store that accepted it gives it out.
    pub const fn new(sequence: Sequence) -> Self {
        Self(sequence)
    }

    /// The position of the commit.
    pub fn sequence(self) -> Sequence {
        self.0
    }
}

/// A durable commit, as the change feed shows it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The commit's position.
    pub sequence: Sequence,
    /// What it wrote, in the order of the commit.
    pub writes: std::sync::Arc<[Write]>,
}

/// What a range read yields.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), StoreError>> + Send + 'a>;

/// An ordered map of bytes with consistent reads and atomic, durable, conditional commits.
///
/// `offshoot_engine::testing::conformance` is the suite that every implementation must pass.
pub trait Store: Send + Sync + 'static {
    /// The value of one key. A single key needs no snapshot to be read consistently.
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// A consistent state of all keys, which stays as it is while commits go on. An open snapshot makes the store keep what was
    /// overwritten since, so it should be short-lived.
    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// A snapshot of what is durable for those who must not wait: it answers from memory, or with [`StoreError::NotInMemory`]. A store that has
    /// nothing in memory, or doesn't know, gives none, which is what this does unless a store does better.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInMemory`].
    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Err(StoreError::NotInMemory)
    }

    /// Decides whether `commit` is accepted, against everything accepted before it, and orders it after that.
    ///
    /// A commit without writes is a barrier: its ticket is durable when everything accepted before it is. A condition older than what the
    /// store remembers is answered with [`Submitted::Conflict`]; that cannot happen while the snapshot it was read from is open.
    ///
    /// Blocks while too much is pending.
    ///
    /// # Errors
    ///
    /// - [`StoreError::CommitTooLarge`] for a commit of more than [`Store::max_commit_bytes`].
    /// - [`StoreError::InvalidCommit`] for a commit that breaks the rules of [`Commit`]; in debug builds also those of [`Write::Create`].
    /// - [`StoreError::Poisoned`] after a commit could not be made durable.
    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError>;

    /// Returns when the commit is durable, or with the error that kept it, and all after it, from becoming so. What failed is not shown to
    /// readers, but may be there when the store is opened again.
    fn wait(&self, ticket: Ticket) -> Result<(), StoreError>;

    /// Up to `limit` durable commits that follow `after`, oldest first; none when there is nothing newer.
    ///
    /// # Errors
    ///
    /// [`StoreError::FeedGone`] when commits that follow `after` are no longer kept.
    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError>;

    /// Waits until there is a durable commit that follows `after`; false when `timeout` has passed before that.
    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool;

    /// How many bytes of keys and values one commit may have.
    fn max_commit_bytes(&self) -> usize;
}

/// A consistent state of a [`Store`]; see [`Store::snapshot`].
pub trait Snapshot: Send + Sync {
    /// The newest commit that this snapshot shows.
    fn sequence(&self) -> Sequence;

    /// The value of one key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The keys of a range with their values.
    fn range(&self, range: &KeyRange, direction: Direction) -> Entries<'_>;
}

/// The value of a key that is written once. A reader finds it durable; a writer also needs what is not durable yet.
pub(crate) fn immutable(store: &dyn Store, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    match store.get(View::Durable, key)? {
        Some(value) => Ok(Some(value)),
        None => store.get(View::Latest, key),
    }
}
