//! Writes down what became of operations, many in one commit.

use std::{sync::Arc, time::Duration};

use offshoot_catalog::{DueOperation, OperationId, Outcome, ProjectId};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use super::{Core, Lane};
use crate::{driver::Driver, error_chain};

/// How many outcomes one commit writes at most.
const BATCH: usize = 256;

/// How long to wait after a commit that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes outcomes to be written.
#[derive(Clone)]
pub(super) struct Outcomes {
    sender: mpsc::UnboundedSender<(Lane, Written)>,
}

type Written = (ProjectId, OperationId, Outcome);

impl Outcomes {
    /// Starts to write; it ends when all senders are gone and all is written.
    pub(super) fn start<D: Driver>(core: Arc<Core<D>>) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, tokio::spawn(write(core, receiver)))
    }

    pub(super) fn send(&self, lane: Lane, due: &DueOperation, outcome: Outcome) {
        let written = (due.project.clone(), due.operation.id, outcome);
        if self.sender.send((lane, written)).is_err() {
            tracing::error!("an outcome came after the last was written; the operation will be done again");
        }
    }
}

async fn write<D: Driver>(core: Arc<Core<D>>, mut receiver: mpsc::UnboundedReceiver<(Lane, Written)>) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let (lanes, outcomes): (Vec<Lane>, Vec<Written>) = batch.drain(..).unzip();
        let outcomes = Arc::new(outcomes);
        loop {
            let written = Arc::clone(&outcomes);
            match core.blocking(move |catalog| catalog.operations_finish(&written)).await {
                Ok(_) => break,
                Err(error) if core.is_stopping() => {
                    tracing::error!(error = error_chain(&error), "cannot write outcomes; they will be done again");
                    break;
                }
                Err(error) => {
                    tracing::error!(error = error_chain(&error), "cannot write outcomes; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
        let mut busy = core.busy.lock();
        busy.retain(|lane| !lanes.contains(lane));
        drop(busy);
        // The commit has woken those who wait for what is due, perhaps before the lanes were free.
        core.catalog.wake();
    }
}
