//! The bytes of every record, so that no refactoring changes the format unnoticed.
//!
//! Where a test here fails, stored data can no longer be read: keep the old record as it is, and add a format beside
//! it.

use super::*;

/// Checks that `record` has these bytes, in hexadecimal, and that they are read as it.
#[track_caller]
fn check<R: Stored + PartialEq + std::fmt::Debug>(record: R, hex: &str) {
    let bytes = encode(&record).unwrap();
    let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, hex, "the bytes of {record:?} changed");
    assert_eq!(decode::<R>(&bytes), Ok(record));
}

/// Checks that these bytes of an earlier format are read as `record`.
#[track_caller]
fn check_earlier<R: Stored + PartialEq + std::fmt::Debug>(record: R, hex: &str) {
    let byte = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    assert!(bytes[0] < R::FORMAT);
    assert_eq!(decode::<R>(&bytes), Ok(record));
}

fn at(micros: i64) -> Time {
    Time(chrono::DateTime::from_timestamp_micros(micros).unwrap())
}

fn text<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().unwrap()
}

const CREATED: i64 = 1_672_864_547_000_001;
const UPDATED: i64 = 1_672_864_548_000_002;

#[test]
fn provenance() {
    let record = ProvenanceRecord {
        account: AccountId::new(7),
        key: Some(ApiKeyId::new(300)),
        request: Some("req-1".into()),
        action: "role_create sally".into(),
    };
    check(record, "010701fb2c0101057265712d3111726f6c655f6372656174652073616c6c79");
}

#[test]
fn account() {
    let record = AccountRecord { name: text("casey"), created_at: at(CREATED) };
    check(record, "01056361736579fd829d2942ece20b00");
}

#[test]
fn account_name() {
    let record = AccountNameRecord { account: AccountId::new(7) };
    check(record, "0107");
}

#[test]
fn key() {
    let record =
        KeyRecord { account: AccountId::new(7), id: ApiKeyId::new(300), name: text("ci"), created_at: at(CREATED) };
    check(record, "0107fb2c01026369fd829d2942ece20b00");
}

#[test]
fn key_hash() {
    let record = KeyHashRecord { hash: [0xab; 32] };
    check(record, "01abababababababababababababababababababababababababababababababab");
}

#[test]
fn marker() {
    let record = Marker {};
    check(record, "01");
}

fn texts(texts: &[(&str, &str)]) -> TextMap {
    TextMap::new(texts.iter().map(|(name, text)| ((*name).into(), (*text).into()))).unwrap()
}

fn no_defaults() -> EndpointDefaultsRecord {
    let settings = TextMap::default();
    EndpointDefaultsRecord { suspend_timeout_seconds: None, min_cu: None, max_cu: None, settings }
}

#[test]
fn project() {
    let record = ProjectRecord {
        account: AccountId::new(7),
        namespace: 70_000,
        name: text("shop"),
        pg_version: 17,
        history_retention_seconds: 86_400,
        default_branch: text("br-blue-tooth-67158003"),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        store_passwords: true,
        settings: texts(&[("hipaa", "false")]),
        endpoint_defaults: EndpointDefaultsRecord {
            suspend_timeout_seconds: Some(300),
            min_cu: Some(ComputeUnits::ONE),
            ..no_defaults()
        },
    };
    check(
        record,
        "0207fc701101000473686f7011fc805101001662722d626c75652d746f6f74682d3637313538303033fd829d2942ece2\
         0b00fd04224842ece20b0001010568697061610566616c736501fb580201040000",
    );
}

#[test]
fn earlier_project() {
    let record = ProjectRecord {
        account: AccountId::new(7),
        namespace: 70_000,
        name: text("shop"),
        pg_version: 17,
        history_retention_seconds: 86_400,
        default_branch: text("br-blue-tooth-67158003"),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        store_passwords: false,
        settings: TextMap::default(),
        endpoint_defaults: no_defaults(),
    };
    check_earlier(
        record,
        "0107fc701101000473686f7011fc805101001662722d626c75652d746f6f74682d3637313538303033fd829d2942ece2\
         0b00fd04224842ece20b00",
    );
}

#[test]
fn project_id() {
    let record = ProjectIdRecord { project: text("hidden-cell-76330194") };
    check(record, "011468696464656e2d63656c6c2d3736333330313934");
}

