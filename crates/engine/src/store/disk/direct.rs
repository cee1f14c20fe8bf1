//! Files whose pages are written past the operating system's cache.
//!
//! A page that is written once and made durable at once gains nothing from the cache, and pays for it: a copy, a page that becomes dirty, and a
//! search for dirty pages. Such a write is durable when it returns.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rustix::fs::OFlags;

use super::DiskFile;

/// What addresses, positions and lengths of direct writes are multiples of; no file system in use wants more.
const ALIGNMENT: usize = 4096;
/// The most that is copied and written at once.
const CHUNK_BYTES: usize = 256 * ALIGNMENT;

/// A file that can be written directly, for as long as the file system takes that.
pub(super) struct DirectFile {
    /// For everything else.
    file: File,
    direct: Mutex<Option<Direct>>,
    /// Whether anything was written that is not durable yet.
    is_unsynced: AtomicBool,
}

struct Direct {
    file: File,
    /// Has room for a chunk from the first aligned address on.
    buffer: Vec<u8>,
}

impl DirectFile {
    /// Opens a file that exists. Where there are no direct writes, it is written like others.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
        let direct = OpenOptions::new().write(true).custom_flags(flags).open(path).ok();
        let direct = direct.map(|file| Direct { file, buffer: vec![0; CHUNK_BYTES + ALIGNMENT] });
        Ok(Self { file, direct: Mutex::new(direct), is_unsynced: AtomicBool::new(false) })
    }
}

impl Direct {
    /// Writes whole pages.
    fn write(&mut self, pages: &[u8], mut offset: u64) -> io::Result<()> {
        let start = self.buffer.as_ptr().align_offset(ALIGNMENT);
        for chunk in pages.chunks(CHUNK_BYTES) {
            let aligned = &mut self.buffer[start..][..chunk.len()];
            aligned.copy_from_slice(chunk);
            self.file.write_all_at(aligned, offset)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }
}

fn is_aligned(bytes: &[u8], offset: u64) -> bool {
    bytes.len().is_multiple_of(ALIGNMENT) && offset.is_multiple_of(ALIGNMENT as u64)
}

impl DiskFile for DirectFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        DiskFile::read_at(&self.file, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if is_aligned(bytes, offset) {
            let mut direct = self.direct.lock();
            if let Some(writer) = &mut *direct {
                match writer.write(bytes, offset) {
                    // Some file systems say only now that they have no direct writes, or want another alignment.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => *direct = None,
                    written => return written,
                }
            }
        }
        let written = DiskFile::write_at(&self.file, bytes, offset);
        self.is_unsynced.store(true, Ordering::Release);
        written
    }

    fn len(&self) -> io::Result<u64> {
        DiskFile::len(&self.file)
    }

    fn sync(&self) -> io::Result<()> {
        // Taken back first: what is written meanwhile needs a sync of its own.
        if self.is_unsynced.swap(false, Ordering::AcqRel) {
            self.file.sync_data().inspect_err(|_| self.is_unsynced.store(true, Ordering::Release))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::NamedTempFile;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read_whether_directly_or_not(
            writes in prop::collection::vec((0_u64..40, 0_u64..3, 1_usize..4, 0_usize..2), 1..20),
            falls_back in any::<bool>(),
        ) {
            let named = NamedTempFile::new().unwrap();
            let file = DirectFile::open(named.path()).unwrap();
            let mut expected = Vec::new();
            for (fill, (page, beside, pages, less)) in (1_u8..).zip(writes) {
                if falls_back && fill == 5 {
                    *file.direct.lock() = None;
                }
                let bytes = vec![fill; pages * ALIGNMENT - less];
                let offset = page * ALIGNMENT as u64 + beside;
                file.write_at(&bytes, offset).unwrap();
                let start = usize::try_from(offset).unwrap();
                expected.resize(expected.len().max(start + bytes.len()), 0);
                expected[start..start + bytes.len()].copy_from_slice(&bytes);
            }
            file.sync().unwrap();
            prop_assert_eq!(file.len().unwrap(), expected.len() as u64);
            let mut read = vec![0; expected.len()];
            prop_assert_eq!(file.read_at(&mut read, 0).unwrap(), expected.len());
            prop_assert!(read == expected);
        }
    }
}
