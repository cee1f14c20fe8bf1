//! Commits whose effects tell afterwards which of them are there, and whether any is there by half.

use std::collections::VecDeque;

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::store::{Commit, Direction, KeyRange, Sequence, Store, StoreError, Submitted, Ticket, View, Write};

/// How many entries of each writer's log are kept: commit `n` adds entry `n` and deletes entry `n - KEPT`.
const KEPT: u64 = 4;
/// How many independent counters there are.
pub(crate) const WRITERS: usize = 3;

/// What was asked of a store, and what it acknowledged; one of a [`Workload`]'s counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counter {
    submitted: u64,
    acknowledged: u64,
}

/// A sequence of commits of several counters, by seed.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    counters: [Counter; WRITERS],
    /// Who submitted each of the store's commits, oldest first.
    history: Vec<usize>,
    /// How many bytes the largest values have.
    large_bytes: usize,
}

fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// A key that is overwritten by each commit; there are two of each writer, always with the same value.
fn twin(writer: usize, which: char) -> Bytes {
    Bytes::from(format!("twin/{writer}/{which}"))
}

fn log(writer: usize, entry: u64) -> Bytes {
    Bytes::from(format!("log/{writer}/{entry:08}"))
}

impl Workload {
    pub(crate) fn new() -> Self {
        // Some values fill several pages of the journal.
        Self::with_large_values(9000)
    }

    /// A workload in which one value of seven has this many bytes, and the others have a few.
    pub(crate) fn with_large_values(large_bytes: usize) -> Self {
        Self { counters: [Counter::default(); WRITERS], history: Vec::new(), large_bytes }
    }

    /// What a log entry holds.
    fn log_value(&self, writer: usize, entry: u64) -> Bytes {
        let length =
            if entry.is_multiple_of(7) { self.large_bytes } else { usize::try_from(entry % 5).unwrap_or(0) * 40 };
        let fill = (entry ^ writer as u64).to_le_bytes()[0];
        Bytes::from(vec![fill; length + 8])
    }

    /// What was acknowledged in all.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.counters.iter().map(|counter| counter.acknowledged).sum()
    }

    /// Says that the commits up to `newest`, and no others, are known to have been acknowledged.
    pub(crate) fn acknowledged_up_to(&mut self, newest: Sequence) {
        let counts = self.counts(newest.number());
        for (counter, acknowledged) in self.counters.iter_mut().zip(counts) {
            counter.acknowledged = acknowledged;
        }
    }

    /// How many of the oldest `commits` each writer submitted.
    fn counts(&self, commits: u64) -> [u64; WRITERS] {
        let mut counts = [0; WRITERS];
        for writer in &self.history[..usize::try_from(commits).unwrap()] {
            counts[*writer] += 1;
        }
        counts
    }

    fn submit(&mut self, store: &impl Store, writer: usize) -> Result<Ticket, StoreError> {
        let entry = self.counters[writer].submitted + 1;
        let mut writes = vec![
            Write::Put(twin(writer, 'a'), number(entry)),
            Write::Put(twin(writer, 'b'), number(entry)),
            Write::Create(log(writer, entry), self.log_value(writer, entry)),
        ];
        if entry > KEPT {
            writes.push(Write::Delete(log(writer, entry - KEPT)));
        }
        // Whether it is accepted or not: it may be there afterwards.
        self.counters[writer].submitted = entry;
        self.history.push(writer);
        match store.submit(Commit { conditions: Vec::new(), writes })? {
            Submitted::Applied(ticket) => Ok(ticket),
            Submitted::Conflict => unreachable!("there are no conditions"),
        }
    }

    /// Commits up to `count` times, or until the store fails; waits for commits now and then, and for the last ones.
    pub(crate) fn run(&mut self, store: &impl Store, count: usize, seed: u64) -> Result<(), StoreError> {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut open: VecDeque<(Ticket, usize, u64)> = VecDeque::new();
        for _ in 0..count {
            let writer = random.random_range(0..WRITERS);
            let ticket = self.submit(store, writer)?;
            open.push_back((ticket, writer, self.counters[writer].submitted));
            while open.len() > 6 || (!open.is_empty() && random.random_bool(0.4)) {
                self.wait_for_oldest(store, &mut open)?;
            }
        }
        while !open.is_empty() {
            self.wait_for_oldest(store, &mut open)?;
        }
        Ok(())
    }

    fn wait_for_oldest(
        &mut self,
        store: &impl Store,
        open: &mut VecDeque<(Ticket, usize, u64)>,
    ) -> Result<(), StoreError> {
        if let Some((ticket, writer, entry)) = open.pop_front() {
            store.wait(ticket)?;
            self.counters[writer].acknowledged = entry;
        }
        Ok(())
    }

    /// Checks that a store has all that was acknowledged, nothing that was not asked for, no commit without those before it, and nothing by
    /// half; what it has then counts as acknowledged.
    pub(crate) fn check(&mut self, store: &impl Store) -> Result<(), StoreError> {
        let snapshot = store.snapshot(View::Durable)?;
        let mut expected = Vec::new();
        for writer in 0..WRITERS {
            let counter = self.counters[writer];
            let found = snapshot
                .get(&twin(writer, 'a'))?
                .map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().unwrap()));
            let range = counter.acknowledged..=counter.submitted;
            assert!(range.contains(&found), "writer {writer}: {found} is there, and {range:?} can be");
            self.counters[writer] = Counter { submitted: found, acknowledged: found };
            expected.extend(
                (found.saturating_sub(KEPT) + 1..=found)
                    .map(|entry| (log(writer, entry), self.log_value(writer, entry))),
            );
            if found > 0 {
                expected.extend(['a', 'b'].map(|which| (twin(writer, which), number(found))));
            }
        }
        let commits = self.acknowledged();
        let found = self.counters.map(|counter| counter.acknowledged);
        assert_eq!(found, self.counts(commits), "a commit is there without one before it");
        self.history.truncate(usize::try_from(commits).unwrap());
        expected.sort_unstable();
        let entries: Result<Vec<_>, _> = snapshot.range(&KeyRange::ALL, Direction::Ascending).collect();
        assert!(entries? == expected, "a commit is there by half, or twice");
        Ok(())
    }
}
