//! Purges a key: takes its old values out of all versions of a namespace.
//!
//! # What goes, and what stays
//!
//! A value that is the key's present one on some branch is in use, and stays wherever it is. Each other value that the key has in a version goes: the version
//! then has a replacement that the caller gives, or does not have the key at all. It keeps its LSN, its instant, its metadata and all other keys.
//! So a fork of an old version, a pin or a diff finds the present value, the replacement or nothing; never an old one.
//!
//! # Why it is safe
//!
//! Only the nodes on the path to the key are made anew, so nothing changes for the other nodes. A version is changed after all those that come from it,
//! and only if none of these shares its leaf, so the versions that still share a node stay connected (see [the collector](super)). It is changed in one commit with the
//! records that know its checksum: those of its children and pins. What it no longer leads to, and the version before it does not either, goes onto a list
//! that the collector works off, after those who have the version open as it was have let go of it.
//!
//! It can be killed anywhere, and begun again. It ends when a pass over the namespace has found nothing to change, so that it also sees what was
//! committed meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::apart::Maps;
use crate::{
    BranchId, Engine, Lsn, MAX_METADATA_BYTES, NamespaceId, Snapshot,
    branch::{self, Read},
    clock::Micros,
    codec::{
        self, envelope,
        key::{self, NodeId},
        record,
    },
    engine::Inner,
    error::{Error, check_key, check_value},
    store::{self, Commit, Condition, Direction, KeyRange, Submitted, View, Write},
    tree::{Child, Replacing, Root, Successors, path},
    version::VersionData,
};

/// What a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many versions had an old value, and have it no more.
    pub versions: u64,
}

/// A purge that was done, or begun; see [`Snapshot::purges`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purge {
    /// The key.
    pub key: Vec<u8>,
    /// When it began.
    pub time: DateTime<Utc>,
    /// What the caller noted: who, and why.
    pub metadata: Vec<u8>,
    /// How many versions it changed, once it is done.
    pub versions: u64,
    /// Whether it came to its end. Where it did not, old values may be left: purge again.
    pub is_done: bool,
}

impl Engine {
    /// Takes the old values of `key` out of all versions of a namespace: all but those that are the present one on some branch. Where one was, there is
    /// `replacement` then, or nothing. So no fork of an old version brings an old value back.
    ///
    /// Reads every version of the namespace, and makes those anew that have an old value; commits and reads go on meanwhile. The old values' bytes are removed
    /// by the [collector](Engine::collector). `metadata` is kept with the key and the time in the list of [purges](Snapshot::purges).
    ///
    /// Whoever has a version open reads it as it was, until it is dropped. What a transaction or a fork of an old version brings back while the purge runs is a present value.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::MetadataLength`], [`Error::NamespaceNotFound`]; [`Error::Corrupt`] and [`Error::Store`],
    /// after which some versions may have been changed.
    pub fn purge(
        &self,
        namespace: NamespaceId,
        key: &[u8],
        replacement: Option<&[u8]>,
        metadata: &[u8],
    ) -> Result<Purged, Error> {
        check_key(key)?;
        replacement.map_or(Ok(()), check_value)?;
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(Error::MetadataLength(metadata.len()));
        }
        let mut entry = record::Purge { key: key.to_vec(), metadata: metadata.to_vec(), versions: 0, is_done: false };
        let at = self.note_purge(namespace, None, &entry)?;
        let mut purging = Purging { inner: self.inner(), namespace, key, replacement, changed: 0 };
        while purging.pass()? {}
        (entry.versions, entry.is_done) = (purging.changed, true);
        self.note_purge(namespace, Some(at), &entry)?;
        Ok(Purged { versions: purging.changed })
    }

    /// Writes to the list of purges; gives the instant that it stands under.
    fn note_purge(&self, namespace: NamespaceId, at: Option<Micros>, purge: &record::Purge) -> Result<Micros, Error> {
        let written = self.transact(|tx| {
            tx.require_namespace(namespace)?;
            let at = at.unwrap_or_else(|| tx.instant_of_commit());
            let key = key::purge(namespace, at);
            tx.write(key.clone(), Some(codec::seal(&key, purge)?.0));
            Ok::<_, Error>(at)
        })?;
        Ok(written.value)
    }
}

