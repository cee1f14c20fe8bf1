//! A catalog, an executor and the clusters of its endpoints.

mod clients;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use offshoot_catalog::{
    BranchId, Caller, Catalog, EndpointKind, EndpointSpec, NewBranch, NewProject, Operation, ProjectId, RoleLogin,
    RoleName,
};
use offshoot_compute::{Clusters, Executor, ExecutorOptions, PostgresOptions, Programs, Retries};
use offshoot_engine::{Engine, MemoryStore, Point};
use secrecy::ExposeSecret;
use tempfile::TempDir;

pub use self::clients::{Login, admin, connect, log_in, query};

pub type TestResult = Result<(), Box<dyn std::error::Error>>;
pub type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A catalog with one project, and an executor that does its operations.
pub struct World {
    pub catalog: Catalog,
    pub caller: Caller,
    pub project: ProjectId,
    pub main: BranchId,
    /// What the roles of each branch log in with, as the catalog told it.
    pub passwords: BTreeMap<BranchId, BTreeMap<String, String>>,
    /// All passwords that were ever told.
    told: Vec<(String, String)>,
    executor: Option<Executor>,
    options: ExecutorOptions,
    dir: TempDir,
}

impl World {
    pub fn new() -> Fallible<Self> {
        Self::with(ExecutorOptions {
            retries: Retries { attempts: 6, first: TimeDelta::milliseconds(20), longest: TimeDelta::milliseconds(200) },
            upkeep_every: Duration::from_millis(200),
            ..ExecutorOptions::default()
        })
    }

    pub fn with(options: ExecutorOptions) -> Fallible<Self> {
        let engine = Engine::open(MemoryStore::new(), offshoot_engine::Options::default())?;
        let catalog_options = offshoot_catalog::Options::default().with_compute_ports(20_000..=32_000);
        let catalog = Catalog::open(engine, catalog_options)?;
        let account = catalog.account_create(&"casey".parse()?)?;
        let caller = Caller::new(account.id);
        let created = catalog.project_create(&caller, NewProject::default())?;
        let (project, main) = (created.project.id, created.branch.id);
        let mut world = Self {
            catalog,
            caller,
            project,
            main: main.clone(),
            passwords: BTreeMap::from([(main.clone(), BTreeMap::new())]),
            told: Vec::new(),
            executor: None,
            options,
            dir: TempDir::with_prefix("offshoot-")?,
        };
        let owner = created.roles.into_iter().next().ok_or("no role")?;
        let password = owner.password.ok_or("no password")?;
        world.told(&main, owner.role.name.as_str(), password.expose_secret());
        world.start()?;
        Ok(world)
    }

    pub fn start(&mut self) -> TestResult {
        let options =
            PostgresOptions { dir: self.clusters(), programs: Programs::find(None)?, user: None, is_durable: false };
        let driver = Clusters::new(options)?;
        self.executor = Some(Executor::start(self.catalog.clone(), driver, self.options.clone())?);
        Ok(())
    }

    pub fn stop(&mut self) {
        if let Some(executor) = self.executor.take() {
            executor.stop();
        }
    }

    pub fn clusters(&self) -> PathBuf {
        self.dir.path().join("pg")
    }

    /// Waits until there is nothing to do any more, and says what became of what was done.
    pub fn settle(&self) -> Fallible<Vec<Operation>> {
        loop {
            let moment = self.catalog.moment();
            if self.catalog.operations_open(1)?.is_empty() {
                let page = self.catalog.operation_list(&self.caller, &self.project, None, usize::MAX)?;
                return Ok(page.items);
            }
            self.catalog.operations_wait(moment, Duration::from_secs(60));
        }
    }

    fn told(&mut self, branch: &BranchId, role: &str, password: &str) {
        self.told.push((role.to_owned(), password.to_owned()));
        self.passwords.entry(branch.clone()).or_default().insert(role.to_owned(), password.to_owned());
    }

    pub fn create_role(&mut self, branch: &BranchId, name: &str) -> TestResult {
        let created =
            self.catalog.role_create(&self.caller, &self.project, branch, RoleName::new(name)?, RoleLogin::Password)?;
        self.told(branch, name, created.password.ok_or("no password")?.expose_secret());
        Ok(())
    }

    pub fn reset(&mut self, branch: &BranchId, name: &str) -> TestResult {
        let reset = self.catalog.role_reset_password(&self.caller, &self.project, branch, &RoleName::new(name)?)?;
        self.told(branch, name, reset.password.ok_or("no password")?.expose_secret());
        Ok(())
    }

    pub fn delete_role(&mut self, branch: &BranchId, name: &str) -> TestResult {
        self.catalog.role_delete(&self.caller, &self.project, branch, &RoleName::new(name)?)?.ok_or("no such role")?;
        self.passwords.entry(branch.clone()).or_default().remove(name);
        Ok(())
    }

    /// A child with an endpoint, which has its parent's roles as of `point`; `roles` are what those log in with.
    pub fn fork(&mut self, parent: &BranchId, point: Point, roles: BTreeMap<String, String>) -> Fallible<BranchId> {
        let new = NewBranch {
            parent: Some(parent.clone()),
            point,
            endpoints: vec![EndpointSpec { kind: EndpointKind::ReadWrite, suspend_timeout_seconds: None }],
            ..NewBranch::default()
        };
        let branch = self.catalog.branch_create(&self.caller, &self.project, new)?.branch.id;
        self.passwords.insert(branch.clone(), roles);
        Ok(branch)
    }

    /// Where the server of a branch's endpoint is reached.
    pub fn login(&self, branch: &BranchId) -> Fallible<Login> {
        let endpoints = self.catalog.endpoint_list_of_branch(&self.caller, &self.project, branch)?;
        let endpoint = endpoints.into_iter().next().ok_or("no endpoint")?.id;
        let port = self.catalog.compute_port(&endpoint)?.ok_or("no port")?;
        Ok(Login { socket: self.clusters().join(endpoint.as_str()).join("s"), port })
    }

    pub fn check_after_settling(&self) -> TestResult {
        for operation in self.settle()? {
            assert_eq!(operation.error, None, "{operation:?}");
        }
        self.check_logins()
    }

    /// Checks that each endpoint accepts exactly the logins that the catalog promises.
    pub fn check_logins(&self) -> TestResult {
        for (branch, roles) in &self.passwords {
            let login = self.login(branch)?;
            for (role, password) in &self.told {
                let expected = roles.get(role) == Some(password);
                let accepted = log_in(&login, role, password, "postgres");
                assert_eq!(accepted.is_ok(), expected, "{role:?} on {branch}: {accepted:?}");
            }
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}
