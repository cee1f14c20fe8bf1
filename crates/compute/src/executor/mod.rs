//! Does the operations of a catalog.
//!
//! Operations are in the catalog before anybody does them, and stay due until their outcome is in it, too: an executor
//! that is killed has lost nothing, and the next one does again what it doesn't know to be done. On each endpoint
//! operations are done one after the other, on several endpoints at once.
//!
//! Outcomes are written together: while one commit is on its way to the disk, those that come are collected for the
//! next.

mod outcomes;
mod perform;
mod retry;
mod upkeep;

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::{DateTime, Utc};
use offshoot_catalog::{BranchId, Catalog, DueOperation, EndpointId, Outcome, ProjectId, RoleName};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinSet};

pub use self::retry::Retries;
use self::{outcomes::Outcomes, perform::Done};
use crate::{
    PATIENCE,
    doors::{Doors, Patience},
    driver::{Driver, none},
    error_chain,
};

/// How long operations may take to be finished once the executor is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How operations are done; [`ExecutorOptions::default`] says what is usual.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    /// The executor's name among those that share a store. It should be the same after a restart.
    pub name: String,
    /// For how many seconds it has a compute to itself at a time. Another one waits that long after this one is gone.
    pub lease_seconds: u32,
    /// On how many endpoints something is done at once.
    pub parallel: usize,
    /// When what failed is tried again, and how often.
    pub retries: Retries,
    /// How long one operation may take without progress.
    pub timeout: Duration,
    /// How long finished operations are kept.
    pub keep_finished: chrono::TimeDelta,
    /// How often to look for computes that nobody uses, that ended by themselves, or whose endpoints are gone.
    pub upkeep_every: Duration,
    /// After how many seconds without use a compute is suspended whose endpoint has the default.
    pub suspend_after_seconds: u32,
    /// For how long clients of suspended computes are waited for, and wait, where the driver lets them wake these.
    pub patience: Patience,
    /// The group whose members the roles of branches are.
    pub privileged_role: RoleName,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self {
            name: "offshoot".to_owned(),
            lease_seconds: 60,
            parallel: 8,
            retries: Retries::default(),
            timeout: Duration::from_secs(300),
            keep_finished: chrono::TimeDelta::days(180),
            upkeep_every: Duration::from_secs(10),
            suspend_after_seconds: 300,
            patience: Patience::default(),
            privileged_role: RoleName::neon_superuser(),
        }
    }
}

/// An executor can't be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The catalog can't be read or written.
    #[error(transparent)]
    Catalog(#[from] offshoot_catalog::Error),
    /// The system gives no threads.
    #[error("cannot start the threads of the executor")]
    Threads(#[from] io::Error),
}

/// Does operations until it is stopped.
pub struct Executor {
    catalog: Catalog,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Executor {
    /// Starts to do operations with the computes that a driver runs. Computes that are to run are started first.
    ///
    /// # Errors
    ///
    /// When the catalog can't be read, or the system gives no threads.
    pub fn start(catalog: Catalog, driver: impl Driver, options: ExecutorOptions) -> Result<Self, ExecutorError> {
        upkeep::restart_all(&catalog)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let core = Core::new(catalog.clone(), driver, options, Arc::clone(&stopping));
        let thread = thread::Builder::new().name("executor".into()).spawn(move || runtime.block_on(core.run()))?;
        Ok(Self { catalog, stopping, thread })
    }

    /// Starts to finish operations as soon as they exist: there are no computes. Those that ran are said to be idle.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start_without_computes(catalog: Catalog) -> Result<Self, ExecutorError> {
        let active: Vec<EndpointId> = catalog.computes_active()?.into_iter().map(|endpoint| endpoint.id).collect();
        catalog.computes_suspend(&active)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (driven, stop) = (catalog.clone(), Arc::clone(&stopping));
        let thread = thread::Builder::new().name("executor".into()).spawn(move || none::run(&driven, &stop))?;
        Ok(Self { catalog, stopping, thread })
    }

    /// Finishes what is being done, and stops the computes. What is left stays for the next start.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.catalog.wake();
        if self.thread.join().is_err() {
            tracing::error!("the executor panicked");
        }
    }
}

/// What is done one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    /// What is on an endpoint, also where it moved from one branch to another meanwhile.
    Endpoint(EndpointId),
    /// What is on a whole branch.
    Branch(ProjectId, Option<BranchId>),
}

impl Lane {
    fn of(due: &DueOperation) -> Self {
        let operation = &due.operation;
        match &operation.endpoint {
            Some(endpoint) => Self::Endpoint(endpoint.clone()),
            None => Self::Branch(due.project.clone(), operation.branch.clone()),
        }
    }
}

