//! What servers have and their branches don't know: noted when an executor compares them, for whoever looks after them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use offshoot_engine::{NamespaceId, Transaction};

use crate::{
    catalog::{Caller, Catalog, FoundProject, now},
    codec::DriftRecord,
    compute, endpoint,
    error::Result,
    id::{EndpointId, ProjectId},
    tables::system,
};

/// What a server has and its branch doesn't know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Roles, those of the system and superusers excepted.
    pub roles: BTreeSet<String>,
    /// Databases, those of the system excepted.
    pub databases: BTreeSet<String>,
}

impl Drift {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.databases.is_empty()
    }
}

/// What an endpoint's server had and its branch didn't know when they were last compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedDrift {
    /// When that was.
    pub compared_at: DateTime<Utc>,
    /// The names of roles; the first 50.
    pub roles: Vec<String>,
    /// How many those are in all.
    pub roles_count: u32,
    /// The names of databases; the first 50.
    pub databases: Vec<String>,
    /// How many those are in all.
    pub databases_count: u32,
}

/// How many names of each are kept, so that they fit into one value.
const MAX_NAMES: usize = 50;

impl Catalog {
    /// What an endpoint's server had and its branch didn't know when they were last compared: when the compute was
    /// started, first changed after the executor was, or asked for its roles. Nothing where that never was.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`](crate::Error::ProjectNotFound),
    /// [`Error::EndpointNotFound`](crate::Error::EndpointNotFound).
    pub fn endpoint_drift(
        &self,
        caller: &Caller,
        project: &ProjectId,
        endpoint: &EndpointId,
    ) -> Result<Option<NotedDrift>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        endpoint::check_exists(&mut source, &project, endpoint)?;
        let record = system::DRIFTS.get(&mut source, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
        Ok(record.map(NotedDrift::from))
    }
}

/// Notes what an endpoint's server has and its branch doesn't know, if the endpoint is still there.
pub(crate) fn note(tx: &mut Transaction<'_>, endpoint: &EndpointId, drift: &Drift) -> Result<()> {
    if compute::is_gone(tx, endpoint)? {
        return Ok(());
    }
    let first = |names: &BTreeSet<String>| names.iter().take(MAX_NAMES).cloned().collect();
    let count = |names: &BTreeSet<String>| u32::try_from(names.len()).unwrap_or(u32::MAX);
    let record = DriftRecord {
        compared_at: now(tx),
        roles: first(&drift.roles),
        roles_count: count(&drift.roles),
        databases: first(&drift.databases),
        databases_count: count(&drift.databases),
    };
    system::DRIFTS.put(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes(), &record)
}

impl From<DriftRecord> for NotedDrift {
    fn from(record: DriftRecord) -> Self {
        let DriftRecord { compared_at, roles, roles_count, databases, databases_count } = record;
        Self { compared_at: compared_at.0, roles, roles_count, databases, databases_count }
    }
}
