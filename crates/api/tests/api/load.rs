//! Many changes at once.

use crate::common::{App, TestResult, each, list};
use offshoot_catalog::{Catalog, ComputeState, Operation, Outcome};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::task::JoinSet;

/// How many clients change roles and databases at once.
const CLIENTS: usize = 24;

/// Does what is due until it is told to stop and nothing is left, as an executor does. Gives the operations in the order in which they were done.
fn execute(catalog: &Catalog, stopping: &AtomicBool) -> Result<Vec<Operation>, offshoot_catalog::Error> {
    let mut done = Vec::new();
    loop {
        let (moment, is_last) = (catalog.moment(), stopping.load(Ordering::SeqCst));
        let due = catalog.operations_due(CLIENTS)?;
        let busy: BTreeSet<_> = due.iter().filter_map(|due| due.operation.endpoint.clone()).collect();
        assert_eq!(busy.len(), due.len(), "an endpoint has several operations at a time");
        if due.is_empty() && is_last {
            return Ok(done);
        }
        if due.is_empty() {
            catalog.operations_wait(moment, Duration::MAX);
        }
        // The newest first: which endpoint is first does not matter.
        for due in due.into_iter().rev() {
            let outcome = Outcome::Finished { compute: Some(ComputeState::Idle) };
            catalog.operations_finish(&[(due.project, due.operation.id, outcome)])?;
            done.push(due.operation);
        }
    }
}

/// All changes that one client makes, one after the other. Gives the ids of their operations.
async fn change_all(app: &App, branch: &str, client: usize) -> Result<Vec<String>, Box<dyn Error>> {
    let (role, database) = (format!("role_{client}"), format!("database_{client}"));
    let (role_path, database_path) = (format!("{branch}/roles/{role}"), format!("{branch}/databases/{database}"));
    let changes = [
        ("POST", format!("{branch}/roles"), json!({ "role": { "name": role } })),
        ("POST", format!("{role_path}/reset_password"), Value::Null),
        ("POST", format!("{branch}/databases"), json!({ "database": { "name": database, "owner_name": role } })),
        ("PATCH", database_path.clone(), json!({ "database": { "owner_name": "casey" } })),
        ("DELETE", database_path, Value::Null),
        ("DELETE", role_path, Value::Null),
    ];
    let mut operations = Vec::new();
    for (method, path, body) in changes {
        // Whatever is refused is an error here, 423 among them.
        let changed = app.ok(method, &path, body).await?;
        assert!(!list(&changed["operations"]).is_empty(), "{method} {path} has no operations");
        operations.extend(each(&changed["operations"], "id"));
    }
    Ok(operations)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_load_queue_in_order_on_each_endpoint_and_none_is_locked_out() -> TestResult {
    let app = Arc::new(App::new()?);
    let (created, project, main) = app.project().await?;
    let reader = json!({ "endpoint": { "branch_id": created["branch"]["id"], "type": "read_only" } });
    app.ok("POST", &format!("{project}/endpoints"), reader).await?;
    app.settle(ComputeState::Idle)?;

    let stopping = Arc::new(AtomicBool::new(false));
    let executor = thread::spawn({
        let (catalog, stopping) = (app.catalog.clone(), Arc::clone(&stopping));
        move || execute(&catalog, &stopping)
    });
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (app, main) = (Arc::clone(&app), main.clone());
        clients.spawn(async move { change_all(&app, &main, client).await.map_err(|error| error.to_string()) });
    }
    let scheduled: Result<Vec<_>, _> = clients.join_all().await.into_iter().collect();
    stopping.store(true, Ordering::SeqCst);
    app.catalog.wake();
    let done = executor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;

    let scheduled: BTreeSet<_> = scheduled?.into_iter().flatten().collect();
    assert_eq!(scheduled, done.iter().map(|operation| operation.id.to_string()).collect());
    let mut on_endpoints: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operation in &done {
        on_endpoints.entry(operation.endpoint.as_ref()).or_default().push(operation.id);
    }
    assert_eq!(on_endpoints.len(), 2);
    for (endpoint, ids) in on_endpoints {
        assert!(ids.is_sorted(), "operations on {endpoint:?} were done in another order than they were scheduled");
    }
    assert_eq!(each(&app.get(&format!("{main}/databases")).await?["databases"], "name"), ["neondb"]);
    Ok(())
}
