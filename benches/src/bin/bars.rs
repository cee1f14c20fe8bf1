//! The bars that Offshoot holds itself to, each as a ratio of two measurements of the same run.
//!
//! Exits with 1 when a bar is missed. Arguments: the names of the groups to run (`reads`, `forks`, `commits`); all of them by default.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the report goes to whoever ran the command")]

use std::{cell::RefCell, ops::Bound, process::ExitCode, time::Duration};

use offshoot_benches::{
    Outcome, commits, open, roles,
    rounds::{Candidate, interleaved},
    trees,
};
use offshoot_engine::{BranchId, Direction, KeyRange, Point};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const CACHE_BYTES: u64 = 512 << 20;

/// One line of the report.
struct Bar {
    name: String,
    measured: String,
    ratio: f64,
    /// The ratio may be at most this; at least this where `at_least`. Infinite where the ratio is only reported.
    limit: f64,
    at_least: bool,
}

impl Bar {
    fn at_most(name: impl Into<String>, of: (&str, Duration), to: (&str, Duration), limit: f64) -> Self {
        let measured = format!("{} {} / {} {}", of.0, micros(of.1), to.0, micros(to.1));
        Self { name: name.into(), measured, ratio: of.1.as_secs_f64() / to.1.as_secs_f64(), limit, at_least: false }
    }

    fn is_met(&self) -> bool {
        if self.at_least { self.ratio >= self.limit } else { self.ratio <= self.limit }
    }
}

/// Measures some bars.
type Group = fn() -> Outcome<Vec<Bar>>;

fn micros(time: Duration) -> String {
    format!("{:.2} us", time.as_secs_f64() * 1e6)
}

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let groups: [(&str, Group); 3] = [("reads", reads), ("forks", forks), ("commits", commits)];
    if let Some(unknown) = asked.iter().find(|name| groups.iter().all(|(group, _)| group != name)) {
        eprintln!("there is no group of bars named {unknown}; there are: reads, forks, commits");
        return ExitCode::FAILURE;
    }
    let mut bars = Vec::new();
    for (name, group) in groups {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == name) {
            continue;
        }
        eprintln!("measuring {name} ...");
        match group() {
            Ok(measured) => bars.extend(measured),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("| bar | measured | ratio | limit | |");
    println!("|---|---|---|---|---|");
    for bar in &bars {
        let relation = if bar.at_least { "at least" } else { "at most" };
        let verdict = if bar.is_met() { "met" } else { "**missed**" };
        let (limit, verdict) = match bar.limit.is_finite() {
            true => (format!("{relation} {}", bar.limit), verdict),
            false => ("none".to_owned(), "reported"),
        };
        println!("| {} | {} | {:.2} | {limit} | {verdict} |", bar.name, bar.measured, bar.ratio);
    }
    if bars.iter().all(Bar::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Get, and list of 20, at a random one of 1,000 branches with 1,000 roles each: deep against shallow, and against raw sled with as many keys.
fn reads() -> Outcome<Vec<Bar>> {
    const BRANCHES: u64 = 1_000;
    const ROLES: u64 = 1_000;
    const GETS: u64 = 50_000;
    const LISTS: u64 = 10_000;
    let directory = tempfile::tempdir()?;
    let engine = open(&directory, CACHE_BYTES)?;
    let shallow = trees::at_depth(&engine, 1, BRANCHES, ROLES)?;
    let deep = trees::at_depth(&engine, 4_096, BRANCHES, ROLES)?;
    let unshared = (0..BRANCHES).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<Vec<_>>>()?;
    let raw = raw_sled(&directory, BRANCHES, ROLES)?;

    let random = RefCell::new(SmallRng::seed_from_u64(7));
    let pick = || {
        let mut random = random.borrow_mut();
        (random.random_range(0..BRANCHES), random.random_range(0..ROLES - 20))
    };
    let get = |branches: &[BranchId]| -> Outcome<u64> {
        for _ in 0..GETS {
            let (branch, role) = pick();
            let found = engine.head(branches[usize::try_from(branch)?])?.get(&roles::key(role))?;
            found.ok_or("a role is missing")?;
        }
        Ok(GETS)
    };
    let list = |branches: &[BranchId]| -> Outcome<u64> {
        for _ in 0..LISTS {
            let (branch, role) = pick();
            let start = Bound::Included(roles::key(role).to_vec().into());
            let range = KeyRange { start, end: Bound::Unbounded };
            let head = engine.head(branches[usize::try_from(branch)?])?;
            let found = head.range(range, Direction::Ascending).take(20).filter(Result::is_ok).count();
            (found == 20).then_some(()).ok_or("a role is missing")?;
        }
        Ok(LISTS)
    };
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("get, depth 1", || get(&shallow)),
            Candidate::new("get, depth 4096", || get(&deep)),
            Candidate::new("get, unshared", || get(&unshared)),
            Candidate::new("raw sled get", || {
                for _ in 0..GETS {
                    let (branch, role) = pick();
                    raw.get(raw_key(branch, role))?.ok_or("a role is missing")?;
                }
                Ok(GETS)
            }),
            Candidate::new("list, depth 1", || list(&shallow)),
            Candidate::new("list, depth 4096", || list(&deep)),
            Candidate::new("list, unshared", || list(&unshared)),
            Candidate::new("raw sled scan", || {
                for _ in 0..LISTS {
                    let (branch, role) = pick();
                    let found = raw.range(raw_key(branch, role)..).take(20).filter(Result::is_ok).count();
                    (found == 20).then_some(()).ok_or("a role is missing")?;
                }
                Ok(LISTS)
            }),
        ],
    )?;
    let bar = |name: &str, of: usize, to: usize, limit| {
        let names = ["depth 1", "depth 4,096", "unshared", "raw sled"];
        Bar::at_most(name, (names[of % 4], times[of]), (names[to % 4], times[to]), limit)
    };
    Ok(vec![
        bar("get: depth 4,096 to depth 1", 1, 0, 1.2),
        bar("get: depth 1 to raw sled", 0, 3, 1.0),
        bar("get: depth 4,096 to raw sled", 1, 3, 1.0),
        bar("get: branches that share nothing to raw sled", 2, 3, f64::INFINITY),
        bar("list of 20: depth 4,096 to depth 1", 5, 4, 1.2),
        bar("list of 20: depth 1 to raw sled", 4, 7, 1.0),
        bar("list of 20: depth 4,096 to raw sled", 5, 7, 1.0),
        bar("list of 20: branches that share nothing to raw sled", 6, 7, f64::INFINITY),
    ])
}

