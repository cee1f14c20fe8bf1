//! Databases on a branch.

use chrono::{DateTime, Utc};
use offshoot_engine::{BranchId as EngineBranch, Transaction};
use sha2::{Digest, Sha256};

use crate::{
    catalog::{Caller, Catalog, FoundBranch, not_at_once, now},
    codec::{DatabaseRecord, OwnedRecord},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::{DatabaseName, RoleName},
    operation::Operation,
    role,
    tables::{Source, branch as entries, pair},
};

/// A database on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// A number of at most 53 bits, so that every JSON reader has it exact. The same database has another one on each
    /// branch.
    pub id: u64,
    /// The branch. A child shows what it has from its parent as its own.
    pub branch: BranchId,
    /// The database's name.
    pub name: DatabaseName,
    /// The role that owns the database.
    pub owner: RoleName,
    /// When the database was created, be it on an ancestor of the branch.
    pub created_at: DateTime<Utc>,
    /// When the database last changed.
    pub updated_at: DateTime<Utc>,
}

impl Database {
    pub(crate) fn from_record(branch: &BranchId, name: DatabaseName, record: DatabaseRecord) -> Self {
        Self {
            id: number(branch, record.created_at.0),
            branch: branch.clone(),
            name,
            owner: record.owner,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

/// Copying a number into each branch would make branching cost what the branch holds, and a counter would make all
/// writers wait for each other. The branch and the instant of creation, which no two databases of a branch share, make
/// a number that stays.
fn number(branch: &BranchId, created_at: DateTime<Utc>) -> u64 {
    let digest = Sha256::new().chain_update(branch.as_str()).chain_update(created_at.timestamp_micros().to_be_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.finalize()[..8]);
    // Never 0, which some readers take for "none".
    (u64::from_be_bytes(bytes) >> 11).max(1)
}

/// What changing a database brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseChanged {
    /// The database as it is now, or as it was when it was deleted.
    pub database: Database,
    /// What will make the change true on the branch's endpoints.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// The databases of a branch, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn database_list(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<Vec<Database>> {
        let listed = self.database_list_up_to(caller, project, branch, self.list_limit())?;
        // All of them are few enough, unless it has to be quick.
        listed.ok_or_else(not_at_once)
    }

    /// The databases of a branch, in order of creation; none where it has more than `most`, which is found out without
    /// reading them all.
    ///
    /// # Errors
    ///
    /// As of [`Catalog::database_list`].
    pub fn database_list_up_to(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        most: usize,
    ) -> Result<Option<Vec<Database>>> {
        let mut source = self.snapshot()?;
        let (_, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let mut records = entries::DATABASES.list(&mut source, branch.engine, b"", most.saturating_add(1))?;
        if records.len() > most {
            return Ok(None);
        }
        records.sort_by_key(|(_, record)| record.created_at);
        let database = |(name, record): (String, DatabaseRecord)| {
            let parsed =
                DatabaseName::new(name.as_str()).map_err(|error| entries::DATABASES.corrupt_key(&name, error))?;
            Ok(Database::from_record(&branch.id, parsed, record))
        };
        records.into_iter().map(database).collect::<Result<_>>().map(Some)
    }

    /// A database of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::DatabaseNotFound`].
    pub fn database_get(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &DatabaseName,
    ) -> Result<Database> {
        let mut source = self.snapshot()?;
        let (_, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        Ok(Database::from_record(&branch.id, name.clone(), require(&mut source, &branch, name)?))
    }

    /// Creates a database on a branch, owned by a role of the branch.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the name is reserved, [`Error::ProjectNotFound`], [`Error::BranchNotFound`],
    /// [`Error::DatabaseAlreadyExists`], [`Error::RoleNotFound`] for the owner, [`Error::RoleProtected`] where that
    /// belongs to the system.
    pub fn database_create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: DatabaseName,
        owner: RoleName,
    ) -> Result<DatabaseChanged> {
        name.check_not_reserved()?;
        self.commit_as(caller, "database_create", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            check_free(tx, &branch, &name)?;
            role::check_owner(tx, &branch, &owner)?;
            let record = DatabaseRecord { owner: owner.clone(), created_at: now(tx), updated_at: now(tx) };
            put(tx, branch.engine, &name, &record)?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            Ok(DatabaseChanged { database: Database::from_record(&branch.id, name.clone(), record), operations })
        })
    }

    /// Gives a database another name, another owner or both. Where nothing changes, nothing is to be done.
    ///
    /// # Errors
    ///
    /// [`Error::DatabaseNotFound`], and those of [`Catalog::database_create`] for the new name and owner.
    pub fn database_update(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &DatabaseName,
        new_name: Option<DatabaseName>,
        new_owner: Option<RoleName>,
    ) -> Result<DatabaseChanged> {
        let new_name = new_name.as_ref().filter(|new| *new != name);
        new_name.map(DatabaseName::check_not_reserved).transpose()?;
        self.commit_as(caller, "database_update", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let record = require(tx, &branch, name)?;
            let new_owner = new_owner.as_ref().filter(|new| **new != record.owner);
            if new_name.is_none() && new_owner.is_none() {
                let database = Database::from_record(&branch.id, name.clone(), record);
                return Ok(DatabaseChanged { database, operations: Vec::new() });
            }
            new_name.map(|name| check_free(tx, &branch, name)).transpose()?;
            new_owner.map(|owner| role::check_owner(tx, &branch, owner)).transpose()?;
            remove(tx, branch.engine, name, &record)?;
            let (name, owner) = (new_name.unwrap_or(name), new_owner.unwrap_or(&record.owner).clone());
            let record = DatabaseRecord { owner, updated_at: now(tx), ..record };
            put(tx, branch.engine, name, &record)?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            Ok(DatabaseChanged { database: Database::from_record(&branch.id, name.clone(), record), operations })
        })
    }

