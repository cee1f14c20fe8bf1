//! What the files of a store in a directory hold, for tests that damage them.

use std::{fs, path::Path, sync::Arc};

use crate::store::{
    Sequence,
    disk::{Disk, OsDisk},
    journaled::{
        frame::{self, HEADER_BYTES, PAGE_BYTES},
        notes::{Found, Note, NoteFile},
        recover::COMMITS,
        snapshots, space,
        stamp::Stamp,
    },
};

/// A whole frame, also one from an earlier use of its segment.
#[derive(Clone)]
pub(crate) struct PlacedFrame {
    /// Relative to the directory.
    pub(crate) file: String,
    pub(crate) position: usize,
    /// Without what fills up the last page.
    pub(crate) bytes: Vec<u8>,
    pub(crate) last: Sequence,
}

/// The state that a frame leads to.
pub(crate) fn stamp_of(placed: &PlacedFrame) -> Stamp {
    frame::decode(&placed.bytes).unwrap().0.after
}

/// All whole frames of all segments.
pub(crate) fn frames(directory: &Path) -> Vec<PlacedFrame> {
    let disk = OsDisk::new(directory);
    let mut frames = Vec::new();
    for name in disk.list(space::DIRECTORY).unwrap() {
        let file = format!("{}/{name}", space::DIRECTORY);
        let bytes = fs::read(directory.join(&file)).unwrap();
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            let Some((head, payload)) = frame::decode(rest) else {
                position += PAGE_BYTES;
                continue;
            };
            let (bytes, last) = (rest[..HEADER_BYTES + payload.len()].to_vec(), head.after.sequence);
            frames.push(PlacedFrame { file: file.clone(), position, bytes, last });
            position += head.frame_bytes();
        }
    }
    frames
}

/// The newest note in `COMMITS`.
pub(crate) fn noted_commits(directory: &Path) -> Option<Note> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(directory));
    match NoteFile::open(&disk, COMMITS).unwrap() {
        Found::Note(_, note) => Some(note),
        _ => None,
    }
}

/// The commit of the newest snapshot.
pub(crate) fn newest_snapshot(directory: &Path) -> Option<Sequence> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(directory));
    snapshots::list(&disk).unwrap().last().copied()
}
