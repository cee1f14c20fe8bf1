//! What the engine stores, byte for byte; `docs/format.md` has the same for people.
//!
//! Stored types live here and nowhere else, apart from the types that the code works with, so that no refactoring changes
//! the format by accident. Golden bytes in the tests hold it.

pub(crate) mod envelope;
pub(crate) mod key;
pub(crate) mod record;

use bincode::{BorrowDecode, Decode, Encode, config};
use bytes::Bytes;

use crate::error::Error;

/// No stored value is larger; without a limit, a damaged length would make the decoder ask for any amount of memory.
pub(crate) const MAX_STORED_BYTES: usize = 1 << 20;

const CONFIG: config::Configuration<config::LittleEndian, config::Varint, config::Limit<MAX_STORED_BYTES>> =
    config::standard().with_limit::<MAX_STORED_BYTES>();

const NOT_ENCODED: Error = Error::Internal("a stored type does not encode");

/// Encodes what is not larger than [`MAX_STORED_BYTES`].
pub(crate) fn encode(stored: &impl Encode) -> Result<Vec<u8>, Error> {
    bincode::encode_to_vec(stored, CONFIG).map_err(|_| NOT_ENCODED)
}

/// Encodes `stored` and wraps it for storage under `key`.
pub(crate) fn seal(key: &[u8], stored: &impl Encode) -> Result<(Bytes, envelope::Checksum), Error> {
    Ok(envelope::seal(key, &encode(stored)?))
}

/// Decodes what [`seal`] made for `key`.
pub(crate) fn open<T: Decode<()>>(key: &[u8], value: &Bytes) -> Result<(T, envelope::Checksum), Error> {
    let (payload, checksum) = envelope::open(key, value)?;
    Ok((decode(key, &payload)?, checksum))
}

/// Decodes a payload whose checksum was right.
pub(crate) fn decode<T: Decode<()>>(key: &[u8], payload: &[u8]) -> Result<T, Error> {
    match bincode::decode_from_slice(payload, CONFIG) {
        Ok((stored, used)) if used == payload.len() => Ok(stored),
        _ => Err(Error::corrupt(key, "checksum matches, but the value does not decode")),
    }
}

/// Decodes without copying; `None` when `payload` is not exactly one `T`.
pub(crate) fn borrow<'a, T: BorrowDecode<'a, ()>>(payload: &'a [u8]) -> Option<T> {
    let (stored, used) = bincode::borrow_decode_from_slice(payload, CONFIG).ok()?;
    (used == payload.len()).then_some(stored)
}
