//! The queue of operations that aren't finished: how they get in, whose turn it is, and how they get out.
//!
//! Operations of a branch take turns by two rules, over requests as within one: on an endpoint, one after the other in
//! the order of scheduling; an operation on the whole branch waits for all before it, and all after it wait for it.
//! Getting in reads nothing, so those who schedule on the same branch don't get in each other's way.

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    ops::Bound,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use offshoot_engine::{Direction, KeyRange, NamespaceId, Transaction};

use super::{Operation, OperationAction, OperationStatus};
use crate::{
    branch,
    catalog::{Catalog, FoundProject, now},
    codec::{Marker, OpenOperationRecord, OperationRecord, RetryRecord, Time},
    compute::{self, ComputeChanges},
    drift::{self, Drift},
    endpoint::{self, ComputeState},
    entropy::Entropy,
    error::{Error, Result},
    id::{BranchId, EndpointId, OperationId, ProjectId},
    provenance::clipped,
    tables::{Source, pair, project, system},
};

/// How much of an error is kept with its operation.
const MAX_ERROR_BYTES: usize = 1024;

/// How many operations are looked at in one read.
const PAGE: usize = 1024;

/// How many operations are finished together with one that applies all that they wanted, so that a commit can hold them. The next one finishes those that
/// are left.
const COVERED: usize = 4096;

/// An operation to be scheduled.
pub(crate) struct Step {
    pub(crate) action: OperationAction,
    pub(crate) branch: BranchId,
    pub(crate) endpoint: Option<EndpointId>,
}

/// An operation whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueOperation {
    /// The project that the operation belongs to.
    pub project: ProjectId,
    /// The operation.
    pub operation: Operation,
    /// Whether it failed, and something newer was scheduled on its endpoint since: then there is no use in waiting with
    /// another try.
    pub is_overtaken: bool,
}

/// An operation that isn't finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOperation {
    /// The operation's id.
    pub id: OperationId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// The endpoint that it is about, if it is about one.
    pub endpoint: Option<EndpointId>,
}

/// What became of an operation.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was done.
    Finished {
        /// What the endpoint's compute does now; nothing where it does what it did before.
        compute: Option<ComputeState>,
    },
    /// It was done: the endpoint's compute has this version of its branch now.
    Applied {
        /// What the endpoint's compute does now; nothing where it does what it did before.
        compute: Option<ComputeState>,
        /// What was applied; operations that it covers are finished with this one.
        changes: ComputeChanges,
        /// What the server has and the branch doesn't know, where all of it was compared.
        drift: Option<Drift>,
    },
    /// There was nothing to do.
    Skipped,
    /// It was no longer needed.
    Cancelled,
    /// It failed.
    Failed {
        /// Why, for people; the first 1024 bytes are kept.
        error: String,
        /// When to try again; never where none is given, and then what waits for it gets its turn.
        retry_at: Option<DateTime<Utc>>,
    },
}

/// Schedules operations in this order; a transaction does so once at most.
pub(crate) fn schedule(
    tx: &mut Transaction<'_>,
    entropy: &dyn Entropy,
    (project, namespace): (&ProjectId, NamespaceId),
    steps: Vec<Step>,
) -> Result<Vec<Operation>> {
    if steps.len() > OperationId::MAX_PLACES {
        let given = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        return Err(Error::OutOfRange { field: "the number of operations", given, allowed: "0 to 16384" });
    }
    let (mut scheduled, mut queue) = (Vec::with_capacity(steps.len()), Queue::default());
    for (place, Step { action, branch, endpoint }) in (0..).zip(steps) {
        let id = OperationId::draw(entropy, tx.instant(), place)?;
        let is_due = queue.join(&branch, endpoint.as_ref());
        let record = OperationRecord {
            branch: branch.clone(),
            endpoint: endpoint.clone(),
            action,
            status: if is_due { OperationStatus::Running } else { OperationStatus::Scheduling },
            failures_count: 0,
            error: None,
            updated_at: now(tx),
            finished_at: None,
        };
        project::OPERATIONS.put(tx, namespace, id.as_bytes(), &record)?;
        project::BRANCH_OPERATIONS.put(tx, namespace, &pair(branch.as_str(), id.as_bytes()), &Marker {})?;
        let open = OpenOperationRecord { project: project.clone(), branch, endpoint };
        system::OPEN_OPERATIONS.put(tx, NamespaceId::SYSTEM, id.as_bytes(), &open)?;
        scheduled.push(Operation::from_record(id, project, record));
    }
    Ok(scheduled)
}

