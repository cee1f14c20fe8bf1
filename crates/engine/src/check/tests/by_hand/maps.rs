//! Maps that are not built as readers need them.

use super::*;
use crate::{
    MAX_VALUE_BYTES,
    check::{
        Problem,
        tests::{assert_only, only},
    },
};

/// A branch with a map over `root` has one finding, under `key`, and cannot be read as a whole.
#[track_caller]
fn assert_disorder(hand: &Hand, root: Child, key: &Bytes, words: &str) -> Result<(), Error> {
    hand.main_over(root)?;
    let report = hand.report()?;
    assert_only(&report, key, Problem::Disorder, words);
    let affected = &only(&report).affected;
    assert_eq!((affected.branches, affected.heads, affected.versions), (1, 1, 1), "{report}");
    Ok(())
}

#[test]
fn maps_in_order_are_sound() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let leaves = [hand.leaf(&["b", "c"])?, hand.leaf(&["d"])?, hand.leaf(&["f", "g"])?, hand.leaf(&["h"])?];
    // A separator may be smaller than the first key that is below it.
    let left = hand.inner(1, &[("a", leaves[0]), ("d", leaves[1])])?;
    let right = hand.inner(1, &[("e", leaves[2]), ("h", leaves[3])])?;
    let root = hand.inner(2, &[("a", left), ("dd", right)])?;
    hand.main_over(root)?;
    let report = hand.report()?;
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.garbage.number, report.maps.heights.get(&3)), (0, Some(&1)), "{report}");
    Ok(())
}

#[test]
fn keys_that_do_not_ascend_are_found() -> Result<(), Error> {
    for keys in [["b", "a"], ["a", "a"]] {
        let mut hand = Hand::new()?;
        let leaf = hand.leaf(&keys)?;
        assert_disorder(&hand, leaf, &node_key(leaf), "the keys in the node do not ascend")?;
    }
    let mut hand = Hand::new()?;
    let (left, right) = (hand.leaf(&["a"])?, hand.leaf(&["b"])?);
    let root = hand.inner(1, &[("b", right), ("a", left)])?;
    assert_disorder(&hand, root, &node_key(root), "the keys in the node do not ascend")
}

#[test]
fn a_child_outside_of_its_separators_is_found_at_any_depth() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let (left, right) = (hand.leaf(&["a", "m"])?, hand.leaf(&["m", "z"])?);
    let root = hand.inner(1, &[("a", left), ("m", right)])?;
    assert_disorder(&hand, root, &node_key(root), "entry 0 refers to node 101, whose last key does not come before")?;
    let root = hand.inner(1, &[("b", left), ("n", right)])?;
    hand.main_over(root)?;
    let report = hand.report()?;
    let whats: Vec<_> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
    let first = whats.iter().filter(|what| what.contains("first key comes before the entry's own")).count();
    assert_eq!(first, 2, "{report}");

    // What is wrong only between the grandparent's separators.
    let mut hand = Hand::new()?;
    let (left, right) = (hand.leaf(&["a", "x"])?, hand.leaf(&["n"])?);
    let (left, right) = (hand.inner(1, &[("a", left)])?, hand.inner(1, &[("n", right)])?);
    let root = hand.inner(2, &[("a", left), ("n", right)])?;
    assert_disorder(&hand, root, &node_key(root), "last key does not come before that of the next entry")
}

#[test]
fn each_parent_of_a_shared_child_is_checked() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let (left, right) = (hand.leaf(&["a", "m"])?, hand.leaf(&["n", "z"])?);
    let good = hand.inner(1, &[("a", left), ("n", right)])?;
    let bad = hand.inner(1, &[("a", left), ("m", right)])?;
    let wrong_checksum = hand.inner(1, &[("a", left), ("n", Child { checksum: Checksum(7), ..right })])?;
    hand.main_over(good)?;
    hand.seal(&key::branch(FORK), &root_branch(hand.version(FORK, 5, 10, over(bad))?))?;
    let report = hand.report()?;
    let finding = report.findings.iter().find(|finding| finding.problem == Problem::Disorder);
    let finding = finding.expect("the bad parent is found");
    assert_eq!(finding.key, node_key(bad));
    assert_eq!(finding.affected.named.iter().map(|named| named.branch).collect::<Vec<_>>(), [FORK]);
    // And the other one's reference is to something else than what is stored.
    // Node 500 is not the one that 200 means either.
    let replaced = report.findings.iter().find(|finding| finding.problem == Problem::Replaced);
    assert_eq!(replaced.map(|finding| &finding.key[..]), Some(&node_key(right)[..]), "{wrong_checksum:?}");
    assert_eq!(report.findings.len(), 2, "{report}");
    Ok(())
}

