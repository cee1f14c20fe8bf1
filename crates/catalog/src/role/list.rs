//! The roles of a branch in a list: all of them, or page by page.

use offshoot_engine::{BranchId as EngineBranch, Lsn, Snapshot};

use super::{Role, parse_name, require};
use crate::{
    catalog::{Caller, Catalog, FoundBranch, not_at_once},
    codec::RoleRecord,
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::RoleName,
    tables::{Source, branch as entries},
};

/// Which roles of a branch to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSearch {
    /// Only those whose names contain this, in upper or lower case.
    pub text: Option<String>,
    /// From where the cursor of an earlier page points.
    pub after: Option<String>,
}

/// A part of a branch's roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePage {
    /// The part, in order of creation.
    pub roles: Vec<Role>,
    /// How many roles were found in all, those of other pages included.
    pub found: usize,
    /// The cursor to ask for the next part with, as it is; nothing at the end of the list.
    pub next: Option<String>,
}

/// A version of a branch's roles. Where two are the same, so is each role, and the list of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RolesVersion {
    /// Part of each role; a restored branch hands what it had on to another one.
    branch: BranchId,
    head: (EngineBranch, Lsn),
}

/// The roles of a branch as they are at one moment, not read yet.
pub struct RolesAtHead<'a> {
    catalog: &'a Catalog,
    source: Snapshot<'a>,
    branch: FoundBranch,
    version: RolesVersion,
}

impl RolesAtHead<'_> {
    /// Which version they are.
    pub fn version(&self) -> &RolesVersion {
        &self.version
    }

    /// Reads one of them.
    ///
    /// # Errors
    ///
    /// [`Error::RoleNotFound`].
    pub fn get(mut self, name: &RoleName) -> Result<Role> {
        let record = require(&mut self.source, &self.branch, name)?;
        Ok(Role::from_record(&self.branch.id, name.clone(), record))
    }

    /// Reads them, in order of creation.
    pub fn list(self) -> Result<Vec<Role>> {
        let catalog = self.catalog;
        let listed = catalog.roles_up_to(self.source, &self.branch, catalog.list_limit())?;
        // All of them are few enough, unless it has to be quick.
        listed.ok_or_else(not_at_once)
    }
}

/// Where a role stands in order of creation; its name makes the order total.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    micros: i64,
    place: u16,
    name: String,
}

impl Place {
    fn of(name: &str, record: &RoleRecord) -> Self {
        Self { micros: record.created_at.0.timestamp_micros(), place: record.place, name: name.to_owned() }
    }

    fn cursor(&self) -> String {
        format!("{}~{}~{}", self.micros, self.place, self.name)
    }

    fn parse(cursor: &str) -> Result<Self> {
        let parsed = || {
            let (micros, rest) = cursor.split_once('~')?;
            let (place, name) = rest.split_once('~')?;
            Some(Self { micros: micros.parse().ok()?, place: place.parse().ok()?, name: name.to_owned() })
        };
        parsed().ok_or_else(|| Error::CursorInvalid { cursor: cursor.to_owned() })
    }
}

impl Catalog {
    /// The roles of a branch, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn role_list(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<Vec<Role>> {
        self.roles_at_head(caller, project, branch)?.list()
    }

    /// The roles of a branch, for those who keep what they have read of a version.
    ///
    /// # Errors
    ///
    /// As of [`Catalog::role_list`].
    pub fn roles_at_head(&self, caller: &Caller, project: &ProjectId, branch: &BranchId) -> Result<RolesAtHead<'_>> {
        let mut source = self.snapshot()?;
        let (_, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let head = (branch.engine, source.head(branch.engine)?.lsn());
        let version = RolesVersion { branch: branch.id.clone(), head };
        Ok(RolesAtHead { catalog: self, source, branch, version })
    }

    /// The roles of a branch, in order of creation; none where it has more than `most`, which is found out without
    /// reading them all.
    ///
    /// # Errors
    ///
    /// As of [`Catalog::role_list`].
    pub fn role_list_up_to(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        most: usize,
    ) -> Result<Option<Vec<Role>>> {
        let mut source = self.snapshot()?;
        let (_, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        self.roles_up_to(source, &branch, most)
    }

    fn roles_up_to(&self, mut source: impl Source, branch: &FoundBranch, most: usize) -> Result<Option<Vec<Role>>> {
        let Some(records) = self.role_records(&mut source, branch, most)? else { return Ok(None) };
        let role = |(name, record)| Role::from_record(&branch.id, name, record);
        Ok(Some(records.into_iter().map(role).collect()))
    }

    /// Up to `limit` of the roles of a branch that `search` asks for, in order of creation. All of the branch's are read to find them.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::CursorInvalid`].
    pub fn role_search(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        search: &RoleSearch,
        limit: usize,
    ) -> Result<RolePage> {
        self.check_may_wait()?;
        let after = search.after.as_deref().map(Place::parse).transpose()?;
        let text = search.text.as_deref().map(str::to_lowercase);
        let fits = |name: &str| text.as_ref().is_none_or(|text| name.to_lowercase().contains(text));
        let mut source = self.snapshot()?;
        let (_, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let (mut found, mut places) = (0, Vec::new());
        for (name, record) in entries::ROLES.list(&mut source, branch.engine, b"", usize::MAX)? {
            if !self.shows(&record) || !fits(&name) {
                continue;
            }
            found += 1;
            let place = Place::of(&name, &record);
            if after.as_ref().is_none_or(|after| place > *after) {
                places.push(place);
            }
        }
        places.sort_unstable();
        let goes_on = places.len() > limit;
        places.truncate(limit);
        let next = places.last().filter(|_| goes_on).map(Place::cursor);
        let role = |Place { name, .. }| {
            let name = parse_name(name)?;
            let record = require(&mut source, &branch, &name)?;
            Ok(Role::from_record(&branch.id, name, record))
        };
        Ok(RolePage { roles: places.into_iter().map(role).collect::<Result<_>>()?, found, next })
    }

    /// The system has one role, which may be left out.
    fn shows(&self, record: &RoleRecord) -> bool {
        !(record.protected && self.options().hides_system_roles)
    }

    /// The records of the roles that a branch shows, in order of creation.
    pub(crate) fn role_records(
        &self,
        source: &mut impl Source,
        branch: &FoundBranch,
        most: usize,
    ) -> Result<Option<Vec<(RoleName, RoleRecord)>>> {
        // One more than may be shown, and one that may be left out.
        let records = entries::ROLES.list(source, branch.engine, b"", most.saturating_add(2))?;
        let mut records: Vec<_> = records.into_iter().filter(|(_, record)| self.shows(record)).collect();
        if records.len() > most {
            return Ok(None);
        }
        records.sort_by_key(|(_, record)| (record.created_at, record.place));
        records.into_iter().map(|(name, record)| Ok((parse_name(name)?, record))).collect::<Result<_>>().map(Some)
    }
}
