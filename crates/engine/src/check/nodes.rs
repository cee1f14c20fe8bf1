//! The nodes of all maps, each read once.
//!
//! A node is made after its children, and mostly has a greater id: in the order of keys, children come first. So what a node refers to
//! was read before, and each reference is checked when the one who refers is read, however many refer to the same node. Where several engines
//! write to one store, each has a block of ids, and a child's may be the greater one: such a child is read early.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::{
    bounds::Bounds,
    findings::{Cause, Causes, Findings, Problem},
    report::{Count, Maps},
};
use crate::{
    NamespaceId,
    codec::{
        self,
        envelope::{self, Checksum},
        key::{self, NodeId},
        record,
    },
    error::Error,
    store::Snapshot,
    tree::{Child, ENTRY_OVERHEAD_BYTES, Limits, Node},
};

/// A node by its place among those that were read. Four bytes, since there are many references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeIndex(u32);

impl NodeIndex {
    fn get(self) -> usize {
        self.0 as usize
    }
}

/// What is kept of a node.
struct Seen {
    /// The id, or that of the node for whose sake it was read early: the order of `Nodes::seen`.
    order: NodeId,
    /// None where the envelope is damaged.
    checksum: Option<Checksum>,
    /// None where the node does not decode.
    level: Option<u8>,
    /// Bytes of key and value.
    bytes: u32,
    /// Where its references end, and those of the next one begin.
    edges_end: usize,
    is_small: bool,
    is_child: bool,
    use_: Use,
}

/// Who needs a node or a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Nobody.
    #[default]
    Garbage,
    /// Only what was deleted.
    Waiting,
    /// What can be read.
    Needed,
}

#[derive(Default)]
pub(super) struct Nodes {
    /// In the order of their keys.
    seen: Vec<Seen>,
    /// The children of each node, one node after the other.
    edges: Vec<NodeIndex>,
    /// The nodes that were read early.
    early: HashMap<(NamespaceId, NodeId), NodeIndex>,
    /// The node that is being read, then the child that is read early for its sake, and so on.
    path: Vec<NodeId>,
    /// Where each namespace's nodes begin.
    starts: BTreeMap<NamespaceId, usize>,
    /// The bounds of the nodes of the namespace that is being read; only nodes refer to bounds, and only within their namespace.
    bounds: Bounds,
    /// Why nodes cannot be read, or what is below them.
    damage: HashMap<NodeIndex, Causes>,
    /// Nodes with children that are missing.
    incomplete: Vec<(NodeIndex, Cause)>,
}

/// No map is so high.
const MAX_HEIGHT: usize = 64;

/// All references to a node that is another one are one finding.
const REPLACED: &str = "the node is valid, but not the one that is referred to";

/// A node that is being read.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) namespace: NamespaceId,
    pub(super) id: NodeId,
    pub(super) key: &'a Bytes,
    pub(super) value: &'a Bytes,
}

/// What reading a node needs and adds to.
pub(super) struct Reading<'a> {
    pub(super) snapshot: &'a dyn Snapshot,
    pub(super) maps: &'a mut Maps,
    pub(super) findings: &'a mut Findings,
}

impl Nodes {
    /// Takes the next node in the order of keys, and checks its references to its children.
    pub(super) fn add(&mut self, entry: Entry<'_>, reading: &mut Reading<'_>) -> Result<(), Error> {
        if self.early.contains_key(&(entry.namespace, entry.id)) {
            return Ok(());
        }
        if self.starts.last_key_value().is_none_or(|(last, _)| *last != entry.namespace) {
            self.starts.insert(entry.namespace, self.seen.len());
            self.bounds = Bounds::default();
        }
        self.read(entry, reading)?;
        Ok(())
    }

    fn read(&mut self, entry: Entry<'_>, reading: &mut Reading<'_>) -> Result<NodeIndex, Error> {
        self.path.push(entry.id);
        let (checksum, node) = match envelope::open(entry.key, entry.value) {
            Ok((payload, checksum)) => (Some(checksum), Node::decode(payload.clone()).ok_or_else(|| fault(&payload))),
            Err(Error::Corrupt { what, .. }) => (None, Err((Problem::Damaged, what))),
            Err(other) => return Err(other),
        };
        let mut causes = Causes::default();
        let (mut level, mut is_small) = (None, false);
        let mut missing = Vec::new();
        match node {
            Err((problem, what)) => {
                causes.add(reading.findings.add(entry.key, problem, what));
                self.bounds.push(&[], &[]);
            }
            Ok(node) => {
                reading.maps.count_node(node.level(), node.bytes().len());
                level = Some(node.level());
                is_small = page_bytes(&node) < Limits::DEFAULT.min_bytes;
                match node.level() {
                    0 => self.add_leaf(entry, &node, reading.findings),
                    _ => self.add_inner(entry, &node, &mut causes, &mut missing, reading)?,
                }
            }
        }
        let index = u32::try_from(self.seen.len()).map_err(|_| Error::Internal("no check of 2^32 nodes"))?;
        let index = NodeIndex(index);
        self.incomplete.extend(missing.into_iter().map(|cause| (index, cause)));
        if !causes.is_empty() {
            self.damage.insert(index, causes);
        }
        let bytes = u32::try_from(entry.key.len() + entry.value.len()).unwrap_or(u32::MAX);
        self.path.pop();
        let order = self.path.first().copied().unwrap_or(entry.id);
        let (edges_end, use_) = (self.edges.len(), Use::Garbage);
        self.seen.push(Seen { order, checksum, level, bytes, edges_end, is_small, is_child: false, use_ });
        Ok(index)
    }

