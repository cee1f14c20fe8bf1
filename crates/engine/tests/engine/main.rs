//! What the engine promises, shown from outside.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail by a panic, in its helpers too")]

mod bulk;
mod check;
mod collect;
mod crash;
mod damage;
mod feed;
mod in_memory;
mod instants;
mod isolation;
mod model;
mod pins;
mod purge;
mod structure;
mod transactions;
