//! Branches, versions and marks of deletion that contradict each other.

use super::*;
use crate::{
    NamespaceId, Table,
    check::{
        Problem,
        tests::{assert_only, only},
    },
    codec::record::Asked,
};

/// Writes `MAIN` with versions at LSNs 1, 5 and 9, instants 10, 50 and 90, and gives its record.
fn three_versions(hand: &Hand) -> Result<record::Branch, Error> {
    hand.empty_version(MAIN, 1, 10)?;
    hand.empty_version(MAIN, 5, 50)?;
    let head = hand.empty_version(MAIN, 9, 90)?;
    let first = First::Root { lsn: 1, micros: 10 };
    Ok(record::Branch { head, head_micros: 90, head_lsn: 9, first })
}

/// A fork of `MAIN` at LSN 6, that is at the version of LSN 5.
fn fork_of_main(hand: &Hand) -> Result<record::Branch, Error> {
    let version = hand.empty_version(MAIN, 5, 50)?;
    let first = First::Fork { parent: 2, version, micros: 50, asked: Asked::Lsn(6) };
    Ok(record::Branch { head: version, head_micros: 50, head_lsn: 6, first })
}

#[test]
fn another_version_at_the_same_lsn_and_instant_is_found_where_its_checksum_is_known() -> Result<(), Error> {
    let hand = Hand::new()?;
    hand.seal(&key::branch(MAIN), &three_versions(&hand)?)?;
    hand.seal(&key::branch(FORK), &fork_of_main(&hand)?)?;
    let another = || record::Root::Inline(vec![0, 1, 1, b'k', 1, b'v']);
    hand.version(MAIN, 1, 10, another())?;
    assert!(hand.report()?.is_sound(), "nobody refers to this one: {}", hand.report()?);

    // What a fork begins with: the fork cannot be read, but the branch that made it can.
    hand.version(MAIN, 5, 50, another())?;
    let report = hand.report()?;
    assert_only(&report, &key::version(MAIN, Lsn::new(5)), Problem::Replaced, "not the one that is referred to");
    let affected = &only(&report).affected;
    assert_eq!((affected.branches, affected.heads, affected.versions), (1, 1, 0), "{report}");
    assert_eq!(affected.named[0].branch, FORK);

    hand.empty_version(MAIN, 5, 50)?;
    hand.version(MAIN, 9, 90, another())?;
    let report = hand.report()?;
    assert_only(&report, &key::version(MAIN, Lsn::new(9)), Problem::Replaced, "not the one that is referred to");
    let affected = &only(&report).affected;
    assert_eq!((affected.branches, affected.heads, affected.versions), (1, 1, 1), "{report}");
    Ok(())
}

type Change = fn(&mut record::Branch);

#[test]
fn a_branch_that_contradicts_its_versions_is_found() -> Result<(), Error> {
    let changes: [(&str, Change); 6] = [
        ("its head's instant is", |branch| branch.head_micros = 91),
        ("its LSN is 0/8, but its head is at 0/9", |branch| branch.head_lsn = 8),
        ("its first version has another instant", |branch| branch.first = First::Root { lsn: 1, micros: 11 }),
        ("its head is the version at LSN 0/5, but its newest one is at 0/9", |branch| branch.head.lsn = 5),
        ("it was not forked, but its head is a version of branch 7", |branch| branch.head.owner = 7),
        ("it was not forked from a version of its parent", |branch| {
            let micros = branch.head_micros;
            branch.first = First::Fork { parent: 2, version: branch.head, micros, asked: Asked::Head };
        }),
    ];
    let hand = Hand::new()?;
    let branch = three_versions(&hand)?;
    hand.seal(&key::branch(MAIN), &record::Branch { head_lsn: 100, ..branch.clone() })?;
    assert!(hand.report()?.is_sound(), "an advance without a version is nothing wrong: {}", hand.report()?);
    for (words, change) in changes {
        let mut branch = branch.clone();
        change(&mut branch);
        hand.seal(&key::branch(MAIN), &branch)?;
        let report = hand.report()?;
        let finding = report.findings.iter().find(|finding| finding.what.contains(words));
        let finding = finding.unwrap_or_else(|| panic!("{words}: {report}"));
        assert_eq!((&finding.key[..], finding.problem), (&key::branch(MAIN)[..], Problem::Contradiction));
    }
    Ok(())
}