/// What was cancelled.
pub(crate) struct Cancelled {
    /// The endpoints that the operations were on.
    pub(crate) endpoints: BTreeSet<EndpointId>,
    /// Where to go on, if there may be more.
    pub(crate) next: Option<Bytes>,
}

/// Cancels operations of branches in a range that were scheduled before an instant; looks at up to `limit`. Those of deleted branches belong to their
/// deletion, and stay where `of_living` says so.
pub(crate) fn cancel(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    range: KeyRange,
    before: DateTime<Utc>,
    limit: usize,
    of_living: bool,
) -> Result<Cancelled> {
    let page = project::BRANCH_OPERATIONS.list(tx, namespace, range, Direction::Ascending, limit)?;
    let next = page.last().filter(|_| page.len() == limit).map(|(key, _)| key.clone());
    let (mut endpoints, mut is_living) = (BTreeSet::new(), HashMap::new());
    for (key, Marker {}) in page {
        let id = trailing_id(&key)?;
        if id.instant() < before {
            let record = require(tx, namespace, id)?;
            if of_living && !is_living.contains_key(&record.branch) {
                let found = project::BRANCHES.get(tx, namespace, record.branch.as_str().as_bytes())?;
                is_living.insert(record.branch.clone(), found.is_some());
            }
            if is_living.get(&record.branch) == Some(&false) {
                continue;
            }
            endpoints.extend(record.endpoint.clone());
            close(tx, namespace, id, record, OperationStatus::Cancelled, None)?;
        }
    }
    Ok(Cancelled { endpoints, next })
}

/// Takes up to `limit` of a project's operations in a range out of the queue, before the project itself goes. Gives where to go on, if there may be more.
pub(crate) fn forget(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    range: KeyRange,
    limit: usize,
) -> Result<Option<Bytes>> {
    let page = project::BRANCH_OPERATIONS.list(tx, namespace, range, Direction::Ascending, limit)?;
    for (key, Marker {}) in &page {
        let id = trailing_id(key)?;
        system::RETRIES.delete(tx, NamespaceId::SYSTEM, id.as_bytes())?;
        system::OPEN_OPERATIONS.delete(tx, NamespaceId::SYSTEM, id.as_bytes())?;
        project::BRANCH_OPERATIONS.delete(tx, namespace, key)?;
    }
    Ok(page.last().filter(|_| page.len() == limit).map(|(key, _)| key.clone()))
}

impl Catalog {
    /// Up to `limit` operations of all projects whose turn it is, oldest first; those that failed have to wait for their
    /// time besides. They are due until [`Catalog::operations_finish`] says what became of them, also after a restart,
    /// so doing one twice has to be harmless.
    pub fn operations_due(&self, limit: usize) -> Result<Vec<DueOperation>> {
        let mut source = self.snapshot()?;
        let mut queues: HashMap<ProjectId, Queue> = HashMap::new();
        let mut due = Vec::new();
        let mut range = KeyRange::ALL;
        loop {
            let page = system::OPEN_OPERATIONS.list(
                &mut source,
                NamespaceId::SYSTEM,
                range.clone(),
                Direction::Ascending,
                PAGE,
            )?;
            let is_last = page.len() < PAGE;
            for (key, open) in page {
                if due.len() == limit {
                    return Ok(due);
                }
                let queue = queues.entry(open.project.clone()).or_default();
                if queue.join(&open.branch, open.endpoint.as_ref()) {
                    due.push(load(&mut source, operation_id(&key)?, open.project)?);
                }
                range.start = Bound::Excluded(key);
            }
            if is_last {
                return Ok(due);
            }
        }
    }

