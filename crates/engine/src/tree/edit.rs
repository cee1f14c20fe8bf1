//! Changes a map: makes the nodes on the changed paths anew.
//!
//! An edit goes down to the leaves, changes their entries, and comes back up with *pages*: nodes that are not written yet. Pages that grew too
//! large are split and ones that shrank too much are joined with a neighbour, before any node is written. Then the new nodes are written,
//! children first, since a parent holds its children's checksums.
//!
//! The nodes whose place is taken leave the cache. Most are never read again, and what has to go by age would, until then, take the memory that the next nodes
//! could use again. Where another branch still has them, its next read loads them once.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{Child, Limits, Node, Nodes, Root};
use crate::{
    NamespaceId,
    codec::{envelope::Unsealed, record::NodeWriter},
    error::Error,
};

/// What changes: the new value of each key, or none where the key goes.
pub(crate) type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// Where the nodes of an edit go. Takes a node's payload, gives the reference to it.
pub(crate) trait Sink {
    fn write(&mut self, payload: Unsealed) -> Result<Child, Error>;
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
struct Page {
    level: u8,
    runs: Vec<Run>,
}

/// Entries that follow each other in a page.
enum Run {
    /// As they are in a node that is there, so that they can be copied as they are encoded.
    Kept(Arc<Node>, Range<usize>),
    /// A new entry of a leaf.
    Value { key: Bytes, value: Bytes },
    /// A child that is made anew.
    Child { key: Bytes, page: Page },
}

/// About what an entry takes beside its key and payload.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 4;

impl Run {
    /// Makes a page a child of the page above it; nothing of one without entries.
    fn child(page: Page) -> Option<Self> {
        let key = match page.runs.first()? {
            Self::Kept(node, entries) => node.key_bytes(entries.start),
            Self::Value { key, .. } | Self::Child { key, .. } => key.clone(),
        };
        Some(Self::Child { key, page })
    }

    fn len(&self) -> usize {
        match self {
            Self::Kept(_, entries) => entries.len(),
            Self::Value { .. } | Self::Child { .. } => 1,
        }
    }

    /// How many bytes the entry at `index` has.
    fn entry_bytes(&self, index: usize) -> usize {
        let bytes = match self {
            Self::Kept(node, entries) => node.entry_bytes(entries.start + index),
            Self::Value { key, value } => key.len() + value.len(),
            Self::Child { key, .. } => key.len() + Child::BYTES,
        };
        bytes + ENTRY_OVERHEAD_BYTES
    }

    /// At most how many bytes the entries have as they are encoded.
    fn encoded_bytes(&self) -> usize {
        match self {
            Self::Kept(node, entries) => node.encoded(entries.clone()).len(),
            Self::Value { key, value } => key.len() + value.len() + NodeWriter::ENTRY_OVERHEAD_BYTES,
            Self::Child { key, .. } => key.len() + Child::BYTES + NodeWriter::ENTRY_OVERHEAD_BYTES,
        }
    }

    /// Cuts off the entries from `index` on.
    fn split_off(&mut self, index: usize) -> Option<Self> {
        match self {
            Self::Kept(node, entries) if index < entries.len() => {
                let end = std::mem::replace(&mut entries.end, entries.start + index);
                Some(Self::Kept(Arc::clone(node), entries.end..end))
            }
            _ => None,
        }
    }
}

impl Page {
    fn of_node(node: Arc<Node>) -> Self {
        let mut page = Self { level: node.level(), runs: Vec::with_capacity(1) };
        page.keep(&node, 0..node.len());
        page
    }

    /// Adds entries as they are in a node.
    fn keep(&mut self, node: &Arc<Node>, entries: Range<usize>) {
        if !entries.is_empty() {
            self.runs.push(Run::Kept(Arc::clone(node), entries));
        }
    }

    fn len(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }

    fn entry_bytes(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().flat_map(|run| (0..run.len()).map(|index| run.entry_bytes(index)))
    }

    fn bytes(&self) -> usize {
        self.entry_bytes().sum()
    }

