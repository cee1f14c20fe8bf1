//! Reads: deep against shallow, and against raw sled.

use std::{cell::RefCell, ops::Bound, path::Path};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    open, roles,
    rounds::{Candidate, interleaved},
    trees,
};
use offshoot_engine::{BranchId, Direction, KeyRange};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{CACHE_BYTES, ROUNDS};

/// Get, and list of 20, at a random one of 1,000 branches with 1,000 roles each: deep against shallow, and against raw sled with as many keys.
pub(crate) fn reads() -> Outcome<Vec<Bar>> {
    const BRANCHES: u64 = 1_000;
    const ROLES: u64 = 1_000;
    const GETS: u64 = 50_000;
    const LISTS: u64 = 10_000;
    let directory = tempfile::tempdir()?;
    let engine = open(directory.path(), CACHE_BYTES)?;
    let shallow = trees::at_depth(&engine, 1, BRANCHES, ROLES)?;
    let deep = trees::at_depth(&engine, 4_096, BRANCHES, ROLES)?;
    let unshared = (0..BRANCHES).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<Vec<_>>>()?;
    let raw = raw_sled(directory.path(), BRANCHES, ROLES)?;

    let random = RefCell::new(SmallRng::seed_from_u64(7));
    let pick = || {
        let mut random = random.borrow_mut();
        (random.random_range(0..BRANCHES), random.random_range(0..ROLES - 20))
    };
    let get = |branches: &[BranchId]| -> Outcome<u64> {
        for _ in 0..GETS {
            let (branch, role) = pick();
            let found = engine.head(branches[usize::try_from(branch)?])?.get(&roles::key(role))?;
            found.ok_or("a role is missing")?;
        }
        Ok(GETS)
    };
    let list = |branches: &[BranchId]| -> Outcome<u64> {
        for _ in 0..LISTS {
            let (branch, role) = pick();
            let start = Bound::Included(roles::key(role).to_vec().into());
            let range = KeyRange { start, end: Bound::Unbounded };
            let head = engine.head(branches[usize::try_from(branch)?])?;
            let found = head.range(range, Direction::Ascending).take(20).filter(Result::is_ok).count();
            (found == 20).then_some(()).ok_or("a role is missing")?;
        }
        Ok(LISTS)
    };
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("get, depth 1", || get(&shallow)),
            Candidate::new("get, depth 4096", || get(&deep)),
            Candidate::new("get, unshared", || get(&unshared)),
            Candidate::new("raw sled get", || {
                for _ in 0..GETS {
                    let (branch, role) = pick();
                    raw.get(raw_key(branch, role))?.ok_or("a role is missing")?;
                }
                Ok(GETS)
            }),
            Candidate::new("list, depth 1", || list(&shallow)),
            Candidate::new("list, depth 4096", || list(&deep)),
            Candidate::new("list, unshared", || list(&unshared)),
            Candidate::new("raw sled scan", || {
                for _ in 0..LISTS {
                    let (branch, role) = pick();
                    let found = raw.range(raw_key(branch, role)..).take(20).filter(Result::is_ok).count();
                    (found == 20).then_some(()).ok_or("a role is missing")?;
                }
                Ok(LISTS)
            }),
        ],
    )?;
    let bar = |name: &str, of: usize, to: usize, limit| {
        let names = ["depth 1", "depth 4,096", "unshared", "raw sled"];
        Bar::times(name, (names[of % 4], times[of]), (names[to % 4], times[to]), limit)
    };
    Ok(vec![
        bar("get: depth 4,096 to depth 1", 1, 0, Limit::AtMost(1.2)),
        bar("get: depth 1 to raw sled", 0, 3, Limit::AtMost(1.0)),
        bar("get: depth 4,096 to raw sled", 1, 3, Limit::AtMost(1.0)),
        bar("get: branches that share nothing to raw sled", 2, 3, Limit::None),
        bar("list of 20: depth 4,096 to depth 1", 5, 4, Limit::AtMost(1.2)),
        bar("list of 20: depth 1 to raw sled", 4, 7, Limit::AtMost(1.0)),
        bar("list of 20: depth 4,096 to raw sled", 5, 7, Limit::AtMost(1.0)),
        bar("list of 20: branches that share nothing to raw sled", 6, 7, Limit::None),
    ])
}

fn raw_key(branch: u64, role: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&branch.to_be_bytes());
    key[8..].copy_from_slice(&roles::key(role));
    key
}

fn raw_sled(directory: &Path, branches: u64, roles: u64) -> Outcome<sled::Db> {
    let config = sled::Config::new().path(directory.join("raw")).cache_capacity(CACHE_BYTES);
    let raw = config.flush_every_ms(None).open()?;
    for branch in 0..branches {
        let mut batch = sled::Batch::default();
        for role in 0..roles {
            batch.insert(&raw_key(branch, role), &roles::value(role, branch)[..]);
        }
        raw.apply_batch(batch)?;
    }
    raw.flush()?;
    Ok(raw)
}