#[test]
fn branch() {
    let record = BranchRecord {
        number: 19,
        name: text("dev"),
        parent: Some(ParentRecord { id: text("br-blue-tooth-67158003"), lsn: 5_000_000_000, time: at(CREATED) }),
        protected: true,
        state: BranchState::Ready,
        state_changed_at: at(UPDATED),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        init_source: InitSource::SchemaOnly,
        expiry: Some(ExpiryRecord { at: at(UPDATED), ttl_seconds: 3600 }),
        last_reset_at: Some(at(UPDATED)),
        restored: Some(RestoredRecord {
            snapshot: text("snap-quiet-river-04417205"),
            target: Some(text("br-blue-tooth-67158003")),
            status: RestoreStatus::Finalized,
        }),
        created_by: Some(text("casey")),
    };
    check(
        record,
        "031303646576011662722d626c75652d746f6f74682d3637313538303033fd00f2052a01000000fd829d2942ece20b00\
         0101fd04224842ece20b00fd829d2942ece20b00fd04224842ece20b000101fd04224842ece20b00fb100e01fd042248\
         42ece20b000119736e61702d71756965742d72697665722d3034343137323035011662722d626c75652d746f6f74682d\
         36373135383030330101056361736579",
    );
}

#[test]
fn earlier_branch() {
    let record = BranchRecord {
        number: 19,
        name: text("dev"),
        parent: Some(ParentRecord { id: text("br-blue-tooth-67158003"), lsn: 5_000_000_000, time: at(CREATED) }),
        protected: true,
        state: BranchState::Ready,
        state_changed_at: at(UPDATED),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        init_source: InitSource::ParentData,
        expiry: None,
        last_reset_at: None,
        restored: None,
        created_by: None,
    };
    check_earlier(
        record,
        "011303646576011662722d626c75652d746f6f74682d3637313538303033fd00f2052a01000000fd829d2942ece20b00\
         0101fd04224842ece20b00fd829d2942ece20b00fd04224842ece20b00",
    );
}

#[test]
fn root_branch() {
    let record = BranchRecord {
        number: 19,
        name: text("main"),
        parent: None,
        protected: false,
        state: BranchState::Init,
        state_changed_at: at(CREATED),
        created_at: at(CREATED),
        updated_at: at(CREATED),
        init_source: InitSource::ParentData,
        expiry: None,
        last_reset_at: None,
        restored: None,
        created_by: None,
    };
    check(record, "0313046d61696e000000fd829d2942ece20b00fd829d2942ece20b00fd829d2942ece20b000000000000");
}

#[test]
fn earlier_root_branch() {
    let record = BranchRecord {
        number: 19,
        name: text("main"),
        parent: None,
        protected: false,
        state: BranchState::Init,
        state_changed_at: at(CREATED),
        created_at: at(CREATED),
        updated_at: at(CREATED),
        init_source: InitSource::ParentData,
        expiry: None,
        last_reset_at: None,
        restored: None,
        created_by: None,
    };
    check_earlier(record.clone(), "0113046d61696e000000fd829d2942ece20b00fd829d2942ece20b00fd829d2942ece20b00");
    check_earlier(record, "0213046d61696e000000fd829d2942ece20b00fd829d2942ece20b00fd829d2942ece20b0000000000");
}

fn deletion(method: DeletionMethod) -> DeletionRecord {
    DeletionRecord { at: at(CREATED), until: at(UPDATED), method }
}

#[test]
fn deleted_branch() {
    let branch = BranchRecord {
        number: 19,
        name: text("main"),
        parent: None,
        protected: false,
        state: BranchState::Init,
        state_changed_at: at(CREATED),
        created_at: at(CREATED),
        updated_at: at(CREATED),
        init_source: InitSource::ParentData,
        expiry: None,
        last_reset_at: None,
        restored: None,
        created_by: None,
    };
    let record =
        DeletedBranchRecord { branch: Whole(branch), deletion: deletion(DeletionMethod::Ttl), parent_number: Some(7) };
    check(
        record,
        "012a0313046d61696e000000fd829d2942ece20b00fd829d2942ece20b00fd829d2942ece20b000000000000fd829d29\
         42ece20b00fd04224842ece20b00010107",
    );
}

