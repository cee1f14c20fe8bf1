//! The router without a network: the shapes of answers, and what protects the server from its clients.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::channel::Channel;
use offshoot_api::{ApiOptions, router};
use offshoot_catalog::{Catalog, ComputeState, Options, Outcome};
use offshoot_engine::{Engine, MemoryStore};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{convert::Infallible, error::Error, time::Duration};
use tower::ServiceExt;

type TestResult = Result<(), Box<dyn Error>>;

const KEY: &str = "osk_a-key-for-tests-0123456789";

struct App {
    router: Router,
    catalog: Catalog,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl App {
    fn new() -> Result<App, Box<dyn Error>> {
        App::with(ApiOptions::default())
    }

    fn with(options: ApiOptions) -> Result<App, Box<dyn Error>> {
        let engine = Engine::open(MemoryStore::new(), offshoot_engine::Options::default())?;
        let catalog = Catalog::open(engine, Options::default())?;
        let account = catalog.account_create(&"casey".parse()?)?;
        catalog.key_import(account.id, &"tests".parse()?, &SecretString::from(KEY))?;
        Ok(App { router: router(catalog.clone(), options), catalog })
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Result<Answer, Box<dyn Error>> {
        let request = Request::builder().method(method).uri(format!("/api/v2{path}"));
        self.send_request(request.header("authorization", format!("Bearer {KEY}")).body(body.into())?).await
    }

    async fn send_request(&self, request: Request<Body>) -> Result<Answer, Box<dyn Error>> {
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// The body of an answer that must be a success.
    async fn ok(&self, method: &str, path: &str, body: Value) -> Result<Value, Box<dyn Error>> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, body).await?;
        assert!(answer.status.is_success(), "{method} {path} answered {}", answer.body);
        Ok(answer.body)
    }

    /// Finishes all operations, and leaves computes in `state`.
    fn settle(&self, state: ComputeState) -> TestResult {
        loop {
            let due = self.catalog.operations_due(100)?;
            if due.is_empty() {
                return Ok(());
            }
            for due in due {
                let compute = due.operation.endpoint.is_some().then_some(state);
                self.catalog.operations_finish(&[(due.project, due.operation.id, Outcome::Finished { compute })])?;
            }
        }
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id is a string")
}

const OPERATION: &[&str] =
    &["id", "project_id", "action", "status", "failures_count", "created_at", "updated_at", "total_duration_ms"];
const ROLE: &[&str] = &["branch_id", "name", "created_at", "updated_at"];
const DATABASE: &[&str] = &["id", "branch_id", "name", "owner_name", "created_at", "updated_at"];
const BRANCH: &[&str] = &[
    "id",
    "project_id",
    "name",
    "current_state",
    "state_changed_at",
    "creation_source",
    "created_at",
    "updated_at",
    "default",
    "protected",
    "cpu_used_sec",
    "active_time_seconds",
    "compute_time_seconds",
    "written_data_bytes",
    "data_transfer_bytes",
];
const ENDPOINT: &[&str] = &[
    "host",
    "id",
    "project_id",
    "branch_id",
    "region_id",
    "autoscaling_limit_max_cu",
    "autoscaling_limit_min_cu",
    "type",
    "current_state",
    "pooler_enabled",
    "pooler_mode",
    "disabled",
    "passwordless_access",
    "creation_source",
    "created_at",
    "updated_at",
    "settings",
    "proxy_host",
    "suspend_timeout_seconds",
    "provisioner",
];
const PROJECT_ITEM: &[&str] = &[
    "active_time",
    "id",
    "platform_id",
    "region_id",
    "name",
    "pg_version",
    "proxy_host",
    "branch_logical_size_limit",
    "branch_logical_size_limit_bytes",
    "provisioner",
    "store_passwords",
    "cpu_used_sec",
    "creation_source",
    "created_at",
    "updated_at",
    "owner_id",
];
const PROJECT: &[&str] = &[
    "consumption_period_end",
    "consumption_period_start",
    "active_time_seconds",
    "compute_time_seconds",
    "written_data_bytes",
    "data_transfer_bytes",
    "data_storage_bytes_hour",
    "id",
    "platform_id",
    "region_id",
    "name",
    "pg_version",
    "proxy_host",
    "branch_logical_size_limit",
    "branch_logical_size_limit_bytes",
    "store_passwords",
    "cpu_used_sec",
    "provisioner",
    "creation_source",
    "history_retention_seconds",
    "created_at",
    "updated_at",
    "owner_id",
];

/// Checks one object, or each of a list, for its required fields; and that what is absent is left out, not null.
fn complete(value: &Value, required: &[&str]) {
    match value {
        Value::Array(items) => {
            assert!(!items.is_empty(), "an empty list shows nothing");
            items.iter().for_each(|item| complete(item, required));
        }
        Value::Object(fields) => {
            for field in required {
                assert!(fields.contains_key(*field), "{field} is missing in {value}");
            }
            assert!(fields.values().all(|field| !field.is_null()), "null in {value}");
        }
        other => panic!("{other} is no object"),
    }
}

#[tokio::test]
async fn answers_have_the_fields_that_clients_require() -> TestResult {
    let app = App::new()?;
    let created = app.ok("POST", "/projects", Value::Null).await?;
    complete(&created["project"], PROJECT);
    complete(&created["branch"], BRANCH);
    complete(&created["roles"], ROLE);
    complete(&created["databases"], DATABASE);
    complete(&created["operations"], OPERATION);
    complete(&created["endpoints"], ENDPOINT);
    assert_eq!(created["connection_uris"], json!([]));

    let listed = app.ok("GET", "/projects", Value::Null).await?;
    complete(&listed["projects"], PROJECT_ITEM);
    assert_eq!((&listed["applications"], &listed["integrations"]), (&json!({}), &json!({})));

    let branches = format!("/projects/{}/branches", id(&created["project"]));
    let child = app.ok("POST", &branches, json!({ "endpoints": [{ "type": "read_write" }] })).await?;
    complete(&child["branch"], BRANCH);
    complete(&child["branch"], &["parent_id", "parent_lsn", "parent_timestamp"]);
    complete(&child["roles"], ROLE);
    complete(&child["databases"], DATABASE);
    complete(&child["operations"], OPERATION);
    complete(&child["endpoints"], ENDPOINT);

    let branch = app.ok("GET", &format!("{branches}/{}", id(&child["branch"])), Value::Null).await?;
    complete(&branch["annotation"], &["object", "value"]);
    complete(&branch["annotation"]["object"], &["type", "id"]);
    Ok(())
}

#[tokio::test]
async fn a_role_change_on_an_active_compute_is_applied_and_leaves_it_running() -> TestResult {
    for (state, actions) in
        [(ComputeState::Active, &["apply_config"][..]), (ComputeState::Idle, &["apply_config", "suspend_compute"][..])]
    {
        let app = App::new()?;
        let created = app.ok("POST", "/projects", Value::Null).await?;
        let roles = format!("/projects/{}/branches/{}/roles", id(&created["project"]), id(&created["branch"]));
        app.settle(state)?;
        let changed = app.ok("POST", &roles, json!({ "role": { "name": state.to_string() } })).await?;
        let operations = changed["operations"].as_array().expect("a list");
        assert_eq!(operations.iter().map(|operation| operation["action"].clone()).collect::<Vec<_>>(), actions);
        assert_eq!(operations[0]["status"], "running");
    }
    Ok(())
}

#[tokio::test]
async fn a_large_branch_is_created_without_listing_what_it_has() -> TestResult {
    let app = App::new()?;
    let created = app.ok("POST", "/projects", Value::Null).await?;
    let branches = format!("/projects/{}/branches", id(&created["project"]));
    let roles = format!("{branches}/{}/roles", id(&created["branch"]));
    // With the default role and the system's, as many as an answer lists.
    for number in 2..100 {
        app.ok("POST", &roles, json!({ "role": { "name": format!("r{number}"), "no_login": true } })).await?;
    }
    let child = app.ok("POST", &branches, Value::Null).await?;
    assert_eq!(child["roles"].as_array().map(Vec::len), Some(100));
    app.ok("POST", &roles, json!({ "role": { "name": "one-more", "no_login": true } })).await?;
    let child = app.ok("POST", &branches, Value::Null).await?;
    assert_eq!((&child["roles"], child["databases"].as_array().map(Vec::len)), (&json!([]), Some(1)));
    Ok(())
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() -> TestResult {
    let app = App::with(ApiOptions { body_max_bytes: 100, ..ApiOptions::default() })?;
    let answer = app.send("POST", "/projects", " ".repeat(101)).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (413, &json!("BODY_TOO_LARGE")));
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(app.send("POST", "/projects", " ".repeat(100)).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() -> TestResult {
    let app = App::with(ApiOptions { body_timeout: Duration::ZERO, ..ApiOptions::default() })?;
    let (_sender, silent) = Channel::<axum::body::Bytes, Infallible>::new(1);
    let answer = app.send("POST", "/projects", Body::new(silent)).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (408, &json!("BODY_TIMEOUT")));
    Ok(())
}

#[tokio::test]
async fn a_body_is_read_whatever_its_content_type() -> TestResult {
    let app = App::new()?;
    for (content_type, body) in
        [("application/x-www-form-urlencoded", ""), ("application/json", ""), ("text/plain", r#"{"project":{}}"#)]
    {
        let request = Request::builder().method("POST").uri("/api/v2/projects");
        let request = request.header("authorization", format!("Bearer {KEY}")).header("content-type", content_type);
        assert_eq!(app.send_request(request.body(body.into())?).await?.status, 201, "{content_type}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() -> TestResult {
    let app = App::new()?;
    let answer = app.send("PUT", "/projects", "").await?;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (405, &json!("METHOD_NOT_ALLOWED")));
    assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
    Ok(())
}

#[tokio::test]
async fn every_path_of_the_api_needs_a_key_and_others_do_not() -> TestResult {
    let app = App::new()?;
    for (path, status) in [("/api/v2", 401), ("/api/v2/nothing", 401), ("/api/v3", 404), ("/", 404), ("/healthz", 200)]
    {
        let response = app.router.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
    Ok(())
}