    /// Reads a node before its turn, if it is there.
    fn read_early(&mut self, namespace: NamespaceId, id: NodeId, reading: &mut Reading<'_>) -> Result<(), Error> {
        let key = key::node(namespace, id);
        if let Some(value) = reading.snapshot.get(&key)? {
            let index = self.read(Entry { namespace, id, key: &key, value: &value }, reading)?;
            self.early.insert((namespace, id), index);
        }
        Ok(())
    }

    fn add_leaf(&mut self, entry: Entry<'_>, leaf: &Node, findings: &mut Findings) {
        match leaf.len() {
            0 => {
                // Readers take it, but nobody writes it.
                findings.add(entry.key, Problem::Disorder, "the node is a leaf without entries");
                self.bounds.push(&[], &[]);
            }
            count => self.bounds.push(leaf.key(0), leaf.key(count - 1)),
        }
    }

    fn add_inner(
        &mut self,
        entry: Entry<'_>,
        node: &Node,
        causes: &mut Causes,
        missing: &mut Vec<Cause>,
        reading: &mut Reading<'_>,
    ) -> Result<(), Error> {
        // The children that are read early have edges of their own, which come first.
        let mut edges = Vec::with_capacity(node.len());
        let mut last = Vec::new();
        for at in 0..node.len() {
            last = node.key(at).to_vec();
            let Some(child) = node.child(at) else { continue };
            if let Some(cause) = self.endless(entry, child, reading.findings) {
                causes.add(cause);
                continue;
            }
            // What comes before the first node of the path was read, if it is there.
            let is_unread = self.path.first().is_some_and(|first| child.id.0 > first.0);
            if is_unread && self.find(entry.namespace, child.id).is_none() {
                self.read_early(entry.namespace, child.id, reading)?;
            }
            let findings = &mut *reading.findings;
            let found = self.refer(entry.namespace, child, findings);
            found.cause.into_iter().for_each(|cause| causes.add(cause));
            let Some(index) = found.index else {
                missing.extend(found.cause);
                continue;
            };
            edges.push(index);
            self.seen[index.get()].is_child = true;
            causes.add_all(self.damage(index));
            if found.cause.is_none()
                && let Some(what) = self.misplaced(entry.namespace, node, at, index)
            {
                let what = format!("entry {at} refers to node {}, {what}", child.id.0);
                causes.add(findings.add(entry.key, Problem::Disorder, what));
            }
            if let Some((_, below)) = self.bounds_of(entry.namespace, index) {
                last = below.to_vec();
            }
        }
        self.edges.extend(edges);
        self.bounds.push(node.key(0), &last);
        Ok(())
    }

    /// What is wrong where the map goes on without end, if it does.
    fn endless(&self, entry: Entry<'_>, child: Child, findings: &mut Findings) -> Option<Cause> {
        if self.path.contains(&child.id) {
            // A node cannot hold a checksum of itself: the one that was meant is another.
            return Some(findings.add(&key::node(entry.namespace, child.id), Problem::Replaced, REPLACED));
        }
        let is_endless = self.path.len() > MAX_HEIGHT;
        is_endless.then(|| findings.add(entry.key, Problem::Disorder, "the node is deeper in its map than any can be"))
    }

    /// What is wrong with a child in its place below `node`, if anything.
    fn misplaced(&self, namespace: NamespaceId, node: &Node, at: usize, index: NodeIndex) -> Option<String> {
        let (level, expected) = (self.seen[index.get()].level?, node.level() - 1);
        if level != expected {
            return Some(format!("whose level is {level} and not {expected}"));
        }
        let (first, last) = self.bounds_of(namespace, index)?;
        if first < node.key(at) {
            return Some("whose first key comes before the entry's own".to_owned());
        }
        let is_beyond = at + 1 < node.len() && last >= node.key(at + 1);
        is_beyond.then(|| "whose last key does not come before that of the next entry".to_owned())
    }

    /// Looks for the node that `child` means.
    pub(super) fn refer(&self, namespace: NamespaceId, child: Child, findings: &mut Findings) -> Found {
        let Some(index) = self.find(namespace, child.id) else {
            let key = key::node(namespace, child.id);
            let cause = findings.add_missing_node(&key);
            return Found { index: None, cause: Some(cause) };
        };
        let checksum = self.seen[index.get()].checksum;
        let cause = checksum.is_some_and(|checksum| checksum != child.checksum).then(|| {
            let key = key::node(namespace, child.id);
            findings.add(&key, Problem::Replaced, REPLACED)
        });
        Found { index: Some(index), cause }
    }

