//! What a branch takes, in keys and values: of the engine, and with all that the catalog writes about it.

use std::sync::Arc;

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    trees,
};
use offshoot_catalog::{Caller, Catalog, NewBranch, NewProject};
use offshoot_engine::{
    Engine, MemoryStore, Options, Point,
    storage::{Direction, KeyRange, Store, View},
};

const BRANCHES: u32 = 1_000;
const ROLES: u64 = 1_000;

/// Bytes per branch of both.
pub(crate) fn bytes() -> Outcome<Vec<Bar>> {
    let bar = |name: &str, bytes: f64, limit| Bar {
        name: format!("bytes of keys and values per branch: {name}"),
        measured: format!("{bytes:.0} bytes"),
        value: bytes,
        limit,
    };
    Ok(vec![
        bar("engine", of_the_engine()?, Limit::AtMost(300.0)),
        bar("catalog, with the operation that makes it", of_the_catalog()?, Limit::None),
    ])
}

fn of_the_engine() -> Outcome<f64> {
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::open(Arc::clone(&store), Options::default())?;
    let root = trees::root(&engine, ROLES)?;
    let before = stored(&store)?;
    for _ in 0..BRANCHES {
        engine.transact(|tx| tx.fork(root, Point::Head))?;
    }
    Ok((stored(&store)? - before) / f64::from(BRANCHES))
}

fn of_the_catalog() -> Outcome<f64> {
    let store = Arc::new(MemoryStore::new());
    let engine = Engine::open(Arc::clone(&store), Options::default())?;
    let catalog = Catalog::open(engine, offshoot_catalog::Options::default())?;
    let caller = Caller::new(catalog.account_create(&"racer".parse()?)?.id);
    let project = catalog.project_create(&caller, NewProject::default())?.project.id;
    let before = stored(&store)?;
    for _ in 0..BRANCHES {
        catalog.branch_create(&caller, &project, NewBranch::default())?;
    }
    Ok((stored(&store)? - before) / f64::from(BRANCHES))
}

/// The bytes of all keys and values.
fn stored(store: &MemoryStore) -> Outcome<f64> {
    let snapshot = store.snapshot(View::Durable)?;
    let mut bytes = 0;
    for entry in snapshot.range(&KeyRange::ALL, Direction::Ascending) {
        let (key, value) = entry?;
        bytes += key.len() + value.len();
    }
    Ok(bytes as f64)
}
