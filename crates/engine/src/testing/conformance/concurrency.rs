//! Rules about many threads at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::*;

/// Increments of one counter from many threads, each on the condition that the counter is as it was read, add up exactly.
pub fn conditional_increments_from_many_threads_add_up<M: Medium>() -> Result<(), StoreError> {
    const THREADS: u64 = 8;
    const INCREMENTS: u64 = 25;
    let medium = M::new();
    let store = medium.open();
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| (0..INCREMENTS).try_for_each(|_| increment(&store)))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for result in results {
        assert!(matches!(result, Ok(Ok(()))), "a thread failed: {result:?}");
    }
    assert_eq!(durable(&store, "counter")?, Some((THREADS * INCREMENTS).to_string()));
    Ok(())
}

/// Reads the counter, writes one more, and begins again when someone else was faster.
fn increment(store: &impl Store) -> Result<(), StoreError> {
    loop {
        let snapshot = store.snapshot(View::Latest)?;
        let value = snapshot.get(b"counter")?.unwrap_or_default();
        let value = String::from_utf8_lossy(&value).parse().unwrap_or(0_u64);
        let range = KeyRange::key(bytes("counter"));
        let conditions = vec![Condition { range, unchanged_since: snapshot.sequence() }];
        let submitted = store.submit(Commit { conditions, writes: vec![put("counter", &(value + 1).to_string())] })?;
        drop(snapshot);
        if let Submitted::Applied(ticket) = submitted {
            return store.wait(ticket);
        }
    }
}

/// While commits each write many keys alike, snapshots of both views, read both ways, show them all alike, and so do single keys in turn.
pub fn readers_never_see_half_a_commit<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    commit(&store, all_alike(0))?;
    let done = AtomicBool::new(false);
    let (written, read) = thread::scope(|scope| {
        let readers: Vec<_> = [View::Durable, View::Latest]
            .into_iter()
            .map(|view| {
                let (store, done) = (&store, &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        read_all_alike(store, view)?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .collect();
        let written = write_all_alike(&store);
        done.store(true, Ordering::Relaxed);
        (written, readers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>())
    });
    written?;
    for result in read {
        assert!(matches!(result, Ok(Ok(()))), "a reader failed: {result:?}");
    }
    Ok(())
}

const KEYS: u64 = 150;

/// Writes `value` to all keys; every third key has a value only when it is even.
fn all_alike(value: u64) -> Vec<Write> {
    let write = |n: u64| {
        let key = format!("key{n:04}");
        if n.is_multiple_of(3) && !value.is_multiple_of(2) { delete(&key) } else { put(&key, &value.to_string()) }
    };
    (0..KEYS).map(write).collect()
}

fn write_all_alike(store: &impl Store) -> Result<(), StoreError> {
    let mut ticket = None;
    for value in 1..=300 {
        ticket = Some(submit(store, all_alike(value))?);
        // Now and then all is quiet, and nothing is pending.
        if value % 10 == 0 {
            ticket.take().map_or(Ok(()), |ticket| store.wait(ticket))?;
        }
    }
    ticket.map_or(Ok(()), |ticket| store.wait(ticket))
}

fn read_all_alike(store: &impl Store, view: View) -> Result<(), StoreError> {
    let before = number(store.get(view, b"key0001")?);
    let snapshot = store.snapshot(view)?;
    let value = number(snapshot.get(b"key0001")?);
    let after = number(store.get(view, b"key0001")?);
    assert!(before <= value && value <= after, "values went back: {before}, {value}, {after}");
    let expected: Vec<_> = all_alike(value)
        .into_iter()
        .filter_map(|write| write.value().cloned().map(|value| (write.key().clone(), value)))
        .collect();
    for direction in [Direction::Ascending, Direction::Descending] {
        let mut entries = snapshot.range(&KeyRange::ALL, direction).collect::<Result<Vec<_>, _>>()?;
        if direction == Direction::Descending {
            entries.reverse();
        }
        assert!(entries == expected, "{direction:?}: not all keys are as commit {value} wrote them");
    }
    for write in all_alike(value).iter().step_by(10) {
        assert_eq!(snapshot.get(write.key())?.as_ref(), write.value());
    }
    Ok(())
}

fn number(value: Option<Bytes>) -> u64 {
    String::from_utf8_lossy(&value.unwrap_or_default()).parse().unwrap_or(0)
}
