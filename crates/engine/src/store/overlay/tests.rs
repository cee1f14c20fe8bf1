use std::{collections::BTreeMap, ops::Bound};

use proptest::prelude::*;

use super::*;
use crate::store::{Condition, Entries, MemoryStore, Snapshot, Store};

type Hook = Box<dyn FnOnce() + Send>;

/// A base that lets something happen right before or right after it is read.
#[derive(Default)]
struct Hooked {
    entries: RwLock<BTreeMap<Bytes, Bytes>>,
    before: Mutex<Option<Hook>>,
    after: Mutex<Option<Hook>>,
}

impl Hooked {
    fn reading<T>(&self, read: impl FnOnce(&BTreeMap<Bytes, Bytes>) -> T) -> T {
        let run = |hook: &Mutex<Option<Hook>>| {
            let hook = hook.lock().take();
            if let Some(hook) = hook {
                hook();
            }
        };
        run(&self.before);
        let result = read(&self.entries.read());
        run(&self.after);
        result
    }
}

impl Base for Hooked {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.reading(|entries| entries.get(key).cloned()))
    }

    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Ok(self.reading(|entries| {
            let inside = entries.iter().filter(|(key, _)| range.contains(key));
            let inside = inside.map(|(key, value)| (key.clone(), value.clone()));
            match direction {
                Direction::Ascending => inside.take(limit).collect(),
                Direction::Descending => inside.rev().take(limit).collect(),
            }
        }))
    }
}

type Hookable = Arc<Overlay<Hooked>>;

/// An overlay on which the keys `a` to `e` are durable with the value `old`.
fn with_old_values() -> Hookable {
    with_old_values_and(usize::MAX)
}

/// The same, with a bound on what stays in the chains whole.
fn with_old_values_and(max_whole_bytes: usize) -> Hookable {
    let hot = Hot::with_bytes(1 << 16);
    let mut overlay = Overlay::new(Hooked::default(), Sequence::ZERO, usize::MAX, hot);
    overlay.max_whole_bytes = max_whole_bytes;
    let overlay = Arc::new(overlay);
    submit(&overlay, "old", &["a", "b", "c", "d", "e"]);
    flush(&overlay);
    overlay
}

fn submit(overlay: &Hookable, value: &'static str, keys: &[&'static str]) {
    let writes = keys.iter().map(|key| Write::Put(Bytes::from(*key), Bytes::from(value))).collect();
    let submitted = overlay.submit(Commit { conditions: Vec::new(), writes }).unwrap();
    assert!(matches!(submitted, Submitted::Applied(_)));
}

/// Writes what is pending to the base.
fn apply(overlay: &Hookable) -> Vec<Pending> {
    let commits = overlay.take(usize::MAX);
    let mut entries = overlay.base().entries.write();
    for write in commits.iter().flat_map(|commit| commit.writes.iter()) {
        match write.value() {
            Some(value) => entries.insert(write.key().clone(), value.clone()),
            None => entries.remove(write.key()),
        };
    }
    commits
}

fn flush(overlay: &Hookable) {
    let commits = apply(overlay);
    overlay.publish(&commits);
}

fn values(entries: Entries<'_>) -> Vec<Bytes> {
    entries.map(|entry| entry.unwrap().1).collect()
}

