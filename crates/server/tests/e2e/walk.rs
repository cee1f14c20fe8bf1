//! The walk of the README: a project, a role, a reset, a deletion, child branches now and at a point in time.

use crate::common::{Client, Server, TestResult, text};
use serde_json::{Value, json};
use std::time::SystemTime;

/// The first element of a list in an answer.
fn only<'a>(list: &'a Value, what: &str) -> &'a Value {
    let items = list.as_array().unwrap_or_else(|| panic!("{what} is not a list: {list}"));
    assert_eq!(items.len(), 1, "{what}: {list}");
    &items[0]
}

fn actions(answer: &Value) -> Vec<(String, String)> {
    let operations = answer["operations"].as_array().expect("operations are a list");
    operations.iter().map(|operation| (text(&operation["action"]), text(&operation["status"]))).collect()
}

fn chain(steps: &[(&str, &str)]) -> Vec<(String, String)> {
    steps.iter().map(|(action, status)| ((*action).to_owned(), (*status).to_owned())).collect()
}

/// A role change on a branch whose compute is idle.
fn apply_then_suspend() -> Vec<(String, String)> {
    chain(&[("apply_config", "running"), ("suspend_compute", "scheduling")])
}

/// A project whose compute has been started and suspended, so that it is idle for the steps to come.
fn project(client: &Client) -> (Value, String, String) {
    let (created, main) = client.create_project();
    let id = text(&created["project"]["id"]);
    client.poll_until_settled(&id);
    (created, id, main)
}

/// The present, more exactly than answers show it.
fn now() -> Result<String, Box<dyn std::error::Error>> {
    let now: chrono::DateTime<chrono::Utc> = SystemTime::now().into();
    Ok(now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

#[test]
fn a_new_project_has_a_root_branch_with_a_default_role_and_a_database() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (created, _) = client.create_project();

    assert_eq!(created["branch"]["name"], "main");
    assert_eq!(created["branch"]["default"], true);
    assert_eq!(created["branch"]["parent_id"], Value::Null);
    let database = only(&created["databases"], "databases");
    assert_eq!((&database["name"], &database["owner_name"]), (&json!("neondb"), &json!("casey")));
    assert_eq!(created["roles"][0]["name"], "casey");
    assert!(text(&created["roles"][0]["password"]).len() >= 16);
    assert_eq!(created["roles"][1]["name"], "web_access");
    assert_eq!(created["roles"][1]["protected"], true);
    assert_eq!(created["roles"][1].get("password"), None);
    let endpoint = only(&created["endpoints"], "endpoints");
    assert_eq!(endpoint["type"], "read_write");
    assert!(text(&endpoint["host"]).contains(&text(&endpoint["id"])));
    assert_eq!(actions(&created), chain(&[("create_timeline", "running"), ("start_compute", "scheduling")]));
    Ok(())
}

#[test]
fn a_role_is_created_listed_reset_and_deleted() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, id, main) = project(&client);

    let created = client.create_role(&main, "sally");
    let role = &created["role"];
    assert_eq!(main, format!("/projects/{id}/branches/{}", text(&role["branch_id"])));
    assert_eq!((&role["name"], &role["protected"]), (&json!("sally"), &json!(false)));
    assert!(text(&role["created_at"]).ends_with('Z') && role["created_at"] == role["updated_at"]);
    assert_eq!(actions(&created), apply_then_suspend());
    for operation in created["operations"].as_array().expect("a list") {
        assert_eq!((&operation["project_id"], &operation["branch_id"]), (&json!(id), &role["branch_id"]));
        for field in ["id", "endpoint_id", "created_at", "updated_at"] {
            assert!(!text(&operation[field]).is_empty(), "{field}");
        }
        assert_eq!(operation["failures_count"], 0);
    }

    let roles = client.get(&format!("{main}/roles"))["roles"].clone();
    let roles = roles.as_array().expect("a list");
    let names: Vec<&Value> = roles.iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["casey", "web_access", "sally"]);
    assert_eq!(roles.iter().map(|role| role["protected"] == true).collect::<Vec<_>>(), [false, true, false]);
    assert!(roles.iter().all(|role| role.get("password").is_none()));
    assert_eq!(client.get(&format!("{main}/roles/sally"))["role"], roles[2]);

    let reset = client.expect(200, "POST", &format!("{main}/roles/sally/reset_password"), None);
    assert_ne!(reset["role"]["password"], role["password"]);
    assert!(text(&reset["role"]["password"]).len() >= 16);
    assert_eq!(reset["role"]["created_at"], role["created_at"]);
    assert!(text(&reset["role"]["updated_at"]) >= text(&role["updated_at"]));
    assert_eq!(actions(&reset), apply_then_suspend());

    let deleted = client.delete(&format!("{main}/roles/sally"));
    assert_eq!(deleted["role"].get("password"), None);
    assert_eq!(deleted["role"]["updated_at"], reset["role"]["updated_at"]);
    assert_eq!(actions(&deleted), apply_then_suspend());
    assert_eq!(client.role_names(&main), ["casey", "web_access"]);
    client.expect(204, "DELETE", &format!("{main}/roles/sally"), None);
    Ok(())
}

