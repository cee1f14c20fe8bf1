//! Every refusal of a request: its status, its code, its body, and that nothing was changed.

use crate::common::{Client, KEY, Server, TestResult, text};
use offshoot_catalog::{AccountName, Catalog, KeyName};
use offshoot_engine::{Engine, SledOptions, SledStore};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;

const OTHER_KEY: &str = "osk_the-other-accounts-key-0123";

/// A project in which something can be refused: `sally`, a child branch, and a database of the default role.
struct Scene {
    client: Client,
    project: String,
    main: String,
}

/// What must be as it was after a refusal.
fn everything(scene: &Scene) -> Vec<Value> {
    let (project, main) = (&scene.project, &scene.main);
    let mut paths = vec!["/projects".to_owned(), project.clone()];
    paths.extend(["branches", "endpoints"].map(|list| format!("{project}/{list}")));
    paths.extend(["roles", "databases"].map(|list| format!("{main}/{list}")));
    paths.iter().map(|path| scene.client.get(path)).collect()
}

fn scene(server: &Server) -> Scene {
    let client = server.client();
    let (created, main) = client.create_project();
    let id = text(&created["project"]["id"]);
    let project = format!("/projects/{id}");
    client.create_role(&main, "sally");
    client.create(&format!("{main}/roles"), json!({ "role": { "name": "group", "no_login": true } }));
    client.create_branch(&id, json!({ "name": "child" }));
    client.poll_until_settled(&id);
    Scene { client, project, main }
}

/// Sends what must be refused, and checks that nothing came of it.
fn refused(scene: &Scene, status: u16, code: &str, method: &str, path: &str, body: &str) -> String {
    let before = everything(scene);
    let body = (!body.is_empty()).then_some(body);
    let answer = scene.client.send_with(method, path, body, &[("x-request-id", "r-1")]).expect("the server answers");
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (status, &json!(code)),
        "{method} {path} {body:?}: {}",
        answer.body
    );
    assert_eq!(answer.body["request_id"], "r-1");
    assert!(everything(scene) == before, "{method} {path} {body:?} changed something");
    text(&answer.body["message"])
}

#[test]
fn names_that_break_the_rules_are_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let roles = format!("{}/roles", scene.main);
    let role = |status, code, name: &str| {
        refused(&scene, status, code, "POST", &roles, &json!({ "role": { "name": name } }).to_string())
    };
    let message = role(400, "ROLE_NAME_TOO_LONG", &"x".repeat(64));
    assert!(message.contains("64") && message.contains("63 bytes"), "{message}");
    role(400, "ROLE_NAME_TOO_LONG", &"é".repeat(32));
    role(400, "ROLE_NAME_EMPTY", "");
    role(400, "ROLE_NAME_NUL", "sal\0ly");
    for name in ["pg_monitor", "public", "none", "postgres", "neon_superuser", "web_access"] {
        role(422, "ROLE_NAME_RESERVED", name);
    }
    role(409, "ROLE_ALREADY_EXISTS", "sally");
    scene.client.create_role(&scene.main, &"x".repeat(63));
    scene.client.create_role(&scene.main, &"é".repeat(31));

    let databases = format!("{}/databases", scene.main);
    let database = |status, code, name: &str, owner: &str| {
        let body = json!({ "database": { "name": name, "owner_name": owner } }).to_string();
        refused(&scene, status, code, "POST", &databases, &body)
    };
    database(400, "DATABASE_NAME_TOO_LONG", &"x".repeat(64), "casey");
    database(400, "DATABASE_NAME_EMPTY", "", "casey");
    database(400, "DATABASE_NAME_NUL", "a\0b", "casey");
    database(422, "DATABASE_NAME_RESERVED", "template0", "casey");
    database(409, "DATABASE_ALREADY_EXISTS", "neondb", "casey");
    database(404, "ROLE_NOT_FOUND", "app", "nobody");
    database(422, "ROLE_PROTECTED", "app", "web_access");
    Ok(())
}

