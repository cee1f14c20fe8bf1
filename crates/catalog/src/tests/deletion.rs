use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use offshoot_engine::{Clock, MemoryStore, NamespaceId, Point, StoreError, Table};

use super::{TestResult, World, code, in_short};
use crate::{
    Branch, BranchId, BranchUpdate, ComputeState, DeletionMethod, Endpoint, EndpointKind, EndpointSpec, Error, Expired,
    Expiry, NewBranch, NewProject, NewRestore, NewSnapshot, Options, PasswordKeys, ProjectQuery, RoleLogin, Wake,
    catalog::FoundProject,
    codec::OperationRecord,
    tables::{project, system},
    testing::SeededEntropy,
};

impl World {
    fn delete(&self, branch: &BranchId) -> Result<Branch, Error> {
        let deleted = self.catalog.branch_delete(&self.caller, &self.project, branch)?;
        Ok(deleted.ok_or(Error::BranchNotFound { id: branch.to_string() })?.branch)
    }

    fn recover(&self, branch: &BranchId) -> Result<Branch, Error> {
        Ok(self.catalog.branch_recover(&self.caller, &self.project, branch)?.branch)
    }

    fn deleted(&self) -> Result<Vec<BranchId>, Error> {
        let deleted = self.catalog.branch_list_deleted(&self.caller, &self.project)?;
        Ok(deleted.into_iter().map(|branch| branch.id).collect())
    }

    fn named(&self, name: &str, parent: &BranchId) -> Result<Branch, Error> {
        let (name, parent) = (Some(name.parse()?), Some(parent.clone()));
        let endpoints = vec![EndpointSpec::new(EndpointKind::ReadWrite)];
        let new = NewBranch { name, parent, endpoints, ..NewBranch::default() };
        Ok(self.catalog.branch_create(&self.caller, &self.project, new)?.branch)
    }

    /// How many branches of the engine the project has.
    fn engine_branches(store: &MemoryStore) -> usize {
        let is_branch = |key: &&bytes::Bytes| key.first() == Some(&b'b') && key[1..9] != [0; 8];
        store.entries().iter().map(|(key, _)| key).filter(is_branch).count()
    }
}

const DAY: TimeDelta = TimeDelta::days(1);

#[test]
fn a_deleted_branch_is_nowhere_but_in_the_list_of_deleted_ones() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let dev = world.named("dev", &world.main)?.id;
    let endpoint = catalog.endpoint_list_of_branch(caller, project, &dev)?.remove(0).id;
    let deleted = world.delete(&dev)?;
    let deletion = deleted.deletion.ok_or("not deleted")?;
    assert_eq!(deletion.recoverable_until - deletion.deleted_at, TimeDelta::days(7));
    assert_eq!(deletion.method, DeletionMethod::User);
    assert_eq!(world.deleted()?, std::slice::from_ref(&dev));
    assert_eq!(catalog.branch_list_deleted(caller, project)?, [deleted]);

    let listed: Vec<_> = catalog.branch_list(caller, project)?.into_iter().map(|branch| branch.id).collect();
    assert_eq!(listed, std::slice::from_ref(&world.main));
    assert_eq!(code(world.branch(&dev)), "BRANCH_NOT_FOUND");
    assert_eq!(code(world.roles(&dev)), "BRANCH_NOT_FOUND");
    assert_eq!(code(world.fork(&dev, Point::Head)), "BRANCH_NOT_FOUND");
    assert_eq!(code(catalog.endpoint_get(caller, project, &endpoint)), "ENDPOINT_NOT_FOUND");
    assert_eq!(code(catalog.endpoint_start(caller, project, &endpoint)), "ENDPOINT_NOT_FOUND");
    assert!(catalog.endpoint_list(caller, project)?.iter().all(|found| found.id != endpoint));
    assert_eq!(catalog.compute_endpoint(&endpoint)?, None);
    assert_eq!(catalog.branch_delete(caller, project, &dev)?, None, "it is gone already");
    // Its compute is only suspended.
    assert!(catalog.computes_gone(10)?.is_empty() && catalog.compute_is_kept(&endpoint)?);
    Ok(())
}

