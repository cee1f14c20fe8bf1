//! Going back to the newest state that can be proven, where a store cannot be opened without losing what was acknowledged.

use std::{fmt, sync::Arc};

use super::{CHECKPOINT, COMMITS, Notes, Recovery, apply_frames, load, offline::Offline, write_snapshot};
use crate::store::{
    Direction, KeyRange, Sequence, Store, StoreError, View,
    digest::SetDigest,
    disk::Disk,
    journaled::{
        Sizes,
        index::{Contents, Index, IndexHome},
        notes::{Note, NoteFile},
        snapshots,
        stamp::Stamp,
    },
};

/// What has to be done so that a store can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The next start mends what there is to mend, and loses nothing.
    Nothing,
    /// Some commits have to be given up.
    GoBack {
        /// What cannot be read.
        damage: String,
        /// The newest commit that everything is there for.
        to: Sequence,
        /// The newest commit that is known to have been acknowledged.
        from: Sequence,
        source: Source,
    },
    /// Nothing that can be proven is left.
    Impossible { damage: String },
}

/// Where the state to go back to is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the snapshot and the journal's frames up to the damage.
    Journal,
    /// In the index.
    Index,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => {
                write!(f, "Nothing has to be repaired: the next start mends what there is to mend, and loses nothing.")
            }
            Self::GoBack { damage, to, from, source } => {
                let source = match source {
                    Source::Journal => "snapshot and journal",
                    Source::Index => "index",
                };
                writeln!(f, "The store cannot be opened: {damage}.")?;
                writeln!(f)?;
                writeln!(f, "Restoring a backup newer than commit {to} loses less than this repair, which would")?;
                writeln!(f, "  - go back to the state of commit {to}, which the {source} can prove;")?;
                writeln!(f, "  - give up commits {} to {from}, which were acknowledged;", to.next())?;
                write!(f, "  - put what is damaged aside under other names (\"damaged-…\"), and remove nothing.")
            }
            Self::Impossible { damage } => {
                writeln!(f, "The store cannot be opened: {damage}.")?;
                write!(f, "Nothing that can be proven is left: load a dump into a new directory.")
            }
        }
    }
}

/// Finds out what has to be done. Changes nothing but what opening an index changes in its files.
pub(crate) fn plan<H: IndexHome>(disk: &Arc<dyn Disk>, home: &H, sizes: &Sizes) -> Result<Plan, StoreError> {
    let notes = Notes::read(disk)?;
    match super::store_in(disk, &notes)? {
        None => Ok(Plan::Nothing),
        Some(store) => Recovery::read(disk, home, sizes, notes, store)?.plan(),
    }
}

/// Does what a plan says.
pub(crate) fn run<H: IndexHome>(disk: &Arc<dyn Disk>, home: &H, sizes: &Sizes, plan: &Plan) -> Result<(), StoreError> {
    let notes = Notes::read(disk)?;
    let store = super::store_in(disk, &notes)?;
    match (plan, store) {
        (Plan::GoBack { to, source, .. }, Some(store)) => {
            Recovery::read(disk, home, sizes, notes, store)?.go_back(*to, *source)
        }
        _ => Ok(()),
    }
}

