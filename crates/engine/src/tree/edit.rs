//! Changes a map: makes the nodes on the changed paths anew.
//!
//! An edit goes down to the leaves, changes their entries, and comes back up with *pages*: nodes that are not written yet. Pages that grew too
//! large are split and ones that shrank too much are joined with a neighbour, before any node is written. Then the new nodes are written,
//! children first, since a parent holds its children's checksums.
//!
//! The nodes whose place is taken leave the cache. Most are never read again, and what has to go by age would, until then, take the memory that the next nodes
//! could use again. Where another branch still has them, its next read loads them once.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{Child, Limits, Node, Nodes, Root};
use crate::{
    NamespaceId,
    codec::{self, record},
    error::Error,
};

/// What changes: the new value of each key, or none where the key goes.
pub(crate) type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// Where the nodes of an edit go. Takes a node's payload, gives the reference to it.
pub(crate) trait Sink {
    fn write(&mut self, payload: Vec<u8>) -> Result<Child, Error>;
}

/// Applies `changes` to the map of `root`; gives the same root when they change nothing.
pub(crate) fn edit(
    nodes: &Nodes,
    namespace: NamespaceId,
    limits: Limits,
    root: &Root,
    changes: &Changes,
    sink: &mut impl Sink,
) -> Result<Root, Error> {
    let editor = Editor { nodes, namespace, limits };
    let changes: Vec<Change<'_>> = changes.iter().collect();
    let top = root.load(nodes, namespace)?;
    match editor.edit_node(&top, &changes)? {
        None => Ok(root.clone()),
        Some(pages) => {
            if let Root::Stored(child) = root {
                nodes.forget(child.id);
            }
            editor.write_root(pages, sink)
        }
    }
}

type Change<'a> = (&'a Bytes, &'a Option<Bytes>);

/// A node that is not written yet.
enum Page {
    Leaf(Vec<(Bytes, Bytes)>),
    Inner { level: u8, children: Vec<Draft> },
}

/// A child of a page: as it was, or made anew.
enum Draft {
    Kept { key: Bytes, child: Child },
    New { key: Bytes, page: Page },
}

/// More than what an entry takes beside its key and payload.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 4;

impl Draft {
    fn key(&self) -> &Bytes {
        match self {
            Self::Kept { key, .. } | Self::New { key, .. } => key,
        }
    }
}

impl Page {
    fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    fn entry_bytes(&self) -> impl Iterator<Item = usize> {
        let (leaf, inner): (&[(Bytes, Bytes)], &[Draft]) = match self {
            Self::Leaf(entries) => (entries, &[]),
            Self::Inner { children, .. } => (&[], children),
        };
        let leaf = leaf.iter().map(|(key, value)| key.len() + value.len() + ENTRY_OVERHEAD_BYTES);
        let inner = inner.iter().map(|draft| draft.key().len() + Child::BYTES + ENTRY_OVERHEAD_BYTES);
        leaf.chain(inner)
    }

    fn bytes(&self) -> usize {
        self.entry_bytes().sum()
    }

    /// Cuts off the entries from `index` on.
    fn split_off(&mut self, index: usize) -> Self {
        match self {
            Self::Leaf(entries) => Self::Leaf(entries.split_off(index)),
            Self::Inner { level, children } => Self::Inner { level: *level, children: children.split_off(index) },
        }
    }

    fn first_key(&self) -> Option<&Bytes> {
        match self {
            Self::Leaf(entries) => entries.first().map(|(key, _)| key),
            Self::Inner { children, .. } => children.first().map(Draft::key),
        }
    }

    fn of_node(node: &Node) -> Result<Self, Error> {
        let entries = 0..node.len();
        if node.level() == 0 {
            return Ok(Self::Leaf(entries.map(|index| (node.key_bytes(index), node.payload(index))).collect()));
        }
        let kept = |index| kept(node, index);
        Ok(Self::Inner { level: node.level(), children: entries.map(kept).collect::<Result<_, _>>()? })
    }
}

