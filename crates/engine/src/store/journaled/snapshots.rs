//! Snapshots: files in the dump format that hold all entries as they were after some commit.
//!
//! Together with the journal's frames that follow, a snapshot is all of the store; the index can be made anew from the two.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use super::{space::hexadecimal, stamp::Stamp};
use crate::store::{
    Sequence, StoreError,
    disk::{Disk, DiskFile},
    dump::{DumpError, DumpInfo, DumpReader, DumpWriter},
};

/// The directory of snapshots.
pub(crate) const DIRECTORY: &str = "snapshots";
const UNFINISHED: &str = "snapshots/unfinished";

/// Where the snapshot of the commit at `sequence` is.
pub(crate) fn name(sequence: Sequence) -> String {
    format!("{DIRECTORY}/{:016x}", sequence.number())
}

/// The sequences of the snapshots that are there, oldest first.
pub(crate) fn list(disk: &Arc<dyn Disk>) -> Result<Vec<Sequence>, StoreError> {
    let names = disk.list(DIRECTORY).map_err(StoreError::io("list the snapshots"))?;
    Ok(names.iter().filter_map(|name| hexadecimal(name)).map(Sequence::new).collect())
}

/// The store that the snapshot of the commit at `sequence` is of.
pub(crate) fn store_of(disk: &Arc<dyn Disk>, sequence: Sequence) -> Result<u64, StoreError> {
    open_any(disk, sequence).map(|dump| dump.store_id()).map_err(unreadable(sequence))
}

/// Opens the snapshot of the commit at `sequence` of this store.
pub(crate) fn open(disk: &Arc<dyn Disk>, store: u64, sequence: Sequence) -> Result<DumpReader<FileReader>, StoreError> {
    let dump = open_any(disk, sequence).map_err(unreadable(sequence))?;
    if dump.store_id() != store {
        return Err(StoreError::Corrupt { what: format!("{} is the snapshot of another store", name(sequence)) });
    }
    Ok(dump)
}

fn open_any(disk: &Arc<dyn Disk>, sequence: Sequence) -> Result<DumpReader<FileReader>, DumpError> {
    let file = disk.open(&name(sequence)).map_err(|source| DumpError::Io { action: "open the snapshot", source })?;
    let dump = DumpReader::open(FileReader { file, position: 0 })?;
    if dump.sequence() != sequence {
        return Err(DumpError::Damaged { offset: 0, what: "it holds another commit's state than its name says" });
    }
    Ok(dump)
}

/// Writes a snapshot of the state that `stamp` describes, from what `fill` puts into it, and makes it durable; leaves `reserve_bytes` of the
/// disk free.
///
/// # Errors
///
/// [`StoreError::Io`] where there is too little space.
/// [`StoreError::Corrupt`] where the entries are not those that `stamp` describes; then there is no new snapshot.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    reserve_bytes: u64,
    stamp: &Stamp,
    fill: impl FnOnce(&mut DumpWriter<FileWriter>) -> Result<(), StoreError>,
) -> Result<DumpInfo, StoreError> {
    let written = write_unfinished(disk, reserve_bytes, stamp, fill);
    if written.is_err() {
        // It takes space and nobody reads it; the next one, or the next start, removes it too.
        let _ = disk.remove(UNFINISHED);
    }
    written
}

fn write_unfinished(
    disk: &Arc<dyn Disk>,
    reserve_bytes: u64,
    stamp: &Stamp,
    fill: impl FnOnce(&mut DumpWriter<FileWriter>) -> Result<(), StoreError>,
) -> Result<DumpInfo, StoreError> {
    let failed = || StoreError::io("write a snapshot");
    disk.create_dir(DIRECTORY).map_err(failed())?;
    let file = disk.create(UNFINISHED).map_err(failed())?;
    let file = FileWriter { disk: Arc::clone(disk), reserve_bytes, file, position: 0 };
    let mut writer = DumpWriter::new(file, stamp.store, stamp.sequence).map_err(unwritable)?;
    fill(&mut writer)?;
    let (writer, info) = writer.finish().map_err(unwritable)?;
    if info.set_digest() != stamp.digest {
        let what = format!(
            "the index does not hold what the journal says ({} entries instead of {}); open the store again to have the index made anew",
            info.entries, stamp.digest.entries
        );
        return Err(StoreError::Corrupt { what });
    }
    writer.file.sync().map_err(failed())?;
    disk.rename(UNFINISHED, &name(stamp.sequence)).map_err(failed())?;
    disk.sync_dir(DIRECTORY).map_err(failed())?;
    disk.sync_dir("").map_err(failed())?;
    Ok(info)
}

