//! What was: the versions of a branch, and the values that one key had.
//!
//! A branch's versions are entries of the store, in the order of their LSNs, so a page of them is one range read. What a version changed is not
//! stored: it is what differs from the version before, and costs as much to find as there is of it. A key's values are found by looking for
//! the versions at which the node that has the key was replaced by another.

mod line;

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

use self::line::{End, Line};
use crate::{BranchId, Difference, Direction, KeyRange, Lsn, Snapshot, Version, error::Error};

/// A version of a branch's history; see [`Snapshot::history`].
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The version. It is of another branch where that branch is what was forked.
    pub version: Version,
    before: Before,
}

/// What a branch had before a version.
#[derive(Clone, Debug)]
enum Before {
    Version(Version),
    /// The branch was made with the version.
    Nothing,
    /// The branch's history cannot be read that far back.
    Unknown,
}

impl HistoryEntry {
    /// The version before this one; none for the oldest that can be read.
    pub fn before(&self) -> Option<&Version> {
        match &self.before {
            Before::Version(version) => Some(version),
            Before::Nothing | Before::Unknown => None,
        }
    }

    /// What the version changed, among the keys of `range`, in the order of the keys; its cost follows what there is.
    ///
    /// None where that cannot be told, since what was before cannot be read: for the version that a branch was forked from, and for the oldest within
    /// retention.
    ///
    /// Yields [`Error::Corrupt`] or [`Error::Store`] where reading fails, and ends there.
    pub fn changes(&self, range: KeyRange) -> Option<impl Iterator<Item = Result<Difference, Error>> + Send + use<>> {
        match &self.before {
            Before::Version(before) => Some(self.version.changes(Some(before), range)),
            Before::Nothing => Some(self.version.changes(None, range)),
            Before::Unknown => None,
        }
    }
}

/// A value that a key had; see [`Snapshot::key_history`].
#[derive(Clone)]
pub struct Revision {
    /// The version that gave the key this value, with its branch, its instant and its metadata.
    pub version: Version,
    /// The value; none where the version removed the key.
    pub value: Option<Bytes>,
    /// Whether the key may have had this value before the version, which is the oldest that can be read.
    pub may_be_older: bool,
}

impl std::fmt::Debug for Revision {
    /// Leaves out the value: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revision")
            .field("version", &self.version)
            .field("bytes", &self.value.as_ref().map(Bytes::len))
            .field("may_be_older", &self.may_be_older)
            .finish()
    }
}

