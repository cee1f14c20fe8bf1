//! Roles that go: what they own stays, in other hands.
//!
//! In each database what a role owns goes to the owner of the database, and in those of the administrator to the
//! administrator. Then what it was granted is taken back, and it is dropped.

use tokio_postgres::types::Type;

use super::{
    error::ApplyError,
    quote::{Ident, list},
    roles::Gone,
    session::{Admin, Session, get},
};

/// Drops roles, which can't log in by now.
pub(super) async fn apply(admin: &Admin, session: &Session, gone: &Gone) -> Result<(), ApplyError> {
    let doing = "ending the sessions of deleted roles";
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = ANY($1)";
    session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await?;
    take_databases(session, gone).await?;
    for (database, owner) in concerned(session, gone).await? {
        let inside = admin.connect_to(&database).await?;
        hand_over(&inside, &database, gone, owner.as_deref()).await?;
    }
    let doing = "dropping deleted roles";
    let names = list(gone.names.iter().map(String::as_str));
    // What is left are grants on what databases share, and on the databases.
    session.run(doing, &format!("DROP OWNED BY {names}; DROP ROLE {names}")).await
}

/// A database that a role made in SQL is not the branch's; it goes to the administrator.
async fn take_databases(session: &Session, gone: &Gone) -> Result<(), ApplyError> {
    let doing = "taking over databases of deleted roles";
    let query = "SELECT datname::text FROM pg_database WHERE datdba = ANY($1)";
    for row in session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await? {
        let name: String = get(&row, 0, doing)?;
        tracing::warn!(
            database = name,
            "the owner of a database that was made in SQL is deleted; the administrator gets it"
        );
        session.run(doing, &format!("ALTER DATABASE {} OWNER TO CURRENT_USER", Ident(&name))).await?;
    }
    Ok(())
}

/// The databases in which something depends on the roles, with their owners, unless these are superusers.
async fn concerned(session: &Session, gone: &Gone) -> Result<Vec<(String, Option<String>)>, ApplyError> {
    let doing = "looking for what deleted roles own";
    let query = "SELECT d.datname::text, (SELECT rolname::text FROM pg_authid WHERE oid = d.datdba AND NOT rolsuper) \
                 FROM pg_database d \
                 WHERE d.oid IN (SELECT dbid FROM pg_shdepend \
                                 WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1)) \
                 ORDER BY d.oid";
    let rows = session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await?;
    rows.iter().map(|row| Ok((get(row, 0, doing)?, get(row, 1, doing)?))).collect()
}

async fn hand_over(inside: &Session, database: &str, gone: &Gone, owner: Option<&str>) -> Result<(), ApplyError> {
    let names = list(gone.names.iter().map(String::as_str));
    let owner = owner.map_or("CURRENT_USER".to_owned(), |owner| Ident(owner).to_string());
    let doing = format!("handing over what deleted roles own in database {database:?}");
    inside.run(&doing, &format!("REASSIGN OWNED BY {names} TO {owner}; DROP OWNED BY {names}")).await
}
