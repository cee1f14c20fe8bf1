//! The `offshoot` command.

use clap::Parser;
use offshoot_server::{Command, CommandLine, report, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Command::Serve(options) = CommandLine::parse().command;
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}