impl Snapshot<'_> {
    /// Up to `limit` versions of a branch whose LSNs lie in `lsns`: those that it made, and the one it was forked from, as far as they can be read.
    ///
    /// The next page begins where this one ended: after the last LSN of it, or before.
    ///
    /// ```
    /// # use offshoot_engine::{Direction, Engine, Error, KeyRange, MemoryStore, NamespaceId, Options};
    /// # let engine = Engine::open(MemoryStore::new(), Options::default())?;
    /// # let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    /// engine.transact(|tx| {
    ///     tx.set_metadata(b"casey: the first role")?;
    ///     tx.put(main, b"sally", b"secret 1")
    /// })?;
    /// engine.transact(|tx| tx.delete(main, b"sally"))?;
    ///
    /// let snapshot = engine.snapshot()?;
    /// let newest = snapshot.history(main, .., Direction::Descending, 2)?;
    /// assert_eq!(newest[1].version.metadata(), b"casey: the first role");
    /// for difference in newest[1].changes(KeyRange::ALL).into_iter().flatten() {
    ///     assert_eq!(difference?.key, "sally");
    /// }
    /// let older = snapshot.history(main, ..newest[1].version.lsn(), Direction::Descending, 2)?;
    /// assert_eq!(older.len(), 1, "the branch began with a version that holds nothing");
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn history(
        &self,
        branch: BranchId,
        lsns: impl RangeBounds<Lsn>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, Error> {
        let line = Line::of_branch(self, branch)?;
        let Some((first, last)) = inclusive(&lsns) else { return Ok(Vec::new()) };
        let mut page = line.page(first, last, direction, limit)?;
        if direction == Direction::Descending {
            page.reverse();
        }
        let before_page = match page.first() {
            Some(oldest) => line.before(oldest.lsn())?,
            None => return Ok(Vec::new()),
        };
        let mut before = match before_page {
            Some(before) => Before::Version(before),
            None if matches!(line.end(), End::Nothing) => Before::Nothing,
            None => Before::Unknown,
        };
        let entries = page.into_iter().map(|version| {
            let before = std::mem::replace(&mut before, Before::Version(version.clone()));
            HistoryEntry { version, before }
        });
        let mut entries: Vec<_> = entries.collect();
        if direction == Direction::Descending {
            entries.reverse();
        }
        Ok(entries)
    }

    /// Up to `limit` values that a key of a branch had, newest first: of the branch itself and, before it was forked, of what it was forked from, as
    /// far as that can be read. Only what versions with an LSN in `lsns` brought is told; the next page ends before the last LSN of this one.
    ///
    /// Versions that did not touch the node that has the key are passed over in leaps, so the cost follows how often that node was written, and
    /// the logarithm of the number of versions.
    ///
    /// ```
    /// # use offshoot_engine::{Engine, Error, MemoryStore, NamespaceId, Options, Point};
    /// # let engine = Engine::open(MemoryStore::new(), Options::default())?;
    /// # let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    /// engine.transact(|tx| tx.put(main, b"sally", b"secret 1"))?;
    /// let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
    /// engine.transact(|tx| tx.put(child, b"other", b"does not matter"))?;
    /// engine.transact(|tx| tx.put(child, b"sally", b"secret 2"))?;
    ///
    /// let revisions = engine.snapshot()?.key_history(child, b"sally", .., 10)?;
    /// let [new, old] = &revisions[..] else { panic!("two values") };
    /// assert_eq!((new.version.branch(), new.value.as_deref()), (child, Some(&b"secret 2"[..])));
    /// assert_eq!((old.version.branch(), old.value.as_deref()), (main, Some(&b"secret 1"[..])));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn key_history(
        &self,
        branch: BranchId,
        key: &[u8],
        lsns: impl RangeBounds<Lsn>,
        limit: usize,
    ) -> Result<Vec<Revision>, Error> {
        let mut revisions = Vec::new();
        let mut line = Line::of_branch(self, branch)?.without_origin();
        let Some((first, last)) = inclusive(&lsns) else { return Ok(revisions) };
        let Some(mut newest) = line.newest_until(last)? else { return Ok(revisions) };
        while revisions.len() < limit {
            let found = newest.find(key)?;
            let (oldest, before) = line.run(newest, |version| {
                // What is kept inline has no name that would tell one from another.
                Ok(found.node.is_some() && version.find(key)?.node == found.node)
            })?;
            if oldest.lsn() < first {
                break;
            }
            let (old_value, may_be_older) = match &before {
                Some(before) => (before.get(key)?, false),
                None => (None, matches!(line.end(), End::Unknown)),
            };
            if found.value != old_value {
                revisions.push(Revision { version: oldest, value: found.value, may_be_older });
            }
            match before {
                Some(before) => newest = before,
                None => break,
            }
        }
        Ok(revisions)
    }
}

/// The first and the last LSN of a range; none where it has none.
fn inclusive(lsns: &impl RangeBounds<Lsn>) -> Option<(Lsn, Lsn)> {
    let first = match lsns.start_bound() {
        Bound::Unbounded => Lsn::new(0),
        Bound::Included(lsn) => *lsn,
        Bound::Excluded(lsn) => lsn.checked_next()?,
    };
    let last = match lsns.end_bound() {
        Bound::Unbounded => Lsn::new(u64::MAX),
        Bound::Included(lsn) => *lsn,
        Bound::Excluded(lsn) => lsn.checked_before()?,
    };
    Some((first, last))
}
