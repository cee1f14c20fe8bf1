//! Names of things in the engine.

use std::fmt;

/// A namespace: branches and records that are kept apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(u64);

impl NamespaceId {
    /// The namespace that every store has, for what spans the others.
    pub const SYSTEM: Self = Self(1);

    /// The namespace with this number, as [`NamespaceId::get`] gave it.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// This namespace's number, unique in its store.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A branch of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchId {
    namespace: NamespaceId,
    number: u64,
}

impl BranchId {
    /// The branch with this number, as [`BranchId::number`] gave it.
    pub const fn new(namespace: NamespaceId, number: u64) -> Self {
        Self { namespace, number }
    }

    /// The namespace that holds the branch.
    pub const fn namespace(self) -> NamespaceId {
        self.namespace
    }

    /// This branch's number, unique in its store.
    pub const fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.number)
    }
}

/// The name of a table of records: 1 to 32 lower-case letters and underscores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(&'static str);

impl Table {
    /// The table with this name.
    ///
    /// # Panics
    ///
    /// When the name is not 1 to 32 lower-case letters and underscores. Tables are meant to be constants, where this is a compile error.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 32, "a table's name has 1 to 32 bytes");
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                bytes[at].is_ascii_lowercase() || bytes[at] == b'_',
                "a table's name has lower-case letters and underscores"
            );
            at += 1;
        }
        Self(name)
    }

    /// The table's name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
