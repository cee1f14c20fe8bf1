//! Serializable transactions.
//!
//! A transaction reads one state of the store, [`View::Latest`](crate::View), and notes what it read: keys and ranges of records, and keys
//! and ranges of branches' maps. At its end, [`commit`] checks that all of it still holds, puts the changes on top of what the branches' heads
//! are by then, and submits one commit. Where something did not hold, the body runs again.
//!
//! Commits that are not durable yet are read, and built on; whoever does so becomes durable after them, or fails with them. Therefore also a body
//! that fails, or only reads, is answered after what it read is durable.

mod commit;
mod edit;
mod merge;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use self::{
    commit::{Attempt, Conflict},
    edit::{Base, BranchEdit},
};
use crate::{
    BranchId, BranchInfo, Engine, Lsn, MAX_METADATA_BYTES, NamespaceId, Origin, Point, Table, Version, branch,
    clock::Micros,
    codec::{self, envelope, key, record},
    engine::Inner,
    error::{Error, check_key, check_value},
    locks::Held,
    readers::Reader,
    snapshot::open_record,
    store::{self, Direction, KeyRange, View},
    version::VersionData,
};

/// How often a body runs before the engine gives up.
const ATTEMPTS: u32 = 1000;

/// After how many attempts a transaction holds the locks of its branches while its body runs, so that it cannot lose again.
const PATIENT_AFTER: u32 = 3;

/// What a transaction brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the body returned.
    pub value: T,
    /// The instant of the commit; the same as [`Transaction::instant`] said.
    pub instant: DateTime<Utc>,
    /// The versions that the commit made.
    pub versions: Vec<(BranchId, Lsn)>,
}

/// What [`Transaction::fork`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The new branch.
    pub branch: BranchId,
    /// The LSN that the new branch begins with; its own versions come after it.
    pub lsn: Lsn,
    /// What it was forked from.
    pub origin: Origin,
}

impl Engine {
    /// Runs `body` as one serializable transaction, and returns when what it wrote is durable.
    ///
    /// `body` may run several times, since others may change what it read: it should have no effect but through the transaction. When it returns
    /// an error, nothing is written, and what it read was so when that was decided.
    ///
    /// A transaction may be of any size. It is kept in memory until it ends: one of 100,000 keys with values of 100 bytes takes less than 128 MiB, what
    /// the store keeps of it for a while included.
    ///
    /// # Errors
    ///
    /// What `body` returns; [`Error::NestedTransaction`] inside another body; [`Error::Contention`]; [`Error::LsnNotGreater`];
    /// [`Error::Corrupt`]; [`Error::Store`], after which it is not known whether the changes will be there when the store is opened again.
    pub fn transact<T, E: From<Error>>(
        &self,
        mut body: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        let _running = Running::enter()?;
        let inner = self.inner();
        let mut conflict = Conflict::none();
        for attempt in 0..ATTEMPTS {
            let held = match attempt < PATIENT_AFTER {
                true => Held::default(),
                false => inner.locks.hold_patiently(&conflict.branches),
            };
            let mut transaction = Transaction::new(inner, conflict.floor)?;
            let outcome = body(&mut transaction);
            if outcome.is_err() {
                transaction.forget_changes();
            }
            let done = transaction.commit(held);
            match (outcome, done) {
                (_, Ok(Attempt::Conflict(next))) => conflict = next,
                (Ok(value), Ok(Attempt::Done(done))) => {
                    return Ok(Committed { value, instant: done.instant.instant(), versions: done.versions });
                }
                // When the check of a failed body fails too, the body's error is the one that says more.
                (Err(error), _) => return Err(error),
                (Ok(_), Err(error)) => return Err(error.into()),
            }
        }
        Err(Error::Contention { attempts: ATTEMPTS }.into())
    }
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as being inside a body, where waiting for locks could wait for itself.
struct Running;

impl Running {
    fn enter() -> Result<Self, Error> {
        refuse_inside_body()?;
        RUNNING.set(true);
        Ok(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}

pub(crate) fn refuse_inside_body() -> Result<(), Error> {
    if RUNNING.get() { Err(Error::NestedTransaction) } else { Ok(()) }
}

/// A running transaction; see [`Engine::transact`]. It reads what it wrote.
pub struct Transaction<'a> {
    inner: &'a Inner,
    reader: Reader<'a>,
    snapshot: Box<dyn store::Snapshot + 'a>,
    instant: Micros,
    instant_used: Cell<bool>,
    metadata: Vec<u8>,
    /// What was read of the store itself.
    reads: Vec<KeyRange>,
    /// What is written to the store itself: stored values, ready to be written.
    writes: BTreeMap<Bytes, Option<Bytes>>,
    /// What was read and written of branches' maps.
    branches: BTreeMap<BranchId, BranchEdit>,
    /// Branches of which a state was found by its time.
    timed: BTreeSet<BranchId>,
    /// Namespaces that were found to exist.
    namespaces: BTreeSet<NamespaceId>,
}

impl<'a> Transaction<'a> {
    fn new(inner: &'a Inner, floor: Micros) -> Result<Self, Error> {
        Ok(Self {
            inner,
            reader: inner.readers.enter(),
            snapshot: inner.store.snapshot(View::Latest)?,
            instant: inner.instants.next(floor),
            instant_used: Cell::new(false),
            metadata: Vec::new(),
            reads: Vec::new(),
            writes: BTreeMap::new(),
            branches: BTreeMap::new(),
            timed: BTreeSet::new(),
            namespaces: BTreeSet::new(),
        })
    }

