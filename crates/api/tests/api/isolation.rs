//! What a key that is none of the account's can find out: nothing, at any route of the router.

use crate::common::{Answer, App, KEY, TestResult, id, text};
use offshoot_api::testing::Document;
use serde_json::{Value, json};
use std::{collections::BTreeMap, error::Error};

const RILEYS: &str = "osk_the-other-accounts-key-0123";

/// What stands in a path for each of its parameters.
type Names = BTreeMap<&'static str, String>;

/// A body that every call can read, so that a refusal is not about the body.
fn body_for_all() -> String {
    let branch = json!({ "name": "taken-over", "source_branch_id": "br-no-such-00000000" });
    json!({
        "project": { "name": "taken-over" },
        "branch": branch,
        "source_branch_id": "br-no-such-00000000",
        "role": { "name": "eve" },
        "database": { "name": "eve", "owner_name": "casey" },
        "endpoint": { "branch_id": "br-no-such-00000000", "type": "read_only" },
        "snapshot": { "name": "eve" },
        "key_name": "eve",
    })
    .to_string()
}

/// A query that every call can read.
const QUERY: &str = "database_name=neondb&role_name=casey&db_name=neondb";

fn fill(template: &str, names: &Names) -> Result<String, Box<dyn Error>> {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(parameter) => names.get(parameter).cloned().ok_or_else(|| format!("no example of {parameter}")),
        None => Ok(part.to_owned()),
    };
    Ok(template.split('/').map(part).collect::<Result<Vec<_>, _>>()?.join("/"))
}

/// What is there, and what is not.
async fn names(app: &App) -> Result<(Names, Names), Box<dyn Error>> {
    let (created, project, main) = app.project().await?;
    app.ok("POST", &format!("{main}/roles"), json!({ "role": { "name": "sally" } })).await?;
    let key = app.ok("POST", "/api_keys", json!({ "key_name": "deploy" })).await?;
    let snapshot = app.ok("POST", &format!("{main}/snapshot"), Value::Null).await?;
    let operations = app.get(&format!("{project}/operations")).await?;
    let there = Names::from([
        ("project_id", id(&created["project"]).to_owned()),
        ("branch_id", id(&created["branch"]).to_owned()),
        ("endpoint_id", id(&created["endpoints"][0]).to_owned()),
        ("operation_id", id(&operations["operations"][0]).to_owned()),
        ("key_id", key["id"].to_string()),
        ("role_name", "sally".to_owned()),
        ("database_name", "neondb".to_owned()),
        ("snapshot_id", id(&snapshot["snapshot"]).to_owned()),
    ]);
    let absent = Names::from([
        ("project_id", "no-such-00000000".to_owned()),
        ("branch_id", "br-no-such-00000000".to_owned()),
        ("endpoint_id", "ep-no-such-00000000".to_owned()),
        ("operation_id", "00000000-0000-7000-8000-000000000000".to_owned()),
        ("key_id", "1".to_owned()),
        ("role_name", "nobody".to_owned()),
        ("database_name", "nothing".to_owned()),
        ("snapshot_id", "snap-no-such-00000000".to_owned()),
    ]);
    Ok((there, absent))
}

/// An answer as whoever asked sees it, with the names that they sent made the same.
fn seen(answer: &Answer, names: &Names) -> (u16, String) {
    let mut body = answer.body.clone();
    body["request_id"] = Value::Null;
    let mut body = body.to_string();
    for (parameter, name) in names {
        body = body.replace(name.as_str(), parameter);
    }
    (answer.status.as_u16(), body)
}

/// Everything that the account can see.
async fn everything(app: &App, names: &Names) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (method, template) in Document::new().calls() {
        if method == "GET" {
            let path = fill(&template, names)?;
            let mut answer = app.send("GET", &format!("{path}?{QUERY}"), "").await?;
            // When a key was last used changes with each request.
            for key in answer.body.as_array_mut().into_iter().flatten() {
                key["last_used_at"] = Value::Null;
            }
            all.push(json!([template, answer.status.as_u16(), without_id(answer.body)]));
        }
    }
    Ok(all)
}

fn without_id(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    body
}

#[tokio::test]
async fn without_a_valid_key_every_route_answers_the_same() -> TestResult {
    let app = App::new()?;
    let (there, absent) = names(&app).await?;
    let revoked = app.ok("POST", "/api_keys", json!({ "key_name": "revoked" })).await?;
    app.ok("DELETE", &format!("/api_keys/{}", revoked["id"]), Value::Null).await?;
    let before = everything(&app, &there).await?;
    let mut answers = Vec::new();
    for (method, template) in Document::new().calls() {
        for names in [&there, &absent] {
            let path = format!("{}?{QUERY}", fill(&template, names)?);
            for key in [None, Some(text(&revoked["key"])), Some("osk_wrong"), Some(&KEY[..KEY.len() - 1])] {
                let answer = app.send_as(key, &method, &path, body_for_all()).await?;
                assert_eq!(answer.status, 401, "{method} {path}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
                answers.push(without_id(answer.body));
            }
        }
    }
    answers.push(without_id(app.send_as(None, "GET", "/nothing", "").await?.body));
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    assert_eq!(everything(&app, &there).await?, before);
    Ok(())
}

#[tokio::test]
async fn what_is_another_accounts_is_as_if_it_were_not_there_at_every_route() -> TestResult {
    let app = App::new()?;
    app.add_account("riley", RILEYS)?;
    let (there, absent) = names(&app).await?;
    let before = everything(&app, &there).await?;
    let mut tried = 0;
    for (method, template) in Document::new().calls() {
        if !template.contains('{') {
            continue;
        }
        let ask = async |names: &Names| -> Result<(u16, String), Box<dyn Error>> {
            let path = format!("{}?{QUERY}", fill(&template, names)?);
            Ok(seen(&app.send_as(Some(RILEYS), &method, &path, body_for_all()).await?, names))
        };
        let (theirs, nothing) = (ask(&there).await?, ask(&absent).await?);
        assert_eq!(theirs, nothing, "{method} {template}");
        assert!(matches!(theirs.0, 404 | 501), "{method} {template} answered {theirs:?}");
        tried += 1;
    }
    assert!(tried > 20);
    assert_eq!(everything(&app, &there).await?, before);
    Ok(())
}

#[tokio::test]
async fn lists_have_nothing_of_another_account() -> TestResult {
    let app = App::new()?;
    app.add_account("riley", RILEYS)?;
    names(&app).await?;
    for (path, shown) in [
        ("/projects", json!({ "projects": [], "applications": {}, "integrations": {} })),
        ("/projects/shared", json!({ "projects": [] })),
    ] {
        assert_eq!(app.send_as(Some(RILEYS), "GET", path, "").await?.body, shown, "{path}");
    }
    let keys = app.send_as(Some(RILEYS), "GET", "/api_keys", "").await?.body;
    assert_eq!(keys.as_array().map(Vec::len), Some(1));
    assert_eq!(app.send_as(Some(RILEYS), "GET", "/users/me", "").await?.body["name"], "riley");
    Ok(())
}
