//! Endpoints that sleep, and are woken by whoever connects to them.

use offshoot_engine::NamespaceId;

use super::{ComputeState, FoundEndpoint};
use crate::{
    catalog::{Catalog, FoundProject},
    codec::EndpointPortRecord,
    error::{Error, Result},
    id::EndpointId,
    operation::{OperationAction, open_on},
    tables::{Source, system},
};

/// What comes of waking an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Its compute is to be started.
    Starts,
    /// It is disabled, so its compute is not started.
    Disabled,
    /// It is gone.
    Gone,
}

impl Catalog {
    /// Schedules that an endpoint's compute is started, as somebody connects to it. Where it is to be started already,
    /// nothing is written.
    pub fn endpoint_wake(&self, id: &EndpointId) -> Result<Wake> {
        if let Some(wake) = look(&mut self.snapshot()?, id)?.1 {
            return Ok(wake);
        }
        self.commit(|tx| match look(tx, id)? {
            (_, Some(wake)) => Ok(wake),
            (None, None) => Ok(Wake::Gone),
            (Some((project, found)), None) => {
                self.endpoint_run_found(tx, &project, found, &[OperationAction::StartCompute])?;
                Ok(Wake::Starts)
            }
        })
    }

    /// The endpoints whose computes are not to run, and their ports. Those without a port can't be connected to.
    pub fn endpoints_asleep(&self) -> Result<Vec<(EndpointId, u16)>> {
        let mut source = self.snapshot()?;
        let mut asleep = Vec::new();
        for (key, EndpointPortRecord { port }) in system::ENDPOINT_PORTS.all(&mut source, NamespaceId::SYSTEM, b"")? {
            let id = crate::compute::endpoint_id(&key)?;
            let found = find(&mut source, &id)?;
            if found.is_some_and(|(_, found)| found.record.state != ComputeState::Active) {
                asleep.push((id, port));
            }
        }
        Ok(asleep)
    }
}

type Found = Option<(FoundProject, FoundEndpoint)>;

/// Finds an endpoint, and says what comes of waking it where that needs no operation.
fn look(source: &mut impl Source, id: &EndpointId) -> Result<(Found, Option<Wake>)> {
    let Some((project, found)) = find(source, id)? else { return Ok((None, Some(Wake::Gone))) };
    if found.record.disabled {
        return Ok((None, Some(Wake::Disabled)));
    }
    let open = open_on(source, project.namespace(), &found.branch, id)?;
    let last = open.iter().rev().map(|(_, record)| record.action);
    // A start before a suspension is not done.
    let mut last = last.take_while(|action| *action != OperationAction::SuspendCompute);
    let starts = last.any(|action| action == OperationAction::StartCompute).then_some(Wake::Starts);
    Ok((Some((project, found)), starts))
}

fn find(source: &mut impl Source, id: &EndpointId) -> Result<Found> {
    let place = system::ENDPOINT_IDS.get(source, NamespaceId::SYSTEM, id.as_str().as_bytes())?;
    let Some(project) = place.map(|place| place.project) else { return Ok(None) };
    let record = system::PROJECTS.get(source, NamespaceId::SYSTEM, project.as_str().as_bytes())?;
    let Some(record) = record else { return Ok(None) };
    let project = FoundProject { id: project, record };
    match FoundEndpoint::find(source, &project, id) {
        Ok(found) => Ok(Some((project, found))),
        // It is put away with its branch.
        Err(Error::EndpointNotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