/// Reads in every way, each time letting `meanwhile` happen right before or right after the base is read, and expects `expected` each time.
fn check_reads(view: View, prepare: fn(&Hookable), meanwhile: fn(&Hookable), expected: &str) {
    type Read = fn(&OverlaySnapshot<'_, Hooked>) -> Vec<Bytes>;
    let reads: [(&str, Read); 3] = [
        ("get", |snapshot| snapshot.get(b"b").unwrap().into_iter().collect()),
        ("ascending", |snapshot| values(snapshot.range(&KeyRange::ALL, Direction::Ascending))),
        ("descending", |snapshot| values(snapshot.range(&KeyRange::ALL, Direction::Descending))),
    ];
    for (name, read) in reads {
        for (is_before, max_whole_bytes) in [(true, usize::MAX), (false, usize::MAX), (true, 0), (false, 0)] {
            let overlay = with_old_values_and(max_whole_bytes);
            prepare(&overlay);
            let snapshot = overlay.snapshot(view).unwrap();
            let hooked = Arc::clone(&overlay);
            let hook = if is_before { &overlay.base().before } else { &overlay.base().after };
            *hook.lock() = Some(Box::new(move || meanwhile(&hooked)));
            let found = read(&snapshot);
            assert!(!found.is_empty() && found.iter().all(|value| value == expected), "{name}, {is_before}: {found:?}");
        }
    }
}

#[test]
fn a_commit_during_a_read_does_not_show() {
    let commit = |overlay: &Hookable| {
        submit(overlay, "new", &["a", "b", "c", "d", "e", "f"]);
        flush(overlay);
    };
    check_reads(View::Durable, |_| (), commit, "old");
    check_reads(View::Latest, |_| (), commit, "old");
}

#[test]
fn a_pending_commit_shows_in_latest_while_it_becomes_durable() {
    let pending = |overlay: &Hookable| submit(overlay, "pending", &["a", "b", "c", "d", "e"]);
    check_reads(View::Latest, pending, flush, "pending");
    check_reads(View::Durable, pending, flush, "old");
}

#[test]
fn a_commit_that_fails_after_it_was_applied_never_shows() {
    let fail = |overlay: &Hookable| {
        submit(overlay, "failed", &["a", "b", "c", "d", "e", "f"]);
        drop(apply(overlay));
        overlay.fail(&StoreError::Closed);
    };
    check_reads(View::Durable, |_| (), fail, "old");
    for is_before in [true, false] {
        let overlay = with_old_values();
        let hooked = Arc::clone(&overlay);
        let hook = if is_before { &overlay.base().before } else { &overlay.base().after };
        *hook.lock() = Some(Box::new(move || fail(&hooked)));
        assert_eq!(overlay.get(View::Durable, b"a").unwrap().unwrap(), "old");
        assert_eq!(overlay.get(View::Durable, b"f").unwrap(), None);
    }
}

#[test]
fn a_quiet_overlay_holds_nothing() {
    let overlay = with_old_values();
    let held = || overlay.chained.load(Ordering::SeqCst);
    assert_eq!(held(), 0);
    let (older, newer) = (overlay.snapshot(View::Durable).unwrap(), overlay.snapshot(View::Latest).unwrap());
    submit(&overlay, "1", &["a", "b"]);
    submit(&overlay, "2", &["b", "c"]);
    flush(&overlay);
    let newest = overlay.snapshot(View::Durable).unwrap();
    drop(older);
    assert_eq!(held(), 3, "another snapshot of the same age is open");
    drop(newer);
    assert_eq!(held(), 0, "what is open sees what the base has");
    drop(newest);
    assert!(overlay.pins.lock().is_empty());
}

#[test]
fn a_snapshot_that_stays_open_costs_the_keys_of_later_commits_but_not_their_values() {
    let overlay = with_old_values_and(1000);
    let old = overlay.snapshot(View::Durable).unwrap();
    let value = Bytes::from(vec![1; 100]);
    let mut passing = None;
    for number in 0..500_u32 {
        // A node that is new, and a head that is overwritten.
        let writes = vec![
            Write::Create(Bytes::from(format!("node {number:03}")), value.clone()),
            Write::Put(Bytes::from("a"), Bytes::from(format!("{number:0100}"))),
        ];
        assert!(matches!(overlay.submit(Commit { conditions: Vec::new(), writes }), Ok(Submitted::Applied(_))));
        flush(&overlay);
        assert!(overlay.state.read().chains.value_bytes() < 2000);
        // Others come and go meanwhile.
        passing = Some(overlay.snapshot(View::Latest).unwrap());
    }
    drop(passing);
    assert_eq!(overlay.chained.load(Ordering::SeqCst), 501);
    assert_eq!(values(old.range(&KeyRange::ALL, Direction::Ascending)), vec![Bytes::from("old"); 5]);
    let condition = |unchanged_since| Condition { range: KeyRange::key(Bytes::from("node 007")), unchanged_since };
    let write = |since| Commit { conditions: vec![condition(since)], writes: vec![Write::Delete(Bytes::from("b"))] };
    assert_eq!(overlay.submit(write(old.sequence())).unwrap(), Submitted::Conflict, "what was written is known");
    let new = overlay.snapshot(View::Durable).unwrap();
    assert_eq!(new.get(b"node 007").unwrap(), Some(value));
    assert_eq!(new.get(b"a").unwrap(), Some(Bytes::from(format!("{:0100}", 499))));
    assert_eq!(old.get(b"node 007").unwrap(), None);
    drop((old, new));
    assert_eq!(overlay.chained.load(Ordering::SeqCst), 0);
    assert_eq!(overlay.state.read().chains.whole_bytes(), 0);
}

#[test]
fn a_short_range_that_was_read_needs_the_base_only_after_a_change_to_it() {
    let overlay = with_old_values();
    let range = KeyRange { start: Bound::Included(Bytes::from("b")), end: Bound::Excluded(Bytes::from("d")) };
    let read = |view, direction| values(overlay.snapshot(view).unwrap().range(&range, direction));
    let reads_base = |view| {
        let was_read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&was_read);
        *overlay.base().before.lock() = Some(Box::new(move || counted.store(1, Ordering::SeqCst)));
        let found = read(view, Direction::Ascending);
        *overlay.base().before.lock() = None;
        (was_read.load(Ordering::SeqCst) == 1, found)
    };
    let older = overlay.snapshot(View::Latest).unwrap();
    assert_eq!(reads_base(View::Durable), (true, vec![Bytes::from("old"); 2]));
    assert_eq!(reads_base(View::Latest), (false, vec![Bytes::from("old"); 2]));
    assert_eq!(read(View::Latest, Direction::Descending).len(), 2);

    submit(&overlay, "beside", &["a", "d", "e"]);
    flush(&overlay);
    // The open snapshot makes the overlay remember what was written.
    assert_eq!(reads_base(View::Durable), (false, vec![Bytes::from("old"); 2]), "nothing was written to it");

    submit(&overlay, "new", &["c", "cc"]);
    assert_eq!(reads_base(View::Durable).1, vec![Bytes::from("old"); 2], "not durable yet");
    let new = vec![Bytes::from("old"), Bytes::from("new"), Bytes::from("new")];
    assert_eq!(reads_base(View::Latest), (true, new.clone()));
    assert_eq!(values(older.range(&range, Direction::Ascending)), vec![Bytes::from("old"); 2], "it is older");
    flush(&overlay);
    assert_eq!(read(View::Durable, Direction::Ascending), new);
    assert_eq!(reads_base(View::Latest), (false, new));
}

