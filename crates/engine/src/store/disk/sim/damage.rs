//! What happens to the files of a disk at rest: damage, and whatever a test wants to find on it. It needs no power and is durable at once,
//! with all else of the file and of its directory.

use std::ops::Range;

use super::{
    SimDisk,
    content::Content,
    fate::Fate,
    names::{Entry, directories_of, directory_of},
};

impl SimDisk {
    /// The names and lengths of all files, as the program sees them.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let state = self.state.lock();
        state.names.files().map(|(name, inode)| (name.to_owned(), state.files[&inode].len() as u64)).collect()
    }

    /// What a file holds, as the program sees it.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let content = self.content(name);
        let mut bytes = vec![0; content.len()];
        content.read(&mut bytes, 0);
        bytes
    }

    /// Gives a file these bytes; makes it, and its directories, where there is none.
    pub(crate) fn overwrite(&self, name: &str, bytes: &[u8]) {
        self.place(name, Content::durable(bytes));
    }

    /// Inverts the bits of the mask in a byte.
    pub(crate) fn flip(&self, name: &str, offset: usize, mask: u8) {
        self.edit(name, |bytes| bytes[offset] ^= mask);
    }

    /// Cuts a file to a shorter length.
    pub(crate) fn cut(&self, name: &str, len: usize) {
        self.edit(name, |bytes| bytes.truncate(len));
    }

    /// Puts zeros over a part of a file.
    pub(crate) fn zero(&self, name: &str, range: Range<usize>) {
        self.edit(name, |bytes| bytes[range].fill(0));
    }

    /// Removes a file.
    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state.lock();
        state.names.file(name).unwrap();
        state.names.set(name, None);
        state.names.sync(directory_of(name));
    }

    /// Puts a copy of a file onto a disk, which may be the same one.
    pub(crate) fn copy(&self, name: &str, other: &SimDisk, other_name: &str) {
        other.place(other_name, self.content(name));
    }

    /// Gives each of two files what the other one holds.
    pub(crate) fn swap(&self, name: &str, other: &SimDisk, other_name: &str) {
        let (here, there) = (self.content(name), other.content(other_name));
        self.place(name, there);
        other.place(other_name, here);
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.read(name);
        change(&mut bytes);
        self.overwrite(name, &bytes);
    }

    fn content(&self, name: &str) -> Content {
        let state = self.state.lock();
        state.files[&state.names.file(name).unwrap()].after_cut(&mut Fate::Kept)
    }

    fn place(&self, name: &str, content: Content) {
        let mut state = self.state.lock();
        for directory in directories_of(name) {
            if state.names.get(directory).is_none() {
                state.names.set(directory, Some(Entry::Directory));
            }
            state.names.sync(directory_of(directory));
        }
        let inode = match state.names.get(name) {
            None => state.add(name),
            Some(_) => state.names.file(name).unwrap(),
        };
        *state.content(inode) = content;
        state.names.sync(directory_of(name));
    }
}
