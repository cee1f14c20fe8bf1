//! Who comes first, tried out: the modules in which threads wait for each other, with locks and atomics in the place of the usual ones that switch to another
//! thread wherever one could come in between.
//!
//! Thousands of random orders of each test are run. One in which all threads wait, or an assertion fails, is printed with what repeats it:
//! `shuttle::replay`. Atomics are as if all were sequentially consistent, which those of these modules are.

#![expect(clippy::expect_used, reason = "a test may fail by a panic, in its helpers too")]

mod sync;

/// What the modules look for in the crate.
mod store {
    pub(crate) use offshoot_engine::{
        StoreError,
        storage::{Sequence, Write},
    };
}
use offshoot_engine::BranchId;

#[path = "../../src/locks.rs"]
#[allow(dead_code, reason = "the tests need not all of it")]
mod locks;
#[path = "../../src/store/overlay/queue.rs"]
#[allow(dead_code, reason = "the tests need not all of it")]
mod queue;
#[path = "../../src/readers.rs"]
mod readers;
#[path = "../../src/store/journaled/turns.rs"]
#[allow(dead_code, reason = "the tests need not all of it")]
mod turns;

mod committing;
mod locking;
mod reading;

/// Runs a test in many orders: some at random, and some in which threads are stopped at few, but bad moments.
fn in_many_orders(test: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(test, 1_000);
    shuttle::check_pct(test, 1_000, 3);
}
