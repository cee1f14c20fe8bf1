//! trine-kv: an embedded store that has copy-on-write branches. Its reads walk the ancestors of a branch.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use offshoot_benches::{Outcome, roles};
use trine_kv::{Db, DbOptions, DurabilityMode, KeyRange, KeyValue, ReadVersion, WriteBatch, WriteOptions};

use super::{At, Branch, Branching, ROOT, Stamp};

const BUCKET: &str = "roles";
/// How many versions it is told to keep: as many as the race makes, and some.
const KEPT_VERSIONS: u64 = 1_000_000;

type Handle = Arc<RwLock<trine_kv::Branch<'static>>>;

pub(crate) struct Trine {
    /// Handles of branches borrow it, so it is never freed; it is closed when this is dropped.
    db: &'static Db,
    handles: RwLock<HashMap<Branch, Handle>>,
    next: AtomicU64,
}

type Rows = Box<dyn Iterator<Item = trine_kv::Result<KeyValue>>>;

impl Trine {
    /// A branch's handle, which is kept: to open one again for each read would cost far more than the read.
    fn handle(&self, branch: Branch) -> Outcome<Handle> {
        if let Some(handle) = self.handles.read().unwrap_or_else(PoisonError::into_inner).get(&branch) {
            return Ok(Arc::clone(handle));
        }
        let handle: Handle = Arc::new(RwLock::new(self.db.open_branch_sync(&name(branch))?));
        self.handles.write().unwrap_or_else(PoisonError::into_inner).insert(branch, Arc::clone(&handle));
        Ok(handle)
    }

    fn with<T>(&self, branch: Branch, read: impl FnOnce(&trine_kv::Branch<'static>) -> Outcome<T>) -> Outcome<T> {
        let handle = self.handle(branch)?;
        let handle = handle.read().unwrap_or_else(PoisonError::into_inner);
        read(&handle)
    }

    fn rows(&self, branch: Branch, from: u64) -> Outcome<Rows> {
        let range = KeyRange::half_open(roles::key(from), *b"role0");
        if branch == ROOT {
            return Ok(Box::new(self.db.bucket_sync(BUCKET)?.range_sync(&range)?));
        }
        self.with(branch, |handle| Ok(Box::new(handle.range_sync(BUCKET, &range)?) as Rows))
    }
}

fn name(branch: Branch) -> String {
    format!("branch-{branch}")
}

impl Branching for Trine {
    fn open(directory: &Path, cache_bytes: u64) -> Outcome<Self> {
        let mut options = DbOptions::persistent(directory)
            .with_durability(DurabilityMode::SyncData)
            .with_keep_last_read_versions(KEPT_VERSIONS);
        options.block_cache_bytes = usize::try_from(cache_bytes)?;
        let db: &'static Db = Box::leak(Box::new(Db::open_sync(options)?));
        db.bucket_sync(BUCKET)?;
        let next = db.list_branches_sync()?.len() as u64 + 1;
        Ok(Self { db, handles: RwLock::default(), next: AtomicU64::new(next) })
    }

    fn root(&self, roles: u64) -> Outcome<()> {
        for first in (0..roles).step_by(10_000) {
            let mut batch = WriteBatch::new();
            for role in first..roles.min(first + 10_000) {
                batch.put_bucket(BUCKET, roles::key(role), roles::value(role, 0).to_vec())?;
            }
            self.db.write_sync(batch, WriteOptions::buffered())?;
        }
        Ok(self.db.flush_sync()?)
    }

    fn fork(&self, parent: Branch, at: At) -> Outcome<Option<Branch>> {
        let child = self.next.fetch_add(1, Ordering::Relaxed);
        match at {
            At::Head if parent == ROOT => self.db.create_branch_sync(&name(child), self.db.latest_read_version())?,
            At::Head => self.db.create_branch_from_sync(&name(child), &name(parent))?,
            At::Lsn(stamp) if parent == ROOT => {
                self.db.create_branch_sync(&name(child), ReadVersion::from_u64(stamp.lsn))?;
            }
            // It knows no times, and no past of other branches than the root.
            At::Lsn(_) | At::Time(_) => return Ok(None),
        }
        Ok(Some(child))
    }

    fn forks(&self, _count: u64) -> Outcome<(u64, Branch)> {
        let child = self.fork(ROOT, At::Head)?.ok_or("a fork of the head is always possible")?;
        Ok((1, child))
    }

    fn put(&self, branch: Branch, role: u64, seed: u64) -> Outcome<()> {
        let handle = self.handle(branch)?;
        let mut handle = handle.write().unwrap_or_else(PoisonError::into_inner);
        Ok(handle.put_sync(BUCKET, roles::key(role), roles::value(role, seed).to_vec())?)
    }

    fn versions(&self, roles: u64, count: u64) -> Outcome<Vec<Stamp>> {
        let version = |number: u64| -> Outcome<Stamp> {
            let role = number * 7_919 % roles;
            let mut batch = WriteBatch::new();
            batch.put_bucket(BUCKET, roles::key(role), roles::value(role, number).to_vec())?;
            let put = self.db.write_sync(batch, WriteOptions::buffered())?;
            Ok(Stamp { lsn: put.read_version().as_u64(), micros: 0 })
        };
        let stamps = (0..count).map(version).collect::<Outcome<Vec<_>>>()?;
        self.db.flush_sync()?;
        Ok(stamps)
    }

    fn get(&self, branch: Branch, role: u64) -> Outcome<Option<Vec<u8>>> {
        if branch == ROOT {
            return Ok(self.db.bucket_sync(BUCKET)?.get_sync(&roles::key(role))?);
        }
        self.with(branch, |handle| Ok(handle.get_sync(BUCKET, &roles::key(role))?))
    }

    fn list(&self, branch: Branch, from: u64, limit: usize) -> Outcome<usize> {
        let mut count = 0;
        for row in self.rows(branch, from)?.take(limit) {
            row?;
            count += 1;
        }
        Ok(count)
    }

    fn diff(&self, before: Branch, after: Branch) -> Outcome<usize> {
        let mut count = 0;
        // It has no diff: all rows of both have to be read.
        for (before, after) in self.rows(before, 0)?.zip(self.rows(after, 0)?) {
            count += usize::from(before?.value != after?.value);
        }
        Ok(count)
    }
}

impl Drop for Trine {
    fn drop(&mut self) {
        self.handles.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.db.close_sync();
    }
}
