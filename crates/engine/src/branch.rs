//! Branches: how one is found, and which of its versions a point means.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    BranchId, Lsn,
    clock::Micros,
    codec::{self, key, record},
    error::Error,
    store::{Direction, KeyRange, Snapshot, Store, StoreError, View},
    version::{VersionData, Versions},
};

/// A point in a branch's history; it selects the newest version at or before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The newest version.
    Head,
    /// The version that was current at this LSN.
    Lsn(Lsn),
    /// The version that was current at this instant, which must have passed.
    Time(DateTime<Utc>),
}

/// What is known of a branch without reading its map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchInfo {
    /// The branch.
    pub id: BranchId,
    /// The branch's newest LSN. It is greater than its newest version's where it was advanced without a change.
    pub head_lsn: Lsn,
    /// The instant of the branch's newest version.
    pub head_time: DateTime<Utc>,
    /// The first LSN that can be read: that of the branch's first version, or of the one it was forked from, or, where those are older than the
    /// [retention window](crate::Transaction::set_retention), of the oldest version that is kept. The last is `head_lsn`.
    pub first_lsn: Lsn,
    /// The first instant that can be read. The last is the present.
    pub first_time: DateTime<Utc>,
    /// Where the branch was forked from; none for a root branch.
    pub origin: Option<Origin>,
}

/// Where a branch was forked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The branch that was forked.
    pub parent: BranchId,
    /// The LSN of the version that the child began with.
    pub lsn: Lsn,
    /// The instant of the version that the child began with.
    pub time: DateTime<Utc>,
    /// The point that was asked for.
    pub asked: Point,
}

impl BranchInfo {
    pub(crate) fn new(id: BranchId, branch: &record::Branch) -> Self {
        let origin = match branch.first {
            record::First::Root { .. } | record::First::CutRoot { .. } => None,
            record::First::Fork { parent, version, micros, asked }
            | record::First::CutFork { parent, version, micros, asked, .. } => Some(Origin {
                parent: BranchId::new(id.namespace(), parent),
                lsn: Lsn::new(version.lsn),
                time: Micros(micros).instant(),
                asked: match asked {
                    record::Asked::Head => Point::Head,
                    record::Asked::Lsn(lsn) => Point::Lsn(Lsn::new(lsn)),
                    record::Asked::Micros(micros) => Point::Time(Micros(micros).instant()),
                },
            }),
        };
        let (first_lsn, first_micros) = first(branch);
        Self {
            id,
            head_lsn: Lsn::new(branch.head_lsn),
            head_time: Micros(branch.head_micros).instant(),
            first_lsn,
            first_time: first_micros.instant(),
            origin,
        }
    }
}

impl From<Point> for record::Asked {
    fn from(point: Point) -> Self {
        match point {
            Point::Head => Self::Head,
            Point::Lsn(lsn) => Self::Lsn(lsn.get()),
            Point::Time(time) => Self::Micros(Micros::of(time).0),
        }
    }
}

/// LSN and instant of the first version that can be read.
pub(crate) fn first(branch: &record::Branch) -> (Lsn, Micros) {
    match branch.first {
        record::First::Root { lsn, micros } | record::First::CutRoot { lsn, micros } => (Lsn::new(lsn), Micros(micros)),
        record::First::Fork { version, micros, .. } => (Lsn::new(version.lsn), Micros(micros)),
        record::First::CutFork { lsn, first_micros, .. } => (Lsn::new(lsn), Micros(first_micros)),
    }
}

impl record::Branch {
    /// The version that the branch was forked from; none for a root branch.
    pub(crate) fn origin(&self) -> Option<record::VersionRef> {
        match self.first {
            record::First::Root { .. } | record::First::CutRoot { .. } => None,
            record::First::Fork { version, .. } | record::First::CutFork { version, .. } => Some(version),
        }
    }

    /// Whether the newest version is the only one that can be read.
    pub(crate) fn has_one_version(&self) -> bool {
        first(self).0.get() == self.head.lsn
    }
}