#[test]
fn deleted_project() {
    let project = ProjectRecord {
        account: AccountId::new(7),
        namespace: 4,
        name: text("Old Shop"),
        pg_version: 17,
        history_retention_seconds: 86_400,
        default_branch: text("br-blue-tooth-67158003"),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        store_passwords: true,
        settings: TextMap::default(),
        endpoint_defaults: EndpointDefaultsRecord {
            suspend_timeout_seconds: None,
            min_cu: None,
            max_cu: None,
            settings: TextMap::default(),
        },
    };
    let record = DeletedProjectRecord { project: Whole(project), deletion: deletion(DeletionMethod::User) };
    check(
        record,
        "0141020704084f6c642053686f7011fc805101001662722d626c75652d746f6f74682d3637313538303033fd829d2942\
         ece20b00fd04224842ece20b00010000000000fd829d2942ece20b00fd04224842ece20b0000",
    );
}

#[test]
fn branch_id() {
    let record = BranchIdRecord { branch: text("br-blue-tooth-67158003") };
    check(record, "011662722d626c75652d746f6f74682d3637313538303033");
}

#[test]
fn endpoint() {
    let record = EndpointRecord {
        place: 1,
        kind: EndpointKind::ReadOnly,
        state: ComputeState::Idle,
        suspend_timeout_seconds: -1,
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        name: Some(text("reads")),
        min_cu: ComputeUnits::ONE,
        max_cu: ComputeUnits::from_quarters(8).unwrap(),
        disabled: true,
        pooler_enabled: false,
        passwordless_access: true,
        settings: texts(&[("pg_settings", "{}")]),
        pending_state: Some(ComputeState::Active),
        started_at: Some(at(CREATED)),
        suspended_at: Some(at(UPDATED)),
    };
    check(
        record,
        "0201010201fd829d2942ece20b00fd04224842ece20b00010572656164730408010001010b70675f73657474696e6773\
         027b7d010101fd829d2942ece20b0001fd04224842ece20b00",
    );
}

#[test]
fn earlier_endpoint() {
    let record = EndpointRecord {
        place: 1,
        kind: EndpointKind::ReadOnly,
        state: ComputeState::Idle,
        suspend_timeout_seconds: -1,
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        name: None,
        min_cu: ComputeUnits::ONE,
        max_cu: ComputeUnits::ONE,
        disabled: false,
        pooler_enabled: false,
        passwordless_access: true,
        settings: TextMap::default(),
        pending_state: None,
        started_at: None,
        suspended_at: None,
    };
    check_earlier(record, "0101010201fd829d2942ece20b00fd04224842ece20b00");
}

#[test]
fn endpoint_id() {
    let record = EndpointIdRecord { project: text("hidden-cell-76330194"), branch: text("br-blue-tooth-67158003") };
    check(record, "011468696464656e2d63656c6c2d37363333303139341662722d626c75652d746f6f74682d3637313538303033");
}

#[test]
fn operation() {
    let record = OperationRecord {
        branch: text("br-blue-tooth-67158003"),
        endpoint: Some(text("ep-aged-math-66828504")),
        action: OperationAction::DeleteTimeline,
        status: OperationStatus::Cancelled,
        failures_count: 1,
        error: Some("no".into()),
        updated_at: at(UPDATED),
        finished_at: Some(at(UPDATED)),
    };
    check(
        record,
        "011662722d626c75652d746f6f74682d3637313538303033011565702d616765642d6d6174682d363638323835303405\
         040101026e6ffd04224842ece20b0001fd04224842ece20b00",
    );
}

#[test]
fn open_operation() {
    let record = OpenOperationRecord {
        project: text("hidden-cell-76330194"),
        branch: text("br-blue-tooth-67158003"),
        endpoint: None,
    };
    check(record, "011468696464656e2d63656c6c2d37363333303139341662722d626c75652d746f6f74682d363731353830303300");
}

#[test]
fn retry() {
    check(RetryRecord { at: at(CREATED) }, "01fd829d2942ece20b00");
}

#[test]
fn role_sync() {
    let left = LeftRecord { name: "pg_x".into(), reason: "no".into() };
    let record = RoleSyncRecord { taken: vec![text("sally")], taken_count: 1, left: vec![left], left_count: 300 };
    check(record, "01010573616c6c7901010470675f78026e6ffb2c01");
}

