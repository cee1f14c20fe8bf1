//! Random changes on random branches, against a model that copies everything.

mod deletion;
mod restore;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use offshoot_engine::{MemoryStore, Point, SledOptions, SledStore, Store};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{World, code};
use crate::{BranchId, Error, ScramVerifier, SnapshotId};

/// What one branch holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    /// In order of creation.
    roles: Vec<(String, Option<ScramVerifier>)>,
    /// Name and owner, in order of creation.
    databases: Vec<(String, String)>,
}

/// All branches by id, with what they hold.
type State = BTreeMap<BranchId, Contents>;

#[derive(Clone, Debug)]
enum Step {
    CreateRole(u8),
    DeleteRole(u8),
    Reset(u8),
    CreateDatabase(u8, u8),
    ChangeDatabase(u8, u8, u8),
    DeleteDatabase(u8),
    Fork,
    ForkAt(prop::sample::Index),
    DeleteBranch(bool),
    RecoverBranch(prop::sample::Index),
    Wait(u8),
    Restore(restore::Restore),
    TakeSnapshot(Option<prop::sample::Index>),
    RestoreSnapshot(prop::sample::Index, bool, bool),
    Reopen,
}

fn steps(count: usize) -> impl Strategy<Value = Vec<(prop::sample::Index, Step)>> {
    let name = 0..6_u8;
    let step = prop_oneof![
        4 => name.clone().prop_map(Step::CreateRole),
        2 => name.clone().prop_map(Step::DeleteRole),
        2 => name.clone().prop_map(Step::Reset),
        2 => (name.clone(), name.clone()).prop_map(|(name, owner)| Step::CreateDatabase(name, owner)),
        1 => (name.clone(), name.clone(), name.clone()).prop_map(|(old, new, owner)| Step::ChangeDatabase(old, new, owner)),
        1 => name.prop_map(Step::DeleteDatabase),
        2 => Just(Step::Fork),
        2 => any::<prop::sample::Index>().prop_map(Step::ForkAt),
        2 => prop::bool::weighted(0.2).prop_map(Step::DeleteBranch),
        2 => any::<prop::sample::Index>().prop_map(Step::RecoverBranch),
        1 => (1..=4_u8).prop_map(Step::Wait),
        3 => restore::restores().prop_map(Step::Restore),
        1 => prop::option::of(any::<prop::sample::Index>()).prop_map(Step::TakeSnapshot),
        1 => (any::<prop::sample::Index>(), any::<bool>(), any::<bool>())
            .prop_map(|(which, credentials, deletes)| Step::RestoreSnapshot(which, credentials, deletes)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), step), 1..count)
}

fn role_name(number: u8) -> String {
    // The first two are those that every branch begins with.
    ["casey", "web_access", "sally", "we ird/ro%le", "zoë", "a"][usize::from(number)].to_owned()
}

fn database_name(number: u8) -> String {
    ["neondb", "app", "sally", "zoë", "b", "c"][usize::from(number)].to_owned()
}

fn position(names: &[(String, impl Sized)], name: &str) -> Option<usize> {
    names.iter().position(|(found, _)| found == name)
}

/// The catalog and the model side by side.
struct Pair {
    world: World,
    state: State,
    /// What each branch's parent is.
    parents: BTreeMap<BranchId, BranchId>,
    /// Instants after which everything was so.
    past: Vec<(DateTime<Utc>, State)>,
    /// Snapshots, with the branch that each is of, and what it holds.
    snapshots: Vec<(SnapshotId, BranchId, Contents)>,
    /// Branches that can be recovered.
    deleted: Vec<deletion::Deleted>,
    /// How many names were given.
    names: u32,
}

impl Pair {
    fn new(world: World) -> Result<Self, Error> {
        let state = BTreeMap::from([(world.main.clone(), contents(&world, &world.main)?)]);
        let (parents, past) = (BTreeMap::new(), Vec::new());
        Ok(Self { world, state, parents, past, snapshots: Vec::new(), deleted: Vec::new(), names: 0 })
    }

