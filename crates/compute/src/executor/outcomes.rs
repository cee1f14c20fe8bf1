//! Writes down what became of operations, many in one commit.

use std::{sync::Arc, time::Duration};

use offshoot_catalog::{DueOperation, Error, Kind, OperationId, Outcome, ProjectId};
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
        let note = |outcomes: Arc<[Written]>| {
            let core = Arc::clone(&core);
            async move { core.blocking(move |catalog| catalog.operations_finish(&outcomes)).await.map(|_| ()) }
        };
        note_all(outcomes.into(), note, || core.is_stopping()).await;
        let mut busy = core.busy.lock();
        busy.retain(|lane| !lanes.contains(lane));
        drop(busy);
        // The commit has woken those who wait for what is due, perhaps before the lanes were free.
        core.catalog.wake();
    }
}

/// Notes outcomes together. Where that can't be, each alone: what is wrong with one must not hold up the others, and what is too much for one commit may fit into
/// several. Each is tried for as long as it takes, unless what is stored of its operation is damaged.
async fn note_all<F: Future<Output = Result<(), Error>>>(
    outcomes: Arc<[Written]>,
    note: impl Fn(Arc<[Written]>) -> F,
    is_stopping: impl Fn() -> bool,
) {
    let Err(error) = note(Arc::clone(&outcomes)).await else { return };
    tracing::error!(error = error_chain(&error), "cannot write outcomes; trying again with each alone");
    for outcome in outcomes.iter() {
        let alone: Arc<[Written]> = [outcome.clone()].into();
        while let Err(error) = note(Arc::clone(&alone)).await {
            let (id, reason) = (outcome.1.to_string(), error_chain(&error));
            // Before it is done again, too, if it comes to that.
            sleep(PAUSE).await;
            if is_stopping() || error.kind() == Kind::Corrupt {
                tracing::error!(id, error = reason, "cannot write an outcome; the operation will be done again");
                break;
            }
            tracing::error!(id, error = reason, "cannot write an outcome; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::ready};

    use super::*;

    #[tokio::test]
    async fn outcomes_that_cannot_be_written_together_are_written_alone_but_for_the_damaged() -> Result<(), Error> {
        let project: ProjectId = "muddy-queen-14993027".parse()?;
        let id = |last| format!("01a20adb-75aa-72ed-8000-1ac19291d0f{last}").parse::<OperationId>();
        let ids = (0..5).map(id).collect::<Result<Vec<_>, _>>()?;
        let outcomes = ids.iter().map(|id| (project.clone(), *id, Outcome::Skipped)).collect();
        let noted = RefCell::new(Vec::new());
        let note = |outcomes: Arc<[Written]>| {
            ready(match &outcomes[..] {
                [(_, id, _)] if *id != ids[2] => {
                    noted.borrow_mut().push(*id);
                    Ok(())
                }
                _ => Err(Error::Corrupt { table: "operations", key: String::new(), reason: String::new() }),
            })
        };
        note_all(outcomes, note, || false).await;
        assert_eq!(*noted.borrow(), [ids[0], ids[1], ids[3], ids[4]]);
        Ok(())
    }
}