    /// Cuts off the entries from `index` on.
    fn split_off(&mut self, index: usize) -> Self {
        let (mut left, mut at) = (index, 0);
        while let Some(run) = self.runs.get(at).filter(|run| run.len() <= left) {
            left -= run.len();
            at += 1;
        }
        let mut runs = Vec::with_capacity(self.runs.len() - at);
        if left > 0 {
            runs.extend(self.runs[at].split_off(left));
            at += 1;
        }
        runs.extend(self.runs.drain(at..));
        Self { level: self.level, runs }
    }
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
            return Ok(edit_leaf(node, changes).map(|page| self.split(page)));
        }
        let mut page = Page { level: node.level(), runs: Vec::new() };
        let (mut rest, mut kept, mut changed) = (changes, 0, false);
        while let Some(((first, _), _)) = rest.split_first() {
            // A child takes the changes before the next child's first key; the first child also takes those before its own.
            let index = node.child_index(first).unwrap_or(0);
            let count = match index + 1 < node.len() {
                true => rest.partition_point(|(key, _)| key.as_ref() < node.key(index + 1)),
                false => rest.len(),
            };
            let (own, later) = rest.split_at(count.max(1));
            rest = later;
            let below = self.nodes.load_below(self.namespace, node, index)?;
            let Some(pages) = self.edit_node(&below, own)? else { continue };
            changed = true;
            if let Some(child) = node.child(index) {
                self.nodes.forget(child.id);
            }
            page.keep(node, kept..index);
            page.runs.extend(pages.into_iter().filter_map(Run::child));
            kept = index + 1;
        }
        if !changed {
            return Ok(None);
        }
        page.keep(node, kept..node.len());
        Ok(Some(self.split(self.join_small(page)?)))
    }

    fn is_small(&self, run: &Run) -> bool {
        // A kept child was large enough, or had no neighbour; either way it was left so on purpose.
        matches!(run, Run::Child { page, .. } if page.bytes() < self.limits.min_bytes)
    }

    /// Joins children that are too small with a neighbour.
    fn join_small(&self, page: Page) -> Result<Page, Error> {
        let Page { level, runs } = page;
        let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
        let mut rest = runs.into_iter();
        let mut next = rest.next();
        while let Some(mut run) = next.take().or_else(|| rest.next()) {
            let is_small = self.is_small(&run);
            let Some(mut last) = joined.pop_if(|last| is_small || self.is_small(last)) else {
                joined.push(run);
                continue;
            };
            // Of several kept children, only the one beside a small one is joined with it.
            next = run.split_off(1);
            if last.len() > 1
                && let Some(beside) = last.split_off(last.len() - 1)
            {
                joined.push(std::mem::replace(&mut last, beside));
            }
            let both = self.join(self.open(last)?, self.open(run)?)?;
            joined.extend(self.split(both).into_iter().filter_map(Run::child));
        }
        Ok(Page { level, runs: joined })
    }

    /// The page of a single child.
    fn open(&self, run: Run) -> Result<Page, Error> {
        match run {
            Run::Child { page, .. } => Ok(page),
            Run::Kept(node, entries) => {
                let child = node.child(entries.start).ok_or(Error::Internal("a leaf has no children"))?;
                Ok(Page::of_node(self.nodes.load(self.namespace, child)?))
            }
            Run::Value { .. } => Err(Error::Internal("a leaf has no children")),
        }
    }

    /// Joins neighbours of one level.
    fn join(&self, mut left: Page, right: Page) -> Result<Page, Error> {
        if left.level != right.level {
            return Err(Error::Internal("neighbours in a map are at different levels"));
        }
        left.runs.extend(right.runs);
        // An only child could not be joined before; now it has neighbours.
        if left.level == 0 { Ok(left) } else { self.join_small(left) }
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
            let level = pages[0].level + 1;
            pages = self.split(Page { level, runs: pages.into_iter().filter_map(Run::child).collect() });
        }
        let Some(mut top) = pages.pop() else { return Ok(Root::empty()) };
        while top.level > 0 && top.len() == 1 {
            match top.runs.pop() {
                Some(Run::Child { page, .. }) => top = page,
                Some(Run::Kept(node, entries)) => {
                    let child = node.child(entries.start).ok_or(Error::Internal("a leaf has no children"))?;
                    return self.keep_root(child);
                }
                Some(Run::Value { .. }) | None => return Err(Error::Internal("a leaf has no children")),
            }
        }
        self.write_top(top, sink)
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
        let level = page.level;
        let payload = encode(page, sink)?;
        if level == 0 && payload.payload_bytes() <= self.limits.inline_bytes {
            let node = Node::decode(payload.into_payload()).ok_or(Error::Internal("a new node does not decode"))?;
            return Ok(Root::Inline(Arc::new(node)));
        }
        Ok(Root::Stored(sink.write(payload)?))
    }
}

/// The leaf after the changes; none when they change nothing.
fn edit_leaf(leaf: &Arc<Node>, changes: &[Change<'_>]) -> Option<Page> {
    let mut page = Page { level: 0, runs: Vec::with_capacity(2 * changes.len() + 1) };
    let (mut kept, mut changed) = (0, false);
    for (key, value) in changes {
        let (index, old) = match leaf.find(key) {
            Ok(index) => (index, Some(leaf.payload_slice(index))),
            Err(index) => (index, None),
        };
        if old == value.as_deref() {
            continue;
        }
        changed = true;
        page.keep(leaf, kept..index);
        page.runs.extend(value.as_ref().map(|value| Run::Value { key: (*key).clone(), value: value.clone() }));
        kept = index + usize::from(old.is_some());
    }
    page.keep(leaf, kept..leaf.len());
    changed.then_some(page)
}

/// Writes a page's new children, then gives its own payload.
fn encode(page: Page, sink: &mut impl Sink) -> Result<Unsealed, Error> {
    let bytes = page.runs.iter().map(Run::encoded_bytes).sum();
    let mut payload = NodeWriter::new(page.level, page.len(), bytes)?;
    for run in page.runs {
        match run {
            Run::Kept(node, entries) => payload.copy(node.encoded(entries)),
            Run::Value { key, value } => payload.entry(&key, &value)?,
            Run::Child { key, page } => {
                let below = encode(page, sink)?;
                payload.entry(&key, &sink.write(below)?.to_bytes())?;
            }
        }
    }
    Ok(payload.done())
}
