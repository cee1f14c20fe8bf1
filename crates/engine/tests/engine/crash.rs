//! A process that commits is killed at random moments: what it acknowledged is there, and nothing is there by half.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use offshoot_engine::{
    BranchId, Direction, Engine, KeyRange, NamespaceId, Options, Pace, Point, SledOptions, SledStore, Step, Table,
    check::check as engine_check,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const DIRECTORY: &str = "OFFSHOOT_CRASH_TEST_DIRECTORY";
const PROGRESS: Table = Table::new("progress");
const WRITERS: u64 = 4;
/// The keys that every commit of a writer changes, all to the same number.
const KEYS: u64 = 6;

fn open(directory: &Path) -> Outcome<Engine> {
    Ok(Engine::open(open_store(directory)?, Options::default().with_small_nodes())?)
}

fn open_store(directory: &Path) -> Outcome<SledStore> {
    Ok(SledStore::open(directory, &SledOptions::default().with_cache_bytes(16 << 20))?)
}

fn branch_of(engine: &Engine, writer: u64) -> Outcome<Option<BranchId>> {
    let found = engine.snapshot()?.record(NamespaceId::SYSTEM, PROGRESS, &[0, u8::try_from(writer)?])?;
    Ok(match found {
        Some(number) => Some(BranchId::new(NamespaceId::SYSTEM, u64::from_be_bytes(number.as_ref().try_into()?))),
        None => None,
    })
}

fn key(writer: u64, number: u64) -> Vec<u8> {
    format!("writer {writer} key {number}").into_bytes()
}

/// Commits until killed, or `most` times, and acknowledges each commit on a line of its own. Writers 0 and 1 share a branch.
fn commit(engine: &Engine, writer: u64, most: u64, acknowledge: impl Fn(u64, u64) -> Outcome<()>) -> Outcome<()> {
    let branch = branch_of(engine, writer)?.ok_or("the branch is made first")?;
    let done = progress(engine, writer)?;
    for count in done + 1..=done + most {
        engine.transact(|tx| {
            for number in 0..KEYS {
                tx.put(branch, &key(writer, number), &count.to_be_bytes())?;
            }
            // Keys that come and go make nodes split and merge.
            let passing = format!("passing {writer} {}", count % 40);
            match count / 40 % 2 {
                0 => tx.put(branch, passing.as_bytes(), &[7; 30])?,
                _ => tx.delete(branch, passing.as_bytes())?,
            }
            tx.record_put(NamespaceId::SYSTEM, PROGRESS, &[1, writer.to_be_bytes()[7]], &count.to_be_bytes())
        })?;
        acknowledge(writer, count)?;
        if count % 10 == 0 {
            // Something for the collector: a child with a version of its own, which is deleted.
            let child = engine.transact(|tx| tx.fork(branch, Point::Head))?.value.branch;
            engine.transact(|tx| (0..200_u8).try_for_each(|number| tx.put(child, &[number], &count.to_be_bytes())))?;
            engine.transact(|tx| tx.delete_branch(child))?;
        }
        if count % 25 == 0 {
            engine.transact(|tx| tx.fork(branch, Point::Head))?;
        }
    }
    Ok(())
}

fn progress(engine: &Engine, writer: u64) -> Outcome<u64> {
    let record = engine.snapshot()?.record(NamespaceId::SYSTEM, PROGRESS, &[1, u8::try_from(writer)?])?;
    record.map_or(Ok(0), |record| Ok(u64::from_be_bytes(record.as_ref().try_into()?)))
}

fn create_branches(engine: &Engine) -> Outcome<()> {
    if branch_of(engine, 0)?.is_some() {
        return Ok(());
    }
    engine.transact(|tx| {
        let shared = tx.create_branch(NamespaceId::SYSTEM)?;
        for writer in 0..WRITERS {
            let branch = if writer < 2 { shared } else { tx.create_branch(NamespaceId::SYSTEM)? };
            let number = branch.number().to_be_bytes();
            tx.record_put(NamespaceId::SYSTEM, PROGRESS, &[0, writer.to_be_bytes()[7]], &number)?;
        }
        Ok::<_, offshoot_engine::Error>(())
    })?;
    Ok(())
}

