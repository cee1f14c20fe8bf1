//! Where the catalog keeps things: the tables of records, and the parts of a branch's map.
//!
//! The key of each table stands next to it. Numbers in keys are big-endian, so that they sort; texts that are followed
//! by something end with a NUL, which no id and no name contains.

use std::marker::PhantomData;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{
    BranchId as EngineBranch, Direction, KeyRange, NamespaceId, Snapshot, Table, Transaction, Version,
};

use crate::{
    codec::{self, *},
    error::{Error, Result},
};

/// Tables of the system namespace.
pub(crate) mod system {
    use super::*;

    /// Account id.
    pub(crate) const ACCOUNTS: Records<AccountRecord> = Records::new("accounts");
    /// SHA-256 of the account's name.
    pub(crate) const ACCOUNT_NAMES: Records<AccountNameRecord> = Records::new("account_names");
    /// SHA-256 of the key's secret.
    pub(crate) const KEYS: Records<KeyRecord> = Records::new("keys");
    /// Account id, key id.
    pub(crate) const ACCOUNT_KEYS: Records<KeyHashRecord> = Records::new("account_keys");
    /// Account id, key id: when keys were last used.
    pub(crate) const KEY_USES: Records<KeyUseRecord> = Records::new("key_uses");
    /// Id of a password key: those that data keys of some project are wrapped with.
    pub(crate) const PASSWORD_KEYS: Records<PasswordKeyRecord> = Records::new("password_keys");
    /// Time in microseconds, branch id: the branches that go by themselves, the next one first.
    pub(crate) const BRANCH_EXPIRIES: Records<BranchExpiryRecord> = Records::new("branch_expiries");
    /// Time in microseconds, snapshot id.
    pub(crate) const SNAPSHOT_EXPIRIES: Records<SnapshotExpiryRecord> = Records::new("snapshot_expiries");
    /// Time in microseconds, branch id: the deleted branches about which something is to be done, the next one first.
    pub(crate) const BRANCH_DELETIONS: Records<BranchExpiryRecord> = Records::new("branch_deletions");
    /// Time in microseconds, project id: the projects that were deleted, or recovered, about which something is to be done.
    pub(crate) const PROJECT_DELETIONS: Records<ProjectIdRecord> = Records::new("project_deletions");
    /// Project id.
    pub(crate) const PROJECTS: Records<ProjectRecord> = Records::new("projects");
    /// Account id, namespace: the projects of an account in order of creation.
    pub(crate) const ACCOUNT_PROJECTS: Records<ProjectIdRecord> = Records::new("account_projects");
    /// Project id: those that are deleted and can be recovered.
    pub(crate) const DELETED_PROJECTS: Records<DeletedProjectRecord> = Records::new("deleted_projects");
    /// Account id, namespace.
    pub(crate) const ACCOUNT_DELETED_PROJECTS: Records<ProjectIdRecord> = Records::new("account_deleted_projects");
    /// Endpoint id: it is part of a host name, so it is unique across projects.
    pub(crate) const ENDPOINT_IDS: Records<EndpointIdRecord> = Records::new("endpoint_ids");
    /// Operation id: the operations of all projects that aren't finished, oldest first.
    pub(crate) const OPEN_OPERATIONS: Records<OpenOperationRecord> = Records::new("open_operations");
    /// Operation id: when an operation that failed is tried again.
    pub(crate) const RETRIES: Records<RetryRecord> = Records::new("retries");
    /// Port: whose it is.
    pub(crate) const PORTS: Records<PortRecord> = Records::new("ports");
    /// Endpoint id: the port of its compute.
    pub(crate) const ENDPOINT_PORTS: Records<EndpointPortRecord> = Records::new("endpoint_ports");
    /// Endpoint id: what its compute may have of its branch.
    pub(crate) const COMPUTES: Records<ComputeRecord> = Records::new("computes");
    /// Endpoint id: what its server has and its branch doesn't know.
    pub(crate) const DRIFTS: Records<DriftRecord> = Records::new("drifts");
    /// Endpoint id: endpoints that are gone, whose computes aren't yet.
    pub(crate) const GONE_COMPUTES: Records<Marker> = Records::new("gone_computes");
}

