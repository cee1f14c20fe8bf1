//! Rules about conditions, conflicts and durability.

use super::*;

/// A store with keys `b`, `d` and `f`, and the sequence of the commit that put them.
fn with_three_keys<M: Medium>(medium: &M) -> Result<(M::Store, Sequence), StoreError> {
    let store = medium.open();
    let sequence = commit(&store, vec![put("b", "1"), put("d", "1"), put("f", "1")])?;
    Ok((store, sequence))
}

fn key(key: &str) -> KeyRange {
    KeyRange::key(bytes(key))
}

/// A commit conflicts if a key that it depends on was put or deleted since.
pub fn a_changed_key_conflicts<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let _snapshot = store.snapshot(View::Durable)?;
    commit(&store, vec![put("b", "2"), delete("d")])?;
    assert!(conflicts(&store, key("b"), since, vec![put("x", "")])?, "the key was put");
    assert!(conflicts(&store, key("d"), since, vec![put("x", "")])?, "the key was deleted");
    Ok(())
}

/// A commit conflicts if a key that it depends on to be absent was created since.
pub fn a_key_created_meanwhile_conflicts<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let snapshot = store.snapshot(View::Durable)?;
    assert_eq!(snapshot.get(b"c")?, None);
    commit(&store, vec![Write::Create(bytes("c"), bytes("1"))])?;
    assert!(conflicts(&store, key("c"), since, vec![put("c", "2")])?);
    assert_eq!(durable(&store, "c")?.as_deref(), Some("1"));
    Ok(())
}

/// A commit conflicts if a key appeared in, or went from, a range that it depends on.
pub fn a_phantom_conflicts<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let _snapshot = store.snapshot(View::Durable)?;
    commit(&store, vec![put("da", "new")])?;
    assert!(conflicts(&store, KeyRange::prefix(b"d"), since, vec![put("x", "")])?, "a key appeared");
    let since = commit(&store, vec![put("y", "")])?;
    let _snapshot = store.snapshot(View::Durable)?;
    commit(&store, vec![delete("da")])?;
    assert!(conflicts(&store, KeyRange::ALL, since, vec![put("x", "")])?, "a key went");
    Ok(())
}

/// A commit does not conflict with commits outside of the ranges that it depends on, be they right beside them.
pub fn an_untouched_range_does_not_conflict<M: Medium>() -> Result<(), StoreError> {
    use std::ops::Bound::Excluded;
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let _snapshot = store.snapshot(View::Durable)?;
    commit(&store, vec![put("b", "2"), delete("f")])?;
    let between = KeyRange { start: Excluded(bytes("b")), end: Excluded(bytes("f")) };
    assert!(!conflicts(&store, between, since, vec![put("b", "3")])?, "the range between the changed keys");
    assert!(!conflicts(&store, key("absent"), since, vec![put("b", "4")])?, "an absent key");
    let nothing = KeyRange { start: Excluded(bytes("b")), end: Excluded(bytes("b")) };
    assert!(!conflicts(&store, nothing, since, vec![put("b", "5")])?, "a range without keys");
    Ok(())
}

/// A commit does not conflict with what the snapshot it was read from shows, pending or not.
pub fn what_the_snapshot_shows_does_not_conflict<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, _) = with_three_keys(&medium)?;
    let ticket = submit(&store, vec![put("b", "2")])?;
    let snapshot = store.snapshot(View::Latest)?;
    assert!(!conflicts(&store, KeyRange::ALL, snapshot.sequence(), vec![put("b", "3")])?);
    drop(snapshot);
    store.wait(ticket)?;
    assert_eq!(durable(&store, "b")?.as_deref(), Some("3"));
    Ok(())
}

/// However much is committed, a condition of an open snapshot is decided by what was written in its range.
pub fn an_open_snapshot_keeps_conditions_decidable<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, _) = with_three_keys(&medium)?;
    let snapshot = store.snapshot(View::Latest)?;
    let tickets = (0..200).map(|n| submit(&store, vec![put(&format!("n{n}"), "")])).collect::<Result<Vec<_>, _>>()?;
    for ticket in tickets {
        store.wait(ticket)?;
    }
    assert!(!conflicts(&store, key("b"), snapshot.sequence(), vec![put("b", "2")])?);
    assert!(conflicts(&store, key("b"), snapshot.sequence(), vec![put("b", "3")])?);
    Ok(())
}

/// A condition on a key that was written since conflicts, however long ago that was, whether the store still remembers it or not.
pub fn a_forgotten_past_conflicts<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    {
        let (store, _) = with_three_keys(&medium)?;
        commit(&store, vec![put("b", "2")])?;
        assert!(conflicts(&store, key("b"), Sequence::ZERO, vec![put("b", "3")])?);
    }
    let store = medium.open();
    assert!(conflicts(&store, key("b"), Sequence::ZERO, vec![put("b", "4")])?, "after a reopening");
    assert_eq!(durable(&store, "b")?.as_deref(), Some("2"));
    Ok(())
}

