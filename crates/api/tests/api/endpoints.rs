//! Endpoints, and how clients connect.

use crate::common::{App, TestResult, each, id, storing_passwords, text};
use chrono::DateTime;
use offshoot_api::{Address, Addresses, ApiOptions};
use offshoot_catalog::{ComputeState, Drift, Options, Outcome};
use serde_json::{Value, json};

#[tokio::test]
async fn an_endpoint_is_created_changed_run_and_deleted() -> TestResult {
    let app = App::new()?;
    let (created, project, _) = app.project().await?;
    app.settle(ComputeState::Idle)?;
    let branch = id(&created["branch"]);
    let endpoints = format!("{project}/endpoints");
    let body = json!({ "endpoint": {
        "branch_id": branch, "type": "read_only", "name": "reports", "settings": { "pg_settings": { "work_mem": "8MB" } },
        "autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2,
    } });
    let made = app.ok("POST", &endpoints, body).await?;
    let endpoint = &made["endpoint"];
    assert_eq!((&endpoint["name"], &endpoint["autoscaling_limit_min_cu"]), (&json!("reports"), &json!(0.25)));
    assert_eq!(endpoint["settings"]["pg_settings"]["work_mem"], "8MB");
    assert_eq!(each(&made["operations"], "action"), ["start_compute"]);
    assert!(text(&endpoint["host"]).contains(id(endpoint)));
    app.settle(ComputeState::Idle)?;

    let path = format!("{endpoints}/{}", id(endpoint));
    let changed = app.ok("PATCH", &path, json!({ "endpoint": { "suspend_timeout_seconds": 120 } })).await?;
    assert_eq!((&changed["endpoint"]["suspend_timeout_seconds"], &changed["operations"]), (&json!(120), &json!([])));
    for (call, actions) in [
        ("start", &["start_compute"][..]),
        ("restart", &["suspend_compute", "start_compute"][..]),
        ("suspend", &["suspend_compute"][..]),
    ] {
        let run = app.ok("POST", &format!("{path}/{call}"), Value::Null).await?;
        assert_eq!(each(&run["operations"], "action"), actions);
        app.settle(ComputeState::Active)?;
    }
    app.ok("DELETE", &path, Value::Null).await?;
    assert_eq!(app.send("DELETE", &path, "").await?.status, 204);
    Ok(())
}

