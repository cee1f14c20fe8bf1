//! What the journal and the snapshots need of a disk, so that tests can put a simulated one under them.
//!
//! # What may be relied on
//!
//! - What was written to a file is durable once [`DiskFile::sync`] has succeeded. What was written after that may be there or not, in any
//!   order of its pages, and half of it.
//! - A name that is new, changed or gone is durable once [`Disk::sync_dir`] of its directory has succeeded. A rename happens or does not.
//! - After a failed sync nothing is known of what was written before it, and trying again proves nothing.

#[cfg(target_os = "linux")]
mod direct;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// A directory of files. Names are relative to it, with `/` between a directory and a file.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Creates an empty file that only its owner can read, in place of one that is there.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, for whole pages that are each written once and then made durable: there is a faster way for these.
    fn open_for_pages(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(name)
    }

    /// The names of the files in a directory, without the directory's own, sorted; none where there is no such directory.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// Creates a directory that only its owner can enter, unless it is there.
    fn create_dir(&self, directory: &str) -> io::Result<()>;

    /// Renames a file, in place of one that is there. Both names are in the same directory.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a directory durable; the empty name is the directory of all.
    fn sync_dir(&self, directory: &str) -> io::Result<()>;

    /// How many bytes can still be written before the disk is full.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync {
    /// Reads up to the buffer's length of bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of the bytes; the file grows where they reach beyond its end.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Makes durable what was written to the file, and its length.
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's file system, below one directory.
#[derive(Debug)]
pub(crate) struct OsDisk {
    directory: PathBuf,
}

impl OsDisk {
    /// The disk below `directory`, which exists.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.directory.clone() } else { self.directory.join(name) }
    }

    fn open_with(&self, name: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(create);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(options.open(self.path(name))?))
    }
}

impl Disk for OsDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_with(name, true)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_with(name, false)
    }

    #[cfg(target_os = "linux")]
    fn open_for_pages(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(direct::DirectFile::open(&self.path(name))?))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.path(directory))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        File::open(self.path(directory))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        #[cfg(unix)]
        {
            let found = rustix::fs::statvfs(&self.directory)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        }
        #[cfg(not(unix))]
        Ok(u64::MAX)
    }
}

#[cfg(unix)]
impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match std::os::unix::fs::FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
