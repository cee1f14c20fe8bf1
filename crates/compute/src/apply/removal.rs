//! Roles that go: what they own stays, in other hands.
//!
//! In each database what a role owns goes to the owner of the database. Where that is a superuser, it goes to the
//! privileged group: a function that runs as whoever owns it, or an index on one, would let everybody act as a superuser
//! in the other's hands. What nobody but a superuser may own goes to the administrator, and is disabled. Then what the
//! role was granted is taken back, whoever granted it, and it is dropped.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{
    databases::{drop_database, enter},
    error::ApplyError,
    quote::{Ident, list},
    roles::Gone,
    session::{Admin, Session, get},
    setup::Setup,
};

/// Drops roles, which can't log in by now.
pub(super) async fn apply(admin: &Admin, session: &Session, gone: &Gone, setup: Setup<'_>) -> Result<(), ApplyError> {
    let doing = "ending the sessions of deleted roles";
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = ANY($1)";
    session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await?;
    take_shared(session, gone).await?;
    let concerned = concerned(admin, session, gone).await?;
    for (database, subscriptions) in subscriptions(session, gone).await? {
        let target = Target::of(concerned.get(&database), setup);
        hand_over_subscriptions(&enter(admin, session, &database).await?, &subscriptions, target).await?;
    }
    for (database, owner) in &concerned {
        let inside = enter(admin, session, database).await?;
        hand_over(&inside, database, gone, Target::of(Some(owner), setup)).await?;
    }
    let doing = "dropping deleted roles";
    let names = list(gone.names.iter().map(String::as_str));
    // What is left are grants on what databases share, and on the databases.
    revoke(session, doing, gone, setup).await?;
    session.run(doing, &format!("DROP OWNED BY {names}; DROP ROLE {names}")).await
}

/// Databases that a role made in SQL are not the branch's; they go to the administrator, and so do tablespaces.
async fn take_shared(session: &Session, gone: &Gone) -> Result<(), ApplyError> {
    let doing = "taking over databases and tablespaces of deleted roles";
    let query = "SELECT 'DATABASE', datname::text FROM pg_database WHERE datdba = ANY($1) \
                 UNION ALL SELECT 'TABLESPACE', spcname::text FROM pg_tablespace WHERE spcowner = ANY($1)";
    for row in session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await? {
        let (kind, name): (String, String) = (get(&row, 0, doing)?, get(&row, 1, doing)?);
        tracing::warn!(kind, name, "what a deleted role made in SQL is the administrator's now");
        session.run(doing, &format!("ALTER {kind} {} OWNER TO CURRENT_USER", Ident(&name))).await?;
    }
    Ok(())
}

/// The databases in which something depends on the roles, with their owners, unless these are superusers.
///
/// Of one that was half dropped nothing is left that somebody could have; it is dropped wholly.
async fn concerned(
    admin: &Admin,
    session: &Session,
    gone: &Gone,
) -> Result<BTreeMap<String, Option<String>>, ApplyError> {
    let doing = "looking for what deleted roles own";
    let query = "SELECT d.datname::text, (SELECT rolname::text FROM pg_authid WHERE oid = d.datdba AND NOT rolsuper), \
                   d.datconnlimit = -2 \
                 FROM pg_database d \
                 WHERE d.oid IN (SELECT dbid FROM pg_shdepend \
                                 WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1) \
                                 UNION SELECT subdbid FROM pg_subscription WHERE subowner = ANY($1))";
    let mut concerned = BTreeMap::new();
    for row in session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await? {
        let name: String = get(&row, 0, doing)?;
        if get(&row, 2, doing)? {
            drop_database(admin, session, &name, true).await?;
        } else {
            concerned.insert(name, get(&row, 1, doing)?);
        }
    }
    Ok(concerned)
}

/// Who gets what deleted roles own in a database.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// The database's owner, or the privileged group.
    role: &'a str,
    setup: Setup<'a>,
}

impl<'a> Target<'a> {
    fn of(owner: Option<&'a Option<String>>, setup: Setup<'a>) -> Self {
        Self { role: owner.and_then(Option::as_deref).unwrap_or(setup.privileged), setup }
    }
}

/// The subscriptions that roles own, by their databases.
async fn subscriptions(session: &Session, gone: &Gone) -> Result<BTreeMap<String, Vec<String>>, ApplyError> {
    let doing = "looking for subscriptions of deleted roles";
    let query = "SELECT datname::text, subname::text FROM pg_subscription JOIN pg_database d ON d.oid = subdbid \
                 WHERE subowner = ANY($1)";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await? {
        found.entry(get(&row, 0, doing)?).or_default().push(get(&row, 1, doing)?);
    }
    Ok(found)
}

