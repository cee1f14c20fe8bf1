//! Single values that are none of the engine's, and what every store has.

use super::*;
use crate::{
    MAX_VALUE_BYTES, NamespaceId, Table,
    check::{
        Problem,
        tests::{assert_only, copy, keys, world::world},
    },
};

#[test]
fn values_that_do_not_decode_are_found_though_their_checksum_is_right() -> Result<(), Error> {
    let world = world()?;
    for (key, value) in world.store.entries() {
        let (payload, _) = envelope::open(&key, &value)?;
        if key[0] == b'r' {
            continue;
        }
        for payload in [[&payload[..], b"x"].concat(), vec![0xff; 3]] {
            let store = copy(&world.store);
            put(&store, (key.clone(), envelope::seal(&key, &payload).0));
            assert!(keys(&report(&store)?).contains(&key), "{}", key.escape_ascii());
        }
    }
    Ok(())
}

#[test]
fn values_larger_than_their_limits_are_found() -> Result<(), Error> {
    let hand = Hand::new()?;
    let record = key::record(SYSTEM, Table::new("t"), b"k");
    hand.payload(&record, &vec![7; MAX_VALUE_BYTES]);
    assert!(hand.report()?.is_sound());
    hand.payload(&record, &vec![7; MAX_VALUE_BYTES + 1]);
    assert_only(&hand.report()?, &record, Problem::Contradiction, "the record has 16385 bytes");

    let hand = Hand::new()?;
    let key = key::version(MAIN, Lsn::new(1));
    hand.main(record::Root::Inline(vec![0, 0]))?;
    let version = record::Version { micros: 10, metadata: vec![7; 257], root: record::Root::Inline(vec![0, 0]) };
    let head = VersionRef { owner: 2, lsn: 1, checksum: hand.seal(&key, &version)?.0 };
    hand.seal(&key::branch(MAIN), &root_branch(head))?;
    assert_only(&hand.report()?, &key, Problem::Contradiction, "the metadata has 257 bytes");
    Ok(())
}

#[test]
fn keys_of_no_known_form_are_found() -> Result<(), Error> {
    for key in [&b"\0"[..], b"a", b"ii", b"b1234567", b"n123456789", b"r12345678Table\0k", b"r12345678t\0", b"x1"] {
        let hand = Hand::new()?;
        hand.payload(&Bytes::copy_from_slice(key), b"");
        assert_only(&hand.report()?, key, Problem::UnknownKey, "no key of the engine has this form");
    }
    Ok(())
}

#[test]
fn a_store_without_mark_counter_or_system_namespace_is_found() -> Result<(), Error> {
    for (key, words) in [
        (key::MARK, "the engine does not open this store"),
        (key::IDS, "branches and namespaces cannot be made"),
        (key::namespace(SYSTEM), "no branch can be made in it"),
    ] {
        let hand = Hand::new()?;
        hand.store.tamper(key.clone(), None);
        let report = hand.report()?;
        assert_only(&report, &key, Problem::Missing, "missing");
        assert!(report.to_string().contains(words), "{report}");
    }
    Ok(())
}

#[test]
fn what_belongs_to_a_namespace_that_is_not_there_is_found_except_nodes() -> Result<(), Error> {
    let namespace = NamespaceId::new(50);
    let hand = Hand::new()?;
    // Of a transaction that made the namespace, wrote nodes ahead, and failed.
    hand.payload(&key::node(namespace, NodeId(60)), &[0, 1, 1, b'k', 1, b'v']);
    let report = hand.report()?;
    assert!(report.is_sound() && report.garbage.number == 1, "{report}");
    hand.payload(&key::record(namespace, Table::new("t"), b"k"), b"v");
    assert_only(&hand.report()?, &key::namespace(namespace), Problem::Missing, "the namespace is missing");
    Ok(())
}