#[test]
fn database_sync() {
    let left = LeftRecord { name: "x".into(), reason: "no".into() };
    let record = DatabaseSyncRecord { taken: vec![text("shop")], taken_count: 1, left: vec![left], left_count: 1 };
    check(record, "01010473686f7001010178026e6f01");
}

#[test]
fn drift() {
    let record = DriftRecord {
        compared_at: at(0),
        roles: vec!["x".into()],
        roles_count: 1,
        databases: vec!["shop".into()],
        databases_count: 300,
    };
    check(record, "010001017801010473686f70fb2c01");
}

#[test]
fn port() {
    check(PortRecord { endpoint: text("ep-aged-math-66828504") }, "011565702d616765642d6d6174682d3636383238353034");
}

#[test]
fn endpoint_port() {
    check(EndpointPortRecord { port: 25_432 }, "01fb5863");
}

#[test]
fn compute() {
    let record = ComputeRecord {
        versions: vec![VersionRecord { branch: 19, lsn: 5_000_000_000 }, VersionRecord { branch: 20, lsn: 1 }],
        lease: Some(LeaseRecord { holder: "alone".into(), until: at(CREATED) }),
    };
    check(record, "010213fd00f2052a0100000014010105616c6f6e65fd829d2942ece20b00");
}

#[test]
fn compute_of_which_nothing_is_known() {
    check(ComputeRecord { versions: Vec::new(), lease: None }, "010000");
}

#[test]
fn role() {
    let record = RoleRecord {
        place: 0,
        protected: false,
        login: RoleLogin::Password,
        verifier: Some(ScramVerifier::compute(&"pencil".into(), [7; 16])),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        sealed: Some(SealedRecord { data_key: 3, nonce: [9; 24], sealed: vec![1, 2, 3] }),
    };
    check(
        record,
        "020000000185534352414d2d5348412d32353624343039363a427763484277634842776348427763484277634842773d\
         3d244b3937596e64627748583035666c376c4e3842636d336747346e6334335776596a304f4c3164626b6e736b3d3a74\
         765536533276664f784b417a505a35644334682b637563795a353533724e43324d51325a4a7a6d7533673dfd829d2942\
         ece20b00fd04224842ece20b00010309090909090909090909090909090909090909090909090903010203",
    );
}

#[test]
fn earlier_role() {
    let record = RoleRecord {
        place: 0,
        protected: false,
        login: RoleLogin::Password,
        verifier: Some(ScramVerifier::compute(&"pencil".into(), [7; 16])),
        created_at: at(CREATED),
        updated_at: at(UPDATED),
        sealed: None,
    };
    check_earlier(
        record,
        "010000000185534352414d2d5348412d32353624343039363a427763484277634842776348427763484277634842773d\
         3d244b3937596e64627748583035666c376c4e3842636d336747346e6334335776596a304f4c3164626b6e736b3d3a74\
         765536533276664f784b417a505a35644334682b637563795a353533724e43324d51325a4a7a6d7533673dfd829d2942\
         ece20b00fd04224842ece20b00",
    );
}

#[test]
fn system_role() {
    let record = RoleRecord {
        place: 1,
        protected: true,
        login: RoleLogin::NoLogin,
        verifier: None,
        created_at: at(CREATED),
        updated_at: at(CREATED),
        sealed: None,
    };
    check(record, "0201010100fd829d2942ece20b00fd829d2942ece20b0000");
}

#[test]
fn earlier_system_role() {
    let record = RoleRecord {
        place: 1,
        protected: true,
        login: RoleLogin::NoLogin,
        verifier: None,
        created_at: at(CREATED),
        updated_at: at(CREATED),
        sealed: None,
    };
    check_earlier(record, "0101010100fd829d2942ece20b00fd829d2942ece20b00");
}

#[test]
fn database() {
    let record = DatabaseRecord { owner: text("sally"), created_at: at(CREATED), updated_at: at(UPDATED) };
    check(record, "010573616c6c79fd829d2942ece20b00fd04224842ece20b00");
}

#[test]
fn owned() {
    let record = OwnedRecord { database: text("app") };
    check(record, "0103617070");
}

