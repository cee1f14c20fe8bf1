//! Taking over roles and databases that were made in SQL.
//!
//! A branch is asked to ([`Catalog::role_sync`]), which schedules an operation. The executor that does it tells what the
//! server has that the branch doesn't know ([`Catalog::server_take`]), and what came of it is kept with the operation.
//!
//! Roles are taken in one commit, databases in one each, for what tells a database from others is the instant of its
//! creation. What was taken is noted in the same commits, so that an executor that is killed in between has it told
//! still.

mod record;

use std::fmt;

use offshoot_engine::{NamespaceId, Transaction};

pub(crate) use self::record::Kept;
use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, now},
    codec::DatabaseRecord,
    database,
    drift::{self, Drift},
    endpoint::{self, EndpointKind},
    error::{Error, Result},
    id::{BranchId, OperationId, ProjectId},
    name::{DatabaseName, RoleName},
    operation::{self, DueOperation, Operation, OperationAction, Step},
    role,
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

impl fmt::Debug for ServerRole {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRole")
            .field("name", &self.name)
            .field("can_login", &self.can_login)
            .finish_non_exhaustive()
    }
}

/// A database that a server has, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDatabase {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// Whether it bears the mark of a database that another branch had, or this one at another point.
    pub is_marked: bool,
    /// Whether dropping it was begun and not finished.
    pub is_invalid: bool,
}

/// What came of taking over what a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTaken {
    /// Of its roles.
    pub roles: Taken<RoleName>,
    /// Of its databases.
    pub databases: Taken<DatabaseName>,
}

/// What came of taking over roles, or databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<N> {
    /// Those that are the branch's now; the first 50.
    pub taken: Vec<N>,
    /// How many those are in all.
    pub taken_count: u32,
    /// Those that aren't, and why; the first 40.
    pub left: Vec<Left>,
    /// How many those are in all.
    pub left_count: u32,
}

impl<N> Default for Taken<N> {
    fn default() -> Self {
        Self { taken: Vec::new(), taken_count: 0, left: Vec::new(), left_count: 0 }
    }
}

/// A role or a database that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name on the server.
    pub name: String,
    /// Why it wasn't taken over, for people.
    pub reason: String,
}

impl Catalog {
    /// Schedules that roles and databases which were made in SQL on the server of the branch's read-write endpoint become
    /// the branch's. [`Catalog::role_sync_result`] tells what came of it when the operations are finished.
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