#[test]
fn a_recovered_branch_is_as_it_was_and_what_ran_runs_again() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let created = world.named("dev", &world.main)?;
    world.settle(ComputeState::Active)?;
    world.create_role(&created.id, "sally")?;
    world.settle(ComputeState::Active)?;
    let (before, roles) = (world.branch(&created.id)?, world.roles(&created.id)?);
    let endpoint = catalog.endpoint_list_of_branch(caller, project, &created.id)?.remove(0);
    world.pass();
    world.delete(&created.id)?;
    world.settle(ComputeState::Active)?;
    world.pass();

    let recovered = catalog.branch_recover(caller, project, &created.id)?;
    assert_eq!(in_short(&recovered.operations), ["start_compute running"]);
    assert_eq!(Branch { updated_at: before.updated_at, ..recovered.branch }, before);
    let [found] = &recovered.endpoints[..] else { panic!("{:?}", recovered.endpoints) };
    assert_eq!((&found.id, found.state), (&endpoint.id, ComputeState::Idle));
    assert_eq!(found.pending_state, Some(ComputeState::Active));
    assert_eq!(world.roles(&created.id)?, roles);
    assert!(world.deleted()?.is_empty());
    assert_eq!(code(world.recover(&created.id)), "BRANCH_NOT_DELETED");
    assert_eq!(code(world.delete(&world.main)), "BRANCH_IS_DEFAULT");
    // It has its name and its parent again, and nothing removes it later.
    assert_eq!(code(world.named("dev", &world.main)), "BRANCH_ALREADY_EXISTS");
    world.clock.advance(DAY * 30);
    assert_eq!(world.catalog.expire(10)?, Expired::default());
    world.branch(&created.id)?;
    Ok(())
}

#[test]
fn what_was_not_ready_is_made_when_it_is_recovered_and_what_was_suspended_stays_so() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let dev = world.named("dev", &world.main)?.id;
    world.delete(&dev)?;
    let recovered = catalog.branch_recover(caller, project, &dev)?;
    assert_eq!(in_short(&recovered.operations), ["create_branch running", "start_compute scheduling"]);
    world.settle(ComputeState::Active)?;
    let endpoint = catalog.endpoint_list_of_branch(caller, project, &dev)?.remove(0).id;
    catalog.endpoint_suspend(caller, project, &endpoint)?;
    world.delete(&dev)?;
    assert!(catalog.branch_recover(caller, project, &dev)?.operations.is_empty());
    // Also where the suspension was the deletion's.
    world.settle(ComputeState::Idle)?;
    catalog.endpoint_start(caller, project, &endpoint)?;
    world.settle(ComputeState::Active)?;
    catalog.endpoint_suspend(caller, project, &endpoint)?;
    world.delete(&dev)?;
    world.settle(ComputeState::Idle)?;
    let recovered = catalog.branch_recover(caller, project, &dev)?;
    assert!(recovered.operations.is_empty());
    assert_eq!(recovered.endpoints[0].state, ComputeState::Idle);
    assert!(catalog.computes_active()?.iter().all(|active| active.id != endpoint));
    Ok(())
}

