//! Gives a PostgreSQL server the roles and databases of a branch.
//!
//! What differs is put right in this order: roles that are missing or differ, and those that go can't log in any more;
//! databases that go, change their names, are missing or differ; what roles that go own is handed over, and they are
//! dropped. Doing it again from any point does no harm. In the end all of it is read back and compared.
//!
//! What the server has and the branch doesn't know is left alone, and reported as [`Drift`].
//!
//! A standby has what its primary has, and can't be changed: it is only compared.

mod databases;
mod error;
mod facts;
mod quote;
mod removal;
mod roles;
mod session;
mod setup;
mod verify;

use std::collections::BTreeSet;

use offshoot_catalog::{ComputeChanges, Drift, RoleName, ServerDatabase, ServerRole};

pub(crate) use self::session::get;
pub use self::{error::ApplyError, session::Admin};
use self::{
    facts::{FoundDatabase, FoundRole},
    session::{Session, Version},
    setup::Setup,
};
use crate::progress::Progress;

/// The lock that whoever changes a server's roles holds: `offshoot` in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"offshoot");

/// How many roles one transaction changes at most: a server can't keep locks on very many, and what was done before a failure needn't be done again.
const ROLES_AT_ONCE: usize = 1000;

/// A server whose roles nobody else changes by way of this crate while it exists.
pub(crate) struct LockedServer<'a> {
    admin: &'a Admin,
    session: Session,
    version: Version,
    is_standby: bool,
}

impl<'a> LockedServer<'a> {
    /// Connects to a server, and waits until nobody else changes its roles.
    ///
    /// The lock goes with the connection: it is nobody's who lost the server.
    pub(crate) async fn lock(admin: &'a Admin) -> Result<Self, ApplyError> {
        let session = admin.connect().await?;
        let (version, is_standby) = session.version().await?;
        session.run("waiting for others that change roles", &format!("SELECT pg_advisory_lock({LOCK})")).await?;
        Ok(Self { admin, session, version, is_standby })
    }

    /// Makes the server have what `changes` say, and tells `progress` whenever a part of it is done. Gives what else it has, where they list all
    /// that the branch has.
    pub(crate) async fn apply(
        &self,
        changes: &ComputeChanges,
        privileged: &RoleName,
        progress: &Progress,
    ) -> Result<Option<Drift>, ApplyError> {
        if self.is_standby {
            let compared = verify::compare(&self.session, changes, privileged.as_str()).await;
            return compared.map_err(ApplyError::of_standby);
        }
        let (session, version, privileged) = (&self.session, self.version, privileged.as_str());
        let setup = Setup { privileged, version };
        let names: Vec<&str> = changes.roles.keys().map(RoleName::as_str).chain([privileged]).collect();
        let found = facts::roles(session, privileged, &names).await?;
        let is_missing = !found.contains_key(privileged);
        let is_set_up = !is_missing && (!changes.is_whole || setup.is_done(session).await?);
        let plan = roles::plan(&changes.roles, &found, privileged, version)?;
        if !is_set_up {
            setup.group(session, is_missing).await?;
        }
        for statements in plan.statements.chunks(ROLES_AT_ONCE) {
            session.run("creating and altering roles", &statements.join("; ")).await?;
            progress.note();
        }
        if !is_set_up {
            setup.own_database(session).await?;
        }
        if changes.is_whole || !changes.databases.is_empty() {
            let found = facts::databases(session).await?;
            databases::apply(self.admin, session, &changes.databases, &found, setup).await?;
            progress.note();
        }
        for gone in plan.gone.chunks(ROLES_AT_ONCE) {
            removal::apply(self.admin, session, &gone, setup).await?;
            progress.note();
        }
        verify::compare(session, changes, privileged).await
    }

    /// The roles that the server has and neither its branch nor the compute's past knows; `changes` are to be whole.
    pub(crate) async fn unknown_roles(
        &self,
        changes: &ComputeChanges,
        privileged: &RoleName,
    ) -> Result<Vec<ServerRole>, ApplyError> {
        let known: BTreeSet<&str> = changes.roles.keys().map(RoleName::as_str).collect();
        let found = facts::all_roles(&self.session, privileged.as_str()).await?;
        let unknown = found.into_iter().filter(|(name, _)| !known.contains(name.as_str()));
        let role = |(name, found): (String, FoundRole)| ServerRole {
            name,
            can_login: found.can_login,
            password: found.password,
        };
        Ok(unknown.map(role).collect())
    }

    /// The databases that the server has and neither its branch nor the compute's past knows; `changes` are to be whole.
    pub(crate) async fn unknown_databases(&self, changes: &ComputeChanges) -> Result<Vec<ServerDatabase>, ApplyError> {
        let found = facts::databases(&self.session).await?;
        let database = |found: FoundDatabase| ServerDatabase {
            name: found.name,
            owner: found.owner,
            is_marked: found.mark.is_some(),
            is_invalid: found.is_invalid,
        };
        Ok(verify::unknown_among(changes, found).map(database).collect())
    }
}
