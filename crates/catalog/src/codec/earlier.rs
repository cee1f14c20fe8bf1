//! Records as they were written before they got more fields. They are read for ever, and never written.

use bincode::{Decode, Encode};

use super::{
    BranchRecord, EndpointDefaultsRecord, EndpointRecord, ExpiryRecord, ParentRecord, ProjectRecord, RestoredRecord,
    RoleRecord, Stored, Time, decode_as, records,
};
use crate::{
    branch::{BranchState, InitSource},
    endpoint::{ComputeState, EndpointKind},
    id::{AccountId, BranchId},
    name::{BranchName, ProjectName},
    role::RoleLogin,
    scram::ScramVerifier,
    text_map::TextMap,
    units::ComputeUnits,
};

records! {
    ProjectRecord1(1) {
        account: AccountId,
        namespace: u64,
        name: ProjectName,
        pg_version: u8,
        history_retention_seconds: u32,
        default_branch: BranchId,
        created_at: Time,
        updated_at: Time,
    }

    BranchRecord1(1) {
        number: u64,
        name: BranchName,
        parent: Option<ParentRecord>,
        protected: bool,
        state: BranchState,
        state_changed_at: Time,
        created_at: Time,
        updated_at: Time,
    }

    BranchRecord2(2 after BranchRecord1) {
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
    }

    EndpointRecord1(1) {
        place: u16,
        kind: EndpointKind,
        state: ComputeState,
        suspend_timeout_seconds: i64,
        created_at: Time,
        updated_at: Time,
    }

    RoleRecord1(1) {
        place: u16,
        protected: bool,
        login: RoleLogin,
        verifier: Option<ScramVerifier>,
        created_at: Time,
        updated_at: Time,
    }
}

impl From<ProjectRecord1> for ProjectRecord {
    fn from(record: ProjectRecord1) -> Self {
        Self {
            account: record.account,
            namespace: record.namespace,
            name: record.name,
            pg_version: record.pg_version,
            history_retention_seconds: record.history_retention_seconds,
            default_branch: record.default_branch,
            created_at: record.created_at,
            updated_at: record.updated_at,
            // Its passwords were not kept, and a project keeps to what it was created with.
            store_passwords: false,
            settings: TextMap::default(),
            endpoint_defaults: EndpointDefaultsRecord {
                suspend_timeout_seconds: None,
                min_cu: None,
                max_cu: None,
                settings: TextMap::default(),
            },
        }
    }
}

impl From<BranchRecord1> for BranchRecord2 {
    fn from(record: BranchRecord1) -> Self {
        Self {
            number: record.number,
            name: record.name,
            parent: record.parent,
            protected: record.protected,
            state: record.state,
            state_changed_at: record.state_changed_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
            init_source: InitSource::ParentData,
            expiry: None,
            last_reset_at: None,
            restored: None,
        }
    }
}

impl From<BranchRecord2> for BranchRecord {
    fn from(record: BranchRecord2) -> Self {
        Self {
            number: record.number,
            name: record.name,
            parent: record.parent,
            protected: record.protected,
            state: record.state,
            state_changed_at: record.state_changed_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
            init_source: record.init_source,
            expiry: record.expiry,
            last_reset_at: record.last_reset_at,
            restored: record.restored,
            created_by: None,
        }
    }
}

impl From<EndpointRecord1> for EndpointRecord {
    fn from(record: EndpointRecord1) -> Self {
        Self {
            place: record.place,
            kind: record.kind,
            state: record.state,
            suspend_timeout_seconds: record.suspend_timeout_seconds,
            created_at: record.created_at,
            updated_at: record.updated_at,
            name: None,
            min_cu: ComputeUnits::ONE,
            max_cu: ComputeUnits::ONE,
            disabled: false,
            pooler_enabled: false,
            passwordless_access: true,
            settings: TextMap::default(),
            pending_state: (record.state == ComputeState::Init).then_some(ComputeState::Active),
            started_at: None,
            suspended_at: None,
        }
    }
}

impl From<RoleRecord1> for RoleRecord {
    fn from(record: RoleRecord1) -> Self {
        Self {
            place: record.place,
            protected: record.protected,
            login: record.login,
            verifier: record.verifier,
            created_at: record.created_at,
            updated_at: record.updated_at,
            sealed: None,
        }
    }
}
