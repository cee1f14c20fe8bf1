//! How endpoints come, change and go.

use offshoot_engine::Transaction;

use super::{ComputeState, Endpoint, EndpointKind, EndpointSpec, FoundEndpoint, of_branch, remove, spec};
use crate::{
    branch::steps_to_apply,
    catalog::{Caller, Catalog, FoundProject, now},
    error::{Error, Result},
    id::{BranchId, EndpointId, ProjectId},
    name::EndpointName,
    operation::{self, Operation, OperationAction, Step},
    text_map::TextMap,
    units::ComputeUnits,
};

/// What is to be another way about an endpoint; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointUpdate {
    /// What people call it.
    pub name: Option<EndpointName>,
    /// The suspend timeout: see [`EndpointSpec`].
    pub suspend_timeout_seconds: Option<i64>,
    /// How small its compute may get.
    pub min_cu: Option<ComputeUnits>,
    /// How large its compute may get.
    pub max_cu: Option<ComputeUnits>,
    /// Whether its compute is kept from being started. An endpoint that gets disabled is suspended.
    pub disabled: Option<bool>,
    /// Whether connections go through a pooler unless they ask for something else.
    pub pooler_enabled: Option<bool>,
    /// Whether it may be reached without a password, where a proxy offers that.
    pub passwordless_access: Option<bool>,
    /// Settings by name; those of other names stay.
    pub settings: Option<TextMap>,
}

