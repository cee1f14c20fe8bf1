//! The key schema. Numbers are big-endian, so that the order of keys is the order of numbers.
//!
//! | key                                   | value                                                  |
//! |---------------------------------------|--------------------------------------------------------|
//! | `a` namespace node                    | nodes that nothing leads to, or not yet                |
//! | `b` namespace branch                  | branch: its head, its origin; the only pointer that moves |
//! | `c`                                   | the map that is being taken apart                      |
//! | `d` namespace node                    | node of a map (immutable)                              |
//! | `e` namespace instant                 | purge: which key, who and why                          |
//! | `g` namespace [branch lsn]            | what may be collected: a namespace, or versions from that LSN on |
//! | `i`                                   | ids up to this number are given out                    |
//! | `m`                                   | marks the store as the engine's                        |
//! | `n` namespace                         | namespace                                              |
//! | `p` namespace name                    | pin: the version that it keeps                         |
//! | `q` namespace instant branch          | (empty) when the branch's oldest version was superseded |
//! | `r` namespace table `00` key          | record                                                 |
//! | `t` namespace branch instant lsn      | (empty) finds the version of an instant (immutable)    |
//! | `u` namespace branch lsn `00` child   | (empty) the child begins with that version             |
//! | `u` namespace branch lsn `01` name    | (empty) the pin keeps that version                     |
//! | `v` namespace branch lsn              | version (immutable)                                    |
//! | `w` namespace                         | for how long history is kept                           |
//! | `x` namespace [branch]                | deleted namespace or branch whose nodes are still there |

use bytes::{BufMut, Bytes, BytesMut};

use crate::{BranchId, Lsn, NamespaceId, Table, clock::Micros, store::KeyRange};
use std::ops::Bound;

/// A node of a persistent map; unique in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u64);

pub(crate) const DETACHED: Bytes = Bytes::from_static(b"c");
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

/// All namespaces after one.
pub(crate) fn namespaces_after(after: Option<NamespaceId>) -> KeyRange {
    after_key(KeyRange::prefix(b"n"), after.map(namespace))
}

/// The branches of a namespace after one of them.
pub(crate) fn branches_after(namespace: NamespaceId, after: Option<BranchId>) -> KeyRange {
    after_key(branches(namespace), after.map(branch))
}

fn after_key(range: KeyRange, key: Option<Bytes>) -> KeyRange {
    KeyRange { start: key.map_or(range.start, Bound::Excluded), ..range }
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

/// Nodes that were written together, by the first one's id.
pub(crate) fn unneeded(namespace: NamespaceId, first: NodeId) -> Bytes {
    Builder::new(b'a', namespace).number(first.0).done()
}

/// Versions of `branch` from `lsn` on, to be looked at by the collector.
pub(crate) fn garbage(branch: BranchId, from: Lsn) -> Bytes {
    Builder::new(b'g', branch.namespace()).number(branch.number()).number(from.get()).done()
}

/// A namespace to be collected as a whole.
pub(crate) fn garbage_namespace(namespace: NamespaceId) -> Bytes {
    Builder::new(b'g', namespace).done()
}

pub(crate) fn pin(namespace: NamespaceId, name: &[u8]) -> Bytes {
    let mut builder = Builder::new(b'p', namespace);
    builder.0.extend_from_slice(name);
    builder.done()
}

/// The name in the key of a pin.
pub(crate) fn pin_name(key: &[u8]) -> &[u8] {
    key.get(1 + 8..).unwrap_or_default()
}

/// The range of the pins whose names lie in `range`.
pub(crate) fn pin_range(namespace: NamespaceId, range: &KeyRange) -> KeyRange {
    within(&pin(namespace, &[]), range)
}

pub(crate) fn purge(namespace: NamespaceId, instant: Micros) -> Bytes {
    Builder::new(b'e', namespace).signed(instant.0).done()
}

pub(crate) fn expiry(branch: BranchId, superseded: Micros) -> Bytes {
    Builder::new(b'q', branch.namespace()).signed(superseded.0).number(branch.number()).done()
}

/// The branch in the key of its place in the queue.
pub(crate) fn expiry_of(key: &[u8]) -> Option<(BranchId, Micros)> {
    let (instant, rest) = key.get(9..)?.split_first_chunk::<8>()?;
    let (branch, _) = rest.split_first_chunk::<8>()?;
    let micros = Micros((u64::from_be_bytes(*instant) ^ (1 << 63)).cast_signed());
    Some((BranchId::new(namespace_of(key)?, u64::from_be_bytes(*branch)), micros))
}

/// The branches of a namespace whose oldest versions were superseded up to and with `until`.
pub(crate) fn expiries_until(namespace: NamespaceId, until: Micros) -> KeyRange {
    KeyRange {
        start: Bound::Included(expiry(BranchId::new(namespace, 0), Micros(i64::MIN))),
        end: Bound::Included(expiry(BranchId::new(namespace, u64::MAX), until)),
    }
}

/// All references to the versions that `branch` made from one LSN to another.
pub(crate) fn references(branch: BranchId, from: Lsn, to: Lsn) -> KeyRange {
    let last = KeyRange::prefix(&reference(branch, to).done());
    KeyRange { start: Bound::Included(reference(branch, from).done()), end: last.end }
}

fn reference(branch: BranchId, lsn: Lsn) -> Builder {
    Builder::new(b'u', branch.namespace()).number(branch.number()).number(lsn.get())
}

/// The reference from a child to the version that it begins with.
pub(crate) fn reference_of_child(branch: BranchId, lsn: Lsn, child: u64) -> Bytes {
    let mut builder = reference(branch, lsn);
    builder.0.put_u8(0);
    builder.number(child).done()
}

/// The reference from a pin to the version that it keeps.
pub(crate) fn reference_of_pin(branch: BranchId, lsn: Lsn, name: &[u8]) -> Bytes {
    let mut builder = reference(branch, lsn);
    builder.0.put_u8(1);
    builder.0.extend_from_slice(name);
    builder.done()
}

/// Who needs a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Child(u64),
    Pin(Bytes),
}

