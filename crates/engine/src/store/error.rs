//! What can go wrong in a store.

use std::{io, path::PathBuf, sync::Arc};

use super::Sequence;

/// Why a store could not do what was asked.
///
/// All waiters of a failed group of commits get the same error, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another part of this one, has the store open.
    #[error("the store in {} is already open; close it there, or use another directory", path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// What is stored is not what was written.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What is wrong.
        what: String,
    },
    /// The store's data is older than what the store has acknowledged.
    #[error(
        "the store went back to commit {found}, but commit {expected} was acknowledged; \
         restore the directory from a backup"
    )]
    RolledBack {
        /// The newest commit that is known to have been acknowledged.
        expected: Sequence,
        /// The newest commit that was found.
        found: Sequence,
    },
    /// There is no space for more commits. Nothing was written, reads go on, and commits are taken again when there is space.
    #[error("there is no space for more commits; free some on the disk and try again")]
    NoSpace {
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An earlier failure left it open what is durable, so the store takes no more commits.
    #[error("the store takes no more commits, because an earlier one failed; open it again")]
    Poisoned {
        /// The earlier failure.
        #[source]
        cause: Arc<Self>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// One commit writes more than the store takes at once.
    #[error("the commit has {bytes} bytes, but the store takes at most {max} at once; split it")]
    CommitTooLarge {
        /// The bytes of the commit's keys and values.
        bytes: usize,
        /// The most that the store takes.
        max: usize,
    },
    /// The commit breaks a rule that its author should have kept.
    #[error("the commit is invalid: {what}")]
    InvalidCommit {
        /// The rule, and the key that breaks it.
        what: String,
    },
    /// The change feed does not go back that far.
    #[error("the change feed begins after commit {oldest}; read the store anew and follow it from there")]
    FeedGone {
        /// The oldest commit whose successors are all kept.
        oldest: Sequence,
    },
    /// The store was written by a release with another format.
    #[error("the store in {} has format {found}, but this release reads format {known}", path.display())]
    UnknownFormat {
        /// The store's directory.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The format that this release reads and writes.
        known: u32,
    },
    /// A read that must not wait needs what is not in memory.
    #[error("what is asked for is not in memory; ask in a way that may wait for the disk")]
    NotInMemory,
    /// A store across a network gave no answer: the commit may or may not have been applied.
    #[error("the store did not say whether the commit was applied; read back what it wrote before trying again")]
    OutcomeUnknown,
}

impl StoreError {
    /// A function for `map_err` that says what was tried: "cannot `action`".
    pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source: Arc::new(source) }
    }
}