    /// Up to `limit` operations of all projects that aren't finished, oldest first, whether or not it is their turn. An
    /// executor that does nothing for any of them can finish them together in this order, for each gets its turn when
    /// those before it are finished.
    pub fn operations_open(&self, limit: usize) -> Result<Vec<OpenOperation>> {
        let mut source = self.snapshot()?;
        let open = system::OPEN_OPERATIONS.list(
            &mut source,
            NamespaceId::SYSTEM,
            KeyRange::ALL,
            Direction::Ascending,
            limit,
        )?;
        let open_operation = |(key, open): (Bytes, OpenOperationRecord)| {
            let OpenOperationRecord { project, endpoint, .. } = open;
            Ok(OpenOperation { id: operation_id(&key)?, project, endpoint })
        };
        open.into_iter().map(open_operation).collect()
    }

    /// Notes what became of operations, all at once or not at all; what waited for them gets its turn. Gives of how many something was noted.
    ///
    /// An operation that was cancelled or deleted meanwhile is left as it is.
    pub fn operations_finish(&self, outcomes: &[(ProjectId, OperationId, Outcome)]) -> Result<usize> {
        self.commit(|tx| {
            let (mut projects, mut ended, mut noted) = (HashMap::new(), BTreeSet::new(), 0);
            for (project, id, outcome) in outcomes {
                let found = match projects.entry(project) {
                    Entry::Occupied(found) => found.into_mut(),
                    Entry::Vacant(entry) => entry.insert(FoundProject::even_deleted(tx, project)?),
                };
                if let Some((found, deletion)) = found {
                    let place = (found.namespace(), deletion.is_some());
                    noted += usize::from(finish(tx, place, *id, outcome, &mut ended)?);
                }
            }
            ended.into_iter().try_for_each(|(namespace, commit)| promote(tx, namespace, commit))?;
            Ok(noted)
        })
    }
}

/// Notes what became of an operation of a project, which may be deleted. Where something may wait for it, the commit that scheduled it is added to `ended`.
/// Gives whether there was anything to note.
fn finish(
    tx: &mut Transaction<'_>,
    (namespace, is_deleted): (NamespaceId, bool),
    id: OperationId,
    outcome: &Outcome,
    ended: &mut BTreeSet<(NamespaceId, [u8; OperationId::COMMIT_BYTES])>,
) -> Result<bool> {
    let Some(record) = open_record(tx, namespace, id)? else {
        return Ok(false);
    };
    let (branch, endpoint, action) = (record.branch.clone(), record.endpoint.clone(), record.action);
    let compute = match outcome {
        Outcome::Failed { error, retry_at: Some(at) } => {
            note_failure(tx, namespace, id, record, error, *at)?;
            return Ok(true);
        }
        Outcome::Failed { error, retry_at: None } => {
            close(tx, namespace, id, record, OperationStatus::Error, Some(error))?;
            None
        }
        Outcome::Skipped => {
            close(tx, namespace, id, record, OperationStatus::Skipped, None)?;
            None
        }
        Outcome::Cancelled => {
            close(tx, namespace, id, record, OperationStatus::Cancelled, None)?;
            None
        }
        Outcome::Finished { compute } => {
            close(tx, namespace, id, record, OperationStatus::Finished, None)?;
            if matches!(action, OperationAction::CreateTimeline | OperationAction::CreateBranch) {
                branch::set_ready(tx, namespace, &branch)?;
            }
            *compute
        }
        Outcome::Applied { compute, changes, drift } => {
            close(tx, namespace, id, record, OperationStatus::Finished, None)?;
            compute::note_applied(tx, changes)?;
            if let Some(drift) = drift {
                drift::note(tx, &changes.endpoint, drift)?;
            }
            for (covered, status) in &changes.covers {
                if let Some(record) = open_record(tx, namespace, *covered)? {
                    close(tx, namespace, *covered, record, *status, None)?;
                    ended.insert((namespace, covered.commit()));
                }
            }
            *compute
        }
    };
    // A deleted project's endpoints stay as they were, so that those that ran can be started again.
    if let (Some(endpoint), Some(state), false) = (&endpoint, compute, is_deleted) {
        endpoint::set_state(tx, namespace, (&branch, endpoint), state)?;
    }
    ended.insert((namespace, id.commit()));
    Ok(true)
}

