//! Rules about the change feed.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::*;

/// The feed shows each durable commit once, in order, with its writes, however it is cut into pieces; nothing follows the newest.
pub fn the_feed_shows_each_commit_once_in_order<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = medium.open();
    assert!(store.feed(Sequence::ZERO, 10)?.is_empty());
    let commits = (0..20).map(|n| vec![put(&format!("k{n}"), &n.to_string()), delete("other")]).collect::<Vec<_>>();
    for writes in &commits {
        commit(&store, writes.clone())?;
    }
    for limit in [1, 3, 100] {
        let mut after = Sequence::ZERO;
        let mut seen = Vec::new();
        loop {
            let changes = store.feed(after, limit)?;
            assert!(changes.len() <= limit);
            let Some(last) = changes.last() else { break };
            after = last.sequence;
            seen.extend(changes);
        }
        assert!(seen.iter().map(|change| change.sequence.number()).eq(1..=20), "limit {limit}");
        assert!(seen.iter().map(|change| change.writes.to_vec()).eq(commits.iter().cloned()), "limit {limit}");
    }
    Ok(())
}

/// A follower that is too far behind gets an error that says where it can go on; it is never shown a feed with a hole.
pub fn the_feed_never_skips_a_commit<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let newest = {
        let store = medium.open();
        let tickets =
            (0..3000).map(|n| submit(&store, vec![put("key", &n.to_string())])).collect::<Result<Vec<_>, _>>()?;
        for ticket in &tickets {
            store.wait(*ticket)?;
        }
        follow_to_the_end(&store, Sequence::new(3000))?;
        Sequence::new(3000)
    };
    // What a reopened store does not know any more, it must not pass over.
    let store = medium.open();
    follow_to_the_end(&store, newest)?;
    let newest = commit(&store, vec![put("key", "one more")])?;
    follow_to_the_end(&store, newest)
}

/// Whoever waits for more is woken when it is there; where nothing comes, when the time has passed.
pub fn a_follower_is_woken_by_the_next_commit<M: Medium>() -> Result<(), StoreError> {
    let medium = M::new();
    let store = Arc::new(medium.open());
    let mut newest = commit(&store, vec![put("key", "first")])?;
    assert!(store.wait_for_feed(Sequence::ZERO, Duration::ZERO), "it is there already");
    assert!(!store.wait_for_feed(newest, Duration::from_millis(1)), "nothing came");
    let (seen, on_seen) = mpsc::channel();
    let follower = thread::spawn({
        let (store, mut after) = (Arc::clone(&store), newest);
        move || {
            for _ in 0..100 {
                assert!(store.wait_for_feed(after, Duration::MAX));
                after = after.next();
                if seen.send(store.feed(after, 1).map(|_| after)).is_err() {
                    break;
                }
            }
        }
    });
    for round in 0..100 {
        newest = commit(&store, vec![put("key", &round.to_string())])?;
        // A follower that is not woken would wait for ever; this is far more time than one that is woken takes.
        let Ok(seen) = on_seen.recv_timeout(Duration::from_secs(60)) else { unreachable!("the follower is not woken") };
        assert_eq!(seen?, newest);
    }
    assert!(follower.join().is_ok());
    Ok(())
}

fn follow_to_the_end(store: &impl Store, newest: Sequence) -> Result<(), StoreError> {
    let mut after = match store.feed(Sequence::ZERO, 1) {
        Err(StoreError::FeedGone { oldest }) => {
            assert!(oldest > Sequence::ZERO && oldest <= newest);
            oldest
        }
        answer => answer.map(|_| Sequence::ZERO)?,
    };
    loop {
        let changes = store.feed(after, 100)?;
        if changes.is_empty() {
            assert_eq!(after, newest);
            return Ok(());
        }
        for change in changes {
            assert_eq!(change.sequence.number(), after.number() + 1);
            after = change.sequence;
        }
    }
}
