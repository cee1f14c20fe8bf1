//! Random commits against a model that copies everything.

use std::{collections::BTreeMap, ops::Bound};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::*;

/// How many different keys there are: enough for several pages and few enough to collide.
const KEYS: u8 = 60;

#[derive(Clone, Debug)]
enum Step {
    /// Opens a snapshot; the bool says whether it is of durable commits.
    Open(bool),
    /// Closes one of the open snapshots.
    Close(prop::sample::Index),
    /// Reads a range from one of the open snapshots.
    Range(prop::sample::Index, KeyRange, Direction),
    /// Reads a key from one of the open snapshots.
    Get(prop::sample::Index, u8),
    /// Commits, on the condition that a range is as one of the open snapshots shows it, if there is a condition. The last bool says whether to wait.
    Commit(BTreeMap<u8, Option<u8>>, Option<(prop::sample::Index, KeyRange)>, bool),
    /// Closes the store, and all snapshots, and opens it again.
    Reopen,
}

fn key_bytes(key: u8) -> Bytes {
    // Keys of several lengths, some being the beginning of others.
    Bytes::from(format!("{:02}{}", key / 3, "x".repeat(usize::from(key % 3))))
}

fn bound() -> impl Strategy<Value = Bound<Bytes>> {
    prop_oneof![
        2 => (0..KEYS).prop_map(|key| Bound::Included(key_bytes(key))),
        2 => (0..KEYS).prop_map(|key| Bound::Excluded(key_bytes(key))),
        1 => Just(Bound::Unbounded),
    ]
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        3 => (bound(), bound()).prop_map(|(start, end)| KeyRange { start, end }),
        1 => (0..KEYS).prop_map(|key| KeyRange::key(key_bytes(key))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let writes = prop::collection::btree_map(0..KEYS, any::<Option<u8>>(), 0..12);
    let condition = prop::option::of((index(), range()));
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Open),
        3 => index().prop_map(Step::Close),
        8 => (index(), range(), direction).prop_map(|(snapshot, range, direction)| Step::Range(snapshot, range, direction)),
        4 => (index(), 0..KEYS).prop_map(|(snapshot, key)| Step::Get(snapshot, key)),
        12 => (writes, condition, any::<bool>()).prop_map(|(writes, condition, wait)| Step::Commit(writes, condition, wait)),
        1 => Just(Step::Reopen),
    ]
}

type Entries = BTreeMap<Bytes, Bytes>;

/// Everything that ever was, copied.
struct Model {
    /// The entries after each commit, the first being those before all.
    states: Vec<Entries>,
    /// The keys that each commit wrote, the first being none.
    written: Vec<Vec<Bytes>>,
}

impl Model {
    fn at(&self, sequence: Sequence) -> Result<&Entries, TestCaseError> {
        let index = usize::try_from(sequence.number()).unwrap_or(usize::MAX);
        self.states.get(index).ok_or_else(|| TestCaseError::fail(format!("there was no commit {sequence}")))
    }

    /// Whether nothing in `range` was written after `since`.
    fn holds(&self, range: &KeyRange, since: Sequence) -> bool {
        let later = self.written.iter().enumerate().filter(|(sequence, _)| *sequence as u64 > since.number());
        later.flat_map(|(_, keys)| keys).all(|key| !range.contains(key))
    }

    fn apply(&mut self, writes: &[Write]) {
        let mut entries = self.states.last().cloned().unwrap_or_default();
        for write in writes {
            match write.value() {
                Some(value) => entries.insert(write.key().clone(), value.clone()),
                None => entries.remove(write.key()),
            };
        }
        self.states.push(entries);
        self.written.push(writes.iter().map(|write| write.key().clone()).collect());
    }

    fn newest(&self) -> u64 {
        self.states.len() as u64 - 1
    }
}

/// Random commits, conditions, snapshots, reads and reopenings give what a model gives that copies everything.
pub fn random_commits_agree_with_the_model<M: Medium>() -> Result<(), StoreError> {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(step(), 1..80), |steps| run::<M>(&steps));
    assert!(outcome.is_ok(), "{}", outcome.err().map(|error| error.to_string()).unwrap_or_default());
    Ok(())
}

