//! The steps that give branches other contents: restoring them, and snapshots.

use offshoot_engine::Point;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseError};

use super::{Contents, Pair, fail};
use crate::{BranchId, NewRestore, NewSnapshot, SnapshotRestore, tests::code};

/// How a branch is to be restored.
#[derive(Clone, Debug)]
pub(super) struct Restore {
    /// Which branch it is restored from.
    source: Index,
    /// As of which moment; now where none is given.
    moment: Option<Index>,
    preserves: bool,
    keeps_credentials: bool,
}

pub(super) fn restores() -> impl Strategy<Value = Restore> {
    let parts = (any::<Index>(), proptest::option::of(any::<Index>()), any::<bool>(), any::<bool>());
    parts.prop_map(|(source, moment, preserves, keeps_credentials)| Restore {
        source,
        moment,
        preserves,
        keeps_credentials,
    })
}

impl Pair {
    /// What a branch holds, or held at some moment, with the point that says so.
    fn as_of(&self, branch: &BranchId, moment: Option<&Index>) -> Option<(Point, Contents)> {
        let Some(moment) = moment else { return Some((Point::Head, self.state[branch].clone())) };
        let moments: Vec<_> = self.past.iter().filter(|(_, state)| state.contains_key(branch)).collect();
        if moments.is_empty() {
            return None;
        }
        let (instant, then) = moment.get(&moments);
        Some((Point::Time(*instant), then[branch].clone()))
    }

    pub(super) fn restore(&mut self, branch: &BranchId, restore: &Restore) -> Result<(), TestCaseError> {
        let branches: Vec<BranchId> = self.state.keys().cloned().collect();
        let source = restore.source.get(&branches).clone();
        let Some((point, mut contents)) = self.as_of(&source, restore.moment.as_ref()) else { return Ok(()) };
        self.names += 1;
        let preserve_under =
            restore.preserves.then(|| format!("old_{}", self.names).parse()).transpose().map_err(fail)?;
        let preserve_credentials = restore.keeps_credentials;
        let restore = NewRestore { source: source.clone(), point, preserve_under, preserve_credentials };
        let got = self.world.restore(branch, &restore);
        let has_children = self.parents.values().any(|parent| parent == branch);
        let expected = match (source == *branch, restore.preserve_under.is_some()) {
            (true, _) if point == Point::Head => "RESTORE_POINT_REQUIRED",
            (true, false) => "PRESERVE_NAME_REQUIRED",
            (false, false) if has_children => "PRESERVE_NAME_REQUIRED",
            _ => "OK",
        };
        let backup = got.as_ref().ok().and_then(|done| done.backup.as_ref()).map(|backup| backup.id.clone());
        prop_assert_eq!(expected, code(got), "{:?} on {}", restore, branch);
        if expected != "OK" {
            return Ok(());
        }
        let old = self.state[branch].clone();
        if preserve_credentials {
            contents.take_credentials(&old);
        }
        self.state.insert(branch.clone(), contents);
        // What the branch was is on the backup, also at every moment before.
        for (_, state) in &mut self.past {
            if let (Some(old), Some(backup)) = (state.remove(branch), &backup) {
                state.insert(backup.clone(), old);
            }
        }
        let parent = match backup {
            Some(backup) => {
                self.state.insert(backup.clone(), old);
                for deleted in self.deleted.iter_mut().filter(|deleted| deleted.parent.as_ref() == Some(branch)) {
                    deleted.parent = Some(backup.clone());
                }
                self.parents
                    .values_mut()
                    .filter(|parent| *parent == branch)
                    .for_each(|parent| *parent = backup.clone());
                if let Some(parent) = self.parents.remove(branch) {
                    self.parents.insert(backup.clone(), parent);
                }
                backup
            }
            None => {
                self.parent_gone(branch);
                source
            }
        };
        self.parents.insert(branch.clone(), parent);
        Ok(())
    }

    pub(super) fn take_snapshot(&mut self, branch: &BranchId, moment: Option<&Index>) -> Result<(), TestCaseError> {
        let Some((point, contents)) = self.as_of(branch, moment) else { return Ok(()) };
        let (world, new) = (&self.world, NewSnapshot { point, ..NewSnapshot::default() });
        let taken = world.catalog.snapshot_create(&world.caller, &world.project, branch, new).map_err(fail)?;
        self.snapshots.push((taken.id, branch.clone(), contents));
        Ok(())
    }

    pub(super) fn restore_snapshot(
        &mut self,
        which: &Index,
        preserve_credentials: bool,
        deletes: bool,
    ) -> Result<(), TestCaseError> {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let index = which.index(self.snapshots.len());
        let (id, source, mut contents) = self.snapshots[index].clone();
        let (caller, project) = (&self.world.caller, &self.world.project);
        let restore = SnapshotRestore { preserve_credentials, ..SnapshotRestore::default() };
        let made = self.world.catalog.snapshot_restore(caller, project, &id, &restore).map_err(fail)?.branch.id;
        if let Some(now) = self.state.get(&source).filter(|_| preserve_credentials) {
            contents.take_credentials(now);
        }
        if deletes {
            prop_assert!(self.world.catalog.snapshot_delete(caller, project, &id).map_err(fail)?.is_some());
            self.snapshots.remove(index);
        }
        self.state.insert(made, contents);
        Ok(())
    }
}

impl Contents {
    /// Gives the roles that can log in the verifiers that the roles of the same names have in `held`.
    fn take_credentials(&mut self, held: &Self) {
        for (name, verifier) in self.roles.iter_mut().filter(|(_, verifier)| verifier.is_some()) {
            if let Some((_, Some(kept))) = held.roles.iter().find(|(held, _)| held == name) {
                *verifier = Some(kept.clone());
            }
        }
    }
}
