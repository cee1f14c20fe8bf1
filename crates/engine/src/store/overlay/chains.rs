//! The values of recently written keys, one for each commit that wrote them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::pins::Span;
use crate::store::{KeyRange, Sequence, Write};

/// A key's values, oldest first, but for those that no reader sees. The first is what every reader sees that is older than the second.
#[derive(Default)]
struct Chain {
    /// Empty if there was no value before the one that the base has, or nobody sees that.
    values: Vec<(Sequence, Option<Bytes>)>,
    /// The commit with the newest value, where only the base has that value.
    in_base: Option<Sequence>,
}

impl Chain {
    /// The commit that wrote the newest value.
    fn newest(&self) -> Sequence {
        let newest_here = self.values.last().map_or(Sequence::ZERO, |(sequence, _)| *sequence);
        self.in_base.unwrap_or(newest_here)
    }

    /// The newest value; `None` where only the base has it.
    fn newest_value(&self) -> Option<Option<Bytes>> {
        self.visible(self.newest())
    }

    /// The value that a reader of `at` sees; `None` where only the base has it.
    fn visible(&self, at: Sequence) -> Option<Option<Bytes>> {
        if self.in_base.is_some_and(|sequence| sequence <= at) {
            return None;
        }
        // Readers mostly want one of the newest values.
        let found = self.values.iter().rev().find(|(sequence, _)| *sequence <= at).or(self.values.first());
        Some(found.and_then(|(_, value)| value.clone()))
    }

    /// Adds the value that commit `sequence` writes; `before` is the newest value before that.
    fn push(&mut self, sequence: Sequence, before: &Option<Bytes>, value: Option<Bytes>) {
        let base_has = self.in_base.take();
        if self.values.is_empty() {
            // Most keys are written once.
            self.values.reserve_exact(2);
            let oldest = if base_has.is_some() { None } else { before.clone() };
            self.values.push((Sequence::ZERO, oldest));
        }
        if let Some(base_has) = base_has {
            self.values.push((base_has, before.clone()));
        }
        self.values.push((sequence, value));
    }

    /// Drops the values that no reader of `floor` or later sees.
    fn trim(&mut self, floor: Sequence) {
        let keep = self.values.iter().rposition(|(sequence, _)| *sequence <= floor).unwrap_or(0);
        self.values.drain(..keep);
    }

    /// Drops what was superseded by a commit up to `applied`, which the base must have, and is seen by none of `readers`; and the newest value if the base
    /// has it and no reader shows it who may have read the base before that.
    fn settle(&mut self, applied: Sequence, readers: &[Span]) {
        let mut superseded = self.values.partition_point(|(sequence, _)| *sequence <= applied);
        if superseded == self.values.len()
            && self.in_base.is_none()
            && let Some((newest, _)) = self.values.pop_if(|(newest, _)| !readers.iter().any(|span| span.shows(*newest)))
        {
            self.in_base = Some(newest);
            superseded -= 1;
        }
        let newer = self.values.get(superseded).map(|(sequence, _)| *sequence).or(self.in_base);
        let mut until = newer.unwrap_or(applied.next());
        let old: Vec<_> = self.values.drain(..superseded).collect();
        let mut kept = Vec::new();
        for (since, value) in old.into_iter().rev() {
            let is_seen = readers.iter().any(|span| since <= span.newest && span.pin < until);
            if until > applied || is_seen {
                kept.push((since, value));
            }
            until = since;
        }
        self.values.splice(..0, kept.into_iter().rev());
        if self.in_base.is_some() && self.values.iter().all(|(_, value)| value.is_none()) {
            self.values = Vec::new();
        }
    }
}

/// What a commit wrote.
struct Past {
    sequence: Sequence,
    written: Written,
}

enum Written {
    /// All of it is in the chains.
    Whole(Arc<[Write]>),
    /// These keys; of their values the chains have only what readers of other states see.
    Keys(Box<[Bytes]>),
}

/// The recently written keys, each with its value before that and after each commit.
///
/// A key stays until its newest value is in the base and every reader sees that value. Where an old reader holds back too much, what the base has is
/// [settled](Chains::settle): the keys stay, and the values that the readers see which there are then.
#[derive(Default)]
pub(super) struct Chains {
    keys: BTreeMap<Bytes, Chain>,
    /// Which keys to look at when a commit's values may leave, oldest commit first.
    history: VecDeque<Past>,
    /// The commits of the history that are not settled, oldest first, with the bytes of their writes and of what was there before.
    whole: VecDeque<(Sequence, usize)>,
    whole_bytes: usize,
    /// How many of them the last look for what can be settled has left, at most.
    left_whole_bytes: usize,
    /// What a commit after this one wrote is here; what is older may have left.
    horizon: Sequence,
}

