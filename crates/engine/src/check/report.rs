//! What a check tells.

use std::collections::BTreeMap;

use super::{findings::Finding, key::Kind};
use crate::{NamespaceId, tree::Limits};

/// How many of something there are, and how many bytes they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// How many.
    pub number: u64,
    /// Bytes of their keys and values together.
    pub bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: u64) {
        self.number += 1;
        self.bytes += bytes;
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { number: self.number + other.number, bytes: self.bytes + other.bytes }
    }
}

/// How full nodes are: bytes of payload, without key and envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fill {
    /// How many nodes.
    pub nodes: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of the smallest; zero where there is none.
    pub least: u64,
    /// Bytes of the largest.
    pub most: u64,
    /// How many nodes have up to an eighth of the size above which nodes are split, up to two eighths, and so on; the last
    /// place is for those above that size.
    pub eighths: [u64; 9],
}

impl Fill {
    /// Nodes of more bytes of payload, about, are split.
    pub const FULL_BYTES: u64 = Limits::DEFAULT.max_bytes as u64;

    /// Nodes of fewer bytes of payload, about, are joined with a neighbour.
    pub const LEAST_BYTES: u64 = Limits::DEFAULT.min_bytes as u64;

    /// The mean size of a node in bytes; zero where there is none.
    pub fn mean(&self) -> u64 {
        self.bytes.checked_div(self.nodes).unwrap_or(0)
    }

    fn add(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.least = if self.nodes == 0 { bytes } else { self.least.min(bytes) };
        self.most = self.most.max(bytes);
        self.nodes += 1;
        self.bytes += bytes;
        let eighth = bytes.saturating_sub(1) * 8 / Self::FULL_BYTES;
        let last = self.eighths.len() - 1;
        self.eighths[usize::try_from(eighth).map_or(last, |eighth| eighth.min(last))] += 1;
    }
}

/// How maps are built. Counts what can be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maps {
    /// Versions whose maps are inline: small ones, which have no node of their own.
    pub inline: u64,
    /// How many versions have maps of which height, in nodes from root to leaf.
    pub heights: BTreeMap<u8, u64>,
    /// The nodes that hold entries.
    pub leaves: Fill,
    /// The nodes above them.
    pub inner: Fill,
    /// Nodes that are no roots and smaller than what is joined with a neighbour. Readers do not mind; the next change of such a node joins it.
    pub underfull: u64,
}

impl Maps {
    pub(super) fn count_node(&mut self, level: u8, payload_bytes: usize) {
        let fill = if level == 0 { &mut self.leaves } else { &mut self.inner };
        fill.add(payload_bytes);
    }
}

/// What deletion left behind and nothing that can be read needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// Deleted namespaces.
    pub namespaces: u64,
    /// Deleted branches. Those of which a pin or a child still needs a version are among them; those of deleted namespaces are not among them, unless they were deleted before.
    pub branches: u64,
    /// Versions of what was deleted, and of history that was cut, apart from those that a child or a pin needs.
    pub versions: Count,
    /// The entries that find those versions by their instant.
    pub instants: Count,
    /// Nodes of those versions alone.
    pub nodes: Count,
}

/// What a check found; see [`check`](super::check).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What is stored, by kind of key.
    pub counts: BTreeMap<Kind, Count>,
    /// The records of each namespace that has some.
    pub records: BTreeMap<NamespaceId, Count>,
    /// How maps are built.
    pub maps: Maps,
    /// What waits for collection.
    pub waiting: Waiting,
    /// Nodes that no version leads to. A transaction that writes much writes nodes ahead; when it fails or is killed, they stay. They do no harm.
    /// In a store that is not sound, nodes that only damaged values lead to are among them.
    pub garbage: Count,
    /// What is wrong: at most [`MAX_FINDINGS`](super::MAX_FINDINGS), in the order in which they were found.
    pub findings: Vec<Finding>,
    /// How many more things are wrong, about: beyond the limit, one that is found twice counts twice.
    pub more_findings: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.more_findings == 0
    }

    /// What is stored of one kind.
    pub fn count(&self, kind: Kind) -> Count {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Everything that is stored.
    pub fn total(&self) -> Count {
        self.counts.values().copied().fold(Count::default(), Count::plus)
    }
}