    /// Takes a step on both, and checks that they say the same about it.
    fn step(&mut self, branch: &BranchId, step: &Step) -> Result<(), TestCaseError> {
        let (world, state) = (&self.world, self.state.get_mut(branch).ok_or_else(|| TestCaseError::fail("no branch"))?);
        let (caller, project) = (&world.caller, &world.project);
        let (expected, got) = match step {
            Step::CreateRole(name) => {
                let name = role_name(*name);
                let got = world.create_role(branch, &name);
                let expected = match name.as_str() {
                    "web_access" => "ROLE_NAME_RESERVED",
                    _ if position(&state.roles, &name).is_some() => "ROLE_ALREADY_EXISTS",
                    _ => "OK",
                };
                if let Ok(role) = &got {
                    state.roles.push((name, role.verifier.clone()));
                }
                (expected, code(got))
            }
            Step::DeleteRole(name) => {
                let name = role_name(*name);
                let found = position(&state.roles, &name);
                let expected = match name.as_str() {
                    "web_access" => "ROLE_PROTECTED",
                    _ if state.databases.iter().any(|(_, owner)| *owner == name) => "ROLE_OWNS_DATABASES",
                    _ => "OK",
                };
                if let (Some(found), "OK") = (found, expected) {
                    state.roles.remove(found);
                }
                let got = world.delete_role(branch, &name);
                let was_there = got.as_ref().is_ok_and(Option::is_some);
                prop_assert_eq!(was_there, found.is_some() && expected == "OK");
                (expected, code(got))
            }
            Step::Reset(name) => {
                let name = role_name(*name);
                let got = world.reset(branch, &name);
                let found = position(&state.roles, &name);
                if let (Some(found), Ok(role)) = (found, &got) {
                    prop_assert_ne!(&state.roles[found].1, &role.verifier);
                    state.roles[found].1.clone_from(&role.verifier);
                }
                let expected = match (name.as_str(), found) {
                    ("web_access", _) => "ROLE_PROTECTED",
                    (_, None) => "ROLE_NOT_FOUND",
                    (_, Some(_)) => "OK",
                };
                (expected, code(got))
            }
            Step::CreateDatabase(name, owner) => {
                let (name, owner) = (database_name(*name), role_name(*owner));
                let (parsed, parsed_owner) = (name.parse().map_err(fail)?, owner.parse().map_err(fail)?);
                let got = world.catalog.database_create(caller, project, branch, parsed, parsed_owner);
                let expected = match position(&state.databases, &name) {
                    Some(_) => "DATABASE_ALREADY_EXISTS",
                    None => owner_refusal(state, &owner),
                };
                if expected == "OK" {
                    state.databases.push((name, owner));
                }
                (expected, code(got))
            }
            Step::ChangeDatabase(old, new, owner) => {
                let (old, new, owner) = (database_name(*old), database_name(*new), role_name(*owner));
                let (parsed, new_name, new_owner) = (old.parse().map_err(fail)?, new.parse(), owner.parse());
                let (new_name, new_owner) = (Some(new_name.map_err(fail)?), Some(new_owner.map_err(fail)?));
                let got = world.catalog.database_update(caller, project, branch, &parsed, new_name, new_owner);
                let expected = match position(&state.databases, &old) {
                    None => "DATABASE_NOT_FOUND",
                    Some(_) if new != old && position(&state.databases, &new).is_some() => "DATABASE_ALREADY_EXISTS",
                    Some(found) if state.databases[found].1 == owner => "OK",
                    Some(_) => owner_refusal(state, &owner),
                };
                if let (Some(found), "OK") = (position(&state.databases, &old), expected) {
                    state.databases[found] = (new, owner);
                }
                (expected, code(got))
            }
            Step::DeleteDatabase(name) => {
                let name = database_name(*name);
                let parsed = name.parse().map_err(fail)?;
                let got = world.catalog.database_delete(caller, project, branch, &parsed);
                let found = position(&state.databases, &name);
                prop_assert_eq!(got.as_ref().is_ok_and(Option::is_some), found.is_some());
                if let Some(found) = found {
                    state.databases.remove(found);
                }
                ("OK", code(got))
            }
            Step::Fork => {
                let contents = state.clone();
                return self.forked(branch, Point::Head, contents);
            }
            Step::ForkAt(index) => {
                let moments: Vec<_> = self.past.iter().filter(|(_, state)| state.contains_key(branch)).collect();
                if moments.is_empty() {
                    return Ok(());
                }
                let (instant, then) = index.get(&moments);
                let (point, contents) = (Point::Time(*instant), then[branch].clone());
                return self.forked(branch, point, contents);
            }
            Step::DeleteBranch(for_good) => return self.delete(branch, *for_good),
            Step::RecoverBranch(which) => return self.recover(which),
            Step::Wait(days) => return self.wait(*days),
            Step::Restore(restore) => return self.restore(branch, restore),
            Step::TakeSnapshot(moment) => return self.take_snapshot(branch, moment.as_ref()),
            Step::RestoreSnapshot(which, credentials, deletes) => {
                return self.restore_snapshot(which, *credentials, *deletes);
            }
            Step::Reopen => ("OK", "OK"),
        };
        prop_assert_eq!(expected, got, "{:?} on {}", step, branch);
        Ok(())
    }