/// A commit with a condition that does not hold writes nothing, and takes no sequence.
pub fn a_conflict_writes_nothing<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let snapshot = store.snapshot(View::Durable)?;
    let newest = commit(&store, vec![put("b", "2")])?;
    let broken = Condition { range: key("b"), unchanged_since: since };
    let holds = Condition { range: key("d"), unchanged_since: since };
    let submitted =
        store.submit(Commit { conditions: vec![holds, broken], writes: vec![put("d", "2"), put("e", "2")] })?;
    assert_eq!(submitted, Submitted::Conflict);
    drop(snapshot);
    assert_eq!(store.get(View::Latest, b"d")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(store.get(View::Latest, b"e")?, None);
    assert_eq!(commit(&store, vec![put("d", "3")])?.number(), newest.number() + 1);
    Ok(())
}

/// A commit without writes is durable when all that was accepted before it is.
pub fn a_barrier_follows_what_was_accepted_before<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    store.wait(submit(&store, Vec::new())?)?;
    let _pending = submit(&store, vec![put("a", "1")])?;
    store.wait(submit(&store, Vec::new())?)?;
    assert_eq!(durable(&store, "a")?.as_deref(), Some("1"));
    Ok(())
}

/// A commit without writes conflicts like any other.
pub fn a_barrier_checks_its_conditions<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let (store, since) = with_three_keys(&medium)?;
    let _snapshot = store.snapshot(View::Durable)?;
    commit(&store, vec![put("b", "2")])?;
    assert!(conflicts(&store, key("b"), since, Vec::new())?);
    assert!(!conflicts(&store, key("d"), since, Vec::new())?);
    Ok(())
}

/// Sequences follow each other without gaps, and when a commit is durable, so are those before it.
pub fn commits_become_durable_in_order<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let tickets = (0..50)
        .map(|n| submit(&store, vec![put("last", &n.to_string()), put(&n.to_string(), "")]))
        .collect::<Result<Vec<_>, _>>()?;
    let sequences: Vec<_> = tickets.iter().map(|ticket| ticket.sequence().number()).collect();
    assert_eq!(sequences, (1..=50).collect::<Vec<_>>());
    store.wait(tickets[30])?;
    let snapshot = store.snapshot(View::Durable)?;
    assert!(snapshot.sequence() >= tickets[30].sequence());
    let last = snapshot.sequence().number() - 1;
    assert_eq!(snapshot.get(b"last")?, Some(bytes(&last.to_string())));
    for n in 0..=last {
        assert!(snapshot.get(n.to_string().as_bytes())?.is_some(), "commit {n}");
    }
    for ticket in tickets {
        store.wait(ticket)?;
    }
    Ok(())
}

/// A commit of more than [`Store::max_commit_bytes`] is refused and writes nothing; one of just as many is accepted.
pub fn a_commit_that_is_too_large_is_refused<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let max = store.max_commit_bytes();
    let of_size = |size: usize| vec![Write::Put(bytes("key"), Bytes::from(vec![1; size - "key".len()]))];
    let refused = store.submit(Commit { conditions: Vec::new(), writes: of_size(max + 1) });
    assert!(matches!(refused, Err(StoreError::CommitTooLarge { bytes, max: m }) if bytes == max + 1 && m == max));
    assert_eq!(store.get(View::Latest, b"key")?, None);
    commit(&store, of_size(max))?;
    assert_eq!(store.get(View::Durable, b"key")?.map(|value| value.len()), Some(max - "key".len()));
    Ok(())
}

/// A commit that writes a key twice is refused: it does not say what it wants.
pub fn a_key_is_written_once_in_a_commit<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let refused = submit(&store, vec![put("a", "1"), put("b", "1"), delete("a")]);
    assert!(matches!(refused, Err(StoreError::InvalidCommit { .. })));
    assert_eq!(store.get(View::Latest, b"b")?, None);
    Ok(())
}

/// A store that was closed and opened again has all that was durable, and goes on with the next sequence.
pub fn reopening_keeps_everything<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    for round in 0..4_u64 {
        let store = medium.open();
        for n in 0..round {
            assert_eq!(durable(&store, &n.to_string())?.as_deref(), Some("kept"), "round {round}");
        }
        assert_eq!(durable(&store, "deleted")?, None);
        assert_eq!(commit(&store, vec![put("deleted", "")])?.number(), round * 3 + 1);
        commit(&store, vec![put(&round.to_string(), "kept")])?;
        // Not waited for: closing the store does that.
        let _pending = submit(&store, vec![delete("deleted")])?;
    }
    Ok(())
}
