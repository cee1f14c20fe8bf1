//! Opening a store: from the notes, the snapshot, the journal and the index to a state that holds all that was acknowledged.
//!
//! # In which order things are believed
//!
//! 1. An index whose files are as a clean close left them.
//! 2. An index that has, after the journal was applied to it again from its checkpoint, the entries that the journal's digest says.
//! 3. A new index, made from the snapshot and the journal.
//! 4. Where the journal is damaged: an index that has what its own stamp says or, after what the journal has newer was applied to it, what the newest
//!    frame says, if the journal leads from there to all that is known to have been acknowledged.
//!
//! Otherwise the store is refused with what is lost; journal and snapshots are as they were then.

mod create;
mod inspect;
mod offline;
mod repair;
mod report;
mod segments;

use std::{io, sync::Arc};

use super::{
    Sizes, expected,
    index::{Contents, Index, IndexHome},
    journal::Journal,
    notes::{self, Fingerprint, Found, Note, NoteFile},
    scan::{self, Scan, ScannedFrame},
    snapshots::{self, FileWriter},
    space::{self, Space},
    stamp::Stamp,
};
use crate::store::{
    Sequence, StoreError, Write,
    digest::SetDigest,
    disk::Disk,
    dump::{DumpReader, DumpWriter},
};

pub use self::report::{StoreFinding, StorePart, StoreReport};
pub(crate) use self::{
    create::lay_down_dump,
    inspect::inspect,
    repair::{Plan, plan, run as run_repair},
};

/// The newest acknowledged state, written after each group without waiting for the disk: it may be behind, never ahead.
pub(crate) const COMMITS: &str = "COMMITS";
/// The newest state that the index has durably.
pub(crate) const CHECKPOINT: &str = "CHECKPOINT";

/// How many bytes of entries or commits go to an index at once.
const LOAD_BYTES: usize = 1 << 20;

/// The parts of an open store.
pub(crate) struct Opened<I> {
    pub(crate) index: I,
    /// The store's state; the index has it, durably.
    pub(crate) stamp: Stamp,
    pub(crate) journal: Journal,
    pub(crate) space: Arc<Space>,
    pub(crate) commits: NoteFile,
    pub(crate) checkpoint: NoteFile,
    /// The newest snapshot.
    pub(crate) snapshot: Sequence,
}

/// Opens the store on `disk`, or creates it where there is none.
pub(crate) fn open<H: IndexHome>(
    disk: &Arc<dyn Disk>,
    home: &H,
    sizes: &Sizes,
) -> Result<Opened<H::Index>, StoreError> {
    let notes = Notes::read(disk)?;
    match (store_in(disk, &notes)?, notes.bare) {
        (Some(store), _) => Recovery::read(disk, home, sizes, notes, store)?.run(),
        (None, Some(bare)) => create::take_over(disk, home, sizes, &bare),
        (None, None) => create::create(disk, home, sizes),
    }
}

/// The store that there is, by its notes or, where these are gone, by the rest of it.
fn store_in(disk: &Arc<dyn Disk>, notes: &Notes) -> Result<Option<u64>, StoreError> {
    match notes.store() {
        Some(store) => Ok(Some(store)),
        None => unnoted_store(disk, notes),
    }
}

/// The store that journal and snapshots are of, if there are any.
fn unnoted_store(disk: &Arc<dyn Disk>, notes: &Notes) -> Result<Option<u64>, StoreError> {
    let journal = scan::store_of(disk)?;
    if journal.is_some() || notes.bare.is_some() {
        // A takeover that was interrupted has no frames, but may have a snapshot.
        return Ok(journal);
    }
    let newest = snapshots::list(disk)?.last().copied();
    newest.map(|newest| snapshots::store_of(disk, newest)).transpose()
}

/// What the files of notes say.
struct Notes {
    checkpoint: Option<(NoteFile, Note)>,
    commits: Option<(NoteFile, Note)>,
    /// What a store without a journal noted.
    bare: Option<Stamp>,
}

