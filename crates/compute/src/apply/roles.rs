//! Roles: what is sent so that the server has them as the branch does.

use std::collections::BTreeMap;

use offshoot_catalog::{Role, RoleLogin, RoleName};

use super::{
    error::ApplyError,
    facts::FoundRole,
    quote::{Ident, Literal},
    session::Version,
};

/// Roles that the server has and the branch no longer has.
#[derive(Default)]
pub(super) struct Gone {
    pub(super) names: Vec<String>,
    pub(super) oids: Vec<u32>,
}

impl Gone {
    /// The same roles, in parts of up to `most`.
    pub(super) fn chunks(&self, most: usize) -> impl Iterator<Item = Self> {
        let parts = self.names.chunks(most).zip(self.oids.chunks(most));
        parts.map(|(names, oids)| Self { names: names.to_vec(), oids: oids.to_vec() })
    }
}

/// What is to be sent about roles, and which are to be dropped after.
#[derive(Default)]
pub(super) struct RolePlan {
    pub(super) statements: Vec<String>,
    pub(super) gone: Gone,
}

/// Compares the roles as they are to be with those that were found.
///
/// A role that is to be dropped can't log in any more from here on, whatever comes of dropping it.
pub(super) fn plan(
    wanted: &BTreeMap<RoleName, Option<Role>>,
    found: &BTreeMap<String, FoundRole>,
    privileged: &str,
    version: Version,
) -> Result<RolePlan, ApplyError> {
    let mut plan = RolePlan::default();
    for (name, role) in wanted {
        let name = name.as_str();
        match (role, found.get(name)) {
            (Some(_), _) if name == privileged => return Err(ApplyError::GroupInTheWay { name: name.to_owned() }),
            (None, None) => {}
            (None, Some(found)) if is_never_a_branchs(name, found, privileged) => {}
            (None, Some(found)) => {
                plan.gone.names.push(name.to_owned());
                plan.gone.oids.push(found.oid);
                plan.statements.push(format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", Ident(name)));
            }
            (Some(_), Some(found)) if found.is_superuser => {
                return Err(ApplyError::SuperuserInTheWay { name: name.to_owned() });
            }
            (Some(role), None) => plan.statements.push(create(role, privileged, version)),
            (Some(role), Some(found)) => {
                let lacks_attributes = !role.protected && !found.has_attributes;
                if !has_login(role, found) || lacks_attributes {
                    let attributes = if lacks_attributes { attributes(version) } else { "" };
                    plan.statements.push(format!("ALTER ROLE {} {attributes} {}", Ident(name), login(role)));
                }
                if !role.protected && !found.is_privileged {
                    plan.statements.push(format!("GRANT {} TO {}", Ident(privileged), Ident(name)));
                }
            }
        }
    }
    Ok(plan)
}

/// Whether a role of the server can't have been the branch's: that would have been refused.
pub(super) fn is_never_a_branchs(name: &str, found: &FoundRole, privileged: &str) -> bool {
    found.is_superuser || name == privileged
}

/// Whether a role is as the branch says.
pub(super) fn is_right(role: &Role, found: &FoundRole) -> bool {
    has_login(role, found) && (role.protected || (found.is_privileged && found.has_attributes))
}

/// Whether a role logs in as the branch says.
fn has_login(role: &Role, found: &FoundRole) -> bool {
    let verifier = role.verifier.as_ref().map(|verifier| verifier.expose());
    found.can_login == (role.login == RoleLogin::Password) && found.password.as_deref() == verifier && !found.expires
}

fn create(role: &Role, privileged: &str, version: Version) -> String {
    let name = Ident(role.name.as_str());
    if role.protected {
        return format!("CREATE ROLE {name} {}", login(role));
    }
    format!("CREATE ROLE {name} {} {} IN ROLE {}", attributes(version), login(role), Ident(privileged))
}

/// How a role logs in: with what is kept of its password, never with a password itself.
fn login(role: &Role) -> String {
    let login = match role.login {
        RoleLogin::Password => "LOGIN",
        RoleLogin::NoLogin => "NOLOGIN",
    };
    match &role.verifier {
        Some(verifier) => format!("{login} PASSWORD {} VALID UNTIL 'infinity'", Literal(verifier.expose())),
        None => format!("{login} PASSWORD NULL VALID UNTIL 'infinity'"),
    }
}

/// What a role may do besides.
///
/// Before PostgreSQL 16, CREATEROLE lets a role make itself a member of `pg_execute_server_program`, and so run
/// programs as the user whom the server runs as. There it is left out.
pub(super) fn attributes(version: Version) -> &'static str {
    if version.major() >= 16 {
        "INHERIT CREATEDB CREATEROLE BYPASSRLS REPLICATION"
    } else {
        "INHERIT CREATEDB BYPASSRLS REPLICATION"
    }
}
