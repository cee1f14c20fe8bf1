//! Deletion: what is deleted can be recovered for a while, and is then removed for good.
//!
//! A deleted branch's or project's record is in a table of its own, with when and how it was deleted, so that nobody who looks for the
//! living finds it. What it holds stays where it is. Its endpoints keep their ids, their ports and their computes, which are suspended.
//!
//! Each has an entry in a queue that sorts by time. There is a step to be done at once, so that however many operations are open no commit gets too
//! large: these are cancelled. Whoever deletes does that step himself; after a crash it is found in the queue, as is the removal when the time for recovering is over.
//! Every step can be begun again.

mod branch;
mod project;
mod recover;
mod removal;

pub use self::recover::{BranchRecovered, ProjectRecovered};
use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::{Direction, KeyRange, NamespaceId};

use crate::{
    catalog::Catalog,
    codec::{BranchExpiryRecord, DeletionRecord, ProjectIdRecord, Stored, Time},
    error::Result,
    id::{BranchId, ProjectId},
    tables::{Records, Source, system, time_in},
};

/// For how many days what was deleted can be recovered.
const RECOVERY_DAYS: i64 = 7;

/// How many operations one commit cancels, or takes out of the queue.
const OPERATIONS: usize = 4096;

/// How many endpoints, branches or snapshots one commit does something about.
const PAGE: usize = 512;

/// Who, or what, deleted something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeletionMethod {
    /// Somebody.
    User,
    /// Its time had come.
    Ttl,
}

impl std::fmt::Display for DeletionMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Ttl => "ttl",
        })
    }
}

/// That something is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Since when.
    pub deleted_at: DateTime<Utc>,
    /// Until when it can be recovered.
    pub recoverable_until: DateTime<Utc>,
    /// Who, or what, deleted it.
    pub method: DeletionMethod,
}

impl From<DeletionRecord> for Deletion {
    fn from(DeletionRecord { at, until, method }: DeletionRecord) -> Self {
        Self { deleted_at: at.0, recoverable_until: until.0, method }
    }
}

/// Whether what is deleted can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// For seven days.
    Recoverable,
    /// No.
    Nothing,
}

impl DeletionRecord {
    /// That something is deleted now.
    pub(crate) fn now(at: Time, method: DeletionMethod, keeping: Keeping) -> Self {
        let until = match keeping {
            Keeping::Recoverable => Time(at.0 + TimeDelta::days(RECOVERY_DAYS)),
            Keeping::Nothing => at,
        };
        Self { at, until, method }
    }
}

/// What became of something in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is more to be done, with another commit.
    Unfinished,
    /// All that is to be done at present is done.
    Done,
    /// It is removed for good.
    Removed,
}

/// What [`Catalog::settle_deleted`] found and did.
#[derive(Default)]
pub(crate) struct Settled {
    /// Branches that are removed for good.
    pub(crate) branches: Vec<(ProjectId, BranchId)>,
    /// Projects that are removed for good.
    pub(crate) projects: Vec<ProjectId>,
    /// When the next one is due.
    pub(crate) next: Option<DateTime<Utc>>,
    /// Whether there may be more that is due.
    pub(crate) more: bool,
}

impl Catalog {
    /// Does what is due about up to `limit` deleted branches and as many projects. One that fails does not hold up those after it; the first error is told when
    /// all were tried.
    pub(crate) fn settle_deleted(&self, limit: usize) -> Result<Settled> {
        let mut source = self.snapshot()?;
        let branches = first(&mut source, &system::BRANCH_DELETIONS, limit)?;
        let projects = first(&mut source, &system::PROJECT_DELETIONS, limit)?;
        drop(source);
        let now = self.engine().now();
        let (due_branches, due_projects) = (due(&branches, now), due(&projects, now));
        let more = due_branches.max(due_projects) == limit;
        let (mut settled, mut failed) = (Settled { more, ..Settled::default() }, None);
        for (at, BranchExpiryRecord { project, branch }) in branches {
            if at > now {
                settled.next = Some(at);
                break;
            }
            match self.branch_settle(&project, &branch, Time(at)) {
                Ok(true) => settled.branches.push((project, branch)),
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for (at, ProjectIdRecord { project }) in projects {
            if at > now {
                settled.next = Some(settled.next.map_or(at, |next| next.min(at)));
                break;
            }
            match self.project_settle(&project, Time(at)) {
                Ok(true) => settled.projects.push(project),
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(settled), Err)
    }
}

/// How many of the first in a queue are due.
fn due<R>(first: &[(DateTime<Utc>, R)], now: DateTime<Utc>) -> usize {
    first.iter().take_while(|(at, _)| *at <= now).count()
}

/// The first of those in a queue, and when they are due.
pub(crate) fn first<R: Stored>(
    source: &mut impl Source,
    table: &Records<R>,
    limit: usize,
) -> Result<Vec<(DateTime<Utc>, R)>> {
    let found = table.list(source, NamespaceId::SYSTEM, KeyRange::ALL, Direction::Ascending, limit)?;
    let at = |(key, record): (bytes::Bytes, R)| {
        let time = time_in(&key);
        Ok((time.ok_or_else(|| table.corrupt_key(&key, "its key has no time"))?, record))
    };
    found.into_iter().map(at).collect()
}
