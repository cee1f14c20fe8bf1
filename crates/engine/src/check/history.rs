//! Compares with each other what was read of one branch and of those that it comes from.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    findings::{Causes, Findings, Problem, Unreadable},
    scan::{Branch, Content, Version},
};
use crate::{
    BranchId, Lsn,
    clock::Micros,
    codec::{key, record},
};

/// All references to a version that is not there are one finding.
pub(super) const VERSION_IS_MISSING: &str = "the version is missing, and others refer to it";

/// All references to a version that is another one are one finding.
pub(super) const VERSION_IS_ANOTHER: &str = "the version is valid, but not the one that is referred to";

/// The check of one branch.
pub(super) struct History<'a> {
    pub(super) branches: &'a BTreeMap<BranchId, Branch>,
    pub(super) findings: &'a mut Findings,
    pub(super) id: BranchId,
    pub(super) branch: &'a Branch,
    /// Whether the branch, or its namespace, was deleted.
    pub(super) is_deleted: bool,
    /// Whether versions that the record names may have been collected.
    pub(super) collected: bool,
}

impl History<'_> {
    pub(super) fn check(mut self) {
        self.check_existence();
        self.check_instants();
        self.check_order();
        self.affect_own();
        let id = self.id;
        if let Some(record) = self.branch.live.read() {
            self.check_record(&key::branch(id), record);
        }
        if let Some(record) = self.branch.deleted.read() {
            self.collected = true;
            self.check_record(&key::deleted_branch(id), record);
        }
    }

    fn check_existence(&mut self) {
        match (self.branch.live.is_present(), self.branch.deleted.is_present()) {
            (true, true) => {
                let what = "the branch is deleted, but its record is still there";
                self.findings.add(&key::deleted_branch(self.id), Problem::Contradiction, what);
            }
            (false, false) if !self.is_deleted => {
                let what = "the branch has versions, but neither its record nor a mark of its deletion is there";
                self.findings.add(&key::branch(self.id), Problem::Missing, what);
            }
            _ => {}
        }
    }

    /// Each version has one entry that finds it by its instant, and each such entry has its version.
    fn check_instants(&mut self) {
        for (lsn, micros) in &self.branch.instants {
            match self.branch.version(*lsn) {
                None => {
                    let cause = self.findings.add(&key::version(self.id, *lsn), Problem::Missing, VERSION_IS_MISSING);
                    self.affect(&cause.into(), *lsn, Role { is_own: true, is_head: false });
                }
                Some(Version { content: Some(content), .. }) if content.micros != *micros => {
                    let what = format!("the version itself has the instant {}", instant(content.micros));
                    self.findings.add(&key::instant(self.id, *micros, *lsn), Problem::Contradiction, what);
                }
                Some(_) => {}
            }
        }
        for version in &self.branch.versions {
            let Some(content) = version.content else { continue };
            if self.branch.instants.binary_search_by_key(&version.lsn, |(lsn, _)| *lsn).is_err() {
                let what = "the entry that finds the version by its instant is missing";
                self.findings.add(&key::instant(self.id, content.micros, version.lsn), Problem::Missing, what);
            }
        }
    }

    /// LSNs increase by themselves, being keys.
    fn check_order(&mut self) {
        let micros = |version: &Version| version.content.map(|content| content.micros);
        for pair in self.branch.versions.windows(2) {
            let [before, after] = pair else { continue };
            if let (Some(earlier), Some(later)) = (micros(before), micros(after))
                && earlier >= later
            {
                let what = format!("its instant is not after {}, that of the version before", instant(earlier));
                self.findings.add(&key::version(self.id, after.lsn), Problem::Contradiction, what);
            }
        }
    }

    /// Notes which of the branch's own versions cannot be read.
    fn affect_own(&mut self) {
        let head = match self.branch.live.read() {
            Some(record) if record.head.owner == self.id.number() => Some(Lsn::new(record.head.lsn)),
            Some(_) => None,
            None => self.branch.versions.last().map(|version| version.lsn),
        };
        for version in &self.branch.versions {
            let role = Role { is_own: true, is_head: head == Some(version.lsn) };
            self.affect(&version.causes, version.lsn, role);
        }
    }

    fn check_record(&mut self, key: &Bytes, record: &record::Branch) {
        let (head, own) = (record.head, self.id.number());
        // A head after the newest version is one that is missing, which is found by itself.
        if let Some(newest) = self.branch.versions.last()
            && (head.owner != own || newest.lsn.get() > head.lsn)
        {
            let (head, newest) = (Lsn::new(head.lsn), newest.lsn);
            self.contradict(key, format!("its head is the version at LSN {head}, but its newest one is at {newest}"));
        }
        if let Some(content) = self.refer(head, true)
            && content.micros.0 != record.head_micros
        {
            self.contradict(key, format!("its head's instant is {}, in the record another", instant(content.micros)));
        }
        if record.head_lsn < head.lsn {
            let (record, head) = (Lsn::new(record.head_lsn), Lsn::new(head.lsn));
            self.contradict(key, format!("its LSN is {record}, but its head is at {head}"));
        }
        match record.first {
            record::First::Root { lsn, micros } | record::First::CutRoot { lsn, micros } => {
                if record.head.owner != self.id.number() {
                    let owner = record.head.owner;
                    self.contradict(key, format!("it was not forked, but its head is a version of branch {owner}"));
                }
                self.check_first(key, Lsn::new(lsn), Micros(micros));
            }
            record::First::Fork { .. } => self.check_fork(key, record),
            record::First::CutFork { lsn, first_micros, .. } => {
                self.check_fork(key, record);
                self.check_first(key, Lsn::new(lsn), Micros(first_micros));
            }
        }
    }

    /// The first version that can be read is the branch's own. Older ones may be there, for pins and children, or waiting for the collector.
    fn check_first(&mut self, key: &Bytes, lsn: Lsn, micros: Micros) {
        if self.collected {
            return;
        }
        let Some(first) = self.branch.version(lsn) else {
            let cause = self.findings.add(&key::version(self.id, lsn), Problem::Missing, VERSION_IS_MISSING);
            self.affect(&cause.into(), lsn, Role { is_own: false, is_head: false });
            return;
        };
        if first.content.is_some_and(|content| content.micros != micros) {
            self.contradict(key, "its first version has another instant than in the record");
        }
    }

    fn check_fork(&mut self, key: &Bytes, record: &record::Branch) {
        let (record::First::Fork { parent, version, micros, asked }
        | record::First::CutFork { parent, version, micros, asked, .. }) = record.first
        else {
            return;
        };
        if self.refer(version, false).is_some_and(|content| content.micros.0 != micros) {
            self.contradict(key, "the version that it was forked from has another instant than in the record");
        }
        self.check_parent(key, parent, version);
        match self.branch.versions.first() {
            None if !self.collected && (record.head != version || record.head_micros != micros) => {
                self.contradict(key, "it has no versions of its own, but its head is not the one it was forked from");
            }
            Some(first)
                if first.lsn.get() <= version.lsn || first.content.is_some_and(|own| own.micros.0 <= micros) =>
            {
                self.contradict(key, "its versions do not come after the one that it was forked from");
            }
            _ => {}
        }
        let own = self.branch.versions.first();
        // Until the branch writes, its LSN is where it begins or later; what it writes comes after that.
        let last_possible = own.map_or(record.head_lsn, |first| first.lsn.get().saturating_sub(1));
        let is_possible = match asked {
            record::Asked::Head => true,
            record::Asked::Lsn(lsn) => version.lsn <= lsn && lsn <= last_possible,
            record::Asked::Micros(asked) => micros <= asked,
        };
        if !is_possible {
            self.contradict(key, "it was not forked at the point that the record names");
        }
    }

    /// A fork begins with a version of its parent, or with the one that the parent began with.
    fn check_parent(&mut self, key: &Bytes, parent: u64, version: record::VersionRef) {
        let parent_id = BranchId::new(self.id.namespace(), parent);
        let found = self.branches.get(&parent_id);
        let is_known = found.is_some_and(|found| found.live.is_present() || found.deleted.is_present());
        // A deleted parent is forgotten when no version of its own is left.
        if !is_known && !self.is_deleted && version.owner == parent {
            let what = "the branch was forked, but neither its record nor a mark of its deletion is there";
            self.findings.add(&key::branch(parent_id), Problem::Missing, what);
        }
        let inherits = |record: &record::Branch| {
            record.origin().is_some_and(|first| (first.owner, first.lsn) == (version.owner, version.lsn))
        };
        let record = found.and_then(|found| found.live.read().or(found.deleted.read()));
        let is_parents = version.owner == parent || record.is_none_or(inherits);
        if !is_parents || parent >= self.id.number() {
            self.contradict(key, format!("it was not forked from a version of its parent, branch {parent}"));
        }
    }

    /// Looks for the version that a reference means; none where it is missing, damaged, or another one.
    fn refer(&mut self, reference: record::VersionRef, is_head: bool) -> Option<Content> {
        let (owner, lsn) = (BranchId::new(self.id.namespace(), reference.owner), Lsn::new(reference.lsn));
        let is_own = owner == self.id;
        let Some(version) = self.branches.get(&owner).and_then(|branch| branch.version(lsn)) else {
            if self.collected && is_own {
                return None;
            }
            let cause = self.findings.add(&key::version(owner, lsn), Problem::Missing, VERSION_IS_MISSING);
            self.affect(&cause.into(), lsn, Role { is_own: false, is_head });
            return None;
        };
        if !is_own {
            self.affect(&version.causes, lsn, Role { is_own, is_head });
        }
        let content = version.content?;
        if content.checksum.0 == reference.checksum {
            return Some(content);
        }
        let cause = self.findings.add(&key::version(owner, lsn), Problem::Replaced, VERSION_IS_ANOTHER);
        self.affect(&cause.into(), lsn, Role { is_own, is_head });
        None
    }

    fn contradict(&mut self, key: &Bytes, what: impl Into<String>) {
        self.findings.add(key, Problem::Contradiction, what);
    }

    fn affect(&mut self, causes: &Causes, lsn: Lsn, role: Role) {
        let Role { is_own, is_head } = role;
        let version = Unreadable { branch: self.id, lsn, is_own, is_head, is_deleted: self.is_deleted };
        self.findings.affect(causes, version);
    }
}

/// What a version is to a branch.
#[derive(Clone, Copy)]
struct Role {
    is_own: bool,
    is_head: bool,
}

fn instant(micros: Micros) -> impl std::fmt::Display {
    micros.instant().format("%FT%T%.6fZ")
}
