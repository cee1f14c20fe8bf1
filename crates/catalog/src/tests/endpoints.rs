use offshoot_engine::Point;

use super::{TestResult, World, code, in_short};
use crate::{
    ComputeState, ComputeUnits, EndpointDefaults, EndpointId, EndpointKind, EndpointSpec, EndpointUpdate,
    ProjectUpdate, TextMap,
};

fn first(world: &World) -> Result<EndpointId, Box<dyn std::error::Error>> {
    Ok(world.catalog.endpoint_list(&world.caller, &world.project)?[0].id.clone())
}

#[test]
fn a_branch_gets_one_endpoint_that_writes_and_many_that_read() -> TestResult {
    let world = World::new()?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let create = |kind| world.catalog.endpoint_create(&world.caller, &world.project, &branch, EndpointSpec::new(kind));
    let created = create(EndpointKind::ReadWrite)?;
    assert_eq!(in_short(&created.operations), ["start_compute running"]);
    assert_eq!(
        (created.endpoint.state, created.endpoint.pending_state),
        (ComputeState::Init, Some(ComputeState::Active))
    );
    assert_eq!(code(create(EndpointKind::ReadWrite)), "ENDPOINT_ALREADY_EXISTS");
    create(EndpointKind::ReadOnly)?;
    create(EndpointKind::ReadOnly)?;
    assert_eq!(world.catalog.endpoint_list_of_branch(&world.caller, &world.project, &branch)?.len(), 3);
    Ok(())
}

#[test]
fn starting_suspending_and_restarting_take_turns_and_tell_what_is_next() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project, id) = (&world.catalog, &world.caller, &world.project, first(&world)?);
    world.settle(ComputeState::Active)?;
    let get = || catalog.endpoint_get(caller, project, &id);
    assert_eq!((get()?.state, get()?.pending_state), (ComputeState::Active, None));
    assert!(get()?.started_at.is_some() && get()?.suspended_at.is_none());

    let suspended = catalog.endpoint_suspend(caller, project, &id)?;
    assert_eq!(in_short(&suspended.operations), ["suspend_compute running"]);
    assert_eq!(suspended.endpoint.pending_state, Some(ComputeState::Idle));
    world.settle(ComputeState::Active)?;
    assert_eq!((get()?.state, get()?.pending_state), (ComputeState::Idle, None));
    assert!(get()?.suspended_at.is_some());

    assert_eq!(in_short(&catalog.endpoint_start(caller, project, &id)?.operations), ["start_compute running"]);
    let restarted = catalog.endpoint_restart(caller, project, &id)?;
    assert_eq!(in_short(&restarted.operations), ["suspend_compute running", "start_compute scheduling"]);
    world.settle(ComputeState::Active)?;
    assert_eq!((get()?.state, get()?.pending_state), (ComputeState::Active, None));
    // What runs can be started again, which changes nothing.
    assert_eq!(catalog.endpoint_start(caller, project, &id)?.endpoint.pending_state, None);
    Ok(())
}

#[test]
fn a_disabled_endpoint_is_suspended_and_stays_so() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project, id) = (&world.catalog, &world.caller, &world.project, first(&world)?);
    world.settle(ComputeState::Active)?;
    let disable = |disabled| EndpointUpdate { disabled: Some(disabled), ..EndpointUpdate::default() };
    let disabled = catalog.endpoint_update(caller, project, &id, disable(true))?;
    assert_eq!(in_short(&disabled.operations), ["suspend_compute running"]);
    assert_eq!(code(catalog.endpoint_start(caller, project, &id)), "ENDPOINT_IS_DISABLED");
    assert_eq!(code(catalog.endpoint_restart(caller, project, &id)), "ENDPOINT_IS_DISABLED");
    world.settle(ComputeState::Active)?;
    // A change of roles is not applied to it: it is when it starts.
    let sally = catalog.role_create(caller, project, &world.main, "sally".parse()?, crate::RoleLogin::NoLogin)?;
    assert!(sally.operations.is_empty());
    assert!(catalog.endpoint_update(caller, project, &id, disable(false))?.operations.is_empty());
    catalog.endpoint_start(caller, project, &id)?;
    Ok(())
}

