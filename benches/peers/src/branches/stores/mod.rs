//! What a user would pick instead of Offshoot's engine, each behind the same trait.

mod copy;
mod offshoot;
mod sqlite;
mod trine;

use std::path::Path;

use offshoot_benches::Outcome;

pub(crate) use self::{
    copy::{Copy, key as copy_key},
    offshoot::Offshoot,
    sqlite::Sqlite,
    trine::Trine,
};

/// A branch, by the number that its store gave it.
pub(crate) type Branch = u64;

/// The branch that [`Branching::root`] makes.
pub(crate) const ROOT: Branch = 0;

/// A version of a branch, as the store that made it names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) lsn: u64,
    /// Microseconds since 1970.
    pub(crate) micros: i64,
}

/// The point of its parent that a fork begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Head,
    Lsn(Stamp),
    Time(Stamp),
}

/// Branches of roles. What changes something returns when that is durable; what is meant for building may make many changes durable at once.
pub(crate) trait Branching: Send + Sync {
    /// The store in this directory, made where there is none, with as much memory for its caches as it can be told to take.
    fn open(directory: &Path, cache_bytes: u64) -> Outcome<Self>
    where
        Self: Sized;

    /// Makes the root branch with `roles` roles.
    fn root(&self, roles: u64) -> Outcome<()>;

    /// Makes a child; none where the store can't begin it with that point.
    fn fork(&self, parent: Branch, at: At) -> Outcome<Option<Branch>>;

    /// Makes up to `count` children of the root as fast as the store can make many. Gives how many, and the last one.
    fn forks(&self, count: u64) -> Outcome<(u64, Branch)>;

    /// Puts one role.
    fn put(&self, branch: Branch, role: u64, seed: u64) -> Outcome<()>;

    /// Makes up to `count` versions of the root, each of which has changed one of `roles` roles; none where the store keeps no versions.
    fn versions(&self, roles: u64, count: u64) -> Outcome<Vec<Stamp>>;

    /// One role's value.
    fn get(&self, branch: Branch, role: u64) -> Outcome<Option<Vec<u8>>>;

    /// How many roles there are from this one on, up to `limit`; all of them are read.
    fn list(&self, branch: Branch, from: u64, limit: usize) -> Outcome<usize>;

    /// How many roles differ.
    fn diff(&self, before: Branch, after: Branch) -> Outcome<usize>;
}