/// Tables of a project's namespace.
pub(crate) mod project {
    use super::*;

    /// Branch id.
    pub(crate) const BRANCHES: Records<BranchRecord> = Records::new("branches");
    /// Branch id: those that are deleted and can be recovered.
    pub(crate) const DELETED_BRANCHES: Records<DeletedBranchRecord> = Records::new("deleted_branches");
    /// SHA-256 of the branch's name.
    pub(crate) const BRANCH_NAMES: Records<BranchIdRecord> = Records::new("branch_names");
    /// Parent's id, NUL, child's id.
    pub(crate) const BRANCH_CHILDREN: Records<BranchIdRecord> = Records::new("branch_children");
    /// Branch id.
    pub(crate) const ANNOTATIONS: Records<AnnotationRecord> = Records::new("annotations");
    /// Snapshot id.
    pub(crate) const SNAPSHOTS: Records<SnapshotRecord> = Records::new("snapshots");
    /// Number of the data key.
    pub(crate) const DATA_KEYS: Records<DataKeyRecord> = Records::new("data_keys");
    /// Branch id, NUL, endpoint id.
    pub(crate) const ENDPOINTS: Records<EndpointRecord> = Records::new("endpoints");
    /// Branch id, NUL, endpoint id: those of deleted branches, as they were.
    pub(crate) const DELETED_ENDPOINTS: Records<EndpointRecord> = Records::new("deleted_endpoints");
    /// Operation id, which sorts by creation.
    pub(crate) const OPERATIONS: Records<OperationRecord> = Records::new("operations");
    /// Operation id: what came of taking over roles.
    pub(crate) const ROLE_SYNCS: Records<RoleSyncRecord> = Records::new("role_syncs");
    /// Operation id: what came of taking over databases.
    pub(crate) const DATABASE_SYNCS: Records<DatabaseSyncRecord> = Records::new("database_syncs");
    /// Branch id, NUL, operation id: the operations of a branch that aren't finished.
    pub(crate) const BRANCH_OPERATIONS: Records<Marker> = Records::new("branch_operations");
}

/// Parts of a branch's map.
pub(crate) mod branch {
    use super::*;

    /// Role name.
    pub(crate) const ROLES: Entries<RoleRecord> = Entries::new("role/");
    /// Database name.
    pub(crate) const DATABASES: Entries<DatabaseRecord> = Entries::new("database/");
    /// Role name, NUL, database name: what a role owns.
    pub(crate) const OWNED: Entries<OwnedRecord> = Entries::new("owned/");
}

