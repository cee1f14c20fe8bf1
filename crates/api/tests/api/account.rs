//! Who asks, and with which keys.

use crate::common::{App, KEY, TestResult, each, list, text};
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_is_shown_as_a_user_without_organizations() -> TestResult {
    let app = App::new()?;
    let me = app.get("/users/me").await?;
    assert_eq!((&me["login"], &me["name"]), (&json!("casey"), &json!("casey")));
    let auth = app.get("/auth").await?;
    assert_eq!((&auth["account_id"], &auth["auth_method"]), (&me["id"], &json!("api_key_user")));
    assert_eq!(app.get("/users/me/organizations").await?, json!({ "organizations": [] }));
    let created = app.ok("POST", "/projects", Value::Null).await?;
    assert_eq!(created["project"]["owner_id"], me["id"]);
    Ok(())
}

#[tokio::test]
async fn the_region_of_projects_is_the_one_that_there_is() -> TestResult {
    let app = App::new()?;
    let regions = app.get("/regions").await?;
    let (created, _, _) = app.project().await?;
    assert_eq!(each(&regions["regions"], "region_id"), [text(&created["project"]["region_id"])]);
    assert_eq!(regions["regions"][0]["default"], true);
    Ok(())
}

#[tokio::test]
async fn nothing_is_shared_with_an_account() -> TestResult {
    let app = App::new()?;
    app.project().await?;
    assert_eq!(app.get("/projects/shared?limit=100").await?, json!({ "projects": [] }));
    Ok(())
}

#[tokio::test]
async fn a_key_is_created_used_and_revoked() -> TestResult {
    let app = App::new()?;
    let created = app.ok("POST", "/api_keys", json!({ "key_name": "deploy" })).await?;
    let key = text(&created["key"]).to_owned();
    assert_eq!(app.send_as(Some(&key), "GET", "/projects", "").await?.status, 200);
    let listed = app.get("/api_keys").await?;
    assert_eq!(each(&listed, "name"), ["tests", "deploy"]);
    assert!(list(&listed).iter().all(|key| key.get("key").is_none()));
    assert_eq!(listed[1]["created_by"]["id"], created["created_by"]);

    let path = format!("/api_keys/{}", created["id"]);
    let revoked = app.ok("DELETE", &path, Value::Null).await?;
    assert_eq!((&revoked["name"], &revoked["revoked"]), (&json!("deploy"), &json!(true)));
    assert_eq!(app.send_as(Some(&key), "GET", "/projects", "").await?.status, 401);
    app.refused((404, "API_KEY_NOT_FOUND"), "DELETE", &path, Value::Null).await?;
    app.refused((404, "API_KEY_NOT_FOUND"), "DELETE", "/api_keys/first", Value::Null).await?;
    assert_eq!(app.send_as(Some(KEY), "GET", "/projects", "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_key_name_that_breaks_the_rules_is_refused() -> TestResult {
    let app = App::new()?;
    let long = json!({ "key_name": "x".repeat(65) });
    app.refused((400, "API_KEY_NAME_TOO_LONG"), "POST", "/api_keys", long).await?;
    app.refused((400, "API_KEY_NAME_EMPTY"), "POST", "/api_keys", json!({ "key_name": "" })).await?;
    app.refused((400, "BODY_INVALID"), "POST", "/api_keys", Value::Null).await?;
    Ok(())
}
