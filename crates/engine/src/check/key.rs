//! What a stored key means, read back from its bytes.

use std::fmt;

use crate::{BranchId, Lsn, MAX_KEY_BYTES, NamespaceId, clock::Micros, codec::key::NodeId};

/// A key of the engine: the inverse of [`codec::key`](crate::codec::key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Unneeded(NamespaceId, NodeId),
    Branch(BranchId),
    Detached,
    Node(NamespaceId, NodeId),
    GarbageNamespace(NamespaceId),
    Garbage(BranchId, Lsn),
    Ids,
    Mark,
    Namespace(NamespaceId),
    Pin(NamespaceId, &'a [u8]),
    Expiry(BranchId, Micros),
    Record(NamespaceId, &'a str, &'a [u8]),
    Instant(BranchId, Micros, Lsn),
    ReferenceOfChild(BranchId, Lsn, u64),
    ReferenceOfPin(BranchId, Lsn, &'a [u8]),
    Version(BranchId, Lsn),
    Window(NamespaceId),
    DeletedNamespace(NamespaceId),
    DeletedBranch(BranchId),
}

/// The kinds of what the engine stores, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `a`: nodes that nothing leads to, or not yet.
    Unneeded,
    /// `b`: a branch's record.
    Branch,
    /// `c`: a map that is being taken apart.
    Detached,
    /// `d`: a node of a map.
    Node,
    /// `g`: what may be collected.
    Garbage,
    /// `i`: the counter of ids.
    Ids,
    /// `m`: the engine's mark.
    Mark,
    /// `n`: a namespace.
    Namespace,
    /// `p`: a pin.
    Pin,
    /// `q`: when a branch's oldest version was superseded.
    Expiry,
    /// `r`: a record.
    Record,
    /// `t`: the entry that finds a version by its instant.
    Instant,
    /// `u`: a child or a pin that needs a version.
    Reference,
    /// `v`: a version.
    Version,
    /// `w`: for how long a namespace keeps history.
    Window,
    /// `x`: the mark of a deleted branch or namespace.
    Deleted,
    /// A key of no form that the engine knows.
    Unknown,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 17] = [
        Self::Unneeded,
        Self::Branch,
        Self::Detached,
        Self::Node,
        Self::Garbage,
        Self::Ids,
        Self::Mark,
        Self::Namespace,
        Self::Pin,
        Self::Expiry,
        Self::Record,
        Self::Instant,
        Self::Reference,
        Self::Version,
        Self::Window,
        Self::Deleted,
        Self::Unknown,
    ];
}

impl fmt::Display for Kind {
    /// The plural, as it stands in a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unneeded => "lists of unneeded nodes",
            Self::Branch => "branches",
            Self::Detached => "map being taken apart",
            Self::Node => "nodes",
            Self::Garbage => "left to the collector",
            Self::Ids => "counter of ids",
            Self::Mark => "mark",
            Self::Namespace => "namespaces",
            Self::Pin => "pins",
            Self::Expiry => "ends of history",
            Self::Record => "records",
            Self::Instant => "instants",
            Self::Reference => "references",
            Self::Version => "versions",
            Self::Window => "retention windows",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        })
    }
}

