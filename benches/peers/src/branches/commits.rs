//! Durable commits of one changed role, alone and by 32 threads, each on a branch of its own.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use offshoot_benches::{
    Outcome,
    commits::at_once,
    overwrite::Preallocated,
    rounds::{Candidate, interleaved},
};

use super::{
    cell::Cell,
    contestants::{self, NAMES},
    stores::{At, Branch, Branching, ROOT},
    table::{Row, Unit},
};

const ROUNDS: usize = 5;
const THREADS: usize = 32;
const ROLES: u64 = 1_000;
const CACHE_BYTES: u64 = 256 << 20;
const RUN: Duration = Duration::from_millis(300);
/// What the raw overwrite writes: about as much as a commit does.
const FRAME_BYTES: u64 = 4_096;
const RAW_BYTES: u64 = 16 << 20;

struct Ground {
    store: Box<dyn Branching>,
    branches: Vec<Branch>,
    commits: AtomicU64,
}

impl Ground {
    fn run(&self, threads: usize) -> Outcome<u64> {
        let start = Instant::now();
        at_once(
            threads,
            |_| start.elapsed() < RUN,
            |thread, _| {
                let number = self.commits.fetch_add(1, Ordering::Relaxed);
                self.store.put(self.branches[thread], number * 7_919 % ROLES, number + 1)
            },
        )
    }
}

/// The rows of commits. All contestants take turns.
pub(crate) fn commits() -> Outcome<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let ground = |number: usize| -> Outcome<Ground> {
        let store = contestants::open(number, directory.path(), CACHE_BYTES)?;
        store.root(ROLES)?;
        let fork = |_| store.fork(ROOT, At::Head)?.ok_or_else(|| "a fork of the head is always possible".into());
        let branches = (0..THREADS).map(fork).collect::<Outcome<Vec<_>>>()?;
        Ok(Ground { store, branches, commits: AtomicU64::new(0) })
    };
    let grounds = (0..NAMES.len()).map(ground).collect::<Outcome<Vec<_>>>()?;
    let mut raw = Preallocated::create(&directory.path().join("raw"), RAW_BYTES, FRAME_BYTES)?;
    let mut rows = Vec::new();
    for threads in [1, THREADS] {
        let mut candidates: Vec<_> =
            grounds.iter().map(|ground| Candidate::new("store", || ground.run(threads))).collect();
        candidates.push(Candidate::new("raw", || Ok(raw.overwrite(500)?)));
        let times = interleaved(ROUNDS, &mut candidates)?;
        let (cells, limit) = times.split_at(grounds.len());
        rows.push(Row {
            name: format!("durable commit, {threads} thread{}", if threads == 1 { "" } else { "s" }),
            unit: Unit::Seconds,
            cells: cells.iter().map(|time| Cell::Measured(time.as_secs_f64())).collect(),
            limits: limit.iter().map(|time| ("overwrite + fdatasync", time.as_secs_f64())).collect(),
        });
    }
    Ok(rows)
}
