//! What a server has.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{
    error::ApplyError,
    session::{Session, get},
};

/// A role of a server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FoundRole {
    pub(crate) oid: u32,
    pub(crate) is_superuser: bool,
    pub(crate) can_login: bool,
    pub(crate) expires: bool,
    pub(crate) is_privileged: bool,
    /// Whether it has the attributes of the branch's roles; it may have more.
    pub(crate) has_attributes: bool,
    /// What the server keeps of its password.
    pub(crate) password: Option<String>,
}

/// A database of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundDatabase {
    pub(crate) name: String,
    pub(crate) owner: String,
    /// The mark that says which of the branch's databases it is.
    pub(crate) mark: Option<i64>,
    /// Whether dropping it was begun and not finished; nothing else can be done with it.
    pub(crate) is_invalid: bool,
    /// How it was set up.
    pub(crate) setup: Option<String>,
}

/// The setting of a database that says which of its branch's databases it is: the microsecond of its creation. It
/// belongs to the database whatever its name, and does nothing.
pub(crate) const MARK: &str = "offshoot.database";

/// The setting of a database that says how it was set up; it does nothing, either.
pub(crate) const SETUP_MARK: &str = "offshoot.setup";

const ROLE: &str = "SELECT rolname::text, oid, rolsuper, rolcanlogin, rolpassword, \
    rolvaliduntil IS NOT NULL AND rolvaliduntil <> 'infinity', \
    EXISTS (SELECT FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid \
            WHERE m.member = r.oid AND g.rolname = $1), \
    rolinherit AND rolcreatedb AND rolbypassrls AND rolreplication \
      AND (rolcreaterole OR current_setting('server_version_num')::int < 160000) \
    FROM pg_authid r";

/// Those of the roles that the server has.
pub(crate) async fn roles(
    session: &Session,
    privileged: &str,
    names: &[&str],
) -> Result<BTreeMap<String, FoundRole>, ApplyError> {
    let query = format!("{ROLE} WHERE rolname = ANY($2)");
    read_roles(session, &query, &[(&privileged, Type::NAME), (&names, Type::NAME_ARRAY)]).await
}

/// All roles that are neither the system's nor superusers, the privileged group excepted.
pub(crate) async fn all_roles(session: &Session, privileged: &str) -> Result<BTreeMap<String, FoundRole>, ApplyError> {
    let query = format!("{ROLE} WHERE NOT rolsuper AND NOT starts_with(rolname::text, 'pg_') AND rolname <> $1");
    read_roles(session, &query, &[(&privileged, Type::NAME)]).await
}

async fn read_roles(
    session: &Session,
    query: &str,
    parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
) -> Result<BTreeMap<String, FoundRole>, ApplyError> {
    let doing = "reading the server's roles";
    let rows = session.rows(doing, query, parameters).await?;
    let role = |row: &tokio_postgres::Row| {
        let found = FoundRole {
            oid: get(row, 1, doing)?,
            is_superuser: get(row, 2, doing)?,
            can_login: get(row, 3, doing)?,
            password: get(row, 4, doing)?,
            expires: get(row, 5, doing)?,
            is_privileged: get(row, 6, doing)?,
            has_attributes: get(row, 7, doing)?,
        };
        Ok((get(row, 0, doing)?, found))
    };
    rows.iter().map(role).collect()
}

/// All databases that aren't the system's.
pub(crate) async fn databases(session: &Session) -> Result<Vec<FoundDatabase>, ApplyError> {
    let (mark, setup) = (setting(MARK), setting(SETUP_MARK));
    let query = format!(
        "SELECT d.datname::text, pg_get_userbyid(d.datdba)::text, d.datconnlimit = -2, {mark}, {setup} \
         FROM pg_database d WHERE d.datname NOT IN ('postgres', 'template0', 'template1') ORDER BY d.oid"
    );
    let doing = "reading the server's databases";
    let rows = session.rows(doing, &query, &[]).await?;
    let database = |row: &tokio_postgres::Row| {
        let mark: Option<String> = get(row, 3, doing)?;
        Ok(FoundDatabase {
            name: get(row, 0, doing)?,
            owner: get(row, 1, doing)?,
            is_invalid: get(row, 2, doing)?,
            mark: mark.and_then(|mark| mark.parse().ok()),
            setup: get(row, 4, doing)?,
        })
    };
    rows.iter().map(database).collect()
}

/// How the session's own database was set up.
pub(crate) async fn own_setup(session: &Session) -> Result<Option<String>, ApplyError> {
    let doing = "asking how the server was set up";
    let query = format!("SELECT {} FROM pg_database d WHERE d.datname = current_database()", setting(SETUP_MARK));
    let rows = session.rows(doing, &query, &[]).await?;
    rows.first().map_or(Ok(None), |row| get(row, 0, doing))
}

/// What is set for the database `d`, for all roles.
fn setting(name: &str) -> String {
    format!(
        "(SELECT substr(setting, {}) FROM pg_db_role_setting s, unnest(s.setconfig) setting \
          WHERE s.setdatabase = d.oid AND s.setrole = 0 AND starts_with(setting, '{name}=') LIMIT 1)",
        name.len() + 2
    )
}
