//! A closed store as the next start will see it, without changing it.

use bytes::Bytes;

use crate::store::{
    Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View, Write,
    journaled::{
        index::Index,
        scan::{self, ScannedFrame},
        stamp::Stamp,
    },
    overlay::{Hot, Overlay},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::store::disk::Disk;

/// How many bytes of writes go to the overlay at once; a commit may have more than that.
const COMMIT_BYTES: usize = 1 << 20;

/// An index with the journal's later commits on top, in memory. It takes no commits.
pub(crate) struct Offline<I>(Overlay<I>);

impl<I: Index> Offline<I> {
    /// Puts the frames with commits after `applied` on top of an index.
    pub(crate) fn new(
        disk: &Arc<dyn Disk>,
        index: I,
        frames: &[ScannedFrame],
        applied: Sequence,
    ) -> Result<Self, StoreError> {
        let overlay = Overlay::new(index, Sequence::ZERO, usize::MAX, Hot::none());
        let mut newest = BTreeMap::new();
        scan::replay(disk, frames, applied, |writes, _: &Stamp| {
            newest.extend(writes.iter().map(|write| (write.key().clone(), write.value().cloned())));
            Ok(())
        })?;
        let (mut writes, mut bytes) = (Vec::new(), 0);
        for (key, value) in newest {
            bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            writes.push(value.map_or_else(|| Write::Delete(key.clone()), |value| Write::Put(key.clone(), value)));
            if bytes >= COMMIT_BYTES {
                show(&overlay, std::mem::take(&mut writes))?;
                bytes = 0;
            }
        }
        show(&overlay, writes)?;
        Ok(Self(overlay))
    }

    /// The index alone.
    pub(crate) fn index(&self) -> &I {
        self.0.base()
    }
}

/// Lets readers see writes that the index does not have.
fn show<I: Index>(overlay: &Overlay<I>, writes: Vec<Write>) -> Result<(), StoreError> {
    // Nothing else commits, so there is no conflict.
    let _ = overlay.submit(Commit { conditions: Vec::new(), writes })?;
    overlay.durable(&overlay.take(usize::MAX));
    Ok(())
}

impl<I: Index> Store for Offline<I> {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.0.snapshot(view)?))
    }

    fn submit(&self, _: Commit) -> Result<Submitted, StoreError> {
        Err(StoreError::Closed)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.0.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.0.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        0
    }
}
