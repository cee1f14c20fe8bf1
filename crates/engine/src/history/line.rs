//! A line of versions, each made from the one before.

use crate::{
    BranchId, Lsn, Snapshot, Version, branch,
    codec::{key, record},
    error::Error,
    store::Direction,
};

/// What comes before the oldest version of a line.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The line begins there.
    Nothing,
    /// It was forked from this version.
    Fork(record::VersionRef),
    /// What cannot be read any more.
    Unknown,
}

/// Versions that one branch made, as far as they can be read, up to some LSN.
pub(super) struct Line<'a> {
    snapshot: &'a Snapshot<'a>,
    branch: BranchId,
    first: Lsn,
    last: Lsn,
    end: End,
    /// Whether the version that the branch was forked from counts as its first.
    has_origin: bool,
}

impl<'a> Line<'a> {
    /// The versions that can be read of a branch, the one it was forked from among them.
    pub(super) fn of_branch(snapshot: &'a Snapshot<'a>, id: BranchId) -> Result<Self, Error> {
        let record = branch::require(snapshot.parts().1, id)?;
        Ok(Self::new(snapshot, id, &record, Lsn::new(u64::MAX)))
    }

    fn new(snapshot: &'a Snapshot<'a>, branch: BranchId, record: &record::Branch, last: Lsn) -> Self {
        let (first, _) = branch::first(record);
        let end = match record.first {
            record::First::Root { .. } => End::Nothing,
            record::First::Fork { version, .. } => End::Fork(version),
            record::First::CutRoot { .. } | record::First::CutFork { .. } => End::Unknown,
        };
        Self { snapshot, branch, first, last, end, has_origin: true }
    }

    /// The versions up to the one that a child began with, on the branch that made it.
    fn up_to(snapshot: &'a Snapshot<'a>, branch: BranchId, version: Lsn) -> Result<Self, Error> {
        let line = branch::load(snapshot.parts().1, branch)?
            .map(|record| Self::new(snapshot, branch, &record, version))
            .filter(|line| line.first <= version);
        // A deleted branch, or one whose history begins later, has nothing to show but what the child keeps.
        let alone = Self { snapshot, branch, first: version, last: version, end: End::Unknown, has_origin: false };
        Ok(line.unwrap_or(alone).without_origin())
    }

    /// Just the versions that the branch itself made.
    pub(super) fn without_origin(self) -> Self {
        Self { has_origin: false, ..self }
    }

    /// What comes before the line's oldest version.
    pub(super) fn end(&self) -> End {
        self.end
    }

    /// Up to `limit` versions from `first` up to and with `last`.
    pub(super) fn page(
        &self,
        first: Lsn,
        last: Lsn,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Version>, Error> {
        let (inner, store) = self.snapshot.parts();
        let range = key::versions_between(self.branch, first.max(self.first), last.min(self.last));
        let own = store.range(&range, direction).map(|entry| {
            let (key, value) = entry?;
            let version = inner.versions.take(self.branch, &key, &value)?;
            Ok(self.snapshot.version(self.branch.namespace(), version))
        });
        let origin = match self.end {
            End::Fork(version) if self.has_origin && (first.get()..=last.get()).contains(&version.lsn) => Some(version),
            _ => None,
        };
        let origin = origin.into_iter().map(|version| self.open(version));
        match direction {
            Direction::Ascending => origin.chain(own).take(limit).collect(),
            Direction::Descending => own.chain(origin).take(limit).collect(),
        }
    }

    fn open(&self, version: record::VersionRef) -> Result<Version, Error> {
        self.snapshot.open(self.branch.namespace(), version)
    }

    fn newest(&self, until: Lsn) -> Result<Option<Version>, Error> {
        Ok(self.page(Lsn::new(0), until, Direction::Descending, 1)?.pop())
    }

    /// The version before that at `lsn`.
    pub(super) fn before(&self, lsn: Lsn) -> Result<Option<Version>, Error> {
        lsn.checked_before().map_or(Ok(None), |until| self.newest(until))
    }

    /// The newest version at or before `lsn`, of this line or of one that it was forked from: the line is that one then.
    pub(super) fn newest_until(&mut self, lsn: Lsn) -> Result<Option<Version>, Error> {
        loop {
            let found = self.newest(lsn)?;
            if found.is_some() || self.go_on()?.is_none() {
                return Ok(found);
            }
        }
    }

    /// The oldest of the versions next to `newest` that all are the same to `is_same`, and the version before it, which may be of a line that this one
    /// was forked from: the line is that one then. Whatever lies between two that are the same must be the same, too.
    pub(super) fn run(
        &mut self,
        newest: Version,
        is_same: impl Fn(&Version) -> Result<bool, Error>,
    ) -> Result<(Version, Option<Version>), Error> {
        let mut oldest = newest;
        loop {
            let (same, before) = self.run_here(oldest, &is_same)?;
            if before.is_some() {
                return Ok((same, before));
            }
            match self.go_on()? {
                None => return Ok((same, None)),
                Some(origin) if is_same(&origin)? => oldest = origin,
                Some(origin) => return Ok((same, Some(origin))),
            }
        }
    }

    /// The run within the line: in leaps that grow while they stay in it, and shrink from the first on that does not.
    fn run_here(
        &self,
        newest: Version,
        is_same: &impl Fn(&Version) -> Result<bool, Error>,
    ) -> Result<(Version, Option<Version>), Error> {
        let (mut oldest, mut leap, mut grows) = (newest, 1_u64, true);
        loop {
            let target = oldest.lsn().get().checked_sub(leap).map(Lsn::new);
            let found = target.map_or(Ok(None), |lsn| self.newest(lsn))?;
            match found {
                Some(found) if is_same(&found)? => {
                    oldest = found;
                    leap = if grows { leap.saturating_mul(2) } else { (leap / 2).max(1) };
                }
                found if leap == 1 => return Ok((oldest, found)),
                _ => {
                    grows = false;
                    leap /= 2;
                }
            }
        }
    }

    /// Goes on with the line that this one was forked from; gives the version it was forked from.
    fn go_on(&mut self) -> Result<Option<Version>, Error> {
        let End::Fork(version) = self.end else { return Ok(None) };
        let origin = self.open(version)?;
        *self = Self::up_to(self.snapshot, origin.branch(), origin.lsn())?;
        Ok(Some(origin))
    }
}
