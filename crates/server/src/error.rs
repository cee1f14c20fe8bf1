//! Why the server could not start or go on, and how a person is told.

use std::{error::Error as StdError, io, iter::successors, net::SocketAddr, path::PathBuf, process::ExitCode};

/// Why the server could not start or go on.
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
        source: offshoot_engine::StoreError,
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
    /// The operating system gave no randomness for a key.
    #[error("cannot generate an API key")]
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
    let texts: Vec<String> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
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
