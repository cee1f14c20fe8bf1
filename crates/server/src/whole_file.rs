//! Files that exist whole and durably, or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A file that only its owner can read. Until [`WholeFile::finish`] its content is beside it, in a file with `.partial` at the end of its name;
/// dropped before that, nothing is left.
pub(crate) struct WholeFile {
    path: PathBuf,
    partial: PathBuf,
    /// Locked, so that of two writers one is refused.
    file: File,
    replaces: bool,
    is_finished: bool,
}

impl WholeFile {
    /// Begins to write the file at `path`. What an interrupted attempt left is written over.
    ///
    /// # Errors
    ///
    /// - [`io::ErrorKind::AlreadyExists`] when there is such a file, unless it may be replaced.
    /// - [`io::ErrorKind::InvalidInput`] when there is something else than a file.
    /// - [`io::ErrorKind::ResourceBusy`] when somebody else is writing it.
    pub(crate) fn create(path: &Path, replaces: bool) -> io::Result<WholeFile> {
        refuse_existing(path, replaces)?;
        let mut partial = OsString::from(path);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&partial)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !is_at(&file, &partial)? {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing it"));
        }
        // From here on it is ours, so that it is removed when something fails.
        let whole = WholeFile { path: path.to_owned(), partial, file, replaces, is_finished: false };
        whole.file.set_permissions(Permissions::from_mode(0o600))?;
        whole.file.set_len(0)?;
        Ok(whole)
    }

    /// Gives the file its name, durably.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        refuse_existing(&self.path, self.replaces)?;
        fs::rename(&self.partial, &self.path)?;
        self.is_finished = true;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nobody can do more about it, and the next attempt writes over it.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn refuse_existing(path: &Path, replaces: bool) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.is_file() => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        Ok(_) if replaces => Ok(()),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Whether the open file is the one that has this name: whoever had it locked before may have renamed it.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => named.map(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_finished_and_only_for_its_owner() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("file");
        fs::write(dir.path().join("file.partial"), "what a killed attempt left")?;
        let mut file = WholeFile::create(&path, false)?;
        file.write_all(b"whole")?;
        assert!(!path.exists());
        file.finish()?;
        assert_eq!(fs::read_to_string(&path)?, "whole");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path())?, ["file"]);
        Ok(())
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        WholeFile::create(&dir.path().join("file"), false)?.write_all(b"half")?;
        assert_eq!(names(dir.path())?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_file_is_replaced_only_where_that_is_wanted_and_nothing_else_ever() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("file");
        let early = WholeFile::create(&path, false)?;
        fs::write(&path, "old")?;
        let kind = |refused: io::Result<()>| refused.err().map(|error| error.kind());
        assert_eq!(kind(early.finish()), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(kind(WholeFile::create(&path, false).map(drop)), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(kind(WholeFile::create(dir.path(), true).map(drop)), Some(io::ErrorKind::InvalidInput));
        assert_eq!(fs::read_to_string(&path)?, "old");
        WholeFile::create(&path, true)?.finish()?;
        assert_eq!(fs::read_to_string(&path)?, "");
        Ok(())
    }

    #[test]
    fn of_two_writers_one_is_refused() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("file");
        let mut first = WholeFile::create(&path, false)?;
        let second = WholeFile::create(&path, false).map(drop).map_err(|error| error.kind());
        assert_eq!(second, Err(io::ErrorKind::ResourceBusy));
        first.write_all(b"first")?;
        first.finish()?;
        assert_eq!(fs::read_to_string(&path)?, "first");
        Ok(())
    }
}
