//! A catalog, an executor and the clusters of its endpoints.

mod clients;
mod elsewhere;
mod port;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use offshoot_catalog::{
    BranchId, Caller, Catalog, EndpointId, EndpointKind, EndpointSpec, NewBranch, NewProject, Operation, ProjectId,
    RoleLogin, RoleName,
};
use offshoot_compute::{
    Clusters, Executor, ExecutorOptions, ExternalServers, PostgresOptions, Programs, Retries, ServerList,
};
use offshoot_engine::{Engine, MemoryStore, Point};
use rustix::process::Signal;
use secrecy::ExposeSecret;
use tempfile::TempDir;

pub(crate) use self::{
    clients::{Connected, Login, admin, connect, log_in, major, query},
    elsewhere::Elsewhere,
    port::{knock, knock_until_heard, log_in_over, say},
};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;
pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// How many worlds there were.
static WORLDS: AtomicU16 = AtomicU16::new(0);

/// A catalog with one project, and an executor that does its operations.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) caller: Caller,
    pub(crate) project: ProjectId,
    pub(crate) main: BranchId,
    /// What the roles of each branch log in with, as the catalog told it.
    pub(crate) passwords: BTreeMap<BranchId, BTreeMap<String, String>>,
    /// All passwords that were ever told.
    told: Vec<(String, String)>,
    executor: Option<Executor>,
    options: ExecutorOptions,
    servers: Servers,
    dir: TempDir,
}

/// Where an executor gets servers from.
enum Servers {
    Clusters,
    List(PathBuf),
}

impl World {
    pub(crate) fn new() -> Fallible<Self> {
        Self::with(Self::options())
    }

    /// What is tried again is tried again soon.
    pub(crate) fn options() -> ExecutorOptions {
        ExecutorOptions {
            retries: Retries { attempts: 8, first: TimeDelta::milliseconds(20), longest: TimeDelta::milliseconds(200) },
            upkeep_every: Duration::from_millis(200),
            ..ExecutorOptions::default()
        }
    }

    pub(crate) fn with(options: ExecutorOptions) -> Fallible<Self> {
        Self::made(options, Servers::Clusters)
    }

    /// A world whose servers stand in a list, which has none yet.
    pub(crate) fn with_list(list: PathBuf) -> Fallible<Self> {
        std::fs::write(&list, "")?;
        let retries = Retries { attempts: 1000, ..Self::options().retries };
        Self::made(ExecutorOptions { retries, lease_seconds: 1, ..Self::options() }, Servers::List(list))
    }