#[tokio::test]
async fn an_operation_that_failed_tells_when_it_is_tried_again() -> TestResult {
    let app = App::new()?;
    let (_, project, _) = app.project().await?;
    let due = app.catalog.operations_due(1)?.remove(0);
    let retry_at = Some(DateTime::from_timestamp(4_000_000_000, 0).ok_or("no such time")?);
    let failed = Outcome::Failed { error: "no space".into(), retry_at };
    app.catalog.operations_finish(&[(due.project, due.operation.id, failed)])?;
    let shown = app.get(&format!("{project}/operations/{}", due.operation.id)).await?["operation"].clone();
    assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &json!("no space")));
    assert_eq!((&shown["failures_count"], &shown["retry_at"]), (&json!(1), &json!("2096-10-02T07:06:40Z")));
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_breaks_a_rule_is_refused() -> TestResult {
    let app = App::new()?;
    let (created, project, _) = app.project().await?;
    let endpoints = format!("{project}/endpoints");
    let with = |field: &str, value: Value| {
        let mut body = json!({ "endpoint": { "branch_id": created["branch"]["id"], "type": "read_only" } });
        body["endpoint"][field] = value;
        body
    };
    for (status, code, field, value) in [
        (409, "ENDPOINT_ALREADY_EXISTS", "type", json!("read_write")),
        (400, "BODY_INVALID", "type", json!("write_only")),
        (404, "BRANCH_NOT_FOUND", "branch_id", json!("br-no-such-00000000")),
        (400, "VALUE_OUT_OF_RANGE", "suspend_timeout_seconds", json!(30)),
        (400, "COMPUTE_UNITS_INVALID", "autoscaling_limit_max_cu", json!(0.3)),
        (400, "ENDPOINT_NAME_EMPTY", "name", json!("")),
    ] {
        app.refused((status, code), "POST", &endpoints, with(field, value)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_uri_has_everything_encoded() -> TestResult {
    let app = App::new()?;
    let (created, project, main) = app.project().await?;
    let endpoint = id(&created["endpoints"][0]);
    let details = &created["connection_uris"][0];
    let casey = text(&created["roles"][0]["password"]);
    assert_eq!(
        details["connection_uri"],
        format!("postgresql://casey:{casey}@{endpoint}.localhost/neondb?sslmode=require")
    );
    assert_eq!(details["connection_parameters"]["pooler_host"], format!("{endpoint}-pooler.localhost"));

    let password = app.role(&main, "we ird/ro%le").await?;
    let ask = |more: &str| format!("{project}/connection_uri?database_name=neondb&role_name=we%20ird%2Fro%25le{more}");
    for (more, host) in [
        ("", endpoint.to_owned()),
        ("&pooled=True", format!("{endpoint}-pooler")),
        ("&pooled=false", endpoint.to_owned()),
    ] {
        let uri = format!("postgresql://we%20ird%2Fro%25le:{password}@{host}.localhost/neondb?sslmode=require");
        assert_eq!(app.get(&ask(more)).await?["uri"], uri, "{more}");
    }
    for (status, code, path) in [
        (400, "QUERY_INVALID", format!("{project}/connection_uri")),
        (400, "QUERY_INVALID", ask("&pooled=maybe")),
        (404, "ENDPOINT_NOT_FOUND", ask("&endpoint_id=ep-no-such-00000000")),
        (404, "BRANCH_NOT_FOUND", ask("&branch_id=br-no-such-00000000")),
        (404, "DATABASE_NOT_FOUND", format!("{project}/connection_uri?database_name=shop&role_name=casey")),
        (404, "ROLE_NOT_FOUND", format!("{project}/connection_uri?database_name=neondb&role_name=nobody")),
    ] {
        app.refused((status, code), "GET", &path, Value::Null).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_branch_is_created_with_the_uri_of_its_endpoint_where_there_is_no_doubt() -> TestResult {
    let app = App::new()?;
    let (created, project, main) = app.project().await?;
    let body = json!({ "endpoints": [{ "type": "read_write" }] });
    let child = app.ok("POST", &format!("{project}/branches"), body.clone()).await?;
    let uri = text(&child["connection_uris"][0]["connection_uri"]);
    assert!(uri.contains(id(&child["endpoints"][0])) && uri.contains(text(&created["roles"][0]["password"])), "{uri}");
    app.role(&main, "sally").await?;
    let doubtful = app.ok("POST", &format!("{project}/branches"), body).await?;
    assert_eq!(doubtful.get("connection_uris"), None);
    Ok(())
}

#[tokio::test]
async fn a_password_is_revealed_where_passwords_are_stored_and_nowhere_else() -> TestResult {
    let app = App::new()?;
    let (_, _, main) = app.project().await?;
    let password = app.role(&main, "sally").await?;
    for method in ["GET", "POST"] {
        let revealed = app.ok(method, &format!("{main}/roles/sally/reveal_password"), Value::Null).await?;
        assert_eq!(revealed["password"], password);
    }
    let unstored = app.ok("POST", "/projects", json!({ "project": { "store_passwords": false } })).await?;
    assert_eq!(unstored["project"]["store_passwords"], false);
    let path = format!(
        "/projects/{}/branches/{}/roles/casey/reveal_password",
        id(&unstored["project"]),
        id(&unstored["branch"])
    );
    app.refused((412, "PASSWORDS_NOT_STORED"), "GET", &path, Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn system_roles_are_left_out_of_lists_where_that_is_asked_for() -> TestResult {
    let app = App::with(Default::default(), Options::default().with_hidden_system_roles())?;
    let (created, project, main) = app.project().await?;
    assert_eq!(each(&created["roles"], "name"), ["casey"]);
    assert_eq!(each(&app.get(&format!("{main}/roles")).await?["roles"], "name"), ["casey"]);
    let (child, _) = app.branch(&project, json!({})).await?;
    assert_eq!(each(&child["roles"], "name"), ["casey"]);
    assert_eq!(app.get(&format!("{main}/roles/web_access")).await?["role"]["protected"], true);
    Ok(())
}

#[tokio::test]
async fn roles_are_taken_over_only_where_there_is_a_compute() -> TestResult {
    let app = App::new()?;
    let created = app.send("POST", "/projects", "").await?.body;
    let project = created["project"]["id"].as_str().ok_or("no id")?;
    let branches = format!("/projects/{project}/branches");
    let child = app.send("POST", &branches, "").await?.body;
    let child = child["branch"]["id"].as_str().ok_or("no id")?;
    let refused = app.send("POST", &format!("{branches}/{child}/roles/sync"), "").await?;
    assert_eq!((refused.status.as_u16(), refused.body["code"].as_str()), (422, Some("BRANCH_HAS_NO_COMPUTE")));
    Ok(())
}

#[tokio::test]
async fn a_role_named_sync_is_a_role_like_any_other() -> TestResult {
    let app = App::new()?;
    let created = app.send("POST", "/projects", "").await?.body;
    let (project, branch) = (created["project"]["id"].as_str(), created["branch"]["id"].as_str());
    let roles = format!("/projects/{}/branches/{}/roles", project.ok_or("no id")?, branch.ok_or("no id")?);
    app.send("POST", &roles, r#"{"role": {"name": "sync"}}"#).await?;
    let shown = app.send("GET", &format!("{roles}/sync"), "").await?;
    assert_eq!((shown.status.as_u16(), shown.body["role"]["name"].as_str()), (200, Some("sync")));
    assert_eq!(app.send("POST", &format!("{roles}/sync/reset_password"), "").await?.status.as_u16(), 200);
    assert_eq!(app.send("DELETE", &format!("{roles}/sync"), "").await?.status.as_u16(), 200);
    assert_eq!(app.send("GET", &format!("{roles}/sync"), "").await?.status.as_u16(), 404);
    Ok(())
}

#[tokio::test]
async fn a_server_that_runs_elsewhere_is_shown_with_its_own_address() -> TestResult {
    let elsewhere = std::sync::Arc::new(std::sync::Mutex::new(None));
    let known = elsewhere.clone();
    let addresses = Addresses::new(move |_| known.lock().ok()?.clone());
    let api = ApiOptions { addresses, ..ApiOptions::default() };
    let app = App::with(api, storing_passwords()?)?;
    let (created, project, _) = app.project().await?;
    let endpoint = id(&created["endpoints"][0]).to_owned();
    // It has none yet.
    assert_eq!(created["endpoints"][0]["host"], json!(format!("{endpoint}.localhost")));
    let role = created["roles"][0]["name"].clone();
    let uri = format!("{project}/connection_uri?database_name=neondb&role_name={}", text(&role));
    for (host, port, requires_tls, shown) in [
        ("db1.example.com", 5432, true, "db1.example.com"),
        ("db1.example.com", 6432, false, "db1.example.com:6432"),
        ("fd00::1", 5432, true, "[fd00::1]"),
    ] {
        *elsewhere.lock().map_err(|error| error.to_string())? = Some(Address { host: host.into(), port, requires_tls });
        let got = app.ok("GET", &format!("{project}/endpoints/{endpoint}"), Value::Null).await?;
        assert_eq!(got["endpoint"]["host"], json!(shown));
        let got = app.ok("GET", &uri, Value::Null).await?;
        let sslmode = if requires_tls { "require" } else { "prefer" };
        let end = format!("@{shown}/neondb?sslmode={sslmode}");
        assert!(text(&got["uri"]).ends_with(&end), "{got}");
        let branch = json!({ "endpoints": [{ "type": "read_write" }] });
        let branch = app.ok("POST", &format!("{project}/branches"), branch).await?;
        let connection = &branch["connection_uris"][0];
        assert!(text(&connection["connection_uri"]).ends_with(&end), "{connection}");
        assert_eq!(connection["connection_parameters"]["pooler_host"], json!(shown));
    }
    Ok(())
}

#[tokio::test]
async fn drift_is_shown_as_it_was_noted_when_server_and_branch_were_compared() -> TestResult {
    let app = App::new()?;
    let (created, project, _) = app.project().await?;
    let path = format!("{project}/endpoints/{}/drift", id(&created["endpoints"][0]));
    assert_eq!(app.ok("GET", &path, Value::Null).await?, json!({}));
    app.settle(ComputeState::Idle)?;
    app.ok("POST", &format!("{project}/endpoints/{}/start", id(&created["endpoints"][0])), Value::Null).await?;
    let due = app.catalog.operations_due(1)?.remove(0);
    let (branch, endpoint) = (due.operation.branch.ok_or("no branch")?, due.operation.endpoint.ok_or("no endpoint")?);
    let changes = app.catalog.compute_changes(&due.project, &branch, &endpoint, true)?.ok_or("no endpoint")?;
    let names = |count: u32| (0..count).map(|number| format!("drifter {number:03}")).collect();
    let drift = Some(Drift { roles: names(60), databases: names(1) });
    let applied = Outcome::Applied { compute: Some(ComputeState::Active), changes, drift };
    app.catalog.operations_finish(&[(due.project, due.operation.id, applied)])?;
    let drift = app.ok("GET", &path, Value::Null).await?["drift"].clone();
    assert_eq!((&drift["roles_count"], &drift["databases_count"]), (&json!(60), &json!(1)));
    assert_eq!((drift["roles"].as_array().map(Vec::len), &drift["databases"]), (Some(50), &json!(["drifter 000"])));
    assert!(!text(&drift["compared_at"]).is_empty());
    assert_eq!(app.send("GET", &format!("{project}/endpoints/ep-no-such-1/drift"), "").await?.status, 404);
    Ok(())
}
