//! A bounded cache of small values, in front of the base.

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

/// Values that were read from the base and are the newest durable ones, so that reading them again costs no look into it.
///
/// A key leaves before a commit of it can be applied. It comes back, under the same lock, only if no commit was accepted while its value was read.
pub(crate) struct Hot(Option<Cache<Bytes, Bytes, ByBytes>>);

/// Larger values are not kept: whoever reads those keeps them decoded.
const MAX_HOT_VALUE_BYTES: usize = 512;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Bytes, Bytes> for ByBytes {
    fn weight(&self, key: &Bytes, value: &Bytes) -> u64 {
        // What the cache and the two allocations take beside the bytes.
        (key.len() + value.len() + 160) as u64
    }
}

impl Hot {
    /// Keeps about this many bytes.
    #[cfg(feature = "sled")]
    pub(crate) fn with_bytes(bytes: u64) -> Self {
        let values = usize::try_from(bytes / 256).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        Self(Some(Cache::with_weighter(values, bytes, ByBytes)))
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.0.as_ref()?.get(key)
    }

    pub(super) fn insert(&self, key: &[u8], value: &Bytes) {
        if let Some(cache) = &self.0
            && value.len() <= MAX_HOT_VALUE_BYTES
        {
            cache.insert(Bytes::copy_from_slice(key), value.clone());
        }
    }

    pub(super) fn remove(&self, key: &[u8]) {
        if let Some(cache) = &self.0 {
            cache.remove(key);
        }
    }
}
