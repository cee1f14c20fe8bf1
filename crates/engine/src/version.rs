//! Versions: what can be read of a branch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache};

use crate::{
    BranchId, Lsn, NamespaceId,
    branch::Read,
    clock::Micros,
    codec::{self, envelope::Checksum, key, key::NodeId, record},
    error::Error,
    store::{Direction, KeyRange, Store, immutable},
    tree::{self, Child, Node, Nodes, Root},
};

/// A version of a branch: an immutable, ordered map. Cheap to clone; reads the same for as long as it is kept. What becomes of its branch does not
/// matter: the collector leaves a version that somebody has open.
#[derive(Clone)]
pub struct Version {
    nodes: Arc<Nodes>,
    namespace: NamespaceId,
    data: Arc<VersionData>,
}

impl Version {
    pub(crate) fn new(nodes: Arc<Nodes>, namespace: NamespaceId, data: Arc<VersionData>) -> Self {
        Self { nodes, namespace, data }
    }

    /// The branch whose commit made this version. It is another than the version was asked of where that has not written yet by then, and shows what
    /// it was forked from.
    pub fn branch(&self) -> BranchId {
        self.data.owner
    }

    pub(crate) fn data(&self) -> Arc<VersionData> {
        Arc::clone(&self.data)
    }

    /// What a record says of this version, and in which namespace.
    pub(crate) fn reference(&self) -> (NamespaceId, record::VersionRef) {
        (self.namespace, self.data.reference())
    }

    /// The LSN of the commit that made this version.
    pub fn lsn(&self) -> Lsn {
        self.data.lsn
    }

    /// The instant of the commit that made this version.
    pub fn time(&self) -> DateTime<Utc> {
        self.data.micros.instant()
    }

    /// What the caller of the commit noted: see [`Transaction::set_metadata`](crate::Transaction::set_metadata).
    pub fn metadata(&self) -> &[u8] {
        &self.data.metadata
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] and [`Error::Store`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.find(key)?.value)
    }

    /// What there is of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Result<tree::Found, Error> {
        self.data.root.find(&self.nodes, self.namespace, key)
    }

    /// The entries whose keys lie in `range`, one after the other; reads no more nodes than those that hold them and the paths to them.
    ///
    /// Yields [`Error::Corrupt`] or [`Error::Store`] where reading fails, and ends there.
    pub fn range(
        &self,
        range: KeyRange,
        direction: Direction,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), Error>> + Send + use<> {
        let entries =
            tree::Iter::new(Arc::clone(&self.nodes), self.namespace, self.data.root.clone(), range, direction);
        // As long as somebody reads it, the version is open.
        let open = Arc::clone(&self.data);
        entries.inspect(move |_| {
            let _ = &open;
        })
    }

    /// What `newer` has otherwise than this version, among the keys of `range`, in the order of the keys. The two may be of different branches.
    ///
    /// It reads no more than what differs: nodes that both share are passed over.
    ///
    /// ```
    /// # use offshoot_engine::{Engine, Error, KeyRange, MemoryStore, NamespaceId, Options, Point};
    /// # let engine = Engine::open(MemoryStore::new(), Options::default())?;
    /// # let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    /// # engine.transact(|tx| tx.put(main, b"sally", b"secret 1"))?;
    /// let child = engine.transact(|tx| tx.fork(main, Point::Head))?.value.branch;
    /// engine.transact(|tx| tx.put(child, b"sally", b"secret 2"))?;
    ///
    /// let (main, child) = (engine.head(main)?, engine.head(child)?);
    /// for difference in main.diff(&child, KeyRange::ALL) {
    ///     let difference = difference?;
    ///     assert_eq!(difference.key, "sally");
    ///     assert_eq!(difference.before.as_deref(), Some(&b"secret 1"[..]));
    ///     assert_eq!(difference.after.as_deref(), Some(&b"secret 2"[..]));
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Yields [`Error::Corrupt`] or [`Error::Store`] where reading fails, and ends there.
    pub fn diff(
        &self,
        newer: &Self,
        range: KeyRange,
    ) -> impl Iterator<Item = Result<Difference, Error>> + Send + use<> {
        newer.changes(Some(self), range)
    }

    /// What this version has otherwise than `before`, or than a map that holds nothing.
    pub(crate) fn changes(
        &self,
        before: Option<&Self>,
        range: KeyRange,
    ) -> impl Iterator<Item = Result<Difference, Error>> + Send + use<> {
        let nothing = || tree::Map { root: Root::empty(), ..self.map() };
        let differences = tree::Diff::new(before.map_or_else(nothing, Self::map), self.map(), range);
        // As long as somebody reads them, both versions are open.
        let open = (before.map(Self::data), self.data());
        differences.inspect(move |_| {
            let _ = &open;
        })
    }

    fn map(&self) -> tree::Map {
        tree::Map { nodes: Arc::clone(&self.nodes), namespace: self.namespace, root: self.data.root.clone() }
    }
}

