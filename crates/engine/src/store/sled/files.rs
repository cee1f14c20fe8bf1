//! The lock on the store's directory, and what sled does not do for its own files: names that are durable, and access for the owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::store::{StoreError, dump::DumpError};

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
    sync_dir(parent_of(path))
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// How often a lock is asked for, and how long to wait in between. A process that was killed while it started another one leaves the lock to that one,
/// which lets go of it in a moment.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Locks the directory against other processes, and other stores of this one, as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let file = open_private(&directory.join("LOCK"))?;
    match lock_within(&file, LOCK_ATTEMPTS, LOCK_PAUSE) {
        Ok(true) => Ok(file),
        Ok(false) => Err(StoreError::Locked { path: directory.to_path_buf() }),
        Err(error) => Err(StoreError::io(format!("lock {}", directory.display()))(error)),
    }
}

/// Asks for a file's lock this many times, with a pause after each that fails; whether it is held.
pub(super) fn lock_within(file: &File, attempts: u32, pause: Duration) -> io::Result<bool> {
    for _ in 0..attempts {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => thread::sleep(pause),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Refuses a directory with anything in it; a missing one is as good as an empty one.
pub(super) fn refuse_non_empty(directory: &Path) -> Result<(), DumpError> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DumpError::Io { action: "list the directory to load into", source }),
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(DumpError::NotEmpty)),
    }
}

/// The path beside `directory` with a dot and this word at its end.
pub(super) fn beside(directory: &Path, word: &str) -> PathBuf {
    // What is there may have been given as `.` or with a slash at its end.
    let whole = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
    let mut name = whole.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(word);
    whole.with_file_name(name)
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Gives a directory the name of another one, which is missing or empty, durably.
pub(super) fn take_place(from: &Path, to: &Path) -> Result<(), StoreError> {
    let take_place = || {
        match fs::remove_dir(to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(from, to)
    };
    take_place().map_err(StoreError::io(format!("rename {} to {}", from.display(), to.display())))?;
    sync_dir(parent_of(to))
}
