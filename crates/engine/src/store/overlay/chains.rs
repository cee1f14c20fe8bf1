//! The values of recently written keys, one for each commit that wrote them.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
};

use bytes::Bytes;

use crate::store::{KeyRange, Sequence, Write};

/// A key's values, oldest first. The first is what every reader sees that is older than the second.
struct Chain(Vec<(Sequence, Option<Bytes>)>);

impl Chain {
    fn newest(&self) -> Sequence {
        self.0.last().map_or(Sequence::ZERO, |(sequence, _)| *sequence)
    }

    fn newest_value(&self) -> Option<Bytes> {
        self.0.last().and_then(|(_, value)| value.clone())
    }

    /// The value that a reader of `at` sees.
    fn visible(&self, at: Sequence) -> Option<Bytes> {
        // Readers mostly want one of the newest values.
        let found = self.0.iter().rev().find(|(sequence, _)| *sequence <= at).or(self.0.first());
        found.and_then(|(_, value)| value.clone())
    }

    /// Drops the values that no reader of `floor` or later sees.
    fn trim(&mut self, floor: Sequence) {
        let keep = self.0.iter().rposition(|(sequence, _)| *sequence <= floor).unwrap_or(0);
        self.0.drain(..keep);
    }
}

/// The recently written keys, each with its value before that and after each commit.
///
/// A key stays until its newest value is in the base and every reader sees that value.
#[derive(Default)]
pub(super) struct Chains {
    keys: BTreeMap<Bytes, Chain>,
    /// Which keys to look at when a commit's values may leave, oldest commit first.
    history: VecDeque<(Sequence, Arc<[Write]>)>,
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
        self.keys.get(key).map(|chain| chain.visible(at))
    }

    /// The newest value of `key`; `None` where only the base knows.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.keys.get(key).map(Chain::newest_value)
    }

    /// The keys of `range` that are here, each with its value as a reader of `at` sees it.
    pub(super) fn visible_in(&self, range: &KeyRange, at: Sequence) -> Vec<(Bytes, Option<Bytes>)> {
        self.in_range(range).map(|(key, chain)| (key.clone(), chain.visible(at))).collect()
    }

    /// Whether nothing in a range was written after `since`; no where that is not known any more.
    pub(super) fn unchanged(&self, range: &KeyRange, since: Sequence) -> bool {
        since >= self.horizon && self.in_range(range).all(|(_, chain)| chain.newest() <= since)
    }

    /// Adds what commit `sequence` writes; `before` are the values before that, in the order of `writes`.
    pub(super) fn push(&mut self, sequence: Sequence, writes: &Arc<[Write]>, before: &[Option<Bytes>]) {
        for (write, before) in writes.iter().zip(before) {
            let chain = match self.keys.entry(write.key().clone()) {
                Entry::Occupied(chain) => chain.into_mut(),
                Entry::Vacant(slot) => {
                    // Most keys are written once.
                    let mut values = Vec::with_capacity(2);
                    values.push((Sequence::ZERO, before.clone()));
                    slot.insert(Chain(values))
                }
            };
            chain.0.push((sequence, write.value().cloned()));
        }
        self.history.push_back((sequence, Arc::clone(writes)));
    }

    /// Lets go of what no reader of `floor` or later needs, for up to `commits` commits; the base must have all up to `floor`. Whether that is all.
    pub(super) fn prune(&mut self, floor: Sequence, commits: usize) -> bool {
        for _ in 0..commits {
            let Some((_, writes)) = self.history.pop_front_if(|(sequence, _)| *sequence <= floor) else {
                return true;
            };
            // With an older commit of a key a newer one leaves too, up to the floor.
            self.horizon = self.horizon.max(floor);
            for write in writes.iter() {
                // Most keys are not written again so soon.
                if let Some((key, mut chain)) = self.keys.remove_entry(write.key())
                    && chain.newest() > floor
                {
                    chain.trim(floor);
                    self.keys.insert(key, chain);
                }
            }
        }
        false
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
            assert!(chains.keys["hot".as_bytes()].0.len() <= 2);
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
