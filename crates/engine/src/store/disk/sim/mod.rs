//! A disk in memory that loses its power, its space and its writes as a test asks for it.
//!
//! # What a loss of power leaves
//!
//! - Of each page that was written since the last sync of its file: the page, the durable one, or sectors of these and of those between.
//! - Of a length that was not synced: the new one, the durable one, or one between.
//! - Of each operation on names since the last sync of its directory: all of it or nothing. One that rests on another, since it changes the
//!   same name or is in a directory that the other made, does not happen without it.
//!
//! The seed decides, and nothing else does: the same operations and the same seed give the same disk.

mod content;
mod damage;
mod fate;
mod names;
mod properties;
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    sync::Arc,
};

use parking_lot::Mutex;

use self::{
    content::Content,
    fate::Fate,
    names::{Entry, Inode, Names, directories_of, directory_of},
};
use super::{Disk, DiskFile};

/// The error of a device that failed, as Unix numbers it.
const EIO: i32 = 5;

/// A simulated disk. A clone is the same disk; [`SimDisk::clone_state`] makes another one.
#[derive(Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    names: Names,
    /// All files there ever were: one without a name may be open, or come back.
    files: BTreeMap<Inode, Content>,
    operations: u64,
    stop: Option<u64>,
    off: bool,
    /// How many more syncs of files there are until one fails, that one included.
    failing_sync: Option<u64>,
    failing_writes: Option<ErrorKind>,
    free_bytes: Option<u64>,
    read_only: bool,
}

struct SimFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
}

impl SimDisk {
    /// An empty disk without limits.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Another disk in the same state, with the same faults to come; the two share what they do not change.
    pub(crate) fn clone_state(&self) -> Self {
        Self::with(self.state.lock().clone())
    }

    /// The disk as it may be after a loss of power now: another one, without faults and limits, on which all that is there is durable.
    pub(crate) fn power_cut(&self, seed: u64) -> Self {
        self.after_cut(&mut Fate::drawn(seed))
    }

    /// As if only the program had been killed: all that it did is there.
    pub(crate) fn power_cut_keeping_all(&self) -> Self {
        self.after_cut(&mut Fate::Kept)
    }

    /// As if the disk had done nothing before it was told to sync: only what was synced is there.
    pub(crate) fn power_cut_dropping_all(&self) -> Self {
        self.after_cut(&mut Fate::Dropped)
    }

    /// How many operations there were: `write_at`, `sync`, `create`, `rename`, `remove` and `sync_dir`, be it that they failed.
    pub(crate) fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Turns the power off in the middle of this disk's n-th operation, counted as [`SimDisk::operations`] counts. That operation and all
    /// later ones fail, reads included. What it asked for may be there after a power cut or not, like all that is not durable.
    pub(crate) fn stop_after(&self, n: u64) {
        let mut state = self.state.lock();
        state.stop = Some(n);
        state.off = state.operations >= n;
    }

    /// Makes the n-th sync of a file from now fail, the next one being the first. As on Linux, what was written to that file since its last
    /// sync can still be read, but later syncs leave it out: a power cut takes it unless it was written again.
    pub(crate) fn fail_sync(&self, n: u64) {
        self.state.lock().failing_sync = Some(n);
    }

    /// Makes every write to a file fail, without writing anything, until this is set to `None`.
    pub(crate) fn fail_writes(&self, kind: Option<ErrorKind>) {
        self.state.lock().failing_writes = kind;
    }