/// What finding a version needs of the store: a snapshot has it, and so has the store itself, for what one read answers.
pub(crate) trait Read {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
    /// The last entry of a range.
    fn last(&self, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, StoreError>;
}

/// When the oldest version that can be read was superseded; none where it is the newest one.
pub(crate) fn oldest_superseded(
    snapshot: &dyn Snapshot,
    id: BranchId,
    branch: &record::Branch,
) -> Result<Option<Micros>, Error> {
    if branch.has_one_version() {
        return Ok(None);
    }
    let after = key::instants_after(id, first(branch).1);
    let Some((key, _)) = snapshot.range(&after, Direction::Ascending).next().transpose()? else {
        return Err(Error::corrupt(&key::branch(id), "the instant of the version after the first is missing"));
    };
    key::instant_of(&key).map(Some).ok_or_else(|| Error::corrupt(&key, "key of an instant is too short"))
}

impl Read for dyn Snapshot + '_ {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Snapshot::get(self, key)
    }

    fn last(&self, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.range(range, Direction::Descending).next().transpose()
    }
}

/// Reads the durable state, each time anew.
pub(crate) struct Durable<'a>(pub(crate) &'a dyn Store);

impl Read for Durable<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(View::Durable, key)
    }

    fn last(&self, range: &KeyRange) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.0.snapshot(View::Durable)?.range(range, Direction::Descending).next().transpose()
    }
}

pub(crate) fn load(read: &(impl Read + ?Sized), id: BranchId) -> Result<Option<record::Branch>, Error> {
    let key = key::branch(id);
    let Some(value) = read.get(&key)? else { return Ok(None) };
    let (branch, _) = codec::open(&key, &value)?;
    Ok(Some(branch))
}

pub(crate) fn require(read: &(impl Read + ?Sized), id: BranchId) -> Result<record::Branch, Error> {
    load(read, id)?.ok_or(Error::BranchNotFound(id))
}

/// The version that was current at `point`.
pub(crate) fn select(
    read: &(impl Read + ?Sized),
    versions: &Versions,
    id: BranchId,
    branch: &record::Branch,
    point: Point,
    present: Micros,
) -> Result<Arc<VersionData>, Error> {
    let (first_lsn, first_micros) = first(branch);
    let own = match point {
        Point::Head => return versions.load(read, id.namespace(), branch.head),
        Point::Lsn(asked) => {
            let last = Lsn::new(branch.head_lsn);
            if asked < first_lsn || asked > last {
                return Err(Error::LsnOutsideHistory { asked, first: first_lsn, last });
            }
            read.last(&key::versions_until(id, asked))?
        }
        Point::Time(time) => {
            let asked = Micros::of(time);
            if asked < first_micros || asked >= present {
                let (first, present) = (first_micros.instant(), present.instant());
                return Err(Error::TimeOutsideHistory { asked: time, first, present });
            }
            match read.last(&key::instants_until(id, asked))? {
                None => None,
                Some((instant, _)) => {
                    let lsn = key::trailing_lsn(&instant);
                    let lsn = lsn.ok_or_else(|| Error::corrupt(&instant, "key of an instant is too short"))?;
                    let key = key::version(id, lsn);
                    let value = read.get(&key)?.ok_or_else(|| Error::corrupt(&key, "version is missing"))?;
                    Some((key, value))
                }
            }
        }
    };
    match (own, &branch.first) {
        (Some((key, value)), _) => versions.take(id, &key, &value),
        // The branch has not written by then: it is what it was forked from.
        (None, record::First::Fork { version, .. }) => versions.load(read, id.namespace(), *version),
        (
            None,
            record::First::Root { lsn, .. } | record::First::CutRoot { lsn, .. } | record::First::CutFork { lsn, .. },
        ) => Err(Error::corrupt(
            &key::version(id, Lsn::new(*lsn)),
            "the first version of the branch's history is missing",
        )),
    }
}
