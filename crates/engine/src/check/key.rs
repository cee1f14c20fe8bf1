//! What a stored key means, read back from its bytes.

use std::fmt;

use crate::{BranchId, Lsn, MAX_KEY_BYTES, NamespaceId, clock::Micros, codec::key::NodeId};

/// A key of the engine: the inverse of [`codec::key`](crate::codec::key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Branch(BranchId),
    Node(NamespaceId, NodeId),
    Ids,
    Mark,
    Namespace(NamespaceId),
    Record(NamespaceId, &'a str, &'a [u8]),
    Instant(BranchId, Micros, Lsn),
    Version(BranchId, Lsn),
    DeletedNamespace(NamespaceId),
    DeletedBranch(BranchId),
}

/// The kinds of what the engine stores, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `b`: a branch's record.
    Branch,
    /// `d`: a node of a map.
    Node,
    /// `i`: the counter of ids.
    Ids,
    /// `m`: the engine's mark.
    Mark,
    /// `n`: a namespace.
    Namespace,
    /// `r`: a record.
    Record,
    /// `t`: the entry that finds a version by its instant.
    Instant,
    /// `v`: a version.
    Version,
    /// `x`: the mark of a deleted branch or namespace.
    Deleted,
    /// A key of no form that the engine knows.
    Unknown,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 10] = [
        Self::Branch,
        Self::Node,
        Self::Ids,
        Self::Mark,
        Self::Namespace,
        Self::Record,
        Self::Instant,
        Self::Version,
        Self::Deleted,
        Self::Unknown,
    ];
}

impl fmt::Display for Kind {
    /// The plural, as it stands in a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Branch => "branches",
            Self::Node => "nodes",
            Self::Ids => "counter of ids",
            Self::Mark => "mark",
            Self::Namespace => "namespaces",
            Self::Record => "records",
            Self::Instant => "instants",
            Self::Version => "versions",
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
        Some(match (tag, numbers, tail) {
            (b'b', [namespace, id], []) => Self::Branch(branch(namespace, id)),
            (b'd', [namespace, id], []) => Self::Node(NamespaceId::new(number(namespace)), NodeId(number(id))),
            (b'i', [], []) => Self::Ids,
            (b'm', [], []) => Self::Mark,
            (b'n', [namespace], []) => Self::Namespace(NamespaceId::new(number(namespace))),
            (b'r', [namespace, ..], _) => {
                let (table, own) = table_and_key(rest.get(8..)?)?;
                Self::Record(NamespaceId::new(number(namespace)), table, own)
            }
            (b't', [namespace, id, instant, lsn], []) => {
                let micros = Micros((number(instant) ^ (1 << 63)).cast_signed());
                Self::Instant(branch(namespace, id), micros, Lsn::new(number(lsn)))
            }
            (b'v', [namespace, id, lsn], []) => Self::Version(branch(namespace, id), Lsn::new(number(lsn))),
            (b'x', [namespace], []) => Self::DeletedNamespace(NamespaceId::new(number(namespace))),
            (b'x', [namespace, id], []) => Self::DeletedBranch(branch(namespace, id)),
            _ => return None,
        })
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Branch(_) => Kind::Branch,
            Self::Node(..) => Kind::Node,
            Self::Ids => Kind::Ids,
            Self::Mark => Kind::Mark,
            Self::Namespace(_) => Kind::Namespace,
            Self::Record(..) => Kind::Record,
            Self::Instant(..) => Kind::Instant,
            Self::Version(..) => Kind::Version,
            Self::DeletedNamespace(_) | Self::DeletedBranch(_) => Kind::Deleted,
        }
    }

    /// The greatest id that the key holds; zero where it holds none.
    pub(super) fn greatest_id(self) -> u64 {
        match self {
            Self::Ids | Self::Mark => 0,
            Self::Namespace(namespace) | Self::DeletedNamespace(namespace) | Self::Record(namespace, ..) => {
                namespace.get()
            }
            Self::Node(namespace, id) => namespace.get().max(id.0),
            Self::Branch(branch)
            | Self::DeletedBranch(branch)
            | Self::Instant(branch, ..)
            | Self::Version(branch, _) => branch.namespace().get().max(branch.number()),
        }
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
            Self::Branch(branch) => branch_words(f, branch),
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
            (key::branch(branch), Key::Branch(branch)),
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
            key::branch(branch),
            key::node(namespace, NodeId(3)),
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
