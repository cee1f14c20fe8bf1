//! The rules, shown on whole catalogs.

mod accounts;
mod branch_changes;
mod branches;
mod computes;
mod corruption;
mod databases;
mod deletion;
mod endpoints;
mod errors;
mod expiry;
mod history;
mod isolation;
mod keys;
mod many_roles;
mod model;
mod operations;
mod passwords;
mod projects;
mod purge;
mod restore;
mod roles;
mod snapshots;
mod structure;
mod walk;

use chrono::{DateTime, TimeDelta, Utc};
use offshoot_engine::{Engine, MemoryStore, Point, Store, testing::ManualClock};

use secrecy::ExposeSecret;

use crate::{
    Branch, BranchId, BranchReset, BranchUpdate, Caller, Catalog, ComputeState, DueOperation, Error, NewBranch,
    NewProject, NewRestore, Operation, OperationAction, Options, Outcome, PasswordKeys, ProjectId, Role, RoleLogin,
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
        // The same keys in every world, so that one that is opened again has them.
        let keys = PasswordKeys::generate(&SeededEntropy::new(0))?;
        Self::open_with(store, clock, Options::default().with_password_keys(keys), seed)
    }

    pub(crate) fn open_with(
        store: impl Store,
        clock: &ManualClock,
        options: Options,
        seed: u64,
    ) -> Result<Catalog, Error> {
        let engine = Engine::open(store, offshoot_engine::Options::default().with_clock(clock.clone()))?;
        Catalog::open(engine, options.with_entropy(SeededEntropy::new(seed)))
    }

    /// The same world, with a catalog that was opened over the same store with other options.
    pub(crate) fn with_options(&self, store: &MemoryStore, options: Options, seed: u64) -> Result<Self, Error> {
        let catalog = Self::open_with(store.clone(), &self.clock, options, seed)?;
        let (caller, project, main) = (self.caller.clone(), self.project.clone(), self.main.clone());
        Ok(Self { catalog, clock: self.clock.clone(), caller, project, main })
    }

    /// A role's password, as the catalog tells it again.
    pub(crate) fn reveal(&self, branch: &BranchId, name: &str) -> Result<String, Error> {
        let revealed = self.catalog.role_reveal_password(&self.caller, &self.project, branch, &name.parse()?)?;
        Ok(revealed.expose_secret().to_owned())
    }

    pub(crate) fn branch(&self, id: &BranchId) -> Result<Branch, Error> {
        self.catalog.branch_get(&self.caller, &self.project, id)
    }

    pub(crate) fn update(&self, id: &BranchId, update: BranchUpdate) -> Result<Branch, Error> {
        Ok(self.catalog.branch_update(&self.caller, &self.project, id, update)?.branch)
    }

    pub(crate) fn protect(&self, id: &BranchId, protected: bool) -> Result<Branch, Error> {
        self.update(id, BranchUpdate { protected: Some(protected), ..BranchUpdate::default() })
    }

    pub(crate) fn restore(&self, id: &BranchId, restore: &NewRestore) -> Result<BranchReset, Error> {
        self.catalog.branch_restore(&self.caller, &self.project, id, restore)
    }

    /// Does what is due until nothing is, leaving computes in `state`.
    pub(crate) fn settle(&self, state: ComputeState) -> Result<(), Error> {
        loop {
            let outcome = |due: DueOperation| {
                let compute = due.operation.endpoint.is_some().then_some(match due.operation.action {
                    OperationAction::SuspendCompute => ComputeState::Idle,
                    _ => state,
                });
                (due.project, due.operation.id, Outcome::Finished { compute })
            };
            let outcomes: Vec<_> = self.catalog.operations_due(usize::MAX)?.into_iter().map(outcome).collect();
            if outcomes.is_empty() {
                return Ok(());
            }
            self.catalog.operations_finish(&outcomes)?;
        }
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