#[test]
fn what_a_rule_protects_stays() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let (project, main) = (&scene.project, &scene.main);
    let roles = format!("{main}/roles");
    refused(&scene, 422, "ROLE_PROTECTED", "DELETE", &format!("{roles}/web_access"), "");
    refused(&scene, 422, "ROLE_PROTECTED", "POST", &format!("{roles}/web_access/reset_password"), "");
    refused(&scene, 422, "ROLE_HAS_NO_LOGIN", "POST", &format!("{roles}/group/reset_password"), "");
    let message = refused(&scene, 422, "ROLE_OWNS_DATABASES", "DELETE", &format!("{roles}/casey"), "");
    assert!(message.contains("neondb"), "{message}");

    refused(&scene, 422, "BRANCH_IS_DEFAULT", "DELETE", main, "");
    let branches = format!("{project}/branches");
    refused(&scene, 422, "NOT_SUPPORTED", "POST", &branches, r#"{"branch":{"archived":true}}"#);
    let listed = scene.client.get(&branches)["branches"].clone();
    let child = listed.as_array().and_then(|all| all.iter().find(|branch| branch["name"] == "child")).expect("there");
    let child = text(&child["id"]);
    scene.client.create(&branches, json!({ "branch": { "parent_id": child } }));
    scene.client.poll_until_settled(project.trim_start_matches("/projects/"));
    refused(&scene, 422, "BRANCH_HAS_CHILDREN", "DELETE", &format!("{branches}/{child}"), "");
    Ok(())
}

#[test]
fn what_does_not_exist_is_not_found() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let (project, main) = (&scene.project, &scene.main);
    let unknown_branch = format!("{project}/branches/br-no-such-00000000");
    let role = r#"{"role":{"name":"tom"}}"#;
    for (code, method, path, body) in [
        ("PROJECT_NOT_FOUND", "GET", "/projects/no-such-00000000", ""),
        ("PROJECT_NOT_FOUND", "GET", "/projects/No%20Such", ""),
        ("BRANCH_NOT_FOUND", "GET", &unknown_branch, ""),
        ("BRANCH_NOT_FOUND", "POST", &format!("{unknown_branch}/roles"), role),
        ("BRANCH_NOT_FOUND", "DELETE", &format!("{unknown_branch}/roles/sally"), ""),
        (
            "BRANCH_NOT_FOUND",
            "POST",
            &format!("{project}/branches"),
            r#"{"branch":{"parent_id":"br-no-such-00000000"}}"#,
        ),
        ("ROLE_NOT_FOUND", "GET", &format!("{main}/roles/tom"), ""),
        ("ROLE_NOT_FOUND", "POST", &format!("{main}/roles/tom/reset_password"), ""),
        ("DATABASE_NOT_FOUND", "GET", &format!("{main}/databases/shop"), ""),
        ("ENDPOINT_NOT_FOUND", "GET", &format!("{project}/endpoints/ep-no-such-00000000"), ""),
        ("OPERATION_NOT_FOUND", "GET", &format!("{project}/operations/123"), ""),
        ("ROUTE_NOT_FOUND", "GET", "/nothing", ""),
        ("ROUTE_NOT_FOUND", "POST", &format!("{main}/roles/sally/promote"), ""),
    ] {
        refused(&scene, 404, code, method, path, body);
    }
    refused(&scene, 405, "METHOD_NOT_ALLOWED", "PATCH", &format!("{main}/roles/sally"), "{}");
    Ok(())
}