#[test]
fn a_short_range_is_right_while_what_was_written_is_let_go_of() {
    let overlay = with_old_values();
    let range = KeyRange { start: Bound::Included(Bytes::from("b")), end: Bound::Excluded(Bytes::from("d")) };
    let read = || values(overlay.snapshot(View::Latest).unwrap().range(&range, Direction::Ascending));
    submit(&overlay, "first", &["b"]);
    for _ in 0..2 * PRUNED_AT_ONCE {
        submit(&overlay, "beside", &["z"]);
    }
    assert_eq!(read(), ["first", "old"]);
    submit(&overlay, "second", &["b"]);
    // As the overlay does it, up to where it lets others have their turn.
    let newest = apply(&overlay).last().unwrap().sequence;
    overlay.state.write().durable = newest;
    overlay.state.write().applied = newest;
    assert!(!overlay.state.write().chains.prune(newest, PRUNED_AT_ONCE));
    assert_eq!(read(), ["second", "old"]);
}

#[test]
fn a_short_range_is_forgotten_with_what_was_written_since() {
    let overlay = with_old_values();
    let range = KeyRange { start: Bound::Included(Bytes::from("b")), end: Bound::Excluded(Bytes::from("d")) };
    let read = || values(overlay.snapshot(View::Durable).unwrap().range(&range, Direction::Ascending));
    assert_eq!(read().len(), 2);
    submit(&overlay, "new", &["bb"]);
    flush(&overlay);
    submit(&overlay, "new", &["z"]);
    flush(&overlay);
    assert_eq!(overlay.chained.load(Ordering::SeqCst), 0, "what was written is in the base alone");
    assert_eq!(read().len(), 3);
}

#[cfg(debug_assertions)]
#[test]
fn create_vouches_for_an_absent_key() {
    let overlay = with_old_values();
    let create = |key: &'static str| {
        let writes = vec![Write::Create(Bytes::from(key), Bytes::from("1"))];
        overlay.submit(Commit { conditions: Vec::new(), writes })
    };
    assert!(create("new").is_ok());
    assert!(matches!(create("new"), Err(StoreError::InvalidCommit { .. })), "the key is pending");
    assert!(matches!(create("a"), Err(StoreError::InvalidCommit { .. })), "the key is in the base");
}

