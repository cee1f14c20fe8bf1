//! The end of a transaction: check, build, submit, wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Transaction,
    edit::{Base, BranchEdit},
};
use crate::{
    BranchId, Lsn, NamespaceId, branch,
    clock::Micros,
    codec::{self, envelope, envelope::Unsealed, key, key::NodeId, record},
    engine::Inner,
    error::Error,
    locks::Held,
    store::{self, Commit, Condition, KeyRange, Sequence, Submitted, View, Write},
    tree::{self, Child, Node, Root, Sink},
    version::VersionData,
};

/// The LSN of a root branch's first version, where the caller gives none.
const FIRST_LSN: Lsn = Lsn::new(1);

/// How a transaction's attempt ended.
pub(super) enum Attempt {
    Done(Done),
    Conflict(Conflict),
}

pub(super) struct Done {
    pub(super) instant: Micros,
    pub(super) versions: Vec<(BranchId, Lsn)>,
}

/// What the next attempt should know.
pub(super) struct Conflict {
    /// The next attempt's instant must come after this.
    pub(super) floor: Micros,
    /// The branches that the attempt needed locks of.
    pub(super) branches: BTreeSet<BranchId>,
}

impl Conflict {
    pub(super) fn none() -> Self {
        Self { floor: Micros(i64::MIN), branches: BTreeSet::new() }
    }
}

impl<'a> Transaction<'a> {
    /// Drops all that was written, and keeps what was read.
    pub(super) fn forget_changes(&mut self) {
        self.writes.clear();
        self.branches.retain(|_, edit| !edit.is_new());
        for edit in self.branches.values_mut() {
            edit.changes.clear();
            edit.lsn = None;
        }
    }

    /// Commits under the locks that `held` has already, and those that it lacks.
    pub(super) fn commit(mut self, mut held: Held<'a>) -> Result<Attempt, Error> {
        let inner = self.inner;
        let branches: BTreeSet<BranchId> =
            self.branches.iter().filter(|(_, edit)| !edit.is_new()).map(|(branch, _)| *branch).collect();
        let locked = &branches | &self.timed;
        let conflict = |floor| Ok(Attempt::Conflict(Conflict { floor, branches: locked.clone() }));
        if held.is_nothing() {
            held = inner.locks.hold(&locked);
        } else if !inner.locks.try_extend(&mut held, &locked) {
            return conflict(self.instant);
        }
        let snapshot = inner.store.snapshot(View::Latest)?;
        let Some(current) = self.current_branches(snapshot.as_ref())? else { return conflict(self.instant) };

        let floor = current.iter().filter(|branch| branch.edit.is_changed()).map(|branch| branch.head_micros());
        let floor = floor.max().unwrap_or(Micros(i64::MIN)).max(inner.instants.observed());
        if self.instant <= floor {
            if self.instant_used.get() {
                return conflict(floor);
            }
            self.instant = inner.instants.next(floor);
        }

        let mut builder = Builder::new(inner, self.instant, &self.metadata);
        for branch in current {
            builder.add(branch)?;
        }
        let Builder { mut writes, versions, nodes, ahead, .. } = builder;
        writes.extend(self.writes.into_iter().map(|(key, value)| match value {
            Some(value) => Write::Put(key, value),
            None => Write::Delete(key),
        }));
        let read = |range, at: &dyn store::Snapshot| Condition { range, unchanged_since: at.sequence() };
        let of_branches = branches.iter().map(|branch| read(KeyRange::key(key::branch(*branch)), snapshot.as_ref()));
        let reads = if inner.validates { self.reads } else { Vec::new() };
        let of_store = reads.into_iter().map(|range| read(range, self.snapshot.as_ref()));
        let mut conditions: Vec<_> = of_store.chain(of_branches).collect();
        for WrittenAhead { list, sequence } in ahead {
            // From now on something leads to these nodes, unless somebody has taken them for those of a transaction that failed.
            conditions.push(Condition { range: KeyRange::key(list.clone()), unchanged_since: sequence });
            writes.push(Write::Delete(list));
        }
        let done = Done {
            instant: self.instant,
            versions: versions.iter().map(|version| (version.owner, version.lsn)).collect(),
        };
        if conditions.is_empty() && writes.is_empty() {
            return Ok(Attempt::Done(done));
        }
        let submitted = inner.store.submit(Commit { conditions, writes })?;
        let Submitted::Applied(ticket) = submitted else { return conflict(self.instant) };
        // The next transaction may build on this one while it becomes durable: it will want what was just built.
        for (child, node) in nodes {
            inner.nodes.remember(child, node);
        }
        for version in versions {
            inner.versions.remember(version);
        }
        drop(held);
        // A snapshot that stays open while its own commit is flushed would only make the store remember more.
        drop(snapshot);
        drop(self.snapshot);
        drop(self.reader);
        inner.store.wait(ticket)?;
        Ok(Attempt::Done(done))
    }