    /// Why a node, or what is below it, cannot be read.
    pub(super) fn damage(&self, index: NodeIndex) -> &Causes {
        static NONE: Causes = Causes::none();
        self.damage.get(&index).unwrap_or(&NONE)
    }

    /// A node's level, where it is known.
    pub(super) fn level(&self, index: NodeIndex) -> Option<u8> {
        self.seen[index.get()].level
    }

    fn find(&self, namespace: NamespaceId, id: NodeId) -> Option<NodeIndex> {
        let start = *self.starts.get(&namespace)?;
        let later = (Bound::Excluded(namespace), Bound::Unbounded);
        let end = self.starts.range(later).next().map_or(self.seen.len(), |(_, start)| *start);
        if let Some(index) = self.early.get(&(namespace, id)) {
            return Some(*index);
        }
        // Those that were read early stand before the one for whose sake that was.
        let nodes = &self.seen[start..end];
        let at = nodes.partition_point(|seen| seen.order.0 <= id.0).checked_sub(1)?;
        let index = u32::try_from(start + at).ok().map(NodeIndex);
        index.filter(|_| nodes[at].order == id)
    }

    /// The first and the last key below a node of the namespace that is being read.
    fn bounds_of(&self, namespace: NamespaceId, index: NodeIndex) -> Option<(&[u8], &[u8])> {
        self.bounds.get(index.get() - self.starts.get(&namespace)?)
    }

    /// Notes who needs the map below a root.
    pub(super) fn use_root(&mut self, root: NodeIndex, use_: Use) {
        let seen = &mut self.seen[root.get()];
        seen.use_ = seen.use_.max(use_);
    }

    /// Passes on to all nodes who needs them, and counts them by that.
    pub(super) fn count_uses(&mut self, maps: &mut Maps, findings: &mut Findings) -> Uses {
        let mut uses = Uses::default();
        // Parents come after their children.
        for at in (0..self.seen.len()).rev() {
            let (start, end) =
                (at.checked_sub(1).map_or(0, |before| self.seen[before].edges_end), self.seen[at].edges_end);
            let use_ = self.seen[at].use_;
            for child in &self.edges[start..end] {
                let child = &mut self.seen[child.get()];
                child.use_ = child.use_.max(use_);
            }
            let seen = &self.seen[at];
            maps.underfull += u64::from(seen.is_small && seen.is_child);
            match use_ {
                Use::Needed => {}
                Use::Waiting => uses.waiting.add(u64::from(seen.bytes)),
                Use::Garbage => uses.garbage.add(u64::from(seen.bytes)),
            }
        }
        for (parent, cause) in &self.incomplete {
            if self.seen[parent.get()].use_ != Use::Garbage {
                findings.need(*cause);
            }
        }
        uses
    }
}

impl Nodes {
    /// The nodes that nobody needs, once it was passed on who needs which.
    pub(super) fn garbage(&self) -> Vec<(NamespaceId, NodeId)> {
        let early: HashMap<usize, NodeId> = self.early.iter().map(|((_, id), index)| (index.get(), *id)).collect();
        let mut garbage = Vec::new();
        let mut end = self.seen.len();
        for (namespace, start) in self.starts.iter().rev() {
            let of_namespace = (*start..end).filter(|at| self.seen[*at].use_ == Use::Garbage);
            let id = |at| early.get(&at).copied().unwrap_or(self.seen[at].order);
            garbage.extend(of_namespace.map(|at| (*namespace, id(at))));
            end = *start;
        }
        garbage
    }
}

/// What a reference leads to.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The node, though it may be another than the one that was meant.
    pub(super) index: Option<NodeIndex>,
    /// What is wrong with the reference.
    pub(super) cause: Option<Cause>,
}

/// Nodes that nothing needs which can be read.
#[derive(Clone, Copy, Default)]
pub(super) struct Uses {
    pub(super) waiting: Count,
    pub(super) garbage: Count,
}

/// How large the node was by the measure that splits and joins it.
fn page_bytes(node: &Node) -> usize {
    (0..node.len()).map(|at| node.key(at).len() + node.payload(at).len() + ENTRY_OVERHEAD_BYTES).sum()
}

/// Why a payload whose checksum is right is not a node.
fn fault(payload: &Bytes) -> (Problem, &'static str) {
    let Some(node) = codec::borrow::<record::Node<'_>>(payload) else {
        return (Problem::Damaged, "checksum matches, but the value does not decode");
    };
    let what = if node.entries.is_sorted_by(|before, after| before.key < after.key) {
        "the node has a level, a number of entries, or a length of a key or value that no node has"
    } else {
        "the keys in the node do not ascend"
    };
    (Problem::Disorder, what)
}
