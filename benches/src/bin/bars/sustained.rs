//! Durable commits by 32 threads for half a minute, without a pause in which what was put off could be caught up with.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    child::{Child, Figures},
    commits::at_once,
    memory::Memory,
    overwrite::Preallocated,
    rounds::{Candidate, interleaved},
};
use offshoot_engine::SledStore;

use crate::journal::{Ground, THREADS, raw};

const WINDOW: Duration = Duration::from_secs(5);
const WINDOWS: u32 = 6;
const CACHE_BYTES: u64 = 256 << 20;
const MIB: f64 = (1 << 20) as f64;

/// The rate over all of the time, the memory that it took, and how much of the store's upkeep fell into it.
pub(crate) fn sustained() -> Outcome<Vec<Bar>> {
    let directory = tempfile::tempdir()?;
    let mut child = Child::start("sustained", directory.path())?;
    let figures = child.figures()?;
    child.finish()?;

    let time = |name| figures.get(name).map(Duration::from_secs_f64);
    let (all, one, raw) = (time("all")?, time("one")?, time("raw")?);
    let windows = (0..WINDOWS).map(|number| figures.get(&window(number))).collect::<Outcome<Vec<_>>>()?;
    let slowest = windows.iter().copied().fold(f64::INFINITY, f64::min);
    let windows: Vec<_> = windows.iter().map(|rate| format!("{rate:.0}/s")).collect();
    let (before, after, peak) = (figures.get("resident before")?, figures.get("resident after")?, figures.get("peak")?);
    let (checkpoints, snapshots) = (figures.get("checkpoints")?, figures.get("snapshots")?);
    let rates = |to: &str, time, limit| {
        Bar::rates(format!("30 s of durable commits: 32 threads to {to}"), ("32 threads", all), (to, time), limit)
    };
    Ok(vec![
        rates("1 thread", one, Limit::AtLeast(4.0)),
        rates("raw overwrite", raw, Limit::AtLeast(2.5)),
        Bar {
            name: "30 s of durable commits: slowest window of 5 s to all".to_owned(),
            measured: windows.join(", "),
            value: slowest * all.as_secs_f64(),
            limit: Limit::None,
        },
        Bar {
            name: "30 s of durable commits: checkpoints".to_owned(),
            measured: format!("{checkpoints} checkpoints, {snapshots} snapshots"),
            value: checkpoints,
            limit: Limit::AtLeast(2.0),
        },
        Bar {
            name: "30 s of durable commits: growth of memory, GiB".to_owned(),
            measured: format!(
                "resident {:.0} MiB before, {:.0} MiB after; peak {:.0} MiB",
                before / MIB,
                after / MIB,
                peak / MIB
            ),
            value: (peak.max(after) - before) / MIB / 1024.0,
            limit: Limit::AtMost(1.0),
        },
    ])
}

/// Measures in a process of its own, whose memory has nothing else in it.
pub(crate) fn child(directory: &Path) -> Outcome<()> {
    let mut raw = raw(directory)?;
    let ground = Ground::new(directory, CACHE_BYTES)?;
    let yardsticks = yardsticks(&ground, &mut raw)?;
    let (upkeep, memory) = (Upkeep::of(&ground.store), Memory::now()?);

    let counts: Vec<_> = (0..WINDOWS).map(|_| AtomicU64::new(0)).collect();
    let start = Instant::now();
    let commits = at_once(
        THREADS,
        |_| start.elapsed() < WINDOW * WINDOWS,
        |thread, number| {
            ground.commit(thread, number)?;
            // What is acknowledged after the end falls into no window.
            let window = start.elapsed().as_micros() / WINDOW.as_micros();
            if let Some(count) = counts.get(usize::try_from(window)?) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        },
    )?;
    let took = start.elapsed();
    let (upkeep_after, memory_after) = (Upkeep::of(&ground.store), Memory::now()?);
    let yardsticks_after = self::yardsticks(&ground, &mut raw)?;

    let mut figures = Figures::default()
        .with("all", took.as_secs_f64() / commits as f64)
        .with("raw", yardsticks[0].min(yardsticks_after[0]).as_secs_f64())
        .with("one", yardsticks[1].min(yardsticks_after[1]).as_secs_f64())
        .with("resident before", memory.resident as f64)
        .with("resident after", memory_after.resident as f64)
        .with("peak", memory_after.peak as f64)
        .with("checkpoints", (upkeep_after.checkpoints - upkeep.checkpoints) as f64)
        .with("snapshots", (upkeep_after.snapshots - upkeep.snapshots) as f64);
    for (number, count) in (0..).zip(counts) {
        figures = figures.with(window(number), count.into_inner() as f64 / WINDOW.as_secs_f64());
    }
    figures.print()
}

fn window(number: u32) -> String {
    format!("window {number}")
}

/// What the long run is held against: raw overwrites and commits by one thread. They are measured before it and after it, and the faster counts.
fn yardsticks(ground: &Ground, raw: &mut Preallocated) -> Outcome<Vec<Duration>> {
    const ROUNDS: usize = 5;
    const COUNT: u64 = 500;
    interleaved(
        ROUNDS,
        &mut [
            Candidate::new("raw overwrite", || Ok(raw.overwrite(COUNT)?)),
            Candidate::new("1 thread", || ground.commits(1, COUNT)),
        ],
    )
}

/// What the store has done beside commits since it was opened.
struct Upkeep {
    checkpoints: u64,
    snapshots: u64,
}

impl Upkeep {
    fn of(store: &SledStore) -> Self {
        let status = store.status();
        Self { checkpoints: status.checkpoints, snapshots: status.snapshots }
    }
}