    /// Lets files grow by this many bytes in all. A write beyond that writes what fits, and fails; without any space no file can be created.
    /// What is removed or truncated gives its space back.
    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.state.lock().free_bytes = Some(bytes);
    }

    /// Makes all that would change the disk fail, with the opening of files, which is for writing too. A sync that has nothing to do succeeds.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn after_cut(&self, fate: &mut Fate) -> Self {
        let state = self.state.lock();
        let names = state.names.after_cut(fate);
        let files = names.files().map(|(_, inode)| (inode, state.files[&inode].after_cut(fate))).collect();
        Self::with(State { names, files, ..State::default() })
    }

    fn handle(&self, inode: Inode) -> Box<dyn DiskFile> {
        Box::new(SimFile { state: self.state.clone(), inode })
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("power is off")) } else { Ok(()) }
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Counts an operation, and turns the power off if it is the last one.
    fn begin(&mut self) -> io::Result<()> {
        self.powered()?;
        self.operations += 1;
        self.off = self.stop.is_some_and(|stop| self.operations >= stop);
        Ok(())
    }

    /// An operation that changes what the program sees. When the power goes meanwhile it is done, but nobody is told.
    fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        self.begin()?;
        let result = self.writable().and_then(|()| change(self));
        self.powered()?;
        result
    }

    /// An operation that makes something durable. When the power goes meanwhile nothing is certain, so nothing is done.
    fn make_durable(&mut self, sync: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.begin()?;
        self.powered()?;
        sync(self)
    }

    fn content(&mut self, inode: Inode) -> &mut Content {
        self.files.entry(inode).or_default()
    }

    fn create(&mut self, name: &str) -> io::Result<Inode> {
        if self.names.get(name).is_some() {
            let inode = self.names.file(name)?;
            self.give_back(inode);
            self.content(inode).truncate();
            return Ok(inode);
        }
        self.names.enter(directory_of(name))?;
        self.have_space()?;
        Ok(self.add(name))
    }

    /// Gives a name to a new file.
    fn add(&mut self, name: &str) -> Inode {
        let inode = self.files.last_key_value().map_or(0, |(last, _)| last + 1);
        self.files.insert(inode, Content::default());
        self.names.set(name, Some(Entry::File(inode)));
        inode
    }

    fn create_dir(&mut self, directory: &str) -> io::Result<()> {
        for directory in directories_of(directory).chain([directory]) {
            if self.names.get(directory).is_none() && !directory.is_empty() {
                self.writable()?;
                self.have_space()?;
                self.names.set(directory, Some(Entry::Directory));
            }
            self.names.enter(directory)?;
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let moved = self.names.file(from)?;
        if self.names.get(to).is_some() {
            let replaced = self.names.file(to)?;
            if replaced != moved {
                self.give_back(replaced);
            }
        }
        self.names.rename(from, to);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let inode = self.names.file(name)?;
        self.give_back(inode);
        self.names.set(name, None);
        Ok(())
    }

    fn write(&mut self, inode: Inode, bytes: &[u8], offset: usize) -> io::Result<()> {
        if let Some(kind) = self.failing_writes {
            return Err(kind.into());
        }
        let len = self.content(inode).len();
        let end = if bytes.is_empty() { len } else { offset + bytes.len() };
        let growth = end.saturating_sub(len);
        let space = self.free_bytes.map_or(usize::MAX, to_usize);
        let missing = growth.saturating_sub(space);
        self.content(inode).write(&bytes[..bytes.len().saturating_sub(missing)], offset);
        let grown = self.content(inode).len() - len;
        self.free_bytes = self.free_bytes.map(|free| free - grown as u64);
        if missing == 0 { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self, inode: Inode) -> io::Result<()> {
        if !self.content(inode).is_synced() {
            self.writable()?;
        }
        self.failing_sync = match self.failing_sync {
            Some(0 | 1) => {
                self.failing_sync = None;
                self.content(inode).fail_sync();
                return Err(io::Error::from_raw_os_error(EIO));
            }
            syncs => syncs.map(|syncs| syncs - 1),
        };
        self.content(inode).sync();
        Ok(())
    }

    fn sync_dir(&mut self, directory: &str) -> io::Result<()> {
        self.names.enter(directory)?;
        if !self.names.is_synced(directory) {
            self.writable()?;
        }
        self.names.sync(directory);
        Ok(())
    }

    fn have_space(&self) -> io::Result<()> {
        if self.free_bytes == Some(0) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Frees the space of a file that is about to go.
    fn give_back(&mut self, inode: Inode) {
        let len = self.content(inode).len() as u64;
        self.free_bytes = self.free_bytes.map(|free| free.saturating_add(len));
    }
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.state.lock().change(|state| state.create(name))?;
        Ok(self.handle(inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state.lock();
        state.powered()?;
        let inode = state.names.file(name)?;
        state.writable()?;
        Ok(self.handle(inode))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        let names = state.names.files().map(|(name, _)| name).filter(|name| directory_of(name) == directory);
        Ok(names.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.powered()?;
        state.create_dir(directory)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state.lock().change(|state| state.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state.lock().change(|state| state.remove(name))
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        self.state.lock().make_durable(|state| state.sync_dir(directory))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.free_bytes.unwrap_or(u64::MAX))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.powered()?;
        Ok(state.content(self.inode).read(buffer, to_usize(offset)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.state.lock().change(|state| state.write(self.inode, bytes, to_usize(offset)))
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.powered()?;
        Ok(state.content(self.inode).len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        self.state.lock().make_durable(|state| state.sync(self.inode))
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
