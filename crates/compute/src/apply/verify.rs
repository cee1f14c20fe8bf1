//! Reading back what was applied.

use std::collections::BTreeSet;

use offshoot_catalog::{ComputeChanges, DatabaseChange, Drift, RoleName};

use super::{
    error::ApplyError,
    facts::{self, FoundDatabase},
    roles,
    session::Session,
};

/// How many differences are named.
const MAX_NAMED: usize = 10;

/// Compares what the server has with what it was given. What else it has is known only where `changes` list all that
/// the branch has.
pub(super) async fn compare(
    session: &Session,
    changes: &ComputeChanges,
    privileged: &str,
) -> Result<Option<Drift>, ApplyError> {
    let mut drift = Drift::default();
    let found = if changes.is_whole {
        facts::all_roles(session, privileged).await?
    } else {
        let names: Vec<&str> = changes.roles.keys().map(RoleName::as_str).collect();
        facts::roles(session, privileged, &names).await?
    };
    let mut differences = Vec::new();
    for (name, role) in &changes.roles {
        let is_right = match (role, found.get(name.as_str())) {
            (None, found) => found.is_none_or(|found| roles::is_never_a_branchs(name.as_str(), found, privileged)),
            (Some(role), Some(found)) => roles::is_right(role, found),
            (Some(_), None) => false,
        };
        if !is_right {
            differences.push(format!("role {:?}", name.as_str()));
        }
    }
    if changes.is_whole {
        let known: BTreeSet<&str> = changes.roles.keys().map(RoleName::as_str).collect();
        drift.roles = found.into_keys().filter(|name| !known.contains(name.as_str())).collect();
    }
    if changes.is_whole || !changes.databases.is_empty() {
        let found = facts::databases(session).await?;
        differences.extend(different_databases(changes, &found));
        if changes.is_whole {
            drift.databases = unknown_databases(changes, found);
        }
    }
    if differences.is_empty() { Ok(changes.is_whole.then_some(drift)) } else { Err(differ(differences)) }
}

fn different_databases<'a>(
    changes: &'a ComputeChanges,
    found: &'a [FoundDatabase],
) -> impl Iterator<Item = String> + 'a {
    changes.databases.iter().filter_map(|change| {
        let mark = Some(change.created_at.timestamp_micros());
        let found = found.iter().find(|found| found.mark == mark);
        let is_right = match (&change.database, found) {
            (None, found) => found.is_none(),
            (Some(wanted), Some(found)) => {
                found.name == wanted.name.as_str() && found.owner == wanted.owner.as_str() && !found.is_invalid
            }
            (Some(_), None) => false,
        };
        let name = change.database.as_ref().map(|database| &database.name).or(change.names.first());
        (!is_right).then(|| format!("database {:?}", name.map_or("", |name| name.as_str())))
    })
}

fn unknown_databases(changes: &ComputeChanges, found: Vec<FoundDatabase>) -> BTreeSet<String> {
    unknown_among(changes, found).map(|found| found.name).collect()
}

/// The databases that are not the branch's. One without a mark is the branch's where the name fits, as when applying.
pub(super) fn unknown_among(
    changes: &ComputeChanges,
    found: Vec<FoundDatabase>,
) -> impl Iterator<Item = FoundDatabase> {
    let marks: BTreeSet<i64> = changes.databases.iter().map(|change| change.created_at.timestamp_micros()).collect();
    let current = |change: &DatabaseChange| change.database.as_ref().map(|database| database.name.clone());
    let names = changes.databases.iter().flat_map(move |change| change.names.iter().cloned().chain(current(change)));
    let names: BTreeSet<String> = names.map(|name| name.to_string()).collect();
    found.into_iter().filter(move |found| match found.mark {
        Some(mark) => !marks.contains(&mark),
        None => !names.contains(&found.name),
    })
}

fn differ(mut differences: Vec<String>) -> ApplyError {
    let more = differences.len().saturating_sub(MAX_NAMED);
    differences.truncate(MAX_NAMED);
    let mut text = differences.join(", ");
    if more > 0 {
        text = format!("{text}, and {more} more");
    }
    ApplyError::Differs { differences: text }
}
