//! The extensions: what was, and what differs.

use crate::common::{App, TestResult, each, list, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_branchs_history_says_who_did_what_page_by_page() -> TestResult {
    let app = App::new()?;
    let (_, _, main) = app.project().await?;
    let keys = app.get("/api_keys").await?;
    app.role(&main, "sally").await?;
    app.ok("POST", &format!("{main}/roles/sally/reset_password"), Value::Null).await?;
    let history = app.get(&format!("{main}/history")).await?;
    assert_eq!(each(&history["versions"], "action")[..2], ["role_reset_password", "role_create"]);
    let newest = &history["versions"][0];
    assert_eq!((&newest["subject"], &newest["api_key_id"]), (&json!("sally"), &keys[0]["id"]));
    assert_eq!(newest["account_id"], app.get("/auth").await?["account_id"]);
    assert!(newest.get("request_id").is_some());

    for order in ["asc", "desc"] {
        let whole = app.get(&format!("{main}/history?order={order}")).await?;
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&format!("{main}/history?order={order}&limit=1{cursor}")).await?;
            paged.extend(each(&page["versions"], "lsn"));
            let Some(next) = page["pagination"].get("next") else { break };
            cursor = format!("&cursor={}", text(next));
        }
        assert_eq!(paged, each(&whole["versions"], "lsn"), "{order}");
        assert_eq!(whole["versions"].as_array().map(Vec::len), Some(3), "{order}");
    }
    app.refused((400, "CURSOR_INVALID"), "GET", &format!("{main}/history?cursor=yesterday"), Value::Null).await?;
    app.refused((400, "QUERY_INVALID"), "GET", &format!("{main}/history?order=up"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn a_roles_history_goes_back_over_branches_and_never_tells_a_password() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    let first = app.role(&main, "sally").await?;
    let (_, dev) = app.branch(&project, json!({})).await?;
    let reset = app.ok("POST", &format!("{dev}/roles/sally/reset_password"), Value::Null).await?;
    app.ok("DELETE", &format!("{dev}/roles/sally"), Value::Null).await?;
    let answer = app.get(&format!("{dev}/roles/sally/history")).await?;
    assert_eq!(each(&answer["history"], "change"), ["deleted", "changed", "created"]);
    assert_eq!(answer["history"][1]["what"], json!(["password"]));
    let branches: Vec<bool> = each(&answer["history"], "branch_id").iter().map(|id| dev.ends_with(id)).collect();
    assert_eq!(branches, [true, true, false]);
    for password in [first.as_str(), text(&reset["role"]["password"])] {
        assert!(!answer.to_string().contains(password));
    }
    let page = app.get(&format!("{dev}/roles/sally/history?limit=2")).await?;
    let rest = format!("{dev}/roles/sally/history?cursor={}", text(&page["pagination"]["next"]));
    assert_eq!(each(&app.get(&rest).await?["history"], "change"), ["created"]);
    assert_eq!(app.get(&format!("{dev}/roles/nobody/history")).await?, json!({ "history": [] }));
    Ok(())
}

#[tokio::test]
async fn a_diff_is_against_the_point_where_a_branch_began_unless_another_is_named() -> TestResult {
    let app = App::new()?;
    let (created, project, main) = app.project().await?;
    app.role(&main, "sally").await?;
    app.role(&main, "tom").await?;
    let (child, dev) = app.branch(&project, json!({})).await?;
    assert_eq!(app.get(&format!("{dev}/diff")).await?["roles"], json!({ "added": [], "removed": [], "changed": [] }));
    app.role(&dev, "uma").await?;
    app.ok("POST", &format!("{dev}/roles/sally/reset_password"), Value::Null).await?;
    app.ok("DELETE", &format!("{dev}/roles/tom"), Value::Null).await?;
    app.ok("POST", &format!("{dev}/databases"), json!({ "database": { "name": "shop", "owner_name": "uma" } })).await?;
    app.ok("PATCH", &format!("{dev}/databases/neondb"), json!({ "database": { "name": "main" } })).await?;
    app.role(&main, "only-on-main").await?;

    let diff = app.get(&format!("{dev}/diff")).await?;
    assert_eq!(diff["base"], json!({ "branch_id": created["branch"]["id"], "lsn": child["branch"]["parent_lsn"] }));
    assert_eq!(diff["target"]["branch_id"], child["branch"]["id"]);
    let roles = json!({ "added": ["uma"], "removed": ["tom"], "changed": [{ "name": "sally", "what": ["password"] }] });
    assert_eq!(diff["roles"], roles);
    let databases = json!({ "added": ["shop"], "removed": [], "changed": [{ "name": "main", "what": ["name"] }] });
    assert_eq!(diff["databases"], databases);

    let against_head = app.get(&format!("{dev}/diff?base_branch_id={}", text(&created["branch"]["id"]))).await?;
    assert_eq!(list(&against_head["roles"]["removed"]).len(), 2);
    let versions = app.get(&format!("{dev}/history?order=asc")).await?;
    let lsn = text(&versions["versions"][0]["lsn"]).to_owned();
    let nothing_yet = app.get(&format!("{dev}/diff?lsn={lsn}")).await?;
    assert_eq!((&nothing_yet["target"]["lsn"], &nothing_yet["roles"]["added"]), (&json!(lsn), &json!([])));
    let own_past = app.get(&format!("{dev}/diff?base_lsn={lsn}")).await?;
    assert_eq!(own_past["base"]["branch_id"], child["branch"]["id"]);
    let of_root = app.get(&format!("{main}/diff")).await?;
    assert_eq!(of_root["roles"]["added"], json!(["only-on-main", "sally", "tom"]));
    app.refused(
        (400, "POINT_AMBIGUOUS"),
        "GET",
        &format!("{dev}/diff?lsn=0/1&timestamp=2026-01-01T00:00:00Z"),
        Value::Null,
    )
    .await?;
    app.refused((400, "LSN_INVALID"), "GET", &format!("{dev}/diff?base_lsn=x"), Value::Null).await?;
    app.refused(
        (400, "POINT_OUTSIDE_HISTORY"),
        "GET",
        &format!("{dev}/diff?timestamp=2999-01-01T00:00:00Z"),
        Value::Null,
    )
    .await?;
    Ok(())
}