impl Snapshot<'_> {
    /// The purges of a namespace, oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn purges(&self, namespace: NamespaceId) -> Result<Vec<Purge>, Error> {
        let entries = self.parts().1.range(&key::of_namespace(b'e', namespace), Direction::Ascending);
        let purge = |(key, value): (Bytes, Bytes)| {
            let (record::Purge { key: purged, metadata, versions, is_done }, _) = codec::open(&key, &value)?;
            let micros = key.get(9..).and_then(|bytes| bytes.first_chunk::<8>());
            let micros = micros.ok_or_else(|| Error::corrupt(&key, "key of a purge is too short"))?;
            let time = Micros((u64::from_be_bytes(*micros) ^ (1 << 63)).cast_signed()).instant();
            Ok(Purge { key: purged, time, metadata, versions, is_done })
        };
        entries.map(|entry| entry.map_err(Error::from).and_then(purge)).collect()
    }
}

struct Purging<'a> {
    inner: &'a Inner,
    namespace: NamespaceId,
    key: &'a [u8],
    replacement: Option<&'a [u8]>,
    changed: u64,
}

/// A version that may have to be changed, as a state of the store shows it.
struct Found<'a> {
    snapshot: &'a dyn store::Snapshot,
    data: VersionData,
    key: Bytes,
    value: Bytes,
}

/// What became of a version.
enum Outcome {
    Changed,
    /// The value is in use: on a branch that has this version as its newest, or in a version that comes from this one.
    InUse,
    /// Something has changed meanwhile.
    Stale,
}