fn kept(node: &Node, index: usize) -> Result<Draft, Error> {
    let child = node.child(index).ok_or(Error::Internal("a leaf has no children"))?;
    Ok(Draft::Kept { key: node.key_bytes(index), child })
}

struct Editor<'a> {
    nodes: &'a Nodes,
    namespace: NamespaceId,
    limits: Limits,
}

impl Editor<'_> {
    /// The pages that take the node's place; none when nothing changes.
    fn edit_node(&self, node: &Arc<Node>, changes: &[Change<'_>]) -> Result<Option<Vec<Page>>, Error> {
        if node.level() == 0 {
            return Ok(edit_leaf(node, changes).map(|entries| self.split(Page::Leaf(entries))));
        }
        let mut drafts = Vec::with_capacity(node.len() + 1);
        let mut rest = changes;
        let mut changed = false;
        for index in 0..node.len() {
            // A child takes the changes before the next child's first key; the first child also takes those before its own.
            let count = match index + 1 < node.len() {
                true => rest.partition_point(|(key, _)| key.as_ref() < node.key(index + 1)),
                false => rest.len(),
            };
            let (own, later) = rest.split_at(count);
            rest = later;
            let pages = match own {
                [] => None,
                own => self.edit_node(&self.nodes.load_below(self.namespace, node, index)?, own)?,
            };
            match pages {
                None => drafts.push(kept(node, index)?),
                Some(pages) => {
                    changed = true;
                    if let Some(child) = node.child(index) {
                        self.nodes.forget(child.id);
                    }
                    drafts.extend(pages.into_iter().filter_map(new_draft));
                }
            }
        }
        if !changed {
            return Ok(None);
        }
        let children = self.join_small(drafts)?;
        Ok(Some(self.split(Page::Inner { level: node.level(), children })))
    }

    fn is_small(&self, draft: &Draft) -> bool {
        // A kept child was large enough, or had no neighbour; either way it was left so on purpose.
        matches!(draft, Draft::New { page, .. } if page.bytes() < self.limits.min_bytes)
    }

    /// Joins children that are too small with a neighbour.
    fn join_small(&self, drafts: Vec<Draft>) -> Result<Vec<Draft>, Error> {
        let mut joined: Vec<Draft> = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match joined.pop_if(|last| self.is_small(last) || self.is_small(&draft)) {
                None => joined.push(draft),
                Some(last) => {
                    let page = self.join(self.open(last)?, self.open(draft)?)?;
                    joined.extend(self.split(page).into_iter().filter_map(new_draft));
                }
            }
        }
        Ok(joined)
    }

    fn open(&self, draft: Draft) -> Result<Page, Error> {
        match draft {
            Draft::New { page, .. } => Ok(page),
            Draft::Kept { child, .. } => Page::of_node(self.nodes.load(self.namespace, child)?.as_ref()),
        }
    }

    /// Joins neighbours of one level.
    fn join(&self, left: Page, right: Page) -> Result<Page, Error> {
        match (left, right) {
            (Page::Leaf(mut entries), Page::Leaf(more)) => {
                entries.extend(more);
                Ok(Page::Leaf(entries))
            }
            (Page::Inner { level, mut children }, Page::Inner { level: other, children: more }) if level == other => {
                children.extend(more);
                // An only child could not be joined before; now it has neighbours.
                Ok(Page::Inner { level, children: self.join_small(children)? })
            }
            _ => Err(Error::Internal("neighbours in a map are at different levels")),
        }
    }

    /// Splits a page until each part is at most as large as the limit, or cannot be split into parts that are large enough.
    fn split(&self, mut page: Page) -> Vec<Page> {
        let total = page.bytes();
        if total == 0 {
            return Vec::new();
        }
        if total <= self.limits.max_bytes {
            return vec![page];
        }
        let mut left = 0;
        let mut best: Option<(usize, usize)> = None;
        for (index, bytes) in page.entry_bytes().enumerate() {
            let smaller = left.min(total - left);
            if smaller >= self.limits.min_bytes && best.is_none_or(|(_, most)| smaller > most) {
                best = Some((index, smaller));
            }
            left += bytes;
        }
        match best {
            None => vec![page],
            Some((index, _)) => {
                let right = page.split_off(index);
                let mut parts = self.split(page);
                parts.extend(self.split(right));
                parts
            }
        }
    }

    /// Puts as many levels on top of the pages as they need, or takes away as many as they don't, and writes the result.
    fn write_root(&self, mut pages: Vec<Page>, sink: &mut impl Sink) -> Result<Root, Error> {
        while pages.len() > 1 {
            let level = pages[0].level() + 1;
            pages = self.split(Page::Inner { level, children: pages.into_iter().filter_map(new_draft).collect() });
        }
        let Some(mut top) = pages.pop() else { return Ok(Root::empty()) };
        loop {
            match top {
                Page::Inner { ref mut children, .. } if children.len() == 1 => match children.pop() {
                    Some(Draft::Kept { child, .. }) => return self.keep_root(child),
                    Some(Draft::New { page, .. }) => top = page,
                    None => return Ok(Root::empty()),
                },
                page => return self.write_top(page, sink),
            }
        }
    }

    /// A child that was there before is the root now.
    fn keep_root(&self, child: Child) -> Result<Root, Error> {
        let mut child = child;
        loop {
            let node = self.nodes.load(self.namespace, child)?;
            match node.level() {
                0 if node.bytes().len() <= self.limits.inline_bytes => return Ok(Root::Inline(node)),
                0 => return Ok(Root::Stored(child)),
                _ if node.len() == 1 => child = node.child(0).ok_or(Error::Internal("a leaf has no children"))?,
                _ => return Ok(Root::Stored(child)),
            }
        }
    }

    fn write_top(&self, page: Page, sink: &mut impl Sink) -> Result<Root, Error> {
        let level = page.level();
        let payload = encode(page, sink)?;
        if level == 0 && payload.len() <= self.limits.inline_bytes {
            let node = Node::decode(payload.into()).ok_or(Error::Internal("a new node does not decode"))?;
            return Ok(Root::Inline(Arc::new(node)));
        }
        Ok(Root::Stored(sink.write(payload)?))
    }
}

