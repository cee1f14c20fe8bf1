//! Random work on a tree of branches, done by the engine and by the naive model side by side.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use proptest::{prelude::*, sample::Index};

use super::{
    ManualClock,
    collecting::Kept,
    model::{Map, ModelBranch, ModelVersion},
    reads,
};
use crate::{Direction, Engine, Error, KeyRange, Lsn, NamespaceId, Options, Point, Store, Table, Version};

/// One step of random work. Branches are named by an index into those that exist by then.
#[derive(Clone, Debug)]
pub enum Step {
    /// Changes some keys of a branch.
    Commit {
        /// Which branch.
        branch: Index,
        /// Keys by number, each with the length of its new value, or none where it goes.
        changes: Vec<(u16, Option<u16>)>,
        /// How far beyond the head the caller puts the LSN, where it gives one.
        lsn: Option<u8>,
    },
    /// Removes a run of neighbouring keys of a branch.
    Clear {
        /// Which branch.
        branch: Index,
        /// The first key's number.
        from: u16,
        /// How many numbers.
        count: u16,
    },
    /// Moves a branch's LSN without a change.
    Advance {
        /// Which branch.
        branch: Index,
        /// How far.
        by: u8,
    },
    /// Makes a child.
    Fork {
        /// Which branch.
        branch: Index,
        /// Where.
        point: Where,
    },
    /// Deletes a branch, unless it is the last.
    Delete {
        /// Which branch.
        branch: Index,
    },
    /// Puts a pin, or moves it.
    Pin {
        /// The pin's number.
        name: u8,
        /// Which branch.
        branch: Index,
        /// Where.
        point: Where,
    },
    /// Releases a pin.
    Unpin {
        /// The pin's number.
        name: u8,
    },
    /// Makes a child of what a pin keeps.
    ForkPinned {
        /// The pin's number.
        name: u8,
    },
    /// Opens a version, and keeps it open for some steps.
    Open {
        /// Which branch.
        branch: Index,
        /// Where.
        point: Where,
    },
    /// Sets the retention window, or none.
    Window {
        /// In milliseconds.
        millis: Option<u8>,
    },
    /// Collects garbage.
    Collect {
        /// With this budget and for this many steps, or all there is.
        some: Option<(u8, u8)>,
    },
    /// Makes a namespace with a branch of some keys, or deletes the one that was made last.
    Namespace,
    /// Writes or removes a record.
    Record {
        /// The record's number.
        key: u8,
        /// Its new value's length.
        value: Option<u8>,
    },
    /// Moves the clock, possibly back.
    Clock {
        /// By how many microseconds.
        micros: i32,
    },
    /// Closes the engine and opens it again on the same store.
    Reopen,
    /// Empties the caches.
    Forget,
}

/// A point near a version.
#[derive(Clone, Debug)]
pub enum Where {
    /// The head.
    Head,
    /// The LSN of one of the versions, plus or minus a few.
    Lsn(Index, i8),
    /// The instant of one of the versions, plus or minus a few microseconds.
    Time(Index, i8),
}

/// Random steps: mostly commits, with all others among them.
pub fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..=count)
}

/// A random step.
pub fn step() -> impl Strategy<Value = Step> {
    let lengths = prop_oneof![8 => 0..300_u16, 1 => 2_000..16_384_u16];
    let change = (0..600_u16, proptest::option::weighted(0.7, lengths));
    prop_oneof![
        8 => (any::<Index>(), proptest::collection::vec(change, 1..40), proptest::option::weighted(0.2, any::<u8>()))
            .prop_map(|(branch, changes, lsn)| Step::Commit { branch, changes, lsn }),
        2 => (any::<Index>(), 0..600_u16, 1..600_u16)
            .prop_map(|(branch, from, count)| Step::Clear { branch, from, count }),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(branch, by)| Step::Advance { branch, by }),
        4 => (any::<Index>(), place()).prop_map(|(branch, point)| Step::Fork { branch, point }),
        2 => any::<Index>().prop_map(|branch| Step::Delete { branch }),
        1 => (0..3_u8, any::<Index>(), place()).prop_map(|(name, branch, point)| Step::Pin { name, branch, point }),
        1 => (0..3_u8).prop_map(|name| Step::Unpin { name }),
        1 => (0..3_u8).prop_map(|name| Step::ForkPinned { name }),
        1 => (any::<Index>(), place()).prop_map(|(branch, point)| Step::Open { branch, point }),
        1 => proptest::option::weighted(0.8, any::<u8>()).prop_map(|millis| Step::Window { millis }),
        2 => proptest::option::of((any::<u8>(), 1..10_u8)).prop_map(|some| Step::Collect { some }),
        1 => Just(Step::Namespace),
        2 => (any::<u8>(), proptest::option::weighted(0.7, any::<u8>()))
            .prop_map(|(key, value)| Step::Record { key, value }),
        2 => (-5_000..50_000_i32).prop_map(|micros| Step::Clock { micros }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Forget),
    ]
}

