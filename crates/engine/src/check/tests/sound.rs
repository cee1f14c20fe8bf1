//! What commits make is sound, and is counted as it is.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::{SYSTEM, report, world::world};
use crate::{
    BranchId, Engine, Error, Lsn, MemoryStore, Options, Point,
    check::{Kind, Report, check, key::Key},
    codec::{self, envelope, key, key::NodeId, record},
    testing::{
        CountingStore,
        steps::{Step, check_against_model, steps},
    },
    tree::{Child, Node},
};

type Stored = BTreeMap<Bytes, Bytes>;

fn open<T: bincode::Decode<()>>(stored: &Stored, key: &Bytes) -> T {
    codec::open(key, &stored[key]).expect("the value is sound").0
}

/// Adds the node and all below it.
fn walk(stored: &Stored, key: Bytes, found: &mut BTreeSet<Bytes>) {
    let Some(Key::Node(namespace, _)) = Key::parse(&key) else { panic!("not a node") };
    let (payload, _) = envelope::open(&key, &stored[&key]).expect("the value is sound");
    let node = Node::decode(payload).expect("the node is sound");
    if found.insert(key) && node.level() > 0 {
        let children = (0..node.len()).filter_map(|at| node.child(at));
        children.for_each(|Child { id, .. }| walk(stored, key::node(namespace, id), found));
    }
}

/// Adds the version, and its map's nodes.
fn walk_version(stored: &Stored, key: Bytes, versions: &mut BTreeSet<Bytes>, nodes: &mut BTreeSet<Bytes>) {
    let Some(Key::Version(branch, _)) = Key::parse(&key) else { panic!("not a version") };
    if let record::Root::Node { id, .. } = open::<record::Version>(stored, &key).root {
        walk(stored, key::node(branch.namespace(), NodeId(id)), nodes);
    }
    versions.insert(key);
}

/// How many versions and nodes branches and pins need, and how many there are beside those: found by walking everything from each of them.
fn naive_uses(stored: &Stored) -> ([usize; 2], [usize; 2]) {
    let (mut versions, mut nodes) = (BTreeSet::new(), BTreeSet::new());
    let version_key = |namespace, version: record::VersionRef| {
        key::version(BranchId::new(namespace, version.owner), Lsn::new(version.lsn))
    };
    for holder in stored.keys() {
        let needed = match Key::parse(holder) {
            Some(Key::Pin(namespace, _)) => {
                vec![version_key(namespace, open::<record::Pin>(stored, holder).version)]
            }
            Some(Key::Branch(id)) => {
                let record: record::Branch = open(stored, holder);
                let first = crate::branch::first(&record).0;
                let is_own = |key: &&Bytes| matches!(Key::parse(key), Some(Key::Version(owner, lsn)) if owner == id && lsn >= first);
                let own = stored.keys().filter(is_own).cloned();
                let others = [Some(record.head), record.origin()].into_iter().flatten();
                own.chain(others.map(|version| version_key(id.namespace(), version))).collect()
            }
            _ => Vec::new(),
        };
        needed.into_iter().for_each(|key| walk_version(stored, key, &mut versions, &mut nodes));
    }
    // A deleted branch of which something is needed keeps what it was forked from; that may be of a deleted branch again.
    loop {
        let before = versions.len();
        for mark in stored.keys() {
            let Some(Key::DeletedBranch(id)) = Key::parse(mark) else { continue };
            let is_own = |key: &Bytes| matches!(Key::parse(key), Some(Key::Version(owner, _)) if owner == id);
            let origin = open::<record::Deleted>(stored, mark).branch.and_then(|record| record.origin());
            if let Some(origin) = origin.filter(|_| versions.iter().any(is_own)) {
                walk_version(stored, version_key(id.namespace(), origin), &mut versions, &mut nodes);
            }
        }
        if versions.len() == before {
            break;
        }
    }
    let all = |kind| stored.keys().filter(|key| Key::parse(key).map(Key::kind) == Some(kind)).count();
    let unneeded = [all(Kind::Version) - versions.len(), all(Kind::Node) - nodes.len()];
    ([versions.len(), nodes.len()], unneeded)
}

fn assert_sound_and_counted(store: &MemoryStore, report: &Report) {
    assert!(report.is_sound(), "{report}");
    let stored: Stored = store.entries().into_iter().collect();
    let bytes = stored.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    assert_eq!((report.total().number, report.total().bytes), (stored.len() as u64, bytes as u64));
    let (_, [versions, nodes]) = naive_uses(&stored);
    let waiting = report.waiting;
    assert_eq!((waiting.versions.number, waiting.nodes.number), (versions as u64, nodes as u64), "{report}");
    assert_eq!(report.garbage.number, 0, "{report}");
    let maps = &report.maps;
    assert_eq!(maps.inline + maps.heights.values().sum::<u64>(), report.count(Kind::Version).number);
    assert_eq!(maps.leaves.nodes + maps.inner.nodes, report.count(Kind::Node).number);
    assert_eq!(maps.leaves.eighths.iter().sum::<u64>(), maps.leaves.nodes);
}

