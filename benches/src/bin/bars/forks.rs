//! Forks: small branches against large ones.

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    open,
    rounds::{Candidate, interleaved},
    trees,
};
use offshoot_engine::Point;

use crate::CACHE_BYTES;

/// A fork in one durable commit, of branches with 10 to 1,000,000 roles.
pub(crate) fn forks() -> Outcome<Vec<Bar>> {
    // Many short rounds: a slow moment of the disk meets all sizes alike.
    const ROUNDS: usize = 51;
    const FORKS: u64 = 20;
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), CACHE_BYTES)?;
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
    Ok(vec![Bar::times(
        "fork: slowest to fastest of 10 to 1,000,000 roles",
        named(slowest),
        named(fastest),
        Limit::AtMost(1.3),
    )])
}
