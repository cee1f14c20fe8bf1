//! Compares what was read of the store as a whole, and sums it up.

use std::collections::BTreeMap;

use super::{
    findings::Problem,
    history::History,
    nodes::Use,
    report::{Report, Waiting},
    scan::{Branch, Namespace, Scan, Slot},
};
use crate::{
    BranchId, Lsn, NamespaceId,
    branch::first,
    codec::key::{self, NodeId},
};

/// Bytes of the key and the value of an entry that finds a version by its instant.
const INSTANT_BYTES: u64 = 33 + 9;

impl Scan {
    /// Checks what needs more than one value, after all were read. Tells besides which nodes no version leads to.
    pub(super) fn finish(mut self) -> (Report, Vec<(NamespaceId, NodeId)>) {
        self.check_store();
        self.check_namespaces();
        self.check_branches();
        self.check_references();
        self.count_uses();
        let namespaces = &self.namespaces;
        self.findings.forgive(|namespace| is_deleted(namespaces, namespace));
        (self.report.findings, self.report.more_findings) = self.findings.into_parts();
        (self.report, self.nodes.garbage())
    }

    fn check_store(&mut self) {
        // An empty store is one that the engine was never opened on.
        if self.report.counts.is_empty() {
            return;
        }
        if !self.mark.is_present() {
            self.findings.add(&key::MARK, Problem::Missing, "the engine's mark is missing");
        }
        match &self.ids {
            Slot::Absent => drop(self.findings.add(&key::IDS, Problem::Missing, "the counter of ids is missing")),
            Slot::Read(ids) if ids.last < self.greatest_id => {
                let what = format!("ids up to {} are given out, but {} is in use", ids.last, self.greatest_id);
                self.findings.add(&key::IDS, Problem::Contradiction, what);
            }
            Slot::Read(_) | Slot::Damaged => {}
        }
        if !is_live(&self.namespaces, NamespaceId::SYSTEM) {
            let key = key::namespace(NamespaceId::SYSTEM);
            self.findings.add(&key, Problem::Missing, "the system namespace is missing");
        }
    }

    fn check_namespaces(&mut self) {
        for (id, namespace) in &self.namespaces {
            if namespace.is_live && namespace.is_deleted {
                let what = "the namespace is deleted, but its record is still there";
                self.findings.add(&key::deleted_namespace(*id), Problem::Contradiction, what);
            }
        }
        // Nodes are no reason for a namespace to be there: a transaction that makes both may write nodes ahead, and fail.
        let of_branches = self.branches.iter().map(|(id, branch)| (id.namespace(), branch.live.is_present()));
        let of_records = self.report.records.keys().map(|id| (*id, true));
        let of_pins = self.references.pins.keys().map(|(id, _)| (*id, true));
        for (id, is_in_use) in of_branches.chain(of_records).chain(of_pins) {
            if is_live(&self.namespaces, id) {
                continue;
            }
            if !is_deleted(&self.namespaces, id) {
                let what = "the namespace is missing, but there are branches or records of it";
                self.findings.add(&key::namespace(id), Problem::Missing, what);
            } else if is_in_use {
                let what = "the namespace is deleted, but branches or records of it are still there";
                self.findings.add(&key::deleted_namespace(id), Problem::Contradiction, what);
            }
        }
    }

    fn check_branches(&mut self) {
        for branch in self.branches.values_mut() {
            // They come in the order of their instants.
            branch.instants.sort_unstable();
        }
        for (id, branch) in &self.branches {
            let is_deleted = self.use_of(*id, branch) == Use::Waiting;
            let (branches, findings) = (&self.branches, &mut self.findings);
            History { branches, findings, id: *id, branch, is_deleted, collected: false }.check();
        }
    }

    /// Who needs what a branch has.
    fn use_of(&self, id: BranchId, branch: &Branch) -> Use {
        let is_deleted = branch.deleted.is_present() || is_deleted(&self.namespaces, id.namespace());
        // Where neither is there, the record is lost, and not the branch.
        if branch.live.is_present() || !is_deleted { Use::Needed } else { Use::Waiting }
    }

    fn count_uses(&mut self) {
        let mut waiting = Waiting {
            namespaces: self.namespaces.values().filter(|namespace| namespace.is_deleted).count() as u64,
            branches: self.branches.values().filter(|branch| branch.deleted.is_present()).count() as u64,
            ..Waiting::default()
        };
        let referenced = self.referenced();
        for (id, branch) in &self.branches {
            let of_branch = self.use_of(*id, branch);
            for version in &branch.versions {
                // Where the record cannot be read, what is before its first version is not known.
                let first = branch.live.read().map_or(Lsn::new(0), |record| first(record).0);
                let is_readable = of_branch == Use::Needed && version.lsn >= first;
                let is_needed = is_readable || referenced.contains(&(*id, version.lsn));
                if !is_needed {
                    waiting.versions.add(version.bytes);
                    waiting.instants.add(INSTANT_BYTES);
                }
                if let Some(root) = version.content.and_then(|content| content.root) {
                    self.nodes.use_root(root, if is_needed { Use::Needed } else { Use::Waiting });
                }
            }
        }
        let uses = self.nodes.count_uses(&mut self.report.maps, &mut self.findings);
        waiting.nodes = uses.waiting;
        (self.report.waiting, self.report.garbage) = (waiting, uses.garbage);
    }
}

fn is_live(namespaces: &BTreeMap<NamespaceId, Namespace>, id: NamespaceId) -> bool {
    namespaces.get(&id).is_some_and(|namespace| namespace.is_live)
}

fn is_deleted(namespaces: &BTreeMap<NamespaceId, Namespace>, id: NamespaceId) -> bool {
    namespaces.get(&id).is_some_and(|namespace| namespace.is_deleted)
}