impl<'a> Key<'a> {
    /// None for a key that the engine never writes.
    pub(crate) fn parse(key: &'a [u8]) -> Option<Self> {
        let (tag, rest) = key.split_first()?;
        let (numbers, tail) = rest.as_chunks::<8>();
        let number = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
        let branch = |namespace, branch| BranchId::new(NamespaceId::new(number(namespace)), number(branch));
        let micros = |bytes: &[u8; 8]| Micros((number(bytes) ^ (1 << 63)).cast_signed());
        Some(match (tag, numbers, tail) {
            (b'a', [namespace, id], []) => Self::Unneeded(NamespaceId::new(number(namespace)), NodeId(number(id))),
            (b'b', [namespace, id], []) => Self::Branch(branch(namespace, id)),
            (b'c', [], []) => Self::Detached,
            (b'd', [namespace, id], []) => Self::Node(NamespaceId::new(number(namespace)), NodeId(number(id))),
            (b'g', [namespace], []) => Self::GarbageNamespace(NamespaceId::new(number(namespace))),
            (b'g', [namespace, id, lsn], []) => Self::Garbage(branch(namespace, id), Lsn::new(number(lsn))),
            (b'i', [], []) => Self::Ids,
            (b'm', [], []) => Self::Mark,
            (b'n', [namespace], []) => Self::Namespace(NamespaceId::new(number(namespace))),
            (b'p', [namespace, ..], _) => {
                let name = rest.get(8..).filter(|name| (1..=MAX_KEY_BYTES).contains(&name.len()))?;
                Self::Pin(NamespaceId::new(number(namespace)), name)
            }
            (b'q', [namespace, instant, id], []) => Self::Expiry(branch(namespace, id), micros(instant)),
            (b'r', [namespace, ..], _) => {
                let (table, own) = table_and_key(rest.get(8..)?)?;
                Self::Record(NamespaceId::new(number(namespace)), table, own)
            }
            (b't', [namespace, id, instant, lsn], []) => {
                Self::Instant(branch(namespace, id), micros(instant), Lsn::new(number(lsn)))
            }
            (b'u', [namespace, id, lsn, ..], _) => {
                let (version, lsn) = (branch(namespace, id), Lsn::new(number(lsn)));
                match rest.get(24..)?.split_first()? {
                    (0, child) => Self::ReferenceOfChild(version, lsn, number(child.try_into().ok()?)),
                    (1, name) if (1..=MAX_KEY_BYTES).contains(&name.len()) => Self::ReferenceOfPin(version, lsn, name),
                    _ => return None,
                }
            }
            (b'v', [namespace, id, lsn], []) => Self::Version(branch(namespace, id), Lsn::new(number(lsn))),
            (b'w', [namespace], []) => Self::Window(NamespaceId::new(number(namespace))),
            (b'x', [namespace], []) => Self::DeletedNamespace(NamespaceId::new(number(namespace))),
            (b'x', [namespace, id], []) => Self::DeletedBranch(branch(namespace, id)),
            _ => return None,
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Unneeded(..) => Kind::Unneeded,
            Self::Branch(_) => Kind::Branch,
            Self::Detached => Kind::Detached,
            Self::Node(..) => Kind::Node,
            Self::GarbageNamespace(_) | Self::Garbage(..) => Kind::Garbage,
            Self::Ids => Kind::Ids,
            Self::Mark => Kind::Mark,
            Self::Namespace(_) => Kind::Namespace,
            Self::Pin(..) => Kind::Pin,
            Self::Expiry(..) => Kind::Expiry,
            Self::Record(..) => Kind::Record,
            Self::Instant(..) => Kind::Instant,
            Self::ReferenceOfChild(..) | Self::ReferenceOfPin(..) => Kind::Reference,
            Self::Version(..) => Kind::Version,
            Self::Window(_) => Kind::Window,
            Self::DeletedNamespace(_) | Self::DeletedBranch(_) => Kind::Deleted,
        }
    }

    /// The namespace that the key belongs to.
    pub(super) fn namespace(self) -> Option<NamespaceId> {
        match self {
            Self::Ids | Self::Mark | Self::Detached => None,
            Self::Namespace(namespace)
            | Self::DeletedNamespace(namespace)
            | Self::GarbageNamespace(namespace)
            | Self::Window(namespace)
            | Self::Pin(namespace, _)
            | Self::Record(namespace, ..)
            | Self::Unneeded(namespace, _)
            | Self::Node(namespace, _) => Some(namespace),
            Self::Branch(branch)
            | Self::DeletedBranch(branch)
            | Self::Garbage(branch, _)
            | Self::Expiry(branch, _)
            | Self::Instant(branch, ..)
            | Self::ReferenceOfChild(branch, ..)
            | Self::ReferenceOfPin(branch, ..)
            | Self::Version(branch, _) => Some(branch.namespace()),
        }
    }

    /// The greatest id that the key holds; zero where it holds none.
    pub(super) fn greatest_id(self) -> u64 {
        let own = match self {
            Self::Node(_, id) | Self::Unneeded(_, id) => id.0,
            Self::Branch(branch)
            | Self::DeletedBranch(branch)
            | Self::Garbage(branch, _)
            | Self::Expiry(branch, _)
            | Self::Instant(branch, ..)
            | Self::ReferenceOfPin(branch, ..)
            | Self::Version(branch, _) => branch.number(),
            Self::ReferenceOfChild(branch, _, child) => branch.number().max(child),
            _ => 0,
        };
        self.namespace().map_or(0, NamespaceId::get).max(own)
    }
}

/// Takes a record's key apart, after its namespace.
fn table_and_key(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (table, own) = rest.split_at_checked(rest.iter().position(|byte| *byte == 0)?)?;
    let own = own.strip_prefix(&[0])?;
    let is_name = (1..=32).contains(&table.len()) && table.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    let is_key = (1..=MAX_KEY_BYTES).contains(&own.len());
    if is_name && is_key { Some((str::from_utf8(table).ok()?, own)) } else { None }
}

impl fmt::Display for Key<'_> {
    /// Says in words what the key names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch_words = |f: &mut fmt::Formatter<'_>, branch: &BranchId| {
            write!(f, "namespace {}, branch {}", branch.namespace(), branch.number())
        };
        match self {
            Self::Unneeded(namespace, id) => {
                write!(f, "namespace {namespace}, list of unneeded nodes from node {} on", id.0)
            }
            Self::Branch(branch) => branch_words(f, branch),
            Self::Detached => f.write_str("the map that is being taken apart"),
            Self::GarbageNamespace(namespace) => write!(f, "namespace {namespace}, left to the collector"),
            Self::Garbage(branch, lsn) => {
                branch_words(f, branch)?;
                write!(f, ", versions from LSN {lsn} on that are left to the collector")
            }
            Self::Pin(namespace, name) => write!(f, "namespace {namespace}, pin \"{}\"", name.escape_ascii()),
            Self::Expiry(branch, micros) => {
                branch_words(f, branch)?;
                write!(f, ", whose oldest version was superseded at {}", micros.instant().format("%FT%T%.6fZ"))
            }
            Self::ReferenceOfChild(branch, lsn, child) => {
                branch_words(f, branch)?;
                write!(f, ", reference of branch {child} to the version at LSN {lsn}")
            }
            Self::ReferenceOfPin(branch, lsn, name) => {
                branch_words(f, branch)?;
                write!(f, ", reference of pin \"{}\" to the version at LSN {lsn}", name.escape_ascii())
            }
            Self::Window(namespace) => write!(f, "namespace {namespace}, its retention window"),
            Self::Node(namespace, id) => write!(f, "namespace {namespace}, node {}", id.0),
            Self::Ids => f.write_str("the counter of ids"),
            Self::Mark => f.write_str("the engine's mark"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
            Self::Record(namespace, table, own) => {
                write!(f, "namespace {namespace}, table {table}, record \"{}\"", own.escape_ascii())
            }
            Self::Instant(branch, micros, lsn) => {
                branch_words(f, branch)?;
                write!(f, ", instant {} of the version at LSN {lsn}", micros.instant().format("%FT%T%.6fZ"))
            }
            Self::Version(branch, lsn) => {
                branch_words(f, branch)?;
                write!(f, ", version at LSN {lsn}")
            }
            Self::DeletedNamespace(namespace) => write!(f, "deleted namespace {namespace}"),
            Self::DeletedBranch(branch) => {
                write!(f, "namespace {}, deleted branch {}", branch.namespace(), branch.number())
            }
        }
    }
}