struct Core<D> {
    catalog: Catalog,
    driver: D,
    options: ExecutorOptions,
    stopping: Arc<AtomicBool>,
    permits: Semaphore,
    /// Lanes in which something is done, or whose outcome is not written yet.
    busy: Mutex<HashSet<Lane>>,
    /// Lanes that another executor has, and until when.
    leased: Mutex<HashMap<Lane, DateTime<Utc>>>,
    /// Endpoints whose servers were compared with their whole branches since this executor was started.
    compared: Mutex<HashSet<EndpointId>>,
    doors: Doors,
}

impl<D: Driver> Core<D> {
    fn new(catalog: Catalog, driver: D, options: ExecutorOptions, stopping: Arc<AtomicBool>) -> Arc<Self> {
        let permits = Semaphore::new(options.parallel.max(1));
        let doors = Doors::new(catalog.clone(), options.patience);
        Arc::new(Self {
            catalog,
            driver,
            options,
            stopping,
            permits,
            busy: Mutex::default(),
            leased: Mutex::default(),
            compared: Mutex::default(),
            doors,
        })
    }

    /// Tells of servers that belong to no endpoint: where another driver was used when their endpoints went, nobody removed them. They may be all that is left
    /// of what somebody still wants, so they stay.
    async fn tell_of_leftovers(&self) -> Result<(), offshoot_catalog::Error> {
        let present = self.driver.present();
        let left = self.blocking(move |catalog| {
            let gone = catalog.computes_gone(usize::MAX)?;
            let mut left = Vec::new();
            for endpoint in present {
                if !gone.contains(&endpoint) && !catalog.compute_is_kept(&endpoint)? {
                    left.push(endpoint);
                }
            }
            Ok::<_, offshoot_catalog::Error>(left)
        });
        for endpoint in left.await? {
            tracing::warn!(
                endpoint = endpoint.as_str(),
                "a server belongs to no endpoint of this store; what is there of it is left, for somebody to remove"
            );
        }
        Ok(())
    }

    async fn run(self: Arc<Self>) {
        if let Err(error) = self.tell_of_leftovers().await {
            tracing::error!(error = error_chain(&error), "cannot tell which servers belong to an endpoint");
        }
        let (outcomes, writer) = Outcomes::start(Arc::clone(&self));
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&self)));
        let mut working = JoinSet::new();
        while !self.is_stopping() {
            let moment = self.catalog.moment();
            let patience = match self.dispatch(&outcomes, &mut working).await {
                Ok(patience) => patience,
                Err(error) => {
                    tracing::error!(error = error_chain(&error), "cannot read what is due; trying again");
                    PATIENCE
                }
            };
            while working.try_join_next().is_some() {}
            self.blocking(move |catalog| catalog.operations_wait(moment, patience)).await;
        }
        upkeep.abort();
        // It may be about to open doors.
        let _ = upkeep.await;
        self.doors.close_all().await;
        let ended = async { while working.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "operations take long; they will be done again");
            working.shutdown().await;
        }
        drop(outcomes);
        if writer.await.is_err() {
            tracing::error!("writing outcomes panicked");
        }
        self.doors.close_all().await;
        self.driver.stop_all().await;
    }

    /// Begins all that is due and not begun; gives how long there is nothing to do unless something new comes.
    async fn dispatch(
        self: &Arc<Self>,
        outcomes: &Outcomes,
        working: &mut JoinSet<()>,
    ) -> Result<Duration, offshoot_catalog::Error> {
        let due = self.blocking(|catalog| catalog.operations_due(usize::MAX)).await?;
        let now = Utc::now();
        self.leased.lock().retain(|_, until| *until > now);
        let mut patience = PATIENCE;
        for due in due {
            let lane = Lane::of(&due);
            let not_before = self.leased.lock().get(&lane).copied().or(match due.is_overtaken {
                true => None,
                false => due.operation.retry_at,
            });
            if let Some(wait) = not_before.and_then(|at| (at - now).to_std().ok()) {
                patience = patience.min(wait.max(Duration::from_millis(1)));
                continue;
            }
            if self.busy.lock().insert(lane.clone()) {
                self.begin(due, lane, outcomes.clone(), working);
            }
        }
        Ok(patience)
    }

    fn begin(self: &Arc<Self>, due: DueOperation, lane: Lane, outcomes: Outcomes, working: &mut JoinSet<()>) {
        let Some(endpoint) = due.operation.endpoint.clone() else {
            // Storage is below the computes; there is nothing to do for it here.
            return outcomes.send(lane, &due, Outcome::Finished { compute: None });
        };
        let core = Arc::clone(self);
        working.spawn(async move {
            let Ok(_permit) = core.permits.acquire().await else { return };
            match core.perform(&due, &endpoint).await {
                Done::Outcome(outcome) => outcomes.send(lane, &due, outcome),
                Done::Leased(until) => {
                    core.leased.lock().insert(lane.clone(), until);
                    core.busy.lock().remove(&lane);
                }
            }
        });
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Calls the catalog on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(&self, call: impl FnOnce(&Catalog) -> T + Send + 'static) -> T {
        let catalog = self.catalog.clone();
        match tokio::task::spawn_blocking(move || call(&catalog)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
