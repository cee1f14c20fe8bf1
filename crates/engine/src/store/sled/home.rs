//! Where the index is: sled's directory, and the one beside it where a new one is made.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ::sled::{Config, Db};
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3Default;

use super::{
    files,
    tree::{BUFFER_BYTES, BareTree, DataFiles, SledTree, guarded},
};
use crate::store::{
    StoreError,
    journaled::{Fill, Fingerprint, IndexHome},
};

/// The directory of the index.
pub(super) const DIRECTORY: &str = "sled";

/// How often, and how long each time, somebody waits for sled's own threads to let go of its files.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// The directories of the index.
pub(super) struct SledHome {
    current: PathBuf,
    /// A new index, until it is whole.
    new: PathBuf,
    /// The one that the newest new index took the place of.
    replaced: PathBuf,
    directory: PathBuf,
    cache_bytes: u64,
    /// The last handle on sled, so that closing it can be guarded.
    open: Mutex<Option<Db>>,
}

impl SledHome {
    pub(super) fn new(directory: &Path, cache_bytes: u64) -> Self {
        Self {
            current: directory.join(DIRECTORY),
            new: directory.join("sled.new"),
            replaced: directory.join("sled.replaced"),
            directory: directory.to_path_buf(),
            cache_bytes,
            open: Mutex::new(None),
        }
    }

    /// Opens an index; none where sled has buffers of another size.
    fn open_in(&self, path: &Path) -> Result<Option<SledTree>, StoreError> {
        let config = self.config(path).segment_size(BUFFER_BYTES);
        let Some(db) = self.open_sled(path, &config)? else { return Ok(None) };
        Ok(Some(SledTree::new(db, DataFiles::open(path)?)))
    }

    fn config(&self, path: &Path) -> Config {
        Config::new().path(path).cache_capacity(self.cache_bytes).flush_every_ms(None)
    }

    /// Opens sled; none where it was set up in another way.
    fn open_sled(&self, path: &Path, config: &Config) -> Result<Option<Db>, StoreError> {
        files::create_private_dir(path)?;
        remove_unfinished_snapshots(path)?;
        // A process that was killed may have left something that is not durable. Sled, and the readers, will build on it.
        files::sync_contents(&path.join("blobs"))?;
        files::sync_contents(path)?;
        let is_busy = |error: &::sled::Error| error.to_string().contains("could not acquire lock");
        let opened = guarded("opening", || {
            for _ in 1..ATTEMPTS {
                match config.open() {
                    Err(error) if is_busy(&error) => thread::sleep(PAUSE),
                    Err(::sled::Error::Unsupported(_)) => return Ok(None),
                    opened => return opened.map(Some),
                }
            }
            config.open().map(Some)
        })?;
        self.open.lock().clone_from(&opened);
        files::make_files_private(path)?;
        Ok(opened)
    }

    /// Whether there is an index, when nobody has one open.
    fn is_there(&self) -> Result<bool, StoreError> {
        self.release()?;
        files::remove_dir(&self.new)?;
        Ok(self.current.join("db").exists())
    }

    fn put_in_place(&self) -> Result<(), StoreError> {
        let failed = || StoreError::io(format!("put a new index into {}", self.current.display()));
        // An interrupted attempt may have taken it away, and then it is what was replaced.
        if self.current.exists() {
            files::remove_dir(&self.replaced)?;
            fs::rename(&self.current, &self.replaced).map_err(failed())?;
        }
        fs::rename(&self.new, &self.current).map_err(failed())?;
        files::sync_dir(&self.directory)
    }
}

impl IndexHome for SledHome {
    type Index = SledTree;
    type Bare = BareTree;

    fn open(&self) -> Result<Option<SledTree>, StoreError> {
        if !self.is_there()? {
            return Ok(None);
        }
        match self.open_in(&self.current)? {
            Some(tree) if !tree.is_bare()? => Ok(Some(tree)),
            _ => {
                tracing::info!("the index has the layout of another release");
                Ok(None)
            }
        }
    }

    fn open_bare(&self) -> Result<Option<BareTree>, StoreError> {
        if !self.is_there()? {
            return Ok(None);
        }
        Ok(self.open_sled(&self.current, &self.config(&self.current))?.map(BareTree))
    }

    fn rebuild(&self, fill: Fill<'_, SledTree>) -> Result<SledTree, StoreError> {
        // Nothing is written to it any more, whatever state it is in.
        if let Err(error) = self.release() {
            tracing::warn!(%error, "the index that is to be replaced did not close cleanly");
        }
        files::remove_dir(&self.new)?;
        let missing =
            || StoreError::Corrupt { what: "bug: sled does not open an index that it has just made".to_owned() };
        let index = self.open_in(&self.new)?.ok_or_else(missing)?;
        fill(&index)?;
        crate::store::journaled::Index::sync(&index)?;
        drop(index);
        self.release()?;
        files::sync_contents(&self.new)?;
        self.put_in_place()?;
        self.open_in(&self.current)?.ok_or_else(missing)
    }

    fn release(&self) -> Result<(), StoreError> {
        // Sled panics where its files cannot be made durable at the end.
        let db = self.open.lock().take();
        guarded("closing", || {
            drop(db);
            Ok(())
        })?;
        for path in [&self.current, &self.new] {
            wait_until_closed(&path.join("db"))?;
        }
        Ok(())
    }

    fn fingerprint(&self) -> Result<Fingerprint, StoreError> {
        let fingerprint = || {
            let mut files = Vec::new();
            collect_files(&self.current, &mut files)?;
            files.sort_unstable();
            let (mut hasher, mut bytes) = (Xxh3Default::new(), 0);
            for path in files {
                let name = path.strip_prefix(&self.current).unwrap_or(&path);
                let length = fs::metadata(&path)?.len();
                hasher.update(name.as_os_str().as_encoded_bytes());
                hasher.update(&length.to_be_bytes());
                hash_file(&path, &mut hasher)?;
                bytes += length;
            }
            Ok(Fingerprint { bytes, digest: hasher.digest128() })
        };
        fingerprint().map_err(StoreError::io(format!("read the files of {}", self.current.display())))
    }
}

/// Waits until nobody has sled's file locked. Its own threads may hold it a little longer than the last handle exists.
fn wait_until_closed(path: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io(format!("lock {}", path.display()));
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed())?,
    };
    match files::lock_within(&file, ATTEMPTS, PAUSE).map_err(failed())? {
        true => Ok(()),
        false => Err(failed()(io::ErrorKind::WouldBlock.into())),
    }
}

/// Removes what a crash left of a snapshot of sled's index. Sled takes such a file for a damaged store.
fn remove_unfinished_snapshots(sled: &Path) -> Result<(), StoreError> {
    for path in files::files_of(sled)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(path = %path.display(), "removing an unfinished snapshot of sled's index");
            fs::remove_file(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
        }
    }
    Ok(())
}

/// All files below a directory.
fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn hash_file(path: &Path, hasher: &mut Xxh3Default) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
