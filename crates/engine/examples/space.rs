//! How large a directory gets when branches are made, filled and deleted again and again: `cargo run --release -p offshoot-engine --example space`.
//!
//! Each round makes a branch of 20,000 keys, deletes it and collects. Prints what the engine keeps and what the directory's parts take.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{error::Error, fs, path::Path, sync::Arc};

use offshoot_engine::{Engine, NamespaceId, Options, SledOptions, SledStore, Step, check::check};

const KEYS: u32 = 20_000;
const ROUNDS: u32 = 30;

fn bytes_of(path: &Path) -> std::io::Result<u64> {
    let meta = fs::metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.map(|entry| bytes_of(&entry?.path())).sum()
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    // Snapshots more often than usual, so that the journal's part shows, too.
    let options = SledOptions::default().with_snapshot_bytes(8 << 20);
    let store = Arc::new(SledStore::open(directory.path(), &options)?);
    let engine = Engine::open(Arc::clone(&store), Options::default())?;
    println!("{:>6}{:>18}{:>14}{:>14}{:>14}", "round", "engine's bytes", "sled", "journal", "snapshots");
    for round in 1..=ROUNDS {
        let branch = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
        engine.transact(|tx| {
            (0..KEYS).try_for_each(|key| tx.put(branch, format!("role/{key:09}").as_bytes(), &[7; 200]))
        })?;
        engine.transact(|tx| tx.delete_branch(branch))?;
        let mut collector = engine.collector();
        while collector.step(1_000)? != Step::Idle {}
        if round == 1 || round % 5 == 0 {
            let kept = check(&store, &mut |_| {})?.total().bytes;
            let part = |name| bytes_of(&directory.path().join(name));
            let (sled, journal, snapshots) = (part("sled")?, part("journal")?, part("snapshots")?);
            println!("{round:>6}{kept:>18}{sled:>14}{journal:>14}{snapshots:>14}");
        }
    }
    Ok(())
}
