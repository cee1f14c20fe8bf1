//! The one pass over all keys, in their order.

use std::collections::BTreeMap;

use bincode::Decode;
use bytes::Bytes;

use super::{
    findings::{Causes, Findings, Problem},
    key::{Key, Kind},
    nodes::{Entry, NodeIndex, Nodes, Reading},
    references::{Holder, References},
    report::Report,
};
use crate::{
    BranchId, Lsn, MAX_METADATA_BYTES, MAX_VALUE_BYTES, NamespaceId,
    clock::Micros,
    codec::{
        self,
        envelope::{self, Checksum},
        key::NodeId,
        record,
    },
    error::Error,
    store::Snapshot,
    tree::{Child, Node},
};

/// A stored value, as far as it could be read.
#[derive(Default)]
pub(super) enum Slot<T> {
    #[default]
    Absent,
    /// There is a value, but it cannot be read.
    Damaged,
    Read(T),
}

impl<T> Slot<T> {
    pub(super) fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(super) fn read(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Damaged => None,
        }
    }
}

/// Which keys there are of a namespace.
#[derive(Default)]
pub(super) struct Namespace {
    pub(super) is_live: bool,
    pub(super) is_deleted: bool,
}

/// What there is of a branch.
#[derive(Default)]
pub(super) struct Branch {
    pub(super) live: Slot<record::Branch>,
    pub(super) deleted: Slot<record::Branch>,
    /// The LSNs and instants of the entries that find versions.
    pub(super) instants: Vec<(Lsn, Micros)>,
    /// The branch's own versions, in the order of their LSNs.
    pub(super) versions: Vec<Version>,
}

impl Branch {
    /// Whether what is known of the branch cannot be read.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(self.live, Slot::Damaged) || matches!(self.deleted, Slot::Damaged)
    }

    pub(super) fn version(&self, lsn: Lsn) -> Option<&Version> {
        let at = self.versions.binary_search_by_key(&lsn, |version| version.lsn).ok()?;
        self.versions.get(at)
    }
}

/// What is kept of a version.
pub(super) struct Version {
    pub(super) lsn: Lsn,
    /// None where it does not decode.
    pub(super) content: Option<Content>,
    /// Why it cannot be read as a whole.
    pub(super) causes: Causes,
    /// Bytes of key and value.
    pub(super) bytes: u64,
}

/// What a version says.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) checksum: Checksum,
    pub(super) micros: Micros,
    /// None where the map is inline, or the root is missing.
    pub(super) root: Option<NodeIndex>,
}

/// Everything that was read, as far as it is needed to compare.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) report: Report,
    pub(super) findings: Findings,
    pub(super) mark: Slot<record::Mark>,
    /// The format that the store as a whole has.
    pub(super) mark_format: Option<u8>,
    pub(super) ids: Slot<record::Ids>,
    /// The greatest id that a key holds.
    pub(super) greatest_id: u64,
    pub(super) namespaces: BTreeMap<NamespaceId, Namespace>,
    pub(super) branches: BTreeMap<BranchId, Branch>,
    pub(super) nodes: Nodes,
    pub(super) references: References,
}

impl Scan {
    /// Takes the next entry of the store, of which `snapshot` has all.
    pub(super) fn add(&mut self, snapshot: &dyn Snapshot, key: &Bytes, value: &Bytes) -> Result<(), Error> {
        let parsed = Key::parse(key);
        let bytes = (key.len() + value.len()) as u64;
        self.report.counts.entry(parsed.map_or(Kind::Unknown, Key::kind)).or_default().add(bytes);
        let Some(parsed) = parsed else {
            self.findings.add(key, Problem::UnknownKey, "no key of the engine has this form");
            return Ok(());
        };
        self.greatest_id = self.greatest_id.max(parsed.greatest_id());
        match parsed {
            Key::Mark => {
                self.mark = self.open(key, value);
                self.mark_format = self.mark.read().and(value.first().copied());
            }
            Key::Ids => self.ids = self.open(key, value),
            Key::Namespace(id) => {
                self.namespaces.entry(id).or_default().is_live = true;
                self.open::<record::Namespace>(key, value);
            }
            Key::Branch(id) => {
                let slot = self.open(key, value);
                self.branches.entry(id).or_default().live = slot;
            }
            Key::Node(namespace, id) => {
                let (maps, findings) = (&mut self.report.maps, &mut self.findings);
                let mut reading = Reading { snapshot, maps, findings };
                self.nodes.add(Entry { namespace, id, key, value }, &mut reading)?;
            }
            Key::Record(namespace, ..) => self.add_record(namespace, key, value),
            Key::Unneeded(..) => drop(self.open::<record::Unneeded>(key, value)),
            Key::Detached => drop(self.open::<record::Detached>(key, value)),
            Key::Garbage(..) => drop(self.open::<record::Garbage>(key, value)),
            Key::GarbageNamespace(_) => self.check_empty(key, value),
            Key::Window(_) => drop(self.open::<record::Window>(key, value)),
            Key::Pin(namespace, name) => {
                let pin = match self.open::<record::Pin>(key, value) {
                    Slot::Read(pin) => Slot::Read(pin.version),
                    Slot::Absent | Slot::Damaged => Slot::Damaged,
                };
                self.references.pins.insert((namespace, Bytes::copy_from_slice(name)), pin);
            }
            Key::Expiry(branch, micros) => {
                self.check_empty(key, value);
                self.references.expiries.insert((branch, micros));
            }
            Key::ReferenceOfChild(branch, lsn, child) => {
                self.check_empty(key, value);
                self.references.stored.insert(((branch, lsn), Holder::Child(child)));
            }
            Key::ReferenceOfPin(branch, lsn, name) => {
                self.check_empty(key, value);
                let holder = Holder::Pin(Bytes::copy_from_slice(name));
                self.references.stored.insert(((branch, lsn), holder));
            }
            Key::Instant(branch, micros, lsn) => self.add_instant(branch, micros, lsn, key, value),
            Key::Version(branch, lsn) => self.add_version(branch, lsn, key, value),
            Key::DeletedNamespace(id) => {
                self.namespaces.entry(id).or_default().is_deleted = true;
                self.add_deleted(None, key, value);
            }
            Key::DeletedBranch(id) => self.add_deleted(Some(id), key, value),
        }
        Ok(())
    }

