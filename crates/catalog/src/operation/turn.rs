//! Whether an operation whose turn it is is still worth doing.

use offshoot_engine::NamespaceId;

use super::{DueOperation, OperationAction, open_on};
use crate::{
    catalog::{Catalog, FoundProject},
    codec::OperationRecord,
    compute,
    endpoint::ComputeState,
    error::Result,
    id::{EndpointId, OperationId},
    tables::{Source, pair, project},
};

/// What is to become of an operation whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is to be done.
    Do,
    /// There is nothing to do.
    Skip,
    /// A newer operation undoes it, or it is done already.
    Cancel,
}

impl Catalog {
    /// Looks at what else is scheduled on the operation's endpoint, and says whether to do it.
    ///
    /// A compute isn't started where it is to be suspended after. One that was started just to apply something isn't
    /// suspended where it is to run anyway, or where a later operation needs it again.
    pub fn operation_turn(&self, due: &DueOperation) -> Result<Turn> {
        let operation = &due.operation;
        let (Some(branch), Some(endpoint)) = (&operation.branch, &operation.endpoint) else { return Ok(Turn::Do) };
        let mut source = self.snapshot()?;
        let found = FoundProject::even_deleted(&mut source, &due.project)?;
        let Some((found, _)) = found else { return Ok(Turn::Cancel) };
        let namespace = found.namespace();
        let mut later = open_on(&mut source, namespace, branch, endpoint)?;
        if !later.iter().any(|(id, _)| *id == operation.id) {
            // It came to its end since it was read.
            return Ok(Turn::Cancel);
        }
        later.retain(|(id, _)| *id > operation.id);
        let key = pair(branch.as_str(), endpoint.as_str());
        let Some(record) = project::ENDPOINTS.get(&mut source, namespace, &key)? else {
            // It went, and then its compute is suspended; or it serves another branch, whose operations it follows.
            let is_elsewhere = compute::endpoint(&mut source, endpoint)?.is_some();
            let is_last = operation.action == OperationAction::SuspendCompute && !is_elsewhere;
            return Ok(if is_last { Turn::Do } else { Turn::Cancel });
        };
        match operation.action {
            OperationAction::StartCompute => {
                for (id, record) in later {
                    let is_suspend = record.action == OperationAction::SuspendCompute;
                    if is_suspend && !follows_apply(&mut source, namespace, id, endpoint)? {
                        return Ok(Turn::Cancel);
                    }
                }
                Ok(Turn::Do)
            }
            OperationAction::SuspendCompute if follows_apply(&mut source, namespace, operation.id, endpoint)? => {
                let is_active = record.state == ComputeState::Active;
                let is_needed = is_active || later.iter().any(|(_, record)| needs_compute(record));
                Ok(if is_needed { Turn::Skip } else { Turn::Do })
            }
            _ => Ok(Turn::Do),
        }
    }
}

/// Whether an operation suspends a compute that was started just for the same request.
fn follows_apply(
    source: &mut impl Source,
    namespace: NamespaceId,
    id: OperationId,
    endpoint: &EndpointId,
) -> Result<bool> {
    let requested = project::OPERATIONS.all(source, namespace, &id.commit())?;
    Ok(requested
        .iter()
        .any(|(_, record)| record.action == OperationAction::ApplyConfig && record.endpoint.as_ref() == Some(endpoint)))
}

fn needs_compute(record: &OperationRecord) -> bool {
    matches!(record.action, OperationAction::StartCompute | OperationAction::ApplyConfig | OperationAction::SyncRoles)
}
