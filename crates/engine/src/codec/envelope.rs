//! The envelope around every stored value: `format (1 byte) | checksum (8 bytes, big-endian) | payload`.
//!
//! The checksum covers the key, the format and the payload, so that a value stored under the wrong key is found too.

use std::io;

use bytes::Bytes;
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
    let mut value = Unsealed::with_capacity(payload.len());
    value.extend(payload);
    value.seal_as(format, key)
}

/// A payload with room for the header before it, so that wrapping it takes no copy.
pub(crate) struct Unsealed(Vec<u8>);

impl Unsealed {
    /// An empty payload, to be filled with up to this many bytes; more take time, fewer take memory.
    pub(crate) fn with_capacity(payload_bytes: usize) -> Self {
        let mut value = Vec::with_capacity(HEADER_BYTES + payload_bytes);
        value.extend_from_slice(&[0; HEADER_BYTES]);
        Self(value)
    }

    /// Adds to the payload.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.0.len() - HEADER_BYTES
    }

    pub(crate) fn into_payload(self) -> Bytes {
        payload_of(&self.0.into())
    }

    /// Wraps the payload for storage under `key`.
    pub(crate) fn seal(self, key: &[u8]) -> (Bytes, Checksum) {
        self.seal_as(FORMAT, key)
    }

    fn seal_as(mut self, format: u8, key: &[u8]) -> (Bytes, Checksum) {
        let (header, payload) = self.0.split_at_mut(HEADER_BYTES);
        let checksum = checksum(key, format, payload);
        header[0] = format;
        header[1..].copy_from_slice(&checksum.0.to_be_bytes());
        (self.0.into(), checksum)
    }
}

impl io::Write for Unsealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The payload of a value that was just sealed.
pub(crate) fn payload_of(value: &Bytes) -> Bytes {
    value.slice(HEADER_BYTES..)
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
    Ok((payload_of(value), stored))
}
