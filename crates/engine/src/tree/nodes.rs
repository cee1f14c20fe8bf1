//! Loads nodes from the store, through a bounded cache. Nodes never change, so the cache is never wrong.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use super::node::{Child, Node};
use crate::{
    NamespaceId,
    codec::{envelope, key},
    error::Error,
    store::{Store, StoreError, immutable},
};

#[derive(Clone)]
struct Cached {
    node: Arc<Node>,
    checksum: envelope::Checksum,
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<u64, Cached> for ByMemory {
    fn weight(&self, _: &u64, cached: &Cached) -> u64 {
        cached.node.memory_bytes() as u64
    }
}

pub(crate) struct Nodes {
    /// None for those who must not wait for it.
    store: Option<Arc<dyn Store>>,
    cache: Arc<Cache<u64, Cached, ByMemory>>,
}

impl Nodes {
    pub(crate) fn new(store: Arc<dyn Store>, cache_bytes: u64) -> Self {
        // The cache sizes its tables by a guess at how many nodes it will hold.
        let nodes = usize::try_from(cache_bytes / 4096).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        Self { store: Some(store), cache: Arc::new(Cache::with_weighter(nodes, cache_bytes, ByMemory)) }
    }

    /// The same cache without the store: what is not there is refused with [`StoreError::NotInMemory`].
    pub(crate) fn in_memory(&self) -> Self {
        Self { store: None, cache: Arc::clone(&self.cache) }
    }

    pub(crate) fn load(&self, namespace: NamespaceId, child: Child) -> Result<Arc<Node>, Error> {
        if let Some(cached) = self.cache.get(&child.id.0)
            && cached.checksum == child.checksum
        {
            return Ok(cached.node);
        }
        let node = self.read(namespace, child)?;
        let node = node.ok_or_else(|| Error::corrupt(&key::node(namespace, child.id), "node is missing"))?;
        self.remember(child, Arc::clone(&node));
        Ok(node)
    }

    /// Loads a node that is not going to be asked for again; none where it is missing.
    pub(crate) fn load_once(&self, namespace: NamespaceId, child: Child) -> Result<Option<Arc<Node>>, Error> {
        match self.cache.get(&child.id.0) {
            Some(cached) if cached.checksum == child.checksum => Ok(Some(cached.node)),
            _ => self.read(namespace, child),
        }
    }

    /// Lets go of a node that is gone, or hardly read again.
    pub(crate) fn forget(&self, id: key::NodeId) {
        self.cache.remove(&id.0);
    }

    fn read(&self, namespace: NamespaceId, child: Child) -> Result<Option<Arc<Node>>, Error> {
        let key = key::node(namespace, child.id);
        let store = self.store.as_ref().ok_or(StoreError::NotInMemory)?;
        let Some(value) = immutable(store.as_ref(), &key)? else { return Ok(None) };
        let (payload, checksum) = envelope::open(&key, &value)?;
        if checksum != child.checksum {
            return Err(Error::corrupt(&key, "node is not the one that its parent refers to"));
        }
        let node = Node::decode(payload).map(Arc::new);
        node.map(Some).ok_or_else(|| Error::corrupt(&key, "checksum matches, but the value is not a node"))
    }

    /// Loads the child at `index` of `parent`, which must be one level lower.
    pub(crate) fn load_below(&self, namespace: NamespaceId, parent: &Node, index: usize) -> Result<Arc<Node>, Error> {
        let child = parent.child(index).ok_or(Error::Internal("a leaf has no children"))?;
        let node = self.load(namespace, child)?;
        if node.level() + 1 == parent.level() {
            Ok(node)
        } else {
            Err(Error::corrupt(&key::node(namespace, child.id), "node is at the wrong level of its map"))
        }
    }

    pub(crate) fn remember(&self, child: Child, node: Arc<Node>) {
        self.cache.insert(child.id.0, Cached { node, checksum: child.checksum });
    }

    /// How many bytes the cached nodes take.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.cache.weight()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn forget_all(&self) {
        self.cache.clear();
    }
}
