//! Whoever waits for a commit is woken, whoever writes it.

use std::sync::Arc;

use crate::{
    in_many_orders,
    queue::{Pending, Queue},
    store::{Sequence, StoreError},
    sync::{Mutex, thread},
    turns::Turns,
};

/// A store without a disk: what is written is durable.
struct Store {
    queue: Queue,
    turns: Turns<()>,
    /// How many commits were accepted; held while one is ordered.
    accepted: Mutex<u64>,
}

impl Store {
    fn new() -> Self {
        let queue = Queue::new(Sequence::ZERO, usize::MAX);
        Self { queue, turns: Turns::new(()), accepted: Mutex::new(0) }
    }

    fn submit(&self) -> Sequence {
        let mut accepted = self.accepted.lock();
        *accepted += 1;
        let sequence = Sequence::new(*accepted);
        self.queue.push(Pending { sequence, writes: Arc::from([]), before: Vec::new(), bytes: 1 });
        sequence
    }

    fn write_group(&self) -> bool {
        let group = self.queue.take(2);
        if let Some(newest) = group.last() {
            self.queue.durable(newest.sequence);
        }
        !group.is_empty()
    }

    fn wait(&self, sequence: Sequence) -> Result<(), StoreError> {
        let write_group = |(): &mut ()| {
            self.write_group();
        };
        self.turns.take_one(write_group, || self.queue.call_for_work());
        self.queue.wait(sequence)
    }

    fn commit_thread(&self) {
        self.turns.take_all(|| self.queue.wait_for_work(), |()| self.write_group());
    }
}

#[test]
fn every_commit_is_written_and_whoever_waits_for_it_is_woken() {
    in_many_orders(|| {
        let store = Arc::new(Store::new());
        let committing = thread::spawn({
            let store = Arc::clone(&store);
            move || store.commit_thread()
        });
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let sequence = store.submit();
                        store.wait(sequence).expect("nothing fails");
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        store.queue.close();
        committing.join().expect("no panic");
    });
}

#[test]
fn a_failure_wakes_all_who_wait() {
    in_many_orders(|| {
        let store = Arc::new(Store::new());
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    let sequence = store.submit();
                    // Nobody writes it.
                    assert!(matches!(store.queue.wait(sequence), Err(StoreError::Poisoned { .. })));
                })
            })
            .collect();
        store.queue.fail(&StoreError::Closed);
        waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic"));
    });
}