#[test]
fn endpoints_of_a_deleted_branch_do_not_sleep_and_keep_nobody_from_those_that_do() -> TestResult {
    let store = MemoryStore::new();
    let options = Options::default().with_compute_ports(20_000..=20_009);
    let world = World::over(store.clone())?.with_options(&store, options, 7)?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let dev = world.named("dev", &world.main)?.id;
    world.settle(ComputeState::Idle)?;
    let of_branch = |branch| catalog.endpoint_list_of_branch(caller, project, branch);
    let (of_main, of_dev) = (of_branch(&world.main)?, of_branch(&dev)?);
    for endpoint in of_main.iter().chain(&of_dev) {
        catalog.compute_port(&endpoint.id)?;
    }
    let asleep = || -> Result<BTreeSet<_>, Error> {
        Ok(catalog.endpoints_asleep()?.into_iter().map(|(endpoint, _)| endpoint).collect())
    };
    let ids = |endpoints: &[Endpoint]| endpoints.iter().map(|endpoint| endpoint.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(asleep()?, ids(&[&of_main[..], &of_dev].concat()));
    world.delete(&dev)?;
    assert_eq!(asleep()?, ids(&of_main));
    for endpoint in &of_dev {
        assert_eq!(catalog.endpoint_wake(&endpoint.id)?, Wake::Gone);
    }
    catalog.branch_recover(caller, project, &dev)?;
    assert_eq!(asleep()?, ids(&[&of_main[..], &of_dev].concat()));
    Ok(())
}

#[test]
fn nothing_is_kept_of_the_compute_of_an_endpoint_that_is_gone() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let dev = world.named("dev", &world.main)?.id;
    world.settle(ComputeState::Active)?;
    let endpoint = catalog.endpoint_list_of_branch(caller, project, &dev)?.remove(0).id;
    let changes = catalog.compute_changes(project, &dev, &endpoint, true)?.ok_or("the endpoint is there")?;
    catalog.branch_delete_for_good(caller, project, &dev)?;
    let at = Utc::now();
    assert_eq!(catalog.compute_lease(&endpoint, "executor", 60, at)?, Ok(()));
    assert_eq!(catalog.compute_begin(&changes, "executor", at)?, Ok(()));
    let kept = system::COMPUTES.all(&mut catalog.snapshot()?, NamespaceId::SYSTEM, endpoint.as_str().as_bytes())?;
    assert!(kept.is_empty());
    Ok(())
}

#[test]
fn a_name_that_was_given_away_has_to_be_free_again() -> TestResult {
    let world = World::new()?;
    let dev = world.named("dev", &world.main)?.id;
    world.delete(&dev)?;
    let other = world.named("dev", &world.main)?.id;
    assert_eq!(code(world.recover(&dev)), "BRANCH_ALREADY_EXISTS");
    assert_eq!(world.deleted()?, std::slice::from_ref(&dev));
    world.update(&other, BranchUpdate { name: Some("dev2".parse()?), ..BranchUpdate::default() })?;
    assert_eq!(world.recover(&dev)?.name.as_str(), "dev");
    Ok(())
}

#[test]
fn a_child_comes_back_after_its_parent_or_without_it() -> TestResult {
    let world = World::new()?;
    let parent = world.named("parent", &world.main)?.id;
    let child = world.named("child", &parent)?.id;
    world.delete(&child)?;
    // The deleted child doesn't hold its parent.
    world.delete(&parent)?;
    let refused = world.recover(&child);
    assert!(matches!(&refused, Err(Error::ParentDeleted { parent: found, .. }) if *found == parent), "{refused:?}");
    world.recover(&parent)?;
    assert_eq!(world.recover(&child)?.parent.map(|parent| parent.id).as_ref(), Some(&parent));
    assert_eq!(code(world.delete(&parent)), "BRANCH_HAS_CHILDREN");

    world.delete(&child)?;
    world.catalog.branch_delete_for_good(&world.caller, &world.project, &parent)?;
    assert_eq!(world.recover(&child)?.parent, None);
    assert_eq!(world.role_names(&child)?, ["casey", "web_access"]);
    Ok(())
}

#[test]
fn a_child_finds_what_it_was_forked_from_after_its_parent_was_restored() -> TestResult {
    let world = World::new()?;
    let parent = world.named("parent", &world.main)?.id;
    let child = world.named("child", &parent)?.id;
    world.delete(&child)?;
    let restore = |preserve: Option<&str>| -> Result<_, Error> {
        Ok(NewRestore {
            source: world.main.clone(),
            point: Point::Head,
            preserve_under: preserve.map(str::parse).transpose()?,
            preserve_credentials: false,
        })
    };
    let backup = world.restore(&parent, &restore(Some("backup"))?)?.backup.ok_or("no backup")?.id;
    assert_eq!(world.recover(&child)?.parent.map(|parent| parent.id), Some(backup));

    // Where that is dropped, it is a root branch.
    world.pass();
    let second = world.named("second", &parent)?.id;
    world.delete(&second)?;
    world.restore(&parent, &restore(None)?)?;
    assert_eq!(world.recover(&second)?.parent, None);
    Ok(())
}

