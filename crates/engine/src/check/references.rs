//! Compares pins and children with the references that keep their versions, and branches with the queue of what the collector cuts.

use super::{
    findings::{Problem, Unreadable},
    scan::{Branch, Scan, Slot},
};
use crate::{
    BranchId, Lsn, NamespaceId,
    codec::{envelope::FORMAT_WITHOUT_REFERENCES, key, record::VersionRef},
};

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::clock::Micros;

/// A version, by its owner and LSN.
pub(super) type VersionId = (BranchId, Lsn);

/// What needs a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    Child(u64),
    Pin(Bytes),
}

/// What was read of pins, references and the queue.
#[derive(Default)]
pub(super) struct References {
    pub(super) pins: BTreeMap<(NamespaceId, Bytes), Slot<VersionRef>>,
    pub(super) stored: BTreeSet<(VersionId, Holder)>,
    pub(super) expiries: BTreeSet<(BranchId, Micros)>,
}

impl Scan {
    /// A store of the format before them has none of these; they are made when it is opened.
    pub(super) fn check_references(&mut self) {
        if self.mark_format == Some(FORMAT_WITHOUT_REFERENCES) {
            return;
        }
        self.check_pins();
        self.check_origins();
        self.check_holders();
        self.check_expiries();
    }

    fn is_collected(&self, namespace: NamespaceId) -> bool {
        self.namespaces.get(&namespace).is_some_and(|namespace| namespace.is_deleted)
    }

    fn require(&mut self, version: VersionId, holder: Holder) {
        let (branch, lsn) = version;
        let (key, what) = match &holder {
            Holder::Child(child) => {
                (key::reference_of_child(branch, lsn, *child), "a branch begins with a version that does not know it")
            }
            Holder::Pin(name) => {
                (key::reference_of_pin(branch, lsn, name), "a pin keeps a version that does not know of it")
            }
        };
        if !self.references.stored.contains(&(version, holder)) {
            self.findings.add(&key, Problem::Missing, what);
        }
    }

    fn check_pins(&mut self) {
        let pins = std::mem::take(&mut self.references.pins);
        for ((namespace, name), pin) in &pins {
            let Some(pin) = pin.read().filter(|_| !self.is_collected(*namespace)) else { continue };
            let version = id(*namespace, *pin);
            self.require(version, Holder::Pin(name.clone()));
            let found = self.branches.get(&version.0).and_then(|branch| branch.version(version.1));
            let what = match found {
                None => (Problem::Missing, super::history::VERSION_IS_MISSING),
                Some(found) if found.content.is_some_and(|content| content.checksum.0 != pin.checksum) => {
                    (Problem::Replaced, super::history::VERSION_IS_ANOTHER)
                }
                Some(_) => continue,
            };
            let cause = self.findings.add(&key::version(version.0, version.1), what.0, what.1);
            let (branch, lsn) = version;
            let is_deleted = self.branches.get(&branch).is_none_or(|branch| !branch.live.is_present());
            let unreadable = Unreadable { branch, lsn, is_own: true, is_head: false, is_deleted };
            self.findings.affect(&cause.into(), unreadable);
        }
        self.references.pins = pins;
    }

    fn check_origins(&mut self) {
        let origin = |(id, branch): (&BranchId, &Branch)| {
            let record = branch.live.read().or(branch.deleted.read())?;
            Some((*id, record.origin()?))
        };
        let origins: Vec<_> = self.branches.iter().filter_map(origin).collect();
        for (child, origin) in origins {
            if !self.is_collected(child.namespace()) {
                self.require(id(child.namespace(), origin), Holder::Child(child.number()));
            }
        }
    }

    /// Whoever a reference names is there, and needs that version.
    fn check_holders(&mut self) {
        for ((branch, lsn), holder) in &self.references.stored {
            let namespace = branch.namespace();
            if self.is_collected(namespace) {
                continue;
            }
            let (key, held, holders_key) = match holder {
                Holder::Child(child) => {
                    let child_id = BranchId::new(namespace, *child);
                    let found = self.branches.get(&child_id);
                    let is_damaged = found.is_some_and(Branch::is_damaged);
                    let record = found.and_then(|found| found.live.read().or(found.deleted.read()));
                    let held = record.map(|record| record.origin());
                    let key = key::reference_of_child(*branch, *lsn, *child);
                    (key, if is_damaged { continue } else { held }, key::branch(child_id))
                }
                Holder::Pin(name) => {
                    let held = match self.references.pins.get(&(namespace, name.clone())) {
                        Some(Slot::Damaged) => continue,
                        Some(pin) => Some(pin.read().copied()),
                        None => None,
                    };
                    (key::reference_of_pin(*branch, *lsn, name), held, key::pin(namespace, name))
                }
            };
            match held {
                None => {
                    let what = "it is missing, but a version refers to it";
                    self.findings.add(&holders_key, Problem::Missing, what);
                }
                Some(held) if held.is_none_or(|held| id(namespace, held) != (*branch, *lsn)) => {
                    self.findings.add(&key, Problem::Contradiction, "what it names does not need that version");
                }
                Some(_) => {}
            }
        }
    }

    /// Each branch with more than one readable version has one entry in the queue.
    fn check_expiries(&mut self) {
        let mut expected = BTreeSet::new();
        for (id, branch) in &self.branches {
            let Some(record) = branch.live.read() else { continue };
            let first = crate::branch::first(record).0;
            if !record.has_one_version()
                && let Some((_, micros)) = branch.instants.iter().find(|(lsn, _)| *lsn > first)
            {
                expected.insert((*id, *micros));
            }
        }
        let is_known = |id: &BranchId| self.branches.get(id).is_none_or(|branch| !branch.is_damaged());
        let checked = |(id, _): &&(BranchId, Micros)| !self.is_collected(id.namespace()) && is_known(id);
        let stored = &self.references.expiries;
        let missing: Vec<_> = expected.difference(stored).filter(checked).copied().collect();
        let beside: Vec<_> = stored.difference(&expected).filter(checked).copied().collect();
        for (id, micros) in missing {
            let what = "the branch has history, but nothing says when to cut it";
            self.findings.add(&key::expiry(id, micros), Problem::Missing, what);
        }
        for (id, micros) in beside {
            let what = "the branch has no version that was the oldest one until then";
            self.findings.add(&key::expiry(id, micros), Problem::Contradiction, what);
        }
    }

    /// The versions that somebody needs, apart from those in the readable history of a living branch.
    pub(super) fn referenced(&self) -> BTreeSet<VersionId> {
        let pins = self.references.pins.iter();
        let mut needed: BTreeSet<VersionId> =
            pins.filter_map(|((namespace, _), pin)| Some(id(*namespace, *pin.read()?))).collect();
        // Children come before what they were forked from.
        for (branch_id, branch) in self.branches.iter().rev() {
            let record = match (branch.live.read(), branch.deleted.read()) {
                (Some(record), _) => record,
                // A deleted branch is there as long as somebody needs a version of it.
                (None, Some(record)) if branch.versions.iter().any(|own| needed.contains(&(*branch_id, own.lsn))) => {
                    record
                }
                _ => continue,
            };
            needed.extend(record.origin().map(|origin| id(branch_id.namespace(), origin)));
        }
        needed
    }
}

fn id(namespace: NamespaceId, version: VersionRef) -> VersionId {
    (BranchId::new(namespace, version.owner), Lsn::new(version.lsn))
}
