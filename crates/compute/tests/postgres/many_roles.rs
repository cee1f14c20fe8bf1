//! Branches of very many roles.
//!
//! `OFFSHOOT_MANY_ROLES` says how many, and `OFFSHOOT_MANY_LOGINS` how many of them log in, which takes a server some milliseconds each.

use std::{env, time::Instant};

use offshoot_catalog::{BranchId, NewRestore, Outcome, ServerRole};
use offshoot_engine::Point;

use crate::common::{TestResult, World, log_in, query};

/// More than a server can lock in one transaction.
const ROLES: usize = 20_000;
const LOGINS: usize = 200;

/// The verifier of `in-sql`.
const VERIFIER: &str = "SCRAM-SHA-256$4096:BwcHBwcHBwcHBwcHBwcHBw==$m5zRyDxajzJYNX6NgJuV/J6uVUWw5ZNrJJmuGyKgP78=:ydPbm52tWeSthTk9rRrGNyy3U5fZYengEqfOtr964og=";

const COUNT: &str = "SELECT count(*)::text FROM pg_roles WHERE starts_with(rolname, 'role ')";

fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// Gives a branch these roles in one commit, as if a server had them.
fn take(world: &World, branch: &BranchId, roles: &[ServerRole]) -> TestResult {
    world.catalog.role_sync(&world.caller, &world.project, branch)?;
    let due = world.catalog.operations_due(1)?.pop().ok_or("nothing is due")?;
    world.catalog.server_take(&due, roles, &[])?;
    world.catalog.operations_finish(&[(due.project, due.operation.id, Outcome::Finished { compute: None })])?;
    Ok(())
}

#[test]
fn very_many_roles_are_applied_and_taken_away_again() -> TestResult {
    let (roles, logins) = (number("OFFSHOOT_MANY_ROLES", ROLES), number("OFFSHOOT_MANY_LOGINS", LOGINS));
    let mut world = World::new()?;
    let main = world.main.clone();
    world.settle()?;
    let before = world.catalog.branch_lsn(&world.caller, &world.project, &main, Point::Head)?;
    world.stop();
    let role = |number| {
        let password = (number < logins).then(|| VERIFIER.to_owned());
        ServerRole { name: format!("role {number:06}"), can_login: password.is_some(), password }
    };
    take(&world, &main, &(0..roles).map(role).collect::<Vec<_>>())?;
    let begun = Instant::now();
    world.start()?;
    world.check_after_settling()?;
    println!("{roles} roles, of which {logins} log in, were applied in {:.1} s", begun.elapsed().as_secs_f64());
    let login = world.login(&main)?;
    assert_eq!(query(&login, "postgres", COUNT)?, [roles.to_string()]);
    for number in [0, logins / 2, logins - 1] {
        log_in(&login, &format!("role {number:06}"), "in-sql", "neondb")?;
    }

    // One more is one more.
    let begun = Instant::now();
    world.create_role(&main, "sally")?;
    world.check_after_settling()?;
    println!("one more role was applied in {:.2} s", begun.elapsed().as_secs_f64());

    // The past had none of them.
    let begun = Instant::now();
    let restore = NewRestore {
        source: main.clone(),
        point: Point::Lsn(before),
        preserve_under: Some("old".parse()?),
        preserve_credentials: false,
    };
    world.catalog.branch_restore(&world.caller, &world.project, &main, &restore)?;
    world.passwords.entry(main.clone()).or_default().remove("sally");
    world.check_after_settling()?;
    println!("all of them were taken away in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(query(&login, "postgres", COUNT)?, ["0"]);
    Ok(())
}
