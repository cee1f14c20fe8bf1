//! The store's own files, beside those of sled: `LOCK` and `COMMITS`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::stamp::{FORMAT, STAMP_BYTES, Stamp, StampError};
use crate::store::StoreError;

/// Creates a directory that only its owner can enter, unless it exists already.
pub(super) fn create_private_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::io(format!("create the directory {}", path.display())))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Makes a directory's entries durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(StoreError::io(format!("make the directory {} durable", path.display())))
}

/// Makes durable the files that a directory holds; does nothing where there is no such directory.
pub(super) fn sync_contents(directory: &Path) -> Result<(), StoreError> {
    if !directory.is_dir() {
        return Ok(());
    }
    for path in files_of(directory)? {
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(StoreError::io(format!("make {} durable", path.display())))?;
    }
    sync_dir(directory)
}

/// Opens a file that only its owner can read, and creates it where it is missing.
fn open_private(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(StoreError::io(format!("open {}", path.display())))
}

/// Takes away everybody's access but the owner's to the files of a directory.
pub(super) fn make_files_private(directory: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    for path in files_of(directory)? {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode)
            .map_err(StoreError::io(format!("set the permissions of {}", path.display())))?;
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// The files of a directory, without its directories; none where there is no such directory.
pub(super) fn files_of(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let list = || {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        Ok(files)
    };
    list().map_err(StoreError::io(format!("list the directory {}", directory.display())))
}

/// Locks the directory against other processes, and other stores of this one, as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let file = open_private(&directory.join("LOCK"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: directory.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StoreError::io(format!("lock {}", directory.display()))(error)),
    }
}

/// Where the second slot begins: on another page, so that no torn write takes both.
const SECOND_SLOT: u64 = 4096;

/// The file `COMMITS`: the newest stamp, outside of sled, so that sled going back to an older state is noticed.
///
/// It has two slots that are written in turn. It is made durable only now and then: after a loss of power it may be behind sled, but
/// never ahead of it.
pub(super) struct CommitsFile {
    file: File,
    path: PathBuf,
    /// Where the next stamp goes.
    next_slot: u64,
}

impl CommitsFile {
    fn path(directory: &Path) -> PathBuf {
        directory.join("COMMITS")
    }

    /// Creates the file of a new store.
    pub(super) fn create(directory: &Path, stamp: &Stamp) -> Result<Self, StoreError> {
        let (path, unfinished) = (Self::path(directory), directory.join("COMMITS.new"));
        let file = open_private(&unfinished)?;
        let mut commits = Self { file, path: unfinished.clone(), next_slot: 0 };
        commits.write(stamp)?;
        commits.write(stamp)?;
        commits.sync()?;
        fs::rename(&unfinished, &path).map_err(StoreError::io(format!("create {}", path.display())))?;
        sync_dir(directory)?;
        commits.path = path;
        Ok(commits)
    }

    /// Opens the file and reads the newest stamp; `None` where there is no such file.
    pub(super) fn open(directory: &Path) -> Result<Option<(Self, Stamp)>, StoreError> {
        let path = Self::path(directory);
        if !path.exists() {
            return Ok(None);
        }
        let mut file = open_private(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(StoreError::io(format!("read {}", path.display())))?;
        let slot = |start: u64| {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            bytes.get(start..).and_then(|rest| rest.get(..STAMP_BYTES)).map_or(Err(StampError::Damaged), Stamp::decode)
        };
        let (first, second) = (slot(0), slot(SECOND_SLOT));
        let (stamp, next_slot) = match (first, second) {
            (Ok(first), Ok(second)) if second.sequence > first.sequence => (second, 0),
            (Ok(first), Ok(_) | Err(StampError::Damaged)) => (first, SECOND_SLOT),
            (Err(StampError::Damaged), Ok(second)) => (second, 0),
            (Err(StampError::UnknownFormat(found)), _) | (_, Err(StampError::UnknownFormat(found))) => {
                return Err(StoreError::UnknownFormat { path: directory.to_path_buf(), found, known: FORMAT });
            }
            (Err(StampError::Damaged), Err(StampError::Damaged)) => {
                return Err(StoreError::Corrupt { what: format!("{} is unreadable", path.display()) });
            }
        };
        Ok(Some((Self { file, path, next_slot }, stamp)))
    }

    /// Writes a stamp, which becomes durable at the latest with [`CommitsFile::sync`].
    pub(super) fn write(&mut self, stamp: &Stamp) -> Result<(), StoreError> {
        let mut file = &self.file;
        let written = file.seek(SeekFrom::Start(self.next_slot)).and_then(|_| file.write_all(&stamp.encode()));
        written.map_err(StoreError::io(format!("write {}", self.path.display())))?;
        self.next_slot = SECOND_SLOT - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(StoreError::io(format!("make {} durable", self.path.display())))
    }
}
