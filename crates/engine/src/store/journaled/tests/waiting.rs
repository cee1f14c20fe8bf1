//! Whoever waits is woken, whoever else waits and writes at that moment, and whoever waits for space gets it.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;

use super::{SimStore, open, sim_index::SimHome, small_sizes};
use crate::store::{Commit, Store, StoreError, Submitted, Ticket, Write, disk::sim::SimDisk};

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

/// Submits small commits one after the other, more than there is space for, and waits for none but the last.
fn submit_many(store: &SimStore, writer: usize, count: usize) {
    let put = |number: usize| vec![Write::Put(Bytes::from(format!("{writer}")), Bytes::from(format!("{number}")))];
    let tickets: Vec<Ticket> = (0..count).map(|number| submit(store, put(number))).collect();
    store.wait(*tickets.last().unwrap()).unwrap();
}

fn assert_segments_have_the_usual_size(disk: &SimDisk) {
    for (name, bytes) in disk.files().into_iter().filter(|(name, _)| name.starts_with("journal/")) {
        assert_eq!(bytes, small_sizes().segment_bytes, "{name}");
    }
}

#[test]
fn commits_that_nobody_waits_for_are_written_when_space_is_short_and_need_no_larger_segments() {
    let disk = SimDisk::new();
    let store = open(&disk, &SimHome::default()).unwrap();
    submit_many(&store, 0, 500);
    store.close().unwrap();
    assert_segments_have_the_usual_size(&disk);
}

#[test]
fn all_who_wait_for_space_get_it_although_nobody_waits_for_the_commits_before() {
    let disk = SimDisk::new();
    let store = open(&disk, &SimHome::default()).unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn({
                let store = &store;
                move || submit_many(store, writer, 2_000)
            });
        }
    });
    store.close().unwrap();
    assert_segments_have_the_usual_size(&disk);
}

#[test]
fn whoever_waits_for_space_gets_it_from_a_commit_that_is_accepted_later_and_that_nobody_waits_for() {
    for _ in 0..20 {
        let home = SimHome::default();
        let store = open(&SimDisk::new(), &home).unwrap();
        thread::scope(|scope| {
            home.hold(|| {
                // One waits for the index to say what was there before, the others for their turn; they have reserved a page each, and the segment has one
                // too few.
                for writer in 0..7 {
                    let write = Write::Put(Bytes::from(format!("{writer}")), Bytes::from("value"));
                    let store = &store;
                    scope.spawn(move || submit(store, vec![write]));
                }
                while !store.shared.space().is_awaited() {
                    thread::yield_now();
                }
            });
        });
    }
}

#[test]
fn a_failure_ends_the_wait_for_space() {
    let disk = SimDisk::new();
    let store = open(&disk, &SimHome::default()).unwrap();
    disk.stop_after(disk.operations() + 30);
    let failed = (0..10_000).find_map(|number: u32| {
        let writes = vec![Write::Put(Bytes::from("key"), Bytes::copy_from_slice(&number.to_be_bytes()))];
        store.submit(Commit { conditions: Vec::new(), writes }).err()
    });
    assert!(matches!(failed, Some(StoreError::Poisoned { .. } | StoreError::NoSpace { .. })), "{failed:?}");
}

#[test]
fn no_space_is_made_for_a_commit_that_is_too_large() {
    let disk = SimDisk::new();
    let store = open(&disk, &SimHome::default()).unwrap();
    let writes = vec![Write::Put(Bytes::from("key"), Bytes::from(vec![0; store.max_commit_bytes()]))];
    let refused = store.submit(Commit { conditions: Vec::new(), writes });
    assert!(matches!(refused, Err(StoreError::CommitTooLarge { .. })), "{refused:?}");
    store.close().unwrap();
    assert_segments_have_the_usual_size(&disk);
}
