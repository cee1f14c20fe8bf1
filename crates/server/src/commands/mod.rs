//! The commands, and the status with which each ends.

mod admin;
mod check;
mod dump;
mod load;
mod output;
mod repair;

use crate::{Command, Error, log, report, serve};
use offshoot_engine::SledStore;
use rustix::fs::Mode;
use std::{
    io::{Write, stdout},
    path::Path,
    process::ExitCode,
};

/// Something is wrong, or has to be done.
const FOUND: u8 = 1;
/// For commands whose status 1 says that they found something: they failed.
const FAILED: u8 = 2;

/// Does what a command says, tells what went wrong, and gives the exit status.
pub fn run(command: &Command) -> ExitCode {
    let (outcome, failed) = match command {
        Command::Serve(options) => (serve(options).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Command::Dump(options) => (begin().and_then(|()| dump::run(options)), ExitCode::FAILURE),
        Command::Load(options) => (begin().and_then(|()| load::run(options)), ExitCode::FAILURE),
        Command::Check(options) => (begin().and_then(|()| check::run(options)), ExitCode::from(FAILED)),
        Command::Account(command) => (begin().and_then(|()| admin::account(command)), ExitCode::FAILURE),
        Command::Key(command) => (begin().and_then(|()| admin::key(command)), ExitCode::FAILURE),
        Command::PasswordKey(command) => (begin().and_then(|()| admin::password_key(command)), ExitCode::FAILURE),
        Command::Purge(options) => (begin().and_then(|()| admin::purge(options)), ExitCode::FAILURE),
        Command::Repair(options) => (begin().and_then(|()| repair::run(options)), ExitCode::from(FAILED)),
    };
    outcome.unwrap_or_else(|error| {
        report(&error);
        failed
    })
}

/// What every command but `serve` begins with.
fn begin() -> Result<(), Error> {
    // Whatever is created is for its user alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    log::init("warn")
}

/// Refuses a directory in which no store ever was, before something is made or locked there.
fn require_store(path: &Path) -> Result<(), Error> {
    let is_there = SledStore::is_in(path).map_err(|source| Error::Store { path: path.to_owned(), source })?;
    if is_there { Ok(()) } else { Err(Error::NoStore { path: path.to_owned() }) }
}

/// Prints for people.
fn tell(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    let told = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    told.map_err(|source| Error::Output { file: "standard output".to_owned(), source })
}
