//! The naive model: what the engine must do, done in the plainest way. Every version is a full copy of its map.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{BranchId, Lsn, Point};

/// A map in full.
pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A version in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    /// The branch whose commit made it.
    pub branch: BranchId,
    /// The LSN of the commit that made it.
    pub lsn: Lsn,
    /// The instant of the commit that made it.
    pub time: DateTime<Utc>,
    /// All it holds.
    pub map: Map,
}

/// A branch with all that can be read of it.
#[derive(Clone, Debug)]
pub struct ModelBranch {
    /// The engine's name of the branch.
    pub id: BranchId,
    /// The version that it began with, and all that it made since, oldest first.
    pub versions: Vec<ModelVersion>,
    /// Its newest LSN.
    pub head_lsn: Lsn,
    /// The LSN of the version that it began with, which may have been cut off since.
    pub began: Lsn,
}

impl ModelBranch {
    /// A branch that begins with `version`.
    pub fn new(id: BranchId, version: ModelVersion, head_lsn: Lsn) -> Self {
        Self { id, head_lsn, began: version.lsn, versions: vec![version] }
    }

    /// Whether the version that the branch began with can be read.
    pub fn is_whole(&self) -> bool {
        self.versions[0].lsn == self.began
    }

    /// The newest version.
    pub fn head(&self) -> &ModelVersion {
        // A branch is made with a version and never loses one.
        &self.versions[self.versions.len() - 1]
    }

    /// Forgets the versions before the one that was current at `start`.
    pub fn cut(&mut self, start: DateTime<Utc>) {
        let current = self.versions.iter().rposition(|version| version.time <= start);
        self.versions.drain(..current.unwrap_or(0));
    }

    /// The version that was current at `point`, which must lie before the present; none before the history begins or beyond the head.
    pub fn at(&self, point: Point) -> Option<&ModelVersion> {
        let mut newest_first = self.versions.iter().rev();
        match point {
            Point::Head => newest_first.next(),
            Point::Lsn(lsn) if lsn > self.head_lsn => None,
            Point::Lsn(lsn) => newest_first.find(|version| version.lsn <= lsn),
            Point::Time(time) => newest_first.find(|version| version.time <= time),
        }
    }

    /// Makes a version of the newest one with `changes`.
    pub fn commit(&mut self, lsn: Lsn, time: DateTime<Utc>, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        let mut map = self.head().map.clone();
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        self.versions.push(ModelVersion { branch: self.id, lsn, time, map });
        self.head_lsn = lsn;
    }

    /// A copy of this branch's version at `point`, as the child `id`.
    pub fn fork(&self, id: BranchId, point: Point) -> Option<Self> {
        let version = self.at(point)?.clone();
        let head_lsn = match point {
            Point::Head => self.head_lsn,
            Point::Lsn(lsn) => lsn,
            Point::Time(_) => version.lsn,
        };
        Some(Self::new(id, version, head_lsn))
    }
}
