//! Does one operation.

use chrono::{DateTime, Utc};
use offshoot_catalog::{
    ComputeChanges, ComputeLeased, ComputeState, DueOperation, EndpointId, EndpointKind, OperationAction, Outcome, Turn,
};

use super::Core;
use crate::{
    apply::{Admin, ApplyError, LockedServer},
    doors::News,
    driver::{Driver, DriverError, ServerOptions},
    error_chain,
    progress::Progress,
};

/// What came of doing an operation.
pub(super) enum Done {
    /// It came to an end, for now or for good.
    Outcome(Outcome),
    /// Another executor has the compute until then.
    Leased(DateTime<Utc>),
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Catalog(#[from] offshoot_catalog::Error),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Leased(#[from] ComputeLeased),
    #[error("it was given up after {0} seconds without progress")]
    TimedOut(u64),
}

impl<D: Driver> Core<D> {
    pub(super) async fn perform(&self, due: &DueOperation, endpoint: &EndpointId) -> Done {
        let limit = self.options.timeout;
        let progress = Progress::default();
        let done = progress.watch(limit, self.try_to(due, endpoint, &progress)).await;
        let done = done.unwrap_or(Err(Failure::TimedOut(limit.as_secs())));
        let operation = &due.operation;
        self.tell_clients(endpoint, operation.action).await;
        match done {
            Ok(outcome) => Done::Outcome(outcome),
            Err(Failure::Leased(leased)) => Done::Leased(leased.until),
            Err(failure) => {
                let error = error_chain(&failure);
                let pause = self.options.retries.pause(operation.failures_count);
                let (id, action) = (operation.id.to_string(), operation.action.to_string());
                match pause {
                    Some(pause) => tracing::warn!(
                        endpoint = endpoint.as_str(), id, action, error, pause = %pause, "an operation failed; it will be tried again"
                    ),
                    None => {
                        tracing::error!(endpoint = endpoint.as_str(), id, action, error, "an operation failed for good")
                    }
                }
                Done::Outcome(Outcome::Failed { error, retry_at: pause.map(|pause| Utc::now() + pause) })
            }
        }
    }

    async fn try_to(&self, due: &DueOperation, endpoint: &EndpointId, progress: &Progress) -> Result<Outcome, Failure> {
        let (asked, name, of) = (due.clone(), self.options.name.clone(), endpoint.clone());
        let lease = self.options.lease_seconds;
        match self.blocking(move |catalog| catalog.operation_turn(&asked)).await? {
            Turn::Do => {}
            Turn::Skip => return Ok(Outcome::Skipped),
            Turn::Cancel => return Ok(Outcome::Cancelled),
        }
        self.blocking(move |catalog| catalog.compute_lease(&of, &name, lease, Utc::now())).await??;
        match due.operation.action {
            OperationAction::StartCompute => {
                self.make_current(due, endpoint, Some(ComputeState::Active), progress).await
            }
            OperationAction::ApplyConfig => self.make_current(due, endpoint, None, progress).await,
            OperationAction::SyncRoles => self.take_over(due, endpoint).await,
            OperationAction::SuspendCompute => {
                self.driver.stop(endpoint).await?;
                self.compared.lock().remove(endpoint);
                Ok(Outcome::Finished { compute: Some(ComputeState::Idle) })
            }
            OperationAction::CreateTimeline
            | OperationAction::CreateBranch
            | OperationAction::DeleteTimeline
            | OperationAction::ApplyStorageConfig => Ok(Outcome::Finished { compute: None }),
        }
    }

    /// Starts an endpoint's compute where it doesn't run, and gives it what its branch has by then.
    async fn make_current(
        &self,
        due: &DueOperation,
        endpoint: &EndpointId,
        compute: Option<ComputeState>,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let admin = self.start(endpoint).await?;
        // Whatever anybody commits from here on comes into what is read below, or is applied by somebody who waits for
        // this lock. So an executor that lost its lease can't put an old state in place of a new one.
        let server = LockedServer::lock(&admin).await?;
        let is_whole = compute == Some(ComputeState::Active) || !self.compared.lock().contains(endpoint);
        let Some(changes) = self.read_changes(due, endpoint, is_whole).await? else {
            return self.leave(endpoint).await;
        };
        let mut drift = None;
        if !changes.is_empty() {
            let (begun, name) = (changes.clone(), self.options.name.clone());
            self.blocking(move |catalog| catalog.compute_begin(&begun, &name, Utc::now())).await??;
            drift = server.apply(&changes, &self.options.privileged_role, progress).await?;
            if let Some(drift) = drift.as_ref().filter(|drift| !drift.is_empty()) {
                let (roles, databases) = (drift.roles.len(), drift.databases.len());
                tracing::info!(
                    endpoint = endpoint.as_str(),
                    roles,
                    databases,
                    ?drift,
                    "the server has roles or databases that its branch doesn't know; they are left alone"
                );
            }
        }
        self.compared.lock().insert(endpoint.clone());
        Ok(Outcome::Applied { compute, changes, drift })
    }