fn new_draft(page: Page) -> Option<Draft> {
    let key = page.first_key()?.clone();
    Some(Draft::New { key, page })
}

/// The leaf's entries after the changes; none when they change nothing.
fn edit_leaf(leaf: &Node, changes: &[Change<'_>]) -> Option<Vec<(Bytes, Bytes)>> {
    let mut entries = Vec::with_capacity(leaf.len() + changes.len());
    let mut changed = false;
    let mut index = 0;
    for (key, value) in changes {
        while index < leaf.len() && leaf.key(index) < key.as_ref() {
            entries.push((leaf.key_bytes(index), leaf.payload(index)));
            index += 1;
        }
        let old = (index < leaf.len() && leaf.key(index) == key.as_ref()).then(|| {
            index += 1;
            leaf.payload(index - 1)
        });
        changed |= old.as_ref() != value.as_ref();
        if let Some(value) = value {
            entries.push(((*key).clone(), value.clone()));
        }
    }
    entries.extend((index..leaf.len()).map(|index| (leaf.key_bytes(index), leaf.payload(index))));
    changed.then_some(entries)
}

/// Writes a page's new children, then gives its own payload.
fn encode(page: Page, sink: &mut impl Sink) -> Result<Vec<u8>, Error> {
    match page {
        Page::Leaf(entries) => {
            let entries = entries.iter().map(|(key, payload)| record::Entry { key, payload }).collect();
            codec::encode(&record::Node { level: 0, entries })
        }
        Page::Inner { level, children } => {
            let mut written = Vec::with_capacity(children.len());
            for draft in children {
                written.push(match draft {
                    Draft::Kept { key, child } => (key, child.to_bytes()),
                    Draft::New { key, page } => {
                        let payload = encode(page, sink)?;
                        (key, sink.write(payload)?.to_bytes())
                    }
                });
            }
            let entries = written.iter().map(|(key, payload)| record::Entry { key, payload }).collect();
            codec::encode(&record::Node { level, entries })
        }
    }
}