/// Who the reference under this key is of.
pub(crate) fn holder_of(key: &[u8]) -> Option<Holder> {
    match key.get(25..)?.split_first()? {
        (0, child) => Some(Holder::Child(u64::from_be_bytes(child.try_into().ok()?))),
        (1, name) => Some(Holder::Pin(Bytes::copy_from_slice(name))),
        _ => None,
    }
}

pub(crate) fn window(namespace: NamespaceId) -> Bytes {
    Builder::new(b'w', namespace).done()
}

pub(crate) fn version(branch: BranchId, lsn: Lsn) -> Bytes {
    Builder::new(b'v', branch.namespace()).number(branch.number()).number(lsn.get()).done()
}

/// All keys with this tag that belong to the namespace.
pub(crate) fn of_namespace(tag: u8, namespace: NamespaceId) -> KeyRange {
    KeyRange::prefix(&Builder::new(tag, namespace).done())
}

/// The versions that `branch` itself made from `lsn` on.
pub(crate) fn versions_from(branch: BranchId, lsn: Lsn) -> KeyRange {
    KeyRange { start: Bound::Included(version(branch, lsn)), end: Bound::Included(version(branch, Lsn::new(u64::MAX))) }
}

/// The versions that `branch` itself made before `lsn`.
pub(crate) fn versions_before(branch: BranchId, lsn: Lsn) -> KeyRange {
    KeyRange { start: Bound::Included(version(branch, Lsn::new(0))), end: Bound::Excluded(version(branch, lsn)) }
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

/// The instants of the versions that `branch` itself made after `instant`.
pub(crate) fn instants_after(branch: BranchId, after: Micros) -> KeyRange {
    KeyRange {
        start: Bound::Excluded(instant(branch, after, Lsn::new(u64::MAX))),
        end: Bound::Included(instant(branch, Micros(i64::MAX), Lsn::new(u64::MAX))),
    }
}

/// The instant in an instant's key.
pub(crate) fn instant_of(key: &[u8]) -> Option<Micros> {
    let (bytes, _) = key.get(17..)?.split_first_chunk::<8>()?;
    Some(Micros((u64::from_be_bytes(*bytes) ^ (1 << 63)).cast_signed()))
}

/// The namespace in any key that has one.
pub(crate) fn namespace_of(key: &[u8]) -> Option<NamespaceId> {
    let (namespace, _) = key.get(1..)?.split_first_chunk::<8>()?;
    Some(NamespaceId::new(u64::from_be_bytes(*namespace)))
}

/// The namespace and the id in the key of a node, or of a list of nodes.
pub(crate) fn node_of(key: &[u8]) -> Option<(NamespaceId, NodeId)> {
    let (id, _) = key.get(9..)?.split_first_chunk::<8>()?;
    Some((namespace_of(key)?, NodeId(u64::from_be_bytes(*id))))
}

/// The branch in a key that has it right after the namespace.
pub(crate) fn branch_of(key: &[u8]) -> Option<BranchId> {
    let (branch, _) = key.get(9..)?.split_first_chunk::<8>()?;
    Some(BranchId::new(namespace_of(key)?, u64::from_be_bytes(*branch)))
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
    within(&record(namespace, table, &[]), range)
}

/// The keys that begin with `prefix` and go on with a key in `range`.
fn within(prefix: &Bytes, range: &KeyRange) -> KeyRange {
    let full = |key: &Bytes| Bytes::from([&prefix[..], key].concat());
    let all = KeyRange::prefix(prefix);
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