#[test]
fn keys_that_stores_keep_for_themselves_are_refused() {
    let overlay = with_old_values();
    for key in ["", "\0", "\0x"] {
        let commit = Commit { conditions: Vec::new(), writes: vec![Write::Delete(Bytes::from(key))] };
        assert!(matches!(overlay.submit(commit), Err(StoreError::InvalidCommit { .. })), "{key:?}");
    }
}

#[test]
fn the_feed_is_bounded() {
    let store = MemoryStore::new();
    let put = |value: Vec<u8>| Commit {
        conditions: vec![Condition { range: KeyRange::ALL, unchanged_since: Sequence::new(u64::MAX) }],
        writes: vec![Write::Put(Bytes::from("a"), value.into())],
    };
    for _ in 0..2000 {
        assert!(matches!(store.submit(put(vec![1])), Ok(Submitted::Applied(_))));
    }
    let oldest = Sequence::new(2000 - 1024);
    assert!(matches!(store.feed(Sequence::ZERO, 1), Err(StoreError::FeedGone { oldest: o }) if o == oldest));
    assert_eq!(store.feed(oldest, usize::MAX).unwrap().len(), 1024);
    assert!(matches!(store.submit(put(vec![1; 5 << 20])), Ok(Submitted::Applied(_))));
    assert_eq!(store.feed(Sequence::new(2000), usize::MAX).unwrap().len(), 1, "the newest is kept, however large");
    assert!(matches!(store.feed(Sequence::new(1999), 1), Err(StoreError::FeedGone { .. })));
}

#[test]
fn submissions_wait_while_too_much_is_pending() {
    let overlay = Arc::new(Overlay::new(Hooked::default(), Sequence::ZERO, 8, Hot::none()));
    submit(&overlay, "more than the limit", &["a"]);
    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            submit(&overlay, "next", &["b"]);
            published.load(Ordering::SeqCst)
        });
        // Lets the submitter run, if it does not wait as it should.
        (0..1000).for_each(|_| std::thread::yield_now());
        let commits = apply(&overlay);
        published.store(1, Ordering::SeqCst);
        overlay.publish(&commits);
        assert_eq!(submitter.join().unwrap(), 1, "accepted before there was room");
    });
}

#[test]
fn a_value_that_was_overwritten_while_it_was_read_is_not_kept() {
    for is_before in [true, false] {
        let overlay = with_old_values();
        let hooked = Arc::clone(&overlay);
        let hook = if is_before { &overlay.base().before } else { &overlay.base().after };
        *hook.lock() = Some(Box::new(move || {
            submit(&hooked, "new", &["a"]);
            flush(&hooked);
        }));
        overlay.get(View::Durable, b"a").unwrap();
        assert_eq!(overlay.get(View::Durable, b"a").unwrap().unwrap(), "new");
    }
}