#[test]
fn operations_are_finished_in_order_and_the_compute_stays_idle() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, id, main) = project(&client);
    client.create_role(&main, "sally");
    let operations = format!("/projects/{id}/operations");
    let all_finished = |answer: &Value| {
        let operations = answer["operations"].as_array().expect("a list");
        operations.len() == 4 && operations.iter().all(|operation| operation["status"] == "finished")
    };
    let listed = client.poll(&operations, all_finished);
    let newest_first: Vec<&Value> =
        listed["operations"].as_array().expect("a list").iter().map(|operation| &operation["action"]).collect();
    assert_eq!(newest_first, ["suspend_compute", "apply_config", "start_compute", "create_timeline"]);
    let newest = &listed["operations"][0];
    assert_eq!(&client.get(&format!("{operations}/{}", text(&newest["id"])))["operation"], newest);
    let endpoints = client.get(&format!("{main}/endpoints"));
    assert_eq!(only(&endpoints["endpoints"], "endpoints")["current_state"], "idle");
    Ok(())
}

#[test]
fn operations_are_listed_page_by_page() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, id, main) = project(&client);
    for name in ["one", "two", "three"] {
        client.create_role(&main, name);
    }
    let all = client.get(&format!("/projects/{id}/operations"));
    let ids = |answer: &Value| -> Vec<Value> {
        answer["operations"].as_array().expect("a list").iter().map(|operation| operation["id"].clone()).collect()
    };
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    while paged.len() < ids(&all).len() {
        let page = client.get(&format!("/projects/{id}/operations?limit=3{cursor}"));
        assert!((1..=3).contains(&ids(&page).len()));
        paged.extend(ids(&page));
        cursor = page["pagination"]["cursor"].as_str().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
    }
    assert_eq!(paged, ids(&all));
    Ok(())
}

#[test]
fn a_child_has_its_parents_roles_as_of_the_chosen_point() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (created, id, main) = project(&client);

    // The first child shows the LSN and the time of the parent before sally.
    let (early, _) = client.create_branch(&id, json!({ "name": "early" }));
    assert_eq!(early["branch"]["parent_id"], created["branch"]["id"]);
    let (before_lsn, before_time) = (early["branch"]["parent_lsn"].clone(), now()?);
    client.create_role(&main, "sally");
    let (with_sally, child) = client.create_branch(&id, json!({ "name": "with-sally" }));
    let (with_lsn, with_time) = (with_sally["branch"]["parent_lsn"].clone(), now()?);
    client.delete(&format!("{main}/roles/sally"));

    let everyone = ["casey", "web_access", "sally"];
    assert_eq!(client.role_names(&child), everyone);
    assert_eq!(with_sally["roles"].as_array().map(Vec::len), Some(3));
    let sally = &client.get(&format!("{child}/roles/sally"))["role"];
    assert_eq!(sally["branch_id"], with_sally["branch"]["id"]);

    let at = |point: Value| -> Vec<String> { client.role_names(&client.create_branch(&id, point).1) };
    assert_eq!(at(json!({ "parent_lsn": before_lsn })), everyone[..2]);
    assert_eq!(at(json!({ "parent_timestamp": before_time })), everyone[..2]);
    assert_eq!(at(json!({ "parent_lsn": with_lsn })), everyone);
    assert_eq!(at(json!({ "parent_timestamp": with_time })), everyone);
    assert_eq!(at(json!({})), everyone[..2]);
    Ok(())
}

#[test]
fn what_is_done_on_one_branch_never_shows_on_another() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, id, main) = project(&client);
    client.create_role(&main, "sally");
    let (_, child) = client.create_branch(&id, json!({}));
    let sally_on_main = client.get(&format!("{main}/roles/sally"));

    let created = client.create_role(&child, "tom");
    assert_eq!(created["operations"], json!([]), "the child has no compute");
    client.expect(200, "POST", &format!("{child}/roles/sally/reset_password"), None);
    assert_eq!(client.get(&format!("{main}/roles/sally")), sally_on_main);
    client.delete(&format!("{child}/roles/sally"));
    assert_eq!(client.role_names(&main), ["casey", "web_access", "sally"]);

    client.create_role(&main, "uma");
    client.delete(&format!("{main}/roles/sally"));
    assert_eq!(client.role_names(&main), ["casey", "web_access", "uma"]);
    assert_eq!(client.role_names(&child), ["casey", "web_access", "tom"]);
    Ok(())
}