/// A key whose value differs between two versions; see [`Version::diff`].
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Bytes,
    /// Its value in the older version; none where it was absent.
    pub before: Option<Bytes>,
    /// Its value in the newer version; none where it is absent.
    pub after: Option<Bytes>,
}

impl std::fmt::Debug for Difference {
    /// Leaves out the values: they may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = |value: &Option<Bytes>| value.as_ref().map(Bytes::len);
        f.debug_struct("Difference")
            .field("key", &self.key)
            .field("bytes_before", &bytes(&self.before))
            .field("bytes_after", &bytes(&self.after))
            .finish()
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version").field("lsn", &self.data.lsn).field("time", &self.time()).finish_non_exhaustive()
    }
}

/// A decoded version record.
#[derive(Debug)]
pub(crate) struct VersionData {
    pub(crate) owner: BranchId,
    pub(crate) lsn: Lsn,
    pub(crate) checksum: Checksum,
    pub(crate) micros: Micros,
    pub(crate) metadata: Vec<u8>,
    pub(crate) root: Root,
}

impl VersionData {
    pub(crate) fn reference(&self) -> record::VersionRef {
        record::VersionRef { owner: self.owner.number(), lsn: self.lsn.get(), checksum: self.checksum.0 }
    }

    pub(crate) fn decode(owner: BranchId, lsn: Lsn, key: &[u8], value: &Bytes) -> Result<Self, Error> {
        let (stored, checksum) = codec::open::<record::Version>(key, value)?;
        let root = match stored.root {
            record::Root::Node { id, checksum } => Root::Stored(Child { id: NodeId(id), checksum: Checksum(checksum) }),
            record::Root::Inline(payload) => {
                let node = Node::decode(payload.into()).filter(|node| node.level() == 0);
                let node =
                    node.ok_or_else(|| Error::corrupt(key, "checksum matches, but the inline map is not a leaf"))?;
                Root::Inline(Arc::new(node))
            }
        };
        Ok(Self { owner, lsn, checksum, micros: Micros(stored.micros), metadata: stored.metadata, root })
    }

    fn memory_bytes(&self) -> usize {
        let root = match &self.root {
            Root::Inline(node) => node.memory_bytes(),
            Root::Stored(_) => 0,
        };
        size_of::<Self>() + self.metadata.len() + root + 64
    }
}

