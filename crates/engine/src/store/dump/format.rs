//! The bytes of a dump, format 1; `docs/format.md` has the same for people.
//!
//! A dump is a header, any number of blocks and a footer. All numbers are big-endian, and each of these parts ends with its checksum:
//! XXH3-64 of all bytes of the part before it, seeded with the checksum of the part before; the header's seed is 0. So no part can be
//! changed, left out, doubled or moved without a checksum that is wrong.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::DumpError;
use crate::store::{Sequence, digest::SetDigest, overlay::MAX_COMMIT_BYTES};

/// The format that this release reads and writes.
pub(super) const FORMAT: u32 = 1;
/// What a dump begins with.
pub(super) const MAGIC: [u8; 8] = *b"OFFSDUMP";
/// What a block begins with.
pub(super) const BLOCK_MARK: [u8; 4] = *b"DATA";
/// What the footer begins with.
pub(super) const FOOTER_MARK: [u8; 4] = *b"DONE";

/// The length of the header: magic, format, store id, sequence, checksum. It is the same in all formats.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 8 + 8 + CHECKSUM_BYTES;
/// The length of a block before its payload: mark, length of the payload, number of entries.
pub(super) const BLOCK_HEAD_BYTES: usize = 4 + 4 + 4;
/// The length of the footer: mark, number of entries, digest, length of the dump, checksum.
pub(super) const FOOTER_BYTES: usize = 4 + 8 + 16 + 8 + CHECKSUM_BYTES;
/// The length of an entry before its key: length of the key, length of the value.
pub(super) const ENTRY_HEAD_BYTES: usize = 4 + 4;
pub(super) const CHECKSUM_BYTES: usize = 8;

/// The payload of a block is not longer, unless it is a single entry. Readers do not depend on it.
pub(super) const BLOCK_BYTES: usize = 64 << 10;
/// How many bytes an entry's key and value have at most, together.
pub(super) const MAX_ENTRY_BYTES: usize = 8 << 20;
/// How long the payload of a block is at most.
pub(super) const MAX_PAYLOAD_BYTES: usize = ENTRY_HEAD_BYTES + MAX_ENTRY_BYTES;

const _: () = assert!(MAX_COMMIT_BYTES <= MAX_ENTRY_BYTES, "whatever was committed can be dumped");

/// Appends the checksum of a part that is complete but for it, and returns it.
pub(super) fn seal(part: &mut Vec<u8>, previous: u64) -> u64 {
    let checksum = xxh3_64_with_seed(part, previous);
    part.extend_from_slice(&checksum.to_be_bytes());
    checksum
}

/// The checksum of a part, if it is right.
pub(super) fn check(part: &[u8], previous: u64) -> Option<u64> {
    let (content, checksum) = part.split_last_chunk()?;
    let checksum = u64::from_be_bytes(*checksum);
    (xxh3_64_with_seed(content, previous) == checksum).then_some(checksum)
}

/// Takes the next `N` bytes off `bytes`.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// What a dump is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) store_id: u64,
    pub(super) sequence: Sequence,
}

impl Header {
    /// The header's bytes, and its checksum.
    pub(super) fn encode(self) -> (Vec<u8>, u64) {
        let mut part = Vec::with_capacity(HEADER_BYTES);
        part.extend_from_slice(&MAGIC);
        part.extend_from_slice(&FORMAT.to_be_bytes());
        part.extend_from_slice(&self.store_id.to_be_bytes());
        part.extend_from_slice(&self.sequence.number().to_be_bytes());
        let checksum = seal(&mut part, 0);
        (part, checksum)
    }

    /// Reads what may be shorter than a header, where the file is.
    pub(super) fn decode(part: &[u8]) -> Result<(Self, u64), DumpError> {
        let damaged = |offset, what| DumpError::Damaged { offset, what };
        if part.iter().zip(&MAGIC).any(|(found, expected)| found != expected) {
            return Err(DumpError::NotADump);
        }
        if part.len() < HEADER_BYTES {
            return Err(damaged(part.len() as u64, "it ends within its header"));
        }
        let checksum = check(part, 0).ok_or(damaged(0, "the header does not match its checksum"))?;
        let fields = || {
            let mut rest = part.get(MAGIC.len()..)?;
            Some((take(&mut rest)?, take(&mut rest)?, take(&mut rest)?))
        };
        let (format, store_id, sequence) = fields().ok_or(damaged(0, "the header is too short"))?;
        let (format, sequence) = (u32::from_be_bytes(format), Sequence::new(u64::from_be_bytes(sequence)));
        if format != FORMAT {
            return Err(DumpError::UnknownFormat { found: format, known: FORMAT });
        }
        Ok((Self { store_id: u64::from_be_bytes(store_id), sequence }, checksum))
    }
}

/// What a whole dump holds, said at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) digest: SetDigest,
    /// The length of the dump, this footer included.
    pub(super) bytes: u64,
}

impl Footer {
    pub(super) fn encode(&self, previous: u64) -> Vec<u8> {
        let mut part = Vec::with_capacity(FOOTER_BYTES);
        part.extend_from_slice(&FOOTER_MARK);
        part.extend_from_slice(&self.digest.entries.to_be_bytes());
        part.extend_from_slice(&self.digest.sum.to_be_bytes());
        part.extend_from_slice(&self.bytes.to_be_bytes());
        seal(&mut part, previous);
        part
    }

    /// Reads a footer whose checksum was right.
    pub(super) fn decode(part: &[u8]) -> Option<Self> {
        let mut rest = part.get(FOOTER_MARK.len()..)?;
        let entries = u64::from_be_bytes(take(&mut rest)?);
        let sum = u128::from_be_bytes(take(&mut rest)?);
        let bytes = u64::from_be_bytes(take(&mut rest)?);
        Some(Self { digest: SetDigest { entries, sum }, bytes })
    }
}

/// Why `key` cannot follow `previous`, which is empty before the first key.
pub(super) fn refuse_key(previous: &[u8], key: &[u8]) -> Result<(), &'static str> {
    if key.first().is_none_or(|first| *first == 0) {
        return Err("its key is empty or begins with a zero byte, which stores keep for themselves");
    }
    if key <= previous {
        return Err("its key is not greater than the one before it");
    }
    Ok(())
}

/// A header, and a block with this payload under right checksums: what follows tells whether readers take the payload.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn unfinished(entries: u32, payload: &[u8]) -> Vec<u8> {
    let (mut dump, checksum) = Header { store_id: 0, sequence: Sequence::ZERO }.encode();
    let mut block = BLOCK_MARK.to_vec();
    block.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    block.extend_from_slice(&entries.to_be_bytes());
    block.extend_from_slice(payload);
    seal(&mut block, checksum);
    dump.append(&mut block);
    dump
}
