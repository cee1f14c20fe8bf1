//! Each stored value is damaged in each way, one at a time: the check finds it and names its key.

use bytes::Bytes;

use super::{copy, keys, only, report, world::World, world::world};
use crate::{
    Engine, Error, MemoryStore, Options,
    check::{
        Kind, Problem, Report,
        key::{Key, place},
    },
    codec::{envelope, key},
    store::{Store, View},
};

fn damaged(store: &MemoryStore, key: &Bytes, value: Option<Bytes>) -> Result<Report, Error> {
    let damaged = copy(store);
    damaged.tamper(key.clone(), value);
    report(&damaged)
}

/// That something is found, and what is named is one of `expected`.
#[track_caller]
fn assert_found(report: &Report, expected: &[Bytes], what: &str) {
    let found = keys(report);
    assert!(!report.is_sound(), "{what} is not found");
    assert!(found.iter().any(|key| expected.contains(key)), "{what} is not named: {report}");
    for finding in &report.findings {
        let words = finding.to_string();
        assert!(words.contains(&finding.place()) && words.contains(&finding.key.escape_ascii().to_string()));
    }
}

fn name(key: &[u8], what: &str) -> String {
    format!("{what} of {} ({})", key.escape_ascii(), place(key))
}

#[test]
fn every_flipped_or_cut_value_is_found_and_nothing_else_is() -> Result<(), Error> {
    let world = world()?;
    let entries = world.store.entries();
    assert!(entries.len() > 150, "{} values are too few to mean much", entries.len());
    for (key, value) in &entries {
        let positions = (0..value.len()).filter(|position| position % 7 == 0 || *position < 9);
        let flipped = positions.map(|position| {
            let mut flipped = value.to_vec();
            flipped[position] ^= 1 << (position % 8);
            Bytes::from(flipped)
        });
        let cut = [0, 8, 9, value.len() / 2, value.len() - 1].map(|length| value.slice(..length));
        for bad in flipped.chain(cut).filter(|bad| bad != value) {
            let report = damaged(&world.store, key, Some(bad))?;
            assert_found(&report, std::slice::from_ref(key), &name(key, "damage"));
            assert_eq!(only(&report).problem, Problem::Damaged, "one damage is one finding: {report}");
        }
    }
    Ok(())
}

#[test]
fn every_value_that_another_key_has_is_found() -> Result<(), Error> {
    let world = world()?;
    let entries = world.store.entries();
    for (key, value) in &entries {
        for (_, other) in entries.iter().filter(|(other, value_of)| other[0] == key[0] && value_of != value) {
            let report = damaged(&world.store, key, Some(other.clone()))?;
            assert_found(&report, std::slice::from_ref(key), &name(key, "another value"));
        }
    }
    Ok(())
}

/// What is found when the value is not there; nothing where nothing can be.
fn when_removed(world: &World, key: &Bytes) -> Vec<Bytes> {
    match Key::parse(key).expect("the world has no other keys") {
        // What is collected may be missing; and nothing tells that there was a window, or something for the collector.
        key if key.namespace() == Some(world.deleted_namespace) && !matches!(key, Key::DeletedNamespace(_)) => {
            Vec::new()
        }
        Key::Record(..) | Key::Window(_) | Key::Garbage(..) => Vec::new(),
        // Without the mark, the branch or namespace looks as if its record were lost.
        Key::DeletedBranch(branch) => vec![key::branch(branch)],
        Key::DeletedNamespace(namespace) => vec![key::namespace(namespace)],
        _ => vec![key.clone()],
    }
}

#[test]
fn every_value_that_is_gone_is_found_except_records() -> Result<(), Error> {
    let world = world()?;
    for (key, _) in world.store.entries() {
        let report = damaged(&world.store, &key, None)?;
        match &when_removed(&world, &key)[..] {
            [] => assert!(report.is_sound(), "{report}"),
            expected => {
                assert_found(&report, expected, &name(&key, "absence"));
                let missing = |found: &Bytes| expected.contains(found);
                let finding = report.findings.iter().find(|finding| missing(&finding.key.clone().into()));
                assert_eq!(finding.map(|finding| finding.problem), Some(Problem::Missing), "{report}");
            }
        }
    }
    Ok(())
}

