//! What differs between two maps.
//!
//! Both are walked in the order of their keys, and what they share is passed over unread: a node that both refer to is the same, with all below it.
//! The two may have different heights and different boundaries between nodes, so neither walk leads the other. Of the two next things, the one with
//! the smaller key is looked at first, since the other map has nothing before its own; at the same key it is the higher one, until both stand at
//! the same level, where a shared node would show.

use std::{cmp::Ordering, sync::Arc};

use super::{Node, Nodes, Root, iter::Position};
use crate::{Difference, NamespaceId, error::Error, store::KeyRange};

/// A map that can be read.
pub(crate) struct Map {
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) namespace: NamespaceId,
    pub(crate) root: Root,
}

/// The keys of a range whose values differ between two maps.
pub(crate) struct Diff {
    state: State,
    range: KeyRange,
    before: Walk,
    after: Walk,
}

enum State {
    Unstarted { before: Root, after: Root },
    Started,
    Ended,
}

/// What the next things of both walks call for.
#[derive(Clone, Copy)]
enum Action {
    /// Both are the same.
    Pass,
    /// Look below those that are named.
    Descend {
        before: bool,
        after: bool,
    },
    /// Tell of the entries that are named.
    Tell {
        before: bool,
        after: bool,
    },
    End,
}

impl Action {
    fn of(before: Option<Next<'_>>, after: Option<Next<'_>>) -> Self {
        let (before, after) = match (before, after) {
            (None, None) => return Self::End,
            (Some(before), None) => return Self::of_one(before, true),
            (None, Some(after)) => return Self::of_one(after, false),
            (Some(before), Some(after)) => (before, after),
        };
        match before.key().cmp(after.key()) {
            Ordering::Less => Self::of_one(before, true),
            Ordering::Greater => Self::of_one(after, false),
            Ordering::Equal if before.is_same(&after) => Self::Pass,
            Ordering::Equal => match (before.level(), after.level()) {
                (0, 0) => Self::Tell { before: true, after: true },
                (one, other) => Self::Descend { before: one >= other, after: other >= one },
            },
        }
    }

    /// What a thing calls for that the other map has nothing like.
    fn of_one(next: Next<'_>, is_before: bool) -> Self {
        let (before, after) = (is_before, !is_before);
        if next.level() == 0 { Self::Tell { before, after } } else { Self::Descend { before, after } }
    }
}

impl Diff {
    pub(crate) fn new(before: Map, after: Map, range: KeyRange) -> Self {
        let state = match range.is_empty() || before.root.is_same(&after.root) {
            true => State::Ended,
            false => State::Unstarted { before: before.root, after: after.root },
        };
        let walk = |nodes, namespace| Walk { nodes, namespace, path: Vec::new() };
        let (before, after) = (walk(before.nodes, before.namespace), walk(after.nodes, after.namespace));
        Self { state, range, before, after }
    }

    fn advance(&mut self) -> Result<Option<Difference>, Error> {
        if let State::Unstarted { before, after } = std::mem::replace(&mut self.state, State::Started) {
            self.before.enter_root(&before, &self.range)?;
            self.after.enter_root(&after, &self.range)?;
        }
        loop {
            match Action::of(self.before.peek(), self.after.peek()) {
                Action::End => return Ok(None),
                Action::Pass => {
                    self.before.pass();
                    self.after.pass();
                }
                Action::Descend { before, after } => {
                    if before {
                        self.before.descend(&self.range)?;
                    }
                    if after {
                        self.after.descend(&self.range)?;
                    }
                }
                Action::Tell { before, after } => {
                    let before = before.then(|| self.before.take_entry()).flatten();
                    let after = after.then(|| self.after.take_entry()).flatten();
                    let Some((key, _)) = before.as_ref().or(after.as_ref()) else { return Ok(None) };
                    let key = key.clone();
                    let value = |entry: Option<(_, _)>| entry.map(|(_, value)| value);
                    return Ok(Some(Difference { key, before: value(before), after: value(after) }));
                }
            }
        }
    }
}

impl Iterator for Diff {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Ended) {
            return None;
        }
        let next = self.advance().transpose();
        // After an error there is nothing to go on from.
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

/// A walk through one of the maps, which stands before an entry or before a child that was not read.
struct Walk {
    nodes: Arc<Nodes>,
    namespace: NamespaceId,
    /// From the root down; the next thing is the first of the last position.
    path: Vec<Position>,
}

/// What a walk stands before: what `node` has at `index`.
#[derive(Clone, Copy)]
struct Next<'a> {
    node: &'a Node,
    index: usize,
}

impl Next<'_> {
    /// The smallest key that the map can have from here on.
    fn key(&self) -> &[u8] {
        self.node.key(self.index)
    }

    /// 0 for an entry, otherwise one more than the child's level.
    fn level(&self) -> u8 {
        self.node.level()
    }

    /// Whether both are the same entry, or the same node.
    fn is_same(&self, other: &Self) -> bool {
        self.level() == other.level() && self.node.payload_slice(self.index) == other.node.payload_slice(other.index)
    }
}

impl Walk {
    fn enter_root(&mut self, root: &Root, range: &KeyRange) -> Result<(), Error> {
        let node = root.load(&self.nodes, self.namespace)?;
        self.path.push(Position::new(node, range));
        Ok(())
    }

    fn peek(&mut self) -> Option<Next<'_>> {
        while self.path.pop_if(|position| position.from >= position.to).is_some() {}
        self.path.last().map(|position| Next { node: &position.node, index: position.from })
    }

    /// Goes on behind the next thing.
    fn pass(&mut self) {
        if let Some(position) = self.path.last_mut() {
            position.from += 1;
        }
    }

    /// Goes on below the next thing, a child.
    fn descend(&mut self, range: &KeyRange) -> Result<(), Error> {
        let Some(position) = self.path.last_mut() else { return Ok(()) };
        let below = self.nodes.load_below(self.namespace, &position.node, position.from)?;
        position.from += 1;
        self.path.push(Position::new(below, range));
        Ok(())
    }

    /// Takes the next thing, an entry.
    fn take_entry(&mut self) -> Option<(bytes::Bytes, bytes::Bytes)> {
        let position = self.path.last_mut()?;
        let index = position.from;
        position.from += 1;
        Some((position.node.key_bytes(index), position.node.payload(index)))
    }
}
