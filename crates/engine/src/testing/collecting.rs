//! Pins, open versions, retention and garbage collection among the random work.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use proptest::prelude::*;

use super::{
    model::{ModelBranch, ModelVersion},
    steps::{Run, Where, check_version},
};
use crate::{Error, NamespaceId, Step, Version};

/// What the run keeps beside its branches.
#[derive(Default)]
pub(super) struct Kept {
    pins: BTreeMap<u8, ModelVersion>,
    pub(super) open: Vec<(Version, ModelVersion)>,
    window: Option<Duration>,
    namespace: Option<NamespaceId>,
}

/// How many versions are open at a time.
const MOST_OPEN: usize = 3;

impl Run {
    pub(super) fn pin(&mut self, name: u8, at: usize, place: &Where) -> Result<(), TestCaseError> {
        let (point, branch) = (self.point(at, place), &self.branches[at]);
        match self.engine()?.transact(|tx| tx.pin(&[name], branch.id, point)) {
            Ok(_) => {
                let version = branch.at(point).cloned();
                let version =
                    version.ok_or_else(|| TestCaseError::fail(format!("{point:?} is outside the history")))?;
                self.kept.pins.insert(name, version);
                self.check_kept()
            }
            Err(Error::LsnOutsideHistory { .. } | Error::TimeOutsideHistory { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    pub(super) fn unpin(&mut self, name: u8) -> Result<(), TestCaseError> {
        let released = self.engine()?.transact(|tx| tx.unpin(NamespaceId::SYSTEM, &[name]))?.value;
        prop_assert_eq!(released, self.kept.pins.remove(&name).is_some());
        Ok(())
    }

    pub(super) fn fork_pinned(&mut self, name: u8) -> Result<(), TestCaseError> {
        let forked = self.engine()?.transact(|tx| tx.fork_pinned(NamespaceId::SYSTEM, &[name]))?.value;
        match (forked, self.kept.pins.get(&name)) {
            (None, None) => {}
            (Some(fork), Some(version)) => {
                check_version(&self.engine()?.head(fork.branch)?, version)?;
                self.branches.push(ModelBranch::new(fork.branch, version.clone(), fork.lsn));
            }
            (forked, _) => return Err(TestCaseError::fail(format!("forked {forked:?} of pin {name}"))),
        }
        Ok(())
    }

    pub(super) fn open(&mut self, at: usize, place: &Where) -> Result<(), TestCaseError> {
        let (point, branch) = (self.point(at, place), &self.branches[at]);
        if let (Ok(version), Some(expected)) = (self.engine()?.version(branch.id, point), branch.at(point)) {
            self.kept.open.push((version, expected.clone()));
        }
        if self.kept.open.len() > MOST_OPEN {
            let (version, expected) = self.kept.open.remove(0);
            check_version(&version, &expected)?;
        }
        Ok(())
    }

    pub(super) fn set_window(&mut self, millis: Option<u8>) -> Result<(), TestCaseError> {
        self.kept.window = millis.map(|millis| Duration::from_millis(millis.into()));
        self.engine()?.transact(|tx| tx.set_retention(NamespaceId::SYSTEM, self.kept.window))?;
        prop_assert_eq!(self.engine()?.retention(NamespaceId::SYSTEM)?, self.kept.window);
        Ok(())
    }

    pub(super) fn namespace(&mut self) -> Result<(), TestCaseError> {
        let engine = self.engine()?;
        self.kept.namespace = match self.kept.namespace {
            Some(namespace) => {
                engine.transact(|tx| tx.delete_namespace(namespace))?;
                None
            }
            None => {
                let made = engine.transact(|tx| {
                    let namespace = tx.create_namespace()?;
                    let branch = tx.create_branch(namespace)?;
                    (0..100_u8).try_for_each(|number| tx.put(branch, &[number], &[number; 30]))?;
                    Ok::<_, Error>((namespace, branch))
                })?;
                let (namespace, branch) = made.value;
                engine.transact(|tx| tx.put(branch, b"key", b"value"))?;
                engine.transact(|tx| tx.pin(b"pin", branch, crate::Point::Head))?;
                Some(namespace)
            }
        };
        Ok(())
    }

    pub(super) fn collect(&mut self, some: Option<(u8, u8)>) -> Result<(), TestCaseError> {
        let (budget, steps) = some.map_or((255, usize::MAX), |(budget, steps)| (budget, steps.into()));
        let mut is_all = false;
        {
            let mut collector = self.engine()?.collector();
            for _ in 0..steps {
                if collector.step(budget.into())? == Step::Idle {
                    is_all = true;
                    break;
                }
            }
        }
        let cut = self.kept.window.and_then(|window| {
            let window = TimeDelta::from_std(window).ok()?;
            Some(crate::Clock::now(&self.clock) - window)
        });
        for at in 0..self.branches.len() {
            let found = self.engine()?.branch(self.branches[at].id)?;
            let branch = &mut self.branches[at];
            let mut expected = branch.clone();
            cut.into_iter().for_each(|start| expected.cut(start));
            let (least, most) = (branch.versions[0].lsn, expected.versions[0].lsn);
            if is_all {
                prop_assert_eq!(found.first_lsn, most, "a round to the end cuts at the window's start");
            }
            // What was collected before the window got longer, or the clock went back, does not come back.
            prop_assert!(least <= found.first_lsn && found.first_lsn <= most, "nothing of the window is cut off");
            branch.versions.retain(|version| version.lsn >= found.first_lsn);
            prop_assert_eq!((found.first_lsn, found.first_time), (branch.versions[0].lsn, branch.versions[0].time));
        }
        self.check_kept()
    }

    /// Nobody has anything open any more: all that is not needed goes.
    pub(super) fn collect_all(&mut self) -> Result<(), TestCaseError> {
        self.kept.open.clear();
        self.engine()?.forget_cached();
        self.collect(None)?;
        self.engine()?.forget_cached();
        self.check_kept()
    }

    /// What pins keep and what is open reads as it was.
    pub(super) fn check_kept(&self) -> Result<(), TestCaseError> {
        for name in 0..3_u8 {
            match (self.engine()?.pinned(NamespaceId::SYSTEM, &[name])?, self.kept.pins.get(&name)) {
                (None, None) => {}
                (Some(found), Some(expected)) => check_version(&found, expected)?,
                (found, _) => return Err(TestCaseError::fail(format!("pin {name}: {found:?}"))),
            }
        }
        self.kept.open.iter().try_for_each(|(version, expected)| check_version(version, expected))
    }
}