impl Notes {
    fn read(disk: &Arc<dyn Disk>) -> Result<Self, StoreError> {
        let (mut notes, mut bare) = ([None, None], None);
        for (name, note) in [CHECKPOINT, COMMITS].into_iter().zip(&mut notes) {
            match NoteFile::open(disk, name)? {
                Found::Missing => {}
                Found::Damaged => tracing::warn!(file = name, "the file cannot be read; going on without it"),
                Found::UnknownFormat(found) => {
                    return Err(StoreError::UnknownFormat { path: name.into(), found, known: notes::FORMAT });
                }
                Found::Bare(stamp) => bare = Some(stamp),
                Found::Note(file, found) => *note = Some((file, found)),
            }
        }
        let [checkpoint, commits] = notes;
        Ok(Self { checkpoint, commits, bare })
    }

    /// All that is noted.
    fn noted(&self) -> impl Iterator<Item = Stamp> {
        let files = [&self.checkpoint, &self.commits].into_iter().flatten();
        files.map(|(_, note)| note.stamp).chain(self.bare)
    }

    fn store(&self) -> Option<u64> {
        self.checkpoint.as_ref().or(self.commits.as_ref()).map(|(_, note)| note.stamp.store)
    }

    /// The newest commit that is known to have been acknowledged.
    fn acknowledged(&self) -> Sequence {
        self.noted().map(|stamp| stamp.sequence).max().unwrap_or_default()
    }
}

/// Puts all entries of an index that no one commits to into a snapshot.
fn write_entries(index: &impl Contents, writer: &mut DumpWriter<FileWriter>) -> Result<(), StoreError> {
    index.scan(&mut |key, value| writer.entry(key, value).map_err(snapshots::unwritable))
}

/// Writes a snapshot of an index that no one commits to; checks it against `stamp`.
fn write_snapshot(disk: &Arc<dyn Disk>, index: &impl Contents, stamp: &Stamp) -> Result<(), StoreError> {
    // Nobody needs space for anything else yet.
    snapshots::write(disk, 0, stamp, |writer| write_entries(index, writer))?;
    snapshots::remove_older(disk, stamp.sequence)
}

/// What was found of a store that exists.
struct Recovery<'a, H> {
    disk: &'a Arc<dyn Disk>,
    home: &'a H,
    sizes: &'a Sizes,
    notes: Notes,
    store: u64,
    snapshot: Option<Sequence>,
    /// Why the snapshot is of no use, if that is known already.
    damaged_snapshot: Option<StoreError>,
    scan: Scan,
    /// The newest state that is known; what it is made of may be missing.
    end: Option<Stamp>,
}

impl<'a, H: IndexHome> Recovery<'a, H> {
    fn read(
        disk: &'a Arc<dyn Disk>,
        home: &'a H,
        sizes: &'a Sizes,
        notes: Notes,
        store: u64,
    ) -> Result<Self, StoreError> {
        if notes.noted().any(|stamp| stamp.store != store) {
            let what = format!(
                "the files {CHECKPOINT} and {COMMITS} are not both of this store; restore the whole directory from one backup"
            );
            return Err(StoreError::Corrupt { what });
        }
        // A process that was killed may have left names that are not durable, and others will rely on them.
        for directory in [space::DIRECTORY, snapshots::DIRECTORY, ""] {
            disk.create_dir(directory)
                .and_then(|()| disk.sync_dir(directory))
                .map_err(StoreError::io(format!("make the directory \"{directory}\" durable")))?;
        }
        let snapshot = snapshots::list(disk)?.last().copied();
        let checkpoint = notes.checkpoint.as_ref().map(|(_, note)| note.stamp);
        let floor = match (checkpoint, snapshot) {
            (Some(checkpoint), Some(snapshot)) => checkpoint.sequence.min(snapshot),
            (Some(checkpoint), None) => checkpoint.sequence,
            (None, snapshot) => snapshot.unwrap_or_default(),
        };
        let scan = scan::scan(disk, store, floor)?;
        if let Some(torn) = scan.torn {
            let (commit, bytes) = (torn.first.number(), torn.bytes);
            tracing::warn!(
                commit,
                bytes,
                "discarding the end of the journal: it was cut short, and never acknowledged"
            );
        }
        let mut end = scan.end().into_iter().chain(checkpoint).max_by_key(|stamp| stamp.sequence);
        // Where journal and checkpoint are damaged, the snapshot may be what is newest.
        let mut damaged_snapshot = None;
        if let Some(sequence) = snapshot
            && end.is_none_or(|end| end.sequence < sequence)
        {
            match snapshots::verify(disk, store, sequence) {
                Ok(stamp) => end = Some(stamp),
                Err(error) => {
                    tracing::error!(%error, "the newest snapshot cannot be used");
                    damaged_snapshot = Some(error);
                }
            }
        }
        Ok(Self { disk, home, sizes, notes, store, snapshot, damaged_snapshot, scan, end })
    }

