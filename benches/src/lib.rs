//! What the benchmarks and the bars have in common: the same data, the same operations.
//!
//! `cargo xtask bars` runs the bars, `cargo bench -p offshoot-benches` the Criterion benchmarks.

use std::{path::Path, sync::Arc};

use offshoot_engine::{Engine, Options, SledOptions, SledStore};

use crate::shared::Shared;

pub mod bars;
pub mod child;
pub mod commits;
pub mod files;
pub mod http;
pub mod memory;
pub mod overwrite;
pub mod roles;
pub mod rounds;
pub mod shared;
pub mod trees;

/// What a benchmark's parts may fail with; a benchmark has nothing better to do than to stop and say why.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An engine over a sled store below `directory`, with caches of this many bytes each; a store that is there already is opened.
///
/// # Errors
///
/// What the store and the engine fail with.
pub fn open(directory: &Path, cache_bytes: u64) -> Outcome<Engine> {
    Ok(open_shared(directory, cache_bytes)?.0)
}

/// What [`open`] opens, together with the store.
///
/// # Errors
///
/// What the store and the engine fail with.
pub fn open_shared(directory: &Path, cache_bytes: u64) -> Outcome<(Engine, Arc<SledStore>)> {
    let store =
        Arc::new(SledStore::open(directory.join("store"), &SledOptions::default().with_cache_bytes(cache_bytes))?);
    let options = Options::default().with_cache_bytes(cache_bytes);
    Ok((Engine::open(Shared(Arc::clone(&store)), options)?, store))
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
