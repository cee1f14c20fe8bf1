//! Consistent reads over everything.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    BranchId, BranchInfo, NamespaceId, Table, Version, branch,
    codec::{self, envelope, key, record},
    engine::Inner,
    error::Error,
    readers::Reader,
    store::{self, Direction, KeyRange},
    tree::Nodes,
    version::VersionData,
};

/// The durable state of all branches and records at one moment; see [`Engine::snapshot`](crate::Engine::snapshot).
///
/// While it is open, the store keeps what is overwritten, and nothing is collected: hold it for a request, not for a day. A [`Version`] got from it may be kept.
pub struct Snapshot<'a> {
    inner: &'a Inner,
    store: Box<dyn store::Snapshot + 'a>,
    _reader: Reader<'a>,
    nodes: &'a Arc<Nodes>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(
        inner: &'a Inner,
        reader: Reader<'a>,
        store: Box<dyn store::Snapshot + 'a>,
        nodes: &'a Arc<Nodes>,
    ) -> Self {
        Self { inner, store, _reader: reader, nodes }
    }

    /// The engine, and the state of its store.
    pub(crate) fn parts(&self) -> (&'a Inner, &(dyn store::Snapshot + 'a)) {
        (self.inner, self.store.as_ref())
    }

    /// Up to `limit` namespaces, in the order of their numbers; those after one, for the next page.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn namespaces(&self, after: Option<NamespaceId>, limit: usize) -> Result<Vec<NamespaceId>, Error> {
        let entries = self.store.range(&key::namespaces_after(after), Direction::Ascending).take(limit);
        let namespace = |(key, value): (Bytes, Bytes)| {
            envelope::open(&key, &value)?;
            key::namespace_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a namespace is too short"))
        };
        entries.map(|entry| namespace(entry?)).collect()
    }

    /// Up to `limit` branches of a namespace, in the order of their numbers, which is that in which they were made; those after one, for the next page.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn branches(
        &self,
        namespace: NamespaceId,
        after: Option<BranchId>,
        limit: usize,
    ) -> Result<Vec<BranchInfo>, Error> {
        let entries = self.store.range(&key::branches_after(namespace, after), Direction::Ascending).take(limit);
        let info = |(key, value): (Bytes, Bytes)| {
            let id = key::branch_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a branch is too short"))?;
            Ok(BranchInfo::new(id, &codec::open(&key, &value)?.0))
        };
        entries.map(|entry| info(entry?)).collect()
    }

    /// What is known of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn branch(&self, branch: BranchId) -> Result<BranchInfo, Error> {
        Ok(BranchInfo::new(branch, &branch::require(self.store.as_ref(), branch)?))
    }

    /// The newest version of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn head(&self, branch: BranchId) -> Result<Version, Error> {
        let found = branch::require(self.store.as_ref(), branch)?;
        self.open(branch.namespace(), found.head)
    }

    /// Opens the version that `reference` means, which was found in this snapshot.
    pub(crate) fn open(&self, namespace: NamespaceId, reference: record::VersionRef) -> Result<Version, Error> {
        let data = self.inner.versions.load(self.store.as_ref(), namespace, reference)?;
        Ok(self.version(namespace, data))
    }

    /// A version whose nodes come from where this snapshot may look for them.
    pub(crate) fn version(&self, namespace: NamespaceId, data: Arc<VersionData>) -> Version {
        Version::new(Arc::clone(self.nodes), namespace, data)
    }

    /// A record's value.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn record(&self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let key = key::record(namespace, table, key);
        self.store.get(&key)?.map(|value| Ok(envelope::open(&key, &value)?.0)).transpose()
    }

    /// Up to `limit` records whose keys lie in `range`, with the keys that the caller gave them.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn records(
        &self,
        namespace: NamespaceId,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let range = key::record_range(namespace, table, range);
        let entries = self.store.range(&range, direction).take(limit);
        entries.map(|entry| open_record(table, entry?)).collect()
    }
}

/// A record as the caller knows it.
pub(crate) fn open_record(table: Table, (key, value): (Bytes, Bytes)) -> Result<(Bytes, Bytes), Error> {
    let (payload, _) = envelope::open(&key, &value)?;
    let prefix = key::record_prefix_bytes(table);
    if prefix > key.len() {
        return Err(Error::corrupt(&key, "key of a record is too short"));
    }
    Ok((key.slice(prefix..), payload))
}
