//! What the answers to changes of branches and roles have in them.

use crate::common::{App, TestResult, id};
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
