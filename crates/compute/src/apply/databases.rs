//! Databases: what is done so that the server has them as the branch does.
//!
//! A database is told from others by a mark that says when it was created, for its name can change, and a database that
//! was renamed must not be dropped and made anew. One without a mark is taken for the branch's where the name fits: a
//! crash can come between making a database and marking it.

use offshoot_catalog::{Database, DatabaseChange};
use tokio_postgres::types::Type;

use super::{
    error::ApplyError,
    facts::{FoundDatabase, MARK},
    quote::{Ident, Literal},
    session::{Admin, Session, get},
    setup::Setup,
};

/// What is to become of one database.
#[derive(Debug, PartialEq, Eq)]
enum Fate<'a> {
    Drop(&'a FoundDatabase),
    Keep { found: &'a FoundDatabase, wanted: &'a Database, mark: i64 },
    Create { wanted: &'a Database, mark: i64 },
}

/// Makes the databases what they are to be. Their owners have to be there.
pub(super) async fn apply(
    admin: &Admin,
    session: &Session,
    changes: &[DatabaseChange],
    found: &[FoundDatabase],
    setup: Setup<'_>,
) -> Result<(), ApplyError> {
    let fates: Vec<Fate<'_>> = changes.iter().flat_map(|change| fates(change, found)).collect();
    for fate in &fates {
        if let Fate::Drop(found) = fate {
            drop_database(admin, session, &found.name, found.is_invalid).await?;
        }
    }
    let left: Vec<&FoundDatabase> = found.iter().filter(|found| !fates.contains(&Fate::Drop(found))).collect();
    rename(session, &fates, &left).await?;
    for fate in &fates {
        let (wanted, mark, is_made) = match fate {
            Fate::Drop(_) => continue,
            Fate::Create { wanted, mark } => {
                create(session, wanted, &left, &fates).await?;
                (wanted, *mark, false)
            }
            Fate::Keep { found, wanted, mark } => {
                let is_right = found.owner == wanted.owner.as_str();
                if !is_right {
                    set_owner(session, wanted).await?;
                }
                let is_set_up = found.setup.as_ref().is_some_and(|found| *found == setup.mark());
                (wanted, *mark, is_right && is_set_up && found.mark == Some(*mark))
            }
        };
        if !is_made {
            setup.database(admin, session, (wanted.name.as_str(), wanted.owner.as_str())).await?;
            set_mark(session, wanted.name.as_str(), mark).await?;
        }
    }
    Ok(())
}

/// What is to become of a database.
fn fates<'a>(change: &'a DatabaseChange, found: &'a [FoundDatabase]) -> Vec<Fate<'a>> {
    let mark = change.created_at.timestamp_micros();
    let name = change.database.as_ref().map(|database| database.name.as_str());
    let may_have = |found: &FoundDatabase| {
        change.names.iter().any(|name| name.as_str() == found.name) || name == Some(found.name.as_str())
    };
    let marked = found.iter().find(|found| found.mark == Some(mark));
    let found = marked.or_else(|| found.iter().find(|found| found.mark.is_none() && may_have(found)));
    match (found, &change.database) {
        (None, None) => vec![],
        (Some(found), None) => vec![Fate::Drop(found)],
        (None, Some(wanted)) => vec![Fate::Create { wanted, mark }],
        (Some(found), Some(wanted)) if found.is_invalid => vec![Fate::Drop(found), Fate::Create { wanted, mark }],
        (Some(found), Some(wanted)) => vec![Fate::Keep { found, wanted, mark }],
    }
}

/// The databases that change their names, by way of names that nobody else has, since they may exchange them.
async fn rename(session: &Session, fates: &[Fate<'_>], left: &[&FoundDatabase]) -> Result<(), ApplyError> {
    let renamed = fates.iter().filter_map(|fate| match fate {
        Fate::Keep { found, wanted, mark } if found.name != wanted.name.as_str() => Some((found, wanted, *mark)),
        _ => None,
    });
    let renamed: Vec<_> = renamed.collect();
    let leaves = |name: &str| renamed.iter().any(|(found, ..)| found.name == name);
    for (_, wanted, _) in &renamed {
        check_free(wanted, left, leaves)?;
    }
    for (found, _, mark) in &renamed {
        // From here on its name doesn't tell which it is.
        if found.mark.is_none() {
            set_mark(session, &found.name, *mark).await?;
        }
        rename_database(session, &found.name, &passing_name(*mark)).await?;
    }
    for (_, wanted, mark) in &renamed {
        rename_database(session, &passing_name(*mark), wanted.name.as_str()).await?;
    }
    Ok(())
}

/// The name that a database has between two others.
fn passing_name(mark: i64) -> String {
    format!("offshoot renames {mark}")
}

fn check_free(wanted: &Database, left: &[&FoundDatabase], leaves: impl Fn(&str) -> bool) -> Result<(), ApplyError> {
    let name = wanted.name.as_str();
    if left.iter().any(|found| found.name == name) && !leaves(name) {
        return Err(ApplyError::DatabaseInTheWay { name: name.to_owned() });
    }
    Ok(())
}

async fn rename_database(session: &Session, from: &str, to: &str) -> Result<(), ApplyError> {
    let doing = format!("renaming database {from:?}");
    // Nobody else may be connected to it. Whoever comes back in between makes this fail, and it is tried again.
    let disconnect = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid()",
        Literal(from)
    );
    session.run(&doing, &disconnect).await?;
    session.run(&doing, &format!("ALTER DATABASE {} RENAME TO {}", Ident(from), Ident(to))).await
}

/// Drops a database. One that `is_invalid` was half dropped before.
pub(super) async fn drop_database(
    admin: &Admin,
    session: &Session,
    name: &str,
    is_invalid: bool,
) -> Result<(), ApplyError> {
    let doing = format!("dropping database {name:?}");
    if !is_invalid {
        drop_subscriptions(admin, session, name).await?;
        // Whoever owns a database can make it a template, which can't be dropped.
        session.run(&doing, &format!("ALTER DATABASE {} IS_TEMPLATE false", Ident(name))).await?;
    }
    session.run(&doing, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", Ident(name))).await
}

/// Drops what a database subscribes to: otherwise it can't be dropped itself. The publisher, which may be gone, keeps
/// its slot.
async fn drop_subscriptions(admin: &Admin, session: &Session, name: &str) -> Result<(), ApplyError> {
    let doing = format!("dropping the subscriptions of database {name:?}");
    let query = "SELECT subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = $1";
    let rows = session.rows(&doing, query, &[(&name, Type::NAME)]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let inside = enter(admin, session, name).await?;
    for row in &rows {
        let found: String = get(row, 0, &doing)?;
        let subscription = Ident(&found);
        let statements = format!(
            "ALTER SUBSCRIPTION {subscription} DISABLE; ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE); \
             DROP SUBSCRIPTION {subscription}"
        );
        inside.run(&doing, &statements).await?;
    }
    Ok(())
}

/// Connects to a database, also where its owner lets nobody in.
pub(super) async fn enter(admin: &Admin, session: &Session, name: &str) -> Result<Session, ApplyError> {
    let doing = format!("connecting to database {name:?}");
    let query = "SELECT FROM pg_database WHERE datname = $1 AND NOT datallowconn";
    if session.rows(&doing, query, &[(&name, Type::NAME)]).await?.is_empty() {
        return admin.connect_to(name).await;
    }
    let allow = |is_so: bool| format!("ALTER DATABASE {} ALLOW_CONNECTIONS {is_so}", Ident(name));
    session.run(&doing, &allow(true)).await?;
    let inside = admin.connect_to(name).await;
    session.run(&doing, &allow(false)).await?;
    inside
}

async fn create(
    session: &Session,
    wanted: &Database,
    left: &[&FoundDatabase],
    fates: &[Fate<'_>],
) -> Result<(), ApplyError> {
    let renamed = |name: &str| {
        fates.iter().any(|fate| match fate {
            Fate::Keep { found, wanted, .. } => found.name == name && wanted.name.as_str() != name,
            _ => false,
        })
    };
    check_free(wanted, left, renamed)?;
    let doing = format!("creating database {:?}", wanted.name.as_str());
    let statement = format!("CREATE DATABASE {} OWNER {}", Ident(wanted.name.as_str()), Ident(wanted.owner.as_str()));
    session.run(&doing, &statement).await
}

async fn set_owner(session: &Session, wanted: &Database) -> Result<(), ApplyError> {
    let (name, owner) = (wanted.name.as_str(), wanted.owner.as_str());
    let doing = format!("giving database {name:?} to {owner:?}");
    session.run(&doing, &format!("ALTER DATABASE {} OWNER TO {}", Ident(name), Ident(owner))).await
}

async fn set_mark(session: &Session, name: &str, mark: i64) -> Result<(), ApplyError> {
    let doing = format!("marking database {name:?}");
    session.run(&doing, &format!("ALTER DATABASE {} SET {MARK} TO '{mark}'", Ident(name))).await
}