    /// The instant that the commit will carry: exact to the microsecond, and after every earlier one.
    pub fn instant(&self) -> DateTime<Utc> {
        self.instant_used.set(true);
        self.instant.instant()
    }

    /// Notes who commits and why, for each version that the commit makes: at most [`MAX_METADATA_BYTES`].
    ///
    /// # Errors
    ///
    /// [`Error::MetadataLength`].
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), Error> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(Error::MetadataLength(metadata.len()));
        }
        self.metadata = metadata.to_vec();
        Ok(())
    }

    // Namespaces

    /// Makes a namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn create_namespace(&mut self) -> Result<NamespaceId, Error> {
        let id = NamespaceId::new(self.inner.ids.next()?);
        self.instant_used.set(true);
        let key = key::namespace(id);
        let (value, _) = codec::seal(&key, &record::Namespace { created_micros: self.instant.0 })?;
        self.writes.insert(key, Some(value));
        self.namespaces.insert(id);
        Ok(id)
    }

    /// Deletes up to `limit` of what there was in a namespace before this transaction: branches, pins, records. Gives how many; fewer than `limit` where no more
    /// is left. What one commit can't [delete](Transaction::delete_namespace), some hundred thousand of them, is deleted by several of these before.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceNotFound`], [`Error::SystemNamespace`], [`Error::Corrupt`], [`Error::Store`].
    pub fn clear_namespace(&mut self, namespace: NamespaceId, limit: usize) -> Result<usize, Error> {
        if namespace == NamespaceId::SYSTEM {
            return Err(Error::SystemNamespace);
        }
        self.require_namespace(namespace)?;
        let mut deleted = 0;
        for (key, _) in self.store_range(&key::branches(namespace), Direction::Ascending, limit)? {
            let branch = key::branch_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a branch is too short"))?;
            self.delete_branch(branch)?;
            deleted += 1;
        }
        let pins = key::pin_range(namespace, &KeyRange::ALL);
        for (key, _) in self.store_range(&pins, Direction::Ascending, limit - deleted)? {
            self.unpin(namespace, key::pin_name(&key))?;
            deleted += 1;
        }
        let records = self.store_range(&key::records(namespace), Direction::Ascending, limit - deleted)?;
        deleted += records.len();
        self.writes.extend(records.into_iter().map(|(key, _)| (key, None)));
        Ok(deleted)
    }

    /// Deletes a namespace with its branches and records.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceNotFound`], [`Error::SystemNamespace`], [`Error::Store`].
    pub fn delete_namespace(&mut self, namespace: NamespaceId) -> Result<(), Error> {
        if namespace == NamespaceId::SYSTEM {
            return Err(Error::SystemNamespace);
        }
        self.require_namespace(namespace)?;
        for range in [key::branches(namespace), key::records(namespace), key::pin_range(namespace, &KeyRange::ALL)] {
            let entries = self.store_range(&range, Direction::Ascending, usize::MAX)?;
            self.writes.extend(entries.into_iter().map(|(key, _)| (key, None)));
        }
        self.writes.insert(key::namespace(namespace), None);
        self.writes.insert(key::window(namespace), None);
        let key = key::deleted_namespace(namespace);
        let (value, _) = codec::seal(&key, &record::Deleted { micros: self.instant.0, branch: None })?;
        self.writes.insert(key, Some(value));
        self.put_sealed(key::garbage_namespace(namespace), &[]);
        self.branches.retain(|branch, _| branch.namespace() != namespace);
        self.namespaces.remove(&namespace);
        Ok(())
    }

    pub(crate) fn require_namespace(&mut self, namespace: NamespaceId) -> Result<(), Error> {
        if self.namespaces.contains(&namespace) {
            return Ok(());
        }
        self.store_get(&key::namespace(namespace))?.ok_or(Error::NamespaceNotFound(namespace))?;
        self.namespaces.insert(namespace);
        Ok(())
    }

    // Branches

    /// Makes a root branch with an empty map.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn create_branch(&mut self, namespace: NamespaceId) -> Result<BranchId, Error> {
        self.require_namespace(namespace)?;
        let id = BranchId::new(namespace, self.inner.ids.next()?);
        self.branches.insert(id, BranchEdit::new(Base::Created));
        Ok(id)
    }

    /// Makes a child of `parent`, with the map that `parent` had at `point`. Copies nothing: it costs the same whatever the map's size, the branch
    /// tree's depth and the history's length.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`],
    /// [`Error::Uncommitted`] when this transaction made or changed `parent`, [`Error::Corrupt`], [`Error::Store`].
    pub fn fork(&mut self, parent: BranchId, point: Point) -> Result<Fork, Error> {
        let (found, version) = self.select(parent, point)?;
        let lsn = match point {
            Point::Head => Lsn::new(found.head_lsn),
            Point::Lsn(lsn) => lsn,
            Point::Time(_) => version.lsn,
        };
        self.fork_version(parent, &version, lsn, point)
    }

    /// Makes a child of `parent` that begins with `version`, at `lsn`.
    pub(crate) fn fork_version(
        &mut self,
        parent: BranchId,
        version: &Arc<VersionData>,
        lsn: Lsn,
        point: Point,
    ) -> Result<Fork, Error> {
        // A purge may replace the version.
        self.reads.push(KeyRange::key(key::version(version.owner, version.lsn)));
        let id = BranchId::new(parent.namespace(), self.inner.ids.next()?);
        let (reference, micros) = (version.reference(), version.micros.0);
        let first = record::First::Fork { parent: parent.number(), version: reference, micros, asked: point.into() };
        let record = record::Branch { head: reference, head_micros: micros, head_lsn: lsn.get(), first };
        self.branches.insert(id, BranchEdit::new(Base::Forked { record, version: version.clone() }));
        let origin = Origin { parent, lsn: version.lsn, time: version.micros.instant(), asked: point };
        Ok(Fork { branch: id, lsn, origin })
    }

    /// The version of `branch` at `point`, as it was before this transaction, and the branch's record.
    pub(crate) fn select(
        &mut self,
        branch: BranchId,
        point: Point,
    ) -> Result<(record::Branch, Arc<VersionData>), Error> {
        let found = self.committed_branch(branch)?;
        let present = match point {
            Point::Time(time) => {
                // The commit waits for those that have chosen an earlier instant already; they make it a conflict.
                self.timed.insert(branch);
                self.inner.instants.observe(Micros::of(time))
            }
            Point::Head | Point::Lsn(_) => Micros(i64::MAX),
        };
        let version = branch::select(self.snapshot.as_ref(), &self.inner.versions, branch, &found, point, present)?;
        Ok((found, version))
    }

    /// Deletes a branch. Its children keep what they inherited, and pins what they keep.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn delete_branch(&mut self, branch: BranchId) -> Result<(), Error> {
        if self.branches.remove(&branch).is_some_and(|edit| edit.is_new()) {
            return Ok(());
        }
        let found = self.stored_branch(branch)?;
        self.writes.insert(key::branch(branch), None);
        if let Some(superseded) = branch::oldest_superseded(self.snapshot.as_ref(), branch, &found)? {
            self.writes.insert(key::expiry(branch, superseded), None);
        }
        self.leave_to_collector(branch, Lsn::new(0), Lsn::new(u64::MAX))?;
        let key = key::deleted_branch(branch);
        let (value, _) = codec::seal(&key, &record::Deleted { micros: self.instant.0, branch: Some(found) })?;
        self.writes.insert(key, Some(value));
        Ok(())
    }

    /// What is known of a branch, as it was before this transaction.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Uncommitted`] when this transaction made or changed it, [`Error::Corrupt`], [`Error::Store`].
    pub fn branch(&mut self, branch: BranchId) -> Result<BranchInfo, Error> {
        Ok(BranchInfo::new(branch, &self.committed_branch(branch)?))
    }

    fn committed_branch(&mut self, branch: BranchId) -> Result<record::Branch, Error> {
        match self.branches.get(&branch) {
            Some(edit) if edit.is_new() || edit.is_changed() => Err(Error::Uncommitted(branch)),
            _ => self.stored_branch(branch),
        }
    }

    /// Reads the branch's record itself, so that this transaction conflicts with each one that moves the head.
    fn stored_branch(&mut self, branch: BranchId) -> Result<record::Branch, Error> {
        let key = key::branch(branch);
        let value = self.store_get(&key)?.ok_or(Error::BranchNotFound(branch))?;
        Ok(codec::open(&key, &value)?.0)
    }

    /// Gives the branch this LSN: that of the version that the commit makes or, where it changes nothing in the map, the LSN to which the branch advances
    /// without a version. For callers that mirror a real log; the engine counts by itself otherwise.
    ///
    /// The commit fails with [`Error::LsnNotGreater`] when the head is not before it by then.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn advance(&mut self, branch: BranchId, lsn: Lsn) -> Result<(), Error> {
        self.edit(branch)?.lsn = Some(lsn);
        Ok(())
    }

    // A branch's map

    /// The value of `key` on a branch.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn get(&mut self, branch: BranchId, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let inner = self.inner;
        let edit = self.edit(branch)?;
        if let Some(own) = edit.changes.get(key) {
            return Ok(own.clone());
        }
        edit.keys.insert(Bytes::copy_from_slice(key));
        edit.root().get(&inner.nodes, branch.namespace(), key)
    }

    /// Up to `limit` entries of a branch whose keys lie in `range`.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn range(
        &mut self,
        branch: BranchId,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let inner = self.inner;
        let edit = self.edit(branch)?;
        let stored = edit.iter(inner, branch, range.clone(), direction);
        let entries = merge::merge(stored, merge::within(&edit.changes, range), direction, limit)?;
        edit.ranges.push(merge::read_range(range, direction, limit, &entries));
        Ok(entries)
    }

    /// Writes `key` on a branch. Keys have 1 to [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), values up to
    /// [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn put(&mut self, branch: BranchId, key: &[u8], value: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        check_value(value)?;
        let edit = self.edit(branch)?;
        edit.changes.insert(Bytes::copy_from_slice(key), Some(Bytes::copy_from_slice(value)));
        Ok(())
    }

    /// Removes `key` from a branch; removing an absent one is no error.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn delete(&mut self, branch: BranchId, key: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        self.edit(branch)?.changes.insert(Bytes::copy_from_slice(key), None);
        Ok(())
    }

    fn edit(&mut self, branch: BranchId) -> Result<&mut BranchEdit, Error> {
        use std::collections::btree_map::Entry;
        match self.branches.entry(branch) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                // A branch that this transaction deleted is gone for it.
                if self.writes.contains_key(&key::branch(branch)) {
                    return Err(Error::BranchNotFound(branch));
                }
                let Some(record) = branch::load(self.snapshot.as_ref(), branch)? else {
                    self.reads.push(KeyRange::key(key::branch(branch)));
                    return Err(Error::BranchNotFound(branch));
                };
                let version = self.inner.versions.load(self.snapshot.as_ref(), branch.namespace(), record.head)?;
                Ok(entry.insert(BranchEdit::new(Base::Stored { record, version })))
            }
        }
    }

    // Records

    /// A record's value.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn record(&mut self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let key = key::record(namespace, table, key);
        self.store_get(&key)?.map(|value| Ok(envelope::open(&key, &value)?.0)).transpose()
    }

    /// Up to `limit` records whose keys lie in `range`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn records(
        &mut self,
        namespace: NamespaceId,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let range = key::record_range(namespace, table, range);
        let entries = self.store_range(&range, direction, limit)?;
        entries.into_iter().map(|entry| open_record(table, entry)).collect()
    }

    /// Writes a record. Keys have 1 to [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), values up to
    /// [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::ValueLength`], [`Error::NamespaceNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn record_put(&mut self, namespace: NamespaceId, table: Table, key: &[u8], value: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        check_value(value)?;
        self.require_namespace(namespace)?;
        let key = key::record(namespace, table, key);
        let (value, _) = envelope::seal(&key, value);
        self.writes.insert(key, Some(value));
        Ok(())
    }

    /// Removes a record; removing an absent one is no error.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`].
    pub fn record_delete(&mut self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        self.writes.insert(key::record(namespace, table, key), None);
        Ok(())
    }

    // The store itself

    /// Opens a version that was found in the state that this transaction reads.
    pub(crate) fn open(&self, namespace: NamespaceId, reference: record::VersionRef) -> Result<Version, Error> {
        self.inner.readable(self.snapshot.as_ref(), namespace, reference)
    }

    /// The commit's instant, which may be noted in what it writes.
    pub(crate) fn instant_of_commit(&self) -> Micros {
        self.instant_used.set(true);
        self.instant
    }

    /// Writes a stored value, or removes it.
    pub(crate) fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        self.writes.insert(key, value);
    }

    fn put_sealed(&mut self, key: Bytes, payload: &[u8]) {
        let (value, _) = envelope::seal(&key, payload);
        self.write(key, Some(value));
    }

    /// Has the collector look at the versions that `branch` made, from one LSN up to and with another.
    pub(crate) fn leave_to_collector(&mut self, branch: BranchId, from: Lsn, to: Lsn) -> Result<(), Error> {
        let key = key::garbage(branch, from);
        let left = self.store_get(&key)?.map(|value| codec::open::<record::Garbage>(&key, &value)).transpose()?;
        // What was left before is not forgotten.
        let to_lsn = left.map_or(0, |(left, _)| left.to_lsn).max(to.get());
        let (value, _) = codec::seal(&key, &record::Garbage { to_lsn })?;
        self.write(key, Some(value));
        Ok(())
    }

    pub(crate) fn store_get(&mut self, key: &Bytes) -> Result<Option<Bytes>, Error> {
        if let Some(own) = self.writes.get(key) {
            return Ok(own.clone());
        }
        self.reads.push(KeyRange::key(key.clone()));
        Ok(self.snapshot.get(key)?)
    }

    pub(crate) fn store_range(
        &mut self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let stored = self.snapshot.range(range, direction).map(|entry| entry.map_err(Error::from));
        let entries = merge::merge(stored, merge::within(&self.writes, range), direction, limit)?;
        self.reads.push(merge::read_range(range, direction, limit, &entries));
        Ok(entries)
    }
}
