use chrono::TimeDelta;
use offshoot_engine::{Lsn, Point};

use super::{TestResult, World, code, in_short};
use crate::{
    BranchId, BranchUpdate, ComputeState, EndpointKind, EndpointSpec, Error, NewBranch, OperationStatus, Outcome,
};

fn read_write() -> EndpointSpec {
    EndpointSpec::new(EndpointKind::ReadWrite)
}

fn read_only() -> EndpointSpec {
    EndpointSpec { suspend_timeout_seconds: Some(60), ..EndpointSpec::new(EndpointKind::ReadOnly) }
}

#[test]
fn a_branch_is_named_after_its_id_unless_it_has_a_name() -> TestResult {
    let world = World::new()?;
    let unnamed = world.fork(&world.main, Point::Head)?;
    assert_eq!(unnamed.name.as_str(), unnamed.id.as_str());
    assert!(!unnamed.default && !unnamed.protected);
    let new = NewBranch { name: Some("dev".parse()?), ..NewBranch::default() };
    let named = world.catalog.branch_create(&world.caller, &world.project, new.clone())?;
    assert_eq!(named.branch.parent.as_ref().map(|parent| &parent.id), Some(&world.main));
    assert_eq!(in_short(&named.operations), ["create_branch running"]);
    let again = world.catalog.branch_create(&world.caller, &world.project, new);
    assert_eq!(code(again), "BRANCH_ALREADY_EXISTS");
    let names: Vec<_> = world.catalog.branch_list(&world.caller, &world.project)?;
    assert_eq!(
        names.iter().map(|branch| branch.name.as_str()).collect::<Vec<_>>(),
        ["main", unnamed.id.as_str(), "dev"]
    );
    Ok(())
}

#[test]
fn a_branch_gets_the_endpoints_that_are_asked_for() -> TestResult {
    let world = World::new()?;
    let new = NewBranch { endpoints: vec![read_write(), read_only()], ..NewBranch::default() };
    let created = world.catalog.branch_create(&world.caller, &world.project, new)?;
    let expected = ["create_branch running", "start_compute scheduling", "start_compute scheduling"];
    assert_eq!(in_short(&created.operations), expected);
    let listed = world.catalog.endpoint_list_of_branch(&world.caller, &world.project, &created.branch.id)?;
    assert_eq!(listed, created.endpoints);
    assert_eq!(
        listed.iter().map(|endpoint| endpoint.kind).collect::<Vec<_>>(),
        [EndpointKind::ReadWrite, EndpointKind::ReadOnly]
    );
    let got = world.catalog.endpoint_get(&world.caller, &world.project, &listed[1].id)?;
    assert_eq!(got, listed[1]);
    assert_eq!(world.catalog.endpoint_list(&world.caller, &world.project)?.len(), 3);

    let two = NewBranch { endpoints: vec![read_write(), read_write()], ..NewBranch::default() };
    assert_eq!(code(world.catalog.branch_create(&world.caller, &world.project, two)), "ENDPOINT_ALREADY_EXISTS");
    for seconds in [-2, 1, 59, 604_801] {
        let spec = EndpointSpec { suspend_timeout_seconds: Some(seconds), ..read_only() };
        let new = NewBranch { endpoints: vec![spec], ..NewBranch::default() };
        assert_eq!(code(world.catalog.branch_create(&world.caller, &world.project, new)), "VALUE_OUT_OF_RANGE");
    }
    Ok(())
}

#[test]
fn a_point_outside_the_history_is_refused_with_its_bounds() -> TestResult {
    let world = World::new()?;
    let now = world.pass();
    let future = world.fork(&world.main, Point::Time(now + TimeDelta::days(1)));
    assert!(matches!(&future, Err(Error::TimeOutsideHistory { first, present, .. }) if first < present));
    assert_eq!(code(future), "POINT_OUTSIDE_HISTORY");
    let past = world.fork(&world.main, Point::Time(now - TimeDelta::days(1)));
    assert_eq!(code(past), "POINT_OUTSIDE_HISTORY");
    let far = world.fork(&world.main, Point::Lsn(Lsn::new(u64::MAX)));
    let Err(Error::LsnOutsideHistory { first, last, .. }) = far else { panic!("outside") };
    assert!(first <= last);
    assert_eq!(code(world.fork(&world.main, Point::Lsn(Lsn::new(0)))), "POINT_OUTSIDE_HISTORY");
    // A child's history begins where it left its parent.
    let child = world.fork(&world.main, Point::Head)?.id;
    world.create_role(&world.main, "sally")?;
    let parents_head = world.fork(&world.main, Point::Head)?.parent.ok_or("no parent")?.lsn;
    assert_eq!(code(world.fork(&child, Point::Lsn(parents_head))), "POINT_OUTSIDE_HISTORY");
    assert_eq!(world.catalog.branch_list(&world.caller, &world.project)?.len(), 3);
    Ok(())
}

