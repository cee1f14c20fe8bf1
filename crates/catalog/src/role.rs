//! Roles: who can log in to a branch's databases.

mod list;
mod purge;

use chrono::{DateTime, Utc};
use offshoot_engine::{BranchId as EngineBranch, Transaction, Version};
use secrecy::SecretString;

pub use self::{
    list::{RolePage, RoleSearch, RolesAtHead, RolesVersion},
    purge::RolePurged,
};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, now},
    codec::RoleRecord,
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::{DatabaseName, RoleName},
    operation::Operation,
    password::NewPassword,
    scram::ScramVerifier,
    stored_password::KeptPassword,
    tables::{Source, branch as entries, pair},
};

/// Whether a role can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleLogin {
    /// It logs in with a password.
    Password,
    /// It can't log in.
    NoLogin,
}

/// A role on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The branch. A child shows what it has from its parent as its own.
    pub branch: BranchId,
    /// The role's name.
    pub name: RoleName,
    /// Whether the role belongs to the system, so that nobody can delete, alter or reset it.
    pub protected: bool,
    /// Whether the role can log in.
    pub login: RoleLogin,
    /// What is kept of the role's password.
    pub verifier: Option<ScramVerifier>,
    /// Whether the password itself was stored, too, so that it can be told again.
    pub password_stored: bool,
    /// When the role was created, be it on an ancestor of the branch.
    pub created_at: DateTime<Utc>,
    /// When the role last changed.
    pub updated_at: DateTime<Utc>,
}

impl Role {
    pub(crate) fn from_record(branch: &BranchId, name: RoleName, record: RoleRecord) -> Self {
        Self {
            branch: branch.clone(),
            name,
            protected: record.protected,
            login: record.login,
            verifier: record.verifier,
            password_stored: record.sealed.is_some(),
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

/// A role, with its password where that is new. The password is told here only.
#[derive(Clone, Debug)]
pub struct RoleWithPassword {
    /// The role.
    pub role: Role,
    /// The new password; none for a role that can't log in.
    pub password: Option<SecretString>,
}

/// What changing a role brought.
#[derive(Clone, Debug)]
pub struct RoleChanged {
    /// The role as it is now, or as it was when it was deleted.
    pub role: Role,
    /// The role's new password, if it got one. It is told here only.
    pub password: Option<SecretString>,
    /// What will make the change true on the branch's endpoints.
    pub operations: Vec<Operation>,
}

/// How many of the databases that keep a role from being deleted are named.
const MAX_NAMED_DATABASES: usize = 20;

impl Catalog {
    /// A role of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::RoleNotFound`].
    pub fn role_get(&self, caller: &Caller, project: &ProjectId, branch: &BranchId, name: &RoleName) -> Result<Role> {
        self.roles_at_head(caller, project, branch)?.get(name)
    }

    /// Creates a role on a branch; its children and its parent don't get it.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] where the name is reserved, [`Error::ProjectNotFound`], [`Error::BranchNotFound`],
    /// [`Error::RoleAlreadyExists`].
    pub fn role_create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: RoleName,
        login: RoleLogin,
    ) -> Result<RoleChanged> {
        name.check_not_reserved()?;
        let new = self.password_for(login)?;
        let (role, operations) = self.commit_as(caller, "role_create", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            if entries::ROLES.get(tx, branch.engine, name.as_str().as_bytes())?.is_some() {
                return Err(Error::RoleAlreadyExists { name: name.clone() });
            }
            let kept = new.as_ref().map(|new| self.keep(tx, &project, &name, new)).transpose()?;
            let record = new_record(tx, 0, kept);
            entries::ROLES.put(tx, branch.engine, name.as_str().as_bytes(), &record)?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            Ok((Role::from_record(&branch.id, name.clone(), record), operations))
        })?;
        Ok(RoleChanged { role, password: new.map(|new| new.password), operations })
    }

    /// Deletes a role from a branch; nothing where the branch has no such role. Its children and its parent keep
    /// theirs.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::RoleProtected`], [`Error::RoleOwnsDatabases`].
    pub fn role_delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &RoleName,
    ) -> Result<Option<RoleChanged>> {
        self.commit_as(caller, "role_delete", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let Some(record) = entries::ROLES.get(tx, branch.engine, name.as_str().as_bytes())? else {
                return Ok(None);
            };
            check_unprotected(name, &record)?;
            check_owns_nothing(tx, &branch, name)?;
            entries::ROLES.delete(tx, branch.engine, name.as_str().as_bytes())?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            let role = Role::from_record(&branch.id, name.clone(), record);
            Ok(Some(RoleChanged { role, password: None, operations }))
        })
    }

    /// Gives a role a new password on a branch; on its children and its parent the password stays.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::RoleNotFound`], [`Error::RoleProtected`],
    /// [`Error::RoleHasNoLogin`].
    pub fn role_reset_password(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &RoleName,
    ) -> Result<RoleChanged> {
        let new = self.draw_password()?;
        let (role, operations) = self.commit_as(caller, "role_reset_password", name.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let record = require(tx, &branch, name)?;
            check_unprotected(name, &record)?;
            if record.login == RoleLogin::NoLogin {
                return Err(Error::RoleHasNoLogin { name: name.clone() });
            }
            let kept = self.keep(tx, &project, name, &new)?;
            let record = with_password(tx, record, kept);
            entries::ROLES.put(tx, branch.engine, name.as_str().as_bytes(), &record)?;
            let operations = self.schedule_apply(tx, &project, &branch.id)?;
            Ok((Role::from_record(&branch.id, name.clone(), record), operations))
        })?;
        Ok(RoleChanged { role, password: Some(new.password), operations })
    }

    fn password_for(&self, login: RoleLogin) -> Result<Option<NewPassword>> {
        match login {
            RoleLogin::Password => self.draw_password().map(Some),
            RoleLogin::NoLogin => Ok(None),
        }
    }
}