impl Purging<'_> {
    /// Goes through all versions once, from the newest to the oldest; false when it found nothing to change.
    fn pass(&mut self) -> Result<bool, Error> {
        let before = self.changed;
        let mut in_use = self.present_values()?;
        for branch in self.branches()?.into_iter().rev() {
            // The collector takes no version apart meanwhile.
            let _alone = self.inner.collecting.lock();
            let mut successors = Successors::new();
            let mut next = Some(Lsn::new(u64::MAX));
            while let Some(until) = next {
                let _reader = self.inner.readers.enter();
                let snapshot = self.inner.store.snapshot(View::Latest)?;
                let Some((key, value)) = Read::last(snapshot.as_ref(), &key::versions_until(branch, until))? else {
                    break;
                };
                let lsn =
                    key::trailing_lsn(&key).ok_or_else(|| Error::corrupt(&key, "key of a version is too short"))?;
                let data = VersionData::decode(branch, lsn, &key, &value)?;
                let own = data.root.get(&self.inner.nodes, self.namespace, self.key)?;
                let is_old = own.as_ref().is_some_and(|own| {
                    !in_use.contains(own) && self.replacement.is_none_or(|replacement| replacement != own)
                });
                let found = Found { snapshot: snapshot.as_ref(), data, key, value };
                let outcome = if is_old { Some(self.change(&found, &mut successors)?) } else { None };
                match outcome {
                    Some(Outcome::Changed) => self.changed += 1,
                    Some(Outcome::Stale) => {
                        successors.clear();
                        continue;
                    }
                    Some(Outcome::InUse) => {
                        in_use.extend(own);
                        successors.clear();
                    }
                    None => successors.clear(),
                }
                next = lsn.get().checked_sub(1).map(Lsn::new);
            }
        }
        Ok(self.changed > before)
    }

    /// All branches that have versions, or may have.
    fn branches(&self) -> Result<BTreeSet<BranchId>, Error> {
        let snapshot = self.inner.store.snapshot(View::Latest)?;
        let mut branches = BTreeSet::new();
        for tag in [b'b', b'x'] {
            for entry in snapshot.range(&key::of_namespace(tag, self.namespace), Direction::Ascending) {
                branches.extend(key::branch_of(&entry?.0));
            }
        }
        Ok(branches)
    }

    fn present_values(&self) -> Result<BTreeSet<Bytes>, Error> {
        let _reader = self.inner.readers.enter();
        let snapshot = self.inner.store.snapshot(View::Latest)?;
        let (mut values, mut heads) = (BTreeSet::new(), BTreeSet::new());
        for entry in snapshot.range(&key::of_namespace(b'b', self.namespace), Direction::Ascending) {
            let (key, value) = entry?;
            let head = codec::open::<record::Branch>(&key, &value)?.0.head;
            if heads.insert((head.owner, head.lsn)) {
                let version = self.inner.versions.load(snapshot.as_ref(), self.namespace, head)?;
                values.extend(version.root.get(&self.inner.nodes, self.namespace, self.key)?);
            }
        }
        Ok(values)
    }

    fn change(&self, found: &Found<'_>, successors: &mut Successors) -> Result<Outcome, Error> {
        let mut change = Change::new(found);
        if !change.add_referrers()? || self.is_shared_below(found, &change.children)? {
            return Ok(Outcome::InUse);
        }
        let (inner, nodes, ids) = (self.inner, &self.inner.nodes, &self.inner.ids);
        let mut new_nodes = Vec::new();
        let mut write = |payload: Vec<u8>| {
            let id = NodeId(ids.next()?);
            let key = key::node(self.namespace, id);
            let (value, checksum) = envelope::seal(&key, &payload);
            new_nodes.push(Write::Create(key, value));
            Ok(Child { id, checksum })
        };
        let replacing = Replacing { nodes, namespace: self.namespace, key: self.key, value: self.replacement };
        let root = replacing.replace(&found.data.root, successors, &mut write)?;
        change.writes.extend(new_nodes);
        change.list_unneeded(self, found)?;
        change.put_version(root)?;
        match inner.store.submit(Commit { conditions: change.conditions, writes: change.writes })? {
            Submitted::Applied(ticket) => inner.store.wait(ticket)?,
            Submitted::Conflict => return Ok(Outcome::Stale),
        }
        inner.versions.forget(found.data.owner, found.data.lsn);
        Ok(Outcome::Changed)
    }

    /// Whether a version that comes right after this one shares the leaf with the key.
    fn is_shared_below(&self, found: &Found<'_>, children: &[BranchId]) -> Result<bool, Error> {
        let Some(leaf) = path(&self.inner.nodes, self.namespace, &found.data.root, self.key)?.pop() else {
            return Ok(false);
        };
        let mut maps = Maps::new(&self.inner.nodes, self.namespace);
        let next = found.data.lsn.checked_next().map(|next| (found.data.owner, next));
        for (branch, from) in children.iter().map(|child| (*child, Lsn::new(0))).chain(next) {
            let first = found.snapshot.range(&key::versions_from(branch, from), Direction::Ascending).next();
            let Some((key, value)) = first.transpose()? else { continue };
            let root = VersionData::decode(branch, Lsn::new(0), &key, &value)?.root;
            if maps.has(&root, leaf.id, leaf.level, &leaf.smallest)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// One commit of a purge.
struct Change<'a> {
    found: &'a Found<'a>,
    /// What knows the version's checksum, by its key.
    branches: BTreeMap<Bytes, Referrer>,
    pins: BTreeMap<Bytes, record::Pin>,
    children: Vec<BranchId>,
    conditions: Vec<Condition>,
    writes: Vec<Write>,
}

/// A branch that is there, or was deleted.
enum Referrer {
    Living(record::Branch),
    Deleted { micros: i64, branch: record::Branch },
}

impl Referrer {
    fn branch_mut(&mut self) -> &mut record::Branch {
        match self {
            Self::Living(branch) | Self::Deleted { branch, .. } => branch,
        }
    }
}

impl<'a> Change<'a> {
    fn new(found: &'a Found<'a>) -> Self {
        Self {
            found,
            branches: BTreeMap::new(),
            pins: BTreeMap::new(),
            children: Vec::new(),
            conditions: Vec::new(),
            writes: Vec::new(),
        }
    }

    fn depends_on(&mut self, range: KeyRange) {
        self.conditions.push(Condition { range, unchanged_since: self.found.snapshot.sequence() });
    }

    fn is_this(&self, reference: record::VersionRef) -> bool {
        (reference.owner, reference.lsn) == (self.found.data.owner.number(), self.found.data.lsn.get())
    }

    /// Looks up all that refer to the version; false when it is the newest one of a branch.
    fn add_referrers(&mut self) -> Result<bool, Error> {
        let (owner, lsn) = (self.found.data.owner, self.found.data.lsn);
        self.depends_on(KeyRange::key(self.found.key.clone()));
        let references = key::references(owner, lsn, lsn);
        self.depends_on(references.clone());
        for entry in self.found.snapshot.range(&references, Direction::Ascending) {
            let (key, _) = entry?;
            match key::holder_of(&key) {
                Some(key::Holder::Child(child)) => {
                    let child = BranchId::new(owner.namespace(), child);
                    self.children.push(child);
                    if !self.add_branch(child)? {
                        return Ok(false);
                    }
                }
                Some(key::Holder::Pin(name)) => {
                    let key = key::pin(owner.namespace(), &name);
                    let value = self.found.snapshot.get(&key)?;
                    let value = value.ok_or_else(|| Error::corrupt(&key, "the pin is missing"))?;
                    self.pins.insert(key.clone(), codec::open(&key, &value)?.0);
                    self.depends_on(KeyRange::key(key));
                }
                None => return Err(Error::corrupt(&key, "key of a reference is too short")),
            }
        }
        self.add_branch(owner)
    }

    /// Adds a branch that may refer to the version; false when the version is its newest one.
    fn add_branch(&mut self, id: BranchId) -> Result<bool, Error> {
        if let Some(branch) = branch::load(self.found.snapshot, id)? {
            if self.is_this(branch.head) {
                return Ok(false);
            }
            // The owner changes with each commit; it does not know the version unless that is its head.
            if id != self.found.data.owner {
                self.depends_on(KeyRange::key(key::branch(id)));
                self.branches.insert(key::branch(id), Referrer::Living(branch));
            }
            return Ok(true);
        }
        let key = key::deleted_branch(id);
        if let Some(value) = self.found.snapshot.get(&key)? {
            let (deleted, _) = codec::open::<record::Deleted>(&key, &value)?;
            let branch =
                deleted.branch.ok_or_else(|| Error::corrupt(&key, "the mark does not hold the branch as it was"))?;
            self.depends_on(KeyRange::key(key.clone()));
            self.branches.insert(key, Referrer::Deleted { micros: deleted.micros, branch });
        }
        Ok(true)
    }

    /// Lists the nodes on the way to the key that the version before does not have either.
    fn list_unneeded(&mut self, purging: &Purging<'_>, found: &Found<'_>) -> Result<(), Error> {
        let (nodes, namespace) = (&purging.inner.nodes, purging.namespace);
        let before = self.root_before()?;
        let mut maps = Maps::new(nodes, namespace);
        let mut unneeded = Vec::new();
        for node in path(nodes, namespace, &found.data.root, purging.key)? {
            let is_shared = match &before {
                Some(root) => maps.has(root, node.id, node.level, &node.smallest)?,
                None => false,
            };
            if !is_shared {
                unneeded.push(node.id.0);
            }
        }
        let Some(first) = unneeded.first() else { return Ok(()) };
        let key = key::unneeded(namespace, NodeId(*first));
        let (value, _) = codec::seal(&key, &record::Unneeded { nodes: unneeded, purged: true })?;
        self.writes.push(Write::Put(key, value));
        Ok(())
    }

    /// The root of the version before: the branch's own, or the one that it was forked from.
    fn root_before(&mut self) -> Result<Option<Root>, Error> {
        let (owner, lsn) = (self.found.data.owner, self.found.data.lsn);
        let own = Read::last(self.found.snapshot, &key::versions_before(owner, lsn))?;
        let (of, key, value) = match own {
            Some((key, value)) => (owner, key, value),
            None => {
                let record = match branch::load(self.found.snapshot, owner)? {
                    Some(record) => Some(record),
                    None => self.branches.get_mut(&key::deleted_branch(owner)).map(|found| found.branch_mut().clone()),
                };
                let Some(origin) = record.and_then(|record| record.origin()) else { return Ok(None) };
                let of = BranchId::new(owner.namespace(), origin.owner);
                let key = key::version(of, Lsn::new(origin.lsn));
                let value = self.found.snapshot.get(&key)?;
                (of, key.clone(), value.ok_or_else(|| Error::corrupt(&key, "version is missing"))?)
            }
        };
        self.depends_on(KeyRange::key(key.clone()));
        Ok(Some(VersionData::decode(of, Lsn::new(0), &key, &value)?.root))
    }

    /// Writes the version with another root, and its new checksum wherever it is known.
    fn put_version(&mut self, root: Root) -> Result<(), Error> {
        let key = self.found.key.clone();
        let (mut version, _) = codec::open::<record::Version>(&key, &self.found.value)?;
        version.root = match &root {
            Root::Inline(node) => record::Root::Inline(node.bytes().to_vec()),
            Root::Stored(child) => record::Root::Node { id: child.id.0, checksum: child.checksum.0 },
        };
        let (value, checksum) = codec::seal(&key, &version)?;
        self.writes.push(Write::Put(key, value));
        let this = (self.found.data.owner.number(), self.found.data.lsn.get());
        let renew = |reference: &mut record::VersionRef| {
            if (reference.owner, reference.lsn) == this {
                reference.checksum = checksum.0;
            }
        };
        for (key, mut pin) in std::mem::take(&mut self.pins) {
            renew(&mut pin.version);
            self.writes.push(Write::Put(key.clone(), codec::seal(&key, &pin)?.0));
        }
        for (key, mut referrer) in std::mem::take(&mut self.branches) {
            let branch = referrer.branch_mut();
            renew(&mut branch.head);
            match &mut branch.first {
                record::First::Root { .. } | record::First::CutRoot { .. } => {}
                record::First::Fork { version, .. } | record::First::CutFork { version, .. } => renew(version),
            }
            let value = match referrer {
                Referrer::Living(branch) => codec::seal(&key, &branch)?.0,
                Referrer::Deleted { micros, branch } => {
                    codec::seal(&key, &record::Deleted { micros, branch: Some(branch) })?.0
                }
            };
            self.writes.push(Write::Put(key, value));
        }
        Ok(())
    }
}