#[test]
fn a_parent_that_expires_by_now_takes_no_child_back() -> TestResult {
    let world = World::new()?;
    let parent = world.named("parent", &world.main)?.id;
    let child = world.named("child", &parent)?.id;
    world.delete(&child)?;
    let expiry = Some(Some(Expiry(world.clock.now() + DAY)));
    world.update(&parent, BranchUpdate { expiry, ..BranchUpdate::default() })?;
    assert_eq!(code(world.recover(&child)), "BRANCH_EXPIRES");
    Ok(())
}

#[test]
fn what_expired_is_recovered_for_good_and_what_was_deleted_before_expires_still() -> TestResult {
    let world = World::new()?;
    let (expired, deleted) = (world.named("expired", &world.main)?.id, world.named("deleted", &world.main)?.id);
    for (branch, days) in [(&expired, 1), (&deleted, 3)] {
        let expiry = Some(Some(Expiry(world.clock.now() + DAY * days)));
        world.update(branch, BranchUpdate { expiry, ..BranchUpdate::default() })?;
    }
    world.delete(&deleted)?;
    world.clock.advance(DAY);
    assert_eq!(world.catalog.expire(10)?.branches, [(world.project.clone(), expired.clone())]);
    let listed = world.catalog.branch_list_deleted(&world.caller, &world.project)?;
    let methods: Vec<_> = listed.into_iter().filter_map(|branch| Some(branch.deletion?.method)).collect();
    assert_eq!(methods, [DeletionMethod::Ttl, DeletionMethod::User]);
    let recovered = world.recover(&expired)?;
    assert_eq!((recovered.expires_at, recovered.ttl_seconds), (None, None));
    assert!(world.recover(&deleted)?.expires_at.is_some());
    world.clock.advance(DAY * 3);
    assert_eq!(world.catalog.expire(10)?.branches, [(world.project.clone(), deleted)]);
    world.branch(&expired)?;
    Ok(())
}

#[test]
fn after_seven_days_a_branch_is_removed_for_good_also_after_a_restart() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let branches = World::engine_branches(&store);
    let dev = world.named("dev", &world.main)?.id;
    let endpoint = world.catalog.endpoint_list_of_branch(&world.caller, &world.project, &dev)?.remove(0).id;
    world.delete(&dev)?;
    world.clock.advance(DAY * 7 - TimeDelta::seconds(1));
    let early = world.catalog.expire(10)?;
    assert!(early.removed_branches.is_empty() && early.next.is_some());
    world.clock.advance(TimeDelta::seconds(2));
    // Whether or not it was looked at in time.
    assert_eq!(code(world.recover(&dev)), "BRANCH_NOT_FOUND");
    assert!(world.deleted()?.is_empty());
    assert_eq!(World::engine_branches(&store), branches + 1);

    let world = world.reopen(|| Ok::<_, StoreError>(store.clone()), 2)?;
    let removed = world.catalog.expire(10)?;
    assert_eq!(removed.removed_branches, [(world.project.clone(), dev.clone())]);
    assert_eq!(World::engine_branches(&store), branches);
    assert_eq!(world.catalog.computes_gone(10)?, [endpoint]);
    assert!(in_short(&world.operations()?).contains(&"delete_timeline running".to_owned()));
    assert_eq!(world.catalog.expire(10)?, Expired::default());
    Ok(())
}

#[test]
fn a_project_that_one_commit_cannot_delete_is_removed_all_the_same() -> TestResult {
    let world = World::new()?;
    let filler = Table::new("filler");
    for part in 0..5_u32 {
        world.catalog.commit(|tx| {
            let namespace = FoundProject::find(tx, &world.caller, &world.project)?.namespace();
            for number in 0..4_500_u32 {
                let key = format!("{part}/{number}/{}", "long ".repeat(90));
                tx.record_put(namespace, filler, key.as_bytes(), b"")?;
            }
            Ok(())
        })?;
    }
    let namespaces = || Ok::<_, Error>(world.catalog.engine().snapshot()?.namespaces(None, 10)?.len());
    let before = namespaces()?;
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    assert_eq!(namespaces()?, before - 1);
    Ok(())
}

