//! Transactions never wait for each other's branches in a circle.

use std::{collections::BTreeSet, sync::Arc};

use offshoot_engine::{BranchId, NamespaceId};

use crate::{in_many_orders, locks::Locks, sync::thread};

#[test]
fn transactions_on_the_same_branches_all_come_to_an_end() {
    let branches = |numbers: &[u64]| {
        let branch = |number: &u64| BranchId::new(NamespaceId::SYSTEM, *number);
        numbers.iter().map(branch).collect::<BTreeSet<_>>()
    };
    in_many_orders(move || {
        let locks = Arc::new(Locks::new());
        // Numbers that are in another order than their stripes are: 257 shares one with 1.
        let threads = [[2_u64, 257], [1, 2], [257, 258]].map(|numbers| {
            let locks = Arc::clone(&locks);
            thread::spawn(move || drop(locks.hold(&branches(&numbers))))
        });
        let patient = thread::spawn({
            let locks = Arc::clone(&locks);
            move || {
                // A patient one that needs more than it has takes it only where it is free.
                let mut held = locks.hold_patiently(&branches(&[2]));
                locks.try_extend(&mut held, &branches(&[1, 2]));
            }
        });
        threads.into_iter().chain([patient]).for_each(|thread| thread.join().expect("no panic"));
    });
}