    /// What came of taking over roles and databases; nothing where the operation was another one, or hasn't come so far.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn role_sync_result(
        &self,
        caller: &Caller,
        project: &ProjectId,
        operation: OperationId,
    ) -> Result<Option<ServerTaken>> {
        let mut source = self.snapshot()?;
        let (namespace, key) = (FoundProject::find(&mut source, caller, project)?.namespace(), operation.as_bytes());
        let Some(roles) = project::ROLE_SYNCS.get(&mut source, namespace, key)? else { return Ok(None) };
        let databases = project::DATABASE_SYNCS.get(&mut source, namespace, key)?;
        Ok(Some(ServerTaken { roles: roles.into(), databases: databases.map(Taken::from).unwrap_or_default() }))
    }

    /// Makes roles and databases that an endpoint's server has, and its branch doesn't know, the branch's, as far as that
    /// can be, and keeps with the operation what came of it. What the branch has already stays as it is.
    ///
    /// Nothing is done where the branch is gone by now.
    pub fn server_take(&self, due: &DueOperation, roles: &[ServerRole], databases: &[ServerDatabase]) -> Result<()> {
        let (Some(branch), Some(owner)) = (&due.operation.branch, self.project_owner(&due.project)?) else {
            return Ok(());
        };
        let taking = Taking { catalog: self, caller: Caller::new(owner), due, branch };
        match taking.take(roles, databases) {
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

/// What is being taken over for an operation.
struct Taking<'a> {
    catalog: &'a Catalog,
    caller: Caller,
    due: &'a DueOperation,
    branch: &'a BranchId,
}

impl Taking<'_> {
    fn take(&self, roles: &[ServerRole], databases: &[ServerDatabase]) -> Result<()> {
        let mut drift = self.commit("role_sync", self.branch.as_str(), |tx, place, key| {
            let mut drift = unknown(roles, databases);
            let mut kept = Kept::<RoleName>::load(tx, place.0.namespace(), key)?;
            take_roles(tx, &place.1, roles, &mut kept, &mut drift)?;
            kept.put(tx, place.0.namespace(), key)?;
            Ok(drift)
        })?;
        let mut left = Vec::new();
        for found in databases {
            let taken = self.commit("database_sync", &found.name, |tx, place, key| {
                let taken = take_database(tx, &place.1, found)?;
                if let Ok(name) = &taken {
                    let mut kept = Kept::<DatabaseName>::load(tx, place.0.namespace(), key)?;
                    kept.add(name.clone());
                    kept.put(tx, place.0.namespace(), key)?;
                }
                Ok(taken)
            })?;
            match taken {
                Ok(_) => drop(drift.databases.remove(&found.name)),
                Err(reason) => left.push(Left { name: found.name.clone(), reason }),
            }
        }
        self.commit("role_sync", self.branch.as_str(), |tx, place, key| {
            let namespace = place.0.namespace();
            let has_roles = Kept::<RoleName>::load(tx, namespace, key)?.has_any();
            let mut kept = Kept::<DatabaseName>::load(tx, namespace, key)?;
            kept.leave(&left);
            kept.put(tx, namespace, key)?;
            if has_roles || kept.has_any() {
                self.catalog.schedule_apply(tx, &place.0, &place.1.id)?;
            }
            match &self.due.operation.endpoint {
                Some(endpoint) => drift::note(tx, endpoint, &drift),
                None => Ok(()),
            }
        })
    }

    /// Commits something about the branch, and what is kept under the operation's key.
    fn commit<T>(
        &self,
        action: &str,
        subject: &str,
        mut body: impl FnMut(&mut Transaction<'_>, &(FoundProject, FoundBranch), &[u8]) -> Result<T>,
    ) -> Result<T> {
        let key = self.due.operation.id;
        self.catalog.commit_as(&self.caller, action, subject, |tx| {
            let place = FoundBranch::find(tx, &self.caller, &self.due.project, self.branch)?;
            body(tx, &place, key.as_bytes())
        })
    }
}

fn unknown(roles: &[ServerRole], databases: &[ServerDatabase]) -> Drift {
    Drift {
        roles: roles.iter().map(|role| role.name.clone()).collect(),
        databases: databases.iter().map(|database| database.name.clone()).collect(),
    }
}

fn take_roles(
    tx: &mut Transaction<'_>,
    branch: &FoundBranch,
    found: &[ServerRole],
    kept: &mut Kept<RoleName>,
    drift: &mut Drift,
) -> Result<()> {
    let (mut place, mut left) = (0_u16, Vec::new());
    for role in found {
        let (name, verifier) = match fit(role) {
            Ok(fit) => fit,
            Err(reason) => {
                left.push(Left { name: role.name.clone(), reason });
                continue;
            }
        };
        drift.roles.remove(&role.name);
        if entries::ROLES.get(tx, branch.engine, name.as_str().as_bytes())?.is_some() {
            continue;
        }
        let password = verifier.map(|verifier| KeptPassword { verifier, sealed: None });
        let record = role::new_record(tx, place, password);
        entries::ROLES.put(tx, branch.engine, name.as_str().as_bytes(), &record)?;
        place = place.saturating_add(1);
        kept.add(name);
    }
    kept.leave(&left);
    Ok(())
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

/// Takes over a database, or says why it can't be the branch's.
fn take_database(
    tx: &mut Transaction<'_>,
    branch: &FoundBranch,
    found: &ServerDatabase,
) -> Result<Result<DatabaseName, String>> {
    let fit = DatabaseName::new(found.name.as_str()).and_then(|name| name.check_not_reserved().map(|()| name));
    let name = match fit {
        Ok(name) => name,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if found.is_invalid {
        return Ok(Err("dropping it was begun and not finished; drop it".to_owned()));
    }
    if found.is_marked {
        let reason = "it is marked as a database of another branch, or of another point; ALTER DATABASE … RESET \
                      offshoot.database takes the mark away";
        return Ok(Err(reason.to_owned()));
    }
    if entries::DATABASES.get(tx, branch.engine, name.as_str().as_bytes())?.is_some() {
        return Ok(Err("the branch has another database of this name".to_owned()));
    }
    let owner = match RoleName::new(found.owner.as_str()) {
        Ok(owner) => role::check_owner(tx, branch, &owner).map(|()| owner),
        Err(error) => Err(error.into()),
    };
    let owner = match owner {
        Ok(owner) => owner,
        Err(Error::RoleNotFound { .. } | Error::RoleProtected { .. } | Error::Name { .. }) => {
            let reason = format!("it belongs to {:?}, which is no role of the branch; give it to one", found.owner);
            return Ok(Err(reason));
        }
        Err(error) => return Err(error),
    };
    let record = DatabaseRecord { owner, created_at: now(tx), updated_at: now(tx) };
    database::put(tx, branch.engine, &name, &record)?;
    Ok(Ok(name))
}
