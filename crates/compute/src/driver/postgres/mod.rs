//! Driver `postgres`: each endpoint is a PostgreSQL cluster of its own on this machine.
//!
//! Clusters are processes of their own, which survive this one where it is killed. They are recognised by their data
//! directories when it is started again; no other PostgreSQL is ever touched.

mod files;
mod postmaster;
mod programs;
mod run_as;

use std::{
    collections::HashMap, fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf, process::Stdio, sync::Arc,
    time::Duration,
};

use offshoot_catalog::EndpointId;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

pub use self::programs::Programs;
use self::{files::Files, postmaster::Postmaster, run_as::RunAs};
use super::{Driver, DriverError, ServerOptions, StartedServer};
use crate::{apply::Admin, error_chain};

/// The superuser of each cluster. No role of a branch can have this name.
const ADMIN: &str = "cloud_admin";

/// How long a cluster may take until it lets the administrator in; recovery after a crash can take its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the clusters of a machine are run.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The directory that they are kept in; it is made, and is this driver's alone.
    pub dir: PathBuf,
    /// PostgreSQL's programs.
    pub programs: Programs,
    /// The user that they run as, for this process runs as root; `postgres` or `nobody` where none is named.
    pub user: Option<String>,
    /// Whether what the clusters hold survives the loss of power. Only tests do without.
    pub is_durable: bool,
}

/// The clusters of a machine.
pub struct Clusters {
    options: PostgresOptions,
    run_as: RunAs,
    clusters: Mutex<HashMap<EndpointId, Arc<tokio::sync::Mutex<Cluster>>>>,
    started: Mutex<HashMap<EndpointId, Admin>>,
}

/// What is known of a cluster while it is in somebody's hands.
#[derive(Default)]
struct Cluster {
    /// The process, where this one started it: it has to be asked for its end, or it stays in the list of processes.
    child: Option<Child>,
}

impl Clusters {
    /// Gets ready to run clusters; none is started or stopped yet.
    ///
    /// # Errors
    ///
    /// [`DriverError`] says what is missing: a user to run as, or a directory that it can get to.
    pub fn new(options: PostgresOptions) -> Result<Self, DriverError> {
        let run_as = RunAs::find(options.user.as_deref())?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&options.dir);
        made.map_err(DriverError::io(format!("making {}", options.dir.display())))?;
        let dir = std::fs::canonicalize(&options.dir);
        let dir = dir.map_err(DriverError::io(format!("looking at {}", options.dir.display())))?;
        let parent = dir.parent().unwrap_or(&dir);
        for dir in [parent, &dir] {
            run_as.let_through(dir)?;
        }
        run_as.check_reachable(&dir)?;
        let options = PostgresOptions { dir, ..options };
        Ok(Self { options, run_as, clusters: Mutex::default(), started: Mutex::default() })
    }

    /// The major version of PostgreSQL that they run.
    pub fn major(&self) -> u32 {
        self.options.programs.major()
    }

    fn files(&self, endpoint: &EndpointId) -> Files {
        Files::new(&self.options.dir, endpoint)
    }

    /// The endpoint's cluster; whoever has it locked has it to itself.
    fn cluster(&self, endpoint: &EndpointId) -> Arc<tokio::sync::Mutex<Cluster>> {
        Arc::clone(self.clusters.lock().entry(endpoint.clone()).or_default())
    }

    async fn create(&self, files: &Files) -> Result<SecretString, DriverError> {
        files.check_length()?;
        let password = files::new_password()?;
        files.make_dirs(&self.run_as)?;
        let password_file = files.write_password_for_initdb(&self.run_as, &password)?;
        let mut initdb = Command::new(&self.options.programs.initdb);
        initdb.arg("--pgdata").arg(files.data()).args(["--username", ADMIN, "--auth", "scram-sha-256"]);
        initdb.arg("--pwfile").arg(&password_file).args(["--encoding", "UTF8", "--locale", LOCALE]);
        if !self.options.is_durable {
            initdb.arg("--no-sync");
        }
        self.prepare(&mut initdb, files);
        // Whoever gives up waiting makes the cluster anew.
        let said = initdb.kill_on_drop(true).output().await;
        let said = said.map_err(DriverError::io("running initdb"))?;
        if !said.status.success() {
            let reason = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            return Err(DriverError::Program { program: "initdb", reason });
        }
        files.remove_password_of_initdb()?;
        files.furnish(&self.run_as)?;
        files.finish(&password)?;
        Ok(password)
    }

    fn spawn(&self, files: &Files, port: u16, is_read_only: bool) -> Result<Child, DriverError> {
        let log = files.open_log()?;
        let mut postgres = Command::new(&self.options.programs.postgres);
        postgres.arg("-D").arg(files.data());
        let port = port.to_string();
        // A list, in which a comma would end the name.
        let socket = format!("\"{}\"", files.socket().to_string_lossy().replace('"', "\"\""));
        let hba = files.beside("hba");
        let (certificate, key) = (files.beside("crt"), files.beside("tls"));
        let settings = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", &socket),
            ("hba_file", &hba.to_string_lossy()),
            ("ssl", "on"),
            ("ssl_cert_file", &certificate.to_string_lossy()),
            ("ssl_key_file", &key.to_string_lossy()),
            ("password_encryption", "scram-sha-256"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("default_transaction_read_only", if is_read_only { "on" } else { "off" }),
        ];
        for (name, value) in settings {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        if !self.options.is_durable {
            postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        self.prepare(&mut postgres, files);
        postgres.stdout(Stdio::null()).stderr(Stdio::from(log));
        // Ctrl-C in a terminal is for this process, which stops its clusters in order.
        postgres.process_group(0).kill_on_drop(false);
        postgres.spawn().map_err(DriverError::io("starting postgres"))
    }

    /// Makes a program run as the clusters' user, and know nothing of what this process was told: its environment can hold
    /// keys, and roles with enough privileges can read that of PostgreSQL.
    fn prepare(&self, program: &mut Command, files: &Files) {
        self.run_as.run(program);
        program.env_clear().current_dir(files.dir()).stdin(Stdio::null());
        for name in ["PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                program.env(name, value);
            }
        }
    }

    fn admin(&self, files: &Files, port: u16, password: &SecretString) -> Admin {
        let mut config = tokio_postgres::Config::new();
        config.host_path(files.socket()).port(port).user(ADMIN).password(password.expose_secret());
        Admin::new(config)
    }
}

