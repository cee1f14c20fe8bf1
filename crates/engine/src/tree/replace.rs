//! Replaces one value in a map, or takes it out, and touches no node but those on the path to it.
//!
//! An edit may join and split neighbours. This one must not: it is for maps of old versions, whose other nodes stay those of the versions beside them.
//! Nodes may get smaller, or larger, than an edit would leave them; readers do not mind.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Child, Node, Nodes, Root, node_payload};
use crate::{NamespaceId, codec::key::NodeId, error::Error};

/// A node on the path to a key.
#[derive(Clone, Debug)]
pub(crate) struct OnPath {
    pub(crate) id: NodeId,
    pub(crate) level: u8,
    /// The smallest key in it.
    pub(crate) smallest: Bytes,
}

/// The stored nodes on the path to `key`, from the root down; where the key would be, if it is not there.
pub(crate) fn path(nodes: &Nodes, namespace: NamespaceId, root: &Root, key: &[u8]) -> Result<Vec<OnPath>, Error> {
    let Root::Stored(top) = root else { return Ok(Vec::new()) };
    let mut path = Vec::new();
    let (mut id, mut node) = (top.id, nodes.load(namespace, *top)?);
    loop {
        let smallest = if node.len() == 0 { Bytes::new() } else { node.key_bytes(0) };
        path.push(OnPath { id, level: node.level(), smallest });
        let Some(index) = node.child_index(key).filter(|_| node.level() > 0) else { return Ok(path) };
        id = node.child(index).ok_or(Error::Internal("a leaf has no children"))?.id;
        node = nodes.load_below(namespace, &node, index)?;
    }
}

/// What took the place of old nodes, so that versions that shared them share the new ones: none where nothing is left of one.
pub(crate) type Successors = HashMap<NodeId, Option<(Bytes, Child)>>;

/// Replaces values under one key.
pub(crate) struct Replacing<'a> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) namespace: NamespaceId,
    pub(crate) key: &'a [u8],
    /// None takes the key out.
    pub(crate) value: Option<&'a [u8]>,
}

impl Replacing<'_> {
    /// The map with the value replaced. `write` takes the payloads of new nodes.
    pub(crate) fn replace(
        &self,
        root: &Root,
        successors: &mut Successors,
        write: &mut dyn FnMut(Vec<u8>) -> Result<Child, Error>,
    ) -> Result<Root, Error> {
        match root {
            Root::Inline(node) => {
                let payload = self.entries(node, None)?;
                let node = payload.and_then(|(_, payload)| Node::decode(payload.into()));
                Ok(node.map_or_else(Root::empty, |node| Root::Inline(node.into())))
            }
            Root::Stored(child) => {
                let node = self.nodes.load(self.namespace, *child)?;
                let new = self.node(child.id, &node, successors, write)?;
                Ok(new.map_or_else(Root::empty, |(_, child)| Root::Stored(child)))
            }
        }
    }

    fn node(
        &self,
        id: NodeId,
        node: &Node,
        successors: &mut Successors,
        write: &mut dyn FnMut(Vec<u8>) -> Result<Child, Error>,
    ) -> Result<Option<(Bytes, Child)>, Error> {
        if let Some(known) = successors.get(&id) {
            return Ok(known.clone());
        }
        let below = match node.child_index(self.key).filter(|_| node.level() > 0) {
            None => None,
            Some(index) => {
                let child = node.child(index).ok_or(Error::Internal("a leaf has no children"))?;
                let below = self.nodes.load_below(self.namespace, node, index)?;
                Some((index, self.node(child.id, &below, successors, write)?))
            }
        };
        let new = match self.entries(node, below)? {
            None => None,
            Some((first, payload)) => Some((first, write(payload)?)),
        };
        successors.insert(id, new.clone());
        Ok(new)
    }

    /// The node's first key and payload with what changed in it; none where no entry is left.
    fn entries(
        &self,
        node: &Node,
        below: Option<(usize, Option<(Bytes, Child)>)>,
    ) -> Result<Option<(Bytes, Vec<u8>)>, Error> {
        let mut entries: Vec<(Bytes, Bytes)> = Vec::with_capacity(node.len());
        for index in 0..node.len() {
            let (key, payload) = (node.key_bytes(index), node.payload(index));
            match &below {
                Some((changed, new)) if *changed == index => {
                    let new =
                        new.as_ref().map(|(first, child)| (first.clone(), Bytes::copy_from_slice(&child.to_bytes())));
                    entries.extend(new);
                }
                None if node.level() == 0 && key == self.key => {
                    entries.extend(self.value.map(|value| (key, Bytes::copy_from_slice(value))));
                }
                _ => entries.push((key, payload)),
            }
        }
        let Some((first, _)) = entries.first() else { return Ok(None) };
        Ok(Some((first.clone(), node_payload(node.level(), &entries)?)))
    }
}