#[test]
fn an_unknown_parent_is_not_found() -> TestResult {
    let world = World::new()?;
    let unknown: BranchId = "br-no-such-00000000".parse()?;
    assert_eq!(code(world.fork(&unknown, Point::Head)), "BRANCH_NOT_FOUND");
    assert_eq!(code(world.catalog.branch_get(&world.caller, &world.project, &unknown)), "BRANCH_NOT_FOUND");
    assert_eq!(world.catalog.branch_delete(&world.caller, &world.project, &unknown)?, None);
    Ok(())
}

#[test]
fn a_deleted_branch_is_gone_with_all_that_is_on_it() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let new = NewBranch { name: Some("dev".parse()?), endpoints: vec![read_write()], ..NewBranch::default() };
    let created = world.catalog.branch_create(caller, project, new.clone())?;
    let (branch, endpoint) = (&created.branch.id, &created.endpoints[0].id);
    world.create_role(branch, "sally")?;

    let deleted = world.catalog.branch_delete(caller, project, branch)?.ok_or("absent")?;
    assert_eq!(crate::Branch { deletion: None, ..deleted.branch }, created.branch);
    assert_eq!(in_short(&deleted.operations), ["suspend_compute running"]);
    assert_eq!(code(world.roles(branch)), "BRANCH_NOT_FOUND");
    assert_eq!(code(world.catalog.endpoint_get(caller, project, endpoint)), "ENDPOINT_NOT_FOUND");
    let of_branch: Vec<_> =
        world.operations()?.into_iter().filter(|operation| operation.branch.as_ref() == Some(branch)).collect();
    let earlier = &of_branch[..of_branch.len() - 1];
    assert!(earlier.len() == 4 && earlier.iter().all(|operation| operation.status == OperationStatus::Cancelled));
    // Its name is free again, and its parent too.
    world.catalog.branch_create(caller, project, new)?;
    Ok(())
}

#[test]
fn an_idle_endpoint_needs_no_suspending_before_deletion() -> TestResult {
    let world = World::new()?;
    let new = NewBranch { endpoints: vec![read_write()], ..NewBranch::default() };
    let created = world.catalog.branch_create(&world.caller, &world.project, new)?;
    for operation in &created.operations {
        let compute = operation.endpoint.as_ref().map(|_| ComputeState::Idle);
        let outcome = Outcome::Finished { compute };
        world.catalog.operations_finish(&[(world.project.clone(), operation.id, outcome)])?;
    }
    let deleted = world.catalog.branch_delete(&world.caller, &world.project, &created.branch.id)?.ok_or("absent")?;
    assert!(deleted.operations.is_empty());
    Ok(())
}

#[test]
fn a_branch_that_others_need_is_not_deleted() -> TestResult {
    let world = World::new()?;
    let (caller, project) = (&world.caller, &world.project);
    let parent = world.fork(&world.main, Point::Head)?.id;
    let child = world.fork(&parent, Point::Head)?.id;
    assert_eq!(code(world.catalog.branch_delete(caller, project, &world.main)), "BRANCH_IS_DEFAULT");
    let refused = world.catalog.branch_delete(caller, project, &parent);
    assert!(matches!(refused, Err(Error::BranchHasChildren { child: found, .. }) if found == child));
    assert!(world.catalog.branch_delete(caller, project, &child)?.is_some());
    assert!(world.catalog.branch_delete(caller, project, &parent)?.is_some());
    Ok(())
}

#[test]
fn a_protected_branch_and_its_project_are_not_deleted() -> TestResult {
    let world = World::new()?;
    let branch = world.fork(&world.main, Point::Head)?.id;
    let update = BranchUpdate { protected: Some(true), ..BranchUpdate::default() };
    world.catalog.branch_update(&world.caller, &world.project, &branch, update)?;
    assert_eq!(code(world.catalog.branch_delete(&world.caller, &world.project, &branch)), "BRANCH_IS_PROTECTED");
    assert_eq!(code(world.catalog.project_delete(&world.caller, &world.project)), "PROJECT_HAS_PROTECTED_BRANCH");
    assert!(world.catalog.branch_get(&world.caller, &world.project, &branch)?.protected);
    Ok(())
}
