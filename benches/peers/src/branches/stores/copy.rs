//! The naive way on sled: a branch is a copy of all of its parent's roles. Reads can't be simpler; forks can't be dearer.

use std::{
    fs::File,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use offshoot_benches::{Outcome, roles};
use sled::{Batch, Db};

use super::{At, Branch, Branching, ROOT, Stamp};

pub(crate) struct Copy {
    db: Db,
    /// The file that sled writes to: its own flush does not wait for the disk.
    log: File,
    next: AtomicU64,
}

/// The branch's number, and the role's key.
pub(crate) fn key(branch: Branch, role: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&branch.to_be_bytes());
    key[8..].copy_from_slice(&roles::key(role));
    key
}

impl Copy {
    fn sync(&self) -> Outcome<()> {
        self.db.flush()?;
        Ok(self.log.sync_data()?)
    }
}

impl Branching for Copy {
    fn open(directory: &Path, cache_bytes: u64) -> Outcome<Self> {
        let config = sled::Config::new().path(directory).cache_capacity(cache_bytes).flush_every_ms(None);
        let db = config.open()?;
        let last = db.last()?.and_then(|(key, _)| Some(u64::from_be_bytes(key.get(..8)?.try_into().ok()?)));
        Ok(Self { db, log: File::open(directory.join("db"))?, next: AtomicU64::new(last.unwrap_or(ROOT) + 1) })
    }

    fn root(&self, roles: u64) -> Outcome<()> {
        for role in 0..roles {
            self.db.insert(key(ROOT, role), &roles::value(role, 0)[..])?;
        }
        self.sync()
    }

    fn fork(&self, parent: Branch, at: At) -> Outcome<Option<Branch>> {
        let At::Head = at else { return Ok(None) };
        let child = self.next.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::default();
        for entry in self.db.scan_prefix(parent.to_be_bytes()) {
            let (mut key, value) = entry?;
            key[..8].copy_from_slice(&child.to_be_bytes());
            batch.insert(key, value);
        }
        self.db.apply_batch(batch)?;
        self.sync()?;
        Ok(Some(child))
    }

    fn forks(&self, _count: u64) -> Outcome<(u64, Branch)> {
        let child = self.fork(ROOT, At::Head)?.ok_or("a fork of the head is always possible")?;
        Ok((1, child))
    }

    fn put(&self, branch: Branch, role: u64, seed: u64) -> Outcome<()> {
        self.db.insert(key(branch, role), &roles::value(role, seed)[..])?;
        self.sync()
    }

    fn versions(&self, _roles: u64, _count: u64) -> Outcome<Vec<Stamp>> {
        Ok(Vec::new())
    }

    fn get(&self, branch: Branch, role: u64) -> Outcome<Option<Vec<u8>>> {
        Ok(self.db.get(key(branch, role))?.map(|value| value.to_vec()))
    }

    fn list(&self, branch: Branch, from: u64, limit: usize) -> Outcome<usize> {
        let mut count = 0;
        for entry in self.db.range(&key(branch, from)[..]..&(branch + 1).to_be_bytes()[..]).take(limit) {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    fn diff(&self, before: Branch, after: Branch) -> Outcome<usize> {
        let roles = |branch: Branch| self.db.scan_prefix(branch.to_be_bytes());
        let mut count = 0;
        // Both have the same keys here; a diff that may not rely on it takes no less time.
        for (before, after) in roles(before).zip(roles(after)) {
            count += usize::from(before?.1 != after?.1);
        }
        Ok(count)
    }
}