#[test]
fn a_fork_that_contradicts_what_it_was_forked_from_is_found() -> Result<(), Error> {
    fn fork(branch: &mut record::Branch) -> (&mut u64, &mut VersionRef, &mut i64, &mut Asked) {
        let First::Fork { parent, version, micros, asked } = &mut branch.first else { panic!("a fork") };
        (parent, version, micros, asked)
    }
    let changes: [(&str, Change); 7] = [
        ("was forked from has another instant", |branch| *fork(branch).2 = 51),
        ("its head is not the one it was forked from", |branch| branch.head.lsn = 1),
        ("its head is not the one it was forked from", |branch| branch.head_micros = 49),
        ("it was not forked at the point", |branch| *fork(branch).3 = Asked::Lsn(4)),
        ("it was not forked at the point", |branch| *fork(branch).3 = Asked::Lsn(7)),
        ("it was not forked at the point", |branch| *fork(branch).3 = Asked::Micros(49)),
        ("it was not forked from a version of its parent", |branch| *fork(branch).0 = 3),
    ];
    let hand = Hand::new()?;
    hand.seal(&key::branch(MAIN), &three_versions(&hand)?)?;
    let branch = fork_of_main(&hand)?;
    hand.seal(&key::branch(FORK), &branch)?;
    assert!(hand.report()?.is_sound(), "{}", hand.report()?);
    for (words, change) in changes {
        let mut branch = branch.clone();
        change(&mut branch);
        hand.seal(&key::branch(FORK), &branch)?;
        let report = hand.report()?;
        let finding = report.findings.iter().find(|finding| finding.what.contains(words));
        let finding = finding.unwrap_or_else(|| panic!("{words}: {report}"));
        assert_eq!((&finding.key[..], finding.problem), (&key::branch(FORK)[..], Problem::Contradiction));
    }
    // Its own versions come after the one that it was forked from.
    for (lsn, micros, is_sound) in [(7, 51, true), (6, 51, false), (7, 50, false), (5, 51, false)] {
        let hand = Hand::new()?;
        hand.seal(&key::branch(MAIN), &three_versions(&hand)?)?;
        let head = hand.empty_version(FORK, lsn, micros)?;
        let branch = record::Branch { head, head_micros: micros, head_lsn: lsn, first: branch.first.clone() };
        hand.seal(&key::branch(FORK), &branch)?;
        assert_eq!(hand.report()?.is_sound(), is_sound, "{lsn} {micros} {}", hand.report()?);
    }
    Ok(())
}

#[test]
fn a_parent_that_is_neither_there_nor_deleted_is_found() -> Result<(), Error> {
    let hand = Hand::new()?;
    hand.seal(&key::branch(MAIN), &three_versions(&hand)?)?;
    let branch = fork_of_main(&hand)?;
    let id = BranchId::new(SYSTEM, 9);
    // A fork of a fork that has not written: its version is its grandparent's. Deleted, such a parent is forgotten.
    let grandchild = First::Fork { parent: 3, version: branch.head, micros: 50, asked: Asked::Head };
    hand.seal(&key::branch(id), &record::Branch { first: grandchild, ..branch.clone() })?;
    assert!(hand.report()?.is_sound(), "{}", hand.report()?);
    let other = Hand::new()?;
    let version = VersionRef { owner: 3, ..branch.head };
    let orphan = First::Fork { parent: 3, version, micros: 50, asked: Asked::Head };
    other.seal(&key::branch(id), &record::Branch { head: version, first: orphan, ..branch.clone() })?;
    let report = other.report()?;
    let finding = report.findings.iter().find(|finding| finding.key == key::branch(FORK));
    let finding = finding.expect("the missing parent is found");
    assert!(finding.problem == Problem::Missing && finding.what.contains("the branch was forked, but neither"));
    hand.seal(&key::branch(FORK), &branch)?;
    assert!(hand.report()?.is_sound(), "{}", hand.report()?);
    hand.store.tamper(key::branch(FORK), None);
    hand.seal(&key::deleted_branch(FORK), &record::Deleted { micros: 99, branch: Some(branch) })?;
    assert!(hand.report()?.is_sound(), "{}", hand.report()?);
    Ok(())
}

