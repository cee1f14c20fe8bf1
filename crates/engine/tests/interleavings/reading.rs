//! The collector takes nothing from a reader.

use std::sync::Arc;

use crate::{
    in_many_orders,
    readers::Readers,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        thread,
    },
};

#[test]
fn a_grace_period_ends_when_those_from_before_have_left_and_not_for_those_who_came_since() {
    // In one thread: there is one order.
    shuttle::check_random(
        || {
            let readers = Readers::default();
            let before = readers.enter();
            let grace = readers.begin_grace().expect("nobody is left");
            let since = readers.enter();
            assert!(!readers.is_over(&grace));
            assert!(readers.begin_grace().is_none(), "those from before are still there");
            drop(before);
            assert!(readers.is_over(&grace));
            let next = readers.begin_grace().expect("those from before have left");
            assert!(!readers.is_over(&next));
            drop(since);
            assert!(readers.is_over(&next));
        },
        1,
    );
}

/// What can be found: the newest one; those before are taken when no reader can have found them.
struct World {
    readers: Readers,
    newest: AtomicUsize,
    is_taken: [AtomicBool; 3],
}

#[test]
fn nothing_is_taken_from_a_reader() {
    in_many_orders(|| {
        let world =
            Arc::new(World { readers: Readers::default(), newest: AtomicUsize::new(0), is_taken: Default::default() });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let _reader = world.readers.enter();
                        let found = world.newest.load(SeqCst);
                        assert!(!world.is_taken[found].load(SeqCst), "it was taken from a reader");
                    }
                })
            })
            .collect();
        for old in 0..2 {
            world.newest.store(old + 1, SeqCst);
            let grace = loop {
                match world.readers.begin_grace() {
                    Some(grace) => break grace,
                    None => thread::yield_now(),
                }
            };
            while !world.readers.is_over(&grace) {
                thread::yield_now();
            }
            world.is_taken[old].store(true, SeqCst);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    });
}
