//! What the collector is about to remove, in commits of a bounded size.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Collected, Flow};
use crate::{
    BranchId, Lsn,
    codec::key::{self, NodeId},
    engine::Inner,
    error::Error,
    store::{Commit, Condition, KeyRange, Snapshot, Submitted, Ticket, Write},
};

/// How many keys one commit of the collector writes or removes, about.
pub(super) const KEYS_PER_COMMIT: usize = 512;

/// The removals of one step.
pub(super) struct Batch<'a> {
    pub(super) inner: &'a Inner,
    /// The state of the store that is looked at.
    pub(super) view: &'a dyn Snapshot,
    /// How many more keys may be removed.
    left: usize,
    writes: BTreeMap<Bytes, Write>,
    conditions: Vec<Condition>,
    /// What the writes remove.
    pending: Collected,
    /// What was removed.
    removed: Collected,
    newest: Option<Ticket>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(inner: &'a Inner, view: &'a dyn Snapshot, budget: usize) -> Self {
        Self {
            inner,
            view,
            left: budget.max(1),
            writes: BTreeMap::new(),
            conditions: Vec::new(),
            pending: Collected::default(),
            removed: Collected::default(),
            newest: None,
        }
    }

    /// Whether this step should come to its end.
    pub(super) fn is_used_up(&self) -> bool {
        self.left == 0
    }

    pub(super) fn is_large(&self) -> bool {
        self.writes.len() >= KEYS_PER_COMMIT
    }

    /// Counts something that was looked at, though it is not removed.
    pub(super) fn count_look(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// The commit needs what lies in `range` to be as it was looked at.
    pub(super) fn depends_on(&mut self, range: KeyRange) {
        self.conditions.push(Condition { range, unchanged_since: self.view.sequence() });
    }

    pub(super) fn write(&mut self, write: Write) {
        self.left = self.left.saturating_sub(1);
        self.writes.insert(write.key().clone(), write);
    }

    /// Removes a key that had a value of so many bytes.
    pub(super) fn remove(&mut self, key: Bytes, value_bytes: usize) {
        self.pending.bytes += (key.len() + value_bytes) as u64;
        self.write(Write::Delete(key));
    }

    /// Removes a key; false where there is none.
    pub(super) fn remove_if_there(&mut self, key: Bytes) -> Result<bool, Error> {
        let Some(value) = self.view.get(&key)? else { return Ok(false) };
        self.remove(key, value.len());
        Ok(true)
    }

    pub(super) fn remove_node(&mut self, key: Bytes, id: NodeId) -> Result<(), Error> {
        if self.remove_if_there(key)? {
            self.inner.nodes.forget(id);
            self.pending.nodes += 1;
        }
        Ok(())
    }

    pub(super) fn count(&mut self, count: impl FnOnce(&mut Collected)) {
        count(&mut self.pending);
    }

    /// Leaves a note about the versions of `branch` from one LSN to another.
    pub(super) fn note(&mut self, branch: BranchId, from: Lsn, to: Lsn) -> Result<(), Error> {
        use crate::codec::{self, record::Garbage};
        let key = key::garbage(branch, from);
        let noted = self.view.get(&key)?.map(|value| codec::open::<Garbage>(&key, &value)).transpose()?;
        self.depends_on(KeyRange::key(key.clone()));
        let to_lsn = noted.map_or(0, |(noted, _)| noted.to_lsn).max(to.get());
        let (value, _) = codec::seal(&key, &Garbage { to_lsn })?;
        self.write(Write::Put(key, value));
        Ok(())
    }

    /// Commits what there is.
    pub(super) fn flush(&mut self) -> Result<Flow, Error> {
        let (writes, conditions) = (std::mem::take(&mut self.writes), std::mem::take(&mut self.conditions));
        let pending = std::mem::take(&mut self.pending);
        if writes.is_empty() {
            return Ok(Flow::Done);
        }
        let writes = writes.into_values().collect();
        match self.inner.store.submit(Commit { conditions, writes })? {
            Submitted::Applied(ticket) => {
                self.newest = Some(ticket);
                self.removed.add(pending);
                Ok(Flow::Done)
            }
            Submitted::Conflict => Ok(Flow::Stale),
        }
    }

    /// Commits what there is when it is much, or when the step comes to its end.
    pub(super) fn flush_if_large(&mut self) -> Result<Flow, Error> {
        if self.is_used_up() {
            return Ok(if self.flush()? == Flow::Stale { Flow::Stale } else { Flow::Paused });
        }
        if self.is_large() { self.flush() } else { Ok(Flow::Done) }
    }

    /// Notes a commit that was made beside the batch.
    pub(super) fn committed(&mut self, ticket: Ticket, removed: Collected) {
        self.newest = Some(ticket);
        self.removed.add(removed);
        self.left = self.left.saturating_sub(4);
    }

    /// What was removed, and whether it is durable.
    pub(super) fn finish(self) -> (Collected, Result<(), Error>) {
        let durable = self.newest.map_or(Ok(()), |ticket| self.inner.store.wait(ticket));
        (self.removed, durable.map_err(Error::from))
    }
}