    /// The branches as they are now; none when what was read of them does not hold any more.
    fn current_branches(&mut self, snapshot: &dyn store::Snapshot) -> Result<Option<Vec<Current>>, Error> {
        let mut current = Vec::with_capacity(self.branches.len());
        for (id, edit) in std::mem::take(&mut self.branches) {
            let (record, root) = match &edit.base {
                Base::Created => (None, Root::empty()),
                Base::Forked { record, version } => (Some(record.clone()), version.root.clone()),
                Base::Stored { record: base, version } => {
                    let Some(record) = branch::load(snapshot, id)? else { return Ok(None) };
                    if record.head == base.head {
                        (Some(record), version.root.clone())
                    } else {
                        let head = self.inner.versions.load(snapshot, id.namespace(), record.head)?;
                        if self.inner.validates && !edit.still_holds(self.inner, id, &head.root)? {
                            return Ok(None);
                        }
                        (Some(record), head.root.clone())
                    }
                }
            };
            current.push(Current { id, edit, record, root });
        }
        Ok(Some(current))
    }
}

/// A branch that a transaction touched, as it is when the transaction commits.
struct Current {
    id: BranchId,
    edit: BranchEdit,
    /// None for a root branch that the transaction makes.
    record: Option<record::Branch>,
    root: Root,
}

impl Current {
    fn head_micros(&self) -> Micros {
        self.record.as_ref().map_or(Micros(i64::MIN), |record| Micros(record.head_micros))
    }

    /// The LSN of the branch after the commit.
    fn next_lsn(&self) -> Result<Lsn, Error> {
        let head = self.record.as_ref().map(|record| Lsn::new(record.head_lsn));
        match (self.edit.lsn, head) {
            (Some(given), Some(head)) if given <= head => Err(Error::LsnNotGreater { given, head }),
            (Some(given), _) => Ok(given),
            (None, Some(head)) => head.checked_next().ok_or(Error::LsnExhausted(self.id)),
            (None, None) => Ok(FIRST_LSN),
        }
    }
}

/// Collects what a commit writes.
struct Builder<'a> {
    inner: &'a Inner,
    instant: Micros,
    metadata: &'a [u8],
    writes: Vec<Write>,
    versions: Vec<VersionData>,
    nodes: Vec<(Child, Arc<Node>)>,
    /// The bytes of the nodes among `writes`.
    node_bytes: usize,
    ahead: Vec<WrittenAhead>,
}

/// Nodes that were written before the commit that leads to them.
struct WrittenAhead {
    /// The key of the list that names them until then.
    list: Bytes,
    sequence: Sequence,
}

impl<'a> Builder<'a> {
    fn new(inner: &'a Inner, instant: Micros, metadata: &'a [u8]) -> Self {
        Self {
            inner,
            instant,
            metadata,
            writes: Vec::new(),
            versions: Vec::new(),
            nodes: Vec::new(),
            node_bytes: 0,
            ahead: Vec::new(),
        }
    }

    fn add(&mut self, current: Current) -> Result<(), Error> {
        if let Base::Forked { version, .. } = &current.edit.base {
            self.create(key::reference_of_child(version.owner, version.lsn, current.id.number()));
        }
        let made = matches!(current.edit.base, Base::Created);
        if made || !current.edit.changes.is_empty() {
            return self.add_version(&current);
        }
        let Some(mut record) = current.record.clone() else { return Ok(()) };
        if current.edit.lsn.is_some() {
            record.head_lsn = current.next_lsn()?.get();
        }
        if current.edit.is_changed() || current.edit.is_new() {
            self.write_branch(&current, &record)?;
        }
        Ok(())
    }

