//! One node of a map, as it is read.

use std::ops::Range;

use bytes::Bytes;

use crate::codec::{MAX_STORED_BYTES, envelope::Checksum, key::NodeId, record};
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
    /// Where the first entry begins.
    entries_start: usize,
    /// How many bytes all keys begin with.
    shared_bytes: usize,
    /// The 8 bytes of each key that follow the shared ones, as a number. Searching them touches a few cache lines, where searching the keys
    /// themselves would touch one or two for each that is compared.
    marks: Box<[u64]>,
    spans: Box<[Span]>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    key_start: u32,
    payload_start: u32,
    key_bytes: u16,
    payload_bytes: u16,
}

impl Span {
    fn key_in<'a>(&self, node: &'a [u8]) -> &'a [u8] {
        &node[self.key_start as usize..][..usize::from(self.key_bytes)]
    }
}

impl Node {
    pub(crate) fn empty() -> Self {
        // Level 0, no entries: golden bytes in the codec hold this.
        Self {
            bytes: Bytes::from_static(&[0, 0]),
            level: 0,
            entries_start: 2,
            shared_bytes: 0,
            marks: Box::default(),
            spans: Box::default(),
        }
    }

    /// Decodes and checks a node's payload; `None` when it is not a node.
    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut rest = &bytes[..];
        let (level, count) = record::node_header(&mut rest)?;
        if level > MAX_LEVEL || (level > 0 && count == 0) || bytes.len() > MAX_STORED_BYTES {
            return None;
        }
        let entries_start = bytes.len() - rest.len();
        // An entry has two bytes at least; a damaged count must not ask for any amount of memory.
        let mut spans = Vec::with_capacity(count.min(rest.len() / 2));
        let mut previous: Option<&[u8]> = None;
        for _ in 0..count {
            let entry = record::node_entry(&mut rest)?;
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
        if !rest.is_empty() {
            return None;
        }
        let shared_bytes = match &spans[..] {
            [first, .., last] => {
                let both = first.key_in(&bytes).iter().zip(last.key_in(&bytes));
                both.take_while(|(first, last)| first == last).count()
            }
            _ => 0,
        };
        let marks = spans.iter().map(|span| mark(&span.key_in(&bytes)[shared_bytes..])).collect();
        Some(Self { spans: spans.into(), bytes, level, entries_start, shared_bytes, marks })
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
        self.bytes.len() + self.spans.len() * (size_of::<Span>() + size_of::<u64>()) + 160
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        self.spans[index].key_in(&self.bytes)
    }

    pub(super) fn payload_slice(&self, index: usize) -> &[u8] {
        let span = self.spans[index];
        &self.bytes[span.payload_start as usize..][..usize::from(span.payload_bytes)]
    }

    /// How many bytes the key and the payload at `index` have.
    pub(super) fn entry_bytes(&self, index: usize) -> usize {
        let span = self.spans[index];
        usize::from(span.key_bytes) + usize::from(span.payload_bytes)
    }

    /// Some of the entries as they are encoded.
    pub(super) fn encoded(&self, entries: Range<usize>) -> &[u8] {
        let end_of = |index: usize| {
            let span = self.spans[index];
            span.payload_start as usize + usize::from(span.payload_bytes)
        };
        // Entries follow each other without a gap.
        let place = |index: usize| index.checked_sub(1).map_or(self.entries_start, end_of);
        &self.bytes[place(entries.start)..place(entries.end)]
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
        if self.len() == 0 {
            return Err(0);
        }
        let shared = &self.key(0)[..self.shared_bytes];
        let Some(rest) = key.strip_prefix(shared) else {
            return Err(if key < shared { 0 } else { self.len() });
        };
        let mark = mark(rest);
        let low = self.marks.partition_point(|other| *other < mark);
        let same = self.marks[low..].partition_point(|other| *other == mark);
        // Mostly one, or none.
        for index in low..low + same {
            match self.key(index).cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(index),
                std::cmp::Ordering::Greater => return Err(index),
            }
        }
        Err(low + same)
    }

    /// Which child can hold `key`; none when it is smaller than all.
    pub(crate) fn child_index(&self, key: &[u8]) -> Option<usize> {
        match self.find(key) {
            Ok(index) => Some(index),
            Err(index) => index.checked_sub(1),
        }
    }
}

/// The first 8 bytes as a number that sorts as they do; what is missing counts as zero.
fn mark(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

/// Where in `whole` its slice `part` begins.
fn offset(whole: &[u8], part: &[u8]) -> Option<u32> {
    u32::try_from(part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    proptest! {
        #[test]
        fn copied_entries_are_as_they_would_be_encoded(
            entries in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 1..300),
                // Lengths of 251 bytes and more take more room.
                proptest::collection::vec(any::<u8>(), 0..300),
                1..300,
            ),
            bounds: [proptest::sample::Index; 2],
        ) {
            let entries: Vec<_> =
                entries.iter().map(|(key, payload)| record::Entry { key, payload }).collect();
            let node = Node::decode(codec::encode(&record::Node { level: 0, entries: entries.clone() })?.into());
            let node = node.ok_or_else(|| TestCaseError::fail("the node does not decode"))?;
            let [a, b] = bounds.map(|bound| bound.index(entries.len() + 1));
            let some = a.min(b)..a.max(b);
            let mut writer = record::NodeWriter::new(0, some.len() + 1, 0)?;
            writer.copy(node.encoded(some.clone()));
            writer.entry(b"key", b"payload")?;
            let expected = entries[some].iter().cloned().chain([record::Entry { key: b"key", payload: b"payload" }]);
            let expected = codec::encode(&record::Node { level: 0, entries: expected.collect() })?;
            prop_assert_eq!(writer.done().into_payload(), expected);
        }

        #[test]
        fn find_agrees_with_a_sorted_list(
            // Few different bytes, zeroes among them, make keys that share much, and keys that are prefixes of others.
            prefix in proptest::collection::vec(0..3_u8, 0..12),
            keys in proptest::collection::btree_set(proptest::collection::vec(0..3_u8, 1..14), 0..60),
            others in proptest::collection::vec(proptest::collection::vec(0..3_u8, 1..20), 0..60),
        ) {
            let keys: BTreeSet<Vec<u8>> = keys.into_iter().map(|key| [&prefix[..], &key].concat()).collect();
            let keys: Vec<Vec<u8>> = keys.into_iter().collect();
            let entries = keys.iter().map(|key| record::Entry { key, payload: b"value" }).collect();
            let node = Node::decode(codec::encode(&record::Node { level: 0, entries })?.into());
            let node = node.ok_or_else(|| TestCaseError::fail("the node does not decode"))?;
            for key in keys.iter().chain(&others) {
                prop_assert_eq!(node.find(key), keys.binary_search(key));
            }
        }
    }
}
