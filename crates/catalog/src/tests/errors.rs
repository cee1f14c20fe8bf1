use std::{collections::BTreeSet, io, sync::Arc};

use chrono::DateTime;
use offshoot_engine::{Lsn, StoreError};

use crate::{
    AccountId, AccountName, ApiKeyId, BranchId, BranchName, ComputeUnits, DatabaseName, EntropyError, Error,
    LengthUnit, NameError, NameKind, PasswordKeyId, RoleName,
};

fn name_errors(kind: NameKind) -> Vec<Error> {
    let unit = LengthUnit::Bytes;
    let mut errors = vec![
        NameError::Empty { kind, limit: 63, unit },
        NameError::TooLong { kind, length: 64, limit: 63, unit },
        NameError::Nul { kind },
    ];
    if matches!(kind, NameKind::Role | NameKind::Database) {
        errors.push(NameError::Reserved { kind, name: "postgres".into(), rule: "it is the system's" });
    }
    errors.into_iter().map(Error::from).collect()
}

fn no_space() -> Error {
    let source = Arc::new(io::ErrorKind::StorageFull.into());
    offshoot_engine::Error::from(StoreError::NoSpace { source }).into()
}

/// One error of every variant, and of every code.
fn samples() -> Vec<Error> {
    let id = || "x".to_owned();
    let (branch, child): (BranchId, BranchId) = ("br-a".parse().unwrap(), "br-b".parse().unwrap());
    let role = || RoleName::new("sally").unwrap();
    let database = || DatabaseName::new("app").unwrap();
    let (lsn, time) = (Lsn::new(1), DateTime::UNIX_EPOCH);
    let kinds = [
        NameKind::Account,
        NameKind::ApiKey,
        NameKind::Project,
        NameKind::Branch,
        NameKind::Role,
        NameKind::Database,
        NameKind::Endpoint,
        NameKind::Snapshot,
    ];
    let mut samples: Vec<Error> = kinds.into_iter().flat_map(name_errors).collect();
    samples.extend([
        Error::Unauthorized,
        Error::OutOfRange { field: "pg_version", given: 13, allowed: "14 to 18" },
        Error::CursorInvalid { cursor: id() },
        Error::AccountAlreadyExists { name: AccountName::new("casey").unwrap() },
        Error::AccountNotFound { id: AccountId::new(1) },
        Error::ApiKeyUnfit { length: 3 },
        Error::ApiKeyAlreadyExists,
        Error::ApiKeyNotFound { id: ApiKeyId::new(1) },
        Error::ProjectNotFound { id: id() },
        Error::ProjectHasProtectedBranch { project: "p".parse().unwrap(), branch: branch.clone() },
        Error::BranchNotFound { id: id() },
        Error::BranchAlreadyExists { name: BranchName::new("dev").unwrap() },
        Error::BranchIsDefault { id: branch.clone() },
        Error::BranchHasNoCompute { id: branch.clone() },
        Error::BranchNotDeleted { id: branch.clone() },
        Error::ParentDeleted { id: branch.clone(), parent: branch.clone() },
        Error::ProjectNotDeleted { id: "p".parse().unwrap() },
        Error::BranchIsProtected { id: branch.clone() },
        Error::BranchHasChildren { id: branch.clone(), child },
        Error::LsnOutsideHistory { branch: branch.clone(), asked: lsn, first: lsn, last: lsn },
        Error::ComputeUnitsInvalid { given: 0.3 },
        Error::ComputeLimitsReversed { min: ComputeUnits::ONE, max: ComputeUnits::ONE },
        Error::AccountHasProjects { name: AccountName::new("casey").unwrap(), project: "p".parse().unwrap() },
        Error::PgVersionUnsupported { given: 14, supported: vec![16, 17] },
        Error::BranchExpires { id: branch.clone(), what: "have children" },
        Error::BranchCannotExpire { id: branch.clone(), because: "is protected" },
        Error::ExpiryInvalid { asked: time, present: time, days: Some(30) },
        Error::PreserveNameRequired { id: branch.clone(), because: "has children" },
        Error::RestorePointRequired { id: branch.clone() },
        Error::RestoreNotPending { id: branch.clone() },
        Error::SnapshotNotFound { id: id() },
        Error::PasswordsNotStored { id: "p".parse().unwrap() },
        Error::PasswordNotKept { name: role() },
        Error::PasswordKeyMissing { key: PasswordKeyId::new(7) },
        Error::PasswordStoringForbidden,
        Error::EndpointIsDisabled { id: "ep-a".parse().unwrap() },
        Error::EndpointOfProtectedBranch { id: "ep-a".parse().unwrap(), branch: branch.clone() },
        Error::TimeOutsideHistory { branch, asked: time, first: time, present: time },
        Error::RoleNotFound { name: role() },
        Error::RoleAlreadyExists { name: role() },
        Error::RoleProtected { name: role() },
        Error::RoleOwnsDatabases { name: role(), databases: vec![database()], more: false },
        Error::RoleHasNoLogin { name: role() },
        Error::DatabaseNotFound { name: database() },
        Error::DatabaseAlreadyExists { name: database() },
        Error::EndpointNotFound { id: id() },
        Error::EndpointAlreadyExists,
        Error::OperationNotFound { id: id() },
        Error::Entropy(EntropyError::new("none")),
        Error::Corrupt { table: "roles", key: id(), reason: "cut short".into() },
        Error::Engine(offshoot_engine::Error::Internal("none")),
        no_space(),
    ]);
    samples
}

#[test]
fn the_list_of_codes_is_complete_and_sorted() {
    let found: BTreeSet<&str> = samples().iter().map(Error::code).collect();
    assert!(found.iter().eq(Error::CODES), "{found:?}");
}

#[test]
fn every_message_is_one_plain_line() {
    for error in samples() {
        let message = error.to_string();
        assert!(message.len() > 10 && !message.contains('\n') && !message.ends_with('.'), "{message}");
    }
}

#[test]
fn bounds_of_a_history_are_told_to_the_microsecond() {
    let time = |micros| DateTime::from_timestamp_micros(micros).unwrap();
    let (asked, first, present) = (time(1), time(1_000_000), time(2_500_000));
    let error = Error::TimeOutsideHistory { branch: "br-a".parse().unwrap(), asked, first, present };
    assert_eq!(
        error.to_string(),
        "time 1970-01-01T00:00:00.000001Z is outside the history of branch br-a, which reaches from \
         1970-01-01T00:00:01.000000Z to the present, 1970-01-01T00:00:02.500000Z"
    );
}