#[test]
fn a_wrong_level_and_an_uneven_height_are_found() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let (left, right) = (hand.leaf(&["a"])?, hand.leaf(&["b"])?);
    let root = hand.inner(2, &[("a", left)])?;
    assert_disorder(&hand, root, &node_key(root), "whose level is 0 and not 1")?;
    let left = hand.inner(1, &[("a", left)])?;
    let root = hand.inner(2, &[("a", left), ("b", right)])?;
    hand.store.tamper(node_key(Child { id: NodeId(103), ..root }), None);
    assert_disorder(&hand, root, &node_key(root), "entry 1 refers to node 102, whose level is 0 and not 1")?;
    Ok(())
}

#[test]
fn a_level_a_child_or_a_number_of_entries_that_no_node_has_is_found() -> Result<(), Error> {
    let long = "k".repeat(513);
    let large = vec![7; MAX_VALUE_BYTES + 1];
    let child = [7; Child::BYTES];
    let nodes: [(u8, Entries<'_>); 6] = [
        (33, &[("a", &child)]),
        (1, &[]),
        (1, &[("a", b"not a child")]),
        (0, &[("", b"value")]),
        (0, &[(&long, b"value")]),
        (0, &[("a", &large)]),
    ];
    for (level, entries) in nodes {
        let mut hand = Hand::new()?;
        let node = hand.node(level, entries)?;
        assert_disorder(&hand, node, &node_key(node), "that no node has")?;
    }
    Ok(())
}

#[test]
fn a_map_that_goes_round_in_circles_is_found() -> Result<(), Error> {
    // Checksums cannot be right all around, but the check must come to an end.
    let mut hand = Hand::new()?;
    let leaf = hand.leaf(&["a"])?;
    let above = Child { id: NodeId(500), checksum: Checksum(1) };
    let below = hand.node_at(200, 1, &[("a", &above.to_bytes())])?;
    let own = Child { id: NodeId(300), checksum: Checksum(1) };
    hand.node_at(300, 2, &[("a", &own.to_bytes()), ("b", &leaf.to_bytes())])?;
    hand.node_at(500, 2, &[("a", &below.to_bytes())])?;
    let report = hand.report()?;
    // Node 500 is not the one that 200 means either.
    let replaced = report.findings.iter().filter(|finding| finding.problem == Problem::Replaced);
    let replaced: Vec<&[u8]> = replaced.map(|finding| &finding.key[..]).collect();
    assert_eq!(replaced, [200, 500, 300].map(|id| key::node(SYSTEM, NodeId(id))), "{report}");
    // A chain of ever greater ids is not followed without end either.
    let mut hand = Hand::new()?;
    let mut child = hand.leaf(&["a"])?;
    for id in (200..900).rev() {
        child = hand.node_at(id, 1, &[("a", &child.to_bytes())])?;
    }
    let report = hand.report()?;
    assert!(report.findings.iter().any(|finding| finding.what.contains("deeper in its map than any")), "{report}");
    Ok(())
}

#[test]
fn an_empty_leaf_is_found_and_makes_nothing_unreadable() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let leaf = hand.leaf(&[])?;
    hand.main_over(leaf)?;
    let report = hand.report()?;
    assert_only(&report, &node_key(leaf), Problem::Disorder, "a leaf without entries");
    assert!(report.to_string().contains("no version lost anything by it"), "{report}");
    Ok(())
}

#[test]
fn an_inline_map_that_is_not_a_leaf_is_found() -> Result<(), Error> {
    let mut hand = Hand::new()?;
    let leaf = hand.leaf(&["a"])?.to_bytes();
    let entries = vec![record::Entry { key: b"a", payload: &leaf }];
    for payload in [codec::encode(&record::Node { level: 1, entries })?, b"no node".to_vec()] {
        hand.main(record::Root::Inline(payload))?;
        assert_only(&hand.report()?, &key::version(MAIN, Lsn::new(1)), Problem::Disorder, "inline map is not a leaf");
    }
    Ok(())
}
