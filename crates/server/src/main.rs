//! The `offshoot` command.

use clap::Parser;
use offshoot_server::{CommandLine, run};
use std::process::ExitCode;

/// The system's own allocator is slower with many threads, and gives less memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&CommandLine::parse().command)
}