#[test]
fn instants_that_are_wrong_doubled_or_out_of_order_are_found() -> Result<(), Error> {
    let hand = Hand::new()?;
    hand.seal(&key::branch(MAIN), &three_versions(&hand)?)?;
    let (right, wrong) = (key::instant(MAIN, Micros(50), Lsn::new(5)), key::instant(MAIN, Micros(51), Lsn::new(5)));
    hand.payload(&wrong, &[]);
    assert_only(&hand.report()?, &wrong, Problem::Contradiction, "the version itself has the instant 1970-01-01T");
    hand.store.tamper(right.clone(), None);
    assert_only(&hand.report()?, &wrong, Problem::Contradiction, "the version itself has the instant");
    hand.store.tamper(wrong, None);
    assert_only(&hand.report()?, &right, Problem::Missing, "the entry that finds the version by its instant");
    hand.payload(&right, b"x");
    assert_only(&hand.report()?, &right, Problem::Damaged, "the value should be empty");

    hand.store.tamper(right, None);
    hand.empty_version(MAIN, 5, 90)?;
    assert_only(&hand.report()?, &key::version(MAIN, Lsn::new(9)), Problem::Contradiction, "not after");
    Ok(())
}

#[test]
fn what_is_deleted_and_there_at_once_is_found() -> Result<(), Error> {
    let hand = Hand::new()?;
    let branch = three_versions(&hand)?;
    hand.seal(&key::branch(MAIN), &branch)?;
    let mark = record::Deleted { micros: 99, branch: Some(branch.clone()) };
    hand.seal(&key::deleted_branch(MAIN), &mark)?;
    assert_only(&hand.report()?, &key::deleted_branch(MAIN), Problem::Contradiction, "its record is still there");
    hand.store.tamper(key::branch(MAIN), None);
    assert!(hand.report()?.is_sound());
    hand.seal(&key::deleted_branch(MAIN), &record::Deleted { micros: 99, branch: None })?;
    assert_only(&hand.report()?, &key::deleted_branch(MAIN), Problem::Contradiction, "holds the branch as it was");

    let namespace = NamespaceId::new(50);
    let (deleted, record) = (key::deleted_namespace(namespace), key::record(namespace, Table::new("t"), b"k"));
    let hand = Hand::new()?;
    hand.seal(&deleted, &record::Deleted { micros: 99, branch: None })?;
    assert!(hand.report()?.is_sound());
    hand.payload(&record, b"v");
    assert_only(&hand.report()?, &deleted, Problem::Contradiction, "branches or records of it are still there");
    hand.seal(&key::namespace(namespace), &record::Namespace { created_micros: 1 })?;
    assert_only(&hand.report()?, &deleted, Problem::Contradiction, "its record is still there");
    hand.store.tamper(deleted.clone(), None);
    assert!(hand.report()?.is_sound());
    hand.seal(&deleted, &mark)?;
    hand.store.tamper(key::namespace(namespace), None);
    hand.store.tamper(record, None);
    assert_only(&hand.report()?, &deleted, Problem::Contradiction, "holds the branch as it was");
    Ok(())
}
