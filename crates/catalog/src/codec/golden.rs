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
    };
    check(
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
    };
    check(
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
    };
    check(record, "0113046d61696e000000fd829d2942ece20b00fd829d2942ece20b00fd829d2942ece20b00");
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
    };
    check(record, "0101010201fd829d2942ece20b00fd04224842ece20b00");
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
    };
    check(
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
    };
    check(record, "0101010100fd829d2942ece20b00fd829d2942ece20b00");
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
fn closed_sets_keep_their_numbers() {
    fn numbers<T: Encode>(values: &[T]) -> Vec<u8> {
        values.iter().flat_map(|value| bincode::encode_to_vec(value, config::standard()).unwrap()).collect()
    }
    assert_eq!(numbers(&[BranchState::Init, BranchState::Ready]), [0, 1]);
    assert_eq!(numbers(&[EndpointKind::ReadWrite, EndpointKind::ReadOnly]), [0, 1]);
    assert_eq!(numbers(&[ComputeState::Init, ComputeState::Active, ComputeState::Idle]), [0, 1, 2]);
    assert_eq!(numbers(&[RoleLogin::Password, RoleLogin::NoLogin]), [0, 1]);
    use OperationAction::*;
    let actions = [CreateTimeline, CreateBranch, StartCompute, ApplyConfig, SuspendCompute, DeleteTimeline];
    assert_eq!(numbers(&actions), [0, 1, 2, 3, 4, 5]);
    use OperationStatus::*;
    let statuses = [Scheduling, Running, Finished, Failed, Cancelled, Error, Skipped];
    assert_eq!(numbers(&statuses), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_value_outside_its_rules_is_not_read() {
    assert!(decode::<EndpointRecord>(&[1, 0, 9, 0, 0, 0, 0]).is_err_and(|error| error.contains("EndpointKind")));
    // A role's name of no bytes, as the owner of a database.
    assert!(decode::<DatabaseRecord>(&[1, 0, 0, 0]).is_err_and(|error| error.contains("RoleName")));
    assert!(decode::<ProjectIdRecord>(&[1, 1, b'A']).is_err_and(|error| error.contains("ProjectId")));
}