/// The least and the greatest version that a namespace can have.
fn ends(namespace: NamespaceId) -> [(BranchId, Lsn); 2] {
    [0, u64::MAX].map(|number| (BranchId::new(namespace, number), Lsn::new(number)))
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<(u64, u64), Arc<VersionData>> for ByMemory {
    fn weight(&self, _: &(u64, u64), data: &Arc<VersionData>) -> u64 {
        data.memory_bytes() as u64
    }
}

/// Loads versions from the store, through a bounded cache, and knows which are open: those that somebody has beside the cache.
pub(crate) struct Versions {
    store: Arc<dyn Store>,
    cache: Cache<(u64, u64), Arc<VersionData>, ByMemory>,
    loaded: Mutex<Loaded>,
}

/// The versions in memory: each just once, so that its handles can be counted.
#[derive(Default)]
struct Loaded {
    /// By owner, LSN and checksum. Those that nobody has any more are swept out now and then.
    versions: BTreeMap<(BranchId, Lsn, u64), Weak<VersionData>>,
    sweep_at: usize,
}

/// Fewer entries are not worth a sweep.
const LEAST_SWEEP: usize = 1024;

impl Loaded {
    /// The one in memory that is the same, or else this one.
    fn unite(&mut self, data: VersionData) -> Arc<VersionData> {
        let key = (data.owner, data.lsn, data.checksum.0);
        if let Some(loaded) = self.versions.get(&key).and_then(Weak::upgrade) {
            return loaded;
        }
        if self.versions.len() >= self.sweep_at {
            self.versions.retain(|_, version| version.strong_count() > 0);
            self.sweep_at = (self.versions.len() * 2).max(LEAST_SWEEP);
        }
        let data = Arc::new(data);
        self.versions.insert(key, Arc::downgrade(&data));
        data
    }

    fn is_any_open(&self, from: (BranchId, Lsn), to: (BranchId, Lsn)) -> bool {
        let range = (from.0, from.1, 0)..=(to.0, to.1, u64::MAX);
        self.versions.range(range).any(|(_, version)| version.strong_count() > 0)
    }
}

impl Versions {
    pub(crate) fn new(store: Arc<dyn Store>, cache_bytes: u64) -> Self {
        let versions = usize::try_from(cache_bytes / 512).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        Self { store, cache: Cache::with_weighter(versions, cache_bytes, ByMemory), loaded: Mutex::default() }
    }

    /// Whether somebody has this version open. Takes it out of the cache.
    pub(crate) fn is_open(&self, owner: BranchId, lsn: Lsn) -> bool {
        self.forget(owner, lsn);
        self.loaded.lock().is_any_open((owner, lsn), (owner, lsn))
    }

    /// Whether somebody has any version of this namespace open. Takes them all out of the cache.
    pub(crate) fn is_any_open(&self, namespace: NamespaceId) -> bool {
        let [from, to] = ends(namespace);
        let loaded = self.loaded.lock();
        let range = loaded.versions.range((from.0, from.1, 0)..=(to.0, to.1, u64::MAX));
        let keys: Vec<_> = range.map(|((owner, lsn, _), _)| (owner.number(), lsn.get())).collect();
        drop(loaded);
        for key in keys {
            self.cache.remove(&key);
        }
        self.loaded.lock().is_any_open(from, to)
    }

    /// Whether somebody has a version of this namespace open as it was before it was purged.
    pub(crate) fn is_any_outdated_open(&self, namespace: NamespaceId) -> Result<bool, Error> {
        let [from, to] = ends(namespace);
        let in_use = {
            let loaded = self.loaded.lock();
            let range = loaded.versions.range((from.0, from.1, 0)..=(to.0, to.1, u64::MAX));
            let in_use = range.filter(|(_, version)| version.strong_count() > 0);
            in_use.map(|(key, version)| (*key, Weak::clone(version))).collect::<Vec<_>>()
        };
        for ((owner, lsn, checksum), version) in in_use {
            let key = key::version(owner, lsn);
            let Some(value) = immutable(self.store.as_ref(), &key)? else { continue };
            if codec::envelope::open(&key, &value)?.1.0 != checksum {
                self.forget(owner, lsn);
                if version.strong_count() > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Takes a version out of the cache.
    pub(crate) fn forget(&self, owner: BranchId, lsn: Lsn) {
        self.cache.remove(&(owner.number(), lsn.get()));
    }

    /// Loads the version that `reference` means, out of the state of the store in which the reference was found: a purge changes both.
    pub(crate) fn load(
        &self,
        read: &(impl Read + ?Sized),
        namespace: NamespaceId,
        reference: record::VersionRef,
    ) -> Result<Arc<VersionData>, Error> {
        if let Some(data) = self.cache.get(&(reference.owner, reference.lsn))
            && data.checksum.0 == reference.checksum
        {
            return Ok(data);
        }
        let (owner, lsn) = (BranchId::new(namespace, reference.owner), Lsn::new(reference.lsn));
        let key = key::version(owner, lsn);
        let value = read.get(&key)?.ok_or_else(|| Error::corrupt(&key, "version is missing"))?;
        let data = VersionData::decode(owner, lsn, &key, &value)?;
        if data.checksum.0 != reference.checksum {
            return Err(Error::corrupt(&key, "version is not the one that its branch refers to"));
        }
        Ok(self.remember(data))
    }

    /// Takes a version as it was read under `key`.
    pub(crate) fn take(&self, owner: BranchId, key: &[u8], value: &Bytes) -> Result<Arc<VersionData>, Error> {
        let lsn = key::trailing_lsn(key).ok_or_else(|| Error::corrupt(key, "key of a version is too short"))?;
        Ok(self.remember(VersionData::decode(owner, lsn, key, value)?))
    }

    pub(crate) fn remember(&self, data: VersionData) -> Arc<VersionData> {
        let data = self.loaded.lock().unite(data);
        self.cache.insert((data.owner.number(), data.lsn.get()), Arc::clone(&data));
        data
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn forget_all(&self) {
        self.cache.clear();
    }
}
