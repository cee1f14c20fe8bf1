//! Deleting branches and projects, and having them again.

use crate::common::{App, TestResult, each, id};
use serde_json::{Value, json};

#[tokio::test]
async fn a_deleted_branch_is_listed_on_request_and_recovered() -> TestResult {
    let app = App::new()?;
    let (_, project, _) = app.project().await?;
    let branches = format!("{project}/branches");
    let new = json!({ "branch": { "name": "dev" }, "endpoints": [{ "type": "read_write" }] });
    let created = app.ok("POST", &branches, new).await?;
    assert_eq!(created["branch"]["created_by"], json!({ "name": "casey" }));
    let dev = format!("{branches}/{}", id(&created["branch"]));
    app.role(&dev, "sally").await?;

    let deleted = app.ok("DELETE", &dev, Value::Null).await?;
    assert_eq!(deleted["branch"]["recovery"]["deletion_method"], "user");
    assert_eq!(app.send("DELETE", &dev, "").await?.status, 204);
    assert_eq!(each(&app.get(&branches).await?["branches"], "name"), ["main"]);
    assert_eq!(app.get(&format!("{branches}/count")).await?["count"], 1);
    let listed = app.get(&format!("{branches}?include_deleted=true&sort_by=name&sort_order=asc")).await?;
    assert_eq!(each(&listed["branches"], "name"), ["dev", "main"]);
    assert_eq!(listed["branches"][0]["recovery"], deleted["branch"]["recovery"]);
    assert!(listed["branches"][1]["recovery"].is_null());
    app.refused((404, "BRANCH_NOT_FOUND"), "GET", &format!("{dev}/roles"), Value::Null).await?;

    let recovered = app.ok("POST", &format!("{dev}/recover"), Value::Null).await?;
    assert!(recovered["branch"]["recovery"].is_null());
    assert_eq!(id(&recovered["endpoints"][0]), id(&created["endpoints"][0]));
    assert!(each(&recovered["operations"], "action").contains(&"start_compute".into()));
    assert!(each(&app.get(&format!("{dev}/roles")).await?["roles"], "name").contains(&"sally".into()));
    app.refused((422, "BRANCH_NOT_DELETED"), "POST", &format!("{dev}/recover"), Value::Null).await?;

    // For good, at once or after all.
    app.ok("DELETE", &dev, Value::Null).await?;
    let gone = app.ok("DELETE", &format!("{dev}?hard_delete=true"), Value::Null).await?;
    assert!(gone["branch"]["recovery"].is_null());
    assert_eq!(app.send("DELETE", &format!("{dev}?hard_delete=true"), "").await?.status, 204);
    app.refused((404, "BRANCH_NOT_FOUND"), "POST", &format!("{dev}/recover"), Value::Null).await?;
    assert_eq!(each(&app.get(&format!("{branches}?include_deleted=true")).await?["branches"], "name"), ["main"]);
    Ok(())
}

#[tokio::test]
async fn a_branch_is_not_recovered_before_its_parent_or_beside_its_name() -> TestResult {
    let app = App::new()?;
    let (_, project, _) = app.project().await?;
    let branches = format!("{project}/branches");
    let parent = app.ok("POST", &branches, json!({ "branch": { "name": "parent" } })).await?;
    let new = json!({ "branch": { "name": "child", "parent_id": parent["branch"]["id"] } });
    let child = app.ok("POST", &branches, new).await?;
    let (parent, child) = (id(&parent["branch"]), id(&child["branch"]));
    for branch in [&child, &parent] {
        app.ok("DELETE", &format!("{branches}/{branch}"), Value::Null).await?;
    }
    let recover = |branch: &str| format!("{branches}/{branch}/recover");
    app.refused((422, "PARENT_DELETED"), "POST", &recover(child), Value::Null).await?;
    app.ok("POST", &branches, json!({ "branch": { "name": "parent" } })).await?;
    app.refused((409, "BRANCH_ALREADY_EXISTS"), "POST", &recover(parent), Value::Null).await?;
    app.refused((404, "BRANCH_NOT_FOUND"), "POST", &recover("br-no-such-12345678"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_project_is_listed_on_request_and_recovered() -> TestResult {
    let app = App::new()?;
    let (created, project, main) = app.project().await?;
    app.role(&main, "sally").await?;
    app.refused((422, "PROJECT_NOT_DELETED"), "POST", &format!("{project}/recover"), Value::Null).await?;
    let deleted = app.ok("DELETE", &project, Value::Null).await?;
    assert!(!deleted["project"]["deleted_at"].is_null() && !deleted["project"]["recoverable_until"].is_null());
    assert_eq!(app.get("/projects").await?["projects"], json!([]));
    let listed = app.get("/projects?recoverable=true").await?;
    assert_eq!(listed["projects"], json!([deleted["project"]]));
    app.refused((404, "PROJECT_NOT_FOUND"), "GET", &project, Value::Null).await?;
    app.refused((404, "PROJECT_NOT_FOUND"), "GET", &format!("{main}/roles"), Value::Null).await?;

    let recovered = app.ok("POST", &format!("{project}/recover"), Value::Null).await?;
    assert_eq!(recovered["project"]["id"], created["project"]["id"]);
    assert_eq!(each(&recovered["branches"], "name"), ["main"]);
    assert!(each(&app.get(&format!("{main}/roles")).await?["roles"], "name").contains(&"sally".into()));
    assert_eq!(app.get("/projects?recoverable=true").await?["projects"], json!([]));

    app.ok("DELETE", &project, Value::Null).await?;
    app.ok("DELETE", &format!("{project}?hard_delete=true"), Value::Null).await?;
    app.refused((404, "PROJECT_NOT_FOUND"), "POST", &format!("{project}/recover"), Value::Null).await?;
    app.refused((404, "PROJECT_NOT_FOUND"), "DELETE", &format!("{project}?hard_delete=true"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn a_branch_has_no_buckets_functions_and_credentials() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    for of in ["buckets", "functions", "credentials"] {
        assert_eq!(app.get(&format!("{main}/{of}")).await?, json!({ of: [] }));
        let absent = format!("{project}/branches/br-no-such-12345678/{of}");
        app.refused((404, "BRANCH_NOT_FOUND"), "GET", &absent, Value::Null).await?;
    }
    Ok(())
}