/// The record of an operation that is there and isn't finished.
fn open_record(source: &mut impl Source, namespace: NamespaceId, id: OperationId) -> Result<Option<OperationRecord>> {
    let record = project::OPERATIONS.get(source, namespace, id.as_bytes())?;
    Ok(record.filter(|record| !record.status.is_final()))
}

/// Notes that an operation failed and is tried again; it keeps its turn.
fn note_failure(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    id: OperationId,
    record: OperationRecord,
    error: &str,
    retry_at: DateTime<Utc>,
) -> Result<()> {
    let failed = OperationRecord {
        status: OperationStatus::Failed,
        failures_count: record.failures_count.saturating_add(1),
        error: Some(clipped(error, MAX_ERROR_BYTES).to_owned()),
        updated_at: now(tx),
        ..record
    };
    project::OPERATIONS.put(tx, namespace, id.as_bytes(), &failed)?;
    system::RETRIES.put(tx, NamespaceId::SYSTEM, id.as_bytes(), &RetryRecord { at: Time(retry_at) })
}

/// Makes an operation's status final, and takes it out of the queue.
fn close(
    tx: &mut Transaction<'_>,
    namespace: NamespaceId,
    id: OperationId,
    record: OperationRecord,
    status: OperationStatus,
    error: Option<&str>,
) -> Result<()> {
    let key = pair(record.branch.as_str(), id.as_bytes());
    // Only an operation that failed, and was not closed since, has an entry.
    if record.status == OperationStatus::Failed {
        system::RETRIES.delete(tx, NamespaceId::SYSTEM, id.as_bytes())?;
    }
    let closed = OperationRecord {
        status,
        failures_count: record.failures_count.saturating_add(u32::from(error.is_some())),
        error: error.map(|error| clipped(error, MAX_ERROR_BYTES).to_owned()).or(record.error),
        updated_at: now(tx),
        finished_at: Some(now(tx)),
        ..record
    };
    project::OPERATIONS.put(tx, namespace, id.as_bytes(), &closed)?;
    project::BRANCH_OPERATIONS.delete(tx, namespace, &key)?;
    system::OPEN_OPERATIONS.delete(tx, NamespaceId::SYSTEM, id.as_bytes())
}

/// Moves what waited within a commit's operations, and has nothing to wait for any more, to running.
fn promote(tx: &mut Transaction<'_>, namespace: NamespaceId, commit: [u8; OperationId::COMMIT_BYTES]) -> Result<()> {
    let mut queue = Queue::default();
    for (key, record) in project::OPERATIONS.all(tx, namespace, &commit)? {
        if record.status.is_final() {
            continue;
        }
        let is_due = queue.join(&record.branch, record.endpoint.as_ref());
        if record.status == OperationStatus::Scheduling && is_due {
            let running = OperationRecord { status: OperationStatus::Running, updated_at: now(tx), ..record };
            project::OPERATIONS.put(tx, namespace, &key, &running)?;
        }
    }
    Ok(())
}

/// Who is ahead of whom, as a project's operations come by in the order of scheduling.
#[derive(Default)]
struct Queue {
    branches: HashMap<BranchId, Lane>,
}

#[derive(Default)]
struct Lane {
    /// Whether an operation on the whole branch is in it.
    whole: bool,
    endpoints: HashSet<EndpointId>,
}

impl Queue {
    /// Lets an operation join the queue's end, and says whether it is its turn already.
    fn join(&mut self, branch: &BranchId, endpoint: Option<&EndpointId>) -> bool {
        let lane = self.branches.entry(branch.clone()).or_default();
        match endpoint {
            None => {
                let first = !lane.whole && lane.endpoints.is_empty();
                lane.whole = true;
                first
            }
            Some(endpoint) => lane.endpoints.insert(endpoint.clone()) && !lane.whole,
        }
    }
}

fn load(source: &mut impl Source, id: OperationId, project: ProjectId) -> Result<DueOperation> {
    let missing = || system::OPEN_OPERATIONS.corrupt_key(id.as_bytes(), "its project is missing");
    let namespace = FoundProject::even_deleted(source, &project)?.ok_or_else(missing)?.0.namespace();
    let record = require(source, namespace, id)?;
    let operation = operation(source, id, &project, record)?;
    let is_overtaken = operation.status == OperationStatus::Failed && is_overtaken(source, namespace, &operation)?;
    Ok(DueOperation { project, operation, is_overtaken })
}

