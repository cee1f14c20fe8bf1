//! Offshoot's engine over its sled store.

use std::{ops::Bound, path::Path, sync::Mutex};

use bytes::Bytes;
use chrono::DateTime;
use offshoot_benches::{Outcome, commits::at_once, open, roles, trees};
use offshoot_engine::{BranchId, Direction, Engine, KeyRange, Lsn, NamespaceId, Point};

use super::{At, Branch, Branching, ROOT, Stamp};

/// How many writers make versions, and how many forks one transaction makes, where many are to be made.
const WRITERS: usize = 32;
const FORKS: u64 = 1_000;

pub(crate) struct Offshoot {
    engine: Engine,
    root: BranchId,
}

impl Offshoot {
    fn id(&self, branch: Branch) -> BranchId {
        if branch == ROOT { self.root } else { BranchId::new(NamespaceId::SYSTEM, branch) }
    }
}

fn from_role(number: u64) -> KeyRange {
    KeyRange { start: Bound::Included(Bytes::copy_from_slice(&roles::key(number))), end: Bound::Unbounded }
}

impl Branching for Offshoot {
    fn open(directory: &Path, cache_bytes: u64) -> Outcome<Self> {
        let engine = open(directory, cache_bytes)?;
        // Which branch is the root is not the engine's to know.
        let marker = directory.join("root");
        let root = if marker.exists() {
            BranchId::new(NamespaceId::SYSTEM, std::fs::read_to_string(marker)?.parse()?)
        } else {
            let root = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
            std::fs::write(marker, root.number().to_string())?;
            root
        };
        Ok(Self { engine, root })
    }

    fn root(&self, roles: u64) -> Outcome<()> {
        trees::fill(&self.engine, self.root, roles)
    }

    fn fork(&self, parent: Branch, at: At) -> Outcome<Option<Branch>> {
        let point = match at {
            At::Head => Point::Head,
            At::Lsn(stamp) => Point::Lsn(Lsn::new(stamp.lsn)),
            At::Time(stamp) => Point::Time(DateTime::from_timestamp_micros(stamp.micros).ok_or("no such instant")?),
        };
        let child = self.engine.transact(|tx| tx.fork(self.id(parent), point))?.value.branch;
        Ok(Some(child.number()))
    }

    fn forks(&self, count: u64) -> Outcome<(u64, Branch)> {
        let count = count.min(FORKS);
        let last = self.engine.transact(|tx| {
            let mut last = self.root;
            for _ in 0..count {
                last = tx.fork(self.root, Point::Head)?.branch;
            }
            Ok::<_, offshoot_engine::Error>(last)
        })?;
        Ok((count, last.value.number()))
    }

    fn put(&self, branch: Branch, role: u64, seed: u64) -> Outcome<()> {
        Ok(trees::put(&self.engine, self.id(branch), role, seed)?)
    }

    fn versions(&self, roles: u64, count: u64) -> Outcome<Vec<Stamp>> {
        let stamps = Mutex::new(Vec::new());
        at_once(
            WRITERS,
            |number| number < count,
            |_, number| {
                let role = number * 7_919 % roles;
                let put =
                    self.engine.transact(|tx| tx.put(self.root, &roles::key(role), &roles::value(role, number)))?;
                let lsn = put.versions.first().ok_or("a put made no version")?.1;
                let stamp = Stamp { lsn: lsn.get(), micros: put.instant.timestamp_micros() };
                stamps.lock().map_err(|_| "a writer panicked")?.push(stamp);
                Ok(())
            },
        )?;
        Ok(stamps.into_inner().map_err(|_| "a writer panicked")?)
    }

    fn get(&self, branch: Branch, role: u64) -> Outcome<Option<Vec<u8>>> {
        Ok(self.engine.head(self.id(branch))?.get(&roles::key(role))?.map(|value| value.to_vec()))
    }

    fn list(&self, branch: Branch, from: u64, limit: usize) -> Outcome<usize> {
        let head = self.engine.head(self.id(branch))?;
        let mut count = 0;
        for entry in head.range(from_role(from), Direction::Ascending).take(limit) {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    fn diff(&self, before: Branch, after: Branch) -> Outcome<usize> {
        let (before, after) = (self.engine.head(self.id(before))?, self.engine.head(self.id(after))?);
        let mut count = 0;
        for difference in before.diff(&after, KeyRange::ALL) {
            difference?;
            count += 1;
        }
        Ok(count)
    }
}