impl Chains {
    /// Nothing yet; what `horizon` and earlier commits wrote is not known.
    pub(super) fn new(horizon: Sequence) -> Self {
        Self { horizon, ..Self::default() }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The value of `key` as a reader of `at` sees it; `None` where only the base knows.
    pub(super) fn visible(&self, key: &[u8], at: Sequence) -> Option<Option<Bytes>> {
        self.keys.get(key).and_then(|chain| chain.visible(at))
    }

    /// The newest value of `key`; `None` where only the base knows.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.keys.get(key).and_then(Chain::newest_value)
    }

    /// The keys of `range` whose values are here, as a reader of `at` sees them.
    pub(super) fn visible_in(&self, range: &KeyRange, at: Sequence) -> Vec<(Bytes, Option<Bytes>)> {
        self.in_range(range).filter_map(|(key, chain)| Some((key.clone(), chain.visible(at)?))).collect()
    }

    /// Whether nothing in a range was written after `since`; no where that is not known any more.
    pub(super) fn unchanged(&self, range: &KeyRange, since: Sequence) -> bool {
        since >= self.horizon && self.in_range(range).all(|(_, chain)| chain.newest() <= since)
    }

    /// Adds what commit `sequence` writes; `before` are the values before that, in the order of `writes`.
    pub(super) fn push(&mut self, sequence: Sequence, writes: &Arc<[Write]>, before: &[Option<Bytes>]) {
        for (write, before) in writes.iter().zip(before) {
            let chain = self.keys.entry(write.key().clone()).or_default();
            chain.push(sequence, before, write.value().cloned());
        }
        let before = before.iter().flatten().map(Bytes::len);
        let bytes = writes.iter().map(Write::bytes).chain(before).sum();
        self.whole.push_back((sequence, bytes));
        self.whole_bytes += bytes;
        self.history.push_back(Past { sequence, written: Written::Whole(Arc::clone(writes)) });
    }

    /// Lets go of what no reader of `floor` or later needs, for up to `commits` commits; the base must have all up to `floor`. Whether that is all.
    pub(super) fn prune(&mut self, floor: Sequence, commits: usize) -> bool {
        for _ in 0..commits {
            let Some(past) = self.history.pop_front_if(|past| past.sequence <= floor) else {
                return true;
            };
            if let Some((_, bytes)) = self.whole.pop_front_if(|(sequence, _)| *sequence == past.sequence) {
                self.whole_bytes -= bytes;
                self.left_whole_bytes = self.left_whole_bytes.min(self.whole_bytes);
            }
            // With an older commit of a key a newer one leaves too, up to the floor.
            self.horizon = self.horizon.max(floor);
            match past.written {
                Written::Whole(writes) => writes.iter().for_each(|write| self.let_go(write.key(), floor)),
                Written::Keys(keys) => keys.iter().for_each(|key| self.let_go(key, floor)),
            }
        }
        false
    }

    fn let_go(&mut self, key: &Bytes, floor: Sequence) {
        // Most keys are not written again so soon.
        if let Some((key, mut chain)) = self.keys.remove_entry(key)
            && chain.newest() > floor
        {
            chain.trim(floor);
            self.keys.insert(key, chain);
        }
    }

    /// Whether more than `max_bytes` are not settled, and so many more than the last look has left that another one is worth it.
    pub(super) fn has_much_to_settle(&self, max_bytes: usize) -> bool {
        self.whole_bytes > max_bytes && self.whole_bytes - self.left_whole_bytes > max_bytes / 2
    }

    /// Takes note that all commits up to `applied`, which the base must have, are settled now, but for those that one of `readers` shows who may have read the
    /// base before it had them. Gives those that are to be [settled](Chains::settle).
    pub(super) fn take_unsettled(&mut self, applied: Sequence, readers: &[Span]) -> Vec<Sequence> {
        let mut taken = Vec::new();
        self.whole.retain(|(sequence, bytes)| {
            let stays = *sequence > applied || readers.iter().any(|span| span.shows(*sequence));
            if !stays {
                taken.push(*sequence);
                self.whole_bytes -= bytes;
            }
            stays
        });
        self.left_whole_bytes = self.whole_bytes;
        taken
    }