    fn run(mut self) -> Result<Opened<H::Index>, StoreError> {
        for damage in &self.scan.damages {
            tracing::error!(%damage, "the journal is damaged");
        }
        self.settle_newest_frame()?;
        let (index, stamp) = self.index()?;
        index.sync()?;
        let leads_here = |from: Sequence| self.leads(from) == Some(stamp.sequence);
        let snapshot = match self.snapshot {
            Some(snapshot) if leads_here(snapshot) && self.scan.damages.is_empty() => snapshot,
            _ => {
                tracing::warn!("the journal does not lead from a snapshot to the index; taking a new snapshot");
                write_snapshot(self.disk, &index, &stamp)?;
                stamp.sequence
            }
        };
        let goes_on = self.scan.newest() == stamp.sequence && self.leads(snapshot) == Some(stamp.sequence);
        if !goes_on || !self.scan.damages.is_empty() {
            self.put_journal_aside()?;
        }
        let (active, position, previous, space) = self.segments()?;
        let note = Note { stamp, clean: None };
        let noted = |name, file: Option<(NoteFile, Note)>| match file {
            Some((mut file, _)) => {
                file.write(&note)?;
                file.sync()?;
                Ok(file)
            }
            None => NoteFile::create(self.disk, name, &note),
        };
        let (checkpoint, commits) =
            (noted(CHECKPOINT, self.notes.checkpoint.take())?, noted(COMMITS, self.notes.commits.take())?);
        snapshots::remove_older(self.disk, snapshot)?;
        let journal = Journal::new(Arc::clone(&space), active, position, stamp.sequence, previous);
        Ok(Opened { index, stamp, journal, space, commits, checkpoint, snapshot })
    }

    /// The commit that the journal leads to from `from`, which is that one where the journal has nothing newer; none where some in between
    /// cannot be read.
    fn leads(&self, from: Sequence) -> Option<Sequence> {
        self.scan.follows(from).then(|| self.scan.newest().max(from))
    }

    /// The newest commit that is known to have been acknowledged.
    fn newest_known(&self) -> Sequence {
        self.notes.acknowledged().max(self.scan.newest()).max(self.snapshot.unwrap_or_default())
    }

    /// An index that holds all that was acknowledged, and its state.
    fn index(&mut self) -> Result<(H::Index, Stamp), StoreError> {
        let clean = self.notes.checkpoint.as_ref().and_then(|(_, note)| note.clean.map(|files| (files, note.stamp)));
        if let Some((files, stamp)) = clean
            && let Some(index) = self.as_closed(&files, stamp)?
        {
            return Ok((index, stamp));
        }
        // Of one that changed after a clean close, all is kept as it is: opening it would change it once more.
        let index = if clean.is_none() { self.open_index() } else { None };
        let held = index.as_ref().and_then(|index| self.stamp_of(index));
        // The index only ever gets what is durable in the journal, so what it has was there.
        let acknowledged = self.notes.acknowledged().max(held.map_or(Sequence::ZERO, |held| held.sequence));
        let mut refusal = None;
        if let Some(end) = self.end.filter(|end| end.sequence >= acknowledged) {
            match index {
                Some(index) if held.is_some() && self.replay(&index, &end) => {
                    return Ok((index, end));
                }
                index => drop(index),
            }
            match self.rebuilt(&end) {
                Ok(rebuilt) => return Ok(rebuilt),
                Err(error) => {
                    tracing::error!(%error, "the index cannot be made anew");
                    refusal = Some(error);
                }
            }
        } else {
            drop(index);
        }
        if let Some((index, stamp)) = self.verified_by_itself(acknowledged) {
            tracing::warn!(commits = %stamp.sequence, "the journal is damaged, but the index has everything");
            return Ok((index, stamp));
        }
        Err(self.refusal(acknowledged, refusal))
    }