/// What changing an endpoint brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChanged {
    /// The endpoint as it is now, or as it was when it was deleted.
    pub endpoint: Endpoint,
    /// What will make the change true.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// Creates an endpoint on a branch, and starts it unless it is disabled.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::EndpointAlreadyExists`] for a second read-write
    /// endpoint, [`Error::OutOfRange`], [`Error::ComputeLimitsReversed`].
    pub fn endpoint_create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        spec: EndpointSpec,
    ) -> Result<EndpointChanged> {
        let specs = [spec];
        EndpointSpec::check(&specs)?;
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let branch = project.branch(tx, branch)?.id;
            let writes = |kind: EndpointKind| kind == EndpointKind::ReadWrite;
            if specs.iter().any(|spec| writes(spec.kind))
                && of_branch(tx, &project, &branch)?.iter().any(|endpoint| writes(endpoint.kind))
            {
                return Err(Error::EndpointAlreadyExists);
            }
            let created = self.endpoints_create(tx, &project, &branch, &specs)?;
            let endpoint =
                created.into_iter().next().ok_or(offshoot_engine::Error::Internal("no endpoint was made"))?;
            let actions: &[_] = if endpoint.disabled { &[] } else { &[OperationAction::StartCompute] };
            let operations = self.schedule_on_endpoint(tx, &project, (&endpoint.branch, &endpoint.id), actions)?;
            Ok(EndpointChanged { endpoint, operations })
        })
    }

    /// Changes an endpoint. What its compute has to know is applied to it; where nothing changes, nothing is to be done.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`], [`Error::OutOfRange`],
    /// [`Error::ComputeLimitsReversed`].
    pub fn endpoint_update(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &EndpointId,
        update: EndpointUpdate,
    ) -> Result<EndpointChanged> {
        spec::check_suspend_timeout(update.suspend_timeout_seconds)?;
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let mut found = FoundEndpoint::find(tx, &project, id)?;
            let before = found.record.clone();
            update.apply_to(&mut found)?;
            let (record, mut operations) = (&mut found.record, Vec::new());
            if *record == before {
                return Ok(EndpointChanged { endpoint: found.endpoint(&project), operations });
            }
            record.updated_at = now(tx);
            let place = (&found.branch, &found.id);
            if record.disabled && !before.disabled {
                record.pending_state = Some(ComputeState::Idle).filter(|_| record.state != ComputeState::Idle);
                operations = self.schedule_on_endpoint(tx, &project, place, &[OperationAction::SuspendCompute])?;
            } else if !record.disabled
                && (record.min_cu, record.max_cu, &record.settings) != (before.min_cu, before.max_cu, &before.settings)
            {
                let steps = steps_to_apply(place, record.state);
                operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            }
            found.put(tx, &project)?;
            Ok(EndpointChanged { endpoint: found.endpoint(&project), operations })
        })
    }

    /// Deletes an endpoint; nothing where the project has no such endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointOfProtectedBranch`].
    pub fn endpoint_delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &EndpointId,
    ) -> Result<Option<EndpointChanged>> {
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let found = match FoundEndpoint::find(tx, &project, id) {
                Err(Error::EndpointNotFound { .. }) => return Ok(None),
                found => found?,
            };
            if project.branch(tx, &found.branch)?.record.protected {
                return Err(Error::EndpointOfProtectedBranch { id: found.id, branch: found.branch });
            }
            let endpoint = found.endpoint(&project);
            remove(tx, project.namespace(), &endpoint)?;
            let place = (&found.branch, &found.id);
            let operations = self.schedule_on_endpoint(tx, &project, place, &[OperationAction::SuspendCompute])?;
            Ok(Some(EndpointChanged { endpoint, operations }))
        })
    }

    /// Starts an endpoint's compute; one that runs goes on running.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`], [`Error::EndpointIsDisabled`].
    pub fn endpoint_start(&self, caller: &Caller, project: &ProjectId, id: &EndpointId) -> Result<EndpointChanged> {
        self.endpoint_run(caller, project, id, &[OperationAction::StartCompute])
    }

    /// Suspends an endpoint's compute, after what is under way; one that is idle stays so.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`].
    pub fn endpoint_suspend(&self, caller: &Caller, project: &ProjectId, id: &EndpointId) -> Result<EndpointChanged> {
        self.endpoint_run(caller, project, id, &[OperationAction::SuspendCompute])
    }

    /// Suspends an endpoint's compute and starts it again.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::EndpointNotFound`], [`Error::EndpointIsDisabled`].
    pub fn endpoint_restart(&self, caller: &Caller, project: &ProjectId, id: &EndpointId) -> Result<EndpointChanged> {
        let actions = [OperationAction::SuspendCompute, OperationAction::StartCompute];
        self.endpoint_run(caller, project, id, &actions)
    }

    fn endpoint_run(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &EndpointId,
        actions: &[OperationAction],
    ) -> Result<EndpointChanged> {
        self.commit(|tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let found = FoundEndpoint::find(tx, &project, id)?;
            self.endpoint_run_found(tx, &project, found, actions)
        })
    }

    pub(super) fn endpoint_run_found(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        mut found: FoundEndpoint,
        actions: &[OperationAction],
    ) -> Result<EndpointChanged> {
        let starts = actions.last() == Some(&OperationAction::StartCompute);
        if starts && found.record.disabled {
            return Err(Error::EndpointIsDisabled { id: found.id });
        }
        let next = if starts { ComputeState::Active } else { ComputeState::Idle };
        let pending_state = Some(next).filter(|next| actions.len() > 1 || *next != found.record.state);
        if pending_state != found.record.pending_state {
            found.record.pending_state = pending_state;
            found.put(tx, project)?;
        }
        let operations = self.schedule_on_endpoint(tx, project, (&found.branch, &found.id), actions)?;
        Ok(EndpointChanged { endpoint: found.endpoint(project), operations })
    }

    fn schedule_on_endpoint(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        (branch, endpoint): (&BranchId, &EndpointId),
        actions: &[OperationAction],
    ) -> Result<Vec<Operation>> {
        let step = |action: &_| Step { action: *action, branch: branch.clone(), endpoint: Some(endpoint.clone()) };
        operation::schedule(tx, self.entropy(), project.place(), actions.iter().map(step).collect())
    }
}

impl EndpointUpdate {
    fn apply_to(&self, found: &mut FoundEndpoint) -> Result<()> {
        let record = &mut found.record;
        let (min, max) = (self.min_cu.unwrap_or(record.min_cu), self.max_cu.unwrap_or(record.max_cu));
        (record.min_cu, record.max_cu) = spec::sizes(Some(min), Some(max))?;
        if let Some(name) = &self.name {
            record.name = Some(name.clone());
        }
        if let Some(settings) = &self.settings {
            record.settings = record.settings.merged(settings)?;
        }
        record.suspend_timeout_seconds = self.suspend_timeout_seconds.unwrap_or(record.suspend_timeout_seconds);
        record.disabled = self.disabled.unwrap_or(record.disabled);
        record.pooler_enabled = self.pooler_enabled.unwrap_or(record.pooler_enabled);
        record.passwordless_access = self.passwordless_access.unwrap_or(record.passwordless_access);
        Ok(())
    }
}
