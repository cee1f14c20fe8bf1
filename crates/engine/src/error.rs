//! What can go wrong.

use chrono::{DateTime, Utc};

use crate::{BranchId, Lsn, MAX_KEY_BYTES, MAX_METADATA_BYTES, MAX_VALUE_BYTES, NamespaceId, Position, StoreError};

/// Why the engine could not do what was asked. Nothing was changed, unless the variant says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A stored value is damaged, or is not the one that belongs there.
    #[error("corrupt value under key \"{}\": {what}", key.escape_ascii())]
    Corrupt {
        /// The key in the store.
        key: Vec<u8>,
        /// What is wrong with its value.
        what: &'static str,
    },
    /// The store holds something, but nothing of the engine's.
    #[error("the store holds data that is not the engine's; open an empty store")]
    ForeignStore,
    /// There is no such namespace, or it was deleted.
    #[error("namespace {0} does not exist")]
    NamespaceNotFound(NamespaceId),
    /// The system namespace cannot be deleted.
    #[error("the system namespace cannot be deleted")]
    SystemNamespace,
    /// There is no such branch, or it was deleted.
    #[error("branch {0} does not exist")]
    BranchNotFound(BranchId),
    /// The branch's readable history does not reach this LSN.
    #[error("LSN {asked} is outside the branch's history, which reaches from {first} to {last}")]
    LsnOutsideHistory {
        /// What was asked for.
        asked: Lsn,
        /// The first LSN that can be read.
        first: Lsn,
        /// The last LSN that can be read.
        last: Lsn,
    },
    /// The branch's readable history does not reach this instant.
    #[error("{asked} is outside the branch's history, which reaches from {first} to the present, {present}")]
    TimeOutsideHistory {
        /// What was asked for.
        asked: DateTime<Utc>,
        /// The first instant that can be read.
        first: DateTime<Utc>,
        /// The present; what can be read lies before it.
        present: DateTime<Utc>,
    },
    /// LSNs of a branch strictly increase.
    #[error("LSN {given} is not greater than the branch's head, {head}")]
    LsnNotGreater {
        /// What was given.
        given: Lsn,
        /// The branch's newest LSN.
        head: Lsn,
    },
    /// The branch has used its last LSN.
    #[error("branch {0} has used the last LSN")]
    LsnExhausted(BranchId),
    /// A key is empty or too long.
    #[error("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {0}")]
    KeyLength(usize),
    /// A value is too long.
    #[error("a value has at most {MAX_VALUE_BYTES} bytes, this one has {0}")]
    ValueLength(usize),
    /// The version was collected: it was older than the retention window, or its branch was deleted, and nobody had it open.
    #[error("the version at LSN {lsn} of branch {branch} is not kept any more")]
    VersionGone {
        /// The branch that made it.
        branch: BranchId,
        /// Its LSN.
        lsn: Lsn,
    },
    /// A version's metadata is too long.
    #[error("a version's metadata has at most {MAX_METADATA_BYTES} bytes, this has {0}")]
    MetadataLength(usize),
    /// What a transaction made has no version yet that could be forked or described.
    #[error("branch {0} was made or changed in this transaction; commit that first")]
    Uncommitted(BranchId),
    /// A transaction was started inside another one's body.
    #[error("a transaction cannot be started inside the body of another one; use the one that is open")]
    NestedTransaction,
    /// The feed does not go on from this position.
    #[error(
        "the feed reaches from position {first} to {last}, and does not go on from {asked}; \
         read a snapshot, and go on from its position"
    )]
    FeedGone {
        /// What was asked for.
        asked: Position,
        /// The first position that the feed goes on from.
        first: Position,
        /// The position after the newest commit.
        last: Position,
    },
    /// Others changed what the transaction read, each time that it ran.
    #[error("the transaction met conflicting ones in {attempts} attempts; try again when there is less load")]
    Contention {
        /// How often it ran.
        attempts: u32,
    },
    /// A mistake in the engine.
    #[error("bug in the engine: {0}")]
    Internal(&'static str),
}

impl Error {
    pub(crate) fn corrupt(key: &[u8], what: &'static str) -> Self {
        Self::Corrupt { key: key.to_vec(), what }
    }
}

pub(crate) fn check_key(key: &[u8]) -> Result<(), Error> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) { Ok(()) } else { Err(Error::KeyLength(key.len())) }
}

pub(crate) fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() <= MAX_VALUE_BYTES { Ok(()) } else { Err(Error::ValueLength(value.len())) }
}