fn failed(error: StoreError) -> TestCaseError {
    TestCaseError::fail(format!("the store failed: {error:?}"))
}

fn run<M: Medium>(steps: &[Step]) -> Result<(), TestCaseError> {
    let medium = M::new();
    let mut model = Model { states: vec![Entries::new()], written: vec![Vec::new()] };
    for session in steps.split(|step| matches!(step, Step::Reopen)) {
        let store = medium.open();
        let mut snapshots = Vec::new();
        for step in session {
            run_step(&store, &mut snapshots, &mut model, step)?;
        }
    }
    let store = medium.open();
    let snapshot = store.snapshot(View::Durable).map_err(failed)?;
    prop_assert_eq!(snapshot.sequence().number(), model.newest());
    check_range(&*snapshot, &model, &KeyRange::ALL, Direction::Ascending)
}

fn run_step<'s, S: Store>(
    store: &'s S,
    snapshots: &mut Vec<Box<dyn Snapshot + 's>>,
    model: &mut Model,
    step: &Step,
) -> Result<(), TestCaseError> {
    match step {
        Step::Open(durable) => {
            let view = if *durable { View::Durable } else { View::Latest };
            let snapshot = store.snapshot(view).map_err(failed)?;
            prop_assert!(*durable || snapshot.sequence().number() == model.newest());
            snapshots.push(snapshot);
        }
        Step::Commit(writes, condition, wait) => {
            let condition = condition.as_ref().filter(|_| !snapshots.is_empty());
            let condition = condition.map(|(index, range)| (range.clone(), index.get(snapshots).sequence()));
            run_commit(store, model, writes, condition, *wait)?;
        }
        Step::Reopen => {}
        _ if snapshots.is_empty() => {}
        Step::Close(index) => drop(snapshots.swap_remove(index.index(snapshots.len()))),
        Step::Range(index, range, direction) => check_range(&**index.get(snapshots), model, range, *direction)?,
        Step::Get(index, key) => {
            let (snapshot, key) = (index.get(snapshots), key_bytes(*key));
            let expected = model.at(snapshot.sequence())?.get(&key);
            let found = snapshot.get(&key).map_err(failed)?;
            prop_assert_eq!(found.as_ref(), expected);
        }
    }
    Ok(())
}

fn run_commit<S: Store>(
    store: &S,
    model: &mut Model,
    writes: &BTreeMap<u8, Option<u8>>,
    condition: Option<(KeyRange, Sequence)>,
    wait: bool,
) -> Result<(), TestCaseError> {
    let writes: Vec<_> = writes
        .iter()
        .map(|(key, value)| match value {
            Some(value) => Write::Put(key_bytes(*key), Bytes::from(vec![*value; usize::from(*value)])),
            None => Write::Delete(key_bytes(*key)),
        })
        .collect();
    let applies = condition.as_ref().is_none_or(|(range, since)| model.holds(range, *since));
    let conditions =
        condition.into_iter().map(|(range, unchanged_since)| Condition { range, unchanged_since }).collect();
    match store.submit(Commit { conditions, writes: writes.clone() }).map_err(failed)? {
        Submitted::Conflict => prop_assert!(!applies, "a conflict, although the condition holds"),
        Submitted::Applied(ticket) => {
            prop_assert!(applies, "accepted, although the condition does not hold");
            if !writes.is_empty() {
                model.apply(&writes);
            }
            prop_assert_eq!(ticket.sequence().number(), model.newest());
            if wait {
                store.wait(ticket).map_err(failed)?;
            }
        }
    }
    Ok(())
}

fn check_range(
    snapshot: &dyn Snapshot,
    model: &Model,
    range: &KeyRange,
    direction: Direction,
) -> Result<(), TestCaseError> {
    let found = snapshot.range(range, direction).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let entries = model.at(snapshot.sequence())?.iter().filter(|(key, _)| range.contains(key));
    let mut expected: Vec<_> = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
    if direction == Direction::Descending {
        expected.reverse();
    }
    prop_assert_eq!(found, expected);
    Ok(())
}