async fn stop_cluster(cluster: &mut Cluster, files: &Files) -> Result<(), DriverError> {
    let data = files.data();
    if let Some(postmaster) = Postmaster::find(&data) {
        let ended = async {
            match &mut cluster.child {
                Some(child) => drop(child.wait().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stopped = postmaster.stop(&data) => stopped?,
            () = ended => {}
        }
    }
    cluster.child = None;
    Ok(())
}

/// Upper and lower case of all of Unicode, and the order of bytes.
const LOCALE: &str = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };

impl Driver for Clusters {
    async fn start(&self, endpoint: &EndpointId, options: ServerOptions) -> Result<Admin, DriverError> {
        let Some(port) = options.port else {
            return Err(DriverError::Unfit("there is no port left for the endpoint; allow more of them".into()));
        };
        let cluster = self.cluster(endpoint);
        let mut cluster = cluster.lock().await;
        let files = self.files(endpoint);
        let password = match files.password()? {
            Some(password) => password,
            None => self.create(&files).await?,
        };
        let admin = self.admin(&files, port, &password);
        match Postmaster::find(&files.data()) {
            Some(running) if running.port == port => {}
            running => {
                if running.is_some() {
                    stop_cluster(&mut cluster, &files).await?;
                }
                cluster.child = Some(self.spawn(&files, port, options.is_read_only)?);
            }
        }
        wait_until_ready(&mut cluster, &files, &admin).await?;
        self.started.lock().insert(endpoint.clone(), admin.clone());
        Ok(admin)
    }

    async fn stop(&self, endpoint: &EndpointId) -> Result<(), DriverError> {
        let cluster = self.cluster(endpoint);
        let mut cluster = cluster.lock().await;
        self.started.lock().remove(endpoint);
        stop_cluster(&mut cluster, &self.files(endpoint)).await
    }

    async fn remove(&self, endpoint: &EndpointId) -> Result<(), DriverError> {
        let shared = self.cluster(endpoint);
        let mut cluster = shared.lock().await;
        self.started.lock().remove(endpoint);
        let files = self.files(endpoint);
        stop_cluster(&mut cluster, &files).await?;
        files.remove()?;
        self.clusters.lock().remove(endpoint);
        Ok(())
    }

    fn present(&self) -> Vec<EndpointId> {
        files::endpoints(&self.options.dir)
    }

    fn started(&self) -> Vec<StartedServer> {
        let started = self.started.lock();
        started
            .iter()
            .map(|(endpoint, admin)| StartedServer { endpoint: endpoint.clone(), admin: admin.clone() })
            .collect()
    }

    async fn is_running(&self, endpoint: &EndpointId) -> bool {
        Postmaster::find(&self.files(endpoint).data()).is_some()
    }

    fn leaves_ports(&self) -> bool {
        true
    }

    async fn stop_all(&self) {
        let mut stopping = tokio::task::JoinSet::new();
        // Also those that an earlier server left and nobody has asked for since.
        for endpoint in self.present() {
            let (cluster, files) = (self.cluster(&endpoint), self.files(&endpoint));
            stopping.spawn(async move {
                let mut cluster = cluster.lock().await;
                if let Err(error) = stop_cluster(&mut cluster, &files).await {
                    tracing::error!(endpoint = endpoint.as_str(), error = error_chain(&error), "cannot stop a cluster");
                }
            });
        }
        stopping.join_all().await;
        self.started.lock().clear();
    }
}

/// Waits until the administrator can connect.
async fn wait_until_ready(cluster: &mut Cluster, files: &Files, admin: &Admin) -> Result<(), DriverError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let error = match admin.connect().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if let Some(child) = &mut cluster.child
            && child.try_wait().is_ok_and(|ended| ended.is_some())
        {
            cluster.child = None;
            return Err(DriverError::Program { program: "postgres", reason: files.last_logged() });
        }
        if Instant::now() >= end {
            return Err(DriverError::Program { program: "postgres", reason: error.to_string() });
        }
        sleep(Duration::from_millis(10)).await;
    }
}
