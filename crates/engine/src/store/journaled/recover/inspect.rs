//! A check of a closed store: each part against the others, key by key.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    CHECKPOINT, COMMITS, Notes, Recovery,
    offline::Offline,
    report::{StorePart, StoreReport},
};
use crate::{
    Error, check,
    store::{
        Direction, KeyRange, Sequence, StoreError,
        digest::hash,
        disk::Disk,
        journaled::{
            Sizes, expected,
            index::{Contents, Index, IndexHome},
            notes::{Note, NoteFile},
            scan, snapshots,
        },
    },
};
use std::{collections::HashSet, ops::Bound};

/// How many entries of the index are read at once.
const PAGE: usize = 256;

/// Checks the store on `disk`, which is closed. Changes nothing but what opening an index changes in its files.
pub(crate) fn inspect<H: IndexHome>(
    disk: &Arc<dyn Disk>,
    home: &H,
    sizes: &Sizes,
    progress: &mut dyn FnMut(check::Progress),
) -> Result<StoreReport, StoreError> {
    let notes = Notes::read(disk)?;
    let store = super::store_in(disk, &notes)?;
    let Some(store) = store else {
        let what = match notes.bare {
            Some(_) => {
                "the store is of a release without a journal; start the server once, which gives it one, and check again"
            }
            None => "there is no store here",
        };
        return Err(StoreError::Corrupt { what: what.to_owned() });
    };
    let recovery = Recovery::read(disk, home, sizes, notes, store)?;
    let mut report = StoreReport::new(recovery.newest_known());
    check_notes(&recovery, &mut report);
    check_journal(&recovery, &mut report);
    check_snapshot(&recovery, &mut report);
    let clean = check_fingerprint(&recovery, &mut report);
    let index = match home.open() {
        Ok(index) => index,
        Err(error) => {
            report.find(StorePart::Index, error);
            None
        }
    };
    if let Some(index) = index {
        check_index(&recovery, index, &mut report, progress)?;
    } else if report.findings.is_empty() {
        report.find(StorePart::Index, "there is no index; the next start makes it");
    }
    home.release()?;
    if let Some(stamp) = clean {
        note_closed(recovery, stamp)?;
    }
    Ok(report)
}

fn check_notes<H: IndexHome>(recovery: &Recovery<'_, H>, report: &mut StoreReport) {
    let files = [(CHECKPOINT, recovery.notes.checkpoint.is_some()), (COMMITS, recovery.notes.commits.is_some())];
    for (name, _) in files.iter().filter(|(_, is_there)| !is_there) {
        report.find(StorePart::Notes, format!("the file {name} is missing or cannot be read"));
    }
}

fn check_journal<H: IndexHome>(recovery: &Recovery<'_, H>, report: &mut StoreReport) {
    let scan = &recovery.scan;
    report.frames = scan.frames.len() as u64;
    report.segments = scan.segments.iter().filter(|segment| segment.last > Sequence::ZERO).count() as u64;
    report.torn_bytes = scan.torn.map(|torn| torn.bytes);
    for damage in &scan.damages {
        report.find(StorePart::Journal, damage);
    }
    let (newest, known) = (scan.newest(), report.newest);
    if newest < known && recovery.snapshot.is_none_or(|snapshot| snapshot < known) {
        report.find(StorePart::Journal, format!("it ends with commit {newest}, but commit {known} was acknowledged"));
    }
}

fn check_snapshot<H: IndexHome>(recovery: &Recovery<'_, H>, report: &mut StoreReport) {
    let Some(sequence) = recovery.snapshot else {
        return report.find(StorePart::Snapshot, "there is none");
    };
    match snapshots::info(recovery.disk, recovery.store, sequence) {
        Ok(info) => report.snapshot = Some(info),
        Err(error) => report.find(StorePart::Snapshot, error),
    }
}

/// Whether the index's files are as a clean close left them, and in which state that was.
fn check_fingerprint<H: IndexHome>(recovery: &Recovery<'_, H>, report: &mut StoreReport) -> Option<super::Stamp> {
    let note = recovery.notes.checkpoint.as_ref().map(|(_, note)| *note)?;
    let files = note.clean?;
    report.is_clean = true;
    match recovery.home.fingerprint() {
        Ok(found) if found == files => return Some(note.stamp),
        Ok(_) => report.find(StorePart::Index, "its files are not as a clean close left them"),
        Err(error) => report.find(StorePart::Index, error),
    }
    None
}

