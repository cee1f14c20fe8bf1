//! The router, without a network.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod account;
mod branching;
mod common;
mod document;
mod isolation;
mod lists;
mod requests;
