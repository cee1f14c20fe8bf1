//! The files `COMMITS` and `CHECKPOINT`: a few bytes each, written again and again.
//!
//! Each has two slots on pages of their own, written in turn, so that a torn write leaves the other one if that was synced. All numbers are big-endian:
//! `OFFSNOTE`, format (4 bytes), 1 after a clean close or else 0 (4), generation (8), a [`Stamp`] (64), length and digest of the index's files at a
//! clean close (8, 16), and the XXH3-64 (8) of all that stands before.

#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    frame::PAGE_BYTES,
    stamp::{STAMP_BYTES, Stamp},
};
use crate::store::{
    StoreError,
    disk::{Disk, DiskFile},
};

/// The format that this release writes. It reads [`FORMAT_WITH_BARE_INDEX`] too.
pub(crate) const FORMAT: u32 = 3;
/// The format of stores whose index has each entry under a key of its own; all else is the same.
pub(crate) const FORMAT_WITH_BARE_INDEX: u32 = 2;

const MAGIC: [u8; 8] = *b"OFFSNOTE";
const CHECKED_BYTES: usize = 8 + 4 + 4 + 8 + STAMP_BYTES + 8 + 16;
const NOTE_BYTES: usize = CHECKED_BYTES + 8;
const SLOTS: u64 = 2;

/// Length and digest of files, to find whether anything changed in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) bytes: u64,
    pub(crate) digest: u128,
}

/// What a file of notes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) stamp: Stamp,
    /// The index's files as a clean close left them; none while the store is open.
    pub(crate) clean: Option<Fingerprint>,
}

/// What was found under the name of a file of notes.
pub(crate) enum Found {
    Missing,
    /// Nothing in it can be read.
    Damaged,
    UnknownFormat(u32),
    /// A stamp alone, as stores without a journal wrote it.
    Bare(Stamp),
    Note(NoteFile, Note),
}

/// An open file of notes.
pub(crate) struct NoteFile {
    name: &'static str,
    file: Box<dyn DiskFile>,
    generation: u64,
}

impl NoteFile {
    /// Creates the file, durably and whole.
    pub(crate) fn create(disk: &Arc<dyn Disk>, name: &'static str, note: &Note) -> Result<Self, StoreError> {
        let create = || {
            let unfinished = format!("{name}.new");
            let mut notes = Self { name, file: disk.create(&unfinished)?, generation: 0 };
            for _ in 0..SLOTS {
                notes.put(note)?;
            }
            notes.file.sync()?;
            disk.rename(&unfinished, name)?;
            disk.sync_dir("")?;
            Ok(notes)
        };
        create().map_err(StoreError::io(format!("create the file {name}")))
    }

    /// Reads the file, the newest slot of it.
    pub(crate) fn open(disk: &Arc<dyn Disk>, name: &'static str) -> Result<Found, StoreError> {
        let read = || {
            let file = match disk.open(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let mut bytes = vec![0; PAGE_BYTES + NOTE_BYTES];
            let length = file.read_at(&mut bytes, 0)?;
            bytes.truncate(length);
            Ok(Some((file, bytes)))
        };
        let Some((file, bytes)) = read().map_err(StoreError::io(format!("read the file {name}")))? else {
            return Ok(Found::Missing);
        };
        let slots = [0, PAGE_BYTES].map(|start| bytes.get(start..).map_or(Slot::Damaged, Slot::read));
        if let Some(format) =
            slots.iter().find_map(|slot| if let Slot::UnknownFormat(found) = slot { Some(*found) } else { None })
        {
            return Ok(Found::UnknownFormat(format));
        }
        let notes = slots
            .iter()
            .filter_map(|slot| if let Slot::Note(generation, note) = slot { Some((*generation, *note)) } else { None });
        if let Some((generation, note)) = notes.max_by_key(|(generation, _)| *generation) {
            return Ok(Found::Note(Self { name, file, generation }, note));
        }
        let stamps =
            [0, PAGE_BYTES].into_iter().filter_map(|start| Stamp::decode(bytes.get(start..)?.get(..STAMP_BYTES)?).ok());
        Ok(stamps.max_by_key(|stamp| stamp.sequence).map_or(Found::Damaged, Found::Bare))
    }

    /// Writes a note; it is durable after [`NoteFile::sync`], and until then may be lost, but never half there.
    pub(crate) fn write(&mut self, note: &Note) -> Result<(), StoreError> {
        self.put(note).map_err(StoreError::io(format!("write the file {}", self.name)))
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync().map_err(StoreError::io(format!("make the file {} durable", self.name)))
    }

    fn put(&mut self, note: &Note) -> io::Result<()> {
        self.generation += 1;
        let slot = self.generation % SLOTS * PAGE_BYTES as u64;
        self.file.write_at(&encode(self.generation, note), slot)
    }
}

/// What a slot holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Damaged,
    UnknownFormat(u32),
    Note(u64, Note),
}

/// A slot's bytes.
pub(crate) fn encode(generation: u64, note: &Note) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NOTE_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&u32::from(note.clean.is_some()).to_be_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&note.stamp.encode());
    let files = note.clean.unwrap_or(Fingerprint { bytes: 0, digest: 0 });
    bytes.extend_from_slice(&files.bytes.to_be_bytes());
    bytes.extend_from_slice(&files.digest.to_be_bytes());
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Puts the checksums that they should have into what may be a slot and the stamp in it, so that what stands in them is looked at.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn seal(bytes: &mut [u8]) {
    const STAMP: usize = 8 + 4 + 4 + 8;
    if bytes.len() < NOTE_BYTES {
        return;
    }
    for (start, end) in [(STAMP, STAMP + STAMP_BYTES - 8), (0, CHECKED_BYTES)] {
        let checksum = xxh3_64(&bytes[start..end]);
        bytes[end..end + 8].copy_from_slice(&checksum.to_be_bytes());
    }
}

impl Slot {
    /// What stands at the start of `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self::decode(bytes).unwrap_or(Self::Damaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, rest) = bytes.split_at_checked(CHECKED_BYTES)?;
        if checked[..8] != MAGIC || u64::from_be_bytes(*rest.first_chunk()?) != xxh3_64(checked) {
            return None;
        }
        let (format, rest) = checked[8..].split_first_chunk()?;
        let format = u32::from_be_bytes(*format);
        if ![FORMAT, FORMAT_WITH_BARE_INDEX].contains(&format) {
            return Some(Self::UnknownFormat(format));
        }
        let (clean, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (stamp, rest) = rest.split_first_chunk::<STAMP_BYTES>()?;
        let (bytes, rest) = rest.split_first_chunk()?;
        let files =
            Fingerprint { bytes: u64::from_be_bytes(*bytes), digest: u128::from_be_bytes(*rest.first_chunk()?) };
        let clean = (u32::from_be_bytes(*clean) == 1).then_some(files);
        Some(Self::Note(u64::from_be_bytes(*generation), Note { stamp: Stamp::decode(stamp).ok()?, clean }))
    }
}