#[test]
fn deleting_for_good_leaves_nothing_to_recover() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let (first, second) = (world.named("first", &world.main)?.id, world.named("second", &world.main)?.id);
    let gone = catalog.branch_delete_for_good(caller, project, &first)?.ok_or("absent")?;
    assert_eq!(gone.branch.deletion, None);
    world.delete(&second)?;
    assert!(catalog.branch_delete_for_good(caller, project, &second)?.is_some(), "a deleted one, too");
    for branch in [&first, &second] {
        assert_eq!(code(world.recover(branch)), "BRANCH_NOT_FOUND");
        assert_eq!(catalog.branch_delete_for_good(caller, project, branch)?, None);
    }
    assert_eq!(catalog.computes_gone(10)?.len(), 2);
    assert_eq!(catalog.expire(10)?, Expired::default());
    Ok(())
}

#[test]
fn a_recovered_project_is_as_it_was_and_what_ran_runs_again() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    let expires_at = Some(world.clock.now() + DAY * 2);
    catalog.snapshot_create(caller, project, &world.main, NewSnapshot { expires_at, ..NewSnapshot::default() })?;
    let (dev, gone) = (world.named("dev", &world.main)?.id, world.named("gone", &world.main)?.id);
    world.settle(ComputeState::Active)?;
    let unfinished = world.named("unfinished", &world.main)?.id;
    let expiry = Some(Some(Expiry(world.clock.now() + DAY)));
    world.update(&dev, BranchUpdate { expiry, ..BranchUpdate::default() })?;
    world.delete(&gone)?;
    let (before, branches) = (catalog.project_get(caller, project)?, catalog.branch_list(caller, project)?);
    let (roles, password) = (world.roles(&world.main)?, world.reveal(&world.main, "casey")?);

    let deleted = catalog.project_delete(caller, project)?;
    let deletion = deleted.deletion.ok_or("not deleted")?;
    assert_eq!(deletion.recoverable_until - deletion.deleted_at, TimeDelta::days(7));
    assert_eq!(code(catalog.project_get(caller, project)), "PROJECT_NOT_FOUND");
    assert_eq!(code(world.roles(&world.main)), "PROJECT_NOT_FOUND");
    assert_eq!(code(catalog.project_delete(caller, project)), "PROJECT_NOT_FOUND");
    assert!(catalog.project_list(caller, ProjectQuery::default())?.items.is_empty());
    let recoverable = catalog.project_list(caller, ProjectQuery { deleted: true, ..ProjectQuery::default() })?.items;
    assert_eq!(recoverable, [deleted]);
    let due: Vec<_> = catalog.operations_due(100)?.into_iter().map(|due| due.operation).collect();
    assert_eq!(in_short(&due), vec!["suspend_compute running"; 4]);
    world.settle(ComputeState::Active)?;
    // What expires in between waits.
    world.clock.advance(DAY * 3);
    assert!(catalog.expire(10)?.branches.is_empty());

    let stranger = crate::Caller::new(catalog.account_create(&"erin".parse()?)?.id);
    assert_eq!(code(catalog.project_recover(&stranger, project)), "PROJECT_NOT_FOUND");
    let recovered = catalog.project_recover(caller, project)?;
    let same_time = crate::Project { updated_at: before.updated_at, ..recovered.project };
    assert_eq!(same_time, before);
    assert_eq!(recovered.branches, branches);
    assert_eq!(world.roles(&world.main)?, roles);
    assert_eq!(world.reveal(&world.main, "casey")?, password);
    assert_eq!(code(catalog.project_recover(caller, project)), "PROJECT_NOT_DELETED");
    world.settle(ComputeState::Active)?;
    assert!(catalog.endpoint_list(caller, project)?.iter().all(|endpoint| endpoint.state == ComputeState::Active));
    assert_eq!(world.branch(&unfinished)?.state, crate::BranchState::Ready);
    let expired = catalog.expire(10)?;
    assert_eq!(expired.branches, [(project.clone(), dev)]);
    assert_eq!(expired.snapshots.len(), 1);
    assert_eq!(world.recover(&gone)?.id, gone, "deleted before its project was");
    Ok(())
}