/// What a key names, in words.
pub(super) fn place(key: &[u8]) -> String {
    Key::parse(key).map_or_else(|| "not a key of the engine".to_owned(), |key| key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Table, codec::key};

    #[test]
    fn every_key_that_is_written_is_read_back() {
        let namespace = NamespaceId::new(7);
        let (branch, lsn) = (BranchId::new(namespace, 1 << 40), Lsn::new(u64::MAX));
        let pairs = [
            (key::unneeded(namespace, NodeId(3)), Key::Unneeded(namespace, NodeId(3))),
            (key::branch(branch), Key::Branch(branch)),
            (key::DETACHED, Key::Detached),
            (key::garbage(branch, lsn), Key::Garbage(branch, lsn)),
            (key::garbage_namespace(namespace), Key::GarbageNamespace(namespace)),
            (key::pin(namespace, b"\0name"), Key::Pin(namespace, b"\0name")),
            (key::expiry(branch, Micros(-5)), Key::Expiry(branch, Micros(-5))),
            (key::reference_of_child(branch, lsn, 9), Key::ReferenceOfChild(branch, lsn, 9)),
            (key::reference_of_pin(branch, lsn, b"\0name"), Key::ReferenceOfPin(branch, lsn, b"\0name")),
            (key::window(namespace), Key::Window(namespace)),
            (key::node(namespace, NodeId(3)), Key::Node(namespace, NodeId(3))),
            (key::IDS, Key::Ids),
            (key::MARK, Key::Mark),
            (key::namespace(namespace), Key::Namespace(namespace)),
            (key::record(namespace, Table::new("a_table"), b"\0k\0"), Key::Record(namespace, "a_table", b"\0k\0")),
            (key::instant(branch, Micros(-5), lsn), Key::Instant(branch, Micros(-5), lsn)),
            (key::version(branch, lsn), Key::Version(branch, lsn)),
            (key::deleted_namespace(namespace), Key::DeletedNamespace(namespace)),
            (key::deleted_branch(branch), Key::DeletedBranch(branch)),
        ];
        for (bytes, key) in pairs {
            assert_eq!(Key::parse(&bytes), Some(key));
        }
    }

    #[test]
    fn a_key_that_is_cut_or_too_long_is_none_of_the_engines() {
        let (namespace, branch) = (NamespaceId::new(7), BranchId::new(NamespaceId::new(7), 8));
        let keys = [
            key::unneeded(namespace, NodeId(3)),
            key::branch(branch),
            key::DETACHED,
            key::node(namespace, NodeId(3)),
            key::garbage(branch, Lsn::new(4)),
            key::expiry(branch, Micros(-5)),
            key::reference_of_child(branch, Lsn::new(4), 9),
            key::window(namespace),
            key::IDS,
            key::namespace(namespace),
            key::instant(branch, Micros(-5), Lsn::new(4)),
            key::version(branch, Lsn::new(4)),
            key::deleted_branch(branch),
        ];
        for key in keys {
            assert_eq!(Key::parse(&key[..key.len() - 1]), None, "{}", key.escape_ascii());
            assert_eq!(Key::parse(&[&key[..], b"x"].concat()), None, "{}", key.escape_ascii());
        }
        let record = key::record(namespace, Table::new("t"), b"k");
        for key in [&record[..9], &record[..10], &record[..11], b"", b"z", b"r\0\0\0\0\0\0\0\x07T\0k", b"\0"] {
            assert_eq!(Key::parse(key), None, "{}", key.escape_ascii());
        }
    }
}