#[test]
fn a_change_reaches_the_compute_where_it_has_to_know() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project, id) = (&world.catalog, &world.caller, &world.project, first(&world)?);
    let change = |update: EndpointUpdate| catalog.endpoint_update(caller, project, &id, update);
    let update = EndpointUpdate::default();
    world.settle(ComputeState::Active)?;
    world.pass();

    let before = catalog.endpoint_get(caller, project, &id)?;
    assert_eq!(change(update.clone())?.endpoint, before);
    let named = change(EndpointUpdate { name: Some("primary".parse()?), ..update.clone() })?;
    assert!(named.operations.is_empty() && named.endpoint.updated_at > before.updated_at);

    let large = EndpointUpdate { max_cu: Some(ComputeUnits::new(4.0)?), ..update.clone() };
    assert_eq!(in_short(&change(large)?.operations), ["apply_config running"]);
    world.settle(ComputeState::Idle)?;
    let settings = TextMap::new([("pg_settings".to_owned(), "{\"work_mem\":\"8MB\"}".to_owned())])?;
    let set = change(EndpointUpdate { settings: Some(settings.clone()), ..update.clone() })?;
    assert_eq!(in_short(&set.operations), ["apply_config running", "suspend_compute scheduling"]);
    assert_eq!((set.endpoint.settings, set.endpoint.max_cu.get()), (settings, 4.0));

    let reversed = EndpointUpdate { min_cu: Some(ComputeUnits::new(8.0)?), ..update.clone() };
    assert_eq!(code(change(reversed)), "COMPUTE_LIMITS_REVERSED");
    assert_eq!(code(change(EndpointUpdate { suspend_timeout_seconds: Some(59), ..update })), "VALUE_OUT_OF_RANGE");
    Ok(())
}

#[test]
fn a_deleted_endpoint_is_suspended_and_gone() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project, id) = (&world.catalog, &world.caller, &world.project, first(&world)?);
    world.settle(ComputeState::Active)?;
    world.protect(&world.main, true)?;
    assert_eq!(code(catalog.endpoint_delete(caller, project, &id)), "ENDPOINT_OF_PROTECTED_BRANCH");
    world.protect(&world.main, false)?;
    let deleted = catalog.endpoint_delete(caller, project, &id)?.ok_or("absent")?;
    assert_eq!(in_short(&deleted.operations), ["suspend_compute running"]);
    assert_eq!(code(catalog.endpoint_get(caller, project, &id)), "ENDPOINT_NOT_FOUND");
    assert_eq!(catalog.endpoint_delete(caller, project, &id)?, None);
    world.settle(ComputeState::Active)?;
    Ok(())
}

#[test]
fn new_endpoints_get_what_the_project_says() -> TestResult {
    let world = World::new()?;
    let defaults = EndpointDefaults {
        suspend_timeout_seconds: Some(120),
        max_cu: Some(ComputeUnits::new(2.0)?),
        ..EndpointDefaults::default()
    };
    let update = ProjectUpdate { endpoint_defaults: Some(defaults), ..ProjectUpdate::default() };
    world.catalog.project_update(&world.caller, &world.project, &update)?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let create = |spec| world.catalog.endpoint_create(&world.caller, &world.project, &branch, spec);
    let plain = create(EndpointSpec::new(EndpointKind::ReadOnly))?.endpoint;
    assert_eq!((plain.suspend_timeout_seconds, plain.min_cu.get(), plain.max_cu.get()), (120, 1.0, 2.0));
    let small = EndpointSpec { max_cu: Some(ComputeUnits::new(0.25)?), ..EndpointSpec::new(EndpointKind::ReadOnly) };
    assert_eq!(create(small)?.endpoint.min_cu.get(), 0.25);
    Ok(())
}
