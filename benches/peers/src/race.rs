//! The race itself: interleaved rounds, alone and by 32 threads.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    commits::at_once,
    rounds::{Candidate, interleaved},
};

use crate::{
    puts::Puts,
    stores::{Fjall, Lmdb, Offshoot, Racer, Redb, Sled, Sqlite, SyncedSled},
};

const ROUNDS: usize = 9;
const THREADS: usize = 32;
const SYNCED_SLED: &str = "sled with fdatasync";
/// How long each runs, twice in a round. The second run counts: in it a store also has to do what it put off in the first one.
const RUN: Duration = Duration::from_millis(300);

/// A store, and how much was committed to it.
struct Contestant {
    name: &'static str,
    store: Box<dyn Racer>,
    commits: AtomicU64,
}

impl Contestant {
    fn new<S: Racer + 'static>(name: &'static str, directory: &Path) -> Outcome<Self> {
        let directory = directory.join(name);
        fs::create_dir(&directory)?;
        Ok(Self { name, store: Box::new(S::open(&directory)?), commits: AtomicU64::new(0) })
    }

    /// Commits for a while. Gives how many were acknowledged.
    fn run(&self, threads: usize) -> Outcome<u64> {
        let start = Instant::now();
        at_once(
            threads,
            |_| start.elapsed() < RUN,
            |thread, _| self.store.commit(&Puts::new(thread, self.commits.fetch_add(1, Ordering::Relaxed))),
        )
    }

    /// Fails unless every commit is there.
    fn check(&self) -> Outcome<()> {
        for number in 0..self.commits.load(Ordering::Relaxed) {
            let (key, value) = Puts::new(0, number).new;
            if self.store.get(&key)?.as_deref() != Some(&value) {
                return Err(format!("{} has lost commit {number}", self.name).into());
            }
        }
        Ok(())
    }
}

/// Offshoot's time per durable commit against that of each other store.
pub(crate) fn race() -> Outcome<Vec<Bar>> {
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    let contestants = [
        Contestant::new::<Offshoot>("offshoot", at)?,
        Contestant::new::<Fjall>("fjall", at)?,
        Contestant::new::<Lmdb>("LMDB", at)?,
        Contestant::new::<Redb>("redb", at)?,
        Contestant::new::<Sqlite>("SQLite", at)?,
        Contestant::new::<Sled>("sled", at)?,
        Contestant::new::<SyncedSled>(SYNCED_SLED, at)?,
    ];
    let candidates = |threads| contestants.iter().map(move |one| Candidate::new(one.name, move || one.run(threads)));
    let mut all: Vec<_> = candidates(1).chain(candidates(THREADS)).collect();
    let times = interleaved(ROUNDS, &mut all)?;
    contestants.iter().try_for_each(Contestant::check)?;

    let (alone, together) = times.split_at(contestants.len());
    let names = contestants.iter().map(|one| one.name);
    let mut bars = Vec::new();
    for (threads, times) in [("1 thread", alone), ("32 threads", together)] {
        let mut named: Vec<_> = names.clone().zip(times.iter().copied()).collect();
        let offshoot = named.remove(0);
        for peer in named {
            let name = format!("durable commit of two puts, {threads}: offshoot to {}", peer.0);
            // The bar is on sled as it comes, which is the faster: its flush does not wait for the disk.
            let limit = if peer.0 == SYNCED_SLED { Limit::None } else { Limit::Below(1.0) };
            bars.push(Bar::times(name, offshoot, peer, limit));
        }
    }
    Ok(bars)
}
