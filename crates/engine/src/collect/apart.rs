//! Takes maps apart: finds the nodes of a version that its neighbours do not have.

use std::{collections::HashMap, sync::Arc};

use super::{
    Flow,
    batch::{Batch, KEYS_PER_COMMIT},
};
use crate::{
    BranchId, Lsn, NamespaceId,
    codec::{
        self,
        envelope::Checksum,
        key::{self, NodeId},
        record,
    },
    error::Error,
    store::KeyRange,
    tree::{Child, Node, Nodes, Root},
    version::VersionData,
};

/// Nodes that were loaded, as neighbours have many in common. Beyond this many, it begins anew.
const MOST_RECENT: usize = 4096;

/// Looks for nodes in maps.
pub(super) struct Maps<'a> {
    nodes: &'a Nodes,
    namespace: NamespaceId,
    recent: HashMap<u64, Arc<Node>>,
}

/// The nodes of one map that its neighbours do not have, children first.
pub(super) struct Apart {
    pub(super) nodes: Vec<NodeId>,
    /// Whether these are all.
    pub(super) is_whole: bool,
}

impl<'a> Maps<'a> {
    pub(super) fn new(nodes: &'a Nodes, namespace: NamespaceId) -> Self {
        Self { nodes, namespace, recent: HashMap::new() }
    }

    fn load(&mut self, child: Child) -> Result<Option<Arc<Node>>, Error> {
        if let Some(node) = self.recent.get(&child.id.0) {
            return Ok(Some(Arc::clone(node)));
        }
        let node = self.nodes.load_once(self.namespace, child)?;
        if self.recent.len() >= MOST_RECENT {
            self.recent.clear();
        }
        self.recent.extend(node.iter().map(|node| (child.id.0, Arc::clone(node))));
        Ok(node)
    }

    fn require(&mut self, child: Child) -> Result<Arc<Node>, Error> {
        let node = self.load(child)?;
        node.ok_or_else(|| Error::corrupt(&key::node(self.namespace, child.id), "node is missing"))
    }

    /// Whether the map of `root` has this node at `level`; `key` is the smallest one in it.
    pub(super) fn has(&mut self, root: &Root, id: NodeId, level: u8, key: &[u8]) -> Result<bool, Error> {
        let Root::Stored(top) = root else { return Ok(false) };
        if top.id == id {
            return Ok(true);
        }
        let mut node = self.require(*top)?;
        while node.level() > level {
            let Some(child) = node.child_index(key).and_then(|index| node.child(index)) else { return Ok(false) };
            if node.level() == level + 1 {
                return Ok(child.id == id);
            }
            node = self.require(child)?;
        }
        Ok(false)
    }

    fn is_shared(&mut self, neighbours: &[Root], id: NodeId, level: u8, key: &[u8]) -> Result<bool, Error> {
        for root in neighbours {
            if self.has(root, id, level, key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Up to about `limit` of the nodes of `root` that no neighbour has. A version's map is whole; one that is taken apart already may lack
    /// nodes, with all below them that was to go.
    pub(super) fn take_apart(
        &mut self,
        root: &Root,
        neighbours: &[Root],
        is_begun: bool,
        limit: usize,
    ) -> Result<Apart, Error> {
        let mut apart = Apart { nodes: Vec::new(), is_whole: true };
        if let Root::Stored(top) = root {
            let node = if is_begun { self.load(*top)? } else { Some(self.require(*top)?) };
            if let Some(node) = node
                && !self.is_shared(neighbours, top.id, node.level(), smallest(&node))?
            {
                self.visit(top.id, &node, neighbours, is_begun, limit, &mut apart)?;
            }
        }
        Ok(apart)
    }

    /// Adds what is below a node that no neighbour has, and then the node.
    fn visit(
        &mut self,
        id: NodeId,
        node: &Node,
        neighbours: &[Root],
        is_begun: bool,
        limit: usize,
        apart: &mut Apart,
    ) -> Result<(), Error> {
        let below = node.level().checked_sub(1);
        for index in 0..node.len() {
            let (Some(level), Some(child)) = (below, node.child(index)) else { break };
            if apart.nodes.len() >= limit {
                apart.is_whole = false;
                return Ok(());
            }
            if self.is_shared(neighbours, child.id, level, node.key(index))? {
                continue;
            }
            if level == 0 {
                apart.nodes.push(child.id);
                continue;
            }
            let below = if is_begun { self.load(child)? } else { Some(self.require(child)?) };
            if let Some(below) = below {
                self.visit(child.id, &below, neighbours, is_begun, limit, apart)?;
            }
            if !apart.is_whole {
                return Ok(());
            }
        }
        apart.nodes.push(id);
        Ok(())
    }
}

fn smallest(node: &Node) -> &[u8] {
    if node.len() == 0 { &[] } else { node.key(0) }
}

/// Goes on with the map that is being taken apart, if there is one.
pub(super) fn go_on(batch: &mut Batch<'_>) -> Result<Flow, Error> {
    let Some(value) = batch.view.get(&key::DETACHED)? else { return Ok(Flow::Done) };
    let (detached, _) = codec::open::<record::Detached>(&key::DETACHED, &value)?;
    let namespace = NamespaceId::new(detached.namespace);
    let child = Child { id: NodeId(detached.root), checksum: Checksum(detached.checksum) };
    let is_collected = batch.view.get(&key::namespace(namespace))?.is_none();
    let mut neighbours = Vec::with_capacity(detached.neighbours.len());
    for (owner, lsn) in detached.neighbours.into_iter().filter(|_| !is_collected) {
        neighbours.push(root_of(batch, BranchId::new(namespace, owner), Lsn::new(lsn))?);
    }
    let mut maps = Maps::new(&batch.inner.nodes, namespace);
    // The nodes of a deleted namespace go with all the rest of it.
    let apart = match is_collected {
        true => Apart { nodes: Vec::new(), is_whole: true },
        false => maps.take_apart(&Root::Stored(child), &neighbours, true, KEYS_PER_COMMIT)?,
    };
    batch.depends_on(KeyRange::key(key::DETACHED));
    for id in apart.nodes {
        batch.remove_node(key::node(namespace, id), id)?;
    }
    if apart.is_whole {
        batch.remove(key::DETACHED, value.len());
    }
    let flow = batch.flush()?;
    // As long as what was removed is not durably gone, the same nodes would be found again.
    Ok(if flow == Flow::Stale || apart.is_whole { flow } else { Flow::Paused })
}

fn root_of(batch: &Batch<'_>, owner: BranchId, lsn: Lsn) -> Result<Root, Error> {
    let key = key::version(owner, lsn);
    let value = batch.view.get(&key)?.ok_or_else(|| Error::corrupt(&key, "version is missing"))?;
    Ok(VersionData::decode(owner, lsn, &key, &value)?.root)
}
