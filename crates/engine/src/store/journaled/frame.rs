//! A frame of the journal: a group of commits, as it stands in a segment.
//!
//! All numbers are big-endian. A frame begins on a page and is filled up with zeros to the end of one, so that no write
//! touches a page that holds another frame.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `OFFSFRAM` |
//! | 4 | format |
//! | 4 | length of the payload |
//! | 8 | store id |
//! | 8, 8 | sequence of the first and of the last commit |
//! | 8, 16 | number and digest of all entries of the store after the last commit |
//! | 8 | checksum of the frame before |
//! | 8 | checksum: XXH3-64 of all bytes before, seeded with the XXH3-64 of the payload |
//! | | payload: for each commit the number of its writes (4); for each write its kind (1), the lengths of its key and value (4, 4), key and value |
//!
//! Kinds: 0 deletes a key, 1 puts it, 2 creates it.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::stamp::Stamp;
use crate::store::{Sequence, Write, digest::SetDigest, overlay::Pending};

/// Frames begin at multiples of this: what a disk writes at once, or a multiple of it.
pub(crate) const PAGE_BYTES: usize = 4096;

/// The format that this release writes and reads.
pub(crate) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"OFFSFRAM";
const CHECKED_BYTES: usize = 72;
pub(super) const HEADER_BYTES: usize = CHECKED_BYTES + 8;
const COMMIT_BYTES: usize = 4;
const WRITE_BYTES: usize = 1 + 4 + 4;

const DELETE: u8 = 0;
const PUT: u8 = 1;
const CREATE: u8 = 2;

/// The start of a frame, as far as it is needed without the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: Sequence,
    /// The store after the frame's last commit.
    pub(crate) after: Stamp,
    /// The checksum of the frame before this one.
    pub(crate) previous: u64,
    pub(crate) checksum: u64,
    payload_bytes: usize,
}

impl Head {
    /// How many bytes of a segment the frame takes.
    pub(crate) fn frame_bytes(&self) -> usize {
        padded(HEADER_BYTES + self.payload_bytes)
    }
}

/// The bytes that a frame takes with just one commit of these writes; with others in it, it takes no more for this one.
pub(crate) fn bytes_alone(writes: &[Write]) -> usize {
    padded(HEADER_BYTES + encoded_bytes(writes))
}

fn encoded_bytes(writes: &[Write]) -> usize {
    let of_write = |write: &Write| WRITE_BYTES + write.bytes();
    COMMIT_BYTES + writes.iter().map(of_write).sum::<usize>()
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_BYTES)
}

/// Encodes a group of commits that leaves the store as `after` says; `previous` is the checksum of the frame before. Gives the frame's own.
pub(crate) fn encode(group: &[Pending], after: &Stamp, previous: u64, frame: &mut Vec<u8>) -> u64 {
    frame.clear();
    frame.resize(HEADER_BYTES, 0);
    for commit in group {
        frame.extend_from_slice(&length(commit.writes.len()));
        for write in commit.writes.iter() {
            let (kind, value) = match write {
                Write::Delete(_) => (DELETE, &[][..]),
                Write::Put(_, value) => (PUT, &value[..]),
                Write::Create(_, value) => (CREATE, &value[..]),
            };
            frame.push(kind);
            frame.extend_from_slice(&length(write.key().len()));
            frame.extend_from_slice(&length(value.len()));
            frame.extend_from_slice(write.key());
            frame.extend_from_slice(value);
        }
    }
    let payload_bytes = frame.len() - HEADER_BYTES;
    let first = group.first().map_or(after.sequence, |commit| commit.sequence);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT.to_be_bytes());
    header.extend_from_slice(&length(payload_bytes));
    for number in [after.store, first.number(), after.sequence.number(), after.digest.entries] {
        header.extend_from_slice(&number.to_be_bytes());
    }
    header.extend_from_slice(&after.digest.sum.to_be_bytes());
    header.extend_from_slice(&previous.to_be_bytes());
    let checksum = checksum(&header, &frame[HEADER_BYTES..]);
    header.extend_from_slice(&checksum.to_be_bytes());
    frame[..HEADER_BYTES].copy_from_slice(&header);
    frame.resize(padded(frame.len()), 0);
    checksum
}

/// A commit is far smaller than 4 GiB: the store bounds its bytes.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn checksum(header: &[u8], payload: &[u8]) -> u64 {
    xxh3_64_with_seed(header, xxh3_64(payload))
}

/// Reads what may be the start of a frame; whether the frame is whole, only [`decode`] tells.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let (header, _) = bytes.split_at_checked(HEADER_BYTES)?;
    let mut fields = Fields(header);
    if fields.take::<8>()? != MAGIC || u32::from_be_bytes(fields.take()?) != FORMAT {
        return None;
    }
    let payload_bytes = usize::try_from(u32::from_be_bytes(fields.take()?)).ok()?;
    let [store, first, last, entries] = [fields.number()?, fields.number()?, fields.number()?, fields.number()?];
    let sum = u128::from_be_bytes(fields.take()?);
    let after = Stamp { store, sequence: Sequence::new(last), digest: SetDigest { entries, sum } };
    let (previous, checksum) = (fields.number()?, fields.number()?);
    Some(Head { first: Sequence::new(first), after, previous, checksum, payload_bytes })
}

/// The frame at the start of `bytes`, if it is whole.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let head = head(bytes)?;
    let payload = bytes.get(HEADER_BYTES..)?.get(..head.payload_bytes)?;
    let is_whole = checksum(&bytes[..CHECKED_BYTES], payload) == head.checksum && head.first <= head.after.sequence;
    is_whole.then_some((head, payload))
}

/// Puts the checksum that it should have into what may be a frame, so that what stands in it is looked at.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn seal(bytes: &mut [u8]) {
    let Some(head) = head(bytes) else { return };
    let Some(payload) = bytes.get(HEADER_BYTES..).and_then(|rest| rest.get(..head.payload_bytes)) else { return };
    let checksum = checksum(&bytes[..CHECKED_BYTES], payload);
    bytes[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
}

/// The writes of a frame's payload, in the order of its commits; `None` stands for the rest of a payload that is none.
pub(crate) fn writes(payload: &[u8]) -> impl Iterator<Item = Option<Write>> + '_ {
    let (mut fields, mut left, mut is_broken) = (Fields(payload), 0_u32, false);
    std::iter::from_fn(move || {
        while left == 0 {
            if fields.0.is_empty() || is_broken {
                return None;
            }
            match fields.take() {
                Some(count) => left = u32::from_be_bytes(count),
                None => is_broken = true,
            }
            if is_broken {
                return Some(None);
            }
        }
        left -= 1;
        let write = fields.write();
        if write.is_none() {
            (left, is_broken) = (0, true);
        }
        Some(write)
    })
}

/// What is left to read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    fn write(&mut self) -> Option<Write> {
        let [kind] = self.take()?;
        let mut length = || self.take().map(u32::from_be_bytes).and_then(|length| usize::try_from(length).ok());
        let (key, value) = (length()?, length()?);
        let key = Bytes::copy_from_slice(self.slice(key)?);
        let value = self.slice(value)?;
        match kind {
            DELETE if value.is_empty() => Some(Write::Delete(key)),
            PUT => Some(Write::Put(key, Bytes::copy_from_slice(value))),
            CREATE => Some(Write::Create(key, Bytes::copy_from_slice(value))),
            _ => None,
        }
    }
}
