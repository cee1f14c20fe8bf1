//! Branches: how they are made, changed and restored, and what the answers have in them.

use crate::common::{App, TestResult, each, id, list, text};
use offshoot_catalog::ComputeState;
use serde_json::{Value, json};

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
async fn a_branch_is_renamed_protected_and_made_the_default() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    let (_, dev) = app.branch(&project, json!({ "name": "dev" })).await?;
    let renamed = app.ok("PATCH", &dev, json!({ "branch": { "name": "work", "protected": true } })).await?;
    assert_eq!((&renamed["branch"]["name"], &renamed["branch"]["protected"]), (&json!("work"), &json!(true)));
    assert_eq!(renamed["operations"], json!([]));
    app.refused((409, "BRANCH_ALREADY_EXISTS"), "PATCH", &dev, json!({ "branch": { "name": "main" } })).await?;
    app.refused((422, "BRANCH_IS_PROTECTED"), "DELETE", &dev, Value::Null).await?;
    app.refused((422, "PROJECT_HAS_PROTECTED_BRANCH"), "DELETE", &project, Value::Null).await?;
    app.ok("PATCH", &dev, json!({ "branch": { "protected": false } })).await?;

    for path in ["set_as_default", "set_as_primary"] {
        let moved = app.ok("POST", &format!("{dev}/{path}"), Value::Null).await?;
        assert_eq!((&moved["branch"]["default"], &moved["branch"]["primary"]), (&json!(true), &json!(true)));
    }
    assert_eq!(app.get(&main).await?["branch"]["default"], false);
    app.refused((422, "BRANCH_IS_DEFAULT"), "DELETE", &dev, Value::Null).await?;
    app.refused((422, "BRANCH_HAS_CHILDREN"), "DELETE", &main, Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn a_branch_expires_when_asked_to_and_null_takes_that_back() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    let at = (chrono::Utc::now() + chrono::TimeDelta::days(7)).format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let (created, dev) = app.branch(&project, json!({ "expires_at": at })).await?;
    assert_eq!(created["branch"]["expires_at"], json!(at.replace(".000", "")));
    assert!(created["branch"]["ttl_interval_seconds"].as_u64().is_some_and(|seconds| seconds > 600_000));
    let forever = app.ok("PATCH", &dev, json!({ "branch": { "expires_at": null } })).await?;
    assert_eq!((forever["branch"].get("expires_at"), forever["branch"].get("ttl_interval_seconds")), (None, None));
    let unchanged = app.ok("PATCH", &dev, json!({ "branch": {} })).await?;
    assert_eq!(unchanged["branch"], forever["branch"]);
    let expire = |at: &str| json!({ "branch": { "expires_at": at } });
    app.refused((400, "EXPIRY_INVALID"), "PATCH", &dev, expire("2001-01-01T00:00:00Z")).await?;
    app.refused((400, "TIMESTAMP_INVALID"), "PATCH", &dev, expire("tomorrow")).await?;
    app.refused((422, "BRANCH_CANNOT_EXPIRE"), "PATCH", &main, expire(&at)).await?;
    Ok(())
}

