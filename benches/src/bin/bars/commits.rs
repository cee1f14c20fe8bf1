//! Durable commits: many threads against one.

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    commits, open,
    rounds::{Candidate, interleaved},
    trees,
};

use crate::{CACHE_BYTES, ROUNDS};

/// Durable commits of one changed role: 32 threads against one.
pub(crate) fn commits() -> Outcome<Vec<Bar>> {
    const ROLES: u64 = 1_000;
    const THREADS: usize = 32;
    /// Each takes about a second.
    const BY_ONE: u64 = 1_000;
    const BY_ALL: u64 = 6_000;
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), CACHE_BYTES)?;
    let branches = (0..THREADS).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<Vec<_>>>()?;
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("1 thread", || commits::commit(&engine, &branches[..1], 1, ROLES, BY_ONE)),
            Candidate::new("32 branches", || commits::commit(&engine, &branches, THREADS, ROLES, BY_ALL)),
            Candidate::new("1 branch", || commits::commit(&engine, &branches[..1], THREADS, ROLES, BY_ALL)),
        ],
    )?;
    let bar = |name: &str, index: usize| {
        let name = format!("durable commits: {name} to 1 thread");
        Bar::rates(name, ("32 threads", times[index]), ("1 thread", times[0]), Limit::AtLeast(4.0))
    };
    Ok(vec![bar("32 threads on 32 branches", 1), bar("32 threads on one branch", 2)])
}