    /// Deletes a database from a branch; nothing where the branch has no such database. Its children and its parent
    /// keep theirs.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn database_delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &DatabaseName,
    ) -> Result<Option<DatabaseChanged>> {
        self.commit_as(caller, "database_delete", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let Some(record) = entries::DATABASES.get(tx, branch.engine, name.as_str().as_bytes())? else {
                return Ok(None);
            };
            remove(tx, branch.engine, name, &record)?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            let database = Database::from_record(&branch.id, name.clone(), record);
            Ok(Some(DatabaseChanged { database, operations }))
        })
    }
}

/// Writes a database, and that its owner owns it.
pub(crate) fn put(
    tx: &mut Transaction<'_>,
    branch: EngineBranch,
    name: &DatabaseName,
    record: &DatabaseRecord,
) -> Result<()> {
    entries::DATABASES.put(tx, branch, name.as_str().as_bytes(), record)?;
    let owned = OwnedRecord { database: name.clone() };
    entries::OWNED.put(tx, branch, &pair(record.owner.as_str(), name.as_str()), &owned)
}

fn remove(tx: &mut Transaction<'_>, branch: EngineBranch, name: &DatabaseName, record: &DatabaseRecord) -> Result<()> {
    entries::DATABASES.delete(tx, branch, name.as_str().as_bytes())?;
    entries::OWNED.delete(tx, branch, &pair(record.owner.as_str(), name.as_str()))
}

fn require(source: &mut impl Source, branch: &FoundBranch, name: &DatabaseName) -> Result<DatabaseRecord> {
    let record = entries::DATABASES.get(source, branch.engine, name.as_str().as_bytes())?;
    record.ok_or_else(|| Error::DatabaseNotFound { name: name.clone() })
}

fn check_free(source: &mut impl Source, branch: &FoundBranch, name: &DatabaseName) -> Result<()> {
    match entries::DATABASES.get(source, branch.engine, name.as_str().as_bytes())? {
        Some(_) => Err(Error::DatabaseAlreadyExists { name: name.clone() }),
        None => Ok(()),
    }
}