fn run(directory: &Path, most: u64) -> Outcome<()> {
    let engine = open(directory)?;
    create_branches(&engine)?;
    let pace = Pace { keys_per_step: 20, rest: Duration::ZERO, between_rounds: Duration::ZERO };
    let _collector = engine.collect_in_background(pace)?;
    let acknowledge = |writer, count| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {writer} {count}")?;
        Ok(out.flush()?)
    };
    thread::scope(|scope| {
        let (engine, acknowledge) = (&engine, &acknowledge);
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || commit(engine, writer, most, acknowledge))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer panicked")?)
    })
}

/// Checks the store after a crash against what was acknowledged.
fn check(directory: &Path, acknowledged: &BTreeMap<u64, u64>) -> Outcome<()> {
    let store = Arc::new(open_store(directory)?);
    let report = engine_check(&store, &mut |_| {})?;
    assert!(report.is_sound(), "{report}");
    let engine = Engine::open(store, Options::default().with_small_nodes())?;
    let mut collector = engine.collector();
    while collector.step(1_000)? != Step::Idle {}
    drop(collector);
    for writer in 0..WRITERS {
        let least = acknowledged.get(&writer).copied().unwrap_or(0);
        let Some(branch) = branch_of(&engine, writer)? else {
            assert_eq!(least, 0, "writer {writer} has lost its branch");
            continue;
        };
        let done = progress(&engine, writer)?;
        assert!(done >= least, "writer {writer}: {least} was acknowledged, {done} is there");
        let head = engine.head(branch)?;
        for number in 0..KEYS {
            let found = head
                .get(&key(writer, number))?
                .map_or(Ok(0), |value| value.as_ref().try_into().map(u64::from_be_bytes))?;
            assert_eq!(found, done, "writer {writer}: a commit is there by half");
        }
        // All of the map, and the versions before, can be read.
        let info = engine.branch(branch)?;
        let lsns = info.first_lsn.get()..=info.head_lsn.get();
        for lsn in lsns.rev().take(30) {
            let version = engine.version(branch, Point::Lsn(offshoot_engine::Lsn::new(lsn)))?;
            let entries = version.range(KeyRange::ALL, Direction::Ascending).collect::<Result<BTreeMap<_, _>, _>>()?;
            let of_writer: Vec<_> = (0..KEYS).map(|number| entries.get(&key(writer, number)[..])).collect();
            assert!(of_writer.windows(2).all(|pair| pair[0] == pair[1]), "{lsn}: a version is there by half");
        }
    }
    Ok(())
}

/// On its own, shows that the committing process commits; under [`DIRECTORY`], it is that process.
#[test]
fn a_committing_process_acknowledges_what_it_commits() -> Outcome<()> {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return run(Path::new(&directory), u64::MAX / 2);
    }
    let directory = tempfile::tempdir()?;
    run(directory.path(), 10)?;
    check(directory.path(), &(0..WRITERS).map(|writer| (writer, 10)).collect())
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() -> Outcome<()> {
    const KILLS: u32 = 100;
    let seed = env::var("OFFSHOOT_CRASH_TEST_SEED").map_or_else(|_| Ok(rand::random()), |seed| seed.parse())?;
    println!("OFFSHOOT_CRASH_TEST_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut acknowledged_in_all = 0;
    let mut directory = tempfile::tempdir()?;
    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        // Several kills on one directory, then a new one, so that opening an empty one is killed too.
        if kill % 10 == 0 {
            directory = tempfile::tempdir()?;
            acknowledged.clear();
        }
        let mut child = Command::new(env::current_exe()?)
            .args(["--exact", "crash::a_committing_process_acknowledges_what_it_commits", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("standard output is piped")?).lines();
        // Where the process is when it has acknowledged this many commits is up to the machine.
        let mut left = random.random_range(0..150_u32);
        if left < 10 {
            // While it opens the store, or a little later.
            for _ in 0..random.random_range(0..200_000_u32) {
                std::hint::spin_loop();
            }
            child.kill()?;
        }
        for line in lines {
            let line = line?;
            let mut words = line.split(' ');
            if let (Some("ack"), Some(writer), Some(count)) = (words.next(), words.next(), words.next()) {
                acknowledged.insert(writer.parse()?, count.parse()?);
                acknowledged_in_all += 1;
                left = left.saturating_sub(1);
            }
            if left == 0 {
                // What it has acknowledged until it is dead is read and counts.
                child.kill()?;
                left = u32::MAX;
            }
        }
        child.wait()?;
        check(directory.path(), &acknowledged)?;
    }
    assert!(acknowledged_in_all > 1_000, "only {acknowledged_in_all} commits were acknowledged");
    Ok(())
}