    /// The index that is there, if its files are as a clean close left them, and nothing newer is known.
    fn as_closed(&mut self, files: &Fingerprint, stamp: Stamp) -> Result<Option<H::Index>, StoreError> {
        let is_newest = stamp.sequence >= self.notes.acknowledged().max(self.scan.newest());
        let is_as_closed = match self.home.fingerprint() {
            Ok(found) => found == *files,
            Err(error) => {
                tracing::error!(%error, "the index cannot be read");
                false
            }
        };
        self.mark_open(stamp)?;
        if !is_newest || !is_as_closed {
            tracing::error!("the index is not as a clean close left it; making it anew");
            return Ok(None);
        }
        Ok(self.open_index())
    }

    /// From here on the index's files change.
    fn mark_open(&mut self, stamp: Stamp) -> Result<(), StoreError> {
        let Some((file, _)) = &mut self.notes.checkpoint else { return Ok(()) };
        file.write(&Note { stamp, clean: None })?;
        file.sync()
    }

    /// The index that is there, if it can be opened.
    fn open_index(&self) -> Option<H::Index> {
        match self.home.open() {
            Ok(index) => index,
            Err(error) => {
                tracing::error!(%error, "the index cannot be opened");
                None
            }
        }
    }

    /// Applies the journal to the index again, from its checkpoint on; whether it then holds what `end` says.
    fn replay(&self, index: &H::Index, end: &Stamp) -> bool {
        let checkpoint = self.notes.checkpoint.as_ref().map(|(_, note)| note.stamp.sequence);
        let Some(from) = checkpoint.or(self.snapshot) else { return false };
        if self.leads(from) != Some(end.sequence) {
            return false;
        }
        let replay = || {
            self.apply_frames(index, from)?;
            Ok::<_, StoreError>(index.digest()? == end.digest)
        };
        match replay() {
            Ok(true) => return true,
            Ok(false) => tracing::warn!("the index does not hold what the journal says; making it anew"),
            Err(error) => tracing::error!(%error, "the index cannot be used; making it anew"),
        }
        false
    }

    fn apply_frames(&self, index: &H::Index, after: Sequence) -> Result<(), StoreError> {
        apply_frames(self.disk, &self.scan.frames, after, index)
    }

    /// A new index, from the snapshot and the journal, and its state.
    fn rebuilt(&self, end: &Stamp) -> Result<(H::Index, Stamp), StoreError> {
        let corrupt = |what: String| StoreError::Corrupt { what };
        let snapshot =
            self.snapshot.ok_or_else(|| corrupt("there is no snapshot to make the index from".to_owned()))?;
        if self.leads(snapshot) != Some(end.sequence) {
            let gap = || {
                format!("the journal does not lead from the snapshot of commit {snapshot} to commit {}", end.sequence)
            };
            return Err(corrupt(self.damage().unwrap_or_else(gap)));
        }
        tracing::info!(%snapshot, commits = %end.sequence, "making the index anew from snapshot and journal");
        let mut stamp = *end;
        let index = self.home.rebuild(&mut |index| {
            load(index, snapshots::open(self.disk, self.store, snapshot)?)?;
            self.apply_frames(index, snapshot)?;
            let found = index.digest()?;
            if found != end.digest {
                // The journal's digest follows what was read from an index. It goes wrong where that was damaged while the store was open.
                if found != expected::digest(self.disk, self.store, snapshot, &self.scan.frames)? {
                    return Err(corrupt("the new index does not hold what was written to it".to_owned()));
                }
                tracing::warn!("the old index was damaged while the store was open; what is acknowledged is all there");
                stamp.digest = found;
            }
            index.apply(&mut std::iter::empty(), &stamp)
        })?;
        Ok((index, stamp))
    }