/// Something to read from: a transaction, which also notes what it depends on, or a snapshot.
pub(crate) trait Source {
    fn record(&mut self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<Option<Bytes>>;
    fn records(
        &mut self,
        namespace: NamespaceId,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>>;
    fn entry(&mut self, branch: EngineBranch, key: &[u8]) -> Result<Option<Bytes>>;
    fn entries(&mut self, branch: EngineBranch, range: KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>>;
}

impl Source for Transaction<'_> {
    fn record(&mut self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(Transaction::record(self, namespace, table, key)?)
    }

    fn records(
        &mut self,
        namespace: NamespaceId,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        Ok(Transaction::records(self, namespace, table, &range, direction, limit)?)
    }

    fn entry(&mut self, branch: EngineBranch, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(Transaction::get(self, branch, key)?)
    }

    fn entries(&mut self, branch: EngineBranch, range: KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>> {
        Ok(Transaction::range(self, branch, &range, Direction::Ascending, limit)?)
    }
}

impl Source for Snapshot<'_> {
    fn record(&mut self, namespace: NamespaceId, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(Snapshot::record(self, namespace, table, key)?)
    }

    fn records(
        &mut self,
        namespace: NamespaceId,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        Ok(Snapshot::records(self, namespace, table, &range, direction, limit)?)
    }

    fn entry(&mut self, branch: EngineBranch, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.head(branch)?.get(key)?)
    }

    fn entries(&mut self, branch: EngineBranch, range: KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>> {
        let head = self.head(branch)?;
        Ok(head.range(range, Direction::Ascending).take(limit).collect::<std::result::Result<_, _>>()?)
    }
}

/// A table of records of one type.
pub(crate) struct Records<R> {
    name: &'static str,
    table: Table,
    record: PhantomData<fn() -> R>,
}

impl<R: Stored> Records<R> {
    const fn new(name: &'static str) -> Self {
        Self { name, table: Table::new(name), record: PhantomData }
    }

    /// The record at `key`.
    pub(crate) fn get(&self, source: &mut impl Source, namespace: NamespaceId, key: &[u8]) -> Result<Option<R>> {
        let bytes = source.record(namespace, self.table, key)?;
        bytes.map(|bytes| decode(self.name, key, &bytes)).transpose()
    }

    /// The first `limit` records of a range, with their keys.
    pub(crate) fn list(
        &self,
        source: &mut impl Source,
        namespace: NamespaceId,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, R)>> {
        let records = source.records(namespace, self.table, range, direction, limit)?;
        records.into_iter().map(|(key, bytes)| Ok((key.clone(), decode(self.name, &key, &bytes)?))).collect()
    }

    /// All records whose keys begin with `prefix`, in the order of their keys.
    pub(crate) fn all(
        &self,
        source: &mut impl Source,
        namespace: NamespaceId,
        prefix: &[u8],
    ) -> Result<Vec<(Bytes, R)>> {
        self.list(source, namespace, KeyRange::prefix(prefix), Direction::Ascending, usize::MAX)
    }

    /// The first of the records whose keys begin with `prefix`.
    pub(crate) fn first(&self, source: &mut impl Source, namespace: NamespaceId, prefix: &[u8]) -> Result<Option<R>> {
        let found = self.list(source, namespace, KeyRange::prefix(prefix), Direction::Ascending, 1)?;
        Ok(found.into_iter().next().map(|(_, record)| record))
    }

    /// Writes the record at `key`.
    pub(crate) fn put(&self, tx: &mut Transaction<'_>, namespace: NamespaceId, key: &[u8], record: &R) -> Result<()> {
        Ok(tx.record_put(namespace, self.table, key, &encode(self.name, key, record)?)?)
    }

    /// Removes the record at `key`, if there is one.
    pub(crate) fn delete(&self, tx: &mut Transaction<'_>, namespace: NamespaceId, key: &[u8]) -> Result<()> {
        tx.record_delete(namespace, self.table, key)?;
        Ok(())
    }

    /// The error for a key in this table that has no right form.
    pub(crate) fn corrupt_key(&self, key: &[u8], reason: &str) -> Error {
        corrupt(self.name, key, reason.to_owned())
    }
}

/// The part of a branch's map that holds records of one type under one prefix.
pub(crate) struct Entries<R> {
    prefix: &'static str,
    record: PhantomData<fn() -> R>,
}

impl<R: Stored> Entries<R> {
    const fn new(prefix: &'static str) -> Self {
        Self { prefix, record: PhantomData }
    }

    /// The key by which the engine knows `key`.
    pub(crate) fn key(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), key].concat()
    }

    /// The text of a key of the engine, if it belongs to this part of the map.
    pub(crate) fn name_in(&self, key: &[u8]) -> Result<Option<String>> {
        if key.starts_with(self.prefix.as_bytes()) { self.text(key).map(Some) } else { Ok(None) }
    }

    /// The record that `bytes` are.
    pub(crate) fn decode(&self, key: &[u8], bytes: &[u8]) -> Result<R> {
        decode(self.prefix, key, bytes)
    }

    /// The record at `key`.
    pub(crate) fn get(&self, source: &mut impl Source, branch: EngineBranch, key: &[u8]) -> Result<Option<R>> {
        let bytes = source.entry(branch, &self.key(key))?;
        bytes.map(|bytes| decode(self.prefix, key, &bytes)).transpose()
    }

    /// The first `limit` records whose keys begin with `prefix`, with the keys' text.
    pub(crate) fn list(
        &self,
        source: &mut impl Source,
        branch: EngineBranch,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(String, R)>> {
        let entries = source.entries(branch, KeyRange::prefix(&self.key(prefix)), limit)?;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            records.push(self.parse(entry)?);
        }
        Ok(records)
    }

