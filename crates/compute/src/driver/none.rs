//! Driver `none`: there are no computes, so operations are done as soon as they exist.

use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_catalog::{Catalog, ComputeState, Error, OpenOperation, OperationId, Outcome, ProjectId};

use crate::{PATIENCE, error_chain};

/// How many operations one commit finishes at most.
const BATCH: usize = 256;

/// Finishes operations, those that an earlier server left included, until it is told to stop and woken.
pub(crate) fn run(catalog: &Catalog, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        let moment = catalog.moment();
        match finish_batch(catalog) {
            Ok(0) => catalog.operations_wait(moment, PATIENCE),
            Ok(finished) => tracing::debug!(finished, "finished operations"),
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot finish operations; trying again");
                catalog.operations_wait(catalog.moment(), PATIENCE);
            }
        }
    }
}

fn finish_batch(catalog: &Catalog) -> Result<usize, Error> {
    let gone = catalog.computes_gone(BATCH)?;
    if !gone.is_empty() {
        catalog.computes_forget(&gone)?;
    }
    let open = catalog.operations_open(BATCH)?;
    let outcomes: Vec<_> = open.into_iter().map(finished).collect();
    if outcomes.is_empty() {
        return Ok(0);
    }
    let finished = catalog.operations_finish(&outcomes)?;
    if finished == 0 {
        // Somebody else may have finished them all; if they stay, they keep others from being looked at.
        tracing::warn!(count = outcomes.len(), "operations of the queue have nothing to be finished");
    }
    Ok(finished)
}

/// Nothing runs, so an endpoint's compute is idle whatever the operation was.
fn finished(open: OpenOperation) -> (ProjectId, OperationId, Outcome) {
    let compute = open.endpoint.is_some().then_some(ComputeState::Idle);
    (open.project, open.id, Outcome::Finished { compute })
}
