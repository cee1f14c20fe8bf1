//! What a check found to be wrong.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::key::{Key, place};
use crate::{BranchId, Lsn, NamespaceId, error::Error};

/// How many findings are kept; the others are counted.
pub const MAX_FINDINGS: usize = 1000;

/// How many branches a finding names.
const MAX_NAMED: usize = 8;

/// How many causes are noted of one thing that cannot be read.
const MAX_CAUSES: usize = 8;

/// What kind of wrong a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// The key is of no form that the engine writes.
    UnknownKey,
    /// The value is not what was written under its key, or cannot be decoded.
    Damaged,
    /// There is no value, but others refer to it.
    Missing,
    /// The value is valid, but not the one that others refer to.
    Replaced,
    /// A map is not built as readers need it.
    Disorder,
    /// Values that are valid contradict each other.
    Contradiction,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The key in the store.
    pub key: Vec<u8>,
    /// What kind of wrong it is.
    pub problem: Problem,
    /// What is wrong, in words.
    pub what: String,
    /// What cannot be read because of it.
    pub affected: Affected,
}

impl Finding {
    /// What the key names, in words: namespace, branch, LSN or node.
    pub fn place(&self) -> String {
        place(&self.key)
    }

    /// What the finding means for whoever uses the store.
    pub fn meaning(&self) -> String {
        if self.affected != Affected::default() {
            return self.affected.to_string();
        }
        let meaning = match (Key::parse(&self.key), self.problem) {
            (None, _) => "nothing reads it",
            (Some(Key::Mark), _) => "the engine does not open this store",
            (Some(Key::Ids), Problem::Contradiction) => {
                "what is made next would overwrite what is stored: write nothing to this store"
            }
            (Some(Key::Ids), _) => "branches and namespaces cannot be made, and most commits fail",
            (Some(Key::Namespace(_)), Problem::Missing) => "no branch can be made in it, and no record written",
            (Some(Key::Namespace(_)), _) => "when it was made is not known; nothing else is lost",
            (Some(Key::Branch(_)), Problem::Damaged | Problem::Missing) => "the branch cannot be read or written",
            (Some(Key::Branch(_)), _) => {
                "reads of the branch may fail or leave out commits, and a write to it may overwrite some"
            }
            (Some(Key::Node(..)), _) => "no version lost anything by it",
            (Some(Key::Unneeded(..) | Key::Detached | Key::Garbage(..) | Key::GarbageNamespace(_)), _) => {
                "the space of what is not needed any more is not given back; nothing that can be read is lost"
            }
            (Some(Key::Purge(..)), _) => "who purged a key, and when, is not known",
            (Some(Key::Pin(..)), _) => "the version that the pin keeps cannot be found by its name",
            (Some(Key::ReferenceOfChild(..) | Key::ReferenceOfPin(..)), Problem::Missing) => {
                "the version may be collected though it is needed: do not start a server on this store"
            }
            (Some(Key::ReferenceOfChild(..) | Key::ReferenceOfPin(..)), _) => {
                "a version may be kept that nobody needs; nothing that can be read is lost"
            }
            (Some(Key::Expiry(..)), _) => "the branch's history may be kept for longer than it should",
            (Some(Key::Window(_)), _) => "nothing is collected while it cannot be read",
            (Some(Key::Record(..)), Problem::Damaged) => "the record cannot be read",
            (Some(Key::Record(..)), _) => "the record can be read, but not be written again as it is",
            (Some(Key::Instant(..)), Problem::Damaged) => "reads do not need its value: nothing is lost",
            (Some(Key::Instant(..)), _) => "the branch, read at an instant, may give another version than it had then",
            (Some(Key::Version(..)), _) => "the branch's history may read otherwise than it was",
            (Some(Key::DeletedNamespace(_) | Key::DeletedBranch(_)), _) => {
                "it was deleted: nothing that can be read is lost"
            }
        };
        meaning.to_owned()
    }
}

/// What a finding makes unreadable, as a whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Affected {
    /// How many branches have versions that cannot be read, of their own or inherited.
    pub branches: u64,
    /// How many of those branches cannot be read at their newest version.
    pub heads: u64,
    /// How many versions of those branches' own cannot be read.
    pub versions: u64,
    /// The first of those branches.
    pub named: Vec<AffectedBranch>,
    /// How many versions that only deleted branches have cannot be read.
    pub deleted_versions: u64,
    /// The branch that was added last: what is affected is added branch by branch.
    last: Option<BranchId>,
    last_is_head: bool,
}

/// A branch that cannot be read at some versions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AffectedBranch {
    /// The branch.
    pub branch: BranchId,
    /// The first version that cannot be read; others between it and the last may be.
    pub first: Lsn,
    /// The last version that cannot be read.
    pub last: Lsn,
    /// Whether the branch's newest version cannot be read.
    pub is_head: bool,
}

/// A version that cannot be read, as a branch has it.
#[derive(Clone, Copy)]
pub(super) struct Unreadable {
    pub(super) branch: BranchId,
    pub(super) lsn: Lsn,
    /// Whether the branch made it, and did not inherit it.
    pub(super) is_own: bool,
    pub(super) is_head: bool,
    pub(super) is_deleted: bool,
}

