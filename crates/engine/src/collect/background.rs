//! A thread that collects at a pace.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Collected, Step};
use crate::{Engine, Error};

/// How fast a [`BackgroundCollector`] works; [`Pace::default`] leaves nearly all of a machine to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many keys a step removes, about.
    pub keys_per_step: usize,
    /// How long it rests between two steps, and before it tries again to come past readers.
    pub rest: Duration,
    /// How long it waits when a round has found nothing to do, or after an error.
    pub between_rounds: Duration,
}

impl Default for Pace {
    /// 1,000 keys, then 20 ms; a minute between rounds.
    fn default() -> Self {
        let (rest, between_rounds) = (Duration::from_millis(20), Duration::from_secs(60));
        Self { keys_per_step: 1_000, rest, between_rounds }
    }
}

/// What a [`BackgroundCollector`] has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectorStatus {
    /// What it has freed.
    pub collected: Collected,
    /// How many rounds came to an end with nothing more to do.
    pub rounds: u64,
    /// How many steps failed.
    pub failures: u64,
    /// Whether the last step had to wait for snapshots or transactions that are open.
    pub is_waiting: bool,
}

/// Collects garbage on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct BackgroundCollector {
    status: Arc<Mutex<CollectorStatus>>,
    /// Nothing is ever sent: it is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts a thread that [collects](Engine::collector) garbage at this pace.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn collect_in_background(&self, pace: Pace) -> io::Result<BackgroundCollector> {
        let status = Arc::new(Mutex::new(CollectorStatus::default()));
        let (stop, stopped) = mpsc::channel::<()>();
        let (engine, shared) = (self.clone(), Arc::clone(&status));
        let thread = thread::Builder::new().name("offshoot-collector".into()).spawn(move || {
            let rests = |pause| matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout));
            run(&engine, pace, &shared, rests);
        })?;
        Ok(BackgroundCollector { status, stop: Some(stop), thread: Some(thread) })
    }
}

impl BackgroundCollector {
    /// What it has done so far.
    pub fn status(&self) -> CollectorStatus {
        self.status.lock().clone()
    }
}

impl Drop for BackgroundCollector {
    /// Waits until the step that it is at is done.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the collector ended by a panic");
        }
    }
}

/// Works until `rests`, which waits for so long, says that it should end.
fn run(engine: &Engine, pace: Pace, status: &Mutex<CollectorStatus>, rests: impl Fn(Duration) -> bool) {
    let mut collector = engine.collector();
    let mut before = Collected::default();
    loop {
        let outcome = collector.step(pace.keys_per_step);
        note(&mut status.lock(), &outcome, collector.collected());
        let pause = match outcome {
            Ok(Step::Worked | Step::Waiting) => pace.rest,
            Ok(Step::Idle) => {
                let collected = collector.collected();
                if collected != before {
                    let Collected { cuts, versions, nodes, branches, namespaces, bytes } = collected;
                    tracing::info!(
                        cuts,
                        versions,
                        nodes,
                        branches,
                        namespaces,
                        bytes,
                        "collected garbage since the start"
                    );
                    before = collected;
                }
                pace.between_rounds
            }
            Err(error) => {
                let why: &dyn std::error::Error = &error;
                tracing::error!(error = why, "cannot collect garbage; trying again");
                pace.between_rounds
            }
        };
        if !rests(pause) {
            return;
        }
    }
}

fn note(status: &mut CollectorStatus, outcome: &Result<Step, Error>, collected: Collected) {
    status.collected = collected;
    status.is_waiting = matches!(outcome, Ok(Step::Waiting));
    status.rounds += u64::from(matches!(outcome, Ok(Step::Idle)));
    status.failures += u64::from(outcome.is_err());
}
