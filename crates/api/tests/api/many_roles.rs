//! A branch of 100,000 roles.

use crate::common::{App, KEY, TestResult, each, id, list, storing_passwords, text};
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use offshoot_api::{ApiOptions, router};
use offshoot_catalog::{Catalog, ComputeState, ServerRole};
use offshoot_engine::{
    Engine, MemoryStore,
    testing::{CountingStore, Counts},
};
use serde_json::{Value, json};
use std::error::Error;
use tower::ServiceExt;

const ROLES: usize = 100_000;

/// An app, its store, and the paths of a project and of its root branch, which has that many roles that can't log in.
async fn with_many_roles() -> Result<(App, CountingStore<MemoryStore>, String, String), Box<dyn Error>> {
    let store = CountingStore::new(MemoryStore::new());
    let engine = Engine::open(store.clone(), offshoot_engine::Options::default())?;
    let catalog = Catalog::open(engine, storing_passwords()?)?;
    let app = App { router: router(catalog.clone(), ApiOptions::default()), catalog };
    let caller = app.add_account("casey", KEY)?;
    let (created, project, main) = app.project().await?;
    app.settle(ComputeState::Idle)?;
    app.catalog.role_sync(&caller, &id(&created["project"]).parse()?, &id(&created["branch"]).parse()?)?;
    let due = app.catalog.operations_due(1)?.pop().ok_or("nothing is due")?;
    let role = |number| ServerRole { name: format!("role {number:06}"), can_login: false, password: None };
    app.catalog.server_take(&due, &(0..ROLES).map(role).collect::<Vec<_>>(), &[])?;
    app.settle(ComputeState::Idle)?;
    Ok((app, store, project, main))
}

#[tokio::test]
async fn they_are_listed_whole_page_by_page_or_by_a_part_of_the_name() -> TestResult {
    let (app, _, _, main) = with_many_roles().await?;
    let request = Request::get(format!("/api/v2{main}/roles")).header("authorization", format!("Bearer {KEY}"));
    let answer = app.router.clone().oneshot(request.body(Body::empty())?).await?;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let whole: Value = serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await?)?;
    let names = each(&whole["roles"], "name");
    assert_eq!((names.len(), whole.get("pagination")), (ROLES + 2, None));
    assert_eq!(names[..3], ["casey", "web_access", "role 000000"]);

    let first = app.get(&format!("{main}/roles?limit=200")).await?;
    assert!(each(&first["roles"], "name") == names[..200]);
    assert_eq!(first["pagination"]["total"], ROLES + 2);
    let next = text(&first["pagination"]["next"]).replace('~', "%7E").replace(' ', "%20");
    let second = app.get(&format!("{main}/roles?limit=200&cursor={next}")).await?;
    assert!(each(&second["roles"], "name") == names[200..400]);

    let found = app.get(&format!("{main}/roles?limit=2&search=ROLE%200999")).await?;
    assert_eq!(each(&found["roles"], "name"), ["role 099900", "role 099901"]);
    assert_eq!(found["pagination"]["total"], 100);
    let all = app.get(&format!("{main}/roles?search=ROLE%200999")).await?;
    assert_eq!((list(&all["roles"]).len(), all.get("pagination")), (100, None));
    app.refused((400, "CURSOR_INVALID"), "GET", &format!("{main}/roles?cursor=yesterday"), Value::Null).await?;
    app.refused((400, "QUERY_INVALID"), "GET", &format!("{main}/roles?limit=10001"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn calls_about_few_of_them_read_and_answer_little() -> TestResult {
    let (app, store, project, main) = with_many_roles().await?;
    let check = |what: &str, answer: &Value, counts: Counts| {
        let bytes = answer.to_string().len();
        assert!(bytes < 8 * 1024, "{what}: {bytes} bytes");
        assert!(counts.gets < 120 && counts.entries < 120, "{what}: {counts:?}");
        assert!(counts.bytes_read < 128 * 1024 && counts.bytes_written < 128 * 1024, "{what}: {counts:?}");
    };
    let role = |name: &str| format!("{main}/roles/{}", name.replace(' ', "%20"));
    let new = json!({ "role": { "name": "sally" } });
    for (method, path, body) in [
        ("GET", role("role 050000"), Value::Null),
        ("POST", format!("{main}/roles"), new),
        ("POST", role("sally") + "/reset_password", Value::Null),
        ("GET", role("sally") + "/reveal_password", Value::Null),
        ("DELETE", role("role 050000"), Value::Null),
        ("GET", role("role 050000") + "/history", Value::Null),
    ] {
        app.catalog.engine().forget_cached();
        store.reset();
        let answer = app.ok(method, &path, body).await?;
        check(&format!("{method} {path}"), &answer, store.reset());
    }
    app.catalog.engine().forget_cached();
    store.reset();
    let (created, dev) = app.branch(&project, json!({ "name": "dev" })).await?;
    check("a branch", &created, store.reset());
    assert_eq!(created["roles"], json!([]));
    app.role(&dev, "of dev").await?;
    app.ok("DELETE", &format!("{dev}/roles/role%20000007"), Value::Null).await?;
    app.catalog.engine().forget_cached();
    store.reset();
    let diff = app.get(&format!("{dev}/diff")).await?;
    check("a diff", &diff, store.reset());
    assert_eq!(diff["roles"], json!({ "added": ["of dev"], "removed": ["role 000007"], "changed": [] }));
    Ok(())
}
