//! A check sees what an engine wrote, whatever the store, and while commits go on.

use std::thread;

use offshoot_engine::{
    Engine, Error, MemoryStore, NamespaceId, Options, Point, SledOptions, SledStore, StoreError,
    check::{Kind, check},
    storage::Store,
    testing::{FaultyStore, Operation},
};

fn fill(engine: &Engine) -> Result<(), Error> {
    let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    for round in 0..4_u8 {
        engine.transact(|tx| (0..50_u8).try_for_each(|number| tx.put(main, &[number], &[round; 100])))?;
        let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
        engine.transact(|tx| tx.delete(child, &[round]))?;
    }
    Ok(())
}

#[test]
fn a_directory_is_checked_without_an_engine() -> Result<(), Error> {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || SledStore::open(directory.path(), &SledOptions::default());
    fill(&Engine::open(open()?, Options::default())?)?;
    let store = open()?;
    let report = check(&store, &mut |_| {})?;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.count(Kind::Branch).number, 5);
    assert_eq!(report.count(Kind::Unknown).number, 0, "what the store keeps for itself is not the engine's");
    Ok(())
}

#[test]
fn a_store_is_sound_at_each_moment_while_commits_go_on() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default().with_small_nodes())?;
    thread::scope(|scope| {
        let filling = scope.spawn(|| (0..5).try_for_each(|_| fill(&engine)));
        while !filling.is_finished() {
            let report = check(&store, &mut |_| {})?;
            assert!(report.is_sound(), "{report}");
        }
        filling.join().expect("no panic")
    })
}

#[test]
fn what_is_not_durable_yet_is_not_checked() -> Result<(), Error> {
    let store = MemoryStore::manual();
    thread::scope(|scope| {
        let opened = scope.spawn(|| Engine::open(store.clone(), Options::default()));
        while store.snapshot(offshoot_engine::storage::View::Latest)?.sequence().number() == 0 {
            thread::yield_now();
        }
        assert_eq!(check(&store, &mut |_| {})?.total().number, 0);
        store.sync();
        opened.join().expect("no panic")?;
        assert_eq!(check(&store, &mut |_| {})?.total().number, 3);
        Ok(())
    })
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_and_no_finding() -> Result<(), Error> {
    let store = FaultyStore::new(MemoryStore::new());
    fill(&Engine::open(store.clone(), Options::default())?)?;
    for operation in [Operation::Snapshot, Operation::Range] {
        store.fail_next(operation, StoreError::Closed);
        assert!(matches!(check(&store, &mut |_| {}), Err(Error::Store(StoreError::Closed))), "{operation:?}");
    }
    Ok(())
}
