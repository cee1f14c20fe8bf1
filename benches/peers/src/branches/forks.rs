//! Forks, in one durable commit each: of larger and larger branches, and at points among more and more versions.

use std::time::Duration;

use offshoot_benches::Outcome;

use super::{
    cell::{Budget, Cell, repeat},
    contestants::{self, NAMES},
    stores::{At, Branching, ROOT, Stamp},
    table::{Row, Unit},
};

const ROLES: [u64; 4] = [10, 1_000, 100_000, 1_000_000];
const VERSIONS: u64 = 100_000;
const VERSIONED_ROLES: u64 = 1_000;
/// How many versions are made between two looks at the clock.
const STEP: u64 = 1_000;
const CACHE_BYTES: u64 = 256 << 20;
/// How long one contestant forks.
const ENOUGH: Duration = Duration::from_secs(2);

/// Forks of branches by the number of their roles.
pub(crate) fn by_size() -> Outcome<Vec<Row>> {
    ROLES
        .into_iter()
        .map(|roles| {
            let cells = (0..NAMES.len()).map(|number| fork_of(number, roles)).collect::<Outcome<Vec<_>>>()?;
            Ok(Row { name: format!("fork of {roles} roles"), unit: Unit::Seconds, cells, limits: Vec::new() })
        })
        .collect()
}

fn fork_of(number: usize, roles: u64) -> Outcome<Cell> {
    let directory = tempfile::tempdir()?;
    let budget = Budget::new();
    let store = contestants::open(number, directory.path(), CACHE_BYTES)?;
    store.root(roles)?;
    if budget.is_spent() {
        return Ok(Cell::Stopped { at: 0.0, figure: None });
    }
    Ok(Cell::Measured(repeat(budget, ENOUGH, |_| store.fork(ROOT, At::Head).map(|_| ()))?))
}

/// Forks at points of a branch that has 100,000 versions.
pub(crate) fn at_points() -> Outcome<Vec<Row>> {
    let (mut by_lsn, mut by_time) = (Vec::new(), Vec::new());
    for number in 0..NAMES.len() {
        let directory = tempfile::tempdir()?;
        let budget = Budget::new();
        let store = contestants::open(number, directory.path(), CACHE_BYTES)?;
        store.root(VERSIONED_ROLES)?;
        let mut stamps: Vec<Stamp> = Vec::new();
        while (stamps.len() as u64) < VERSIONS && !budget.is_spent() {
            let made = store.versions(VERSIONED_ROLES, STEP)?;
            if made.is_empty() {
                break;
            }
            stamps.extend(made);
        }
        by_lsn.push(fork_at(store.as_ref(), &stamps, At::Lsn)?);
        by_time.push(fork_at(store.as_ref(), &stamps, At::Time)?);
    }
    let row = |what: &str, cells| Row {
        name: format!("fork at {what} among {VERSIONS} versions"),
        unit: Unit::Seconds,
        cells,
        limits: Vec::new(),
    };
    Ok(vec![row("an LSN", by_lsn), row("a time", by_time)])
}

fn fork_at(store: &dyn Branching, stamps: &[Stamp], at: impl Fn(Stamp) -> At) -> Outcome<Cell> {
    let mut is_offered = !stamps.is_empty();
    if !is_offered {
        return Ok(Cell::NotOffered);
    }
    let count = stamps.len() as u64;
    let seconds = repeat(Budget::new(), ENOUGH, |number| {
        let stamp = stamps[usize::try_from(number * 7_919 % count)?];
        is_offered = is_offered && store.fork(ROOT, at(stamp))?.is_some();
        Ok(())
    })?;
    Ok(match (is_offered, count >= VERSIONS) {
        (false, _) => Cell::NotOffered,
        (true, true) => Cell::Measured(seconds),
        (true, false) => Cell::Stopped { at: count as f64, figure: Some(seconds) },
    })
}