/// What is found when the payload is another one's, with the right checksum for the key; nothing where nothing can be.
fn when_replaced(world: &World, key: &Bytes) -> Vec<Bytes> {
    let instants = |branch, lsn| {
        let entries = world.store.entries().into_iter();
        entries.map(|(key, _)| key).filter(
            move |key| matches!(Key::parse(key), Some(Key::Instant(owner, _, at)) if (owner, at) == (branch, lsn)),
        )
    };
    match Key::parse(key).expect("the world has no other keys") {
        Key::Record(..)
        | Key::Mark
        | Key::Namespace(_)
        | Key::DeletedNamespace(_)
        | Key::Window(_)
        | Key::Garbage(..) => Vec::new(),
        // The version that it keeps does not know it.
        Key::Pin(..) => {
            let is_reference = |key: &Bytes| Key::parse(key).map(Key::kind) == Some(Kind::Reference);
            world.store.entries().into_iter().map(|(key, _)| key).filter(is_reference).collect()
        }
        // Where the version and the entry by its instant disagree, it is the entry that is named.
        Key::Version(branch, lsn) => [key.clone()].into_iter().chain(instants(branch, lsn)).collect(),
        _ => vec![key.clone()],
    }
}

#[test]
fn every_payload_of_another_of_its_kind_is_found_except_records_and_dates() -> Result<(), Error> {
    let world = world()?;
    let entries = world.store.entries();
    let payload = |(key, value): &(Bytes, Bytes)| Ok::<_, Error>(envelope::open(key, value)?.0);
    let mut replaced = 0;
    for entry in &entries {
        let (key, value) = entry;
        for other in entries.iter().filter(|(other, _)| other[0] == key[0] && other.len() == key.len()) {
            let (sealed, _) = envelope::seal(key, &payload(other)?);
            if sealed == *value {
                continue;
            }
            replaced += 1;
            let report = damaged(&world.store, key, Some(sealed))?;
            match &when_replaced(&world, key)[..] {
                [] => assert!(report.is_sound(), "{report}"),
                expected => assert_found(&report, expected, &name(key, "another's payload")),
            }
        }
    }
    assert!(replaced > 1_000, "{replaced}");
    Ok(())
}

#[test]
fn every_value_that_went_back_in_time_is_found_except_records() -> Result<(), Error> {
    let world = world()?;
    let (mut branches, mut others) = (0, 0);
    for (key, earlier) in &world.earlier {
        let now = world.store.get(View::Durable, key)?;
        if now.as_ref() == Some(earlier) || key[0] == b'r' {
            continue;
        }
        let report = damaged(&world.store, key, Some(earlier.clone()))?;
        if now.is_none() {
            // The record of a branch that was deleted since, and its place in the queue.
            let expected = [key::deleted_branch(world.deleted), key.clone()];
            assert_found(&report, &expected, &name(key, "an earlier value"));
            others += 1;
            continue;
        }
        assert_found(&report, std::slice::from_ref(key), &name(key, "an earlier value"));
        branches += u64::from(key[0] == b'b');
    }
    assert!(branches >= 3 && others == 2, "{branches} {others}");
    Ok(())
}

#[test]
fn a_counter_that_went_back_in_time_is_found() -> Result<(), Error> {
    let world = world()?;
    let (value, _) = crate::codec::seal(&key::IDS, &crate::codec::record::Ids { last: 5 })?;
    let report = damaged(&world.store, &key::IDS, Some(value))?;
    super::assert_only(&report, b"i", Problem::Contradiction, "ids up to 5 are given out, but");
    assert!(report.to_string().contains("write nothing to this store"), "{report}");
    Ok(())
}