/// Compares the index with what snapshot and journal say, and checks what the engine keeps.
fn check_index<H: IndexHome>(
    recovery: &Recovery<'_, H>,
    index: H::Index,
    report: &mut StoreReport,
    progress: &mut dyn FnMut(check::Progress),
) -> Result<(), StoreError> {
    let (disk, frames) = (recovery.disk, &recovery.scan.frames);
    let checkpoint = recovery.notes.checkpoint.as_ref().map(|(_, note)| note.stamp.sequence);
    let applied = checkpoint.or(recovery.snapshot).unwrap_or_default();
    let mut to_apply = HashSet::new();
    scan::replay(disk, frames, applied, |writes, _| {
        to_apply.extend(writes.iter().map(|write| write.key().clone()));
        Ok(())
    })?;
    report.to_apply = recovery.scan.newest().number().saturating_sub(applied.number());
    let is_known = |snapshot: &Sequence| {
        report.snapshot.is_some() && recovery.leads(*snapshot).is_some_and(|newest| newest >= report.newest)
    };
    if let Some(snapshot) = recovery.snapshot.filter(is_known) {
        let mut comparison = Comparison { entries: Entries::new(&index), to_apply: &to_apply, report };
        let compared =
            expected::entries(disk, recovery.store, snapshot, frames, &mut |key, hash| comparison.next(key, hash));
        match compared.and_then(|()| comparison.rest()) {
            Err(StoreError::Corrupt { what }) => report.find(StorePart::Index, what),
            compared => compared?,
        }
    }
    let offline = match Offline::new(disk, index, frames, applied) {
        Ok(offline) => offline,
        Err(error) => {
            report.find(StorePart::Index, error);
            return Ok(());
        }
    };
    match offline.index().digest() {
        Ok(digest) => report.entries = digest.entries,
        Err(error) => report.find(StorePart::Index, error),
    }
    match check::check(&offline, progress) {
        Ok(engine) => report.engine = Some(engine),
        Err(Error::Store(error)) => report.find(StorePart::Index, error),
        Err(error) => report.find(StorePart::Index, error),
    }
    Ok(())
}

/// Notes down once more that the store is closed: opening the index for the check may have changed its files.
fn note_closed<H: IndexHome>(recovery: Recovery<'_, H>, stamp: super::Stamp) -> Result<(), StoreError> {
    let files = recovery.home.fingerprint()?;
    let checkpoint: Option<(NoteFile, Note)> = recovery.notes.checkpoint;
    if let Some((mut file, note)) = checkpoint
        && note.clean != Some(files)
    {
        file.write(&Note { stamp, clean: Some(files) })?;
        file.sync()?;
    }
    Ok(())
}

/// The index's entries, against those that must be there; both in the order of their keys.
struct Comparison<'a, I> {
    entries: Entries<'a, I>,
    to_apply: &'a HashSet<Bytes>,
    report: &'a mut StoreReport,
}

impl<I: Index> Comparison<'_, I> {
    /// Takes the next key that must be there.
    fn next(&mut self, key: &[u8], expected: u128) -> Result<(), StoreError> {
        while let Some((found, value)) = self.entries.next_up_to(key)? {
            if found == key {
                if hash(&found, &value) != expected {
                    self.find(key, "has a value that is stale or damaged");
                }
                return Ok(());
            }
            self.find(&found, "should not be there");
        }
        self.find(key, "is missing");
        Ok(())
    }

    /// What is left of the index should not be there.
    fn rest(&mut self) -> Result<(), StoreError> {
        while let Some((found, _)) = self.entries.next()? {
            self.find(&found, "should not be there");
        }
        Ok(())
    }

    fn find(&mut self, key: &[u8], what: &str) {
        if !self.to_apply.contains(key) {
            self.report.find(StorePart::Index, format!("key \"{}\" {what}", key.escape_ascii()));
        }
    }
}

/// All entries of an index, page by page.
struct Entries<'a, I> {
    index: &'a I,
    rest: KeyRange,
    page: std::vec::IntoIter<(Bytes, Bytes)>,
    is_done: bool,
}

impl<'a, I: Index> Entries<'a, I> {
    fn new(index: &'a I) -> Self {
        Self { index, rest: KeyRange::ALL, page: Vec::new().into_iter(), is_done: false }
    }

    fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.fill()?;
        Ok(self.page.next())
    }

    /// The next entry if its key is not greater than `key`.
    fn next_up_to(&mut self, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.fill()?;
        match self.page.as_slice().first() {
            Some((found, _)) if &found[..] <= key => Ok(self.page.next()),
            _ => Ok(None),
        }
    }

    fn fill(&mut self) -> Result<(), StoreError> {
        if !self.page.as_slice().is_empty() || self.is_done {
            return Ok(());
        }
        let page = self.index.page(&self.rest, Direction::Ascending, PAGE)?;
        self.is_done = page.len() < PAGE;
        if let Some((last, _)) = page.last() {
            self.rest.start = Bound::Excluded(last.clone());
        }
        self.page = page.into_iter();
        Ok(())
    }
}
