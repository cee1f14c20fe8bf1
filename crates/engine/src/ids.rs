//! Gives out ids: sequential, never twice, in blocks, so that few commits write the counter.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    codec::{self, key, record},
    error::Error,
    store::{Commit, Condition, KeyRange, Store, Submitted, View, Write},
};

/// How many ids are taken at a time. What is left of a block when the process ends is never used.
const BLOCK: u64 = 4096;

pub(crate) struct Ids {
    store: Arc<dyn Store>,
    block: Mutex<Block>,
}

/// Ids after `last`, up to and with `end`, are ours.
struct Block {
    last: u64,
    end: u64,
}

impl Ids {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, block: Mutex::new(Block { last: 0, end: 0 }) }
    }

    pub(crate) fn next(&self) -> Result<u64, Error> {
        let mut block = self.block.lock();
        if block.last == block.end {
            *block = self.take_block()?;
        }
        block.last += 1;
        Ok(block.last)
    }

    /// Takes a block, without waiting until that is durable: whatever uses an id of it is committed later, and becomes durable later.
    fn take_block(&self) -> Result<Block, Error> {
        loop {
            let snapshot = self.store.snapshot(View::Latest)?;
            let value =
                snapshot.get(&key::IDS)?.ok_or_else(|| Error::corrupt(&key::IDS, "counter of ids is missing"))?;
            let (ids, _) = codec::open::<record::Ids>(&key::IDS, &value)?;
            let end = ids.last.checked_add(BLOCK).ok_or_else(|| Error::corrupt(&key::IDS, "all ids are used"))?;
            let (value, _) = codec::seal(&key::IDS, &record::Ids { last: end })?;
            let condition = Condition { range: KeyRange::key(key::IDS), unchanged_since: snapshot.sequence() };
            let commit = Commit { conditions: vec![condition], writes: vec![Write::Put(key::IDS, value)] };
            match self.store.submit(commit)? {
                Submitted::Applied(_) => return Ok(Block { last: ids.last, end }),
                Submitted::Conflict => continue,
            }
        }
    }
}
