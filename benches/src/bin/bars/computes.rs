//! Computes: what it takes until a role can log in to a real PostgreSQL.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    open,
    rounds::median,
};
use offshoot_catalog::{BranchId, Caller, Catalog, EndpointId, NewProject, Options, ProjectId, RoleLogin, RoleName};
use offshoot_compute::{Clusters, Executor, ExecutorOptions, PostgresOptions, Programs, ServerOptions};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls};

use crate::{CACHE_BYTES, ROUNDS};

/// How many roles are applied at once.
const MANY: usize = 500;

/// A verifier of some password; what it is of does not matter.
const VERIFIER: &str = "SCRAM-SHA-256$4096:BwcHBwcHBwcHBwcHBwcHBw==$K97YndbuHX05fl7lN8Bcm3g4gnc43WvYj0OL1dbknsk=:tvVS2vfOxKAzPZ5DC4h+cucyZSS7rNC2MQ2ZJzmzu6s=";

/// A catalog on disk, and a PostgreSQL of its own.
struct World {
    catalog: Catalog,
    caller: Caller,
    project: ProjectId,
    main: BranchId,
    endpoint: EndpointId,
    clusters: PathBuf,
    runtime: Runtime,
}

impl World {
    fn new(directory: &Path) -> Outcome<Self> {
        let engine = open(directory, CACHE_BYTES)?;
        let catalog = Catalog::open(engine, Options::default().with_compute_ports(30_000..=31_999))?;
        let caller = Caller::new(catalog.account_create(&"casey".parse()?)?.id);
        let created = catalog.project_create(&caller, NewProject::default())?;
        let endpoint = created.endpoints.into_iter().next().ok_or("no endpoint")?.id;
        let (project, main) = (created.project.id, created.branch.id);
        let clusters = directory.join("pg");
        Ok(Self { catalog, caller, project, main, endpoint, clusters, runtime: Runtime::new()? })
    }

    fn executor(&self) -> Outcome<Executor> {
        let (dir, programs) = (self.clusters.clone(), Programs::find(None)?);
        let driver = Clusters::new(PostgresOptions { dir, programs, user: None, is_durable: true })?;
        Ok(Executor::start(self.catalog.clone(), driver, ExecutorOptions::default())?)
    }

    fn settle(&self) -> Outcome<()> {
        loop {
            let moment = self.catalog.moment();
            if self.catalog.operations_open(1)?.is_empty() {
                return Ok(());
            }
            self.catalog.operations_wait(moment, Duration::from_secs(60));
        }
    }

    /// Creates a role, and gives its password.
    fn create(&self, name: &str) -> Outcome<String> {
        let name = RoleName::new(name)?;
        let created = self.catalog.role_create(&self.caller, &self.project, &self.main, name, RoleLogin::Password)?;
        Ok(created.password.ok_or("no password")?.expose_secret().to_owned())
    }

    fn config(&self, role: &str, password: &str) -> Outcome<Config> {
        let port = self.catalog.compute_port(&self.endpoint)?.ok_or("no port")?;
        let mut config = Config::new();
        config.host_path(self.clusters.join(self.endpoint.as_str()).join("s")).port(port);
        config.user(role).password(password).dbname("postgres");
        Ok(config)
    }

    fn admin(&self) -> Outcome<Config> {
        let password = fs::read_to_string(self.clusters.join(format!("{}.key", self.endpoint)))?;
        self.config("cloud_admin", &password)
    }

    fn run(&self, config: &Config, statement: &str) -> Outcome<()> {
        self.runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client.batch_execute(statement).await?)
        })
    }

    /// Sends statements with psql.
    fn psql(&self, statements: &str) -> Outcome<()> {
        let admin = self.admin()?;
        let password = String::from_utf8(admin.get_password().unwrap_or_default().to_vec())?;
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--username", "cloud_admin", "--dbname", "postgres", "--port"]);
        psql.arg(admin.get_ports().first().ok_or("no port")?.to_string());
        psql.arg("--host").arg(self.clusters.join(self.endpoint.as_str()).join("s"));
        let mut child = psql.env("PGPASSWORD", password).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().ok_or("no standard input")?.write_all(statements.as_bytes())?;
        if child.wait()?.success() { Ok(()) } else { Err("psql failed".into()) }
    }
}

/// From the request for a role to its login, against the same by hand; many roles at once, against the same with psql; a first start.
pub(crate) fn computes() -> Outcome<Vec<Bar>> {
    let directory = TempDir::with_prefix("offshoot-")?;
    let world = World::new(directory.path())?;
    for number in 0..9 {
        world.create(&format!("first_{number}"))?;
    }
    let start = Instant::now();
    let mut executor = world.executor()?;
    world.settle()?;
    let cold = start.elapsed();

    let (mut ours, mut by_hand, mut many, mut script) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = Instant::now();
        let name = format!("ours_{round}");
        let password = world.create(&name)?;
        world.settle()?;
        world.run(&world.config(&name, &password)?, "SELECT 1")?;
        ours.push(start.elapsed());

        let start = Instant::now();
        let statement = format!("CREATE ROLE by_hand_{round} LOGIN PASSWORD '{password}'");
        world.run(&world.admin()?, &statement)?;
        world.run(&world.config(&format!("by_hand_{round}"), &password)?, "SELECT 1")?;
        by_hand.push(start.elapsed());

        executor.stop();
        for number in 0..MANY {
            world.create(&format!("many_{round}_{number}"))?;
        }
        // The compute is started without them being known to anybody: what is timed is what one operation does.
        let (dir, programs) = (world.clusters.clone(), Programs::find(None)?);
        let starter = Clusters::new(PostgresOptions { dir, programs, user: None, is_durable: true })?;
        let server = ServerOptions { port: world.catalog.compute_port(&world.endpoint)?, is_read_only: false };
        world.runtime.block_on(offshoot_compute::Driver::start(&starter, &world.endpoint, server))?;
        let start = Instant::now();
        executor = world.executor()?;
        world.settle()?;
        many.push(start.elapsed());

        let mut statements = String::new();
        for number in 0..MANY {
            writeln!(
                statements,
                "CREATE ROLE script_{round}_{number} LOGIN PASSWORD '{VERIFIER}' IN ROLE neon_superuser;"
            )?;
        }
        let start = Instant::now();
        world.psql(&format!("BEGIN;\n{statements}COMMIT;\n"))?;
        script.push(start.elapsed());
    }
    executor.stop();
    Ok(vec![
        Bar::times(
            "role: requested to logged in, to CREATE ROLE and login by hand",
            ("offshoot", median(ours)),
            ("by hand", median(by_hand)),
            Limit::AtMost(10.0),
        ),
        Bar::times(
            "500 roles: one apply to one psql script",
            ("offshoot", median(many)),
            ("psql", median(script)),
            Limit::AtMost(3.0),
        ),
        Bar {
            name: "first start of a compute with 10 roles, s".to_owned(),
            measured: format!("{:.2} s", cold.as_secs_f64()),
            value: cold.as_secs_f64(),
            limit: Limit::None,
        },
    ])
}
