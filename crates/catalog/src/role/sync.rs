//! Taking over roles that were made in SQL.
//!
//! A branch is asked to ([`Catalog::role_sync`]), which schedules an operation. The executor that does it tells what
//! roles the server has that the branch doesn't know ([`Catalog::roles_take`]), and what came of them is kept with the
//! operation.

use offshoot_engine::{NamespaceId, Transaction};

use super::new_record;
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject},
    codec::{LeftRoleRecord, RoleSyncRecord},
    endpoint::{self, EndpointKind},
    error::{Error, Result},
    id::{BranchId, OperationId, ProjectId},
    name::RoleName,
    operation::{self, DueOperation, Operation, OperationAction, Step},
    scram::ScramVerifier,
    stored_password::KeptPassword,
    tables::{branch as entries, project, system},
};

/// A role that a server has, in the server's words.
#[derive(Clone)]
pub struct ServerRole {
    /// Its name.
    pub name: String,
    /// Whether it may log in.
    pub can_login: bool,
    /// What the server keeps of its password.
    pub password: Option<String>,
}

impl std::fmt::Debug for ServerRole {
    /// Leaves out the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerRole")
            .field("name", &self.name)
            .field("can_login", &self.can_login)
            .finish_non_exhaustive()
    }
}

/// What came of taking over roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolesTaken {
    /// Those that are the branch's now; the first 50.
    pub taken: Vec<RoleName>,
    /// How many those are in all.
    pub taken_count: u32,
    /// Those that aren't, and why; the first 40.
    pub left: Vec<RoleLeft>,
    /// How many those are in all.
    pub left_count: u32,
}

/// A role that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLeft {
    /// Its name on the server.
    pub name: String,
    /// Why it wasn't taken over, for people.
    pub reason: String,
}

impl Catalog {
    /// Schedules that roles which were made in SQL on the server of the branch's read-write endpoint become roles of the
    /// branch. [`Catalog::role_sync_result`] tells what came of it when the operations are finished.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::BranchHasNoCompute`].
    pub fn role_sync(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<Vec<Operation>> {
        self.commit(|tx| {
            let (project, branch) = FoundBranch::find(tx, caller, project, branch)?;
            let endpoints = endpoint::of_branch(tx, &project, &branch.id)?;
            let writes =
                endpoints.iter().find(|endpoint| endpoint.kind == EndpointKind::ReadWrite && !endpoint.disabled);
            let Some(endpoint) = writes else { return Err(Error::BranchHasNoCompute { id: branch.id }) };
            let mut steps = crate::branch::steps_to_apply((&branch.id, &endpoint.id), endpoint.state);
            if let Some(Step { action, .. }) = steps.first_mut() {
                *action = OperationAction::SyncRoles;
            }
            operation::schedule(tx, self.entropy(), project.place(), steps)
        })
    }

    /// What came of taking over roles; nothing where the operation isn't finished, or was another one.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn role_sync_result(
        &self,
        caller: &Caller,
        project: &ProjectId,
        operation: OperationId,
    ) -> Result<Option<RolesTaken>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let record = project::ROLE_SYNCS.get(&mut source, project.namespace(), operation.as_bytes())?;
        Ok(record.map(RolesTaken::from))
    }

    /// Makes roles that an endpoint's server has roles of its branch, as far as that can be, and keeps with the
    /// operation what came of it. Those that the branch has already stay as they are.
    ///
    /// Nothing is done where the branch is gone by now.
    pub fn roles_take(&self, due: &DueOperation, found: &[ServerRole]) -> Result<()> {
        let Some(branch) = &due.operation.branch else { return Ok(()) };
        let Some(owner) = self.project_owner(&due.project)? else { return Ok(()) };
        let caller = Caller::new(owner);
        let taken = self.commit_as(&caller, "role_sync", branch.as_str(), |tx| {
            let (project, branch) = FoundBranch::find(tx, &caller, &due.project, branch)?;
            let taken = take(tx, &branch, found)?;
            let record = RoleSyncRecord::from(&taken);
            project::ROLE_SYNCS.put(tx, project.namespace(), due.operation.id.as_bytes(), &record)?;
            if !taken.taken.is_empty() {
                self.schedule_apply(tx, &project, &branch.id)?;
            }
            Ok(())
        });
        match taken {
            Err(Error::ProjectNotFound { .. } | Error::BranchNotFound { .. }) => Ok(()),
            taken => taken,
        }
    }

    fn project_owner(&self, project: &ProjectId) -> Result<Option<crate::id::AccountId>> {
        let mut source = self.snapshot()?;
        let record = system::PROJECTS.get(&mut source, NamespaceId::SYSTEM, project.as_str().as_bytes())?;
        Ok(record.map(|record| record.account))
    }
}

fn take(tx: &mut Transaction<'_>, branch: &FoundBranch, found: &[ServerRole]) -> Result<RolesTaken> {
    let mut result = RolesTaken::default();
    for role in found {
        let (name, verifier) = match fit(role) {
            Ok(fit) => fit,
            Err(reason) => {
                result.left.push(RoleLeft { name: role.name.clone(), reason });
                continue;
            }
        };
        if entries::ROLES.get(tx, branch.engine, name.as_str().as_bytes())?.is_some() {
            continue;
        }
        let place = u16::try_from(result.taken.len()).unwrap_or(u16::MAX);
        let password = verifier.map(|verifier| KeptPassword { verifier, sealed: None });
        let record = new_record(tx, place, password);
        entries::ROLES.put(tx, branch.engine, name.as_str().as_bytes(), &record)?;
        result.taken.push(name);
    }
    result.taken_count = u32::try_from(result.taken.len()).unwrap_or(u32::MAX);
    result.left_count = u32::try_from(result.left.len()).unwrap_or(u32::MAX);
    Ok(result)
}

/// The name and the verifier that a role has on its branch, or why it can't be one.
fn fit(role: &ServerRole) -> Result<(RoleName, Option<ScramVerifier>), String> {
    let name = RoleName::new(role.name.as_str()).map_err(|error| error.to_string())?;
    name.check_not_reserved().map_err(|error| error.to_string())?;
    if !role.can_login {
        return Ok((name, None));
    }
    let Some(password) = &role.password else {
        return Err("it logs in without a password; give it one, or NOLOGIN".to_owned());
    };
    let verifier =
        password.parse().map_err(|_| "its password is not kept as SCRAM-SHA-256; set it again".to_owned())?;
    Ok((name, Some(verifier)))
}

impl From<RoleSyncRecord> for RolesTaken {
    fn from(record: RoleSyncRecord) -> Self {
        let left = record.left.into_iter().map(|LeftRoleRecord { name, reason }| RoleLeft { name, reason });
        Self {
            taken: record.taken,
            taken_count: record.taken_count,
            left: left.collect(),
            left_count: record.left_count,
        }
    }
}

/// How many roles the record of a sync names, so that it fits into one value.
const MAX_TAKEN: usize = 50;
const MAX_LEFT: usize = 40;

impl From<&RolesTaken> for RoleSyncRecord {
    fn from(result: &RolesTaken) -> Self {
        let left = result.left.iter().take(MAX_LEFT).cloned();
        Self {
            taken: result.taken.iter().take(MAX_TAKEN).cloned().collect(),
            taken_count: result.taken_count,
            left: left.map(|RoleLeft { name, reason }| LeftRoleRecord { name, reason }).collect(),
            left_count: result.left_count,
        }
    }
}
