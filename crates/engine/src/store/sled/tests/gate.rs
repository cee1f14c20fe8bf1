//! A disk that can be held, so that a store's directory can be copied as a kill of its process would leave it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use super::copy_dir;
use crate::store::disk::{Disk, DiskFile, OsDisk};

/// A copy that is to be made when the disk has done so many operations.
struct Copying {
    operations: u64,
    at: u64,
    from: PathBuf,
    to: PathBuf,
}

/// A disk that waits while it is held. A clone is the same disk.
#[derive(Clone)]
pub(super) struct GatedDisk {
    disk: Arc<OsDisk>,
    gate: Gate,
}

#[derive(Clone, Default)]
struct Gate {
    held: Arc<RwLock<()>>,
    copying: Arc<Mutex<Option<Copying>>>,
}

impl GatedDisk {
    pub(super) fn new(directory: &Path) -> Self {
        Self { disk: Arc::new(OsDisk::new(directory)), gate: Gate::default() }
    }

    /// Does something while nothing changes on the disk.
    pub(super) fn hold<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        let _held = self.gate.held.write();
        meanwhile()
    }

    /// Copies a directory right before the disk's `at`-th operation from now that changes something.
    pub(super) fn copy_before(&self, at: u64, from: &Path, to: &Path) {
        *self.gate.copying.lock() = Some(Copying { operations: 0, at, from: from.into(), to: to.into() });
    }

    /// Whether the copy was made.
    pub(super) fn has_copied(&self) -> bool {
        self.gate.copying.lock().is_none()
    }
}

impl Gate {
    fn change<T>(&self, change: impl FnOnce() -> T) -> T {
        {
            let _held = self.held.write();
            let mut copying = self.copying.lock();
            if let Some(due) = &mut *copying {
                due.operations += 1;
                if due.operations >= due.at {
                    copy_dir(&due.from, &due.to);
                    *copying = None;
                }
            }
        }
        let _open = self.held.read();
        change()
    }

    fn file(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(GatedFile { file: file?, gate: self.clone() }))
    }
}

struct GatedFile {
    file: Box<dyn DiskFile>,
    gate: Gate,
}

impl DiskFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.gate.change(|| self.file.write_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.change(|| self.file.sync())
    }
}

impl Disk for GatedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.gate.file(self.gate.change(|| self.disk.create(name)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.gate.file(self.disk.open(name))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        self.gate.change(|| self.disk.create_dir(directory))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.gate.change(|| self.disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.gate.change(|| self.disk.remove(name))
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.gate.change(|| self.disk.sync_dir(directory))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}
