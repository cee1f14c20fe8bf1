//! What the privileged group and the system's role may do, on the server and in each database.
//!
//! It is done once. A setting of each database, the administrator's included, says of which kind it was, so that what
//! later releases add, or another version of PostgreSQL, comes to servers of before.

use offshoot_catalog::RoleName;

use super::{
    databases::enter,
    error::ApplyError,
    facts::{self, SETUP_MARK},
    quote::{Ident, Literal, list},
    roles::attributes,
    session::{Admin, Session, Version, get},
};

/// Counts up when there is more to set up.
const KIND: u32 = 1;

/// How servers and databases are set up.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    /// The group whose members the branch's roles are.
    pub(super) privileged: &'a str,
    pub(super) version: Version,
}

impl Setup<'_> {
    /// What the setting of a database says that was set up so.
    pub(super) fn mark(&self) -> String {
        format!("{KIND} {} {}", self.version.major(), self.privileged)
    }

    /// Whether the server is set up.
    pub(super) async fn is_done(&self, session: &Session) -> Result<bool, ApplyError> {
        Ok(facts::own_setup(session).await?.is_some_and(|mark| mark == self.mark()))
    }

    /// Makes the group what it is to be.
    pub(super) async fn group(&self, session: &Session, is_missing: bool) -> Result<(), ApplyError> {
        let group = Ident(self.privileged);
        let mut groups = vec!["pg_read_all_data", "pg_write_all_data"];
        let since = [(16, "pg_create_subscription"), (17, "pg_maintain"), (18, "pg_signal_autovacuum_worker")];
        groups.extend(since.iter().filter(|(major, _)| self.version.major() >= *major).map(|(_, group)| *group));
        let verb = if is_missing { "CREATE" } else { "ALTER" };
        let statements = [
            format!("{verb} ROLE {group} NOLOGIN {}", attributes(self.version)),
            format!("GRANT {} TO {group}", list(groups)),
            format!("GRANT pg_monitor, pg_signal_backend TO {group} WITH ADMIN OPTION"),
        ];
        session.run("setting up the privileged group", &statements.join("; ")).await
    }

    /// Sets up the database that is always there. The system's role has to be there, too.
    pub(super) async fn own_database(&self, session: &Session) -> Result<(), ApplyError> {
        let doing = "setting up the administrator's database";
        session.run(doing, &self.inside(session, doing, None).await?.join("; ")).await?;
        let rows = session.rows(doing, "SELECT current_database()::text", &[]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        self.set_mark(session, get(row, 0, doing)?).await
    }

    /// Sets up a database of the branch.
    pub(super) async fn database(
        &self,
        admin: &Admin,
        session: &Session,
        (name, owner): (&str, &str),
    ) -> Result<(), ApplyError> {
        let doing = format!("setting up database {name:?}");
        session.run(&doing, &format!("GRANT ALL ON DATABASE {} TO {}", Ident(name), Ident(self.privileged))).await?;
        let database = enter(admin, session, name).await?;
        database.run(&doing, &self.inside(&database, &doing, Some(owner)).await?.join("; ")).await?;
        self.set_mark(session, name).await
    }

    async fn set_mark(&self, session: &Session, database: &str) -> Result<(), ApplyError> {
        let doing = format!("noting that database {database:?} is set up");
        let mark = self.mark();
        session.run(&doing, &format!("ALTER DATABASE {} SET {SETUP_MARK} TO {}", Ident(database), Literal(&mark))).await
    }

    /// What is to be done in a database; `owner` is whose it is, unless it is the administrator's.
    async fn inside(&self, database: &Session, doing: &str, owner: Option<&str>) -> Result<Vec<String>, ApplyError> {
        let (group, version) = (Ident(self.privileged), self.version.major());
        let mut functions = vec!["pg_show_replication_origin_status"];
        if version >= 16 {
            functions.extend(["pg_export_snapshot", "pg_log_standby_snapshot"]);
        }
        let granted = |function: &str| format!("GRANT EXECUTE ON FUNCTION {function}() TO {group}");
        let mut statements: Vec<String> = functions.into_iter().map(granted).collect();

        let system = RoleName::web_access();
        let query = format!(
            "SELECT (SELECT rolsuper FROM pg_roles r WHERE r.oid = nspowner), \
             EXISTS (SELECT FROM pg_roles WHERE rolname = {}) FROM pg_namespace WHERE nspname = 'public'",
            Literal(system.as_str())
        );
        let rows = database.rows(doing, &query, &[]).await?;
        // Somebody may have dropped the schema; then there is nothing to set up in it.
        let Some(row) = rows.first() else { return Ok(statements) };
        for kind in ["TABLES", "SEQUENCES"] {
            statements.push(format!(
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO {group} WITH GRANT OPTION"
            ));
        }
        let (is_systems, has_system_role): (bool, bool) = (get(row, 0, doing)?, get(row, 1, doing)?);
        if let Some(owner) = owner.filter(|_| is_systems) {
            statements.push(format!("ALTER SCHEMA public OWNER TO {}", Ident(owner)));
        }
        // Before, everybody may.
        if version >= 15 && has_system_role {
            statements.push(format!("GRANT CREATE ON SCHEMA public TO {}", Ident(system.as_str())));
        }
        Ok(statements)
    }
}
