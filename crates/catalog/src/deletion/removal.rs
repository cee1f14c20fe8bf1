//! How a project is removed for good, in commits of a bounded size.

use offshoot_engine::{Direction, NamespaceId, StoreError};

use super::{OPERATIONS, PAGE, branch::dequeue, project::next_of};
use crate::{
    branch,
    catalog::{Catalog, FoundProject},
    codec::{DeletedProjectRecord, DeletionRecord, Time},
    compute, endpoint,
    error::{Error, Result},
    operation, snapshot,
    tables::{numbers, project, system, timed},
};

impl Catalog {
    /// Removes a deleted project and all that is in it.
    pub(super) fn project_clear(&self, project: &FoundProject, due: Time) -> Result<()> {
        let namespace = project.namespace();
        // From here on nobody can recover it, whatever the clock says.
        self.commit(|tx| {
            let key = project.id.as_str().as_bytes();
            let Some(deleted) = system::DELETED_PROJECTS.get(tx, NamespaceId::SYSTEM, key)? else { return Ok(()) };
            let deletion = DeletionRecord { until: deleted.deletion.at, ..deleted.deletion };
            let sealed = DeletedProjectRecord { deletion, ..deleted };
            system::DELETED_PROJECTS.put(tx, NamespaceId::SYSTEM, key, &sealed)
        })?;
        for table in [&project::ENDPOINTS, &project::DELETED_ENDPOINTS] {
            self.in_pages(|tx, range| {
                let page = table.list(tx, namespace, range, Direction::Ascending, PAGE)?;
                for (key, _) in &page {
                    let (_, endpoint) = endpoint::ids_in(key)?;
                    table.delete(tx, namespace, key)?;
                    system::ENDPOINT_IDS.delete(tx, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
                    compute::remove(tx, namespace, &endpoint)?;
                }
                Ok(next_of(&page))
            })?;
        }
        self.in_pages(|tx, range| operation::forget(tx, namespace, range, OPERATIONS))?;
        self.in_pages(|tx, range| {
            let page = project::BRANCHES.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            for (key, record) in &page {
                branch::forget_branch_expiry(tx, &branch::id_in(key)?, record)?;
            }
            Ok(next_of(&page))
        })?;
        self.in_pages(|tx, range| {
            let page = project::DELETED_BRANCHES.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            for (key, deleted) in &page {
                dequeue(tx, &branch::id_in(key)?, &deleted.deletion)?;
            }
            Ok(next_of(&page))
        })?;
        self.in_pages(|tx, range| {
            let page = project::SNAPSHOTS.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            for (key, record) in &page {
                snapshot::forget_expiry(tx, &snapshot::id_in(key)?, record)?;
            }
            Ok(next_of(&page))
        })?;
        // The rest goes with the namespace, unless it is more than one commit can hold.
        let removed = self.namespace_remove(project, due);
        let Err(Error::Engine(offshoot_engine::Error::Store(StoreError::CommitTooLarge { .. }))) = removed else {
            return removed;
        };
        while self.commit(|tx| Ok(tx.clear_namespace(namespace, PAGE)?))? == PAGE {}
        self.namespace_remove(project, due)
    }

    /// Removes what is left of a project, if it is not gone yet.
    fn namespace_remove(&self, project: &FoundProject, due: Time) -> Result<()> {
        self.commit(|tx| {
            let key = timed(due, project.id.as_str());
            if system::PROJECT_DELETIONS.get(tx, NamespaceId::SYSTEM, &key)?.is_none() {
                return Ok(());
            }
            system::PROJECT_DELETIONS.delete(tx, NamespaceId::SYSTEM, &key)?;
            system::DELETED_PROJECTS.delete(tx, NamespaceId::SYSTEM, project.id.as_str().as_bytes())?;
            let place = numbers(project.record.account.get(), project.record.namespace);
            system::ACCOUNT_DELETED_PROJECTS.delete(tx, NamespaceId::SYSTEM, &place)?;
            Ok(tx.delete_namespace(project.namespace())?)
        })
    }
}
