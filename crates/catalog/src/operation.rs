//! Operations: what is to be done to make what the catalog says true on computes and storage.

mod prune;
mod queue;
mod turn;

use std::fmt;

use chrono::{DateTime, Utc};
use offshoot_engine::{Direction, KeyRange};

pub(crate) use self::queue::{Step, cancel, covered, forget, open_on, schedule};
pub use self::{
    queue::{DueOperation, OpenOperation, Outcome},
    turn::Turn,
};
use crate::{
    catalog::{Caller, Catalog, FoundProject},
    codec::OperationRecord,
    error::{Error, Result},
    id::{BranchId, EndpointId, OperationId, ProjectId},
    page::Page,
    tables::project,
};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationAction {
    /// Makes the storage of a new project's root branch.
    CreateTimeline,
    /// Makes the storage of a child branch.
    CreateBranch,
    /// Starts a compute.
    StartCompute,
    /// Makes roles and databases on a compute what the catalog says; starts the compute where it is idle.
    ApplyConfig,
    /// Suspends a compute.
    SuspendCompute,
    /// Removes the storage of a branch.
    DeleteTimeline,
    /// Tells the storage for how long a project keeps its history.
    ApplyStorageConfig,
    /// Makes roles that a compute has and its branch doesn't roles of the branch; starts the compute where it is idle.
    SyncRoles,
}

impl fmt::Display for OperationAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateTimeline => "create_timeline",
            Self::CreateBranch => "create_branch",
            Self::StartCompute => "start_compute",
            Self::ApplyConfig => "apply_config",
            Self::SuspendCompute => "suspend_compute",
            Self::DeleteTimeline => "delete_timeline",
            Self::ApplyStorageConfig => "apply_storage_config",
            Self::SyncRoles => "sync_dbs_and_roles_from_compute",
        })
    }
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationStatus {
    /// It waits for another operation of the same request.
    Scheduling,
    /// It is being done, or will be as soon as earlier requests are.
    Running,
    /// It was done.
    Finished,
    /// It failed, and will be tried again.
    Failed,
    /// It was no longer needed.
    Cancelled,
    /// It failed too often, or for good.
    Error,
    /// There was nothing to do.
    Skipped,
}

impl OperationStatus {
    /// Whether nothing more will be done about the operation.
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduling | Self::Running | Self::Failed => false,
            Self::Finished | Self::Cancelled | Self::Error | Self::Skipped => true,
        }
    }
}

impl fmt::Display for OperationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduling => "scheduling",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Skipped => "skipped",
        })
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The operation's id.
    pub id: OperationId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// The branch that it is about; the branch may be deleted by now.
    pub branch: Option<BranchId>,
    /// The endpoint that it is about, if it is about one; the endpoint may be deleted by now.
    pub endpoint: Option<EndpointId>,
    /// What it does.
    pub action: OperationAction,
    /// How far it is.
    pub status: OperationStatus,
    /// How often it failed.
    pub failures_count: u32,
    /// What the last failure was.
    pub error: Option<String>,
    /// When it is tried again, after it failed.
    pub retry_at: Option<DateTime<Utc>>,
    /// When it was scheduled.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
    /// When its status became final.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Operation {
    fn from_record(id: OperationId, project: &ProjectId, record: OperationRecord) -> Self {
        Self {
            id,
            project: project.clone(),
            branch: Some(record.branch),
            endpoint: record.endpoint,
            action: record.action,
            status: record.status,
            failures_count: record.failures_count,
            error: record.error,
            retry_at: None,
            created_at: id.instant(),
            updated_at: record.updated_at.0,
            finished_at: record.finished_at.map(|time| time.0),
        }
    }
}

impl Catalog {
    /// Up to `limit` operations of a project, newest first, from where the cursor `after` of an earlier page points.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::CursorInvalid`].
    pub fn operation_list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Operation>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let mut range = KeyRange::ALL;
        if let Some(cursor) = after {
            let after = cursor.parse::<OperationId>();
            let after = after.map_err(|_| Error::CursorInvalid { cursor: cursor.to_owned() })?;
            range.end = std::ops::Bound::Excluded(after.as_bytes().to_vec().into());
        }
        let one_more = limit.saturating_add(1);
        let records =
            project::OPERATIONS.list(&mut source, project.namespace(), range, Direction::Descending, one_more)?;
        let operations = records
            .into_iter()
            .map(|(key, record)| queue::operation(&mut source, queue::operation_id(&key)?, &project.id, record));
        Ok(Page::cut(operations.collect::<Result<_>>()?, limit, |operation| operation.id.to_string()))
    }

    /// An operation of a project.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::OperationNotFound`].
    pub fn operation_get(&self, caller: &Caller, project: &ProjectId, id: OperationId) -> Result<Operation> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let record = project::OPERATIONS.get(&mut source, project.namespace(), id.as_bytes())?;
        let record = record.ok_or_else(|| Error::OperationNotFound { id: id.to_string() })?;
        queue::operation(&mut source, id, &project.id, record)
    }
}
