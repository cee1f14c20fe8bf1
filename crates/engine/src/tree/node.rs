//! One node of a map, as it is read.

use bytes::Bytes;

use crate::codec::{self, envelope::Checksum, key::NodeId, record};
use crate::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// No tree is higher; a damaged level is found by it.
const MAX_LEVEL: u8 = 32;

/// A reference to a stored node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) id: NodeId,
    pub(crate) checksum: Checksum,
}

impl Child {
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.id.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.checksum.0.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (checksum, []) = rest.split_first_chunk::<8>()? else { return None };
        Some(Self { id: NodeId(u64::from_be_bytes(*id)), checksum: Checksum(u64::from_be_bytes(*checksum)) })
    }
}

/// A decoded node: its payload, and where in it the entries lie.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    bytes: Bytes,
    level: u8,
    spans: Box<[Span]>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    key_start: u32,
    payload_start: u32,
    key_bytes: u16,
    payload_bytes: u16,
}

impl Node {
    pub(crate) fn empty() -> Self {
        // Level 0, no entries: golden bytes in the codec hold this.
        Self { bytes: Bytes::from_static(&[0, 0]), level: 0, spans: Box::default() }
    }

    /// Decodes and checks a node's payload; `None` when it is not a node.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let stored: record::Node<'_> = codec::borrow(&bytes)?;
        let level = stored.level;
        if level > MAX_LEVEL || (level > 0 && stored.entries.is_empty()) {
            return None;
        }
        let mut spans = Vec::with_capacity(stored.entries.len());
        let mut previous: Option<&[u8]> = None;
        for entry in &stored.entries {
            let payload_fits = match level {
                0 => entry.payload.len() <= MAX_VALUE_BYTES,
                _ => entry.payload.len() == Child::BYTES,
            };
            let key_fits = (1..=MAX_KEY_BYTES).contains(&entry.key.len());
            if !payload_fits || !key_fits || previous.is_some_and(|previous| previous >= entry.key) {
                return None;
            }
            previous = Some(entry.key);
            spans.push(Span {
                key_start: offset(&bytes, entry.key)?,
                payload_start: offset(&bytes, entry.payload)?,
                key_bytes: u16::try_from(entry.key.len()).ok()?,
                payload_bytes: u16::try_from(entry.payload.len()).ok()?,
            });
        }
        let spans = spans.into();
        Some(Self { bytes, level, spans })
    }

    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The payload that this node was decoded from.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How much memory this node takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>() + 128
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        let span = self.spans[index];
        &self.bytes[span.key_start as usize..][..usize::from(span.key_bytes)]
    }

    fn payload_slice(&self, index: usize) -> &[u8] {
        let span = self.spans[index];
        &self.bytes[span.payload_start as usize..][..usize::from(span.payload_bytes)]
    }

    /// The key at `index`, without a copy.
    pub(crate) fn key_bytes(&self, index: usize) -> Bytes {
        self.bytes.slice_ref(self.key(index))
    }

    /// The value, or the encoded child, at `index`, without a copy.
    pub(crate) fn payload(&self, index: usize) -> Bytes {
        self.bytes.slice_ref(self.payload_slice(index))
    }

    /// The child at `index` of a node above the leaves.
    pub(crate) fn child(&self, index: usize) -> Option<Child> {
        Child::from_bytes(self.payload_slice(index))
    }

    /// Where `key` is, or where it would be.
    pub(crate) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let mut low = 0;
        let mut high = self.len();
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Which child can hold `key`; none when it is smaller than all.
    pub(crate) fn child_index(&self, key: &[u8]) -> Option<usize> {
        match self.find(key) {
            Ok(index) => Some(index),
            Err(index) => index.checked_sub(1),
        }
    }
}

/// Where in `whole` its slice `part` begins.
fn offset(whole: &[u8], part: &[u8]) -> Option<u32> {
    u32::try_from(part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?).ok()
}