/// Hands over what is shared by all databases and can only be handed over in its own: with `REASSIGN OWNED` another
/// database's owner would get it. Before PostgreSQL 16 a subscription had to be a superuser's.
async fn hand_over_subscriptions(inside: &Session, names: &[String], target: Target<'_>) -> Result<(), ApplyError> {
    for name in names {
        let doing = format!("handing over subscription {name:?}");
        let subscription = Ident(name);
        let statements = if target.setup.version.major() < 16 {
            tracing::warn!(name, "a subscription of a deleted role is the administrator's now, and disabled");
            format!(
                "ALTER SUBSCRIPTION {subscription} DISABLE; ALTER SUBSCRIPTION {subscription} OWNER TO CURRENT_USER"
            )
        } else {
            format!("ALTER SUBSCRIPTION {subscription} OWNER TO {}", Ident(target.role))
        };
        inside.run(&doing, &statements).await?;
    }
    Ok(())
}

async fn hand_over(inside: &Session, database: &str, gone: &Gone, target: Target<'_>) -> Result<(), ApplyError> {
    let doing = format!("handing over what deleted roles own in database {database:?}");
    let query = "SELECT format('ALTER EVENT TRIGGER %1$I DISABLE; ALTER EVENT TRIGGER %1$I OWNER TO CURRENT_USER', evtname) \
                 FROM pg_event_trigger WHERE evtowner = ANY($1) \
                 UNION ALL SELECT format('ALTER FOREIGN DATA WRAPPER %I OWNER TO CURRENT_USER', fdwname) \
                 FROM pg_foreign_data_wrapper WHERE fdwowner = ANY($1)";
    inside.run(&doing, &statements(inside, &doing, query, gone).await?).await?;
    revoke(inside, &doing, gone, target.setup).await?;
    let (names, to) = (list(gone.names.iter().map(String::as_str)), Ident(target.role));
    inside.run(&doing, &format!("REASSIGN OWNED BY {names} TO {to}; DROP OWNED BY {names}")).await
}

/// What can be granted: how it stands in a statement, whose it is, and to whom it was granted.
const GRANTED: &str = "\
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || oid::regclass AS object, '' AS columns, \
      relowner AS owner, relacl AS acl FROM pg_class \
    UNION ALL SELECT 'TABLE ' || c.oid::regclass, format(' (%I)', attname), relowner, attacl \
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL \
    UNION ALL SELECT format('SCHEMA %I', nspname), '', nspowner, nspacl FROM pg_namespace \
    UNION ALL SELECT 'ROUTINE ' || oid::regprocedure, '', proowner, proacl FROM pg_proc WHERE proacl IS NOT NULL \
    UNION ALL SELECT 'TYPE ' || oid::regtype, '', typowner, typacl FROM pg_type WHERE typacl IS NOT NULL \
    UNION ALL SELECT format('LANGUAGE %I', lanname), '', lanowner, lanacl FROM pg_language \
    UNION ALL SELECT format('FOREIGN DATA WRAPPER %I', fdwname), '', fdwowner, fdwacl FROM pg_foreign_data_wrapper \
    UNION ALL SELECT format('FOREIGN SERVER %I', srvname), '', srvowner, srvacl FROM pg_foreign_server \
    UNION ALL SELECT 'LARGE OBJECT ' || oid, '', lomowner, lomacl FROM pg_largeobject_metadata \
    UNION ALL SELECT format('DATABASE %I', datname), '', datdba, datacl FROM pg_database \
    UNION ALL SELECT format('TABLESPACE %I', spcname), '', spcowner, spcacl FROM pg_tablespace";

/// From PostgreSQL 15 on; the owner is the first superuser.
const GRANTED_PARAMETERS: &str =
    "UNION ALL SELECT format('PARAMETER %s', parname), '', 10::oid, paracl FROM pg_parameter_acl";

/// Takes back what others than the owners granted, each in the name of whoever granted it. `DROP OWNED` takes back only
/// what owners granted, and then the role can't be dropped.
async fn revoke(inside: &Session, doing: &str, gone: &Gone, setup: Setup<'_>) -> Result<(), ApplyError> {
    let parameters = if setup.version.major() >= 15 { GRANTED_PARAMETERS } else { "" };
    let query = format!(
        "SELECT format('SET ROLE %I; REVOKE %s ON %s FROM %I CASCADE', pg_get_userbyid(grantor), \
           string_agg(DISTINCT privilege_type || columns, ', '), object, pg_get_userbyid(grantee)) \
         FROM ({GRANTED} {parameters}) granted, aclexplode(acl) \
         WHERE grantee = ANY($1) AND grantor <> owner GROUP BY grantor, object, grantee"
    );
    let statements = statements(inside, doing, &query, gone).await?;
    if statements.is_empty() {
        return Ok(());
    }
    inside.run(doing, &format!("{statements}; RESET ROLE")).await
}

/// The statements that a query about the roles makes.
async fn statements(session: &Session, doing: &str, query: &str, gone: &Gone) -> Result<String, ApplyError> {
    let rows = session.rows(doing, query, &[(&gone.oids, Type::OID_ARRAY)]).await?;
    let statements = rows.iter().map(|row| get(row, 0, doing)).collect::<Result<Vec<String>, _>>()?;
    Ok(statements.join("; "))
}