#[test]
fn a_store_with_everything_in_it_is_sound() -> Result<(), Error> {
    let world = world()?;
    let report = report(&world.store)?;
    assert_sound_and_counted(&world.store, &report);
    for kind in Kind::ALL {
        let is_passing = matches!(kind, Kind::Unknown | Kind::Unneeded | Kind::Detached);
        assert_eq!(report.count(kind).number == 0, is_passing, "the world has some of each: {kind}");
    }
    assert!(report.maps.heights.keys().any(|height| *height >= 3), "{report}");
    assert!(report.maps.inline > 0);
    let waiting = report.waiting;
    assert_eq!((waiting.namespaces, waiting.branches), (1, 2));
    assert!(waiting.nodes.number > 0 && waiting.instants.number == waiting.versions.number, "{report}");
    assert_eq!(report.records[&SYSTEM].number, 5);
    assert_eq!(report.records[&world.other].number, 1);
    let text = report.to_string();
    assert!(text.contains("Nothing is wrong.") && text.contains("Deleted: 1 namespace, 2 branches."), "{text}");
    Ok(())
}

fn cases(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..usual }
}

fn assert_sound_after(steps: &[Step], first_keys: u16, options: &Options) -> Result<(), TestCaseError> {
    let store = MemoryStore::new();
    check_against_model(steps, first_keys, options, || store.clone())?;
    let report = report(&store)?;
    assert_sound_and_counted(&store, &report);
    // All was collected at the end.
    let (waiting, queued) = (report.waiting, report.count(Kind::Garbage).number);
    let left = (waiting.versions.number, waiting.instants.number, waiting.nodes.number, waiting.namespaces, queued);
    assert_eq!(left, (0, 0, 0, 0, 0), "{report}");
    Ok(())
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn any_history_with_small_nodes_is_sound(steps in steps(40)) {
        assert_sound_after(&steps, 300, &Options::default().with_small_nodes())?;
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn any_history_with_usual_nodes_is_sound(steps in steps(40)) {
        assert_sound_after(&steps, 2_000, &Options::default())?;
    }
}

#[test]
fn a_store_that_several_engines_wrote_to_is_sound() -> Result<(), Error> {
    // Each has a block of ids, so that the nodes of one refer to greater ids of the other.
    let store = MemoryStore::new();
    let options = || Options::default().with_small_nodes();
    let engines = [Engine::open(store.clone(), options())?, Engine::open(store.clone(), options())?];
    let branch = engines[0].transact(|tx| tx.create_branch(SYSTEM))?.value;
    for round in 0..20_u8 {
        let engine = &engines[usize::from(round % 2)];
        engine.transact(|tx| {
            let keys = (round..100).step_by(usize::from(round) + 1);
            keys.into_iter().try_for_each(|number| tx.put(branch, format!("key {number}").as_bytes(), &[round; 20]))
        })?;
    }
    let newer_children = store.entries().iter().any(|(key, value)| {
        let Some(Key::Node(_, id)) = Key::parse(key) else { return false };
        let node = Node::decode(envelope::open(key, value).expect("the value is sound").0).expect("a node");
        node.level() > 0 && (0..node.len()).any(|at| node.child(at).is_some_and(|child| child.id.0 > id.0))
    });
    assert!(newer_children, "some node refers to a greater id");
    assert_sound_and_counted(&store, &report(&store)?);
    Ok(())
}

#[test]
fn each_value_is_read_once_however_many_branches_share_it() -> Result<(), Error> {
    let store = CountingStore::new(MemoryStore::new());
    let engine = Engine::open(store.clone(), Options::default())?;
    let main = engine.transact(|tx| tx.create_branch(SYSTEM))?.value;
    engine.transact(|tx| {
        (0..5_000_u32).try_for_each(|number| tx.put(main, format!("role/{number:09}").as_bytes(), &[7; 100]))
    })?;
    for number in 0..300_u32 {
        let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
        if number % 3 == 0 {
            engine.transact(|tx| tx.put(child, format!("role/{number:09}").as_bytes(), b"another"))?;
        }
    }
    store.reset();
    let report = check(&store, &mut |_| {})?;
    let counts = store.counts();
    assert_eq!(counts.entries, store.inner().entries().len() as u64);
    assert_eq!((counts.snapshots, counts.ranges, counts.gets), (1, 1, 0));
    assert_eq!(counts.bytes_read, report.total().bytes);
    assert_sound_and_counted(store.inner(), &report);
    Ok(())
}

#[test]
fn nodes_of_a_transaction_that_failed_are_garbage_and_no_damage() -> Result<(), Error> {
    let store = MemoryStore::new();
    let engine = Engine::open(store.clone(), Options::default())?;
    let made = engine.transact(|tx| Ok::<_, Error>((tx.create_branch(SYSTEM)?, tx.create_branch(SYSTEM)?)))?;
    let (first, second) = made.value;
    let before = report(&store)?;
    // The first branch's nodes are written ahead, before the second one's LSN is found to be wrong.
    let failed = engine.transact(|tx| {
        (0..300_u32).try_for_each(|number| tx.put(first, &number.to_be_bytes(), &[7; 16_000]))?;
        tx.advance(second, Lsn::new(1))
    });
    assert!(matches!(failed, Err(Error::LsnNotGreater { .. })));
    let after = report(&store)?;
    assert!(after.is_sound(), "{after}");
    assert!(after.garbage.number > 100, "{after}");
    assert_eq!(after.garbage.number, after.count(Kind::Node).number - before.count(Kind::Node).number);
    Ok(())
}
