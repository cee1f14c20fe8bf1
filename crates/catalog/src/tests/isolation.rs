use offshoot_engine::{Direction, Point};

use super::{TestResult, World};
use crate::{
    BranchUpdate, Caller, EndpointKind, EndpointSpec, EndpointUpdate, Error, NewBranch, NewProject, NewRestore,
    NewSnapshot, ProjectId, ProjectQuery, ProjectUpdate, RoleLogin, SnapshotRestore,
};

/// Every answer of the catalog about a project, in the name of `caller`; errors as their texts, with the project's id
/// left out.
fn answers(world: &World, caller: &Caller, project: &ProjectId) -> Result<Vec<String>, Error> {
    let (catalog, branch) = (&world.catalog, &world.main);
    let (sally, app, casey) = ("sally".parse()?, "app".parse()?, "casey".parse()?);
    let renamed = ProjectUpdate { name: Some("mine".parse()?), ..ProjectUpdate::default() };
    let snapshots = catalog.snapshot_list(&world.caller, &world.project)?;
    let snapshot = snapshots.first().map_or_else(|| "snap-no-such-00000000".parse(), |found| Ok(found.id.clone()))?;
    let operation = world.operations()?[0].id;
    let endpoint = &catalog.endpoint_list(&world.caller, &world.project)?[0].id;
    let restore = NewRestore {
        source: branch.clone(),
        point: Point::Head,
        preserve_under: Some("old".parse()?),
        preserve_credentials: false,
    };
    let texts = [
        text(catalog.project_get(caller, project)),
        text(catalog.project_update(caller, project, &ProjectUpdate::default())),
        text(catalog.project_update(caller, project, &renamed)),
        text(catalog.project_delete(caller, project)),
        text(catalog.branch_create(caller, project, NewBranch::default())),
        text(catalog.branch_list(caller, project)),
        text(catalog.branch_get(caller, project, branch)),
        text(catalog.branch_delete(caller, project, branch)),
        text(catalog.branch_update(caller, project, branch, BranchUpdate::default())),
        text(catalog.branch_set_default(caller, project, branch)),
        text(catalog.branch_annotation(caller, project, branch)),
        text(catalog.branch_annotation_list(caller, project)),
        text(catalog.branch_restore(caller, project, branch, &restore)),
        text(catalog.branch_finalize_restore(caller, project, branch, None)),
        text(catalog.branch_history(caller, project, branch, Direction::Descending, None, 10)),
        text(catalog.branch_diff(caller, project, (branch, Point::Head), (branch, Point::Head))),
        text(catalog.snapshot_create(caller, project, branch, NewSnapshot::default())),
        text(catalog.snapshot_list(caller, project)),
        text(catalog.snapshot_get(caller, project, &snapshot)),
        text(catalog.snapshot_update(caller, project, &snapshot, Some("mine".parse()?))),
        text(catalog.snapshot_restore(caller, project, &snapshot, &SnapshotRestore::default())),
        text(catalog.snapshot_delete(caller, project, &snapshot)),
        text(catalog.role_reveal_password(caller, project, branch, &casey)),
        text(catalog.role_list_revealed_up_to(caller, project, branch, 10)),
        text(catalog.role_history(caller, project, branch, &casey, None, 10)),
        text(catalog.role_create(caller, project, branch, "sally".parse()?, RoleLogin::Password)),
        text(catalog.role_list(caller, project, branch)),
        text(catalog.role_get(caller, project, branch, &casey)),
        text(catalog.role_delete(caller, project, branch, &sally)),
        text(catalog.role_reset_password(caller, project, branch, &casey)),
        text(catalog.database_list(caller, project, branch)),
        text(catalog.database_get(caller, project, branch, &app)),
        text(catalog.database_create(caller, project, branch, "app".parse()?, casey.clone())),
        text(catalog.database_update(caller, project, branch, &app, None, Some(casey.clone()))),
        text(catalog.database_delete(caller, project, branch, &app)),
        text(catalog.endpoint_list(caller, project)),
        text(catalog.endpoint_list_of_branch(caller, project, branch)),
        text(catalog.endpoint_get(caller, project, endpoint)),
        text(catalog.endpoint_create(caller, project, branch, EndpointSpec::new(EndpointKind::ReadOnly))),
        text(catalog.endpoint_update(caller, project, endpoint, EndpointUpdate::default())),
        text(catalog.endpoint_start(caller, project, endpoint)),
        text(catalog.endpoint_suspend(caller, project, endpoint)),
        text(catalog.endpoint_restart(caller, project, endpoint)),
        text(catalog.endpoint_delete(caller, project, endpoint)),
        text(catalog.operation_list(caller, project, None, 10)),
        text(catalog.operation_get(caller, project, operation)),
    ];
    Ok(texts.map(|text| text.replace(project.as_str(), "it")).into())
}

fn text<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.map_or_else(|error| format!("{} {error}", error.code()), |answer| format!("{answer:?}"))
}

#[test]
fn the_project_of_another_account_is_as_if_it_were_not_there() -> TestResult {
    let world = World::new()?;
    let erin = Caller::new(world.catalog.account_create(&"erin".parse()?)?.id);
    let absent: ProjectId = "no-such-00000000".parse()?;
    world.catalog.snapshot_create(&world.caller, &world.project, &world.main, NewSnapshot::default())?;
    let (roles, operations) = (world.roles(&world.main)?, world.operations()?);
    let of_anothers = answers(&world, &erin, &world.project)?;
    assert_eq!(of_anothers, answers(&world, &erin, &absent)?);
    assert!(of_anothers.iter().all(|answer| answer == "PROJECT_NOT_FOUND project \"it\" not found"), "{of_anothers:?}");
    assert_eq!((world.roles(&world.main)?, world.operations()?), (roles, operations));
    assert!(world.catalog.project_list(&erin, ProjectQuery::default())?.items.is_empty());
    Ok(())
}

#[test]
fn a_branch_or_endpoint_of_another_project_is_not_found() -> TestResult {
    let world = World::new()?;
    let other = world.catalog.project_create(&world.caller, NewProject::default())?;
    let branch = world.catalog.branch_get(&world.caller, &world.project, &other.branch.id);
    assert!(matches!(branch, Err(Error::BranchNotFound { .. })));
    let endpoint = world.catalog.endpoint_get(&world.caller, &world.project, &other.endpoints[0].id);
    assert!(matches!(endpoint, Err(Error::EndpointNotFound { .. })));
    let operation = world.catalog.operation_get(&world.caller, &world.project, other.operations[0].id);
    assert!(matches!(operation, Err(Error::OperationNotFound { .. })));
    Ok(())
}

#[test]
fn keys_of_another_account_are_not_seen_or_revoked() -> TestResult {
    let world = World::new()?;
    let key = world.catalog.key_create(world.caller.account, &"ci".parse()?)?.key;
    let erin = Caller::new(world.catalog.account_create(&"erin".parse()?)?.id);
    assert!(world.catalog.key_list(&erin)?.is_empty());
    assert!(matches!(world.catalog.key_revoke(&erin, key.id), Err(Error::ApiKeyNotFound { .. })));
    assert_eq!(world.catalog.key_list(&world.caller)?, [key]);
    Ok(())
}
