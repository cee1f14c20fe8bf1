//! Copy-on-write branches of versioned, ordered maps.
//!
//! The engine keeps *branches*. A branch is a movable pointer to an immutable *version*: an ordered map of bytes. Each commit makes a new version with the
//! next [`Lsn`]; a [fork](Transaction::fork) makes a new branch that begins with a version of another one, current or past, in O(1) time and space, and a read costs
//! the same at any depth of the branch tree. Beside its branches, a *namespace* holds unversioned *records*.
//!
//! ```
//! use offshoot_engine::{Engine, Error, MemoryStore, NamespaceId, Options, Point};
//!
//! let engine = Engine::open(MemoryStore::new(), Options::default())?;
//!
//! let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
//! let sally = engine.transact(|tx| tx.put(main, b"sally", b"secret 1"))?;
//! engine.transact(|tx| tx.put(main, b"sally", b"secret 2"))?;
//!
//! // A child of the past: what came later is not in it, and nothing was copied.
//! let past = Point::Time(sally.instant);
//! let child = engine.transact(|tx| tx.fork(main, past))?.value.branch;
//! assert_eq!(engine.head(child)?.get(b"sally")?.as_deref(), Some(&b"secret 1"[..]));
//!
//! // What is done on the child never shows on the parent.
//! engine.transact(|tx| tx.delete(child, b"sally"))?;
//! assert_eq!(engine.head(main)?.get(b"sally")?.as_deref(), Some(&b"secret 2"[..]));
//! # Ok::<(), Error>(())
//! ```
//!
//! # What holds
//!
//! - [Transactions](Engine::transact) are serializable and durable, and may span branches, records and namespaces.
//! - Nobody is told anything that a crash could take back: reads show durable commits only.
//! - Each stored value has a checksum, and an immutable one is known to whoever refers to it: damage is an [`Error::Corrupt`] that names the key.
//! - [`check`] reads everything and says what is wrong with it.
//! - Where bytes are kept is behind the [`Store`] trait. [`MemoryStore`] is for tests; [`SledStore`] keeps a directory.
//!
//! # What it is not
//!
//! Not a database of table data, not a network service, and it does not interpret what it stores.

mod branch;
pub mod check;
mod clock;
mod codec;
mod collect;
mod engine;
mod error;
mod feed;
mod history;
mod id;
mod ids;
mod locks;
mod lsn;
mod pin;
mod readers;
mod retention;
mod snapshot;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transaction;
mod tree;
mod upgrade;
mod version;

#[cfg(feature = "sled")]
pub use self::store::{Repair, SledOptions, SledStore, StoreFinding, StorePart, StoreReport, StoreStatus};
pub use self::{
    branch::{BranchInfo, Origin, Point},
    clock::{Clock, SystemClock},
    collect::{BackgroundCollector, Collected, Collector, CollectorStatus, Pace, Step},
    engine::{Engine, Options},
    error::Error,
    feed::{Event, FeedCommit, FeedPage, Position},
    history::{HistoryEntry, Revision},
    id::{BranchId, NamespaceId, Table},
    lsn::{Lsn, ParseLsnError},
    pin::Pin,
    snapshot::Snapshot,
    store::{Direction, KeyRange, MemoryStore, Store, StoreError, dump},
    transaction::{Committed, Fork, Transaction},
    version::{Difference, Version},
};

/// What an implementer of [`Store`] needs.
pub mod storage {
    pub use crate::store::{
        Change, Commit, Condition, Direction, Entries, KeyRange, Sequence, Snapshot, Store, StoreError, Submitted,
        Ticket, View, Write,
    };
}

/// How many bytes a key has at most; it has at least one.
pub const MAX_KEY_BYTES: usize = 512;

/// How many bytes a value has at most.
pub const MAX_VALUE_BYTES: usize = 16 * 1024;

/// How many bytes a version's metadata has at most.
pub const MAX_METADATA_BYTES: usize = 256;
