//! Cuts the history of branches at the start of their namespace's window.
//!
//! A cut moves the first version that can be read, in one commit, like any other writer of the branch's record: under the branch's lock, on the
//! newest state. What is before it is left to the rest of the collector, which takes it when no reader can find it any more.

use std::{collections::BTreeSet, ops::Bound};

use bytes::Bytes;

use super::{Collected, Flow, batch::Batch};
use crate::{
    BranchId,
    branch::{self, Read},
    clock::Micros,
    codec::{self, envelope, key, record},
    error::Error,
    retention,
    store::{Commit, Condition, Direction, KeyRange, Snapshot, Submitted, View, Write},
};

/// Goes on after the namespace whose window is at `place`.
pub(super) fn work(batch: &mut Batch<'_>, place: &mut Option<Bytes>) -> Result<Flow, Error> {
    let all = KeyRange::prefix(b"w");
    let windows = match place.take() {
        None => all,
        Some(last) => KeyRange { start: Bound::Excluded(last), ..all },
    };
    for entry in batch.view.range(&windows, Direction::Ascending) {
        let (key, value) = entry?;
        // Where this one is damaged, the next step goes on behind it.
        *place = Some(key.clone());
        let window = retention::decode(&key, &value)?;
        let namespace = key::namespace_of(&key).ok_or_else(|| Error::corrupt(&key, "key of a window is too short"))?;
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        let mut damage = None;
        let start = Micros(batch.inner.instants.now().0.saturating_sub(window));
        for entry in batch.view.range(&key::expiries_until(namespace, start), Direction::Ascending) {
            let (key, _) = entry?;
            let expiry = key::expiry_of(&key).ok_or_else(|| Error::corrupt(&key, "key in the queue is too short"))?;
            match cut(batch, key, expiry, start) {
                // One branch that is damaged does not keep the others from being cut.
                Err(error @ Error::Corrupt { .. }) => damage = damage.or(Some(error)),
                done => done?,
            }
            if batch.is_used_up() {
                // What was cut is not in the queue any more: the same namespace again.
                *place = None;
                return Ok(Flow::Paused);
            }
        }
        if let Some(error) = damage {
            return Err(error);
        }
        batch.count_look();
        if batch.is_used_up() {
            return Ok(Flow::Paused);
        }
    }
    Ok(Flow::Done)
}

/// Cuts one branch's history, unless somebody else changes the branch at this moment: then the next round does.
fn cut(batch: &mut Batch<'_>, queued: Bytes, (id, superseded): (BranchId, Micros), start: Micros) -> Result<(), Error> {
    let inner = batch.inner;
    let held = inner.locks.hold(&BTreeSet::from([id]));
    let snapshot = inner.store.snapshot(View::Latest)?;
    let mut writes = vec![Write::Delete(queued.clone())];
    let record = branch::load(snapshot.as_ref(), id)?;
    let mut cuts = 0;
    if let Some(record) = record
        && branch::oldest_superseded(snapshot.as_ref(), id, &record)? == Some(superseded)
    {
        writes.extend(cut_record(snapshot.as_ref(), id, record, start)?);
        cuts = 1;
    }
    let conditions = [key::branch(id), queued]
        .map(|key| Condition { range: KeyRange::key(key), unchanged_since: snapshot.sequence() });
    if let Submitted::Applied(ticket) = inner.store.submit(Commit { conditions: conditions.into(), writes })? {
        batch.committed(ticket, Collected { cuts, ..Collected::default() });
    }
    batch.count_look();
    drop(held);
    Ok(())
}

fn cut_record(
    snapshot: &(dyn Snapshot + '_),
    id: BranchId,
    mut record: record::Branch,
    start: Micros,
) -> Result<Vec<Write>, Error> {
    let current = Read::last(snapshot, &key::instants_until(id, start))?;
    let current = current.and_then(|(key, _)| Some((key::instant_of(&key)?, key::trailing_lsn(&key)?)));
    let (micros, lsn) = current.ok_or(Error::Internal("what superseded the oldest version is there"))?;
    let from = branch::first(&record).0;
    record.first = match record.first {
        record::First::Root { .. } | record::First::CutRoot { .. } => {
            record::First::CutRoot { lsn: lsn.get(), micros: micros.0 }
        }
        record::First::Fork { parent, version, micros: of_version, asked }
        | record::First::CutFork { parent, version, micros: of_version, asked, .. } => record::First::CutFork {
            parent,
            version,
            micros: of_version,
            asked,
            lsn: lsn.get(),
            first_micros: micros.0,
        },
    };
    let key = key::branch(id);
    let mut writes = vec![Write::Put(key.clone(), codec::seal(&key, &record)?.0)];
    if let Some(superseded) = branch::oldest_superseded(snapshot, id, &record)? {
        let key = key::expiry(id, superseded);
        writes.push(Write::Put(key.clone(), envelope::seal(&key, &[]).0));
    }
    // The origin of a fork is none of its own versions, and is before all of them.
    let key = key::garbage(id, from);
    let noted = snapshot.get(&key)?.map(|value| codec::open::<record::Garbage>(&key, &value)).transpose()?;
    let to_lsn = noted.map_or(0, |(noted, _)| noted.to_lsn).max(lsn.get().saturating_sub(1));
    writes.push(Write::Put(key.clone(), codec::seal(&key, &record::Garbage { to_lsn })?.0));
    Ok(writes)
}