    fn forked(&mut self, parent: &BranchId, point: Point, contents: Contents) -> Result<(), TestCaseError> {
        let child = self.world.fork(parent, point).map_err(fail)?.id;
        self.parents.insert(child.clone(), parent.clone());
        self.state.insert(child, contents);
        Ok(())
    }

    /// Checks that the catalog says the same of every branch as the model.
    fn compare(&self) -> Result<(), TestCaseError> {
        let listed = self.world.catalog.branch_list(&self.world.caller, &self.world.project).map_err(fail)?;
        let mut found: Vec<_> = listed.into_iter().map(|branch| (branch.id, branch.parent.map(|of| of.id))).collect();
        found.sort();
        let expected = self.state.keys().map(|branch| (branch.clone(), self.parents.get(branch).cloned()));
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
        self.compare_deleted()?;
        for (branch, expected) in &self.state {
            prop_assert_eq!(&contents(&self.world, branch).map_err(fail)?, expected);
        }
        // The default role owns a database from the start, so it is there; what is told of its password is what lets in.
        let (branch, contents) = self.state.iter().next_back().ok_or_else(|| TestCaseError::fail("no branch"))?;
        if let Some((name, Some(verifier))) = contents.roles.first() {
            let told = self.world.reveal(branch, name).map_err(fail)?;
            prop_assert!(verifier.accepts(&told.into()), "{} on {}", name, branch);
        }
        Ok(())
    }
}

fn fail(error: impl ToString) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn owner_refusal(state: &Contents, owner: &str) -> &'static str {
    match position(&state.roles, owner) {
        None => "ROLE_NOT_FOUND",
        Some(_) if owner == "web_access" => "ROLE_PROTECTED",
        Some(_) => "OK",
    }
}

fn contents(world: &World, branch: &BranchId) -> Result<Contents, Error> {
    let roles = world.roles(branch)?.into_iter().map(|role| (role.name.to_string(), role.verifier)).collect();
    let databases = world.catalog.database_list(&world.caller, &world.project, branch)?;
    let databases = databases.into_iter().map(|found| (found.name.to_string(), found.owner.to_string())).collect();
    Ok(Contents { roles, databases })
}

fn agree<S: Store>(
    open: impl Fn() -> Result<S, offshoot_engine::StoreError>,
    steps: &[(prop::sample::Index, Step)],
) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(World::over(open().map_err(fail)?).map_err(fail)?).map_err(fail)?;
    for (number, (branch, step)) in steps.iter().enumerate() {
        let branches: Vec<BranchId> = pair.state.keys().cloned().collect();
        pair.step(branch.get(&branches), step)?;
        if let Step::Reopen = step {
            pair.world = pair.world.reopen(&open, number as u64 + 2).map_err(fail)?;
        }
        pair.compare()?;
        let instant = pair.world.pass();
        pair.past.push((instant, pair.state.clone()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_over_memory_agrees_with_the_model(steps in steps(60)) {
        let store = MemoryStore::new();
        agree(|| Ok(store.clone()), &steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_over_sled_agrees_with_the_model(steps in steps(40)) {
        let directory = tempfile::tempdir()?;
        agree(|| SledStore::open(directory.path(), &SledOptions::default()), &steps)?;
    }
}