#[test]
fn after_seven_days_a_project_is_removed_for_good_also_after_a_restart() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let dev = world.named("dev", &world.main)?.id;
    world.delete(&dev)?;
    world.catalog.project_delete(&world.caller, &world.project)?;
    world.clock.advance(DAY * 7 + TimeDelta::seconds(1));
    assert_eq!(code(world.catalog.project_recover(&world.caller, &world.project)), "PROJECT_NOT_FOUND");
    let world = world.reopen(|| Ok::<_, StoreError>(store.clone()), 2)?;
    let removed = world.catalog.expire(10)?;
    assert_eq!(removed.removed_projects, std::slice::from_ref(&world.project));
    assert_eq!(world.catalog.computes_gone(10)?.len(), 2);
    world.catalog.computes_forget(&world.catalog.computes_gone(10)?)?;
    assert_eq!(world.catalog.expire(10)?, Expired::default());
    for (key, value) in store.entries() {
        let holds = |bytes: &[u8]| {
            bytes.windows(world.project.as_str().len()).any(|at| at == world.project.as_str().as_bytes())
        };
        assert!(!holds(&key) && !holds(&value), "{}", key.escape_ascii());
    }
    Ok(())
}

#[test]
fn an_account_takes_what_it_deleted_with_it() -> TestResult {
    let world = World::new()?;
    let (catalog, account) = (&world.catalog, world.caller.account);
    let kept = catalog.project_create(&world.caller, NewProject::default())?.project.id;
    catalog.project_delete(&world.caller, &world.project)?;
    assert_eq!(code(catalog.account_delete(account, false)), "ACCOUNT_HAS_PROJECTS");
    catalog.project_recover(&world.caller, &world.project)?;
    catalog.project_delete(&world.caller, &world.project)?;
    catalog.project_delete(&world.caller, &kept)?;
    catalog.account_delete(account, false)?;
    assert_eq!(catalog.computes_gone(10)?.len(), 2);
    assert_eq!(catalog.expire(10)?, Expired::default());
    assert!(catalog.operations_due(10)?.is_empty());
    Ok(())
}

#[test]
fn a_new_password_key_is_for_deleted_projects_too() -> TestResult {
    let store = MemoryStore::new();
    let world = World::over(store.clone())?;
    let password = world.reveal(&world.main, "casey")?;
    world.catalog.project_delete(&world.caller, &world.project)?;
    let new = PasswordKeys::generate(&SeededEntropy::new(0))?.with_new(&SeededEntropy::new(7))?;
    let text = new.to_text();
    assert_eq!(world.catalog.password_keys_rotate(new)?.projects, 1);
    let only_newest = secrecy::ExposeSecret::expose_secret(&text).lines().last().ok_or("no key")?.to_owned();
    let options = Options::default().with_password_keys(PasswordKeys::parse(&only_newest.into())?);
    let world = world.with_options(&store, options, 3)?;
    world.catalog.project_recover(&world.caller, &world.project)?;
    assert_eq!(world.reveal(&world.main, "casey")?, password);
    Ok(())
}

/// Schedules this many operations on the branch, without a transaction for each.
fn schedule_many(world: &World, branch: &BranchId, count: usize) -> TestResult {
    for batch in vec![(); count].chunks(4000) {
        world.clock.advance(TimeDelta::milliseconds(1));
        world.catalog.commit(|tx| {
            let project = FoundProject::find(tx, &world.caller, &world.project)?;
            let endpoint = crate::endpoint::of_branch(tx, &project, branch)?.into_iter().next().map(|found| found.id);
            let step = |()| crate::operation::Step {
                action: crate::OperationAction::ApplyConfig,
                branch: branch.clone(),
                endpoint: endpoint.clone(),
            };
            let steps = batch.iter().copied().map(step).collect();
            crate::operation::schedule(tx, &SeededEntropy::new(5), project.place(), steps)
        })?;
    }
    Ok(())
}

