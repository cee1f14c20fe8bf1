//! Lists: what they hold, in which order, and page by page.

use crate::common::{App, TestResult, each, id, text};
use serde_json::{Value, json};
use std::error::Error;

/// A project with the branches `main`, `Dev-one`, `dev-two` and `other`, created in this order.
async fn four_branches(app: &App) -> Result<String, Box<dyn Error>> {
    let (_, project, _) = app.project().await?;
    for name in ["Dev-one", "dev-two", "other"] {
        app.ok("POST", &format!("{project}/branches"), json!({ "branch": { "name": name } })).await?;
    }
    Ok(project)
}

#[tokio::test]
async fn branches_are_listed_whole_and_latest_first_unless_asked_otherwise() -> TestResult {
    let app = App::new()?;
    let project = four_branches(&app).await?;
    let listed = app.get(&format!("{project}/branches")).await?;
    assert_eq!(each(&listed["branches"], "name"), ["other", "dev-two", "Dev-one", "main"]);
    assert_eq!((&listed["annotations"], listed.get("pagination")), (&json!({}), None));
    for (query, names) in [
        ("sort_by=created_at&sort_order=asc", ["main", "Dev-one", "dev-two", "other"]),
        ("sort_by=name&sort_order=asc", ["Dev-one", "dev-two", "main", "other"]),
        ("sort_by=name", ["other", "main", "dev-two", "Dev-one"]),
    ] {
        let listed = app.get(&format!("{project}/branches?{query}")).await?;
        assert_eq!(each(&listed["branches"], "name"), names, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_of_branches_make_up_the_whole_list_in_every_order() -> TestResult {
    let app = App::new()?;
    let project = four_branches(&app).await?;
    for sort_by in ["name", "created_at", "updated_at"] {
        for sort_order in ["asc", "desc"] {
            let order = format!("{project}/branches?sort_by={sort_by}&sort_order={sort_order}");
            let whole = app.get(&order).await?;
            let mut paged = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = app.get(&format!("{order}&limit=3{cursor}")).await?;
                paged.extend(each(&page["branches"], "id"));
                assert_eq!(page["pagination"]["sort_by"], sort_by);
                match page["pagination"].get("next") {
                    Some(next) => cursor = format!("&cursor={}", text(next)),
                    None => break,
                }
            }
            assert_eq!(paged, each(&whole["branches"], "id"), "{order}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn branches_are_searched_by_name_and_id_and_counted() -> TestResult {
    let app = App::new()?;
    let project = four_branches(&app).await?;
    let listed = app.get(&format!("{project}/branches?search=DEV&sort_by=name&sort_order=asc")).await?;
    assert_eq!(each(&listed["branches"], "name"), ["Dev-one", "dev-two"]);
    let by_id = app.get(&format!("{project}/branches?search={}", id(&listed["branches"][1]))).await?;
    assert_eq!(each(&by_id["branches"], "name"), ["dev-two"]);
    assert_eq!(app.get(&format!("{project}/branches/count")).await?, json!({ "count": 4 }));
    assert_eq!(app.get(&format!("{project}/branches/count?search=dev")).await?, json!({ "count": 2 }));
    Ok(())
}

#[tokio::test]
async fn a_list_of_branches_that_cannot_be_read_is_refused() -> TestResult {
    let app = App::new()?;
    let (_, project, _) = app.project().await?;
    for (query, code) in [
        ("limit=0", "QUERY_INVALID"),
        ("limit=10001", "QUERY_INVALID"),
        ("sort_by=size", "QUERY_INVALID"),
        ("sort_order=up", "QUERY_INVALID"),
        ("cursor=main", "CURSOR_INVALID"),
        ("cursor=br-a-b-1~now", "CURSOR_INVALID"),
    ] {
        app.refused((400, code), "GET", &format!("{project}/branches?{query}"), Value::Null).await?;
    }
    Ok(())
}

#[tokio::test]
async fn roles_that_were_asked_for_before_are_never_stale_nor_anybody_elses() -> TestResult {
    const OTHER: &str = "osk_the_key_of_another_account_0000000000000";
    let app = App::new()?;
    app.add_account("erin", OTHER)?;
    let (created, project, main) = app.project().await?;
    let roles = format!("{main}/roles");
    let names = async || -> Result<Vec<String>, Box<dyn Error>> { Ok(each(&app.get(&roles).await?["roles"], "name")) };
    assert_eq!(names().await?, ["casey", "web_access"]);
    app.role(&main, "sally").await?;
    for _ in 0..2 {
        assert_eq!(names().await?, ["casey", "web_access", "sally"]);
    }
    let sally = format!("{roles}/sally");
    for _ in 0..2 {
        assert_eq!(app.get(&sally).await?["role"]["authentication_method"], "password");
    }
    app.ok("DELETE", &sally, Value::Null).await?;
    app.refused((404, "ROLE_NOT_FOUND"), "GET", &sally, Value::Null).await?;
    app.ok("POST", &roles, json!({ "role": { "name": "sally", "no_login": true } })).await?;
    assert_eq!(app.get(&sally).await?["role"]["authentication_method"], "no_login");

    // A child, and a backup, have the very version that the branch had, as their own.
    let (child, child_path) = app.branch(&project, json!({ "name": "dev" })).await?;
    let restore = json!({
        "source_branch_id": id(&created["branch"]),
        "source_lsn": "0/1",
        "preserve_under_name": "backup",
    });
    let restored = app.ok("POST", &format!("{main}/restore"), restore).await?;
    assert_eq!(names().await?, ["casey", "web_access"]);
    let backup = text(&restored["branch"]["parent_id"]);
    for (path, branch) in [(child_path, id(&child["branch"])), (format!("{project}/branches/{backup}"), backup)] {
        let listed = app.get(&format!("{path}/roles")).await?;
        assert_eq!(each(&listed["roles"], "name"), ["casey", "web_access", "sally"]);
        assert_eq!(each(&listed["roles"], "branch_id"), [branch; 3]);
        assert_eq!(app.get(&format!("{path}/roles/sally")).await?["role"]["branch_id"], branch);
    }
    app.refused((404, "ROLE_NOT_FOUND"), "GET", &sally, Value::Null).await?;
    let casey = format!("{roles}/casey");
    app.get(&casey).await?;

    let key = app.ok("POST", "/api_keys", json!({ "key_name": "ci" })).await?;
    let listed = app.send_as(Some(text(&key["key"])), "GET", &roles, "").await?;
    assert_eq!(listed.status, 200);
    app.ok("DELETE", &format!("/api_keys/{}", key["id"]), Value::Null).await?;
    for path in [&roles, &casey] {
        assert_eq!(app.send_as(Some(text(&key["key"])), "GET", path, "").await?.status, 401);
        assert_eq!(app.send_as(Some(OTHER), "GET", path, "").await?.status, 404);
    }
    app.ok("DELETE", &project, Value::Null).await?;
    for path in [&roles, &casey] {
        assert_eq!(app.send("GET", path, "").await?.status, 404);
    }
    Ok(())
}