#[test]
fn a_value_that_is_kept_leaves_when_it_is_overwritten_or_deleted() {
    let overlay = with_old_values();
    for value in ["old", "newer", "newest"] {
        // The second read finds what the first one kept.
        for _ in 0..2 {
            assert_eq!(overlay.get(View::Durable, b"a").unwrap().unwrap(), value);
        }
        let next = if value == "old" { "newer" } else { "newest" };
        submit(&overlay, next, &["a"]);
        assert_eq!(overlay.get(View::Durable, b"a").unwrap().unwrap(), value, "not before it is durable");
        flush(&overlay);
    }
    let delete = Commit { conditions: Vec::new(), writes: vec![Write::Delete(Bytes::from("a"))] };
    assert!(matches!(overlay.submit(delete), Ok(Submitted::Applied(_))));
    flush(&overlay);
    assert_eq!(overlay.get(View::Durable, b"a").unwrap(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Write(BTreeMap<u8, Option<u8>>),
    /// Makes durable what is pending.
    Flush,
    /// Brings what is durable to the base, and lets go of what so many commits wrote.
    Apply(usize),
    /// Leaves to the base what it can have alone.
    Settle,
    Open(View),
    Close(prop::sample::Index),
    /// Reads a range in an open snapshot and in a new one of each view.
    Read(prop::sample::Index, u8, u8, Direction),
}

fn step() -> impl Strategy<Value = Step> {
    let view = || prop_oneof![Just(View::Durable), Just(View::Latest)];
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    prop_oneof![
        4 => prop::collection::btree_map(0..8_u8, prop::option::weighted(0.7, any::<u8>()), 1..3).prop_map(Step::Write),
        2 => Just(Step::Flush),
        2 => (1..6_usize).prop_map(Step::Apply),
        2 => Just(Step::Settle),
        1 => view().prop_map(Step::Open),
        1 => any::<prop::sample::Index>().prop_map(Step::Close),
        // Few ranges, so that they are read again.
        6 => (any::<prop::sample::Index>(), 0..3_u8, 3..6_u8, direction)
            .prop_map(|(snapshot, start, end, direction)| Step::Read(snapshot, start, end, direction)),
    ]
}

fn bytes(byte: u8) -> Bytes {
    Bytes::from(vec![b'k', byte])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn reads_are_what_a_map_of_each_commit_has(steps in prop::collection::vec(step(), 1..120), is_hot: bool) {
        let hot = if is_hot { Hot::with_bytes(1 << 16) } else { Hot::none() };
        let mut overlay = Overlay::new(Hooked::default(), Sequence::ZERO, usize::MAX, hot);
        overlay.max_whole_bytes = 0;
        let mut states: Vec<BTreeMap<Bytes, Bytes>> = vec![BTreeMap::new()];
        let mut snapshots = Vec::new();
        let mut unapplied: Vec<Pending> = Vec::new();
        for step in steps {
            match step {
                Step::Write(changes) => {
                    let mut state = states[states.len() - 1].clone();
                    let mut writes = Vec::new();
                    for (key, value) in changes {
                        let key = bytes(key);
                        writes.push(match value.map(bytes) {
                            Some(value) => {
                                state.insert(key.clone(), value.clone());
                                Write::Put(key, value)
                            }
                            None => {
                                state.remove(&key);
                                Write::Delete(key)
                            }
                        });
                    }
                    states.push(state);
                    let submitted = overlay.submit(Commit { conditions: Vec::new(), writes }).unwrap();
                    prop_assert!(matches!(submitted, Submitted::Applied(_)));
                }
                Step::Flush => {
                    let commits = overlay.take(usize::MAX);
                    overlay.durable(&commits);
                    unapplied.extend(commits);
                }
                Step::Apply(commits) => {
                    let Some(newest) = unapplied.last().map(|commit| commit.sequence) else { continue };
                    let state = &states[usize::try_from(newest.number()).unwrap()];
                    *overlay.base().entries.write() = state.clone();
                    unapplied.clear();
                    let mut state = overlay.state.write();
                    state.applied = newest;
                    let oldest = overlay.pins.lock().oldest();
                    state.chains.prune(oldest.map_or(newest, |pin| pin.min(newest)), commits);
                    overlay.chained.store(state.chains.len(), Ordering::SeqCst);
                }
                Step::Settle => overlay.settle(),
                Step::Open(view) => snapshots.push(overlay.snapshot(view).unwrap()),
                Step::Close(index) if !snapshots.is_empty() => {
                    drop(snapshots.swap_remove(index.index(snapshots.len())));
                }
                Step::Close(_) => {}
                Step::Read(index, start, end, direction) => {
                    let range = KeyRange { start: Bound::Included(bytes(start)), end: Bound::Excluded(bytes(end)) };
                    let new = [View::Durable, View::Latest].map(|view| overlay.snapshot(view).unwrap());
                    for (view, snapshot) in [View::Durable, View::Latest].into_iter().zip(&new) {
                        let state = &states[usize::try_from(snapshot.sequence().number()).unwrap()];
                        let key = bytes(end);
                        prop_assert_eq!(overlay.get(view, &key).unwrap(), state.get(&key).cloned());
                    }
                    let open = (!snapshots.is_empty()).then(|| &snapshots[index.index(snapshots.len())]);
                    for snapshot in new.iter().chain(open) {
                        let state = &states[usize::try_from(snapshot.sequence().number()).unwrap()];
                        let key = bytes(start);
                        prop_assert_eq!(snapshot.get(&key).unwrap(), state.get(&key).cloned(), "at {}", snapshot.sequence());
                        let found: Vec<_> = snapshot.range(&range, direction).map(|entry| entry.unwrap()).collect();
                        let expected = state.range(bytes(start)..bytes(end)).map(|(key, value)| (key.clone(), value.clone()));
                        let mut expected: Vec<_> = expected.collect();
                        if direction == Direction::Descending {
                            expected.reverse();
                        }
                        prop_assert_eq!(found, expected, "at {}", snapshot.sequence());
                    }
                }
            }
        }
    }
}
