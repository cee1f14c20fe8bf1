use offshoot_engine::{NamespaceId, Table};

use super::{TestResult, World, code};
use crate::{Error, catalog::FoundBranch};

/// What must not be taken for a record: nothing, an unknown format, a record cut short, one with something after it, a
/// huge length.
fn damaged(good: &[u8]) -> Vec<Vec<u8>> {
    let mut other_format = good.to_vec();
    other_format[0] = 99;
    let huge_length = vec![1, 253, 255, 255, 255, 255, 255, 255, 255, 127];
    vec![vec![], other_format, good[..good.len() - 1].to_vec(), [good, b"\0"].concat(), huge_length]
}

#[test]
fn a_damaged_role_is_an_error_that_names_it() -> TestResult {
    let world = World::new()?;
    let engine = world.catalog.engine();
    let found = FoundBranch::find(&mut engine.snapshot()?, &world.caller, &world.project, &world.main)?;
    let branch = found.1.engine;
    let good = engine.head(branch)?.get(b"role/casey")?.ok_or("no casey")?;
    for bytes in damaged(&good) {
        engine.transact(|tx| tx.put(branch, b"role/casey", &bytes))?;
        let Err(Error::Corrupt { table, key, .. }) = world.role(&world.main, "casey") else { panic!("read {bytes:?}") };
        assert_eq!((table, key.as_str()), ("role/", "casey"));
        assert_eq!(code(world.roles(&world.main)), "STORE_CORRUPT");
        assert_eq!(code(world.reset(&world.main, "casey")), "STORE_CORRUPT");
    }
    engine.transact(|tx| tx.put(branch, b"role/casey", &good))?;
    engine.transact(|tx| tx.put(branch, b"role/\xff", &good))?;
    assert_eq!(code(world.roles(&world.main)), "STORE_CORRUPT");
    Ok(())
}

#[test]
fn a_damaged_project_is_an_error_that_names_it() -> TestResult {
    const PROJECTS: Table = Table::new("projects");
    let world = World::new()?;
    let (engine, key) = (world.catalog.engine(), world.project.as_str());
    let good = engine.snapshot()?.record(NamespaceId::SYSTEM, PROJECTS, key.as_bytes())?.ok_or("no project")?;
    for bytes in damaged(&good) {
        engine.transact(|tx| tx.record_put(NamespaceId::SYSTEM, PROJECTS, key.as_bytes(), &bytes))?;
        let Err(Error::Corrupt { table, key: found, .. }) = world.catalog.project_get(&world.caller, &world.project)
        else {
            panic!("read {bytes:?}")
        };
        assert_eq!((table, found.as_str()), ("projects", key));
    }
    Ok(())
}