    fn made(options: ExecutorOptions, servers: Servers) -> Fallible<Self> {
        let engine = Engine::open(MemoryStore::new(), offshoot_engine::Options::default())?;
        // Ports of its own: another world could take one that is free while its server is stopped.
        let first = 20_000 + 100 * (WORLDS.fetch_add(1, Ordering::Relaxed) % 120);
        let catalog_options = offshoot_catalog::Options::default().with_compute_ports(first..=first + 99);
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
            servers,
            dir: TempDir::with_prefix("offshoot-")?,
        };
        let owner = created.roles.into_iter().next().ok_or("no role")?;
        let password = owner.password.ok_or("no password")?;
        world.told(&main, owner.role.name.as_str(), password.expose_secret());
        world.start()?;
        Ok(world)
    }

    pub(crate) fn start(&mut self) -> TestResult {
        let (catalog, options) = (self.catalog.clone(), self.options.clone());
        let executor = match &self.servers {
            Servers::Clusters => Executor::start(catalog, self.driver()?, options)?,
            Servers::List(list) => {
                let servers = ExternalServers::new(ServerList::File(list.clone()), None)?;
                Executor::start(catalog, servers, options)?
            }
        };
        self.executor = Some(executor);
        Ok(())
    }

    fn driver(&self) -> Fallible<Clusters> {
        let programs = Programs::find(None)?;
        Ok(Clusters::new(PostgresOptions { dir: self.clusters(), programs, user: None, is_durable: false })?)
    }

    pub(crate) fn stop(&mut self) {
        if let Some(executor) = self.executor.take() {
            executor.stop();
        }
    }

    pub(crate) fn clusters(&self) -> PathBuf {
        self.dir.path().join("pg")
    }

    /// Waits until there is nothing to do any more, and says what became of what was done.
    pub(crate) fn settle(&self) -> Fallible<Vec<Operation>> {
        loop {
            let moment = self.catalog.moment();
            if self.catalog.operations_open(1)?.is_empty() {
                let page = self.catalog.operation_list(&self.caller, &self.project, None, usize::MAX)?;
                return Ok(page.items);
            }
            self.catalog.operations_wait(moment, Duration::from_secs(60));
        }
    }

    /// Waits until an operation is as it is asked for.
    pub(crate) fn wait_for(&self, is_so: impl Fn(&Operation) -> bool) -> Fallible<Operation> {
        loop {
            let moment = self.catalog.moment();
            let page = self.catalog.operation_list(&self.caller, &self.project, None, usize::MAX)?;
            if let Some(operation) = page.items.into_iter().find(|operation| is_so(operation)) {
                return Ok(operation);
            }
            self.catalog.operations_wait(moment, Duration::from_secs(60));
        }
    }

    /// Waits until the computes of endpoints that are gone are gone, too.
    pub(crate) fn settle_removals(&self) -> TestResult {
        loop {
            let moment = self.catalog.moment();
            if self.catalog.computes_gone(1)?.is_empty() && self.catalog.operations_open(1)?.is_empty() {
                return Ok(());
            }
            self.catalog.operations_wait(moment, Duration::from_secs(60));
        }
    }

    /// Kills the server of a branch's endpoint, as a machine that is short of memory would.
    pub(crate) fn kill_postgres(&self, branch: &BranchId) -> TestResult {
        let dir = self.login(branch)?.socket.with_file_name("data");
        let text = std::fs::read_to_string(dir.join("postmaster.pid"))?;
        let pid = text.lines().next().ok_or("no process")?.parse()?;
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).ok_or("no process")?, Signal::KILL)?;
        Ok(())
    }

    fn told(&mut self, branch: &BranchId, role: &str, password: &str) {
        self.told.push((role.to_owned(), password.to_owned()));
        self.passwords.entry(branch.clone()).or_default().insert(role.to_owned(), password.to_owned());
    }

    pub(crate) fn create_role(&mut self, branch: &BranchId, name: &str) -> TestResult {
        let created =
            self.catalog.role_create(&self.caller, &self.project, branch, RoleName::new(name)?, RoleLogin::Password)?;
        self.told(branch, name, created.password.ok_or("no password")?.expose_secret());
        Ok(())
    }

    pub(crate) fn reset(&mut self, branch: &BranchId, name: &str) -> TestResult {
        let reset = self.catalog.role_reset_password(&self.caller, &self.project, branch, &RoleName::new(name)?)?;
        self.told(branch, name, reset.password.ok_or("no password")?.expose_secret());
        Ok(())
    }

    pub(crate) fn delete_role(&mut self, branch: &BranchId, name: &str) -> TestResult {
        self.catalog.role_delete(&self.caller, &self.project, branch, &RoleName::new(name)?)?.ok_or("no such role")?;
        self.passwords.entry(branch.clone()).or_default().remove(name);
        Ok(())
    }

    /// A child with an endpoint, which has its parent's roles as of `point`; `roles` are what those log in with.
    pub(crate) fn fork(
        &mut self,
        parent: &BranchId,
        point: Point,
        roles: BTreeMap<String, String>,
    ) -> Fallible<BranchId> {
        let new = NewBranch {
            parent: Some(parent.clone()),
            point,
            endpoints: vec![EndpointSpec::new(EndpointKind::ReadWrite)],
            ..NewBranch::default()
        };
        let branch = self.catalog.branch_create(&self.caller, &self.project, new)?.branch.id;
        self.passwords.insert(branch.clone(), roles);
        Ok(branch)
    }

    /// Where the server of a branch's endpoint is reached.
    pub(crate) fn login(&self, branch: &BranchId) -> Fallible<Login> {
        let endpoints = self.catalog.endpoint_list_of_branch(&self.caller, &self.project, branch)?;
        self.login_of(&endpoints.into_iter().next().ok_or("no endpoint")?.id)
    }

    /// Where an endpoint's server is reached.
    pub(crate) fn login_of(&self, endpoint: &EndpointId) -> Fallible<Login> {
        let port = self.catalog.compute_port(endpoint)?.ok_or("no port")?;
        Ok(Login { socket: self.clusters().join(endpoint.as_str()).join("s"), port })
    }

    pub(crate) fn check_after_settling(&self) -> TestResult {
        for operation in self.settle()? {
            assert_eq!(operation.error, None, "{operation:?}");
        }
        self.check_logins()
    }

    /// Checks that each endpoint accepts exactly the logins that the catalog promises.
    pub(crate) fn check_logins(&self) -> TestResult {
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
