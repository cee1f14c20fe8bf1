//! What can go wrong with a dump.

use std::io;

use crate::store::StoreError;

/// Why a dump was not written, or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// What the dump is written to, or read from, refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file does not begin as a dump does.
    #[error("this is not a dump of a store; give a file that `dump` has written")]
    NotADump,
    /// The dump was written by a release with another format.
    #[error("the dump has format {found}, but this release reads format {known}")]
    UnknownFormat {
        /// The format that was found.
        found: u32,
        /// The format that this release reads and writes.
        known: u32,
    },
    /// The dump is not what was written.
    #[error("the dump is damaged at byte {offset}: {what}; use another copy of it")]
    Damaged {
        /// Where the part that is wrong begins, or the dump ends too early, counted from the dump's first byte.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// An entry cannot be in a dump.
    #[error("the dump cannot take an entry: {what}")]
    InvalidEntry {
        /// The rule that the entry breaks, and its key.
        what: String,
    },
    /// A dump is loaded into empty stores only.
    #[error("the store is not empty, or somebody else writes to it; load the dump into a new one")]
    NotEmpty,
    /// The store that is dumped, or loaded into, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DumpError {
    /// A function for `map_err` that says what was tried: "cannot `action`".
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
