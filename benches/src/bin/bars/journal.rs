//! What a durable commit costs, against what the disk allows.

use std::{io, path::Path, sync::Arc};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    commits::at_once,
    open_shared,
    overwrite::Preallocated,
    roles,
    rounds::{Candidate, interleaved},
    trees,
};
use offshoot_engine::{BranchId, Engine, SledStore};

use crate::{CACHE_BYTES, ROUNDS};

pub(crate) const THREADS: usize = 32;
const ROLES: u64 = 1_000;
/// How many bytes one commit changes.
const VALUE_BYTES: usize = 256;
/// How many bytes the journal's frame of one such commit has; a raw overwrite has as many.
const FRAME_BYTES: u64 = 4_096;
/// How many bytes of preallocated space are overwritten in turn.
const RAW_BYTES: u64 = 64 << 20;

/// Branches to commit to, one for each thread.
pub(crate) struct Ground {
    pub(crate) store: Arc<SledStore>,
    engine: Engine,
    branches: Vec<BranchId>,
}

impl Ground {
    pub(crate) fn new(directory: &Path, cache_bytes: u64) -> Outcome<Self> {
        let (engine, store) = open_shared(directory, cache_bytes)?;
        let branches = (0..THREADS).map(|_| trees::root(&engine, ROLES)).collect::<Outcome<_>>()?;
        Ok(Self { store, engine, branches })
    }

    /// Commits one changed value to the branch of a thread.
    pub(crate) fn commit(&self, thread: usize, number: u64) -> Outcome<()> {
        let branch = self.branches[thread];
        let role = number * 7_919 % ROLES;
        let value = roles::bytes::<VALUE_BYTES>(role, number);
        self.engine.transact(|tx| tx.put(branch, &roles::key(role), &value))?;
        Ok(())
    }

    /// Does `count` commits by this many threads. Gives how many were acknowledged.
    pub(crate) fn commits(&self, threads: usize, count: u64) -> Outcome<u64> {
        at_once(threads, |number| number < count, |thread, number| self.commit(thread, number))
    }
}

/// Preallocated space for frames, on the disk of the store in the same directory.
pub(crate) fn raw(directory: &Path) -> io::Result<Preallocated> {
    Preallocated::create(&directory.join("raw"), RAW_BYTES, FRAME_BYTES)
}

/// Durable commits of 256 bytes, alone and by 32 threads, against raw overwrites of preallocated space.
pub(crate) fn journal() -> Outcome<Vec<Bar>> {
    const BY_ONE: u64 = 1_000;
    const BY_ALL: u64 = 6_000;
    let directory = tempfile::tempdir()?;
    let mut raw = raw(directory.path())?;
    let ground = Ground::new(directory.path(), CACHE_BYTES)?;
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("raw overwrite", || Ok(raw.overwrite(BY_ONE)?)),
            Candidate::new("1 thread", || ground.commits(1, BY_ONE)),
            Candidate::new("32 threads", || ground.commits(THREADS, BY_ALL)),
        ],
    )?;
    let (raw, one, all) = (("raw overwrite", times[0]), ("1 thread", times[1]), ("32 threads", times[2]));
    Ok(vec![
        Bar::times("durable commit of 256 bytes: 1 thread to raw overwrite", one, raw, Limit::AtMost(1.7)),
        Bar::rates("durable commits of 256 bytes: 32 threads to 1 thread", all, one, Limit::AtLeast(4.0)),
        Bar::rates("durable commits of 256 bytes: 32 threads to raw overwrite", all, raw, Limit::AtLeast(2.5)),
    ])
}
