//! Reads a range of a map, in either direction.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use super::{Node, Nodes, Root};
use crate::{
    NamespaceId,
    error::Error,
    store::{Direction, KeyRange},
};

/// The entries of a map whose keys lie in a range.
pub(crate) struct Iter {
    nodes: Arc<Nodes>,
    namespace: NamespaceId,
    range: KeyRange,
    direction: Direction,
    /// From the root to the leaf; `left` entries of each are still to come, the next one being at the side that the direction says.
    path: Vec<Position>,
    state: State,
}

enum State {
    Unstarted(Root),
    Started,
    Ended,
}

/// A node on a path, cut to what can lie in a range.
pub(super) struct Position {
    pub(super) node: Arc<Node>,
    /// Indexes still to be visited.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Position {
    pub(super) fn new(node: Arc<Node>, range: &KeyRange) -> Self {
        let leaf = node.level() == 0;
        let from = match &range.start {
            Bound::Unbounded => 0,
            Bound::Included(start) | Bound::Excluded(start) => match node.find(start) {
                Ok(index) if leaf && matches!(range.start, Bound::Excluded(_)) => index + 1,
                Ok(index) => index,
                Err(index) if leaf => index,
                // The child before may hold keys at and after the start.
                Err(index) => index.saturating_sub(1),
            },
        };
        let to = match &range.end {
            Bound::Unbounded => node.len(),
            Bound::Included(end) => node.find(end).map_or_else(|index| index, |index| index + 1),
            Bound::Excluded(end) => node.find(end).unwrap_or_else(|index| index),
        };
        Self { node, from, to }
    }
}

impl Iter {
    pub(crate) fn new(
        nodes: Arc<Nodes>,
        namespace: NamespaceId,
        root: Root,
        range: KeyRange,
        direction: Direction,
    ) -> Self {
        let state = if range.is_empty() { State::Ended } else { State::Unstarted(root) };
        Self { nodes, namespace, range, direction, path: Vec::new(), state }
    }

    fn enter(&mut self, node: Arc<Node>) {
        self.path.push(Position::new(node, &self.range));
    }

    fn advance(&mut self) -> Result<Option<(Bytes, Bytes)>, Error> {
        if let State::Unstarted(root) = std::mem::replace(&mut self.state, State::Started) {
            let root = root.load(&self.nodes, self.namespace)?;
            self.enter(root);
        }
        while let Some(position) = self.path.last_mut() {
            if position.from >= position.to {
                self.path.pop();
                continue;
            }
            let index = match self.direction {
                Direction::Ascending => {
                    position.from += 1;
                    position.from - 1
                }
                Direction::Descending => {
                    position.to -= 1;
                    position.to
                }
            };
            if position.node.level() == 0 {
                return Ok(Some((position.node.key_bytes(index), position.node.payload(index))));
            }
            let below = self.nodes.load_below(self.namespace, &position.node, index)?;
            self.enter(below);
        }
        Ok(None)
    }
}

impl Iterator for Iter {
    type Item = Result<(Bytes, Bytes), Error>;

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
