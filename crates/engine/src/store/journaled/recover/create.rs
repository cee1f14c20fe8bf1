//! Making a store: a new one, one of a directory without a journal, one of a dump.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    sync::Arc,
};

use super::{CHECKPOINT, COMMITS, Opened, load, write_entries};
use crate::store::{
    Sequence, StoreError,
    digest::SetDigest,
    disk::Disk,
    dump::{DumpError, DumpInfo, DumpReader, DumpWriter, Progress, Stage},
    journaled::{
        Sizes,
        index::{Contents, Index, IndexHome},
        journal::Journal,
        notes::{Note, NoteFile},
        snapshots::{self, FileWriter},
        space::{self, Space},
        stamp::Stamp,
    },
};

/// How many entries are loaded between two calls of the progress function.
const ENTRIES_PER_PROGRESS: u64 = 1024;

/// Makes a new store.
pub(super) fn create<H: IndexHome>(
    disk: &Arc<dyn Disk>,
    home: &H,
    sizes: &Sizes,
) -> Result<Opened<H::Index>, StoreError> {
    match home.open()? {
        Some(index) => refuse_undescribed(&index)?,
        None => home.open_bare()?.as_ref().map_or(Ok(()), refuse_undescribed)?,
    }
    home.release()?;
    let stamp = Stamp { store: random_id(), sequence: Sequence::ZERO, digest: SetDigest::default() };
    // The index comes last: as long as the rest is not whole there is none, and whatever becomes of it later, it can be made anew.
    let laid = lay_down(disk, sizes, &stamp, |_| Ok(()))?;
    let index = home.rebuild(&mut |index| index.apply(&mut std::iter::empty(), &stamp))?;
    Ok(laid.with(index, stamp))
}

/// Refuses an index that holds something, when all that should be beside it is missing.
fn refuse_undescribed(index: &impl Contents) -> Result<(), StoreError> {
    let commits = index.stamp()?.map_or(Sequence::ZERO, |stamp| stamp.sequence);
    let entries = index.digest()?.entries;
    if commits == Sequence::ZERO && entries == 0 {
        return Ok(());
    }
    let what = format!(
        "the index has {commits} commits and {entries} entries, but the files that describe them, {COMMITS} and {CHECKPOINT}, are missing; restore the whole directory from a backup"
    );
    Err(StoreError::Corrupt { what })
}

/// Makes a journaled store of one that kept everything in the index. Interrupted, it begins again.
pub(super) fn take_over<H: IndexHome>(
    disk: &Arc<dyn Disk>,
    home: &H,
    sizes: &Sizes,
    noted: &Stamp,
) -> Result<Opened<H::Index>, StoreError> {
    tracing::info!(commits = %noted.sequence, "this store is from a release without a journal; giving it one");
    let bare = home.open_bare()?;
    let found = match &bare {
        Some(bare) => bare.stamp()?,
        None => None,
    };
    let (Some(bare), Some(found)) = (bare, found) else {
        return Err(StoreError::RolledBack { expected: noted.sequence, found: Sequence::ZERO });
    };
    if found.store != noted.store {
        let what = "the file COMMITS belongs to another store; restore the whole directory from one backup";
        return Err(StoreError::Corrupt { what: what.to_owned() });
    }
    if found.sequence < noted.sequence {
        return Err(StoreError::RolledBack { expected: noted.sequence, found: found.sequence });
    }
    if found.sequence == noted.sequence && found != *noted {
        let what = format!("commit {} is not the one that was acknowledged", found.sequence);
        return Err(StoreError::Corrupt { what });
    }
    // The snapshot finds out whether there is what the stamp says. Once it is laid down, the index can be made of it at any start.
    let laid = lay_down(disk, sizes, &found, |writer| write_entries(&bare, writer))?;
    drop(bare);
    let index = home.rebuild(&mut |index| {
        load(index, snapshots::open(disk, found.store, found.sequence)?)?;
        index.apply(&mut std::iter::empty(), &found)
    })?;
    Ok(laid.with(index, found))
}

/// All of a new store but its index.
struct Laid {
    journal: Journal,
    space: Arc<Space>,
    commits: NoteFile,
    checkpoint: NoteFile,
}

impl Laid {
    fn with<I>(self, index: I, stamp: Stamp) -> Opened<I> {
        let Self { journal, space, commits, checkpoint } = self;
        Opened { index, stamp, journal, space, commits, checkpoint, snapshot: stamp.sequence }
    }
}

/// Writes all that belongs to a store whose state is `stamp`, and whose entries `fill` gives; the checkpoint's file makes it one.
fn lay_down(
    disk: &Arc<dyn Disk>,
    sizes: &Sizes,
    stamp: &Stamp,
    fill: impl FnOnce(&mut DumpWriter<FileWriter>) -> Result<(), StoreError>,
) -> Result<Laid, StoreError> {
    let failed = || StoreError::io("create the journal");
    disk.create_dir(space::DIRECTORY).map_err(failed())?;
    for name in disk.list(space::DIRECTORY).map_err(failed())? {
        disk.remove(&format!("{}/{name}", space::DIRECTORY)).map_err(failed())?;
    }
    let active = space::create(&**disk, sizes.segment_bytes, 1).map_err(failed())?;
    // Nobody needs space for anything else yet.
    snapshots::write(disk, 0, stamp, fill)?;
    snapshots::remove_older(disk, stamp.sequence)?;
    let note = Note { stamp: *stamp, clean: None };
    let checkpoint = NoteFile::create(disk, CHECKPOINT, &note)?;
    let commits = NoteFile::create(disk, COMMITS, &note)?;
    let found =
        space::Found { active_bytes: active.bytes, rest: active.bytes, next_number: 2, ..space::Found::default() };
    let space = Arc::new(Space::new(Arc::clone(disk), sizes.segment_bytes, sizes.reserve_bytes, found));
    let journal = Journal::new(Arc::clone(&space), active, 0, stamp.sequence, 0);
    Ok(Laid { journal, space, commits, checkpoint })
}

/// Lays down a new store on an empty disk that has the entries of a dump. The index is made when the store is opened.
pub(crate) fn lay_down_dump(
    disk: &Arc<dyn Disk>,
    mut dump: DumpReader<impl io::Read>,
    found: &DumpInfo,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DumpError> {
    // Two stores that go on from the same state must not be taken for one.
    let stamp = Stamp { store: random_id(), sequence: found.sequence, digest: found.set_digest() };
    let mut failure = None;
    let written = snapshots::write(disk, 0, &stamp, |writer| {
        while let Some(entry) = dump.next() {
            if let Err(error) = entry.and_then(|(key, value)| writer.entry(&key, &value)) {
                failure = Some(error);
                return Err(StoreError::Closed);
            }
            if dump.entries().is_multiple_of(ENTRIES_PER_PROGRESS) || dump.entries() == found.entries {
                let (entries, bytes, of_bytes) = (dump.entries(), dump.offset(), Some(found.bytes));
                progress(Progress { stage: Stage::Loading, entries, bytes, of_bytes });
            }
        }
        Ok(())
    });
    match failure {
        Some(error) => return Err(error),
        None => written?,
    };
    let note = Note { stamp, clean: None };
    NoteFile::create(disk, COMMITS, &note)?;
    NoteFile::create(disk, CHECKPOINT, &note)?;
    Ok(())
}

/// A number that no two stores share: the standard library seeds its hashers from the operating system.
fn random_id() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(u64::from(std::process::id()));
    hasher.finish()
}
