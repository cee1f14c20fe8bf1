//! The steps that delete branches, bring them back, and let the time for that go by.

use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::Clock;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseError};

use super::{Contents, Pair, fail};
use crate::{BranchId, tests::code};

/// A branch that was deleted.
pub(super) struct Deleted {
    pub(super) id: BranchId,
    contents: Contents,
    /// Where what it was forked from is.
    pub(super) parent: Option<BranchId>,
    until: DateTime<Utc>,
}

impl Pair {
    pub(super) fn delete(&mut self, branch: &BranchId, for_good: bool) -> Result<(), TestCaseError> {
        let expected = match self.parents.values().any(|parent| parent == branch) {
            _ if *branch == self.world.main => "BRANCH_IS_DEFAULT",
            true => "BRANCH_HAS_CHILDREN",
            false => "OK",
        };
        let (caller, project, catalog) = (&self.world.caller, &self.world.project, &self.world.catalog);
        let got = match for_good {
            true => catalog.branch_delete_for_good(caller, project, branch),
            false => catalog.branch_delete(caller, project, branch),
        };
        let deletion = got.as_ref().ok().and_then(|changed| changed.as_ref()?.branch.deletion);
        prop_assert_eq!(expected, code(got), "deleting {}", branch);
        if expected != "OK" {
            return Ok(());
        }
        let contents = self.state.remove(branch).unwrap_or_default();
        let parent = self.parents.remove(branch);
        prop_assert_eq!(deletion.is_none(), for_good);
        match deletion {
            Some(deletion) => {
                prop_assert_eq!(deletion.recoverable_until - deletion.deleted_at, TimeDelta::days(7));
                let until = deletion.recoverable_until;
                self.deleted.push(Deleted { id: branch.clone(), contents, parent, until });
            }
            None => self.parent_gone(branch),
        }
        Ok(())
    }

    pub(super) fn recover(&mut self, which: &Index) -> Result<(), TestCaseError> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        let index = which.index(self.deleted.len());
        let id = self.deleted[index].id.clone();
        let parent = self.deleted[index].parent.clone();
        let expected = match &parent {
            Some(parent) if self.deleted.iter().any(|deleted| deleted.id == *parent) => "PARENT_DELETED",
            _ => "OK",
        };
        let got = self.world.catalog.branch_recover(&self.world.caller, &self.world.project, &id);
        prop_assert_eq!(expected, code(got), "recovering {}", id);
        if expected == "OK" {
            let deleted = self.deleted.remove(index);
            self.state.insert(id.clone(), deleted.contents);
            parent.map(|parent| self.parents.insert(id, parent));
        }
        Ok(())
    }

    pub(super) fn wait(&mut self, days: u8) -> Result<(), TestCaseError> {
        self.world.clock.advance(TimeDelta::days(days.into()));
        let now = self.world.clock.now();
        let mut removed = self.world.catalog.expire(1000).map_err(fail)?.removed_branches;
        let mut expected: Vec<_> = self.deleted.iter().filter(|deleted| deleted.until <= now).collect();
        expected.sort_by_key(|deleted| &deleted.id);
        removed.sort();
        let expected: Vec<_> = expected.iter().map(|deleted| deleted.id.clone()).collect();
        prop_assert_eq!(removed.into_iter().map(|(_, branch)| branch).collect::<Vec<_>>(), expected.clone());
        self.deleted.retain(|deleted| deleted.until > now);
        expected.iter().for_each(|branch| self.parent_gone(branch));
        Ok(())
    }

    /// Notes that there is no more of what a branch was, for those that were forked from it and are deleted.
    pub(super) fn parent_gone(&mut self, branch: &BranchId) {
        for deleted in self.deleted.iter_mut().filter(|deleted| deleted.parent.as_ref() == Some(branch)) {
            deleted.parent = None;
        }
    }

    /// Checks that the catalog lists the same deleted branches as the model.
    pub(super) fn compare_deleted(&self) -> Result<(), TestCaseError> {
        let listed = self.world.catalog.branch_list_deleted(&self.world.caller, &self.world.project).map_err(fail)?;
        let mut listed: Vec<_> = listed.into_iter().map(|branch| branch.id).collect();
        let mut expected: Vec<_> = self.deleted.iter().map(|deleted| deleted.id.clone()).collect();
        listed.sort();
        expected.sort();
        prop_assert_eq!(listed, expected);
        Ok(())
    }
}
