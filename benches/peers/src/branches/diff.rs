//! The difference between a branch and its child, which has changed ten roles.

use std::time::Duration;

use offshoot_benches::Outcome;

use super::{
    cell::{Budget, Cell, repeat},
    contestants::{self, NAMES},
    stores::{At, ROOT},
    table::{Row, Unit},
};

const ROLES: u64 = 100_000;
const CHANGED: u64 = 10;
const CACHE_BYTES: u64 = 256 << 20;
const ENOUGH: Duration = Duration::from_secs(1);

/// The row of diffs.
pub(crate) fn diff() -> Outcome<Vec<Row>> {
    let cells = (0..NAMES.len()).map(cell).collect::<Outcome<Vec<_>>>()?;
    let name = format!("diff: {CHANGED} of {ROLES} roles");
    Ok(vec![Row { name, unit: Unit::Seconds, cells, limits: Vec::new() }])
}

fn cell(number: usize) -> Outcome<Cell> {
    let directory = tempfile::tempdir()?;
    let store = contestants::open(number, directory.path(), CACHE_BYTES)?;
    store.root(ROLES)?;
    let child = store.fork(ROOT, At::Head)?.ok_or("a fork of the head is always possible")?;
    for role in 0..CHANGED {
        store.put(child, role * 7_919 % ROLES, role + 1)?;
    }
    let seconds = repeat(Budget::new(), ENOUGH, |_| {
        let found = store.diff(ROOT, child)?;
        if found as u64 == CHANGED { Ok(()) } else { Err(format!("{found} roles differ, not {CHANGED}").into()) }
    })?;
    Ok(Cell::Measured(seconds))
}