/// An operation with what is known of its next try.
pub(super) fn operation(
    source: &mut impl Source,
    id: OperationId,
    project: &ProjectId,
    record: OperationRecord,
) -> Result<Operation> {
    let retry = match record.status {
        OperationStatus::Failed => system::RETRIES.get(source, NamespaceId::SYSTEM, id.as_bytes())?,
        _ => None,
    };
    Ok(Operation { retry_at: retry.map(|retry| retry.at.0), ..Operation::from_record(id, project, record) })
}

fn is_overtaken(source: &mut impl Source, namespace: NamespaceId, failed: &Operation) -> Result<bool> {
    let (Some(branch), Some(endpoint)) = (&failed.branch, &failed.endpoint) else { return Ok(false) };
    let mut range = KeyRange::prefix(&pair(branch.as_str(), ""));
    // Newest first, for they may be many.
    loop {
        let newest = project::BRANCH_OPERATIONS.list(source, namespace, range.clone(), Direction::Descending, 1)?;
        let Some((key, Marker {})) = newest.into_iter().next() else { return Ok(false) };
        let id = trailing_id(&key)?;
        if id.instant() <= failed.updated_at {
            return Ok(false);
        }
        if require(source, namespace, id)?.endpoint.as_ref() == Some(endpoint) {
            return Ok(true);
        }
        range.end = Bound::Excluded(key);
    }
}

/// The operations on an endpoint that are done when the newest state of its branch is applied, with what becomes of them: all that apply something, and
/// those after them that would suspend the compute again, unless nothing comes after. Of many the first.
pub(crate) fn covered(
    source: &mut impl Source,
    namespace: NamespaceId,
    branch: &BranchId,
    endpoint: &EndpointId,
) -> Result<Vec<(OperationId, OperationStatus)>> {
    let open = open_on(source, namespace, branch, endpoint)?;
    let becomes = |at: usize, (id, record): &(OperationId, OperationRecord)| match record.action {
        OperationAction::ApplyConfig => Some((*id, OperationStatus::Finished)),
        OperationAction::SuspendCompute if at + 1 < open.len() => {
            let (before, applies) = open.get(at.checked_sub(1)?)?;
            (id.commit() == before.commit() && applies.action == OperationAction::ApplyConfig)
                .then_some((*id, OperationStatus::Skipped))
        }
        _ => None,
    };
    Ok(open.iter().enumerate().filter_map(|(at, operation)| becomes(at, operation)).take(COVERED).collect())
}

/// The operations on an endpoint that aren't finished, in the order of scheduling.
pub(crate) fn open_on(
    source: &mut impl Source,
    namespace: NamespaceId,
    branch: &BranchId,
    endpoint: &EndpointId,
) -> Result<Vec<(OperationId, OperationRecord)>> {
    let mut open = Vec::new();
    for (key, Marker {}) in project::BRANCH_OPERATIONS.all(source, namespace, &pair(branch.as_str(), ""))? {
        let id = trailing_id(&key)?;
        let record = require(source, namespace, id)?;
        if record.endpoint.as_ref() == Some(endpoint) {
            open.push((id, record));
        }
    }
    Ok(open)
}

fn require(source: &mut impl Source, namespace: NamespaceId, id: OperationId) -> Result<OperationRecord> {
    let record = project::OPERATIONS.get(source, namespace, id.as_bytes())?;
    record.ok_or_else(|| project::OPERATIONS.corrupt_key(id.as_bytes(), "an operation of the queue is missing"))
}

pub(super) fn operation_id(key: &[u8]) -> Result<OperationId> {
    let bytes = key.try_into().map_err(|_| project::OPERATIONS.corrupt_key(key, "its key is not an operation's id"))?;
    Ok(OperationId::from_bytes(bytes))
}

/// The operation's id at the end of a key of the branch's operations.
fn trailing_id(key: &Bytes) -> Result<OperationId> {
    let start = key.len().checked_sub(16);
    let start = start.ok_or_else(|| project::BRANCH_OPERATIONS.corrupt_key(key, "its key has no operation's id"))?;
    operation_id(&key[start..])
}
