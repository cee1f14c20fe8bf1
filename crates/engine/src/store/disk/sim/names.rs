//! The names of files and directories: as the program sees them, and which of them the disk may have.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
};

use super::fate::Fate;

/// A file apart from its names.
pub(super) type Inode = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(Inode),
}

#[derive(Clone)]
struct Change {
    name: String,
    before: Option<Entry>,
    after: Option<Entry>,
}

/// Changes in one directory that happen together or not.
#[derive(Clone)]
struct Operation {
    directory: String,
    changes: Vec<Change>,
}

type Entries = BTreeMap<String, Entry>;

#[derive(Clone, Default)]
pub(super) struct Names {
    seen: Entries,
    durable: Entries,
    /// What `seen` has and `durable` has not, oldest first.
    pending: Vec<Operation>,
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<Entry> {
        self.seen.get(name).copied()
    }

    pub(super) fn file(&self, name: &str) -> io::Result<Inode> {
        match self.get(name) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// All files, in the order of their names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, Inode)> {
        self.seen.iter().filter_map(|(name, entry)| match entry {
            Entry::File(inode) => Some((name.as_str(), *inode)),
            Entry::Directory => None,
        })
    }

    /// Fails unless the directory is there.
    pub(super) fn enter(&self, directory: &str) -> io::Result<()> {
        match self.get(directory) {
            _ if directory.is_empty() => Ok(()),
            Some(Entry::Directory) => Ok(()),
            Some(Entry::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Whether nothing in the directory waits for a sync.
    pub(super) fn is_synced(&self, directory: &str) -> bool {
        self.pending.iter().all(|operation| operation.directory != directory)
    }

    pub(super) fn set(&mut self, name: &str, entry: Option<Entry>) {
        self.apply(&[(name, entry)]);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        assert_eq!(directory_of(from), directory_of(to), "a rename stays in its directory");
        if from != to {
            self.apply(&[(from, None), (to, self.get(from))]);
        }
    }

    fn apply(&mut self, changes: &[(&str, Option<Entry>)]) {
        let directory = directory_of(changes[0].0).to_owned();
        let changes = changes.iter().map(|(name, after)| {
            let change = Change { name: (*name).to_owned(), before: self.get(name), after: *after };
            change.apply(&mut self.seen);
            change
        });
        let changes = changes.collect();
        self.pending.push(Operation { directory, changes });
    }

    pub(super) fn sync(&mut self, directory: &str) {
        let synced = self.pending.extract_if(.., |operation| operation.directory == directory);
        synced.flat_map(|operation| operation.changes).for_each(|change| change.apply(&mut self.durable));
    }

    /// The names as a loss of power leaves them. An operation happens only where what it changes is as it was when the program asked
    /// for it, and nothing is left in a directory that is not there.
    pub(super) fn after_cut(&self, fate: &mut Fate) -> Self {
        if matches!(fate, Fate::Kept) {
            return Self::settled(self.seen.clone());
        }
        let mut left = self.durable.clone();
        for operation in &self.pending {
            let possible = operation.changes.iter().all(|change| left.get(&change.name) == change.before.as_ref());
            if fate.happens() && possible {
                operation.changes.iter().for_each(|change| change.apply(&mut left));
            }
        }
        let mut reachable = Entries::new();
        for (name, entry) in left {
            let directory = directory_of(&name);
            if directory.is_empty() || reachable.get(directory) == Some(&Entry::Directory) {
                reachable.insert(name, entry);
            }
        }
        Self::settled(reachable)
    }

    fn settled(names: Entries) -> Self {
        Self { seen: names.clone(), durable: names, pending: Vec::new() }
    }
}

impl Change {
    fn apply(&self, entries: &mut Entries) {
        match self.after {
            Some(entry) => entries.insert(self.name.clone(), entry),
            None => entries.remove(&self.name),
        };
    }
}

/// The directory that a name is in.
pub(super) fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The directories that a name is in, the outermost first, without the one of all.
pub(super) fn directories_of(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end])
}
