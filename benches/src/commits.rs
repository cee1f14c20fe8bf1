//! Durable commits by several threads at once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use offshoot_engine::{BranchId, Engine};

use crate::{Outcome, trees};

/// Runs `work` by `threads` threads at once as long as there is `more`. Each call of both gets a number of its own, from 0 up, and `work` also
/// the number of its thread. Gives how often `work` was done.
///
/// # Errors
///
/// What `work` fails with.
pub fn at_once(
    threads: usize,
    more: impl Fn(u64) -> bool + Sync,
    work: impl Fn(usize, u64) -> Outcome<()> + Sync,
) -> Outcome<u64> {
    let next = AtomicU64::new(0);
    let run = |thread: usize| -> Outcome<u64> {
        let mut done = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if !more(number) {
                return Ok(done);
            }
            work(thread, number)?;
            done += 1;
        }
    };
    let run = &run;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| "a committing thread panicked")?).sum()
    })
}

/// Commits `count` changes of single roles, `threads` at once, each on its own of `branches` or, where there are fewer, on one that it shares.
/// Gives how many were acknowledged.
///
/// # Errors
///
/// What the engine fails with.
pub fn commit(engine: &Engine, branches: &[BranchId], threads: usize, roles: u64, count: u64) -> Outcome<u64> {
    let put = |thread: usize, number: u64| {
        let branch = branches[thread % branches.len()];
        Ok(trees::put(engine, branch, number * 7_919 % roles, number)?)
    };
    at_once(threads, |number| number < count, put)
}