/// Removes the snapshots before `newest`, and what is unfinished.
pub(crate) fn remove_older(disk: &Arc<dyn Disk>, newest: Sequence) -> Result<(), StoreError> {
    let remove = |name: &str| match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(format!("remove {name}"))(error)),
        _ => Ok(()),
    };
    remove(UNFINISHED)?;
    list(disk)?.into_iter().filter(|sequence| *sequence < newest).try_for_each(|sequence| remove(&name(sequence)))
}

/// Gives snapshots after `newest` other names, so that they do not count; nothing is removed.
pub(crate) fn put_aside_after(disk: &Arc<dyn Disk>, newest: Sequence) -> Result<(), StoreError> {
    for sequence in list(disk)?.into_iter().filter(|sequence| *sequence > newest) {
        let aside = format!("{DIRECTORY}/damaged-{:016x}", sequence.number());
        disk.rename(&name(sequence), &aside).map_err(StoreError::io(format!("rename {}", name(sequence))))?;
    }
    disk.sync_dir(DIRECTORY).map_err(StoreError::io("put a snapshot aside"))
}

/// Reads a file from its beginning to its end.
pub(crate) struct FileReader {
    file: Box<dyn DiskFile>,
    position: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Writes a file from its beginning to its end, as long as the disk has more free than what is reserved.
pub(crate) struct FileWriter {
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    file: Box<dyn DiskFile>,
    position: u64,
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reserve_bytes > 0 && self.disk.free_bytes()? < self.reserve_bytes.saturating_add(bytes.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a whole snapshot.
pub(crate) fn info(disk: &Arc<dyn Disk>, store: u64, sequence: Sequence) -> Result<DumpInfo, StoreError> {
    open(disk, store, sequence)?.finish().map_err(unreadable(sequence))
}

/// Reads a whole snapshot; gives the state that it holds.
pub(crate) fn verify(disk: &Arc<dyn Disk>, store: u64, sequence: Sequence) -> Result<Stamp, StoreError> {
    verify_unless(disk, store, sequence, || false)
}

/// Does the same, but gives up with [`StoreError::Closed`] when `is_closing`.
pub(crate) fn verify_unless(
    disk: &Arc<dyn Disk>,
    store: u64,
    sequence: Sequence,
    is_closing: impl Fn() -> bool,
) -> Result<Stamp, StoreError> {
    let mut dump = open(disk, store, sequence)?;
    for entry in &mut dump {
        entry.map_err(unreadable(sequence))?;
        if is_closing() {
            return Err(StoreError::Closed);
        }
    }
    let info = dump.finish().map_err(unreadable(sequence))?;
    Ok(Stamp { store: info.store_id, sequence: info.sequence, digest: info.set_digest() })
}

/// A function for `map_err` that says which snapshot cannot be read.
pub(crate) fn unreadable(sequence: Sequence) -> impl Fn(DumpError) -> StoreError {
    move |error| match error {
        DumpError::Io { source, .. } => StoreError::io(format!("read {}", name(sequence)))(source),
        DumpError::Store(error) => error,
        error => StoreError::Corrupt { what: format!("{} cannot be read: {error}", name(sequence)) },
    }
}

/// A store's error for a snapshot that cannot be written.
pub(crate) fn unwritable(error: DumpError) -> StoreError {
    match error {
        DumpError::Io { action, source } => StoreError::io(format!("{action} (a snapshot)"))(source),
        DumpError::Store(error) => error,
        error => StoreError::Corrupt { what: format!("a snapshot cannot be written: {error}") },
    }
}
