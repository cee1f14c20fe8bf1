//! Removes nodes that are known by a list: those of transactions that failed after writing ahead, and those of purged values.

use std::ops::Bound;

use bytes::Bytes;

use super::{Flow, batch::Batch};
use crate::{
    BranchId, Lsn,
    codec::{self, key, key::NodeId, record},
    error::Error,
    store::{Direction, KeyRange},
};

/// Goes on after the list at `place`.
pub(super) fn work(batch: &mut Batch<'_>, place: &mut Option<Bytes>) -> Result<Flow, Error> {
    let all = KeyRange::prefix(b"a");
    let lists = match place.take() {
        None => all,
        Some(last) => KeyRange { start: Bound::Excluded(last), ..all },
    };
    for entry in batch.view.range(&lists, Direction::Ascending) {
        let (key, value) = entry?;
        *place = Some(key.clone());
        let (list, _) = codec::open::<record::Unneeded>(&key, &value)?;
        let (namespace, _) = key::node_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a list is too short"))?;
        let is_open = list
            .purged
            .is_some_and(|(owner, lsn)| batch.inner.versions.is_open(BranchId::new(namespace, owner), Lsn::new(lsn)));
        if is_open {
            batch.count_look();
            continue;
        }
        batch.depends_on(KeyRange::key(key.clone()));
        for id in list.nodes.into_iter().map(NodeId) {
            batch.remove_node(key::node(namespace, id), id)?;
        }
        batch.remove(key, value.len());
        // Each list is a commit of its own: where its transaction has come to its end after all, only this one is stale.
        if batch.flush()? == Flow::Stale {
            batch.count_look();
        }
        if batch.is_used_up() {
            return Ok(Flow::Paused);
        }
    }
    Ok(Flow::Done)
}