#[test]
fn key_use() {
    let record = KeyUseRecord { at: at(UPDATED), address: Some("192.0.2.7".into()) };
    check(record, "01fd04224842ece20b0001093139322e302e322e37");
}

#[test]
fn password_key() {
    let record = PasswordKeyRecord { first_used_at: at(CREATED) };
    check(record, "01fd829d2942ece20b00");
}

#[test]
fn data_key() {
    let record = DataKeyRecord {
        wrapped_with: PasswordKeyId::new(0x0123_4567_89ab_cdef),
        nonce: [9; 24],
        wrapped: vec![1, 2, 3],
        created_at: at(CREATED),
    };
    check(record, "01fdefcdab896745230109090909090909090909090909090909090909090909090903010203fd829d2942ece20b00");
}

#[test]
fn annotation() {
    let record = AnnotationRecord { value: texts(&[("pr", "17")]), created_at: at(CREATED), updated_at: at(UPDATED) };
    check(record, "0101027072023137fd829d2942ece20b00fd04224842ece20b00");
}

#[test]
fn expiries() {
    let project: ProjectId = text("hidden-cell-76330194");
    let branch = text("br-blue-tooth-67158003");
    check(
        BranchExpiryRecord { project: project.clone(), branch },
        "011468696464656e2d63656c6c2d37363333303139341662722d626c75652d746f6f74682d3637313538303033",
    );
    let snapshot = text("snap-quiet-river-04417205");
    check(
        SnapshotExpiryRecord { project, snapshot },
        "011468696464656e2d63656c6c2d373633333031393419736e61702d71756965742d72697665722d3034343137323035",
    );
}

#[test]
fn snapshot() {
    let record = SnapshotRecord {
        number: 19,
        name: text("before the release"),
        source: text("br-blue-tooth-67158003"),
        lsn: 5_000_000_000,
        time: at(CREATED),
        created_at: at(UPDATED),
        expires_at: None,
    };
    check(
        record,
        "0113126265666f7265207468652072656c656173651662722d626c75652d746f6f74682d3637313538303033fd00f205\
         2a01000000fd829d2942ece20b00fd04224842ece20b0000",
    );
}

#[test]
fn closed_sets_keep_their_numbers() {
    fn numbers<T: Encode>(values: &[T]) -> Vec<u8> {
        values.iter().flat_map(|value| bincode::encode_to_vec(value, config::standard()).unwrap()).collect()
    }
    assert_eq!(numbers(&[BranchState::Init, BranchState::Ready, BranchState::Resetting]), [0, 1, 2]);
    assert_eq!(numbers(&[InitSource::ParentData, InitSource::SchemaOnly]), [0, 1]);
    assert_eq!(numbers(&[RestoreStatus::Restored, RestoreStatus::Finalized]), [0, 1]);
    assert_eq!(numbers(&[EndpointKind::ReadWrite, EndpointKind::ReadOnly]), [0, 1]);
    assert_eq!(numbers(&[ComputeState::Init, ComputeState::Active, ComputeState::Idle]), [0, 1, 2]);
    assert_eq!(numbers(&[RoleLogin::Password, RoleLogin::NoLogin]), [0, 1]);
    use OperationAction::*;
    let computes = [StartCompute, ApplyConfig, SuspendCompute, SyncRoles];
    assert_eq!(numbers(&computes), [2, 3, 4, 6]);
    assert_eq!(numbers(&[CreateTimeline, CreateBranch, DeleteTimeline, ApplyStorageConfig]), [0, 1, 5, 7]);
    use OperationStatus::*;
    let statuses = [Scheduling, Running, Finished, Failed, Cancelled, Error, Skipped];
    assert_eq!(numbers(&statuses), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_value_outside_its_rules_is_not_read() {
    assert!(decode::<EndpointRecord>(&[2, 0, 9, 0, 0, 0, 0]).is_err_and(|error| error.contains("EndpointKind")));
    // A role's name of no bytes, as the owner of a database.
    assert!(decode::<DatabaseRecord>(&[1, 0, 0, 0]).is_err_and(|error| error.contains("RoleName")));
    assert!(decode::<ProjectIdRecord>(&[1, 1, b'A']).is_err_and(|error| error.contains("ProjectId")));
}