fn place() -> impl Strategy<Value = Where> {
    prop_oneof![
        Just(Where::Head),
        (any::<Index>(), -2..=2_i8).prop_map(|(version, near)| Where::Lsn(version, near)),
        (any::<Index>(), -2..=2_i8).prop_map(|(version, near)| Where::Time(version, near)),
    ]
}

const RECORDS: Table = Table::new("records");

/// Does `steps` on an engine over what `open` gives, and on the naive model, and compares every read on every branch at every version, the history of
/// each branch and of some keys, and the differences between versions.
///
/// `open` opens the same store each time; the one it gave before is closed by then. The first commit writes `first_keys` keys.
///
/// # Errors
///
/// The first difference, or an error that the engine should not have given.
pub fn check_against_model<S: Store>(
    steps: &[Step],
    first_keys: u16,
    options: &Options,
    mut open: impl FnMut() -> S,
) -> Result<(), TestCaseError> {
    let start = DateTime::from_timestamp(1_700_000_000, 0).ok_or_else(|| TestCaseError::fail("no such instant"))?;
    let clock = ManualClock::new(start);
    let options = options.clone().with_clock(clock.clone());
    let engine = Engine::open(open(), options.clone())?;
    let mut run = Run { engine: Some(engine), clock, branches: Vec::new(), records: Map::new(), kept: Kept::default() };
    run.create(first_keys)?;
    for step in steps {
        if matches!(step, Step::Reopen) {
            // Whoever had a version open is gone with the process.
            run.kept.open.clear();
            run.engine = None;
            run.engine = Some(Engine::open(open(), options.clone())?);
        } else {
            run.step(step)?;
        }
    }
    run.check_everything()?;
    run.collect_all()?;
    run.check_everything()
}

pub(super) struct Run {
    /// None only while it is opened again.
    pub(super) engine: Option<Engine>,
    pub(super) clock: ManualClock,
    pub(super) branches: Vec<ModelBranch>,
    records: Map,
    pub(super) kept: Kept,
}

type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub(super) fn key(number: u16) -> Vec<u8> {
    // Keys of different lengths, in an order that is not that of their numbers.
    format!("{:03}{}", number.wrapping_mul(7_919) % 1_000, "k".repeat(usize::from(number % 13))).into_bytes()
}

fn value(seed: u16, bytes: u16) -> Vec<u8> {
    (0..bytes).map(|at| at.wrapping_mul(31).wrapping_add(seed).to_be_bytes()[1]).collect()
}

impl Run {
    pub(super) fn engine(&self) -> Result<&Engine, TestCaseError> {
        self.engine.as_ref().ok_or_else(|| TestCaseError::fail("no engine"))
    }

