//! The lock on the store's directory, and what sled does not do for its own files: names that are durable, and access for the owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

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
