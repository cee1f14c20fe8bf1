//! Works off the notes about versions that may not be needed any more.

use std::ops::Bound;

use bytes::Bytes;

use super::{
    Flow,
    apart::Maps,
    batch::{Batch, KEYS_PER_COMMIT},
    namespaces,
};
use crate::{
    BranchId, Lsn, branch,
    codec::{self, key, record},
    error::Error,
    store::{Direction, KeyRange, Write},
    tree::Root,
    version::VersionData,
};

/// Goes on after the note at `place`.
pub(super) fn work(batch: &mut Batch<'_>, place: &mut Option<Bytes>) -> Result<Flow, Error> {
    let all = KeyRange::prefix(b"g");
    let notes = match place.take() {
        None => all,
        Some(last) => KeyRange { start: Bound::Excluded(last), ..all },
    };
    for entry in batch.view.range(&notes, Direction::Ascending) {
        let (note, value) = entry?;
        let before = place.replace(note.clone());
        let flow = match (key::branch_of(&note), key::trailing_lsn(&note), key::namespace_of(&note)) {
            (Some(id), Some(from), _) => {
                let (garbage, _) = codec::open::<record::Garbage>(&note, &value)?;
                let to = Lsn::new(garbage.to_lsn);
                Note { id, from, to, key: note, value_bytes: value.len() }.work(batch)?
            }
            (None, _, Some(namespace)) => namespaces::wipe(batch, namespace, &note)?,
            _ => return Err(Error::corrupt(&note, "key of a note is too short")),
        };
        if flow != Flow::Done {
            // The same note again.
            *place = before;
            return Ok(flow);
        }
        match batch.flush_if_large()? {
            Flow::Done => {}
            flow => return Ok(flow),
        }
    }
    Ok(Flow::Done)
}

/// A note about the versions that a branch made, from one LSN to another.
struct Note {
    id: BranchId,
    from: Lsn,
    to: Lsn,
    key: Bytes,
    value_bytes: usize,
}

/// A version that stays, as a neighbour of one that goes.
struct Neighbour {
    owner: BranchId,
    lsn: Lsn,
    root: Root,
}

/// What is known of a branch.
struct Known {
    /// The version that it was forked from.
    origin: Option<record::VersionRef>,
    /// Versions from here on can be read; none where the branch is deleted.
    first: Option<Lsn>,
}

impl Note {
    fn work(self, batch: &mut Batch<'_>) -> Result<Flow, Error> {
        let Some(known) = self.look_up(batch)? else {
            batch.depends_on(KeyRange::key(self.key.clone()));
            batch.remove(self.key, self.value_bytes);
            return Ok(Flow::Done);
        };
        let mut before = self.neighbour_before(batch, &known)?;
        let mut maps = Maps::new(&batch.inner.nodes, self.id.namespace());
        let view = batch.view;
        let mut versions = view.range(&key::versions_from(self.id, self.from), Direction::Ascending).peekable();
        let mut is_left = false;
        while let Some(entry) = versions.next() {
            let (key, value) = entry?;
            let lsn = key::trailing_lsn(&key).ok_or_else(|| Error::corrupt(&key, "key of a version is too short"))?;
            if lsn > self.to || known.first.is_some_and(|first| lsn >= first) {
                before = Some(self.neighbour(lsn, &key, &value)?);
                break;
            }
            let stays = self.stays(batch, lsn)?;
            is_left |= stays == Stays::Open;
            if stays != Stays::No {
                batch.count_look();
                before = Some(self.neighbour(lsn, &key, &value)?);
                continue;
            }
            let after = match versions.peek() {
                None => None,
                Some(Err(error)) => return Err(error.clone().into()),
                Some(Ok((key, value))) => {
                    let lsn = key::trailing_lsn(key).unwrap_or(lsn);
                    Some(self.neighbour(lsn, key, value)?)
                }
            };
            let neighbours = [before.as_ref(), after.as_ref()];
            let flow = self.remove(batch, &mut maps, (&key, &value), neighbours.into_iter().flatten())?;
            if flow != Flow::Done {
                return Ok(flow);
            }
            match batch.flush_if_large()? {
                Flow::Done => {}
                // The note stays. What is gone is not looked at again.
                flow => return Ok(flow),
            }
        }
        drop(versions);
        if known.first.is_none() && before.as_ref().is_none_or(|before| before.owner != self.id) {
            // It may never have had a version of its own.
            self.forget_branch(batch, &known)?;
        }
        if !is_left {
            batch.depends_on(KeyRange::key(self.key.clone()));
            batch.remove(self.key, self.value_bytes);
        }
        Ok(Flow::Done)
    }

    /// What is known of the branch; none where it is forgotten, or where its namespace is deleted and goes as a whole.
    fn look_up(&self, batch: &Batch<'_>) -> Result<Option<Known>, Error> {
        if batch.view.get(&key::namespace(self.id.namespace()))?.is_none() {
            return Ok(None);
        }
        if let Some(record) = branch::load(batch.view, self.id)? {
            return Ok(Some(Known { origin: record.origin(), first: Some(branch::first(&record).0) }));
        }
        let key = key::deleted_branch(self.id);
        let Some(value) = batch.view.get(&key)? else { return Ok(None) };
        let (deleted, _) = codec::open::<record::Deleted>(&key, &value)?;
        let record =
            deleted.branch.ok_or_else(|| Error::corrupt(&key, "the mark does not hold the branch as it was"))?;
        Ok(Some(Known { origin: record.origin(), first: None }))
    }

