//! The built binary, used as its users use it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod backup;
mod check;
mod clients;
mod common;
mod compute;
mod console;
mod control;
mod lifecycle;
mod refusals;
mod walk;
