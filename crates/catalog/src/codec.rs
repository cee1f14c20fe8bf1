//! What the catalog's stored values look like in bytes.
//!
//! A stored value is a byte that names the record's format, then the record's fields in bincode's standard encoding.
//! Names, ids and verifiers are stored as their text and checked again when they are read; closed sets are stored as
//! numbers fixed here. Records have their own types, so that no change of the types that the catalog works with changes
//! the format. `golden.rs` pins the bytes. A record that gets more fields gets another format; `earlier.rs` keeps the
//! old ones, which are read for ever and never written.

mod earlier;
#[cfg(test)]
mod golden;
mod leaf;

use bincode::{BorrowDecode, Decode, Encode, config};

use self::earlier::{BranchRecord2, EndpointRecord1, ProjectRecord1, RoleRecord1};
pub(crate) use self::leaf::{Time, Whole};
use crate::{
    branch::{BranchState, InitSource, RestoreStatus},
    deletion::DeletionMethod,
    endpoint::{ComputeState, EndpointKind},
    id::{AccountId, ApiKeyId, BranchId, EndpointId, ProjectId, SnapshotId},
    key_ring::PasswordKeyId,
    name::{AccountName, BranchName, DatabaseName, EndpointName, KeyName, ProjectName, RoleName, SnapshotName},
    operation::{OperationAction, OperationStatus},
    role::RoleLogin,
    scram::ScramVerifier,
    text_map::TextMap,
    units::ComputeUnits,
};

/// No record comes near this size; a damaged length must not make the decoder ask for more.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// A record that can be stored.
pub(crate) trait Stored: Encode + for<'bytes> BorrowDecode<'bytes, ()> {
    /// The record's format, in which it is written.
    const FORMAT: u8;

    /// The record that the fields of an earlier format mean.
    fn earlier(format: u8, _fields: &[u8]) -> Result<Self, String> {
        Err(format!("its format is {format}, which is not known"))
    }
}

/// The bytes of a record.
pub(crate) fn encode<R: Stored>(record: &R) -> Result<Vec<u8>, String> {
    let mut bytes = vec![R::FORMAT];
    let fields = bincode::encode_to_vec(record, config::standard()).map_err(|error| error.to_string())?;
    bytes.extend(fields);
    Ok(bytes)
}

/// The record that `bytes` are the whole of, or what is wrong with them.
pub(crate) fn decode<R: Stored>(bytes: &[u8]) -> Result<R, String> {
    let Some((format, fields)) = bytes.split_first() else {
        return Err("it is empty".to_owned());
    };
    decode_as(*format, fields)
}

fn decode_as<R: Stored>(format: u8, fields: &[u8]) -> Result<R, String> {
    if format != R::FORMAT {
        return R::earlier(format, fields);
    }
    let config = config::standard().with_limit::<MAX_RECORD_BYTES>();
    let (record, read) = bincode::borrow_decode_from_slice(fields, config).map_err(|error| error.to_string())?;
    if read != fields.len() {
        return Err(format!("{} bytes follow the record", fields.len() - read));
    }
    Ok(record)
}

macro_rules! records {
    ($($(#[$docs:meta])* $name:ident($format:literal $(after $earlier:ident)?) { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Encode, Decode)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        impl Stored for $name {
            const FORMAT: u8 = $format;

            $(fn earlier(format: u8, fields: &[u8]) -> Result<Self, String> {
                decode_as::<$earlier>(format, fields).map(Self::from)
            })?
        }
    )*};
}
use records;

