//! Interleaved rounds: each round runs every candidate once, so that what else the machine does meets all of them alike.

use std::time::{Duration, Instant};

use crate::Outcome;

/// Something to be measured: one call does a number of operations and says how many.
pub struct Candidate<'a> {
    /// Its name in the report.
    pub name: String,
    /// Does some operations.
    pub run: Box<dyn FnMut() -> Outcome<u64> + 'a>,
}

impl<'a> Candidate<'a> {
    /// A candidate with this name.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Outcome<u64> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The median time per operation of each candidate, in their order.
///
/// In each round a candidate runs twice, and the second run counts: the first one brings its data back into the processor's caches, where the
/// candidate before has left its own.
///
/// # Errors
///
/// What a candidate fails with.
pub fn interleaved(rounds: usize, candidates: &mut [Candidate<'_>]) -> Outcome<Vec<Duration>> {
    let mut times: Vec<Vec<Duration>> = candidates.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for _ in 0..rounds {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            (candidate.run)()?;
            let start = Instant::now();
            let operations = (candidate.run)()?;
            times.push(start.elapsed().div_f64(operations.max(1) as f64));
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// The one in the middle; of an even number, the later of the two.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
