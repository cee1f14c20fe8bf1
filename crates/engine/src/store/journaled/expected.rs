//! What a store must hold, by its snapshot and its journal alone: to tell whether an index is right, key by key, without trusting anything that was ever
//! read from it.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, iter::Peekable, sync::Arc};

use bytes::Bytes;

use super::{
    scan::{self, ScannedFrame},
    snapshots,
};
use crate::store::{
    Sequence, StoreError,
    digest::{self, SetDigest},
    disk::Disk,
};

/// Is shown each key with the hash of its entry; an error ends that.
type EachHash<'a> = &'a mut dyn FnMut(&[u8], u128) -> Result<(), StoreError>;

/// The newest write of each key in frames with commits after `after`: the hash of its entry, or none where it was deleted. Takes memory for the keys.
fn written(
    disk: &Arc<dyn Disk>,
    frames: &[ScannedFrame],
    after: Sequence,
) -> Result<BTreeMap<Bytes, Option<u128>>, StoreError> {
    let mut written = BTreeMap::new();
    scan::replay(disk, frames, after, |writes, _| {
        for write in writes {
            let hash = write.value().map(|value| digest::hash(write.key(), value));
            written.insert(write.key().clone(), hash);
        }
        Ok(())
    })?;
    Ok(written)
}

/// Shows each key that must be there, in their order, with the hash of its entry.
pub(crate) fn entries(
    disk: &Arc<dyn Disk>,
    store: u64,
    snapshot: Sequence,
    frames: &[ScannedFrame],
    each: EachHash<'_>,
) -> Result<(), StoreError> {
    let mut written = written(disk, frames, snapshot)?.into_iter().peekable();
    let mut dump = snapshots::open(disk, store, snapshot)?;
    for entry in &mut dump {
        let (key, value) = entry.map_err(snapshots::unreadable(snapshot))?;
        show_before(&mut written, Some(&key), each)?;
        match written.next_if(|(newer, _)| *newer == key) {
            Some((_, Some(hash))) => each(&key, hash)?,
            Some((_, None)) => {}
            None => each(&key, digest::hash(&key, &value))?,
        }
    }
    dump.finish().map_err(snapshots::unreadable(snapshot))?;
    show_before(&mut written, None, each)
}

/// Shows the keys that the journal has and the snapshot has not, up to the snapshot's next one.
fn show_before(
    written: &mut Peekable<impl Iterator<Item = (Bytes, Option<u128>)>>,
    key: Option<&Bytes>,
    each: EachHash<'_>,
) -> Result<(), StoreError> {
    while let Some((newer, hash)) = written.next_if(|(newer, _)| key.is_none_or(|key| newer < key)) {
        if let Some(hash) = hash {
            each(&newer, hash)?;
        }
    }
    Ok(())
}

/// Number and digest of all entries that must be there.
pub(crate) fn digest(
    disk: &Arc<dyn Disk>,
    store: u64,
    snapshot: Sequence,
    frames: &[ScannedFrame],
) -> Result<SetDigest, StoreError> {
    let mut digest = SetDigest::default();
    entries(disk, store, snapshot, frames, &mut |_, hash| {
        digest.add_hash(hash);
        Ok(())
    })?;
    Ok(digest)
}
