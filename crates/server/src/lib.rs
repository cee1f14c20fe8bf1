//! The `offshoot` binary as a library: its command line, [`run`], which does what a command says, and [`serve()`], which runs the server until a
//! signal ends it.
//!
//! To build a server of your own, take `offshoot-catalog` and `offshoot-api`; this crate only wires them together.

mod admin;
mod args;
mod commands;
mod compute;
mod connections;
mod control;
mod error;
mod first_key;
mod housekeeping;
mod lock_holder;
mod log;
mod password_key;
mod progress;
mod serve;
mod whole_file;

pub use args::{
    AccountCommand, CheckOptions, Command, CommandLine, ComputeDriver, ComputeOptions, DumpOptions, KeyCommand,
    LoadOptions, PasswordKeyCommand, PasswordKeyOptions, PortRange, PurgeOptions, RepairOptions, ServeOptions,
    StoreKind, SystemRoles,
};
pub use commands::run;
pub use connections::serve_connections;
pub use control::ControlError;
pub use error::{Error, report};
pub use serve::serve;

/// Keeps the examples of the README true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