    /// Leaves the values of these commits to the base, and drops values before them that nobody reads. `applied` and `readers` are those with which
    /// [`Chains::take_unsettled`] gave the commits.
    pub(super) fn settle(&mut self, commits: &[Sequence], applied: Sequence, readers: &[Span]) {
        for commit in commits {
            // Some may have left altogether meanwhile.
            let Ok(at) = self.history.binary_search_by_key(commit, |past| past.sequence) else { continue };
            let written = &mut self.history[at].written;
            let Written::Whole(writes) = written else { continue };
            let keys: Box<[Bytes]> = writes.iter().map(|write| write.key().clone()).collect();
            for key in &keys {
                if let Some(chain) = self.keys.get_mut(key) {
                    chain.settle(applied, readers);
                }
            }
            *written = Written::Keys(keys);
        }
    }

    #[cfg(test)]
    pub(super) fn whole_bytes(&self) -> usize {
        self.whole_bytes
    }

    /// The bytes of all values that are kept.
    #[cfg(test)]
    pub(super) fn value_bytes(&self) -> usize {
        let values = self.keys.values().flat_map(|chain| &chain.values);
        values.map(|(_, value)| value.as_ref().map_or(0, Bytes::len)).sum()
    }

    fn in_range<'a>(&'a self, range: &KeyRange) -> impl Iterator<Item = (&'a Bytes, &'a Chain)> + use<'a> {
        let range = (!range.is_empty()).then(|| (range.start.clone(), range.end.clone()));
        range.map(|range| self.keys.range(range)).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_written_all_the_time_stays_short() {
        let mut chains = Chains::default();
        let writes: Arc<[Write]> = Arc::from([Write::Put(Bytes::from("hot"), Bytes::from("value"))]);
        for number in 1..=1000 {
            chains.push(Sequence::new(number), &writes, &[None]);
            assert!(chains.prune(Sequence::new(number - 1), 2));
            assert!(chains.keys["hot".as_bytes()].values.len() <= 2);
            assert!(chains.history.len() <= 1);
        }
        chains.prune(Sequence::new(1000), 1);
        assert_eq!(chains.len(), 0);
    }

    #[test]
    fn a_value_stays_for_a_reader_that_may_have_read_the_base_before_it_was_there() {
        let mut chains = Chains::default();
        for number in 1..=3 {
            let writes: Arc<[Write]> = Arc::from([Write::Put(Bytes::from("k"), Bytes::from(vec![number]))]);
            let before = Some(Bytes::from(vec![number - 1]));
            chains.push(Sequence::new(number.into()), &writes, &[before]);
        }
        let [zero, one, two, three] = [0, 1, 2, 3].map(Sequence::new);
        let visible = |chains: &Chains, at| chains.visible(b"k", at).map(|value| value.map(|value| value[0]));
        let (old, middle) = (Span { pin: zero, newest: zero }, Span { pin: one, newest: three });
        let taken = chains.take_unsettled(three, &[old, middle]);
        assert_eq!(taken, [one]);
        chains.settle(&taken, three, &[old, middle]);
        assert_eq!([zero, one, two, three].map(|at| visible(&chains, at)), [0, 1, 2, 3].map(|value| Some(Some(value))));
        // It closes.
        let taken = chains.take_unsettled(three, &[old]);
        assert_eq!(taken, [two, three]);
        chains.settle(&taken, three, &[old]);
        assert_eq!([zero, three].map(|at| visible(&chains, at)), [Some(Some(0)), None]);
        assert_eq!(chains.value_bytes(), 1);
        assert!(!chains.unchanged(&KeyRange::ALL, two));
    }

    #[test]
    fn what_left_with_an_older_commit_is_not_taken_for_unchanged() {
        let mut chains = Chains::default();
        for (number, key) in [(1, "twice"), (2, "other"), (3, "twice")] {
            let writes: Arc<[Write]> = Arc::from([Write::Put(Bytes::from(key), Bytes::from("value"))]);
            chains.push(Sequence::new(number), &writes, &[None]);
        }
        assert!(!chains.prune(Sequence::new(3), 1), "there is more to let go of");
        assert!(!chains.unchanged(&KeyRange::ALL, Sequence::new(2)));
        assert!(chains.unchanged(&KeyRange::ALL, Sequence::new(3)));
    }

    #[test]
    fn what_is_older_than_what_is_known_may_have_changed() {
        let unchanged = |chains: &Chains, since| chains.unchanged(&KeyRange::ALL, Sequence::new(since));
        let mut chains = Chains::new(Sequence::new(5));
        assert!(!unchanged(&chains, 4));
        assert!(unchanged(&chains, 5));
        chains.push(Sequence::new(6), &Arc::from([Write::Delete(Bytes::from("a"))]), &[None]);
        assert!(!unchanged(&chains, 5));
        chains.prune(Sequence::new(6), 1);
        assert!(!unchanged(&chains, 5));
        assert!(unchanged(&chains, 6));
    }
}