/// The record of a role created at `place` among those of the same commit.
pub(crate) fn new_record(tx: &Transaction<'_>, place: u16, password: Option<KeptPassword>) -> RoleRecord {
    let login = if password.is_some() { RoleLogin::Password } else { RoleLogin::NoLogin };
    let (verifier, sealed) = password.map(|kept| (kept.verifier, kept.sealed)).unzip();
    let sealed = sealed.flatten();
    RoleRecord { place, protected: false, login, verifier, created_at: now(tx), updated_at: now(tx), sealed }
}

/// The record of a role that has another password now.
pub(crate) fn with_password(tx: &Transaction<'_>, record: RoleRecord, password: KeptPassword) -> RoleRecord {
    let KeptPassword { verifier, sealed } = password;
    RoleRecord { verifier: Some(verifier), sealed, updated_at: now(tx), ..record }
}

/// The roles of a branch that log in with a password.
pub(crate) fn with_passwords(source: &mut impl Source, branch: EngineBranch) -> Result<Vec<(RoleName, RoleRecord)>> {
    let records = entries::ROLES.list(source, branch, b"", usize::MAX)?;
    let records = records.into_iter().filter(|(_, record)| has_password(record));
    records.map(|(name, record)| Ok((parse_name(name)?, record))).collect()
}

/// The names of the roles that log in with a password in a version of a branch.
pub(crate) fn with_passwords_of(version: &Version) -> Result<Vec<RoleName>> {
    let records = entries::ROLES.all_of(version)?;
    records.into_iter().filter(|(_, record)| has_password(record)).map(|(name, _)| parse_name(name)).collect()
}

fn has_password(record: &RoleRecord) -> bool {
    record.login == RoleLogin::Password && !record.protected
}

fn parse_name(name: String) -> Result<RoleName> {
    RoleName::new(name.as_str()).map_err(|error| entries::ROLES.corrupt_key(&name, error))
}

/// The role that is to own a database.
pub(crate) fn check_owner(source: &mut impl Source, branch: &FoundBranch, name: &RoleName) -> Result<()> {
    check_unprotected(name, &require(source, branch, name)?)
}

pub(crate) fn require(source: &mut impl Source, branch: &FoundBranch, name: &RoleName) -> Result<RoleRecord> {
    let record = entries::ROLES.get(source, branch.engine, name.as_str().as_bytes())?;
    record.ok_or_else(|| Error::RoleNotFound { name: name.clone() })
}

fn check_unprotected(name: &RoleName, record: &RoleRecord) -> Result<()> {
    if record.protected { Err(Error::RoleProtected { name: name.clone() }) } else { Ok(()) }
}

fn check_owns_nothing(source: &mut impl Source, branch: &FoundBranch, name: &RoleName) -> Result<()> {
    let owned = entries::OWNED.list(source, branch.engine, &pair(name.as_str(), ""), MAX_NAMED_DATABASES + 1)?;
    if owned.is_empty() {
        return Ok(());
    }
    let more = owned.len() > MAX_NAMED_DATABASES;
    let databases: Vec<DatabaseName> =
        owned.into_iter().take(MAX_NAMED_DATABASES).map(|(_, record)| record.database).collect();
    Err(Error::RoleOwnsDatabases { name: name.clone(), databases, more })
}
