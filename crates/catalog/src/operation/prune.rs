//! Finished operations are kept for a while, and then forgotten.

use std::ops::Bound;

use chrono::{DateTime, Utc};
use offshoot_engine::{Direction, KeyRange, NamespaceId};

use super::queue;
use crate::{
    catalog::Catalog,
    error::Result,
    tables::{project, system},
};

/// How many operations one commit forgets, and how many projects are looked at in one read.
const BATCH: usize = 256;

impl Catalog {
    /// Forgets operations that were finished before `before`; gives their number. Those that aren't finished stay.
    pub fn operations_prune(&self, before: DateTime<Utc>) -> Result<usize> {
        let mut pruned = 0;
        let mut range = KeyRange::ALL;
        loop {
            let mut source = self.snapshot()?;
            let ascending = Direction::Ascending;
            let page = system::PROJECTS.list(&mut source, NamespaceId::SYSTEM, range.clone(), ascending, BATCH)?;
            drop(source);
            let is_last = page.len() < BATCH;
            for (key, record) in page {
                pruned += self.prune_project(NamespaceId::new(record.namespace), before)?;
                range.start = Bound::Excluded(key);
            }
            if is_last {
                return Ok(pruned);
            }
        }
    }

    fn prune_project(&self, namespace: NamespaceId, before: DateTime<Utc>) -> Result<usize> {
        let mut pruned = 0;
        let mut range = KeyRange::ALL;
        loop {
            let mut source = self.snapshot()?;
            let page = project::OPERATIONS.list(&mut source, namespace, range.clone(), Direction::Ascending, BATCH)?;
            drop(source);
            let mut is_last = page.len() < BATCH;
            let mut old = Vec::new();
            for (key, record) in page {
                // What was scheduled later was finished later, too.
                if queue::operation_id(&key)?.instant() >= before {
                    is_last = true;
                    break;
                }
                if record.finished_at.is_some_and(|finished| finished.0 < before) {
                    old.push(key.clone());
                }
                range.start = Bound::Excluded(key);
            }
            if !old.is_empty() {
                self.commit(|tx| {
                    old.iter().try_for_each(|key| {
                        project::ROLE_SYNCS.delete(tx, namespace, key)?;
                        project::DATABASE_SYNCS.delete(tx, namespace, key)?;
                        project::OPERATIONS.delete(tx, namespace, key)
                    })
                })?;
                pruned += old.len();
            }
            if is_last {
                return Ok(pruned);
            }
        }
    }
}
