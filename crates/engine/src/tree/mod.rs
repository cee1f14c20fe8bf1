//! Persistent ordered maps: B+trees whose nodes never change.
//!
//! An edit writes the nodes on the paths to what changed and shares all others with the map before. The root of a small map is
//! kept inline by whoever refers to it. Two maps of the same content may have different nodes, but the empty map has one form.

mod diff;
mod edit;
mod iter;
mod node;
mod nodes;

pub(crate) use self::{
    diff::{Diff, Map},
    edit::{Changes, ENTRY_OVERHEAD_BYTES, Sink, edit},
    iter::Iter,
    node::{Child, Node},
    nodes::Nodes,
};

use std::sync::Arc;

use bytes::Bytes;

use crate::{NamespaceId, error::Error};

/// How large nodes are. Not part of the format: a reader takes any size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A node of more bytes is split, where both halves are at least [`Limits::min_bytes`].
    pub(crate) max_bytes: usize,
    /// A node of fewer bytes is merged with a neighbour, where it has one.
    pub(crate) min_bytes: usize,
    /// A map whose only node has at most this many bytes is kept inline.
    pub(crate) inline_bytes: usize,
}

impl Limits {
    /// Chosen by measurement: see `docs/benchmarks.md`.
    pub(crate) const DEFAULT: Self = Self { max_bytes: 1024, min_bytes: 256, inline_bytes: 512 };
    /// Makes deep trees of few keys.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const SMALL: Self = Self { max_bytes: 160, min_bytes: 40, inline_bytes: 60 };
}

/// The root of a map.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// The map's only node.
    Inline(Arc<Node>),
    Stored(Child),
}

impl Root {
    pub(crate) fn empty() -> Self {
        Self::Inline(Arc::new(Node::empty()))
    }

    /// Whether both are the same map for certain, without looking further.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(a), Self::Inline(b)) => a.bytes() == b.bytes(),
            (Self::Stored(a), Self::Stored(b)) => a == b,
            _ => false,
        }
    }

    fn load(&self, nodes: &Nodes, namespace: NamespaceId) -> Result<Arc<Node>, Error> {
        match self {
            Self::Inline(node) => Ok(Arc::clone(node)),
            Self::Stored(child) => nodes.load(namespace, *child),
        }
    }

    /// The value of `key`.
    pub(crate) fn get(&self, nodes: &Nodes, namespace: NamespaceId, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.find(nodes, namespace, key)?.value)
    }

    /// What there is of `key`.
    pub(crate) fn find(&self, nodes: &Nodes, namespace: NamespaceId, key: &[u8]) -> Result<Found, Error> {
        let (mut node, mut place) = match self {
            Self::Inline(node) => (Arc::clone(node), None),
            Self::Stored(child) => (nodes.load(namespace, *child)?, Some(*child)),
        };
        loop {
            if node.level() == 0 {
                return Ok(Found { node: place, value: node.find(key).ok().map(|index| node.payload(index)) });
            }
            let Some(index) = node.child_index(key) else { return Ok(Found { node: place, value: None }) };
            place = node.child(index);
            node = nodes.load_below(namespace, &node, index)?;
        }
    }
}

/// What a map has of a key.
pub(crate) struct Found {
    /// The node that has the key, or that shows that there is none; none where that is kept inline. As long as it is the same, so is the value.
    pub(crate) node: Option<Child>,
    pub(crate) value: Option<Bytes>,
}
