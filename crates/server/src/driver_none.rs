//! The compute driver `none`: there are no computes, so operations are done as soon as they exist.

use crate::error::chain;
use offshoot_catalog::{Catalog, ComputeState, DueOperation, Error, OperationId, Outcome, ProjectId};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How many operations one commit finishes at most.
const BATCH: usize = 256;

/// How long to wait for news; only a failure makes this matter, for a commit ends the wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// A thread that finishes operations, those that an earlier server left included.
pub(crate) struct DriverNone {
    catalog: Catalog,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl DriverNone {
    pub(crate) fn start(catalog: Catalog) -> io::Result<DriverNone> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (driven, stop) = (catalog.clone(), Arc::clone(&stopping));
        let thread = thread::Builder::new().name("driver-none".into()).spawn(move || drive(&driven, &stop))?;
        Ok(DriverNone { catalog, stopping, thread })
    }

    /// Ends the thread after the commit at hand. What is unfinished stays for the next start.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.catalog.wake();
        if self.thread.join().is_err() {
            tracing::error!("the thread that finishes operations panicked");
        }
    }
}

fn drive(catalog: &Catalog, stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        let moment = catalog.moment();
        match finish_batch(catalog) {
            Ok(0) => catalog.operations_wait(moment, PATIENCE),
            Ok(finished) => tracing::debug!(finished, "finished operations"),
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot finish operations; trying again");
                catalog.operations_wait(catalog.moment(), PATIENCE);
            }
        }
    }
}

fn finish_batch(catalog: &Catalog) -> Result<usize, Error> {
    let open = catalog.operations_open(BATCH)?;
    let outcomes: Vec<_> = open.into_iter().map(finished).collect();
    if !outcomes.is_empty() {
        catalog.operations_finish(&outcomes)?;
    }
    Ok(outcomes.len())
}

/// Nothing runs, so an endpoint's compute is idle whatever the operation was.
fn finished(open: DueOperation) -> (ProjectId, OperationId, Outcome) {
    let compute = open.operation.endpoint.is_some().then_some(ComputeState::Idle);
    (open.project, open.operation.id, Outcome::Finished { compute })
}
