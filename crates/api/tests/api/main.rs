//! The router, without a network.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod account;
mod branching;
mod common;
mod deletion;
mod document;
mod endpoints;
mod history;
mod isolation;
mod lists;
mod load;
mod many_roles;
mod requests;
mod snapshots;
mod stalls;
