//! Pins: names that keep versions readable.
//!
//! A pin keeps its version whatever becomes of the branch: when it moves on, when its history is cut, and when it is deleted. Only the deletion of
//! the namespace ends it. It is two keys, written together: the name with its version, and the version with its name, which the collector asks for.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    BranchId, Engine, Fork, Lsn, NamespaceId, Point, Snapshot, Transaction, Version, branch,
    clock::Micros,
    codec::{self, envelope, key, record},
    error::{Error, check_key},
    store::{Direction, KeyRange},
};

/// A name that keeps a version readable; see [`Transaction::pin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The name, unique in its namespace.
    pub name: Bytes,
    /// The branch that made the version. It may be one that the pinned branch was forked from, and it may be deleted.
    pub branch: BranchId,
    /// The version's LSN.
    pub lsn: Lsn,
    /// When the pin was put where it is.
    pub pinned_at: DateTime<Utc>,
}

impl Pin {
    fn decode(namespace: NamespaceId, key: &Bytes, value: &Bytes) -> Result<Self, Error> {
        let (pin, _) = codec::open::<record::Pin>(key, value)?;
        let (branch, lsn) = owner(namespace, pin.version);
        let name = key.slice_ref(key::pin_name(key));
        Ok(Self { name, branch, lsn, pinned_at: Micros(pin.micros).instant() })
    }
}

fn owner(namespace: NamespaceId, version: record::VersionRef) -> (BranchId, Lsn) {
    (BranchId::new(namespace, version.owner), Lsn::new(version.lsn))
}

fn decode(key: &Bytes, value: &Bytes) -> Result<record::VersionRef, Error> {
    Ok(codec::open::<record::Pin>(key, value)?.0.version)
}

impl Transaction<'_> {
    /// Pins the version that `branch` had at `point`, as it was before this transaction: it stays readable until the pin is moved or
    /// [released](Transaction::unpin), whatever becomes of the branch. A pin of that name is moved. Names have 1 to
    /// [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES) and are the namespace's.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::BranchNotFound`], [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`],
    /// [`Error::Uncommitted`] when this transaction made or changed `branch`, [`Error::Corrupt`], [`Error::Store`].
    pub fn pin(&mut self, name: &[u8], branch: BranchId, point: Point) -> Result<(), Error> {
        let version = self.select(branch, point)?.1;
        self.put_pin(branch.namespace(), name, version.reference())
    }

    /// Pins a version that the caller has open, as [`Transaction::pin`] does.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::VersionGone`] when its namespace was deleted, [`Error::Corrupt`], [`Error::Store`].
    pub fn pin_version(&mut self, name: &[u8], version: &Version) -> Result<(), Error> {
        let (namespace, reference) = version.reference();
        self.put_pin(namespace, name, reference)
    }

    fn put_pin(&mut self, namespace: NamespaceId, name: &[u8], version: record::VersionRef) -> Result<(), Error> {
        check_key(name)?;
        self.require_namespace(namespace)?;
        let (branch, lsn) = owner(namespace, version);
        // The condition that comes of this read makes sure that the version stays until the pin is there.
        let key = key::version(branch, lsn);
        let Some(value) = self.store_get(&key)? else { return Err(Error::VersionGone { branch, lsn }) };
        // A purge may have replaced what the caller had open.
        let version = record::VersionRef { checksum: envelope::open(&key, &value)?.1.0, ..version };
        self.unpin(namespace, name)?;
        let key = key::pin(namespace, name);
        let (value, _) = codec::seal(&key, &record::Pin { version, micros: self.instant_of_commit().0 })?;
        self.write(key, Some(value));
        let key = key::reference_of_pin(branch, lsn, name);
        let (value, _) = envelope::seal(&key, &[]);
        self.write(key, Some(value));
        Ok(())
    }

    /// Releases a pin; false when there is none of that name.
    ///
    /// # Errors
    ///
    /// [`Error::KeyLength`], [`Error::Corrupt`], [`Error::Store`].
    pub fn unpin(&mut self, namespace: NamespaceId, name: &[u8]) -> Result<bool, Error> {
        check_key(name)?;
        let key = key::pin(namespace, name);
        let Some(value) = self.store_get(&key)? else { return Ok(false) };
        let (branch, lsn) = owner(namespace, decode(&key, &value)?);
        self.write(key, None);
        self.write(key::reference_of_pin(branch, lsn, name), None);
        self.leave_to_collector(branch, lsn, lsn)?;
        Ok(true)
    }

    /// Makes a child of the version that a pin keeps, whatever became of the branch that made it; none when there is no pin of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn fork_pinned(&mut self, namespace: NamespaceId, name: &[u8]) -> Result<Option<Fork>, Error> {
        let Some(version) = self.pinned(namespace, name)? else { return Ok(None) };
        let (owner, lsn) = owner(namespace, version.reference().1);
        self.fork_version(owner, &version.data(), lsn, Point::Lsn(lsn)).map(Some)
    }

    /// The version that a pin keeps.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn pinned(&mut self, namespace: NamespaceId, name: &[u8]) -> Result<Option<Version>, Error> {
        let key = key::pin(namespace, name);
        let Some(value) = self.store_get(&key)? else { return Ok(None) };
        self.open(namespace, decode(&key, &value)?).map(Some)
    }
}

impl Engine {
    /// The version that a pin keeps; none when there is no pin of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn pinned(&self, namespace: NamespaceId, name: &[u8]) -> Result<Option<Version>, Error> {
        self.snapshot()?.pinned(namespace, name)
    }
}

impl Snapshot<'_> {
    /// The version that a pin keeps; none when there is no pin of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn pinned(&self, namespace: NamespaceId, name: &[u8]) -> Result<Option<Version>, Error> {
        let key = key::pin(namespace, name);
        let Some(value) = branch::Read::get(self.parts().1, &key)? else { return Ok(None) };
        self.open(namespace, decode(&key, &value)?).map(Some)
    }

    /// Up to `limit` pins whose names lie in `range`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn pins(
        &self,
        namespace: NamespaceId,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pin>, Error> {
        let entries = self.parts().1.range(&key::pin_range(namespace, range), direction).take(limit);
        entries
            .map(|entry| entry.map_err(Error::from).and_then(|(key, value)| Pin::decode(namespace, &key, &value)))
            .collect()
    }
}
