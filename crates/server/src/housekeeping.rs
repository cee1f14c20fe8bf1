//! What a server does by itself now and then: it deletes what expires, and stores when keys were last used.

use crate::error::chain;
use offshoot_catalog::Catalog;
use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How many branches, or projects, one look deletes at most.
const BATCH: usize = 64;

/// How long a branch may be there after its time. Looking costs two reads, so that nobody has to tell when an earlier one comes.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// How long the last use of a key may be in memory only.
const STORING: Duration = Duration::from_secs(60);

/// The thread that does it.
pub(crate) struct Housekeeping {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Housekeeping {
    pub(crate) fn start(catalog: Catalog) -> io::Result<Housekeeping> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            let mut stored = Instant::now();
            loop {
                let wait = expire(&catalog);
                if stored.elapsed() >= STORING {
                    store_key_uses(&catalog);
                    stored = Instant::now();
                }
                match stopped.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return store_key_uses(&catalog),
                }
            }
        };
        let thread = thread::Builder::new().name("housekeeping".into()).spawn(work)?;
        Ok(Housekeeping { stop, thread })
    }

    /// Ends the thread after what is at hand.
    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that deletes what expires panicked");
        }
    }
}

/// Deletes what is due, and tells how long to wait for the next.
fn expire(catalog: &Catalog) -> Duration {
    match catalog.expire(BATCH) {
        Ok(expired) => {
            for (project, branch) in &expired.branches {
                tracing::info!(%project, %branch, "deleted a branch that has expired");
            }
            for (project, snapshot) in &expired.snapshots {
                tracing::info!(%project, %snapshot, "deleted a snapshot that has expired");
            }
            for (project, branch) in &expired.removed_branches {
                tracing::info!(%project, %branch, "removed a branch for good that was deleted");
            }
            for project in &expired.removed_projects {
                tracing::info!(%project, "removed a project for good that was deleted");
            }
            expired.next.unwrap_or(PATIENCE).min(PATIENCE)
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "cannot delete what has expired; trying again");
            PAUSE
        }
    }
}

fn store_key_uses(catalog: &Catalog) {
    if let Err(error) = catalog.key_uses_store() {
        tracing::warn!(error = chain(&error), "cannot store when keys were last used; trying again");
    }
}
