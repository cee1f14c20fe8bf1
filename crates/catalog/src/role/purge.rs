//! Purging a role: so that no branch of the past brings an old password back.

use offshoot_engine::{BranchId as EngineBranch, Direction};

use crate::{
    catalog::{Caller, Catalog, FoundProject},
    codec::{self, RoleRecord},
    error::{Error, Result},
    id::ProjectId,
    name::RoleName,
    provenance::Provenance,
    role::RoleLogin,
    tables::{branch as entries, project},
};

/// How many deleted branches one commit looks at.
const PAGE: usize = 64;

/// What purging a role brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolePurged {
    /// How many versions, of all branches of the project, had an old password of the role.
    pub versions: u64,
}

impl Catalog {
    /// Takes a role's old passwords out of all versions of a project's branches. What some branch has at present stays; everywhere else, deleted branches included, the role has no password
    /// then, and a branch that is made of such a version can get it one by [resetting](Catalog::role_reset_password) it. The role itself stays, since it may own
    /// databases there; there it is shown as created with the project.
    ///
    /// Reads every version of the project, while others go on. The engine notes who did it and when ([`offshoot_engine::Snapshot::purges`]), and its
    /// collector removes the bytes. Backups keep what they have.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`]; [`Error::Engine`], after which some versions may have the old passwords still: purge again.
    pub fn role_purge(&self, caller: &Caller, project: &ProjectId, name: &RoleName) -> Result<RolePurged> {
        self.check_may_wait()?;
        let project = FoundProject::find(&mut self.snapshot()?, caller, project)?;
        // One instant for all, so that purging again finds nothing to change.
        let since = project.record.created_at;
        let without_password = RoleRecord {
            place: 0,
            protected: false,
            login: RoleLogin::Password,
            verifier: None,
            created_at: since,
            updated_at: since,
            sealed: None,
        };
        let unfit = |reason| entries::ROLES.corrupt_key(name.as_str(), reason);
        let replacement = codec::encode(&without_password).map_err(unfit)?;
        let metadata = Provenance::new(caller, "role_purge", name.as_str()).encode()?;
        let key = entries::ROLES.key(name.as_str().as_bytes());
        self.purge_deleted_branches(&project, name, &without_password, &metadata)?;
        let purged =
            self.engine().purge(project.namespace(), &key, Some(&replacement), &metadata).map_err(Error::from)?;
        Ok(RolePurged { versions: purged.versions })
    }

    /// Takes a role's password from deleted branches, which nobody uses, so that what is present there is old, too.
    fn purge_deleted_branches(
        &self,
        project: &FoundProject,
        name: &RoleName,
        without_password: &RoleRecord,
        metadata: &[u8],
    ) -> Result<()> {
        let (namespace, key) = (project.namespace(), name.as_str().as_bytes());
        self.in_pages(|tx, range| {
            tx.set_metadata(metadata)?;
            let page = project::DELETED_BRANCHES.list(tx, namespace, range, Direction::Ascending, PAGE)?;
            for (_, deleted) in &page {
                let branch = EngineBranch::new(namespace, deleted.branch.0.number);
                if entries::ROLES.get(tx, branch, key)?.is_some_and(|record| record != *without_password) {
                    entries::ROLES.put(tx, branch, key, without_password)?;
                }
            }
            Ok(page.last().filter(|_| page.len() == PAGE).map(|(key, _)| key.clone()))
        })
    }
}
