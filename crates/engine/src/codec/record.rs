//! The stored types. Order and kind of the fields are the format.

use bincode::{BorrowDecode, Decode, Encode};

use super::envelope::Unsealed;
use crate::error::Error;

/// Under `m`: marks a store as the engine's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Mark {
    pub(crate) created_micros: i64,
}

/// Under `i`: all ids up to and with this one are given out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Ids {
    pub(crate) last: u64,
}

/// Under `n`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Namespace {
    pub(crate) created_micros: i64,
}

/// A version and the checksum of its stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct VersionRef {
    /// The branch that made the version.
    pub(crate) owner: u64,
    pub(crate) lsn: u64,
    pub(crate) checksum: u64,
}

/// Under `b`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Branch {
    pub(crate) head: VersionRef,
    pub(crate) head_micros: i64,
    /// At least the head version's own; greater where the LSN advanced without a change, and on a child until it writes.
    pub(crate) head_lsn: u64,
    pub(crate) first: First,
}

/// Where a branch's readable history begins.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum First {
    /// At the branch's own first version.
    Root { lsn: u64, micros: i64 },
    /// At the parent's version that the branch was forked from.
    Fork { parent: u64, version: VersionRef, micros: i64, asked: Asked },
    /// At the branch's own version at `lsn`, of `first_micros`: what came before it is older than the retention window. The rest is as it was.
    CutFork { parent: u64, version: VersionRef, micros: i64, asked: Asked, lsn: u64, first_micros: i64 },
    /// Of a branch that was not forked: at its version at `lsn`, since what came before it is older than the retention window.
    CutRoot { lsn: u64, micros: i64 },
}

/// The point that a fork was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Asked {
    Head,
    Lsn(u64),
    Micros(i64),
}

/// Under `v`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Version {
    pub(crate) micros: i64,
    pub(crate) metadata: Vec<u8>,
    pub(crate) root: Root,
}

/// The root of a map.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Root {
    /// The payload of the only node of a small map.
    Inline(Vec<u8>),
    Node {
        id: u64,
        checksum: u64,
    },
}

/// Under `d`, and inline in a version: entries in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct Node<'a> {
    /// 0 for a leaf, whose entries are the map's; otherwise one more than its children's.
    pub(crate) level: u8,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// In a leaf: a key and its value. Above: a child's smallest key, and the child's id and checksum, 8 bytes each, big-endian.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// Takes the level and the number of entries off the front of a node's payload; `None` when it is not a node.
pub(crate) fn node_header(payload: &mut &[u8]) -> Option<(u8, usize)> {
    split_first(payload)
}

/// Takes the next entry off the front of a node's entries.
pub(crate) fn node_entry<'a>(entries: &mut &'a [u8]) -> Option<Entry<'a>> {
    split_first(entries)
}

fn split_first<'a, T: BorrowDecode<'a, ()>>(bytes: &mut &'a [u8]) -> Option<T> {
    let (first, used) = bincode::borrow_decode_from_slice(bytes, super::CONFIG).ok()?;
    *bytes = bytes.get(used..)?;
    Some(first)
}

/// Writes a [`Node`] entry by entry, those of another one as they are encoded there.
pub(crate) struct NodeWriter(Unsealed);

impl NodeWriter {
    /// More than what an entry takes beside its key and payload.
    pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 2 * 3;

    /// Begins a node of this many entries, which have up to this many bytes as they are encoded.
    pub(crate) fn new(level: u8, entries: usize, bytes: usize) -> Result<Self, Error> {
        // The level and the number before them.
        let mut writer = Self(Unsealed::with_capacity(1 + 3 + bytes));
        writer.put(&(level, entries))?;
        Ok(writer)
    }

    pub(crate) fn entry(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        self.put(&Entry { key, payload })
    }

    /// Adds entries of another node, encoded.
    pub(crate) fn copy(&mut self, entries: &[u8]) {
        self.0.extend(entries);
    }

    pub(crate) fn done(self) -> Unsealed {
        self.0
    }

    fn put(&mut self, stored: &impl Encode) -> Result<(), Error> {
        bincode::encode_into_std_write(stored, &mut self.0, super::CONFIG).map_err(|_| super::NOT_ENCODED)?;
        Ok(())
    }
}

/// Under `p`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Pin {
    pub(crate) version: VersionRef,
    /// When the pin was put there.
    pub(crate) micros: i64,
}

/// Under `w`: how long a version is kept after it was superseded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Window {
    pub(crate) micros: u64,
}

