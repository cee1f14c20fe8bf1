//! The envelope around every stored value: `format (1 byte) | checksum (8 bytes, big-endian) | payload`.
//!
//! The checksum covers the key, the format and the payload, so that a value stored under the wrong key is found too.

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::Error;

/// The format of everything that this release writes. Format history: `docs/format.md`.
pub(crate) const FORMAT: u8 = 2;

/// The format before there were references, pins and queues. Its values read the same; the mark's format tells that the others are missing.
pub(crate) const FORMAT_WITHOUT_REFERENCES: u8 = 1;

const HEADER_BYTES: usize = 1 + 8;

/// Identifies a value's content; whoever refers to an immutable value knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(pub(crate) u64);

fn checksum(key: &[u8], format: u8, payload: &[u8]) -> Checksum {
    Checksum(xxh3_64_with_seed(payload, xxh3_64(key) ^ u64::from(format)))
}

/// Wraps `payload` for storage under `key`.
pub(crate) fn seal(key: &[u8], payload: &[u8]) -> (Bytes, Checksum) {
    seal_as(FORMAT, key, payload)
}

pub(crate) fn seal_as(format: u8, key: &[u8], payload: &[u8]) -> (Bytes, Checksum) {
    let checksum = checksum(key, format, payload);
    let mut value = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    value.extend_from_slice(&[format]);
    value.extend_from_slice(&checksum.0.to_be_bytes());
    value.extend_from_slice(payload);
    (value.freeze(), checksum)
}

/// Takes the payload out of what was stored under `key`.
pub(crate) fn open(key: &[u8], value: &Bytes) -> Result<(Bytes, Checksum), Error> {
    let Some((header, payload)) = value.split_at_checked(HEADER_BYTES) else {
        return Err(Error::corrupt(key, "value is shorter than its header"));
    };
    let format = header[0];
    if ![FORMAT, FORMAT_WITHOUT_REFERENCES].contains(&format) {
        return Err(Error::corrupt(key, "value has an unknown format"));
    }
    let mut stored = [0; 8];
    stored.copy_from_slice(&header[1..]);
    let stored = Checksum(u64::from_be_bytes(stored));
    if checksum(key, format, payload) != stored {
        return Err(Error::corrupt(key, "checksum does not match"));
    }
    Ok((value.slice(HEADER_BYTES..), stored))
}
