//! The key schema. Numbers are big-endian, so that the order of keys is the order of numbers.
//!
//! | key                                   | value                                                  |
//! |---------------------------------------|--------------------------------------------------------|
//! | `b` namespace branch                  | branch: its head, its origin; the only pointer that moves |
//! | `d` namespace node                    | node of a map (immutable)                              |
//! | `i`                                   | ids up to this number are given out                    |
//! | `m`                                   | marks the store as the engine's                        |
//! | `n` namespace                         | namespace                                              |
//! | `r` namespace table `00` key          | record                                                 |
//! | `t` namespace branch instant lsn      | (empty) finds the version of an instant (immutable)    |
//! | `v` namespace branch lsn              | version (immutable)                                    |
//! | `x` namespace [branch]                | deleted namespace or branch whose nodes are still there |

use bytes::{BufMut, Bytes, BytesMut};

use crate::{BranchId, Lsn, NamespaceId, Table, clock::Micros, store::KeyRange};
use std::ops::Bound;

/// A node of a persistent map; unique in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u64);

pub(crate) const IDS: Bytes = Bytes::from_static(b"i");
pub(crate) const MARK: Bytes = Bytes::from_static(b"m");

struct Builder(BytesMut);

impl Builder {
    fn new(tag: u8, namespace: NamespaceId) -> Self {
        let mut bytes = BytesMut::with_capacity(40);
        bytes.put_u8(tag);
        bytes.put_u64(namespace.get());
        Self(bytes)
    }

    fn number(mut self, number: u64) -> Self {
        self.0.put_u64(number);
        self
    }

    /// Signed numbers sort as unsigned ones when their sign bit is flipped.
    fn signed(mut self, number: i64) -> Self {
        self.0.put_u64(number.cast_unsigned() ^ (1 << 63));
        self
    }

    fn done(self) -> Bytes {
        self.0.freeze()
    }
}

pub(crate) fn namespace(id: NamespaceId) -> Bytes {
    Builder::new(b'n', id).done()
}

pub(crate) fn branch(id: BranchId) -> Bytes {
    Builder::new(b'b', id.namespace()).number(id.number()).done()
}

pub(crate) fn branches(namespace: NamespaceId) -> KeyRange {
    KeyRange::prefix(&Builder::new(b'b', namespace).done())
}

pub(crate) fn node(namespace: NamespaceId, id: NodeId) -> Bytes {
    Builder::new(b'd', namespace).number(id.0).done()
}

pub(crate) fn version(branch: BranchId, lsn: Lsn) -> Bytes {
    Builder::new(b'v', branch.namespace()).number(branch.number()).number(lsn.get()).done()
}

/// The versions that `branch` itself made, up to and with `lsn`.
pub(crate) fn versions_until(branch: BranchId, lsn: Lsn) -> KeyRange {
    versions_between(branch, Lsn::new(0), lsn)
}

/// The versions that `branch` itself made from `first` up to and with `last`.
pub(crate) fn versions_between(branch: BranchId, first: Lsn, last: Lsn) -> KeyRange {
    KeyRange { start: Bound::Included(version(branch, first)), end: Bound::Included(version(branch, last)) }
}

pub(crate) fn instant(branch: BranchId, instant: Micros, lsn: Lsn) -> Bytes {
    Builder::new(b't', branch.namespace()).number(branch.number()).signed(instant.0).number(lsn.get()).done()
}

/// The instants of the versions that `branch` itself made, up to and with `until`.
pub(crate) fn instants_until(branch: BranchId, until: Micros) -> KeyRange {
    KeyRange {
        start: Bound::Included(instant(branch, Micros(i64::MIN), Lsn::new(0))),
        end: Bound::Included(instant(branch, until, Lsn::new(u64::MAX))),
    }
}

/// The LSN at the end of a version's or an instant's key.
pub(crate) fn trailing_lsn(key: &[u8]) -> Option<Lsn> {
    let (_, last) = key.split_last_chunk::<8>()?;
    Some(Lsn::new(u64::from_be_bytes(*last)))
}

pub(crate) fn records(namespace: NamespaceId) -> KeyRange {
    KeyRange::prefix(&Builder::new(b'r', namespace).done())
}

pub(crate) fn record(namespace: NamespaceId, table: Table, key: &[u8]) -> Bytes {
    let mut builder = Builder::new(b'r', namespace);
    builder.0.extend_from_slice(table.name().as_bytes());
    builder.0.put_u8(0);
    builder.0.extend_from_slice(key);
    builder.done()
}

/// How many bytes of a record's key come before the caller's own.
pub(crate) fn record_prefix_bytes(table: Table) -> usize {
    1 + 8 + table.name().len() + 1
}

/// The range of a table's records whose own keys lie in `range`.
pub(crate) fn record_range(namespace: NamespaceId, table: Table, range: &KeyRange) -> KeyRange {
    let full = |key: &Bytes| record(namespace, table, key);
    let all = KeyRange::prefix(&record(namespace, table, &[]));
    KeyRange {
        start: match &range.start {
            Bound::Included(key) => Bound::Included(full(key)),
            Bound::Excluded(key) => Bound::Excluded(full(key)),
            Bound::Unbounded => all.start,
        },
        end: match &range.end {
            Bound::Included(key) => Bound::Included(full(key)),
            Bound::Excluded(key) => Bound::Excluded(full(key)),
            Bound::Unbounded => all.end,
        },
    }
}

pub(crate) fn deleted_branch(id: BranchId) -> Bytes {
    Builder::new(b'x', id.namespace()).number(id.number()).done()
}

pub(crate) fn deleted_namespace(id: NamespaceId) -> Bytes {
    Builder::new(b'x', id).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_instants_is_the_order_of_their_keys() {
        let branch = BranchId::new(NamespaceId::SYSTEM, 2);
        let keys = [i64::MIN, -1, 0, 1, i64::MAX].map(|micros| instant(branch, Micros(micros), Lsn::new(1)));
        assert!(keys.is_sorted());
    }

    #[test]
    fn a_tables_records_do_not_mix_with_those_of_a_longer_name() {
        let (short, long) = (Table::new("role"), Table::new("roles"));
        let all = record_range(NamespaceId::SYSTEM, short, &KeyRange::ALL);
        assert!(all.contains(&record(NamespaceId::SYSTEM, short, b"x")));
        assert!(!all.contains(&record(NamespaceId::SYSTEM, long, b"x")));
    }
}
