//! A control plane in one process: a project, a role, a branch of now and a branch of the past.
//!
//! Run it with `cargo run -p offshoot-catalog --example control_plane`.

use std::error::Error;

use chrono::Utc;
use offshoot_catalog::{BranchId, Caller, Catalog, NewBranch, NewProject, Options, RoleLogin};
use offshoot_engine::{Engine, MemoryStore, Point};

#[expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]
fn main() -> Result<(), Box<dyn Error>> {
    // `SledStore::open(directory, &SledOptions::default())` keeps everything in a directory instead.
    let engine = Engine::open(MemoryStore::new(), offshoot_engine::Options::default())?;
    let catalog = Catalog::open(engine, Options::default())?;
    let caller = Caller::new(catalog.account_create(&"casey".parse()?)?.id);

    let created = catalog.project_create(&caller, NewProject::default())?;
    let (project, main) = (created.project.id, created.branch.id);
    let roles = |branch: &BranchId| -> Result<Vec<String>, offshoot_catalog::Error> {
        let roles = catalog.role_list(&caller, &project, branch)?;
        Ok(roles.into_iter().map(|role| role.name.to_string()).collect())
    };

    let before_sally = Utc::now();
    let sally = catalog.role_create(&caller, &project, &main, "sally".parse()?, RoleLogin::Password)?;
    // The password is told this once; what is to be done on computes comes with it.
    assert!(sally.password.is_some());
    assert_eq!(sally.operations[0].action.to_string(), "apply_config");

    let dev = NewBranch { name: Some("dev".parse()?), ..NewBranch::default() };
    let dev = catalog.branch_create(&caller, &project, dev)?.branch.id;
    assert_eq!(roles(&dev)?, ["casey", "web_access", "sally"]);

    let past = NewBranch { point: Point::Time(before_sally), ..NewBranch::default() };
    let past = catalog.branch_create(&caller, &project, past)?.branch.id;
    assert_eq!(roles(&past)?, ["casey", "web_access"]);

    // What is done on a child doesn't show on its parent, nor the other way round.
    catalog.role_create(&caller, &project, &dev, "bob".parse()?, RoleLogin::Password)?;
    catalog.role_delete(&caller, &project, &main, &sally.role.name)?;
    assert_eq!(roles(&main)?, ["casey", "web_access"]);
    assert_eq!(roles(&dev)?, ["casey", "web_access", "sally", "bob"]);

    println!("main has {:?}, dev has {:?}", roles(&main)?, roles(&dev)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_does_what_it_says() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
