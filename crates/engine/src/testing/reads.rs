//! Checks diffs and histories against the naive model.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    model::{Map, ModelBranch, ModelVersion},
    steps::key,
};
use crate::{Difference, Direction, Engine, KeyRange, Lsn, Point, Revision, Version, error::Error};

/// Compares what can be read of each branch's past, and the differences between versions of any two branches.
pub(super) fn check(engine: &Engine, branches: &[ModelBranch]) -> Result<(), TestCaseError> {
    for branch in branches {
        check_history(engine, branch)?;
        check_changes(engine, branch)?;
        for number in (0..600).step_by(149) {
            check_key_history(engine, branches, branch, &key(number))?;
        }
    }
    // Each version with its neighbours in the list of all: mostly of one branch, sometimes of two that are far apart.
    let all: Vec<_> = branches.iter().flat_map(|branch| branch.versions.iter().map(move |one| (branch, one))).collect();
    for distance in [1, 3] {
        for (one, other) in all.iter().zip(all.iter().skip(distance)) {
            check_diff(engine, *one, *other)?;
            check_diff(engine, *other, *one)?;
        }
    }
    Ok(())
}

fn check_history(engine: &Engine, branch: &ModelBranch) -> Result<(), TestCaseError> {
    let snapshot = engine.snapshot()?;
    for (direction, limit) in [(Direction::Ascending, 3), (Direction::Descending, 1), (Direction::Descending, 1_000)] {
        let mut found = Vec::new();
        let mut seen: Option<Lsn> = None;
        loop {
            let page = match (seen, direction) {
                (None, _) => snapshot.history(branch.id, .., direction, limit)?,
                (Some(lsn), Direction::Descending) => snapshot.history(branch.id, ..lsn, direction, limit)?,
                (Some(lsn), Direction::Ascending) => {
                    snapshot.history(branch.id, Lsn::new(lsn.get() + 1).., direction, limit)?
                }
            };
            let Some(last) = page.last() else { break };
            prop_assert!(page.len() <= limit);
            seen = Some(last.version.lsn());
            found.extend(page.into_iter().map(|entry| entry.version));
        }
        if direction == Direction::Descending {
            found.reverse();
        }
        prop_assert_eq!(found.len(), branch.versions.len());
        for (found, expected) in found.iter().zip(&branch.versions) {
            // That such a version has the right map, was checked before.
            let found = (found.branch(), found.lsn(), found.time());
            prop_assert_eq!(found, (expected.branch, expected.lsn, expected.time));
        }
    }
    Ok(())
}

fn check_changes(engine: &Engine, branch: &ModelBranch) -> Result<(), TestCaseError> {
    let entries = engine.snapshot()?.history(branch.id, .., Direction::Ascending, usize::MAX)?;
    let mut before: Option<&ModelVersion> = None;
    for (entry, version) in entries.iter().zip(&branch.versions) {
        prop_assert_eq!(entry.before().map(Version::lsn), before.map(|before| before.lsn));
        let nothing = Map::new();
        let expected = match before {
            None if version.branch != branch.id || !branch.is_whole() => None,
            before => Some(naive_diff(before.map_or(&nothing, |before| &before.map), &version.map, &KeyRange::ALL)),
        };
        let changes = entry.changes(KeyRange::ALL).map(|changes| changes.collect::<Result<Vec<_>, _>>());
        prop_assert_eq!(changes.transpose()?, expected);
        before = Some(version);
    }
    Ok(())
}

fn check_diff(
    engine: &Engine,
    (branch, before): (&ModelBranch, &ModelVersion),
    (other, after): (&ModelBranch, &ModelVersion),
) -> Result<(), TestCaseError> {
    let version = |branch: &ModelBranch, version: &ModelVersion| engine.version(branch.id, Point::Lsn(version.lsn));
    let (older, newer) = (version(branch, before)?, version(other, after)?);
    let middle = Bytes::from(key(300));
    let ranges = [
        KeyRange::ALL,
        KeyRange { start: std::ops::Bound::Excluded(middle.clone()), ..KeyRange::ALL },
        KeyRange { end: std::ops::Bound::Included(middle), ..KeyRange::ALL },
    ];
    for range in ranges {
        let found = older.diff(&newer, range.clone()).collect::<Result<Vec<_>, Error>>()?;
        prop_assert_eq!(found, naive_diff(&before.map, &after.map, &range));
    }
    Ok(())
}

fn naive_diff(before: &Map, after: &Map, range: &KeyRange) -> Vec<Difference> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).filter(|key| range.contains(key)).collect();
    let value = |map: &Map, key| map.get(key).cloned().map(Bytes::from);
    let all = keys.into_iter().map(|key| Difference {
        key: key.clone().into(),
        before: value(before, key),
        after: value(after, key),
    });
    all.filter(|difference| difference.before != difference.after).collect()
}

/// A branch's versions and those it comes from, newest first, as far as they can be read; and whether that is all of them.
fn lineage<'a>(branches: &'a [ModelBranch], branch: &'a ModelBranch) -> (Vec<&'a ModelVersion>, bool) {
    let (mut branch, mut versions) = (branch, branch.versions.iter().rev().collect::<Vec<_>>());
    loop {
        let oldest = versions[versions.len() - 1];
        if oldest.branch == branch.id || !branch.is_whole() {
            return (versions, branch.is_whole());
        }
        // The branch began with a version of another one, which may be gone, or may not reach back so far.
        let Some(owner) = branches.iter().find(|other| other.id == oldest.branch) else { return (versions, false) };
        if owner.versions[0].lsn > oldest.lsn {
            return (versions, false);
        }
        versions.extend(owner.versions.iter().rev().filter(|version| version.lsn < oldest.lsn));
        branch = owner;
    }
}

/// What tells one revision from another.
type Told = (crate::BranchId, Lsn, Option<Bytes>, bool);

fn check_key_history(
    engine: &Engine,
    branches: &[ModelBranch],
    branch: &ModelBranch,
    key: &[u8],
) -> Result<(), TestCaseError> {
    let (versions, is_whole) = lineage(branches, branch);
    let value = |version: &ModelVersion| version.map.get(key).cloned().map(Bytes::from);
    let expected: Vec<Told> = (0..versions.len())
        .filter_map(|at| {
            let before = versions.get(at + 1);
            let changed = value(versions[at]) != before.and_then(|before| value(before));
            let may_be_older = before.is_none() && !is_whole;
            changed.then(|| (versions[at].branch, versions[at].lsn, value(versions[at]), may_be_older))
        })
        .collect();
    let told = |revision: Revision| {
        let Revision { version, value, may_be_older } = revision;
        (version.branch(), version.lsn(), value, may_be_older)
    };
    let snapshot = engine.snapshot()?;
    let all = snapshot.key_history(branch.id, key, .., usize::MAX)?;
    prop_assert_eq!(all.into_iter().map(told).collect::<Vec<_>>(), expected.clone());
    // The same in pages.
    let (mut found, mut until): (Vec<Told>, _) = (Vec::new(), Lsn::new(u64::MAX));
    loop {
        let page = snapshot.key_history(branch.id, key, ..until, 2)?;
        found.extend(page.into_iter().map(told));
        match found.last() {
            Some((_, lsn, ..)) if *lsn < until => until = *lsn,
            _ => break,
        }
    }
    prop_assert_eq!(found, expected);
    Ok(())
}