    /// The index that is there, if it holds what its own stamp says, and the journal leads from there to all that was acknowledged.
    fn verified_by_itself(&self, acknowledged: Sequence) -> Option<(H::Index, Stamp)> {
        let index = self.open_index()?;
        let verified = || {
            let Some(held) = self.stamp_of(&index) else { return Ok(None) };
            if self.leads(held.sequence).is_none_or(|newest| newest < acknowledged) {
                return Ok::<_, StoreError>(None);
            }
            // It may have a part of what comes after its stamp. All of that makes it whole, or nothing does.
            let end = self.scan.end().filter(|end| end.sequence > held.sequence).unwrap_or(held);
            self.apply_frames(&index, held.sequence)?;
            Ok((index.digest()? == end.digest).then_some(end))
        };
        match verified() {
            Ok(stamp) => stamp.map(|stamp| (index, stamp)),
            Err(error) => {
                tracing::error!(%error, "the index cannot be read");
                None
            }
        }
    }

    /// The state that an index of this store notes.
    fn stamp_of(&self, index: &H::Index) -> Option<Stamp> {
        match index.stamp() {
            Ok(stamp) => stamp.filter(|stamp| stamp.store == self.store),
            Err(error) => {
                tracing::error!(%error, "the index cannot be read");
                None
            }
        }
    }

    /// The first damage to the journal that the snapshot does not make good.
    fn damage(&self) -> Option<String> {
        let snapshot = self.snapshot.unwrap_or_default();
        let damage = self.scan.damages.iter().find(|damage| damage.lost.end > snapshot.next().number());
        damage.map(ToString::to_string)
    }

    /// Why nothing can be opened.
    fn refusal(&self, acknowledged: Sequence, rebuilding: Option<StoreError>) -> StoreError {
        let errors = [rebuilding, self.damaged_snapshot.clone()].into_iter().flatten().map(|error| match error {
            StoreError::Corrupt { what } => what,
            error => error.to_string(),
        });
        let mut reasons: Vec<String> = self.damage().into_iter().chain(errors).collect();
        reasons.dedup();
        let found = self.end.map_or(Sequence::ZERO, |end| end.sequence);
        if reasons.is_empty() {
            return StoreError::RolledBack { expected: acknowledged, found };
        }
        if found < acknowledged {
            reasons.push(format!("commits {} to {acknowledged} were acknowledged and are missing", found.next()));
        }
        let what = format!("{}; and the index does not have everything that was acknowledged", reasons.join("; "));
        StoreError::Corrupt { what }
    }
}

/// Applies the frames with commits after `after` to an index, many at a time.
fn apply_frames<I: Index>(
    disk: &Arc<dyn Disk>,
    frames: &[ScannedFrame],
    after: Sequence,
    index: &I,
) -> Result<(), StoreError> {
    let (mut gathered, mut bytes, mut state) = (Vec::new(), 0, None);
    scan::replay(disk, frames, after, |writes, stamp| {
        bytes += writes.iter().map(Write::bytes).sum::<usize>();
        gathered.extend_from_slice(writes);
        state = Some(*stamp);
        if bytes >= LOAD_BYTES {
            index.apply(&mut gathered.iter(), stamp)?;
            (gathered, bytes, state) = (Vec::new(), 0, None);
        }
        Ok(())
    })?;
    state.map_or(Ok(()), |state| index.apply(&mut gathered.iter(), &state))
}

/// Puts all entries of a snapshot into a new index.
pub(crate) fn load<I: Index>(index: &I, mut dump: DumpReader<impl io::Read>) -> Result<(), StoreError> {
    let unreadable = snapshots::unreadable(dump.sequence());
    // The stamp that counts is noted when all is there.
    let unfinished = Stamp { store: dump.store_id(), sequence: Sequence::ZERO, digest: SetDigest::default() };
    let (mut writes, mut bytes) = (Vec::new(), 0);
    for entry in &mut dump {
        let (key, value) = entry.map_err(&unreadable)?;
        bytes += key.len() + value.len();
        writes.push(Write::Create(key, value));
        if bytes >= LOAD_BYTES {
            index.apply(&mut writes.iter(), &unfinished)?;
            writes.clear();
            bytes = 0;
        }
    }
    dump.finish().map_err(&unreadable)?;
    index.apply(&mut writes.iter(), &unfinished)
}
