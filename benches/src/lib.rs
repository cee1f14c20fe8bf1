//! What the benchmarks and the bars have in common: the same data, the same operations.
//!
//! `cargo xtask bars` runs the bars, `cargo bench -p offshoot-benches` the Criterion benchmarks.

use offshoot_engine::{Engine, Options, SledOptions, SledStore};

pub mod commits;
pub mod roles;
pub mod rounds;
pub mod trees;

/// What a benchmark's parts may fail with; a benchmark has nothing better to do than to stop and say why.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An engine over a new sled store, with caches of this many bytes each.
///
/// # Errors
///
/// What the store and the engine fail with.
pub fn open(directory: &tempfile::TempDir, cache_bytes: u64) -> Outcome<Engine> {
    let store = SledStore::open(directory.path().join("store"), &SledOptions::default().with_cache_bytes(cache_bytes))?;
    Ok(Engine::open(store, Options::default().with_cache_bytes(cache_bytes))?)
}

/// Ends the process when a benchmark failed: its times would mean nothing.
pub fn report(outcome: Outcome<()>) {
    if let Err(error) = outcome {
        #[expect(clippy::print_stderr, reason = "whoever runs the benchmark reads it")]
        {
            eprintln!("the benchmark failed: {error}");
        }
        std::process::exit(1);
    }
}