    fn add_version(&mut self, current: &Current) -> Result<(), Error> {
        let (id, lsn) = (current.id, current.next_lsn()?);
        let root = self.edit_map(current)?;
        let stored = record::Version {
            micros: self.instant.0,
            metadata: self.metadata.to_vec(),
            root: match &root {
                Root::Inline(node) => record::Root::Inline(node.bytes().to_vec()),
                Root::Stored(child) => record::Root::Node { id: child.id.0, checksum: child.checksum.0 },
            },
        };
        let key = key::version(id, lsn);
        let (value, checksum) = codec::seal(&key, &stored)?;
        self.writes.push(Write::Create(key, value));
        self.create(key::instant(id, self.instant, lsn));
        // From its second version on, a branch has one that the retention window leaves behind some day.
        if current.record.as_ref().is_some_and(record::Branch::has_one_version) {
            self.create(key::expiry(id, self.instant));
        }

        let version = VersionData { owner: id, lsn, checksum, micros: self.instant, metadata: stored.metadata, root };
        let first = match &current.record {
            Some(record) => record.first.clone(),
            None => record::First::Root { lsn: lsn.get(), micros: self.instant.0 },
        };
        let (head, head_micros) = (version.reference(), self.instant.0);
        self.write_branch(current, &record::Branch { head, head_micros, head_lsn: lsn.get(), first })?;
        self.versions.push(version);
        Ok(())
    }

    /// Writes a key that says everything itself.
    fn create(&mut self, key: Bytes) {
        let (value, _) = envelope::seal(&key, &[]);
        self.writes.push(Write::Create(key, value));
    }

    fn edit_map(&mut self, current: &Current) -> Result<Root, Error> {
        let (inner, namespace) = (self.inner, current.id.namespace());
        let mut sink = NewNodes { inner, namespace, builder: self };
        tree::edit(&inner.nodes, namespace, inner.limits, &current.root, &current.edit.changes, &mut sink)
    }

    fn write_branch(&mut self, current: &Current, record: &record::Branch) -> Result<(), Error> {
        let key = key::branch(current.id);
        let (value, _) = codec::seal(&key, record)?;
        self.writes.push(if current.edit.is_new() { Write::Create(key, value) } else { Write::Put(key, value) });
        Ok(())
    }
}

/// Gives the new nodes of a map their ids.
struct NewNodes<'a, 'b> {
    inner: &'a Inner,
    namespace: NamespaceId,
    builder: &'b mut Builder<'a>,
}

impl Sink for NewNodes<'_, '_> {
    fn write(&mut self, payload: Unsealed) -> Result<Child, Error> {
        let id = NodeId(self.inner.ids.next()?);
        let key = key::node(self.namespace, id);
        let (value, checksum) = payload.seal(&key);
        let child = Child { id, checksum };
        let node = Node::decode(envelope::payload_of(&value)).ok_or(Error::Internal("a new node does not decode"))?;
        self.builder.node_bytes += key.len() + value.len();
        self.builder.nodes.push((child, Arc::new(node)));
        self.builder.writes.push(Write::Create(key, value));
        if self.builder.node_bytes > self.inner.store.max_commit_bytes() / 4 {
            self.write_ahead()?;
        }
        Ok(child)
    }
}

impl NewNodes<'_, '_> {
    /// Writes nodes before the commit that refers to them, so that no commit gets too large. Until then, nothing leads to them but a list for the
    /// collector; if the commit never comes, they are garbage.
    fn write_ahead(&mut self) -> Result<(), Error> {
        let (mut nodes, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.builder.writes).into_iter().partition(|write| write.key().first() == Some(&b'd'));
        self.builder.writes = rest;
        self.builder.node_bytes = 0;
        for (child, node) in self.builder.nodes.drain(..) {
            self.inner.nodes.remember(child, node);
        }
        let mut ids: BTreeMap<NamespaceId, Vec<u64>> = BTreeMap::new();
        for write in &nodes {
            let (namespace, id) = key::node_of(write.key()).ok_or(Error::Internal("the key of a node is one"))?;
            ids.entry(namespace).or_default().push(id.0);
        }
        let mut lists = Vec::with_capacity(ids.len());
        for (namespace, nodes_of) in ids {
            let list = key::unneeded(namespace, NodeId(nodes_of.first().copied().unwrap_or_default()));
            let (value, _) = codec::seal(&list, &record::Unneeded { nodes: nodes_of, purged: false })?;
            nodes.push(Write::Create(list.clone(), value));
            lists.push(list);
        }
        match self.inner.store.submit(Commit { conditions: Vec::new(), writes: nodes })? {
            Submitted::Applied(ticket) => {
                let sequence = ticket.sequence();
                self.builder.ahead.extend(lists.into_iter().map(|list| WrittenAhead { list, sequence }));
                Ok(())
            }
            Submitted::Conflict => Err(Error::Internal("a commit without conditions cannot conflict")),
        }
    }
}
