//! Whoever waits is woken, whoever else waits and writes at that moment.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;

use super::{SimStore, open, sim_index::SimHome};
use crate::store::{Commit, Store, Submitted, Ticket, Write, disk::sim::SimDisk};

const ROUNDS: usize = 20_000;

fn submit(store: &SimStore, writes: Vec<Write>) -> Ticket {
    match store.submit(Commit { conditions: Vec::new(), writes }).unwrap() {
        Submitted::Applied(ticket) => ticket,
        Submitted::Conflict => unreachable!("there are no conditions"),
    }
}

/// In each round one thread waits for what is durable already, so that it has nothing to write, while another one adds a commit and waits for it.
/// Nobody comes after the two, so a commit that neither writes, nor calls for, is waited for without end.
#[test]
fn a_commit_that_comes_while_another_waiter_finds_nothing_to_write_becomes_durable() {
    let store = Arc::new(open(&SimDisk::new(), &SimHome::default()).unwrap());
    let (round, arrived) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    // A barrier wakes its threads one after the other; this lets them go at once.
    let meet = |round: &Barrier, arrived: &AtomicUsize, number: usize| {
        round.wait();
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 2 * number {
            std::hint::spin_loop();
        }
    };
    let reader = {
        let (store, round, arrived) = (Arc::clone(&store), Arc::clone(&round), Arc::clone(&arrived));
        thread::spawn(move || {
            for number in 1..=ROUNDS {
                let durable = Ticket::new(store.newest_durable());
                meet(&round, &arrived, number);
                // The other thread needs a little longer to get to its wait.
                for _ in 0..number % 256 {
                    std::hint::spin_loop();
                }
                store.wait(durable).unwrap();
            }
        })
    };
    for number in 1..=ROUNDS {
        meet(&round, &arrived, number);
        let write = Write::Put(Bytes::from("key"), Bytes::copy_from_slice(&number.to_be_bytes()));
        store.wait(submit(&store, vec![write])).unwrap();
    }
    reader.join().unwrap();
}
