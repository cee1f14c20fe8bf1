//! The values of recently written keys, one for each commit that wrote them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::pins::Span;
use crate::store::{KeyRange, Sequence, Write};

/// A key's values, oldest first. The first is what every reader sees that is older than the second; no value means that there was none.
#[derive(Default)]
struct Chain {
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

    /// Drops the value of commit `sequence`, which the base must have, if it is the newest, and the one before it if nobody reads that.
    fn settle(&mut self, sequence: Sequence, readers: &[Span]) {
        let Ok(at) = self.values.binary_search_by_key(&sequence, |(sequence, _)| *sequence) else { return };
        if at + 1 == self.values.len() && self.in_base.is_none() {
            self.values.truncate(at);
            self.in_base = Some(sequence);
        }
        if let Some(before) = at.checked_sub(1) {
            let since = self.values[before].0;
            if !readers.iter().any(|span| since <= span.newest && span.pin < sequence) {
                self.values.remove(before);
            }
        }
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
    /// These keys; the chains have of their values only what readers of other states need.
    Keys(Box<[Bytes]>),
}

/// The recently written keys, each with its value before that and after each commit.
///
/// A key stays until its newest value is in the base and every reader sees that value. Where an old reader holds back too much, the values that the
/// base has are [settled](Chains::settle): only the keys stay, and what the old reader sees.
#[derive(Default)]
pub(super) struct Chains {
    keys: BTreeMap<Bytes, Chain>,
    /// Which keys to look at when a commit's values may leave, oldest commit first.
    history: VecDeque<Past>,
    /// The commits of the history that are not settled, oldest first, with their bytes.
    whole: VecDeque<(Sequence, usize)>,
    whole_bytes: usize,
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
        let bytes = writes.iter().map(Write::bytes).sum();
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

    /// The commits to [settle](Chains::settle), if those that are not settled have more than `max_bytes`: all up to `applied`, which the base must have,
    /// but for those that a reader shows who may have read the base before it had them.
    pub(super) fn unsettled(&self, max_bytes: usize, applied: Sequence, readers: &[Span]) -> Vec<Sequence> {
        if self.whole_bytes <= max_bytes {
            return Vec::new();
        }
        let in_base = self.whole.iter().map(|(sequence, _)| *sequence).take_while(|sequence| *sequence <= applied);
        let is_shown = |sequence| readers.iter().any(|span| span.pin < sequence && sequence <= span.newest);
        in_base.filter(|sequence| !is_shown(*sequence)).collect()
    }

    /// Leaves the values of these commits to the base, and drops those before them that nobody reads. `readers` are those that there were when
    /// [`Chains::unsettled`] named the commits, or more.
    pub(super) fn settle(&mut self, commits: &[Sequence], readers: &[Span]) {
        for commit in commits {
            // Some may have left altogether meanwhile.
            let Ok(at) = self.whole.binary_search_by_key(commit, |(sequence, _)| *sequence) else { continue };
            self.whole_bytes -= self.whole.remove(at).map_or(0, |(_, bytes)| bytes);
            let Ok(at) = self.history.binary_search_by_key(commit, |past| past.sequence) else { continue };
            let written = &mut self.history[at].written;
            let Written::Whole(writes) = written else { continue };
            let keys: Box<[Bytes]> = writes.iter().map(|write| write.key().clone()).collect();
            for key in &keys {
                if let Some(chain) = self.keys.get_mut(key) {
                    chain.settle(*commit, readers);
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