#[test]
fn every_immutable_value_of_another_history_is_found() -> Result<(), Error> {
    // The same keys, with other meanings, and valid checksums.
    let world = world()?;
    let other = MemoryStore::new();
    let engine = Engine::open(other.clone(), Options::default().with_small_nodes())?;
    let main = engine.transact(|tx| tx.create_branch(super::SYSTEM))?.value;
    for round in 0..8_u8 {
        engine.transact(|tx| {
            (0..60_u8).try_for_each(|number| tx.put(main, format!("key {number}").as_bytes(), &[round + 100; 20]))
        })?;
    }
    let mut nodes = 0;
    for (key, value) in other.entries() {
        let here = world.store.get(View::Durable, &key)?;
        if here.is_none_or(|here| here == value) || !matches!(key[0], b'd' | b'v') {
            continue;
        }
        let report = damaged(&world.store, &key, Some(value))?;
        assert_found(&report, &when_replaced(&world, &key), &name(&key, "a value of another history"));
        nodes += u64::from(key[0] == b'd');
    }
    assert!(nodes > 20, "{nodes}");
    Ok(())
}

#[test]
fn a_finding_says_which_branches_cannot_be_read() -> Result<(), Error> {
    let world = world()?;
    // The version that `child` was forked from, and its newest.
    let version = key::version(world.main, crate::Lsn::new(4));
    let lost = damaged(&world.store, &version, None)?;
    let affected = &only(&lost).affected;
    let of = |branch| affected.named.iter().find(|named| named.branch == branch);
    assert_eq!((affected.branches, affected.heads, affected.versions), (2, 0, 1), "{lost}");
    assert!(of(world.main).is_some() && of(world.child).is_some_and(|child| !child.is_head));
    assert!(lost.to_string().contains("namespace 1, branch 2, version at LSN 0/4"), "{lost}");

    let head = world.store.entries().into_iter().map(|(key, _)| key);
    let head = head.filter(|key| matches!(Key::parse(key), Some(Key::Version(owner, _)) if owner == world.child));
    let lost = damaged(&world.store, &head.last().expect("the child has versions"), None)?;
    let affected = &only(&lost).affected;
    let of = |branch| affected.named.iter().find(|named| named.branch == branch);
    // `unwritten` inherits it, and what was forked from that.
    assert_eq!((affected.branches, affected.heads, affected.versions), (3, 2, 1), "{lost}");
    assert!(of(world.child).is_some_and(|child| child.is_head));
    assert!(of(world.unwritten).is_some_and(|unwritten| unwritten.is_head));
    Ok(())
}

#[test]
fn what_a_damaged_node_affects_is_what_the_engine_cannot_read() -> Result<(), Error> {
    use crate::{Direction, KeyRange, Lsn, Point};
    let world = world()?;
    let versions: Vec<_> = world.store.entries().iter().filter_map(|(key, _)| own_version(key)).collect();
    let mut shared = 0;
    for (key, value) in
        world.store.entries().iter().filter(|(key, _)| Key::parse(key).map(Key::kind) == Some(Kind::Node))
    {
        let damaged = copy(&world.store);
        damaged.tamper(key.clone(), Some(value.slice(..value.len() - 1)));
        let report = report(&damaged)?;
        let engine = Engine::open(damaged, Options::default().with_small_nodes())?;
        let reads = |branch, lsn: Lsn| {
            let version = engine.version(branch, Point::Lsn(lsn))?;
            version.range(KeyRange::ALL, Direction::Ascending).try_for_each(|entry| entry.map(|_| ()))
        };
        let (mut unreadable, mut heads, mut deleted) = (0, 0, 0);
        for (branch, lsn) in &versions {
            match reads(*branch, *lsn) {
                Ok(()) => {}
                Err(Error::Corrupt { .. }) => unreadable += 1,
                Err(Error::BranchNotFound(_)) => deleted += 1,
                Err(other) => return Err(other),
            }
        }
        for (branch, _) in world.store.entries() {
            let Some(Key::Branch(branch)) = Key::parse(&branch) else { continue };
            let head = engine.head(branch)?;
            heads += u64::from(head.range(KeyRange::ALL, Direction::Ascending).any(|entry| entry.is_err()));
        }
        let affected = &only(&report).affected;
        assert_eq!((affected.versions, affected.heads), (unreadable, heads), "{report}");
        assert!(affected.deleted_versions <= deleted);
        shared += u64::from(affected.branches > 1);
    }
    assert!(shared > 3, "branches share nodes: {shared}");
    Ok(())
}

fn own_version(key: &Bytes) -> Option<(crate::BranchId, crate::Lsn)> {
    match Key::parse(key) {
        Some(Key::Version(branch, lsn)) => Some((branch, lsn)),
        _ => None,
    }
}