#[test]
fn a_branch_is_created_with_endpoints_and_deleted_with_them() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, id, _) = project(&client);
    let branches = format!("/projects/{id}/branches");
    let body = json!({ "branch": { "name": "dev" }, "endpoints": [{ "type": "read_write" }] });
    let created = client.create(&branches, body);
    assert_eq!(only(&created["endpoints"], "endpoints")["branch_id"], created["branch"]["id"]);
    assert_eq!(actions(&created), chain(&[("create_branch", "running"), ("start_compute", "scheduling")]));

    let path = format!("{branches}/{}", text(&created["branch"]["id"]));
    assert_eq!(client.get(&path)["annotation"]["object"]["id"], created["branch"]["id"]);
    let listed = client.get(&branches);
    assert_eq!((listed["branches"].as_array().map(Vec::len), &listed["annotations"]), (Some(2), &json!({})));
    assert_eq!(client.delete(&path)["branch"]["id"], created["branch"]["id"]);
    client.expect(204, "DELETE", &path, None);
    assert_eq!(client.get(&format!("/projects/{id}/endpoints"))["endpoints"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn a_database_is_created_renamed_given_away_and_deleted() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, _, main) = project(&client);
    client.create_role(&main, "sally");
    let databases = format!("{main}/databases");
    let created = client.create(&databases, json!({ "database": { "name": "app", "owner_name": "casey" } }));
    assert_eq!(actions(&created), apply_then_suspend());

    let patch = json!({ "database": { "name": "shop", "owner_name": "sally" } });
    let patched = client.expect(200, "PATCH", &format!("{databases}/app"), Some(patch));
    assert_eq!(patched["database"]["id"], created["database"]["id"]);
    let got = client.get(&format!("{databases}/shop"));
    assert_eq!((&got["database"]["owner_name"], &got["database"]["name"]), (&json!("sally"), &json!("shop")));
    assert_eq!(client.get(&databases)["databases"].as_array().map(Vec::len), Some(2));
    client.delete(&format!("{databases}/shop"));
    client.expect(204, "DELETE", &format!("{databases}/shop"), None);
    client.delete(&format!("{main}/roles/sally"));
    Ok(())
}

#[test]
fn projects_are_listed_searched_renamed_and_deleted() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let named = |name: &str| {
        let created = client.create("/projects", json!({ "project": { "name": name } }));
        format!("/projects/{}", text(&created["project"]["id"]))
    };
    let (blue, _red) = (named("blue shop"), named("red shop"));
    let names = |path: &str| -> Vec<String> {
        let listed = client.get(path);
        listed["projects"].as_array().expect("a list").iter().map(|project| text(&project["name"])).collect()
    };
    assert_eq!(names("/projects").len(), 2);
    assert_eq!(names("/projects?search=blue%20s"), ["blue shop"]);
    let first = client.get("/projects?limit=1");
    let second = format!("/projects?limit=1&cursor={}", text(&first["pagination"]["cursor"]));
    assert_ne!(names(&second), [text(&first["projects"][0]["name"])]);

    let renamed = client.expect(200, "PATCH", &blue, Some(json!({ "project": { "name": "green shop" } })));
    assert_eq!(renamed["operations"], json!([]));
    assert_eq!(client.get(&blue)["project"]["name"], "green shop");
    client.delete(&blue);
    client.expect(404, "GET", &blue, None);
    assert_eq!(names("/projects"), ["red shop"]);
    Ok(())
}

#[test]
fn a_role_name_is_any_text_and_is_percent_encoded_in_paths() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, _, main) = project(&client);
    client.create_role(&main, "we ird/ro%le \"é");
    let path = format!("{main}/roles/we%20ird%2Fro%25le%20%22%C3%A9");
    assert_eq!(client.get(&path)["role"]["name"], "we ird/ro%le \"é");
    client.delete(&path);
    Ok(())
}

#[test]
fn a_role_without_login_has_no_password() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let (_, _, main) = project(&client);
    let created = client.create(&format!("{main}/roles"), json!({ "role": { "name": "group", "no_login": true } }));
    assert_eq!(created["role"].get("password"), None);
    assert_eq!(created["role"]["authentication_method"], "no_login");
    Ok(())
}

#[test]
fn answers_are_never_cached_and_repeat_the_request_id() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let client = server.client();
    let answer = client.send_with("POST", "/projects", None, &[("x-request-id", "deploy-42")])?;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-request-id"], "deploy-42");
    Ok(())
}
