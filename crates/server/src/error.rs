//! Why a command could not do what it should, and how a person is told.

use crate::ControlError;
use offshoot_catalog::ParsePasswordKeysError;
use offshoot_compute::{DriverError, ExecutorError};
use offshoot_engine::{StoreError, dump::DumpError};
use std::{error::Error as StdError, io, iter::successors, net::SocketAddr, path::PathBuf, process::ExitCode};

/// Why a command could not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data directory cannot be made or used.
    #[error("cannot use the data directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store in the data directory cannot be opened.
    #[error("cannot open the store in {}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// Computes can't be run as they are asked to be.
    #[error("cannot run computes")]
    Compute(#[from] DriverError),
    /// The executor of operations can't be started.
    #[error("cannot start to do operations")]
    Executor(#[from] ExecutorError),
    /// Computes are elsewhere, and nothing says where.
    #[error("--compute external needs --servers FILE, or the environment's OFFSHOOT_SERVERS")]
    NoServers,
    /// There is no store to work on.
    #[error("there is no store in {}; give the data directory of a server", path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A server has the data directory open, and cannot do for the command what it needs.
    #[error("{} is in use by {holder}; stop it first{advice}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process.
        holder: String,
        /// What could be done instead.
        advice: &'static str,
    },
    /// A server has the data directory open, and did not do what it was asked for.
    #[error("{} is in use by {holder}; stop it, or try again when it is ready", path.display())]
    Control {
        /// The directory.
        path: PathBuf,
        /// The process.
        holder: String,
        /// What went wrong.
        source: ControlError,
    },
    /// A server ended its answer before it was whole.
    #[error("the dump ended before it was whole; the server's log says why, and it can be tried again")]
    EndedEarly(#[source] DumpError),
    /// A file that is to be written is there already.
    #[error("{} exists already; give another name, or --force to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Standard output is no place for the bytes of a dump.
    #[error("standard output is a terminal, and a dump is not for reading; redirect it, or give the name of a file")]
    Terminal,
    /// A file, or standard output, cannot be written.
    #[error("cannot write {file}")]
    Output {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A store cannot be dumped.
    #[error("cannot dump {}", path.display())]
    Dump {
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: DumpError,
    },
    /// A dump is loaded into new directories only.
    #[error("{} is not empty; give a directory that is missing or empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A dump cannot be loaded.
    #[error("cannot load {} into {}", file.display(), path.display())]
    Load {
        /// The dump.
        file: PathBuf,
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: DumpError,
    },
    /// A dump cannot be read.
    #[error("cannot check {}", path.display())]
    CheckDump {
        /// The dump.
        path: PathBuf,
        /// Why.
        source: DumpError,
    },
    /// A store cannot be checked.
    #[error("cannot check {}", path.display())]
    Check {
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// A store cannot be repaired.
    #[error("cannot repair {}", path.display())]
    Repair {
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The engine cannot work on the store.
    #[error("cannot open the engine")]
    Engine(#[from] offshoot_engine::Error),
    /// The catalog cannot work on the engine, or refused the first account or key.
    #[error(transparent)]
    Catalog(#[from] offshoot_catalog::Error),
    /// `OFFSHOOT_API_KEY` cannot be a key.
    #[error("OFFSHOOT_API_KEY cannot be the first key")]
    FirstKey(#[source] offshoot_catalog::Error),
    /// There is no such account.
    #[error("there is no account {name:?}; `offshoot account list` shows those that there are")]
    NoAccount {
        /// The name.
        name: String,
    },
    /// The server that has the data directory open refused what it was asked for, for the reason that it gave.
    #[error("{0}")]
    Refused(String),
    /// `OFFSHOOT_PASSWORD_KEYS` holds no password keys.
    #[error("OFFSHOOT_PASSWORD_KEYS does not hold password keys")]
    PasswordKeysInEnvironment(#[source] ParsePasswordKeysError),
    /// The file with the password keys cannot be read, or not be written.
    #[error("cannot use the password key file {}", path.display())]
    PasswordKeyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others than its owner could read the password keys.
    #[error("the password key file {} can be read by others; run chmod 600 on it", path.display())]
    PasswordKeyFileOpen {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no password keys.
    #[error("{} does not hold password keys; bring back the right file, or remove it to begin with a new key", path.display())]
    PasswordKeyFileUnfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ParsePasswordKeysError,
    },
    /// The operating system gave no randomness for a key.
    #[error("cannot generate a key")]
    Entropy(#[from] offshoot_catalog::EntropyError),
    /// There is no safe place for a generated key.
    #[error(
        "a memory store has no directory to write a generated API key to, and standard output is not a terminal; \
         set OFFSHOOT_API_KEY to the key to use"
    )]
    NowhereForKey,
    /// The generated key cannot be written.
    #[error("cannot write the API key to {}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// `OFFSHOOT_LOG` is not a filter.
    #[error("OFFSHOOT_LOG is not a log filter; write it as in `info` or `warn,offshoot_api=debug`")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    /// Threads, signals or the listener failed.
    #[error("the operating system failed the server")]
    System(#[from] io::Error),
}

/// Tells a person on standard error, in one line, and gives the exit status of a failure.
#[expect(clippy::print_stderr, reason = "this is how a command says what went wrong")]
pub fn report(error: &Error) -> ExitCode {
    eprintln!("error: {}", chain(error));
    ExitCode::FAILURE
}

/// The error with its causes on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut texts: Vec<String> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    // An error that only passes another one on has its text.
    texts.dedup();
    texts.join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_on_one_line() {
        let error = Error::DataDir { path: "/nowhere".into(), source: io::Error::other("it is\nfull") };
        assert_eq!(chain(&error), "cannot use the data directory /nowhere: it is full");
    }
}