records! {
    /// Something that is there; all that there is to know is in its key.
    Marker(1) {}

    /// Metadata of a version: who made it, and what for.
    ProvenanceRecord(1) { account: AccountId, key: Option<ApiKeyId>, request: Option<String>, action: String }

    AccountRecord(1) { name: AccountName, created_at: Time }
    AccountNameRecord(1) { account: AccountId }
    KeyRecord(1) { account: AccountId, id: ApiKeyId, name: KeyName, created_at: Time }
    /// Where a key's record is.
    KeyHashRecord(1) { hash: [u8; 32] }

    /// When a key was last used.
    KeyUseRecord(1) { at: Time, address: Option<String> }
    /// A password key that wraps data keys of some project.
    PasswordKeyRecord(1) { first_used_at: Time }

    ProjectRecord(2 after ProjectRecord1) {
        account: AccountId,
        namespace: u64,
        name: ProjectName,
        pg_version: u8,
        history_retention_seconds: u32,
        default_branch: BranchId,
        created_at: Time,
        updated_at: Time,
        store_passwords: bool,
        settings: TextMap,
        endpoint_defaults: EndpointDefaultsRecord,
    }
    /// What a project's new endpoints get; a part of [`ProjectRecord`].
    EndpointDefaultsRecord(1) {
        suspend_timeout_seconds: Option<i64>,
        min_cu: Option<ComputeUnits>,
        max_cu: Option<ComputeUnits>,
        settings: TextMap,
    }
    /// A project's key for passwords, wrapped with a password key.
    DataKeyRecord(1) { wrapped_with: PasswordKeyId, nonce: [u8; 24], wrapped: Vec<u8>, created_at: Time }
    ProjectIdRecord(1) { project: ProjectId }

    BranchRecord(3 after BranchRecord2) {
        number: u64,
        name: BranchName,
        parent: Option<ParentRecord>,
        protected: bool,
        state: BranchState,
        state_changed_at: Time,
        created_at: Time,
        updated_at: Time,
        init_source: InitSource,
        expiry: Option<ExpiryRecord>,
        last_reset_at: Option<Time>,
        restored: Option<RestoredRecord>,
        created_by: Option<AccountName>,
    }
    /// When a branch goes by itself, and how long it was to live; a part of [`BranchRecord`].
    ExpiryRecord(1) { at: Time, ttl_seconds: u32 }
    /// The snapshot that a branch was made of, and the branch whose place it takes; a part of [`BranchRecord`].
    RestoredRecord(1) { snapshot: SnapshotId, target: Option<BranchId>, status: RestoreStatus }
    /// What people noted about a branch.
    AnnotationRecord(1) { value: TextMap, created_at: Time, updated_at: Time }
    /// When and how something was deleted, and until when it can be recovered.
    DeletionRecord(1) { at: Time, until: Time, method: DeletionMethod }
    /// A deleted branch as it was, and the engine's branch that was its parent's then.
    DeletedBranchRecord(1) { branch: Whole<BranchRecord>, deletion: DeletionRecord, parent_number: Option<u64> }
    /// A deleted project as it was.
    DeletedProjectRecord(1) { project: Whole<ProjectRecord>, deletion: DeletionRecord }
    /// The branch that goes at the time in the key.
    BranchExpiryRecord(1) { project: ProjectId, branch: BranchId }
    /// The snapshot that goes at the time in the key.
    SnapshotExpiryRecord(1) { project: ProjectId, snapshot: SnapshotId }
    SnapshotRecord(1) {
        number: u64,
        name: SnapshotName,
        source: BranchId,
        lsn: u64,
        time: Time,
        created_at: Time,
        expires_at: Option<Time>,
    }
    /// The point at which a branch left its parent; a part of [`BranchRecord`].
    ParentRecord(1) { id: BranchId, lsn: u64, time: Time }
    BranchIdRecord(1) { branch: BranchId }

    EndpointRecord(2 after EndpointRecord1) {
        place: u16,
        kind: EndpointKind,
        state: ComputeState,
        suspend_timeout_seconds: i64,
        created_at: Time,
        updated_at: Time,
        name: Option<EndpointName>,
        min_cu: ComputeUnits,
        max_cu: ComputeUnits,
        disabled: bool,
        pooler_enabled: bool,
        passwordless_access: bool,
        settings: TextMap,
        pending_state: Option<ComputeState>,
        started_at: Option<Time>,
        suspended_at: Option<Time>,
    }
    /// Where an endpoint's record is.
    EndpointIdRecord(1) { project: ProjectId, branch: BranchId }

    OperationRecord(1) {
        branch: BranchId,
        endpoint: Option<EndpointId>,
        action: OperationAction,
        status: OperationStatus,
        failures_count: u32,
        error: Option<String>,
        updated_at: Time,
        finished_at: Option<Time>,
    }
    /// An operation that isn't finished.
    OpenOperationRecord(1) { project: ProjectId, branch: BranchId, endpoint: Option<EndpointId> }

    /// When an operation that failed is tried again.
    RetryRecord(1) { at: Time }

    /// What came of taking over roles of a server.
    RoleSyncRecord(1) { taken: Vec<RoleName>, taken_count: u32, left: Vec<LeftRecord>, left_count: u32 }
    /// A role or a database that was not taken over; a part of [`RoleSyncRecord`] and [`DatabaseSyncRecord`].
    LeftRecord(1) { name: String, reason: String }
    /// What came of taking over databases of a server.
    DatabaseSyncRecord(1) { taken: Vec<DatabaseName>, taken_count: u32, left: Vec<LeftRecord>, left_count: u32 }

    /// What a server had and its branch didn't know.
    DriftRecord(1) {
        compared_at: Time,
        roles: Vec<String>,
        roles_count: u32,
        databases: Vec<String>,
        databases_count: u32,
    }

    /// Whose a port is.
    PortRecord(1) { endpoint: EndpointId }
    /// Where an endpoint's compute listens.
    EndpointPortRecord(1) { port: u16 }

    /// What an endpoint's compute may have of its branch, and which executor works on it.
    ComputeRecord(1) { versions: Vec<VersionRecord>, lease: Option<LeaseRecord> }
    /// A version of a branch; a part of [`ComputeRecord`].
    VersionRecord(1) { branch: u64, lsn: u64 }
    /// Who has a compute to itself, and until when; a part of [`ComputeRecord`].
    LeaseRecord(1) { holder: String, until: Time }

    RoleRecord(2 after RoleRecord1) {
        place: u16,
        protected: bool,
        login: RoleLogin,
        verifier: Option<ScramVerifier>,
        created_at: Time,
        updated_at: Time,
        sealed: Option<SealedRecord>,
    }
    /// A password, sealed with the project's data key of this number; a part of [`RoleRecord`].
    SealedRecord(1) { data_key: u32, nonce: [u8; 24], sealed: Vec<u8> }
    DatabaseRecord(1) { owner: RoleName, created_at: Time, updated_at: Time }
    /// A database that a role owns.
    OwnedRecord(1) { database: DatabaseName }
}