    fn neighbour(&self, lsn: Lsn, key: &Bytes, value: &Bytes) -> Result<Neighbour, Error> {
        neighbour(self.id, lsn, key, value)
    }

    /// The version before those of the note: the branch's own, or its origin.
    fn neighbour_before(&self, batch: &Batch<'_>, known: &Known) -> Result<Option<Neighbour>, Error> {
        let own = branch::Read::last(batch.view, &key::versions_before(self.id, self.from))?;
        if let Some((key, value)) = own {
            let lsn = key::trailing_lsn(&key).ok_or_else(|| Error::corrupt(&key, "key of a version is too short"))?;
            return self.neighbour(lsn, &key, &value).map(Some);
        }
        let Some(origin) = known.origin else { return Ok(None) };
        let (owner, lsn) = (BranchId::new(self.id.namespace(), origin.owner), Lsn::new(origin.lsn));
        let key = key::version(owner, lsn);
        let value = batch.view.get(&key)?.ok_or_else(|| Error::corrupt(&key, "version is missing"))?;
        neighbour(owner, lsn, &key, &value).map(Some)
    }

    fn stays(&self, batch: &Batch<'_>, lsn: Lsn) -> Result<Stays, Error> {
        let mut references = batch.view.range(&key::references(self.id, lsn, lsn), Direction::Ascending);
        if references.next().transpose()?.is_some() {
            // Whoever gives it up leaves a note.
            return Ok(Stays::Referenced);
        }
        Ok(if batch.inner.versions.is_open(self.id, lsn) { Stays::Open } else { Stays::No })
    }

    fn remove<'n>(
        &self,
        batch: &mut Batch<'_>,
        maps: &mut Maps<'_>,
        (key, value): (&Bytes, &Bytes),
        neighbours: impl Iterator<Item = &'n Neighbour>,
    ) -> Result<Flow, Error> {
        let lsn = key::trailing_lsn(key).ok_or_else(|| Error::corrupt(key, "key of a version is too short"))?;
        let version = VersionData::decode(self.id, lsn, key, value)?;
        let neighbours: Vec<_> = neighbours.collect();
        let roots: Vec<Root> = neighbours.iter().map(|neighbour| neighbour.root.clone()).collect();
        let apart = match maps.take_apart(&version.root, &roots, false, KEYS_PER_COMMIT) {
            Ok(apart) => apart,
            Err(error) => {
                // What could be taken before this one need not wait for it.
                batch.flush()?;
                return Err(error);
            }
        };
        // Nobody may refer to it from now on, or change a version beside it.
        batch.depends_on(key::references(self.id, lsn, lsn));
        for neighbour in &neighbours {
            batch.depends_on(KeyRange::key(key::version(neighbour.owner, neighbour.lsn)));
        }
        batch.remove(key.clone(), value.len());
        batch.remove_if_there(key::instant(self.id, version.micros, lsn))?;
        batch.count(|removed| removed.versions += 1);
        if let (false, Root::Stored(root)) = (apart.is_whole, &version.root) {
            // Too much for one commit: its nodes go in several, before anything else does.
            let detached = record::Detached {
                namespace: self.id.namespace().get(),
                root: root.id.0,
                checksum: root.checksum.0,
                neighbours: neighbours.iter().map(|beside| (beside.owner.number(), beside.lsn.get())).collect(),
            };
            batch.depends_on(KeyRange::key(key::DETACHED));
            batch.write(Write::Create(key::DETACHED, codec::seal(&key::DETACHED, &detached)?.0));
            return Ok(if batch.flush()? == Flow::Stale { Flow::Stale } else { Flow::Paused });
        }
        for id in apart.nodes {
            batch.remove_node(key::node(self.id.namespace(), id), id)?;
        }
        Ok(Flow::Done)
    }

    /// Nothing of a deleted branch is left: its mark goes, and its reference to what it was forked from.
    fn forget_branch(&self, batch: &mut Batch<'_>, known: &Known) -> Result<(), Error> {
        batch.depends_on(key::versions_from(self.id, Lsn::new(0)));
        batch.remove_if_there(key::deleted_branch(self.id))?;
        batch.count(|removed| removed.branches += 1);
        if let Some(origin) = known.origin {
            let (owner, lsn) = (BranchId::new(self.id.namespace(), origin.owner), Lsn::new(origin.lsn));
            batch.remove_if_there(key::reference_of_child(owner, lsn, self.id.number()))?;
            batch.note(owner, lsn, lsn)?;
        }
        Ok(())
    }
}

/// Why a version is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    No,
    Referenced,
    Open,
}

fn neighbour(owner: BranchId, lsn: Lsn, key: &Bytes, value: &Bytes) -> Result<Neighbour, Error> {
    Ok(Neighbour { owner, lsn, root: VersionData::decode(owner, lsn, key, value)?.root })
}
