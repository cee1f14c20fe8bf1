//! Servers that somebody else runs.

use offshoot_catalog::OperationStatus;
use offshoot_compute::{Clusters, Driver, ExternalServers, PostgresOptions, Programs, ServerList};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::{Login, TestResult, World, admin, log_in};

#[test]
fn an_endpoint_is_given_a_server_that_runs_elsewhere() -> TestResult {
    // Somebody else's server.
    let dir = TempDir::with_prefix("offshoot-elsewhere-")?;
    let options =
        PostgresOptions { dir: dir.path().join("pg"), programs: Programs::find(None)?, user: None, is_durable: false };
    let (runtime, elsewhere) = (Runtime::new()?, Clusters::new(options)?);
    let id: offshoot_catalog::EndpointId = "ep-some-where-1".parse()?;
    let port = 32_001;
    runtime.block_on(elsewhere.start(&id, Some(port)))?;
    let login = Login { socket: dir.path().join("pg/ep-some-where-1/s"), port };

    let mut world = World::with_list(dir.path().join("servers"))?;
    let main = world.main.clone();
    let failed = world.wait_for(|operation| operation.status == OperationStatus::Failed)?;
    let endpoint = failed.endpoint.ok_or("no endpoint")?;
    let error = failed.error.unwrap_or_default();
    assert!(error.contains(endpoint.as_str()) && error.contains("add a line to"), "{error}");

    let password = std::fs::read_to_string(dir.path().join("pg/ep-some-where-1.key"))?;
    let socket = login.socket.display();
    let line = format!("{endpoint} host={socket} port={port} user=cloud_admin password={password}\n");
    std::fs::write(dir.path().join("servers"), line)?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    for role in ["casey", "sally"] {
        log_in(&login, role, &world.passwords[&main][role], "neondb")?;
    }
    world.delete_role(&main, "sally")?;
    world.settle()?;
    assert!(log_in(&login, "sally", "x", "neondb").is_err());
    world.stop();
    // Nothing of it was stopped.
    admin(&login, "postgres")?.run("SELECT 1")?;
    let list = ServerList::File(dir.path().join("servers"));
    assert_eq!(ExternalServers::new(list, None)?.address(&endpoint), None);
    runtime.block_on(elsewhere.stop_all());
    Ok(())
}
