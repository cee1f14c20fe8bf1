//! Locks on branches, held while a commit is built on a branch's head and submitted; never while it becomes durable.
//!
//! They only spare wasted work: the store refuses a commit that builds on a head that has moved, whoever moved it.

use std::collections::BTreeSet;

use crate::{
    BranchId,
    sync::{Mutex, MutexGuard},
};

const STRIPES: usize = 256;

pub(crate) struct Locks {
    stripes: Box<[Mutex<()>]>,
    /// Held by a transaction that runs under locks from its start; such transactions run one at a time.
    patient: Mutex<()>,
}

/// Some stripes, held; by default, none.
#[derive(Default)]
pub(crate) struct Held<'a> {
    stripes: Vec<(usize, MutexGuard<'a, ()>)>,
    patient: Option<MutexGuard<'a, ()>>,
}

impl Held<'_> {
    pub(crate) fn is_nothing(&self) -> bool {
        self.stripes.is_empty() && self.patient.is_none()
    }
}

impl Locks {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(), patient: Mutex::new(()) }
    }

    /// Locks for a commit.
    pub(crate) fn hold(&self, branches: &BTreeSet<BranchId>) -> Held<'_> {
        // In the order of the stripes, so that two transactions never wait for each other.
        let stripes = stripes(branches).into_iter().map(|stripe| (stripe, self.stripes[stripe].lock())).collect();
        Held { stripes, patient: None }
    }

    /// Locks for a whole attempt, body and all.
    pub(crate) fn hold_patiently(&self, branches: &BTreeSet<BranchId>) -> Held<'_> {
        let patient = self.patient.lock();
        Held { patient: Some(patient), ..self.hold(branches) }
    }

    /// Adds what `held` lacks, without waiting, since that could be out of order; false when another transaction holds one.
    pub(crate) fn try_extend<'a>(&'a self, held: &mut Held<'a>, branches: &BTreeSet<BranchId>) -> bool {
        stripes(branches).into_iter().all(|stripe| {
            if held.stripes.iter().any(|(own, _)| *own == stripe) {
                return true;
            }
            let guard = self.stripes[stripe].try_lock();
            guard.map(|guard| held.stripes.push((stripe, guard))).is_some()
        })
    }
}

fn stripes(branches: &BTreeSet<BranchId>) -> BTreeSet<usize> {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of stripes")]
    let stripe = |branch: &BranchId| (branch.number() % STRIPES as u64) as usize;
    branches.iter().map(stripe).collect()
}
