//! The rules, shown on whole catalogs.

mod branches;
mod corruption;
mod databases;
mod errors;
mod isolation;
mod keys;
mod model;
mod operations;
mod projects;
mod roles;
mod structure;
mod walk;

use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::{Engine, MemoryStore, Point, Store, testing::ManualClock};

use crate::{
    Branch, BranchId, Caller, Catalog, Error, NewBranch, NewProject, Operation, Options, ProjectId, Role, RoleLogin,
    RoleName, testing::SeededEntropy,
};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// A catalog with one account, that has one project.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) clock: ManualClock,
    pub(crate) caller: Caller,
    pub(crate) project: ProjectId,
    pub(crate) main: BranchId,
}

impl World {
    pub(crate) fn new() -> Result<Self, Error> {
        Self::over(MemoryStore::new())
    }

    pub(crate) fn over(store: impl Store) -> Result<Self, Error> {
        let clock = ManualClock::new(DateTime::from_timestamp_micros(1_672_864_547_000_000).unwrap());
        let catalog = Self::open(store, &clock, 1)?;
        let account = catalog.account_create(&"casey".parse()?)?;
        let caller = Caller::new(account.id);
        let created = catalog.project_create(&caller, NewProject::default())?;
        Ok(Self { catalog, clock, caller, project: created.project.id, main: created.branch.id })
    }

    /// Closes the catalog and opens it again over the same store, with randomness that begins elsewhere.
    pub(crate) fn reopen<S: Store, E: Into<offshoot_engine::Error>>(
        self,
        open: impl Fn() -> Result<S, E>,
        seed: u64,
    ) -> Result<Self, Error> {
        let Self { catalog, clock, caller, project, main } = self;
        drop(catalog);
        let catalog = Self::open(open().map_err(Into::into)?, &clock, seed)?;
        Ok(Self { catalog, clock, caller, project, main })
    }

    fn open(store: impl Store, clock: &ManualClock, seed: u64) -> Result<Catalog, Error> {
        let engine = Engine::open(store, offshoot_engine::Options::default().with_clock(clock.clone()))?;
        Catalog::open(engine, Options::default().with_entropy(SeededEntropy::new(seed)))
    }

    /// Lets a second go by, and tells an instant in its middle.
    pub(crate) fn pass(&self) -> DateTime<Utc> {
        self.clock.advance(TimeDelta::milliseconds(500));
        let middle = offshoot_engine::Clock::now(&self.clock);
        self.clock.advance(TimeDelta::milliseconds(500));
        middle
    }

    pub(crate) fn role(&self, branch: &BranchId, name: &str) -> Result<Role, Error> {
        self.catalog.role_get(&self.caller, &self.project, branch, &name.parse()?)
    }

    pub(crate) fn roles(&self, branch: &BranchId) -> Result<Vec<Role>, Error> {
        self.catalog.role_list(&self.caller, &self.project, branch)
    }

    pub(crate) fn role_names(&self, branch: &BranchId) -> Result<Vec<String>, Error> {
        Ok(self.roles(branch)?.into_iter().map(|role| role.name.to_string()).collect())
    }

    pub(crate) fn create_role(&self, branch: &BranchId, name: &str) -> Result<Role, Error> {
        let name = RoleName::new(name)?;
        Ok(self.catalog.role_create(&self.caller, &self.project, branch, name, RoleLogin::Password)?.role)
    }

    pub(crate) fn delete_role(&self, branch: &BranchId, name: &str) -> Result<Option<Role>, Error> {
        let deleted = self.catalog.role_delete(&self.caller, &self.project, branch, &name.parse()?)?;
        Ok(deleted.map(|deleted| deleted.role))
    }

    pub(crate) fn reset(&self, branch: &BranchId, name: &str) -> Result<Role, Error> {
        Ok(self.catalog.role_reset_password(&self.caller, &self.project, branch, &name.parse()?)?.role)
    }

    pub(crate) fn fork(&self, parent: &BranchId, point: Point) -> Result<Branch, Error> {
        let new = NewBranch { parent: Some(parent.clone()), point, ..NewBranch::default() };
        Ok(self.catalog.branch_create(&self.caller, &self.project, new)?.branch)
    }

    /// All operations of the project, oldest first.
    pub(crate) fn operations(&self) -> Result<Vec<Operation>, Error> {
        let mut items = self.catalog.operation_list(&self.caller, &self.project, None, usize::MAX)?.items;
        items.reverse();
        Ok(items)
    }
}

/// Operations in short: what they do and how far they are.
pub(crate) fn in_short(operations: &[Operation]) -> Vec<String> {
    operations.iter().map(|operation| format!("{} {}", operation.action, operation.status)).collect()
}

/// The code of the error that something must end with.
pub(crate) fn code<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "OK",
        Err(error) => error.code(),
    }
}