    fn create(&mut self, keys: u16) -> Result<(), TestCaseError> {
        let changes: Changes = (0..keys).map(|number| (key(number), Some(value(number, number % 40)))).collect();
        let made = self.engine()?.transact(|tx| {
            let branch = tx.create_branch(NamespaceId::SYSTEM)?;
            for (key, value) in &changes {
                tx.put(branch, key, value.as_deref().unwrap_or_default())?;
            }
            Ok::<_, Error>(branch)
        })?;
        let map = changes.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let [(_, lsn)] = made.versions[..] else { return Err(TestCaseError::fail("one version was expected")) };
        let version = ModelVersion { branch: made.value, lsn, time: made.instant, map };
        self.branches.push(ModelBranch::new(made.value, version, lsn));
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Commit { branch, changes, lsn } => {
                let seed = u16::try_from(changes.len()).unwrap_or_default();
                let changes =
                    changes.iter().map(|(number, bytes)| (key(*number), bytes.map(|bytes| value(seed, bytes))));
                self.commit(branch.index(self.branches.len()), &changes.collect(), *lsn)
            }
            Step::Clear { branch, from, count } => {
                let changes = (*from..from.saturating_add(*count)).map(|number| (key(number), None)).collect();
                self.commit(branch.index(self.branches.len()), &changes, None)
            }
            Step::Advance { branch, by } => self.advance(branch.index(self.branches.len()), *by),
            Step::Fork { branch, point } => self.fork(branch.index(self.branches.len()), point),
            Step::Delete { branch } => self.delete(branch.index(self.branches.len())),
            Step::Pin { name, branch, point } => self.pin(*name, branch.index(self.branches.len()), point),
            Step::Unpin { name } => self.unpin(*name),
            Step::ForkPinned { name } => self.fork_pinned(*name),
            Step::Open { branch, point } => self.open(branch.index(self.branches.len()), point),
            Step::Window { millis } => self.set_window(*millis),
            Step::Collect { some } => self.collect(*some),
            Step::Namespace => self.namespace(),
            Step::Record { key, value } => self.record(*key, *value),
            Step::Clock { micros } => {
                self.clock.advance(TimeDelta::microseconds(i64::from(*micros)));
                Ok(())
            }
            Step::Forget => {
                self.engine()?.forget_cached();
                Ok(())
            }
            Step::Reopen => Ok(()),
        }
    }

    fn commit(&mut self, at: usize, changes: &Changes, lsn: Option<u8>) -> Result<(), TestCaseError> {
        let (id, head) = (self.branches[at].id, self.branches[at].head_lsn);
        let given = lsn.map(|beyond| Lsn::new(head.get() + u64::from(beyond)));
        let outcome = self.engine()?.transact(|tx| {
            if let Some(lsn) = given {
                tx.advance(id, lsn)?;
            }
            for (key, value) in changes {
                match value {
                    Some(value) => tx.put(id, key, value)?,
                    None => tx.delete(id, key)?,
                }
                prop_assert_eq!(&tx.get(id, key)?.map(Vec::from), value, "a transaction reads what it wrote");
            }
            Ok(())
        });
        if given == Some(head) {
            prop_assert!(outcome.is_err(), "an LSN that is not greater than the head is refused");
            return Ok(());
        }
        let committed = outcome?;
        let [(branch, lsn)] = committed.versions[..] else { return Err(TestCaseError::fail("no version")) };
        prop_assert_eq!(branch, id);
        prop_assert!(lsn > head && given.is_none_or(|given| given == lsn));
        prop_assert!(committed.instant > self.branches[at].head().time, "instants of a branch increase");
        self.branches[at].commit(lsn, committed.instant, changes);
        let version = self.engine()?.head(id)?;
        check_version(&version, self.branches[at].head())
    }

    fn advance(&mut self, at: usize, by: u8) -> Result<(), TestCaseError> {
        let branch = &mut self.branches[at];
        let lsn = Lsn::new(branch.head_lsn.get() + u64::from(by));
        let engine = self.engine.as_ref().ok_or_else(|| TestCaseError::fail("no engine"))?;
        let outcome = engine.transact(|tx| tx.advance(branch.id, lsn));
        match outcome {
            Err(Error::LsnNotGreater { .. }) if by == 0 => {}
            outcome => {
                prop_assert!(outcome?.versions.is_empty(), "an advance makes no version");
                branch.head_lsn = lsn;
            }
        }
        Ok(())
    }

    pub(super) fn point(&self, at: usize, place: &Where) -> Point {
        let versions = &self.branches[at].versions;
        match place {
            Where::Head => Point::Head,
            Where::Lsn(version, near) => {
                let lsn = version.get(versions).lsn.get().saturating_add_signed(i64::from(*near));
                Point::Lsn(Lsn::new(lsn))
            }
            Where::Time(version, near) => {
                Point::Time(version.get(versions).time + TimeDelta::microseconds(i64::from(*near)))
            }
        }
    }

    fn fork(&mut self, at: usize, place: &Where) -> Result<(), TestCaseError> {
        let (point, parent) = (self.point(at, place), self.branches[at].clone());
        match self.engine()?.transact(|tx| tx.fork(parent.id, point)) {
            Ok(forked) => {
                let fork = forked.value;
                let child = parent.fork(fork.branch, point);
                let child = child.ok_or_else(|| TestCaseError::fail(format!("{point:?} is outside the history")))?;
                prop_assert_eq!(fork.lsn, child.head_lsn);
                prop_assert_eq!((fork.origin.lsn, fork.origin.time), (child.head().lsn, child.head().time));
                check_version(&self.engine()?.head(fork.branch)?, child.head())?;
                self.branches.push(child);
            }
            Err(Error::LsnOutsideHistory { .. }) => prop_assert!(parent.at(point).is_none()),
            // The present is not the model's to know: it may end between the newest version and a few microseconds later.
            Err(Error::TimeOutsideHistory { asked, present, .. }) => {
                prop_assert!(parent.at(point).is_none() || asked >= present);
            }
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }

    fn delete(&mut self, at: usize) -> Result<(), TestCaseError> {
        if self.branches.len() == 1 {
            return Ok(());
        }
        let branch = self.branches.remove(at).id;
        let engine = self.engine()?;
        engine.transact(|tx| tx.delete_branch(branch))?;
        prop_assert!(matches!(engine.head(branch), Err(Error::BranchNotFound(_))));
        prop_assert!(matches!(engine.transact(|tx| tx.put(branch, b"k", b"v")), Err(Error::BranchNotFound(_))));
        Ok(())
    }

    fn record(&mut self, number: u8, length: Option<u8>) -> Result<(), TestCaseError> {
        let (key, value) = (vec![number], length.map(|length| value(u16::from(number), u16::from(length))));
        self.engine()?.transact(|tx| match &value {
            Some(value) => tx.record_put(NamespaceId::SYSTEM, RECORDS, &key, value),
            None => tx.record_delete(NamespaceId::SYSTEM, RECORDS, &key),
        })?;
        match value {
            Some(value) => self.records.insert(key, value),
            None => self.records.remove(&key),
        };
        Ok(())
    }

    fn check_everything(&self) -> Result<(), TestCaseError> {
        let engine = self.engine()?;
        for branch in &self.branches {
            let info = engine.branch(branch.id)?;
            prop_assert_eq!(info.head_lsn, branch.head_lsn);
            prop_assert_eq!((info.first_lsn, info.first_time), (branch.versions[0].lsn, branch.versions[0].time));
            for version in &branch.versions {
                for point in near(version) {
                    match (engine.version(branch.id, point), branch.at(point)) {
                        (Ok(found), Some(expected)) => check_version(&found, expected)?,
                        (Err(Error::LsnOutsideHistory { .. } | Error::TimeOutsideHistory { .. }), None) => {}
                        (Err(Error::TimeOutsideHistory { asked, present, .. }), _) if asked >= present => {}
                        (found, expected) => {
                            let why = format!("{point:?}: found {found:?}, expected {expected:?}");
                            return Err(TestCaseError::fail(why));
                        }
                    }
                }
            }
        }
        self.check_kept()?;
        let snapshot = engine.snapshot()?;
        let records =
            snapshot.records(NamespaceId::SYSTEM, RECORDS, &KeyRange::ALL, Direction::Ascending, usize::MAX)?;
        prop_assert_eq!(owned(records), self.records.clone());
        reads::check(engine, &self.branches)
    }
}