impl Affected {
    fn add(&mut self, version: Unreadable) {
        if version.is_deleted {
            self.deleted_versions += u64::from(version.is_own);
            return;
        }
        self.versions += u64::from(version.is_own);
        if self.last != Some(version.branch) {
            (self.last, self.last_is_head) = (Some(version.branch), false);
            self.branches += 1;
            if self.named.len() < MAX_NAMED {
                let Unreadable { branch, lsn, .. } = version;
                self.named.push(AffectedBranch { branch, first: lsn, last: lsn, is_head: false });
            }
        }
        if version.is_head && !self.last_is_head {
            self.last_is_head = true;
            self.heads += 1;
        }
        if let Some(named) = self.named.last_mut().filter(|named| named.branch == version.branch) {
            named.first = named.first.min(version.lsn);
            named.last = named.last.max(version.lsn);
            named.is_head |= version.is_head;
        }
    }
}

/// Names a finding; none for one that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause(Option<usize>);

/// Why something cannot be read: nothing, when it can.
#[derive(Clone, Debug, Default)]
pub(super) struct Causes(Vec<Cause>);

impl Causes {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, cause: Cause) {
        if self.0.len() < MAX_CAUSES && !self.0.contains(&cause) {
            self.0.push(cause);
        }
    }

    pub(super) fn add_all(&mut self, causes: &Self) {
        causes.0.iter().for_each(|cause| self.add(*cause));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Cause> for Causes {
    fn from(cause: Cause) -> Self {
        Self(vec![cause])
    }
}

/// A missing node, as it is found again among others.
struct MissingNode {
    cause: Cause,
    /// Whether a version needs it, and not only nodes that nothing leads to.
    is_needed: bool,
}

/// Collects findings: each once, and no more than [`MAX_FINDINGS`].
#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    known: HashMap<(Vec<u8>, String), usize>,
    more: u64,
    missing_nodes: Vec<MissingNode>,
}

impl Findings {
    /// Notes that a node is missing. What only garbage refers to may be: the collector takes children before their parents.
    pub(super) fn add_missing_node(&mut self, key: &[u8]) -> Cause {
        let cause = self.add(key, Problem::Missing, "the node is missing, and others refer to it");
        if !self.missing_nodes.iter().any(|missing| missing.cause == cause) {
            self.missing_nodes.push(MissingNode { cause, is_needed: false });
        }
        cause
    }

    /// Notes that a version, or a node that versions lead to, refers to what is missing.
    pub(super) fn need(&mut self, cause: Cause) {
        if let Some(missing) = self.missing_nodes.iter_mut().find(|missing| missing.cause == cause) {
            missing.is_needed = true;
        }
    }

    /// Takes back what is no damage: missing nodes that no version needs, and all that is missing of `namespaces`, which are being collected.
    pub(super) fn forgive(&mut self, is_collected: impl Fn(NamespaceId) -> bool) {
        let unneeded = self.missing_nodes.iter().filter(|missing| !missing.is_needed);
        let unneeded: HashSet<usize> = unneeded.filter_map(|missing| missing.cause.0).collect();
        let mut at = 0;
        self.kept.retain(|finding| {
            at += 1;
            let of_collected = Key::parse(&finding.key).and_then(Key::namespace).is_some_and(&is_collected);
            let is_forgiven = of_collected && finding.problem == Problem::Missing;
            !unneeded.contains(&(at - 1)) && !is_forgiven
        });
    }

    /// What is found again is the same finding.
    pub(super) fn add(&mut self, key: &[u8], problem: Problem, what: impl Into<String>) -> Cause {
        let (key, what) = (key.to_vec(), what.into());
        let known = (key, what);
        if let Some(index) = self.known.get(&known) {
            return Cause(Some(*index));
        }
        if self.kept.len() >= MAX_FINDINGS {
            self.more += 1;
            return Cause(None);
        }
        let index = self.kept.len();
        let (key, what) = known.clone();
        self.kept.push(Finding { key, problem, what, affected: Affected::default() });
        self.known.insert(known, index);
        Cause(Some(index))
    }

    /// Adds that the value under `key` does not open or decode.
    pub(super) fn add_damaged(&mut self, key: &Bytes, error: &Error) -> Cause {
        match error {
            Error::Corrupt { what, .. } => self.add(key, Problem::Damaged, *what),
            other => self.add(key, Problem::Damaged, other.to_string()),
        }
    }

    /// Notes what a finding makes unreadable.
    pub(super) fn affect(&mut self, causes: &Causes, version: Unreadable) {
        for Cause(index) in &causes.0 {
            if let Some(finding) = index.and_then(|index| self.kept.get_mut(index)) {
                finding.affected.add(version);
            }
        }
    }

    /// What was kept, and how many were not.
    pub(super) fn into_parts(self) -> (Vec<Finding>, u64) {
        (self.kept, self.more)
    }
}
