//! Trees of branches to read from and to fork.

use offshoot_engine::{BranchId, Engine, Error, NamespaceId, Point};

use crate::{Outcome, roles};

/// A root branch with `count` roles, in commits of bounded size.
///
/// # Errors
///
/// What the engine fails with.
pub fn root(engine: &Engine, count: u64) -> Outcome<BranchId> {
    let branch = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    fill(engine, branch, count)?;
    Ok(branch)
}

/// Puts `count` roles on a branch, in commits of bounded size.
///
/// # Errors
///
/// What the engine fails with.
pub fn fill(engine: &Engine, branch: BranchId, count: u64) -> Outcome<()> {
    for first in (0..count).step_by(10_000) {
        engine.transact(|tx| {
            (first..count.min(first + 10_000))
                .try_for_each(|number| tx.put(branch, &roles::key(number), &roles::value(number, 0)))
        })?;
    }
    Ok(())
}

/// A child of `parent` that has changed one role.
///
/// # Errors
///
/// What the engine fails with.
pub fn child(engine: &Engine, parent: BranchId, number: u64, seed: u64) -> Outcome<BranchId> {
    let child = engine.transact(|tx| tx.fork(parent, Point::Head))?.value.branch;
    engine.transact(|tx| tx.put(child, &roles::key(number), &roles::value(number, seed)))?;
    Ok(child)
}

/// `branches` branches of `roles` roles each, all `depth` generations below their root; each generation has changed a role.
///
/// # Errors
///
/// What the engine fails with.
pub fn at_depth(engine: &Engine, depth: u64, branches: u64, roles: u64) -> Outcome<Vec<BranchId>> {
    let mut tip = root(engine, roles)?;
    for generation in 1..depth {
        tip = child(engine, tip, generation * 7_919 % roles, generation)?;
    }
    (0..branches).map(|number| child(engine, tip, number * 104_729 % roles, depth + number)).collect()
}

/// Puts one role on a branch.
///
/// # Errors
///
/// What the engine fails with.
pub fn put(engine: &Engine, branch: BranchId, number: u64, seed: u64) -> Result<(), Error> {
    engine.transact(|tx| tx.put(branch, &roles::key(number), &roles::value(number, seed))).map(|_| ())
}
