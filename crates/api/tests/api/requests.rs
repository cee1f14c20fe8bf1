//! The rules of the wire: how requests may look, and what protects the server from them.

use crate::common::{App, KEY, TestResult, id};
use axum::{body::Body, http::Request};
use http_body_util::channel::Channel;
use offshoot_api::ApiOptions;
use offshoot_catalog::Options;
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use tower::ServiceExt;

#[tokio::test]
async fn a_body_above_the_limit_is_refused() -> TestResult {
    let app = App::with(ApiOptions { body_max_bytes: 100, ..ApiOptions::default() }, Options::default())?;
    let answer = app.send("POST", "/projects", " ".repeat(101)).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (413, &json!("BODY_TOO_LARGE")));
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(app.send("POST", "/projects", " ".repeat(100)).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() -> TestResult {
    let app = App::with(ApiOptions { body_timeout: Duration::ZERO, ..ApiOptions::default() }, Options::default())?;
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

#[tokio::test]
async fn unknown_parameters_and_fields_are_ignored() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    app.get(&format!("{project}/branches?unknown=1&include_deleted=True")).await?;
    let body = json!({ "role": { "name": "sally", "unknown": {} }, "unknown": [] });
    app.ok("POST", &format!("{main}/roles"), body).await?;
    app.ok("POST", &format!("{project}/branches"), json!({ "branch": {}, "annotation_value": {} })).await?;
    Ok(())
}

#[tokio::test]
async fn a_name_in_a_path_is_decoded_after_the_path_was_split() -> TestResult {
    let app = App::new()?;
    let (_, _, main) = app.project().await?;
    app.ok("POST", &format!("{main}/roles"), json!({ "role": { "name": "a/b%2Fc d" } })).await?;
    let got = app.get(&format!("{main}/roles/a%2Fb%252Fc%20d")).await?;
    assert_eq!(got["role"]["name"], "a/b%2Fc d");
    Ok(())
}

#[tokio::test]
async fn a_key_in_a_cookie_is_no_key() -> TestResult {
    let app = App::new()?;
    for (authorization, status) in [(None, 401), (Some("Bearer wrong"), 401), (Some(&*format!("Bearer {KEY}")), 200)] {
        let mut request = Request::get("/api/v2/auth").header("cookie", format!("zenith={KEY}; keycloak_token={KEY}"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = app.send_request(request.body(Body::empty())?).await?;
        assert_eq!(answer.status.as_u16(), status, "{authorization:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_repeats_the_id_of_its_request() -> TestResult {
    let app = App::new()?;
    for (path, status) in [("/api/v2/projects", 401), ("/api/v2/nothing", 401), ("/nothing", 404)] {
        let request = Request::get(path).header("x-request-id", "deploy-42").body(Body::empty())?;
        let answer = app.send_request(request).await?;
        assert_eq!((answer.status.as_u16(), &answer.body["request_id"]), (status, &json!("deploy-42")), "{path}");
        assert_eq!(answer.headers["x-request-id"], "deploy-42");
        assert_eq!(answer.headers["x-neon-ret-request-id"], "deploy-42");
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_table_data_is_not_faked() -> TestResult {
    let app = App::new()?;
    let (created, _, main) = app.project().await?;
    assert!(!id(&created["branch"]).is_empty());
    for path in ["schema?db_name=neondb", "compare_schema?db_name=neondb"] {
        let message = app.refused((501, "NOT_IMPLEMENTED"), "GET", &format!("{main}/{path}"), Value::Null).await?;
        assert!(message.contains("table data"), "{message}");
    }
    Ok(())
}
