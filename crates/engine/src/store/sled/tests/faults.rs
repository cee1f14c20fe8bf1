//! Damage to the files of a store's directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{RngExt, rngs::SmallRng};

use super::copy_dir;

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Segment,
    Spare,
    Snapshot,
    Commits,
    Checkpoint,
    SledLog,
    SledConfig,
    SledSnapshot,
    SledBlob,
    JournalFolder,
    SnapshotsFolder,
    SledFolder,
}

impl Target {
    pub(super) const ALL: [Self; 12] = [
        Self::Segment,
        Self::Spare,
        Self::Snapshot,
        Self::Commits,
        Self::Checkpoint,
        Self::SledLog,
        Self::SledConfig,
        Self::SledSnapshot,
        Self::SledBlob,
        Self::JournalFolder,
        Self::SnapshotsFolder,
        Self::SledFolder,
    ];

    /// Whether only the index is damaged.
    pub(super) fn is_index(self) -> bool {
        matches!(self, Self::SledLog | Self::SledConfig | Self::SledSnapshot | Self::SledBlob | Self::SledFolder)
    }

    fn is_folder(self) -> bool {
        matches!(self, Self::JournalFolder | Self::SnapshotsFolder | Self::SledFolder)
    }

    /// What can happen to it.
    pub(super) fn damages(self) -> &'static [Damage] {
        if self.is_folder() { &[Damage::Delete, Damage::Older] } else { &Damage::ALL }
    }

    /// Where it is in a directory, sorted, relative to it.
    pub(super) fn paths(self, directory: &Path) -> Vec<PathBuf> {
        let files = |folder: &str, prefix: &str| {
            let Ok(entries) = fs::read_dir(directory.join(folder)) else { return Vec::new() };
            let names = entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_file());
            let names = names.map(|entry| entry.file_name().into_string().unwrap());
            let mut paths: Vec<_> =
                names.filter(|name| name.starts_with(prefix)).map(|name| Path::new(folder).join(name)).collect();
            paths.sort_unstable();
            paths
        };
        match self {
            // Hexadecimal numbers of 16 digits.
            Self::Segment => files("journal", "0"),
            Self::Spare => files("journal", "spare-"),
            Self::Snapshot => files("snapshots", "0"),
            Self::Commits => files("", "COMMITS"),
            Self::Checkpoint => files("", "CHECKPOINT"),
            Self::SledLog => files("sled", "db"),
            Self::SledConfig => files("sled", "conf"),
            Self::SledSnapshot => files("sled", "snap."),
            Self::SledBlob => files("sled/blobs", ""),
            Self::JournalFolder => vec!["journal".into()],
            Self::SnapshotsFolder => vec!["snapshots".into()],
            Self::SledFolder => vec!["sled".into()],
        }
    }
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Damage {
    /// One to eight bytes change.
    Flip,
    /// The end is missing.
    Cut,
    /// A page, or any range, is zeros.
    Zero,
    Delete,
    /// There is what an earlier state of the same store had.
    Older,
}

impl Damage {
    const ALL: [Self; 5] = [Self::Flip, Self::Cut, Self::Zero, Self::Delete, Self::Older];

    /// Damages what is at `path` of `directory`; `earlier` is an older copy of the directory. Says what was done.
    pub(super) fn apply(
        self,
        target: Target,
        path: &Path,
        directory: &Path,
        earlier: &Path,
        random: &mut SmallRng,
    ) -> String {
        let damaged = directory.join(path);
        match self {
            Self::Delete if target.is_folder() => fs::remove_dir_all(damaged).unwrap(),
            Self::Delete => fs::remove_file(damaged).unwrap(),
            Self::Older if target.is_folder() => {
                fs::remove_dir_all(&damaged).unwrap();
                copy_dir(&earlier.join(path), &damaged);
            }
            Self::Older => {
                let candidates = target.paths(earlier);
                let same_name = candidates.iter().find(|candidate| *candidate == path);
                // Another file of the same kind where it is gone by now.
                let any = || (!candidates.is_empty()).then(|| &candidates[random.random_range(0..candidates.len())]);
                let Some(older) = same_name.or_else(any) else { return "there is no older one".to_owned() };
                fs::copy(earlier.join(older), damaged).unwrap();
                return format!("{} from {}", path.display(), older.display());
            }
            Self::Flip | Self::Cut | Self::Zero => {
                let mut bytes = fs::read(&damaged).unwrap();
                let place = self.change(&mut bytes, random);
                fs::write(damaged, bytes).unwrap();
                return format!("{self:?} {} at {place}", path.display());
            }
        }
        format!("{self:?} {}", path.display())
    }

    fn change(self, bytes: &mut Vec<u8>, random: &mut SmallRng) -> String {
        if bytes.is_empty() {
            return "no byte".to_owned();
        }
        let length = bytes.len();
        match self {
            Self::Flip => {
                let places: Vec<_> = (0..random.random_range(1..=8)).map(|_| place(bytes, random)).collect();
                for place in &places {
                    bytes[*place] ^= random.random_range(1..=255_u8);
                }
                format!("{places:?}")
            }
            Self::Cut => {
                let left = match random.random_range(0..4) {
                    0 => length - random.random_range(1..=length.min(200)),
                    1 => place(bytes, random) / 4096 * 4096,
                    _ => random.random_range(0..length),
                };
                bytes.truncate(left);
                format!("{left} of {length}")
            }
            _ => {
                let start = place(bytes, random);
                let range = if random.random_bool(0.5) {
                    start / 4096 * 4096..(start / 4096 * 4096 + 4096).min(length)
                } else {
                    start..random.random_range(start..length) + 1
                };
                bytes[range.clone()].fill(0);
                format!("{range:?}")
            }
        }
    }
}

/// A place in a file, in most cases one that holds something.
fn place(bytes: &[u8], random: &mut SmallRng) -> usize {
    for _ in 0..20 {
        let place = random.random_range(0..bytes.len());
        if bytes[place] != 0 {
            return place;
        }
    }
    random.random_range(0..bytes.len())
}
