//! Durable commits by several threads at once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use offshoot_engine::{BranchId, Engine};

use crate::{Outcome, trees};

/// Commits `count` changes of single roles, `threads` at once, each on its own of `branches` or, where there are fewer, on one that it shares.
/// Gives how many were acknowledged.
///
/// # Errors
///
/// What the engine fails with.
pub fn commit(engine: &Engine, branches: &[BranchId], threads: usize, roles: u64, count: u64) -> Outcome<u64> {
    let next = AtomicU64::new(0);
    let work = |thread: usize| {
        let branch = branches[thread % branches.len()];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok::<_, offshoot_engine::Error>(());
            }
            trees::put(engine, branch, number * 7_919 % roles, number)?;
        }
    };
    let work = &work;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        for thread in running {
            thread.join().map_err(|_| "a committing thread panicked")??;
        }
        Ok(count)
    })
}