#[tokio::test]
async fn a_restored_branch_keeps_its_id_and_becomes_its_backups_child() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    let (created, dev) = app.branch(&project, json!({ "name": "dev" })).await?;
    let before = created["branch"]["parent_lsn"].clone();
    let old = app.role(&main, "sally").await?;
    let source = main.rsplit('/').next().unwrap_or_default();
    let restore = json!({ "source_branch_id": source, "preserve_under_name": "dev-old" });
    let restored = app.ok("POST", &format!("{dev}/restore"), restore).await?;
    assert_eq!((&restored["branch"]["id"], &restored["branch"]["name"]), (&created["branch"]["id"], &json!("dev")));
    assert_eq!(restored["branch"]["current_state"], "resetting");
    assert!(restored["branch"].get("last_reset_at").is_some());
    let backup = app.get(&format!("{project}/branches/{}", text(&restored["branch"]["parent_id"]))).await?;
    assert_eq!(backup["branch"]["name"], "dev-old");
    assert!(each(&app.get(&format!("{dev}/roles")).await?["roles"], "name").contains(&"sally".into()));

    // Its own past, with and without the passwords of today.
    let new = app.ok("POST", &format!("{main}/roles/sally/reset_password"), Value::Null).await?;
    let new = text(&new["role"]["password"]).to_owned();
    let reveal = async || -> Result<String, Box<dyn std::error::Error>> {
        Ok(text(&app.get(&format!("{main}/roles/sally/reveal_password")).await?["password"]).to_owned())
    };
    let versions = app.get(&format!("{main}/history?order=asc")).await?;
    let with_old = each(&versions["versions"], "lsn").into_iter().nth(1).ok_or("no version")?;
    for (place, (keep, password)) in [(true, &new), (false, &old)].into_iter().enumerate() {
        let restore = json!({
            "source_branch_id": source,
            "source_lsn": with_old,
            "preserve_under_name": format!("main-{place}"),
            "preserve_credentials": keep,
        });
        app.ok("POST", &format!("{main}/restore"), restore).await?;
        assert_eq!(&reveal().await?, password, "{keep}");
    }

    let restore = json!({ "source_branch_id": source, "source_lsn": before });
    app.refused((422, "PRESERVE_NAME_REQUIRED"), "POST", &format!("{main}/restore"), restore).await?;
    let restore = json!({ "source_branch_id": source, "preserve_under_name": "x" });
    app.refused((422, "RESTORE_POINT_REQUIRED"), "POST", &format!("{main}/restore"), restore).await?;
    app.refused((400, "BODY_INVALID"), "POST", &format!("{main}/restore"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn a_schema_only_branch_is_a_root_branch() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    app.role(&main, "sally").await?;
    let (created, path) = app.branch(&project, json!({ "init_source": "schema-only" })).await?;
    assert_eq!((&created["branch"]["init_source"], created["branch"].get("parent_id")), (&json!("schema-only"), None));
    assert!(each(&app.get(&format!("{path}/roles")).await?["roles"], "name").contains(&"sally".into()));
    let body = json!({ "branch": { "init_source": "thin-air" } });
    app.refused((422, "NOT_SUPPORTED"), "POST", &format!("{project}/branches"), body).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_noted_about_a_branch_is_shown_with_it() -> TestResult {
    let app = App::new()?;
    let (_, project, _) = app.project().await?;
    let body = json!({ "branch": { "name": "preview" }, "annotation_value": { "pull": "42" } });
    let created = app.ok("POST", &format!("{project}/branches"), body).await?;
    let branch = id(&created["branch"]);
    let got = app.get(&format!("{project}/branches/{branch}")).await?;
    assert_eq!(got["annotation"]["value"], json!({ "pull": "42" }));
    assert_eq!(app.get(&format!("{project}/branches")).await?["annotations"][branch]["value"], json!({ "pull": "42" }));
    assert_eq!(app.get(&format!("{project}/branches?search=main")).await?["annotations"], json!({}));
    Ok(())
}

#[tokio::test]
async fn a_child_of_a_protected_branch_shows_its_new_passwords() -> TestResult {
    let app = App::new()?;
    let (_, project, main) = app.project().await?;
    let theirs = app.role(&main, "sally").await?;
    app.ok("PATCH", &main, json!({ "branch": { "protected": true } })).await?;
    let (created, child) = app.branch(&project, json!({})).await?;
    let sally = list(&created["roles"]).iter().find(|role| role["name"] == "sally").ok_or("no sally")?;
    assert_ne!(text(&sally["password"]), theirs);
    let revealed = app.get(&format!("{child}/roles/sally/reveal_password")).await?;
    assert_eq!(revealed["password"], sally["password"]);
    Ok(())
}