    /// All records in a version of a branch, with the keys' text.
    pub(crate) fn all_of(&self, version: &Version) -> Result<Vec<(String, R)>> {
        let entries = version.range(KeyRange::prefix(&self.key(b"")), Direction::Ascending);
        entries.map(|entry| self.parse(entry?)).collect()
    }

    fn parse(&self, (key, bytes): (Bytes, Bytes)) -> Result<(String, R)> {
        let key = &key[self.prefix.len()..];
        let text = std::str::from_utf8(key).map_err(|error| corrupt(self.prefix, key, error.to_string()))?;
        Ok((text.to_owned(), decode(self.prefix, key, &bytes)?))
    }

    /// The record that a version has at `key`.
    pub(crate) fn at(&self, version: &Version, key: &[u8]) -> Result<Option<R>> {
        let bytes = version.get(&self.key(key))?;
        bytes.map(|bytes| decode(self.prefix, key, &bytes)).transpose()
    }

    /// The text of all keys that a version has.
    pub(crate) fn keys(&self, version: &Version) -> Result<Vec<String>> {
        let entries = version.range(KeyRange::prefix(&self.key(b"")), Direction::Ascending);
        entries.map(|entry| self.text(&entry?.0)).collect()
    }

    /// The text of the keys whose records differ between two versions.
    pub(crate) fn differing(&self, before: &Version, after: &Version) -> Result<Vec<String>> {
        let differences = before.diff(after, KeyRange::prefix(&self.key(b"")));
        differences.map(|difference| self.text(&difference?.key)).collect()
    }

    /// The text of a key, without the prefix.
    fn text(&self, key: &[u8]) -> Result<String> {
        let key = key.get(self.prefix.len()..).unwrap_or_default();
        let text = std::str::from_utf8(key).map_err(|error| corrupt(self.prefix, key, error.to_string()))?;
        Ok(text.to_owned())
    }

    /// Writes the record at `key`.
    pub(crate) fn put(&self, tx: &mut Transaction<'_>, branch: EngineBranch, key: &[u8], record: &R) -> Result<()> {
        Ok(tx.put(branch, &self.key(key), &encode(self.prefix, key, record)?)?)
    }

    /// Removes the record at `key`, if there is one.
    pub(crate) fn delete(&self, tx: &mut Transaction<'_>, branch: EngineBranch, key: &[u8]) -> Result<()> {
        tx.delete(branch, &self.key(key))?;
        Ok(())
    }

    /// The error for a key in this part of the map that has no right form.
    pub(crate) fn corrupt_key(&self, key: &str, reason: impl ToString) -> Error {
        corrupt(self.prefix, key.as_bytes(), reason.to_string())
    }
}

/// The key of something that belongs to something else: the owner's text, a NUL, the rest.
pub(crate) fn pair(owner: &str, rest: impl AsRef<[u8]>) -> Vec<u8> {
    [owner.as_bytes(), b"\0", rest.as_ref()].concat()
}

/// The key made of two numbers.
pub(crate) fn numbers(first: u64, second: u64) -> [u8; 16] {
    ((u128::from(first) << 64) | u128::from(second)).to_be_bytes()
}

/// The key of something that happens at an instant, so that the first comes first.
pub(crate) fn timed(time: Time, rest: &str) -> Vec<u8> {
    let micros = time.0.timestamp_micros().cast_unsigned() ^ (1 << 63);
    [&micros.to_be_bytes()[..], rest.as_bytes()].concat()
}

/// The instant in a key that [`timed`] made.
pub(crate) fn time_in(key: &[u8]) -> Option<DateTime<Utc>> {
    let micros = u64::from_be_bytes(*key.first_chunk()?) ^ (1 << 63);
    DateTime::from_timestamp_micros(micros.cast_signed())
}

fn decode<R: Stored>(table: &'static str, key: &[u8], bytes: &[u8]) -> Result<R> {
    codec::decode(bytes).map_err(|reason| corrupt(table, key, reason))
}

fn encode<R: Stored>(table: &'static str, key: &[u8], record: &R) -> Result<Vec<u8>> {
    codec::encode(record).map_err(|reason| corrupt(table, key, reason))
}

fn corrupt(table: &'static str, key: &[u8], reason: String) -> Error {
    Error::Corrupt { table, key: key.escape_ascii().to_string(), reason }
}
