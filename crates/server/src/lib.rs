//! The `offshoot` binary as a library: its command line, and [`serve()`], which runs the server until a signal ends it.
//!
//! To build a server of your own, take `offshoot-catalog` and `offshoot-api`; this crate only wires them together.

mod args;
mod driver_none;
mod error;
mod first_key;
mod log;
mod serve;

pub use args::{Command, CommandLine, ComputeDriver, ServeOptions, StoreKind};
pub use error::{Error, report};
pub use serve::serve;

/// Keeps the examples of the README true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
