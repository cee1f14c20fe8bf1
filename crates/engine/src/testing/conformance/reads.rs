//! Rules about reads.

use std::ops::Bound;

use super::*;

/// A key has the value that was put last, and none before the first and after a deletion.
pub fn what_was_put_is_read_until_it_is_deleted<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    assert_eq!(durable(&store, "a")?, None);
    commit(&store, vec![Write::Create(bytes("a"), bytes("1")), put("b", "")])?;
    assert_eq!(durable(&store, "a")?.as_deref(), Some("1"));
    assert_eq!(durable(&store, "b")?.as_deref(), Some(""), "an empty value is a value");
    commit(&store, vec![put("a", "2")])?;
    assert_eq!(durable(&store, "a")?.as_deref(), Some("2"));
    commit(&store, vec![delete("a"), delete("never there")])?;
    assert_eq!(durable(&store, "a")?, None);
    assert_eq!(durable(&store, "b")?.as_deref(), Some(""));
    Ok(())
}

/// A range read yields exactly the keys within its bounds, in the order asked for; bounds may be absent keys, and a range may be empty.
pub fn ranges_keep_their_bounds_both_ways<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let stored = ["a", "aa", "b", "c", "cc", "d"];
    commit(&store, stored.iter().map(|key| put(key, key)).collect())?;
    let snapshot = store.snapshot(View::Durable)?;
    let ends = || {
        let keys = ["a", "ab", "b", "cc", "d", "e"].map(bytes);
        let included = keys.clone().into_iter().map(Bound::Included);
        let excluded = keys.into_iter().map(Bound::Excluded);
        included.chain(excluded).chain([Bound::Unbounded])
    };
    for start in ends() {
        for end in ends() {
            let range = KeyRange { start: start.clone(), end };
            let mut expected: Vec<_> = stored.iter().filter(|key| range.contains(key.as_bytes())).copied().collect();
            assert_eq!(keys(&*snapshot, &range, Direction::Ascending)?, expected, "{range:?}");
            expected.reverse();
            assert_eq!(keys(&*snapshot, &range, Direction::Descending)?, expected, "{range:?}");
        }
    }
    Ok(())
}

/// [`KeyRange::prefix`] covers the keys that begin with the prefix, also where its last bytes cannot grow.
pub fn prefixes_hold_what_begins_with_them<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let stored: [&[u8]; 6] = [b"a", b"a\xff", b"a\xff\xff1", b"b", b"\xff\xff", b"\xff\xffz"];
    let writes = stored.iter().map(|key| Write::Put(Bytes::copy_from_slice(key), Bytes::new()));
    commit(&store, writes.collect())?;
    let snapshot = store.snapshot(View::Durable)?;
    for prefix in [&b""[..], b"a", b"a\xff", b"b", b"\xff\xff", b"c"] {
        let entries = snapshot.range(&KeyRange::prefix(prefix), Direction::Ascending);
        let found = entries.map(|entry| entry.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
        let expected: Vec<_> = stored.iter().filter(|key| key.starts_with(prefix)).copied().collect();
        assert_eq!(found, expected, "{}", prefix.escape_ascii());
    }
    Ok(())
}

/// A range of many keys is read completely, whatever pages a store reads it in, also when part of it is pending.
pub fn long_ranges_are_complete_both_ways<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    let name = |number: usize| format!("{number:05}");
    let writes = |numbers: std::iter::StepBy<std::ops::Range<usize>>| numbers.map(|n| put(&name(n), "")).collect();
    commit(&store, writes((0..2000).step_by(2)))?;
    let ticket = submit(&store, writes((1..2000).step_by(4)))?;
    let snapshot = store.snapshot(View::Latest)?;
    let mut expected: Vec<_> = (0..2000).filter(|n| n % 2 == 0 || n % 4 == 1).map(name).collect();
    assert_eq!(keys(&*snapshot, &KeyRange::ALL, Direction::Ascending)?, expected);
    expected.reverse();
    assert_eq!(keys(&*snapshot, &KeyRange::ALL, Direction::Descending)?, expected);
    store.wait(ticket)
}

/// Values of a megabyte survive a reopening.
pub fn large_values_are_kept<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let value = |number: u8| Bytes::from(vec![number; 1 << 20]);
    {
        let store = medium.open();
        for number in 1..=4 {
            commit(&store, vec![Write::Put(Bytes::from(vec![number]), value(number))])?;
        }
    }
    let store = medium.open();
    for number in 1..=4 {
        assert!(store.get(View::Durable, &[number])? == Some(value(number)), "the value of key {number}");
    }
    Ok(())
}

/// A snapshot shows the same values, by key and by range, whatever is committed after it was opened.
pub fn snapshots_stay_as_they_were<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    commit(&store, vec![put("a", "1"), put("b", "1"), put("c", "1")])?;
    let snapshots = [store.snapshot(View::Durable)?, store.snapshot(View::Latest)?];
    commit(&store, vec![put("a", "2"), delete("b"), put("bb", "2")])?;
    commit(&store, vec![delete("a"), put("b", "3"), delete("c")])?;
    for snapshot in &snapshots {
        assert_eq!(snapshot.sequence(), Sequence::new(1));
        assert_eq!(keys(&**snapshot, &KeyRange::ALL, Direction::Ascending)?, ["a", "b", "c"]);
        assert_eq!(keys(&**snapshot, &KeyRange::ALL, Direction::Descending)?, ["c", "b", "a"]);
        for key in ["a", "b", "c"] {
            assert_eq!(snapshot.get(key.as_bytes())?.as_deref(), Some(&b"1"[..]), "{key}");
        }
        assert_eq!(snapshot.get(b"bb")?, None);
    }
    drop(snapshots);
    let now = store.snapshot(View::Durable)?;
    assert_eq!(keys(&*now, &KeyRange::ALL, Direction::Ascending)?, ["b", "bb"]);
    Ok(())
}

/// [`View::Latest`] shows a commit as soon as it is accepted, by key and by range, and goes on showing it.
pub fn latest_shows_what_is_accepted<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    commit(&store, vec![put("a", "1"), put("b", "1")])?;
    let ticket = submit(&store, vec![put("a", "2"), delete("b"), put("c", "2")])?;
    let snapshot = store.snapshot(View::Latest)?;
    for _before_and_after_it_is_durable in 0..2 {
        assert_eq!(store.get(View::Latest, b"a")?.as_deref(), Some(&b"2"[..]));
        assert_eq!(store.get(View::Latest, b"b")?, None);
        assert_eq!(snapshot.sequence(), ticket.sequence());
        assert_eq!(snapshot.get(b"a")?.as_deref(), Some(&b"2"[..]));
        assert_eq!(keys(&*snapshot, &KeyRange::ALL, Direction::Ascending)?, ["a", "c"]);
        store.wait(ticket)?;
    }
    Ok(())
}