const MANY: usize = 40_000;

/// The records of all operations that aren't finished.
fn open_records(world: &World) -> Result<Vec<OperationRecord>, Error> {
    let mut source = world.catalog.snapshot()?;
    let mut records = Vec::new();
    for open in world.catalog.operations_open(usize::MAX)? {
        let project = FoundProject::even_deleted(&mut source, &open.project)?.map(|(project, _)| project);
        let namespace = project.ok_or_else(|| Error::ProjectNotFound { id: open.project.to_string() })?.namespace();
        records.extend(project::OPERATIONS.get(&mut source, namespace, open.id.as_bytes())?);
    }
    Ok(records)
}

#[test]
fn a_branch_with_very_many_open_operations_is_deleted_in_steps() -> TestResult {
    let world = World::new()?;
    let (catalog, caller, project) = (&world.catalog, &world.caller, &world.project);
    for keeps in [true, false] {
        let dev = world.named("dev", &world.main)?.id;
        schedule_many(&world, &dev, MANY)?;
        if keeps {
            world.delete(&dev)?;
            assert_eq!(world.deleted()?, [dev]);
        } else {
            catalog.branch_delete_for_good(caller, project, &dev)?;
        }
        let mut left = open_records(&world)?;
        left.retain(|record| record.branch != world.main);
        assert!(left.iter().all(|left| left.action != crate::OperationAction::ApplyConfig), "{}", left.len());
    }
    Ok(())
}

#[test]
fn a_project_with_very_many_open_operations_is_deleted_in_steps() -> TestResult {
    let world = World::new()?;
    schedule_many(&world, &world.main, MANY)?;
    world.catalog.project_delete(&world.caller, &world.project)?;
    let left: Vec<_> = open_records(&world)?.iter().map(|open| format!("{} {}", open.action, open.status)).collect();
    assert_eq!(left, ["suspend_compute running"]);
    world.catalog.project_recover(&world.caller, &world.project)?;
    schedule_many(&world, &world.main, MANY)?;
    world.catalog.project_delete_for_good(&world.caller, &world.project)?;
    assert!(world.catalog.operations_open(10)?.is_empty());
    Ok(())
}

#[test]
fn a_deletion_that_was_interrupted_goes_on_by_itself() -> TestResult {
    let world = World::new()?;
    let dev = world.named("dev", &world.main)?.id;
    schedule_many(&world, &dev, 10_000)?;
    // Only the first commit of it.
    let put_away = world.catalog.commit(|tx| {
        let project = FoundProject::find(tx, &world.caller, &world.project)?;
        let found = project.branch(tx, &dev)?;
        let keeping = crate::deletion::Keeping::Recoverable;
        world.catalog.branch_put_away(tx, &project, found, DeletionMethod::User, keeping)
    })?;
    assert!(put_away.due.is_some());
    let open = world.catalog.operations_open(usize::MAX)?.len();
    assert!(open > 5_000, "{open}");
    world.pass();
    world.catalog.expire(10)?;
    assert!(world.catalog.operations_open(usize::MAX)?.len() < 10);
    assert_eq!(world.deleted()?, std::slice::from_ref(&dev));
    world.catalog.role_create(&world.caller, &world.project, &world.main, "sally".parse()?, RoleLogin::NoLogin)?;
    world.recover(&dev)?;
    Ok(())
}

#[test]
fn however_much_is_scheduled_after_a_deletion_the_deletion_comes_to_its_end() -> TestResult {
    let world = World::new()?;
    let dev = world.named("dev", &world.main)?.id;
    world.delete(&dev)?;
    schedule_many(&world, &dev, 10_000)?;
    world.clock.advance(DAY * 7 + TimeDelta::seconds(1));
    assert_eq!(world.catalog.expire(10)?.removed_branches, [(world.project.clone(), dev)]);
    assert!(world.catalog.operations_open(usize::MAX)?.len() > 10_000);
    Ok(())
}
