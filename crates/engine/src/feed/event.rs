//! What a commit brought, read back from what it wrote.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    BranchId, BranchInfo, Lsn, NamespaceId,
    check::Key,
    clock::Micros,
    codec::{self, envelope, record},
    error::Error,
    store::Write,
};

/// Something that a commit brought.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A namespace was made.
    NamespaceCreated(NamespaceId),
    /// A namespace was deleted.
    NamespaceDeleted(NamespaceId),
    /// A branch was made, or changed: this is how it is now. Where that is a new head, its version is told, too.
    Branch(BranchInfo),
    /// A branch was deleted.
    BranchDeleted(BranchId),
    /// A branch has a new version.
    Version {
        /// The branch.
        branch: BranchId,
        /// The version's LSN.
        lsn: Lsn,
        /// The version's instant.
        time: DateTime<Utc>,
        /// What the caller of the commit noted.
        metadata: Vec<u8>,
    },
    /// A record was written or removed.
    Record {
        /// The record's namespace.
        namespace: NamespaceId,
        /// The name of the record's table.
        table: String,
        /// The record's key.
        key: Bytes,
        /// The record's value; none where it was removed.
        value: Option<Bytes>,
    },
}

impl fmt::Debug for Event {
    /// Leaves out the values of records: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamespaceCreated(namespace) => f.debug_tuple("NamespaceCreated").field(namespace).finish(),
            Self::NamespaceDeleted(namespace) => f.debug_tuple("NamespaceDeleted").field(namespace).finish(),
            Self::Branch(info) => f.debug_tuple("Branch").field(info).finish(),
            Self::BranchDeleted(branch) => f.debug_tuple("BranchDeleted").field(branch).finish(),
            Self::Version { branch, lsn, time, .. } => {
                let mut version = f.debug_struct("Version");
                version.field("branch", branch).field("lsn", lsn).field("time", time).finish_non_exhaustive()
            }
            Self::Record { namespace, table, key, value } => {
                let bytes = value.as_ref().map(Bytes::len);
                let mut record = f.debug_struct("Record");
                record
                    .field("namespace", namespace)
                    .field("table", table)
                    .field("key", key)
                    .field("bytes", &bytes)
                    .finish()
            }
        }
    }
}

/// What a follower is told of a commit's writes, in their order.
pub(super) fn events_of(writes: &[Write]) -> Result<Vec<Event>, Error> {
    writes.iter().filter_map(|write| event_of(write).transpose()).collect()
}

/// None for what the engine writes for itself.
fn event_of(write: &Write) -> Result<Option<Event>, Error> {
    let (bytes, value) = (write.key(), write.value());
    let Some(key) = Key::parse(bytes) else { return Ok(None) };
    Ok(match (key, value) {
        (Key::Namespace(namespace), Some(_)) => Some(Event::NamespaceCreated(namespace)),
        (Key::Namespace(namespace), None) => Some(Event::NamespaceDeleted(namespace)),
        (Key::Branch(branch), Some(value)) => {
            Some(Event::Branch(BranchInfo::new(branch, &codec::open(bytes, value)?.0)))
        }
        (Key::Branch(branch), None) => Some(Event::BranchDeleted(branch)),
        // A version that is put again is one that was purged.
        (Key::Version(branch, lsn), Some(value)) if matches!(write, Write::Create(..)) => {
            let (version, _) = codec::open::<record::Version>(bytes, value)?;
            Some(Event::Version { branch, lsn, time: Micros(version.micros).instant(), metadata: version.metadata })
        }
        (Key::Record(namespace, table, own), value) => {
            let value = value.map(|value| Ok::<_, Error>(envelope::open(bytes, value)?.0)).transpose()?;
            Some(Event::Record { namespace, table: table.to_owned(), key: bytes.slice_ref(own), value })
        }
        _ => None,
    })
}