    fn open<T: Decode<()>>(&mut self, key: &Bytes, value: &Bytes) -> Slot<T> {
        match codec::open(key, value) {
            Ok((read, _)) => Slot::Read(read),
            Err(error) => {
                self.findings.add_damaged(key, &error);
                Slot::Damaged
            }
        }
    }

    fn add_record(&mut self, namespace: NamespaceId, key: &Bytes, value: &Bytes) {
        self.report.records.entry(namespace).or_default().add((key.len() + value.len()) as u64);
        match envelope::open(key, value) {
            Ok((payload, _)) if payload.len() > MAX_VALUE_BYTES => {
                let what = format!("the record has {} bytes, but {MAX_VALUE_BYTES} at most", payload.len());
                self.findings.add(key, Problem::Contradiction, what);
            }
            Ok(_) => {}
            Err(error) => drop(self.findings.add_damaged(key, &error)),
        }
    }

    fn check_empty(&mut self, key: &Bytes, value: &Bytes) {
        match envelope::open(key, value) {
            Ok((payload, _)) if payload.is_empty() => {}
            Ok(_) => drop(self.findings.add(key, Problem::Damaged, "the value should be empty")),
            Err(error) => drop(self.findings.add_damaged(key, &error)),
        }
    }

    fn add_instant(&mut self, id: BranchId, micros: Micros, lsn: Lsn, key: &Bytes, value: &Bytes) {
        self.check_empty(key, value);
        // Readers take what they need from the key.
        self.branches.entry(id).or_default().instants.push((lsn, micros));
    }

    fn add_version(&mut self, id: BranchId, lsn: Lsn, key: &Bytes, value: &Bytes) {
        let mut causes = Causes::default();
        let content = match codec::open::<record::Version>(key, value) {
            Ok((version, checksum)) => {
                let (micros, metadata) = (Micros(version.micros), version.metadata.len());
                if metadata > MAX_METADATA_BYTES {
                    let what = format!("the metadata has {metadata} bytes, but {MAX_METADATA_BYTES} at most");
                    self.findings.add(key, Problem::Contradiction, what);
                }
                let root = self.root(id.namespace(), key, version.root, &mut causes);
                Some(Content { checksum, micros, root })
            }
            Err(error) => {
                causes.add(self.findings.add_damaged(key, &error));
                None
            }
        };
        let bytes = (key.len() + value.len()) as u64;
        self.branches.entry(id).or_default().versions.push(Version { lsn, content, causes, bytes });
    }

    /// Checks the root of a version's map.
    fn root(
        &mut self,
        namespace: NamespaceId,
        key: &Bytes,
        root: record::Root,
        causes: &mut Causes,
    ) -> Option<NodeIndex> {
        match root {
            record::Root::Inline(payload) => {
                self.report.maps.inline += 1;
                if Node::decode(payload.into()).is_none_or(|node| node.level() > 0) {
                    let what = "the inline map is not a leaf with ascending keys";
                    causes.add(self.findings.add(key, Problem::Disorder, what));
                }
                None
            }
            record::Root::Node { id, checksum } => {
                let child = Child { id: NodeId(id), checksum: Checksum(checksum) };
                let found = self.nodes.refer(namespace, child, &mut self.findings);
                if let Some(cause) = found.cause {
                    causes.add(cause);
                    self.findings.need(cause);
                }
                let index = found.index?;
                causes.add_all(self.nodes.damage(index));
                if let Some(level) = self.nodes.level(index) {
                    *self.report.maps.heights.entry(level + 1).or_default() += 1;
                }
                Some(index)
            }
        }
    }

    fn add_deleted(&mut self, branch: Option<BranchId>, key: &Bytes, value: &Bytes) {
        let slot = match (self.open::<record::Deleted>(key, value), branch) {
            (Slot::Read(record::Deleted { branch: Some(record), .. }), Some(_)) => Slot::Read(record),
            (Slot::Read(record::Deleted { branch: None, .. }), None) => return,
            (Slot::Read(_), _) => {
                let what = "the mark of a deleted branch, and no other, holds the branch as it was";
                self.findings.add(key, Problem::Contradiction, what);
                Slot::Damaged
            }
            (Slot::Absent | Slot::Damaged, _) => Slot::Damaged,
        };
        if let Some(id) = branch {
            self.branches.entry(id).or_default().deleted = slot;
        }
    }
}
