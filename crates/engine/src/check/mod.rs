//! A check of everything that the engine keeps in a store.
//!
//! [`check`] reads one durable snapshot and looks for what is damaged, missing, replaced, out of order or contradictory. It needs no
//! [`Engine`](crate::Engine), and writes nothing.
//!
//! ```
//! use offshoot_engine::{Engine, Error, MemoryStore, NamespaceId, Options, check};
//!
//! let store = MemoryStore::new();
//! let engine = Engine::open(store.clone(), Options::default())?;
//! let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
//! engine.transact(|tx| tx.put(main, b"sally", b"secret"))?;
//!
//! let report = check::check(&store, &mut |_| {})?;
//! assert!(report.is_sound(), "{report}");
//! assert_eq!(report.count(check::Kind::Version).number, 2);
//! # Ok::<(), Error>(())
//! ```
//!
//! # What it costs
//!
//! Each value is read once, in the order of the keys, in one range read; where several engines have written to the store, some nodes twice. What
//! is kept in memory until the end: about 50 bytes for each node, 4 for each reference from a node to a child, about 100 for each version, a
//! few hundred for each branch; and of one namespace at a time, the first and the last key below each node.
//!
//! # What it cannot find
//!
//! What nothing else in the engine's values depends on, as long as its checksum is right for its key:
//!
//! - a record that is missing, or that is an older one of the same key;
//! - the dates of the mark, of namespaces and of deletions;
//! - an advance of a branch's LSN without a version that was undone;
//! - the record of a branch without versions of its own, where nothing was forked from it: that it is missing, or another possible one;
//!   likewise its mark when it was deleted, the marks of branches in a deleted namespace, and the record or the mark of a namespace that has
//!   nothing in it;
//! - a version that is neither a branch's head nor the origin of a fork: that it is missing together with its entry by instant, or that it is another one
//!   with the same instant;
//! - a node that no version leads to: that it is missing, or another one.
//!
//! A [`SledStore`](crate::SledStore) finds all of these when it is opened, by the digest over everything.

mod bounds;
mod display;
mod findings;
mod history;
mod key;
mod nodes;
mod references;
mod report;
mod scan;
#[cfg(test)]
mod tests;
mod whole;

pub use self::{
    findings::{Affected, AffectedBranch, Finding, MAX_FINDINGS, Problem},
    key::Kind,
    report::{Count, Fill, Maps, Report, Waiting},
};

pub(crate) use self::key::Key;
use self::scan::Scan;
use crate::{
    NamespaceId,
    codec::key::NodeId,
    error::Error,
    store::{Direction, KeyRange, Store, View},
};

/// How many keys are read between two calls of the progress function.
const KEYS_PER_PROGRESS: u64 = 1024;

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many keys were read.
    pub keys: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// Checks everything that the engine keeps in `store`, as it is durable at this moment; commits may go on.
///
/// Calls `progress` about once in a thousand keys, and at the end.
///
/// # Errors
///
/// [`Error::Store`] when the store cannot be read. What is read and wrong is no error but a finding.
pub fn check(store: &dyn Store, progress: &mut dyn FnMut(Progress)) -> Result<Report, Error> {
    Ok(read_all(store, progress)?.finish().0)
}

/// The nodes that no version leads to, where nothing else is wrong with the store: otherwise they may be what a damaged value led to. Nobody may be writing.
pub(crate) fn garbage(store: &dyn Store) -> Result<Option<Vec<(NamespaceId, NodeId)>>, Error> {
    let (report, garbage) = read_all(store, &mut |_| {})?.finish();
    Ok(report.is_sound().then_some(garbage))
}

fn read_all(store: &dyn Store, progress: &mut dyn FnMut(Progress)) -> Result<Scan, Error> {
    let snapshot = store.snapshot(View::Durable)?;
    let mut scan = Scan::default();
    let mut so_far = Progress::default();
    for entry in snapshot.range(&KeyRange::ALL, Direction::Ascending) {
        let (key, value) = entry?;
        scan.add(snapshot.as_ref(), &key, &value)?;
        so_far.keys += 1;
        so_far.bytes += (key.len() + value.len()) as u64;
        if so_far.keys.is_multiple_of(KEYS_PER_PROGRESS) {
            progress(so_far);
        }
    }
    progress(so_far);
    Ok(scan)
}