    /// Makes sure that an endpoint's server runs.
    async fn start(&self, endpoint: &EndpointId) -> Result<Admin, Failure> {
        let of = endpoint.clone();
        let asked = self.blocking(move |catalog| {
            let port = catalog.compute_port(&of)?;
            let kind = catalog.compute_endpoint(&of)?.map(|endpoint| endpoint.kind);
            Ok::<_, offshoot_catalog::Error>(ServerOptions { port, is_read_only: kind == Some(EndpointKind::ReadOnly) })
        });
        let options = asked.await?;
        self.doors.give(endpoint).await;
        Ok(self.driver.start(endpoint, options).await?)
    }

    /// Tells those who wait for an endpoint's compute what an operation on it has brought, and lets others wake it where
    /// it doesn't run.
    async fn tell_clients(&self, endpoint: &EndpointId, action: OperationAction) {
        if self.driver.is_running(endpoint).await {
            return self.doors.tell(endpoint, News::Runs);
        }
        // What did not start it, and was not to, is no news to who waits for a start.
        if self.doors.is_given(endpoint) || action == OperationAction::StartCompute {
            self.doors.tell(endpoint, News::Fails);
        }
        if self.driver.leaves_ports() && !self.is_stopping() {
            let of = endpoint.clone();
            match self.blocking(move |catalog| catalog.compute_endpoint(&of)).await {
                Ok(found) => {
                    found.and_then(|found| found.port).into_iter().for_each(|port| self.doors.open(endpoint, port))
                }
                Err(error) => tracing::error!(error = error_chain(&error), "cannot look up the port of an endpoint"),
            }
        }
    }

    /// Tells the catalog what roles and databases an endpoint's server has that its branch doesn't know.
    async fn take_over(&self, due: &DueOperation, endpoint: &EndpointId) -> Result<Outcome, Failure> {
        let admin = self.start(endpoint).await?;
        let server = LockedServer::lock(&admin).await?;
        let Some(changes) = self.read_changes(due, endpoint, true).await? else {
            return self.leave(endpoint).await;
        };
        let roles = server.unknown_roles(&changes, &self.options.privileged_role).await?;
        let databases = server.unknown_databases(&changes).await?;
        let asked = due.clone();
        self.blocking(move |catalog| catalog.server_take(&asked, &roles, &databases)).await?;
        Ok(Outcome::Finished { compute: None })
    }

    /// What becomes of an operation whose endpoint serves another branch by now, or is gone.
    async fn leave(&self, endpoint: &EndpointId) -> Result<Outcome, Failure> {
        let of = endpoint.clone();
        let found = self.blocking(move |catalog| {
            let is_to_run = catalog.compute_endpoint(&of)?.is_some_and(|endpoint| endpoint.is_to_run());
            Ok::<_, offshoot_catalog::Error>((is_to_run, catalog.compute_is_kept(&of)?))
        });
        // It went, was deleted recoverably, or came to the other branch while its compute was started.
        match found.await? {
            (true, _) => {}
            (false, true) => self.driver.stop(endpoint).await?,
            (false, false) => self.driver.remove(endpoint).await?,
        }
        Ok(Outcome::Cancelled)
    }

    async fn read_changes(
        &self,
        due: &DueOperation,
        endpoint: &EndpointId,
        is_whole: bool,
    ) -> Result<Option<ComputeChanges>, Failure> {
        let Some(branch) = due.operation.branch.clone() else { return Ok(None) };
        let (project, endpoint) = (due.project.clone(), endpoint.clone());
        let read =
            move |catalog: &offshoot_catalog::Catalog| catalog.compute_changes(&project, &branch, &endpoint, is_whole);
        Ok(self.blocking(read).await?)
    }
}