#[test]
fn points_that_the_parent_does_not_have_are_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let branches = format!("{}/branches", scene.project);
    let at =
        |code, point: Value| refused(&scene, 400, code, "POST", &branches, &json!({ "branch": point }).to_string());
    for lsn in ["", "0", "0/", "/1", "0/1/2", "0/123456789", "0/XYZ", " 0/1", "-1/0"] {
        at("LSN_INVALID", json!({ "parent_lsn": lsn }));
    }
    for time in ["", "yesterday", "2023-01-01", "2023-01-01T00:00:00"] {
        at("TIMESTAMP_INVALID", json!({ "parent_timestamp": time }));
    }
    let message = at("POINT_OUTSIDE_HISTORY", json!({ "parent_lsn": "FFFFFFFF/FFFFFFFF" }));
    assert!(message.contains("reaches from 0/"), "{message}");
    at("POINT_OUTSIDE_HISTORY", json!({ "parent_lsn": "0/0" }));
    at("POINT_OUTSIDE_HISTORY", json!({ "parent_timestamp": "2001-01-01T00:00:00Z" }));
    at("POINT_OUTSIDE_HISTORY", json!({ "parent_timestamp": "2999-01-01T00:00:00Z" }));
    at("POINT_AMBIGUOUS", json!({ "parent_lsn": "0/1", "parent_timestamp": "2999-01-01T00:00:00Z" }));
    refused(&scene, 409, "BRANCH_ALREADY_EXISTS", "POST", &branches, r#"{"branch":{"name":"child"}}"#);
    refused(&scene, 400, "BRANCH_NAME_EMPTY", "POST", &branches, r#"{"branch":{"name":""}}"#);
    Ok(())
}

#[test]
fn bodies_and_queries_that_cannot_be_read_are_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let roles = format!("{}/roles", scene.main);
    for body in ["{", "{\"role\":}", "nonsense", "{\"role\":{\"name\":\"tom\"}} more"] {
        let message = refused(&scene, 400, "JSON_INVALID", "POST", &roles, body);
        assert!(message.contains("line 1 column"), "{message}");
    }
    for body in ["", "{}", "[]", "null", r#"{"role":{}}"#, r#"{"role":{"name":5}}"#, r#"{"role":"tom"}"#] {
        refused(&scene, 400, "BODY_INVALID", "POST", &roles, body);
    }
    for query in ["limit=0", "limit=401", "limit=-1", "limit=ten"] {
        refused(&scene, 400, "QUERY_INVALID", "GET", &format!("/projects?{query}"), "");
    }
    refused(&scene, 400, "CURSOR_INVALID", "GET", "/projects?cursor=nonsense%00", "");
    refused(&scene, 400, "PATH_INVALID", "GET", &format!("{roles}/%ff"), "");
    let body = r#"{"project":{"pg_version":9}}"#;
    refused(&scene, 400, "VALUE_OUT_OF_RANGE", "POST", "/projects", body);
    refused(&scene, 400, "PROJECT_NAME_EMPTY", "POST", "/projects", r#"{"project":{"name":""}}"#);
    Ok(())
}

#[test]
fn without_a_valid_key_nothing_is_told() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let scene = scene(&server);
    let before = everything(&scene);
    let nobody =
        [server.client_without_key(), server.client_with("osk_wrong"), server.client_with(&KEY[..KEY.len() - 1])];
    for client in nobody {
        for path in ["/projects", scene.project.as_str(), "/projects/no-such-00000000", "/nothing", ""] {
            for method in ["GET", "DELETE", "POST"] {
                let answer = client.send(method, path, None)?;
                assert_eq!((answer.status, &answer.body["code"]), (401, &json!("UNAUTHORIZED")), "{method} {path}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
            }
        }
    }
    assert!(everything(&scene) == before);
    Ok(())
}

/// Gives a second account a key, as a program that embeds the catalog does. No server has the directory open.
fn add_other_account(data_dir: &Path) -> TestResult {
    let engine =
        Engine::open(SledStore::open(data_dir, &SledOptions::default())?, offshoot_engine::Options::default())?;
    let catalog = Catalog::open(engine, offshoot_catalog::Options::default())?;
    let account = catalog.account_create(&AccountName::new("riley")?)?;
    catalog.key_import(account.id, &KeyName::new("laptop")?, &SecretString::from(OTHER_KEY))?;
    Ok(())
}

#[test]
fn another_accounts_project_is_as_if_it_were_not_there() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let Scene { project, main, .. } = scene(&server);
    server.terminate();
    add_other_account(dir.path())?;
    let server = Server::start(dir.path());
    let scene = Scene { client: server.client(), project, main };
    let before = everything(&scene);
    let other = server.client_with(OTHER_KEY);

    assert_eq!(other.get("/projects")["projects"], json!([]));
    let lists = ["branches", "endpoints", "operations"].map(|list| format!("{}/{list}", scene.project));
    let roles = [format!("{}/roles", scene.main), format!("{}/roles/sally", scene.main)];
    for path in [&scene.project, &scene.main].into_iter().chain(&lists).chain(&roles) {
        for method in ["GET", "DELETE", "POST"] {
            let theirs = other.send(method, path, Some(r#"{"role":{"name":"eve"}}"#))?;
            let absent = path.replace(scene.project.trim_start_matches("/projects/"), "no-such-00000000");
            let nothing = other.send(method, &absent, Some(r#"{"role":{"name":"eve"}}"#))?;
            assert_eq!(
                (theirs.status, &theirs.body["code"]),
                (nothing.status, &nothing.body["code"]),
                "{method} {path}"
            );
            // What cannot be read is refused before anything is looked for.
            assert!(matches!(theirs.status, 400 | 404 | 405), "{method} {path} answered {}", theirs.status);
        }
    }
    assert!(everything(&scene) == before);
    Ok(())
}
