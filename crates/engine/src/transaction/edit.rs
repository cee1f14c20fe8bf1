//! What a transaction read and changed of one branch.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use crate::{
    BranchId, Lsn,
    codec::record,
    engine::Inner,
    error::Error,
    store::{Direction, KeyRange},
    tree::{self, Changes, Root},
    version::VersionData,
};

/// What a transaction's changes of a branch are made on.
pub(crate) enum Base {
    /// A branch as the transaction found it.
    Stored { record: record::Branch, version: Arc<VersionData> },
    /// A root branch that the transaction makes.
    Created,
    /// A child that the transaction makes.
    Forked { record: record::Branch, version: Arc<VersionData> },
}

pub(crate) struct BranchEdit {
    pub(crate) base: Base,
    /// Keys that were read from the base, also those that were absent.
    pub(crate) keys: BTreeSet<Bytes>,
    /// Ranges that were read from the base.
    pub(crate) ranges: Vec<KeyRange>,
    pub(crate) changes: Changes,
    /// The LSN that the caller gives.
    pub(crate) lsn: Option<Lsn>,
}

impl BranchEdit {
    pub(crate) fn new(base: Base) -> Self {
        Self { base, keys: BTreeSet::new(), ranges: Vec::new(), changes: Changes::new(), lsn: None }
    }

    /// Whether the transaction makes this branch.
    pub(crate) fn is_new(&self) -> bool {
        !matches!(self.base, Base::Stored { .. })
    }

    pub(crate) fn is_changed(&self) -> bool {
        !self.changes.is_empty() || self.lsn.is_some()
    }

    pub(crate) fn root(&self) -> Root {
        match &self.base {
            Base::Stored { version, .. } | Base::Forked { version, .. } => version.root.clone(),
            Base::Created => Root::empty(),
        }
    }

    pub(crate) fn iter(&self, inner: &Inner, branch: BranchId, range: KeyRange, direction: Direction) -> tree::Iter {
        tree::Iter::new(Arc::clone(&inner.nodes), branch.namespace(), self.root(), range, direction)
    }

    /// Whether all that was read of the base is the same in `current`.
    pub(crate) fn still_holds(&self, inner: &Inner, branch: BranchId, current: &Root) -> Result<bool, Error> {
        let (base, namespace) = (self.root(), branch.namespace());
        if base.is_same(current) {
            return Ok(true);
        }
        for key in &self.keys {
            if base.get(&inner.nodes, namespace, key)? != current.get(&inner.nodes, namespace, key)? {
                return Ok(false);
            }
        }
        for range in &self.ranges {
            let entries = |root: &Root| {
                let nodes = Arc::clone(&inner.nodes);
                tree::Iter::new(nodes, namespace, root.clone(), range.clone(), Direction::Ascending)
            };
            if !same(entries(&base), entries(current))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn same(mut left: tree::Iter, mut right: tree::Iter) -> Result<bool, Error> {
    loop {
        match (left.next().transpose()?, right.next().transpose()?) {
            (None, None) => return Ok(true),
            (left, right) if left != right => return Ok(false),
            _ => {}
        }
    }
}