/// Under `a`: nodes that nothing leads to, or not yet: the commit that leads to them removes this.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Unneeded {
    pub(crate) nodes: Vec<u64>,
    /// Whether versions led to them before a purge: who has one of those open still reads them.
    pub(crate) purged: bool,
}

/// Under `e`: who purged a key, and why.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Purge {
    pub(crate) key: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
    /// How many versions it changed.
    pub(crate) versions: u64,
    pub(crate) is_done: bool,
}

/// Under `g`, of a branch: how far the versions to be looked at reach.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Garbage {
    pub(crate) to_lsn: u64,
}

/// Under `c`: the map of a version that is gone, whose nodes go in several commits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Detached {
    pub(crate) namespace: u64,
    pub(crate) root: u64,
    pub(crate) checksum: u64,
    /// The versions beside it, by owner and LSN. They keep what they share with it, and stay until all else is gone.
    pub(crate) neighbours: Vec<(u64, u64)>,
}

/// Under `x`: what deletion left to be collected.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Deleted {
    pub(crate) micros: i64,
    /// The branch as it was; none for a namespace.
    pub(crate) branch: Option<Branch>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, envelope};

    /// A change of these bytes is a change of the format: raise [`envelope::FORMAT`] and keep reading the old one.
    #[test]
    fn stored_bytes_are_golden() {
        let version = VersionRef { owner: 2, lsn: 0x16B_3748, checksum: 0x0102_0304_0506_0708 };
        let branch = Branch {
            head: version,
            head_micros: 1_700_000_000_000_000,
            head_lsn: 0x16B_3750,
            first: First::Fork { parent: 2, version, micros: -1, asked: Asked::Lsn(0x16B_3749) },
        };
        let golden: [(&str, Vec<u8>, &str); 15] = [
            ("mark", codec::encode(&Mark { created_micros: 1 }).unwrap(), "02"),
            ("ids", codec::encode(&Ids { last: 4096 }).unwrap(), "fb0010"),
            (
                "branch",
                codec::encode(&branch).unwrap(),
                "02fc48376b01fd0807060504030201fd00803c3048140c00fc50376b01010202fc48376b01fd08070605040302010101fc49376b01",
            ),
            (
                "version",
                codec::encode(&Version {
                    micros: 5,
                    metadata: b"who".to_vec(),
                    root: Root::Node { id: 9, checksum: 3 },
                })
                .unwrap(),
                "0a0377686f010903",
            ),
            ("inline", codec::encode(&Root::Inline(vec![0, 0])).unwrap(), "00020000"),
            (
                "node",
                codec::encode(&Node { level: 0, entries: vec![Entry { key: b"k", payload: b"vv" }] }).unwrap(),
                "0001016b027676",
            ),
            ("deleted", codec::encode(&Deleted { micros: 1, branch: None }).unwrap(), "0200"),
            (
                "cut fork",
                codec::encode(&First::CutFork {
                    parent: 2,
                    version,
                    micros: -1,
                    asked: Asked::Head,
                    lsn: 0x16B_3750,
                    first_micros: 3,
                })
                .unwrap(),
                "020202fc48376b01fd08070605040302010100fc50376b0106",
            ),
            ("cut root", codec::encode(&First::CutRoot { lsn: 0x16B_3750, micros: 3 }).unwrap(), "03fc50376b0106"),
            ("pin", codec::encode(&Pin { version, micros: 1 }).unwrap(), "02fc48376b01fd080706050403020102"),
            ("window", codec::encode(&Window { micros: 604_800_000_000 }).unwrap(), "fd00a0e3d08c000000"),
            ("unneeded", codec::encode(&Unneeded { nodes: vec![7, 4096], purged: true }).unwrap(), "0207fb001001"),
            (
                "purge",
                codec::encode(&Purge { key: b"k".to_vec(), metadata: b"who".to_vec(), versions: 3, is_done: true })
                    .unwrap(),
                "016b0377686f0301",
            ),
            ("garbage", codec::encode(&Garbage { to_lsn: u64::MAX }).unwrap(), "fdffffffffffffffff"),
            (
                "detached",
                codec::encode(&Detached { namespace: 1, root: 9, checksum: 3, neighbours: vec![(2, 8)] }).unwrap(),
                "010903010208",
            ),
        ];
        for (name, bytes, expected) in golden {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{name}");
        }
        let (sealed, _) = envelope::seal(b"key", b"payload");
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0224ab4d863e0fbbb87061796c6f6164", "envelope");
    }
}
