//! The state of a store after a commit, in a few bytes.
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Sequence, digest::SetDigest};

/// The format that this release writes. It reads [`FORMAT_WITHOUT_JOURNAL`] too.
pub(crate) const FORMAT: u32 = 2;
/// The format of stores that kept everything in sled.
pub(crate) const FORMAT_WITHOUT_JOURNAL: u32 = 1;
/// The length of a stamp's bytes.
pub(crate) const STAMP_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"OFFSHOOT";

/// The state of a store after a commit.
///
/// Its bytes, all numbers big-endian: `OFFSHOOT`, format (4 bytes), store id (8), sequence (8), number of entries (8), digest (16), four
/// zero bytes, and the XXH3 checksum (8) of all that stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// A random number that every store has of its own.
    pub(crate) store: u64,
    pub(crate) sequence: Sequence,
    pub(crate) digest: SetDigest,
}

/// Why bytes are no stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StampError {
    Damaged,
    UnknownFormat(u32),
}

impl Stamp {
    pub(crate) fn encode(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.store.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.sequence.number().to_be_bytes());
        bytes[28..36].copy_from_slice(&self.digest.entries.to_be_bytes());
        bytes[36..52].copy_from_slice(&self.digest.sum.to_be_bytes());
        let checksum = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StampError> {
        let bytes: &[u8; STAMP_BYTES] = bytes.try_into().map_err(|_| StampError::Damaged)?;
        if bytes[..8] != MAGIC || u64::from_be_bytes(field(bytes, 56)) != xxh3_64(&bytes[..56]) {
            return Err(StampError::Damaged);
        }
        let format = u32::from_be_bytes(field(bytes, 8));
        if ![FORMAT, FORMAT_WITHOUT_JOURNAL].contains(&format) {
            return Err(StampError::UnknownFormat(format));
        }
        Ok(Self {
            store: u64::from_be_bytes(field(bytes, 12)),
            sequence: Sequence::new(u64::from_be_bytes(field(bytes, 20))),
            digest: SetDigest {
                entries: u64::from_be_bytes(field(bytes, 28)),
                sum: u128::from_be_bytes(field(bytes, 36)),
            },
        })
    }
}

/// The `N` bytes at `offset`; all offsets are constants within a stamp.
fn field<const N: usize>(bytes: &[u8; STAMP_BYTES], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[offset + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        let mut digest = SetDigest::default();
        digest.add(b"key", b"value");
        Stamp { store: 0x0102_0304_0506_0708, sequence: Sequence::new(9), digest }
    }

    #[test]
    fn the_bytes_of_a_stamp_never_change() {
        let golden = "4f464653484f4f5400000002010203040506070800000000000000090000000000000001\
                      117b58c9b333465d74b3555489959b9200000000f217a0b40eaa4ca2";
        let hex: String = stamp().encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(Stamp::decode(&stamp().encode()), Ok(stamp()));
    }

    #[test]
    fn any_changed_byte_is_found() {
        for index in 0..STAMP_BYTES {
            let mut bytes = stamp().encode();
            bytes[index] ^= 1;
            assert_eq!(Stamp::decode(&bytes), Err(StampError::Damaged), "byte {index}");
        }
        assert_eq!(Stamp::decode(&stamp().encode()[1..]), Err(StampError::Damaged));
    }

    #[test]
    fn another_format_is_named() {
        let mut bytes = stamp().encode();
        bytes[8..12].copy_from_slice(&7_u32.to_be_bytes());
        let checksum = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(Stamp::decode(&bytes), Err(StampError::UnknownFormat(7)));
    }
}
