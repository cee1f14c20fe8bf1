//! A store of a million branches: how fast it opens, and what it takes.

use std::{path::Path, time::Instant};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    child::{Child, Figures, wait_for_parent},
    files::bytes_below,
    memory::Memory,
    open as open_engine, trees,
};
use offshoot_engine::{BranchId, NamespaceId, Point, Table};

const BRANCHES: u64 = 1_000_000;
/// How many forks one transaction makes.
const FORKS: u64 = 1_000;
const ROLES: u64 = 1_000;
const CACHE_BYTES: u64 = 256 << 20;
const MIB: f64 = (1 << 20) as f64;

/// Where the store itself says which branch was forked last.
const PROGRESS: Table = Table::new("progress");
const LAST: &[u8] = b"last";

/// Builds the store, kills the process right after its last commit, and opens it twice: after the kill, and after that was closed.
pub(crate) fn million() -> Outcome<Vec<Bar>> {
    let directory = tempfile::tempdir()?;
    let mut building = Child::start("million-build", directory.path())?;
    let built = building.figures()?;
    building.kill()?;
    let bytes_killed = bytes_below(directory.path())?;

    let killed = open_in_child(directory.path(), &built)?;
    let clean = open_in_child(directory.path(), &built)?;
    let bytes_closed = bytes_below(directory.path())?;

    let opened = |name: &str, opened: &Figures, limit| -> Outcome<Bar> {
        let (seconds, peak) = (opened.get("seconds")?, opened.get("peak")? / MIB);
        let measured = format!("{seconds:.2} s, peak memory {peak:.0} MiB");
        Ok(Bar { name: format!("1,000,000 branches: {name}, s"), measured, value: seconds, limit })
    };
    let (seconds, peak) = (built.get("seconds")?, built.get("peak")? / MIB);
    let count = BRANCHES as f64;
    Ok(vec![
        opened("clean open", &clean, Limit::AtMost(3.0))?,
        opened("open after kill -9, with verification", &killed, Limit::AtMost(15.0))?,
        Bar {
            name: "1,000,000 branches: peak memory while building, GiB".to_owned(),
            measured: format!("{peak:.0} MiB; built in {seconds:.0} s, {:.0} forks/s", count / seconds),
            value: peak / 1024.0,
            limit: Limit::AtMost(1.0),
        },
        Bar {
            name: "1,000,000 branches: bytes on disk per branch".to_owned(),
            measured: format!(
                "{:.0} MiB after close, {:.0} MiB after kill -9",
                bytes_closed as f64 / MIB,
                bytes_killed as f64 / MIB
            ),
            value: bytes_closed as f64 / count,
            limit: Limit::None,
        },
    ])
}

/// Opens the store in a process of its own, which closes it again.
fn open_in_child(directory: &Path, built: &Figures) -> Outcome<Figures> {
    let mut opening = Child::start("million-open", directory)?;
    let opened = opening.figures()?;
    opening.finish()?;
    // Numbers of branches are far below what a figure holds exactly.
    let is_last = opened.get("last")?.total_cmp(&built.get("last")?).is_eq();
    is_last.then_some(opened).ok_or_else(|| "the last acknowledged fork is not there".into())
}

/// Forks one branch a million times, and waits to be killed.
pub(crate) fn build(directory: &Path) -> Outcome<()> {
    let engine = open_engine(directory, CACHE_BYTES)?;
    let root = trees::root(&engine, ROLES)?;
    let start = Instant::now();
    let mut last = root;
    for _ in 0..BRANCHES / FORKS {
        let forked = engine.transact(|tx| {
            let mut last = root;
            for _ in 0..FORKS {
                last = tx.fork(root, Point::Head)?.branch;
            }
            tx.record_put(NamespaceId::SYSTEM, PROGRESS, LAST, &last.number().to_be_bytes())?;
            Ok::<_, offshoot_engine::Error>(last)
        })?;
        last = forked.value;
    }
    let figures = Figures::default()
        .with("last", last.number() as f64)
        .with("seconds", start.elapsed().as_secs_f64())
        .with("peak", Memory::now()?.peak as f64);
    figures.print()?;
    wait_for_parent()
}

/// Opens the store until the newest fork can be read, and closes it.
pub(crate) fn open(directory: &Path) -> Outcome<()> {
    let start = Instant::now();
    // Opening verifies all that is stored.
    let engine = open_engine(directory, CACHE_BYTES)?;
    let record = engine.snapshot()?.record(NamespaceId::SYSTEM, PROGRESS, LAST)?.ok_or("there was no fork")?;
    let last = BranchId::new(NamespaceId::SYSTEM, u64::from_be_bytes(record.as_ref().try_into()?));
    let roles = engine.head(last)?;
    let seconds = start.elapsed().as_secs_f64();
    roles.get(&offshoot_benches::roles::key(ROLES - 1))?.ok_or("the newest fork has lost a role")?;
    Figures::default()
        .with("last", last.number() as f64)
        .with("seconds", seconds)
        .with("peak", Memory::now()?.peak as f64)
        .print()
}