fn raw_key(branch: u64, role: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&branch.to_be_bytes());
    key[8..].copy_from_slice(&roles::key(role));
    key
}

fn raw_sled(directory: &tempfile::TempDir, branches: u64, roles: u64) -> Outcome<sled::Db> {
    let config = sled::Config::new().path(directory.path().join("raw")).cache_capacity(CACHE_BYTES);
    let raw = config.flush_every_ms(None).open()?;
    for branch in 0..branches {
        let mut batch = sled::Batch::default();
        for role in 0..roles {
            batch.insert(&raw_key(branch, role), &roles::value(role, branch)[..]);
        }
        raw.apply_batch(batch)?;
    }
    raw.flush()?;
    Ok(raw)
}

/// A fork in one durable commit, of branches with 10 to 1,000,000 roles.
fn forks() -> Outcome<Vec<Bar>> {
    // Many short rounds: a slow moment of the disk meets all sizes alike.
    const ROUNDS: usize = 51;
    const FORKS: u64 = 20;
    let directory = tempfile::tempdir()?;
    let engine = open(&directory, CACHE_BYTES)?;
    let sizes = [10, 1_000, 100_000, 1_000_000];
    let parents = sizes.map(|size| trees::root(&engine, size));
    let mut candidates = Vec::new();
    for (size, parent) in sizes.into_iter().zip(parents) {
        let (parent, engine) = (parent?, &engine);
        candidates.push(Candidate::new(format!("{size} roles"), move || {
            for _ in 0..FORKS {
                engine.transact(|tx| tx.fork(parent, Point::Head))?;
            }
            Ok(FORKS)
        }));
    }
    let times = interleaved(ROUNDS, &mut candidates)?;
    let named = |index: usize| (candidates[index].name.as_str(), times[index]);
    let by_time = |index: &usize| times[*index];
    let slowest = (0..times.len()).max_by_key(by_time).unwrap_or_default();
    let fastest = (0..times.len()).min_by_key(by_time).unwrap_or_default();
    Ok(vec![Bar::at_most("fork: slowest to fastest of 10 to 1,000,000 roles", named(slowest), named(fastest), 1.3)])
}

/// Durable commits of one changed role: 32 threads against one.
fn commits() -> Outcome<Vec<Bar>> {
    const ROLES: u64 = 1_000;
    const THREADS: usize = 32;
    /// Each takes about a second.
    const BY_ONE: u64 = 1_000;
    const BY_ALL: u64 = 6_000;
    let directory = tempfile::tempdir()?;
    let engine = open(&directory, CACHE_BYTES)?;
    let branches = (0..THREADS).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<Vec<_>>>()?;
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("1 thread", || commits::commit(&engine, &branches[..1], 1, ROLES, BY_ONE)),
            Candidate::new("32 branches", || commits::commit(&engine, &branches, THREADS, ROLES, BY_ALL)),
            Candidate::new("1 branch", || commits::commit(&engine, &branches[..1], THREADS, ROLES, BY_ALL)),
        ],
    )?;
    let bar = |name: &str, index: usize| Bar {
        name: format!("durable commits: {name} to 1 thread"),
        measured: format!("{:.0}/s / {:.0}/s", 1.0 / times[index].as_secs_f64(), 1.0 / times[0].as_secs_f64()),
        ratio: times[0].as_secs_f64() / times[index].as_secs_f64(),
        limit: 4.0,
        at_least: true,
    };
    Ok(vec![bar("32 threads on 32 branches", 1), bar("32 threads on one branch", 2)])
}
