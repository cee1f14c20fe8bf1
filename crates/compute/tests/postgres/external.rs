//! Servers that somebody else runs.

use std::{fs, path::PathBuf};

use offshoot_catalog::{EndpointId, OperationStatus};
use offshoot_compute::{
    Clusters, Driver, Executor, ExecutorOptions, ExternalServers, PostgresOptions, Programs, ServerList,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::{Fallible, Login, TestResult, World, admin, log_in};

/// Somebody else's server.
struct Elsewhere {
    dir: TempDir,
    runtime: Runtime,
    clusters: Clusters,
    login: Login,
}

impl Elsewhere {
    fn start(port: u16) -> Fallible<Self> {
        let dir = TempDir::with_prefix("offshoot-elsewhere-")?;
        let (clusters, programs) = (dir.path().join("pg"), Programs::find(None)?);
        let login = Login { socket: clusters.join("ep-some-where-1").join("s"), port };
        let options = PostgresOptions { dir: clusters, programs, user: None, is_durable: false };
        let (runtime, clusters) = (Runtime::new()?, Clusters::new(options)?);
        runtime.block_on(clusters.start(&"ep-some-where-1".parse()?, Some(port)))?;
        Ok(Self { dir, runtime, clusters, login })
    }

    fn list(&self) -> PathBuf {
        self.dir.path().join("servers")
    }

    /// Says that the server is an endpoint's.
    fn give_to(&self, endpoint: &EndpointId) -> TestResult {
        let password = fs::read_to_string(self.dir.path().join("pg/ep-some-where-1.key"))?;
        let (socket, port) = (self.login.socket.display(), self.login.port);
        let line = format!("{endpoint} host={socket} port={port} user=cloud_admin password={password}\n");
        Ok(fs::write(self.list(), line)?)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.runtime.block_on(self.clusters.stop_all());
    }
}

#[test]
fn an_endpoint_is_given_a_server_that_runs_elsewhere() -> TestResult {
    let elsewhere = Elsewhere::start(32_001)?;
    let login = &elsewhere.login;
    let mut world = World::with_list(elsewhere.list())?;
    let main = world.main.clone();
    let failed = world.wait_for(|operation| operation.status == OperationStatus::Failed)?;
    let endpoint = failed.endpoint.ok_or("no endpoint")?;
    let error = failed.error.unwrap_or_default();
    assert!(error.contains(endpoint.as_str()) && error.contains("add a line to"), "{error}");

    elsewhere.give_to(&endpoint)?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    for role in ["casey", "sally"] {
        log_in(login, role, &world.passwords[&main][role], "neondb")?;
    }
    world.delete_role(&main, "sally")?;
    world.settle()?;
    assert!(log_in(login, "sally", "x", "neondb").is_err());
    world.stop();
    // Nothing of it was stopped.
    admin(login, "postgres")?.run("SELECT 1")?;
    // A socket is no address for clients elsewhere.
    assert_eq!(ExternalServers::new(ServerList::File(elsewhere.list()), None)?.address(&endpoint), None);
    Ok(())
}

#[test]
fn executors_that_share_a_store_do_each_operation_and_do_not_get_in_each_others_way() -> TestResult {
    let elsewhere = Elsewhere::start(32_002)?;
    let mut world = World::with_list(elsewhere.list())?;
    let main = world.main.clone();
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    elsewhere.give_to(&endpoint)?;
    let options = ExecutorOptions { lease_seconds: 1, ..World::options() };
    let names = ["two", "three"].map(|name| ExecutorOptions { name: name.into(), ..options.clone() });
    let start = |options| -> Fallible<Executor> {
        let servers = ExternalServers::new(ServerList::File(elsewhere.list()), None)?;
        Ok(Executor::start(world.catalog.clone(), servers, options)?)
    };
    let others = names.into_iter().map(start).collect::<Fallible<Vec<_>>>()?;
    for number in 0..30 {
        world.create_role(&main, &format!("role {number}"))?;
        if number % 2 == 0 {
            world.delete_role(&main, &format!("role {number}"))?;
        }
    }
    // The first goes with its lease; the others have to wait for its end, and no longer.
    world.stop();
    world.create_role(&main, "after")?;
    world.settle()?;
    others.into_iter().for_each(Executor::stop);
    for number in 0..30 {
        let name = format!("role {number}");
        let password = world.passwords[&main].get(&name);
        let accepted = log_in(&elsewhere.login, &name, password.map_or("none", |password| password), "neondb");
        assert_eq!(accepted.is_ok(), number % 2 == 1, "{name}: {accepted:?}");
    }
    log_in(&elsewhere.login, "after", &world.passwords[&main]["after"], "neondb")?;
    Ok(())
}