impl<H: IndexHome> Recovery<'_, H> {
    fn plan(&self) -> Result<Plan, StoreError> {
        let snapshot = self.snapshot.and_then(|snapshot| snapshots::verify(self.disk, self.store, snapshot).ok());
        let of_index = self.state_of_index();
        self.home.release()?;
        // As for a start: the index only ever gets what is durable in the journal.
        let needed = self.newest_known();
        let whole = |from: Sequence| self.leads(from).is_some_and(|newest| newest >= needed);
        if snapshot.is_some_and(|snapshot| whole(snapshot.sequence))
            || of_index.is_some_and(|stamp| stamp.sequence >= needed)
        {
            return Ok(Plan::Nothing);
        }
        let damage = self.why_not(needed);
        let of_journal = snapshot.map(|snapshot| self.last_linked(snapshot.sequence));
        let of_index = of_index.map(|stamp| stamp.sequence);
        let best = match (of_journal, of_index) {
            (Some(journal), Some(index)) if index > journal => Some((index, Source::Index)),
            (Some(journal), _) => Some((journal, Source::Journal)),
            (None, index) => index.map(|index| (index, Source::Index)),
        };
        Ok(match best {
            Some((to, source)) => Plan::GoBack { damage, to, from: needed, source },
            None => Plan::Impossible { damage },
        })
    }

    /// The newest state that the index proves: with the journal's later commits, if they lead on from it, or alone.
    fn state_of_index(&self) -> Option<Stamp> {
        let held = self.stamp_of(&self.open_index()?)?;
        let checkpoint = self.notes.checkpoint.as_ref().map_or(held.sequence, |(_, note)| note.stamp.sequence);
        let proven = |applied: Sequence, state: Stamp| {
            let index = self.open_index()?;
            let frames: &[_] = if state.sequence > applied { &self.scan.frames } else { &[] };
            let offline = Offline::new(self.disk, index, frames, applied).ok()?;
            (digest(&offline).ok()? == state.digest).then_some(state)
        };
        let with_journal = |from: Sequence| self.scan.end().filter(|end| self.leads(from) == Some(end.sequence));
        with_journal(checkpoint)
            .and_then(|end| proven(checkpoint, end))
            .or_else(|| with_journal(held.sequence).and_then(|end| proven(held.sequence, end)))
            .or_else(|| proven(held.sequence, held))
    }

    /// The newest commit up to which the journal leads on from `from` without a gap.
    fn last_linked(&self, from: Sequence) -> Sequence {
        let mut last = from;
        for frame in self.scan.frames.iter().filter(|frame| frame.head.after.sequence > from) {
            if frame.head.first > last.next() || (last > from && !frame.is_linked) {
                break;
            }
            last = frame.head.after.sequence;
        }
        last
    }

    fn why_not(&self, needed: Sequence) -> String {
        let found = self.scan.damages.first().map(ToString::to_string);
        let found = found.or_else(|| self.damaged_snapshot.as_ref().map(ToString::to_string));
        found.unwrap_or_else(|| {
            format!("the files do not have everything up to commit {needed}, which was acknowledged")
        })
    }

    /// Makes the state of commit `to` the store's newest.
    fn go_back(mut self, to: Sequence, source: Source) -> Result<(), StoreError> {
        let frames: Vec<_> = self.scan.frames.iter().copied().filter(|frame| frame.head.after.sequence <= to).collect();
        let missing =
            || StoreError::Corrupt { what: "what the repair needs is not there any more; plan it again".to_owned() };
        let (index, after) = match source {
            Source::Journal => {
                let snapshot = self.snapshot.ok_or_else(missing)?;
                let index = self.home.rebuild(&mut |index| {
                    load(index, snapshots::open(self.disk, self.store, snapshot)?)?;
                    apply_frames(self.disk, &frames, snapshot, index)
                })?;
                (index, snapshot)
            }
            Source::Index => {
                let index = self.open_index().ok_or_else(missing)?;
                let held = self.stamp_of(&index).ok_or_else(missing)?;
                apply_frames(self.disk, &frames, held.sequence, &index)?;
                (index, held.sequence)
            }
        };
        debug_assert!(after <= to);
        let stamp = Stamp { store: self.store, sequence: to, digest: index.digest()? };
        index.apply(&mut std::iter::empty(), &stamp)?;
        index.sync()?;
        snapshots::put_aside_after(self.disk, to)?;
        write_snapshot(self.disk, &index, &stamp)?;
        self.put_journal_aside()?;
        let note = Note { stamp, clean: None };
        NoteFile::create(self.disk, COMMITS, &note)?;
        NoteFile::create(self.disk, CHECKPOINT, &note)?;
        drop(index);
        self.home.release()
    }
}

fn digest(store: &impl Store) -> Result<SetDigest, StoreError> {
    let mut digest = SetDigest::default();
    for entry in store.snapshot(View::Durable)?.range(&KeyRange::ALL, Direction::Ascending) {
        let (key, value) = entry?;
        digest.add(&key, &value);
    }
    Ok(digest)
}
