//! Snapshots, and projects' settings.

use crate::common::{App, TestResult, each, id, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_snapshot_is_made_renamed_restored_and_deleted() -> TestResult {
    let app = App::new()?;
    let (created, project, main) = app.project().await?;
    app.role(&main, "sally").await?;
    let made =
        app.ok("POST", &format!("{main}/snapshot?name=before&expires_at=2999-01-01T00:00:00Z"), Value::Null).await?;
    assert_eq!((&made["snapshot"]["name"], &made["operations"]), (&json!("before"), &json!([])));
    assert_eq!(made["snapshot"]["source_branch_id"], created["branch"]["id"]);
    app.ok("DELETE", &format!("{main}/roles/sally"), Value::Null).await?;
    let path = format!("{project}/snapshots/{}", id(&made["snapshot"]));
    app.ok("PATCH", &path, json!({ "snapshot": { "name": "kept" } })).await?;
    assert_eq!(each(&app.get(&format!("{project}/snapshots")).await?["snapshots"], "name"), ["kept"]);

    let restored = app.ok("POST", &format!("{path}/restore"), json!({ "name": "look" })).await?;
    assert_eq!(
        (&restored["branch"]["name"], &restored["branch"]["restore_status"]),
        (&json!("look"), &json!("restored"))
    );
    let look = format!("{project}/branches/{}", id(&restored["branch"]));
    assert!(each(&app.get(&format!("{look}/roles")).await?["roles"], "name").contains(&"sally".into()));
    let finalized = app.ok("POST", &format!("{look}/finalize_restore"), Value::Null).await?;
    assert!(!finalized["operations"].is_null());
    let now = app.get(&look).await?;
    assert_eq!((&now["branch"]["name"], &now["branch"]["default"]), (&json!("main"), &json!(true)));
    app.refused((422, "RESTORE_NOT_PENDING"), "POST", &format!("{look}/finalize_restore"), Value::Null).await?;

    // The older place of the name, without a body.
    let named = app.ok("POST", &format!("{path}/restore?name=another"), Value::Null).await?;
    assert_eq!(named["branch"]["name"], "another");

    assert_eq!(app.send("DELETE", &path, "").await?.status, 202);
    app.refused((404, "SNAPSHOT_NOT_FOUND"), "DELETE", &path, Value::Null).await?;
    app.refused((404, "SNAPSHOT_NOT_FOUND"), "POST", &format!("{path}/restore"), Value::Null).await?;
    Ok(())
}

#[tokio::test]
async fn settings_are_given_back_as_they_were_given() -> TestResult {
    let app = App::new()?;
    let settings = json!({ "quota": { "logical_size_bytes": 1 }, "enable_logical_replication": true });
    let defaults = json!({
        "suspend_timeout_seconds": 120, "autoscaling_limit_max_cu": 2.0,
        "pg_settings": { "work_mem": "8MB" }, "pgbouncer_settings": { "default_pool_size": "20" },
    });
    let body = json!({ "project": { "settings": settings, "default_endpoint_settings": defaults } });
    let created = app.ok("POST", "/projects", body).await?;
    assert_eq!(
        (&created["project"]["settings"], &created["project"]["default_endpoint_settings"]),
        (&settings, &defaults)
    );
    assert_eq!(created["endpoints"][0]["suspend_timeout_seconds"], 120);
    let path = format!("/projects/{}", id(&created["project"]));
    let update =
        json!({ "project": { "settings": { "enable_logical_replication": false }, "history_retention_seconds": 60 } });
    let updated = app.ok("PATCH", &path, update).await?;
    assert_eq!(updated["project"]["history_retention_seconds"], 60);
    assert_eq!(
        updated["project"]["settings"],
        json!({ "quota": { "logical_size_bytes": 1 }, "enable_logical_replication": false })
    );
    Ok(())
}

#[tokio::test]
async fn a_region_that_is_not_here_is_refused_and_the_one_that_is_is_named() -> TestResult {
    let app = App::new()?;
    let message = app
        .refused((422, "NOT_SUPPORTED"), "POST", "/projects", json!({ "project": { "region_id": "aws-us-east-2" } }))
        .await?;
    assert!(message.contains("\"local\""), "{message}");
    let created = app.ok("POST", "/projects", json!({ "project": { "region_id": "local" } })).await?;
    assert_eq!(text(&created["project"]["region_id"]), "local");
    Ok(())
}
