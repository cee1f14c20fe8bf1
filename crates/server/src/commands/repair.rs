//! `offshoot repair`: tells what has to be done, and does it when it is told to.

use super::{FOUND, require_store, tell};
use crate::{Error, RepairOptions, lock_holder};
use offshoot_engine::{SledStore, StoreError};
use std::process::ExitCode;

pub(super) fn run(options: &RepairOptions) -> Result<ExitCode, Error> {
    let path = &options.dir;
    require_store(path)?;
    let failed = |source| match source {
        StoreError::Locked { .. } => {
            Error::InUse { path: path.clone(), holder: lock_holder::describe(path), advice: "" }
        }
        source => Error::Repair { path: path.clone(), source },
    };
    let repair = SledStore::plan_repair(path).map_err(failed)?;
    tell(&repair.to_string())?;
    if !repair.is_needed() {
        return Ok(ExitCode::SUCCESS);
    }
    if !options.yes {
        if repair.gives_up().is_some() {
            tell("\nNothing was changed. Keep a copy of the directory, then add --yes to do it.")?;
        }
        return Ok(ExitCode::from(FOUND));
    }
    repair.run().map_err(failed)?;
    tell("\nIt is done; the server can be started.")?;
    Ok(ExitCode::SUCCESS)
}