/// The points at a version and right beside it.
fn near(version: &ModelVersion) -> [Point; 6] {
    let lsn = version.lsn.get();
    let micro = TimeDelta::microseconds(1);
    [
        Point::Lsn(Lsn::new(lsn - 1)),
        Point::Lsn(version.lsn),
        Point::Lsn(Lsn::new(lsn + 1)),
        Point::Time(version.time - micro),
        Point::Time(version.time),
        Point::Time(version.time + micro),
    ]
}

fn owned(entries: Vec<(Bytes, Bytes)>) -> Map {
    entries.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

pub(super) fn check_version(found: &Version, expected: &ModelVersion) -> Result<(), TestCaseError> {
    prop_assert_eq!((found.lsn(), found.time()), (expected.lsn, expected.time));
    let all = found.range(KeyRange::ALL, Direction::Ascending).collect::<Result<Vec<_>, _>>()?;
    prop_assert!(all.is_sorted());
    prop_assert_eq!(owned(all), expected.map.clone());
    // A few ranges that begin and end at, before and after keys, in both directions.
    for number in (0..600).step_by(97) {
        let (low, high) = (Bytes::from(key(number)), Bytes::from(key(number + 50)));
        prop_assert_eq!(found.get(&low)?.map(Vec::from), expected.map.get(low.as_ref()).cloned());
        for (start, end) in [
            (Bound::Included(low.clone()), Bound::Excluded(high.clone())),
            (Bound::Excluded(low.clone()), Bound::Included(high.clone())),
            (Bound::Unbounded, Bound::Excluded(low.clone())),
            (Bound::Excluded(high.clone()), Bound::Unbounded),
        ] {
            let range = KeyRange { start, end };
            let inside = |(key, _): &(&Vec<u8>, &Vec<u8>)| range.contains(key);
            let mut expected: Vec<_> = expected.map.iter().filter(inside).collect();
            for direction in [Direction::Ascending, Direction::Descending] {
                let found = found.range(range.clone(), direction).collect::<Result<Vec<_>, _>>()?;
                prop_assert!(
                    found
                        .iter()
                        .map(|(key, value)| (&key[..], &value[..]))
                        .eq(expected.iter().map(|(key, value)| (&key[..], &value[..])))
                );
                expected.reverse();
            }
        }
    }
    Ok(())
}
