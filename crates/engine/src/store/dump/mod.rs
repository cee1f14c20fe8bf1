//! Dumps: all entries of a store at one sequence, as one file that is checked to its last byte.
//!
//! A dump is a backup of a store, and carries it into a store of another kind. [`dump`] writes one while the store goes on working,
//! [`verify`] reads one to its end, and [`load`] fills an empty store with it. `docs/format.md` has the bytes.
//!
//! ```
//! use std::io::Cursor;
//!
//! use offshoot_engine::{Engine, MemoryStore, NamespaceId, Options, dump};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let engine = Engine::open(store.clone(), Options::default())?;
//! let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
//! engine.transact(|tx| tx.put(main, b"greeting", b"hello"))?;
//!
//! let mut file = Vec::new();
//! let written = dump::dump(&store, &mut file, &mut |_| {})?;
//! assert_eq!(dump::verify(&file[..], &mut |_| {})?, written);
//!
//! let copy = MemoryStore::new();
//! dump::load(Cursor::new(file), &copy, &mut |_| {})?;
//! let engine = Engine::open(copy, Options::default())?;
//! assert_eq!(engine.head(main)?.get(b"greeting")?.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # What is found
//!
//! Every part of a dump has a checksum that begins with the one before it, so a changed byte, a part that is missing, doubled or out of
//! place, and anything after the end is a [`DumpError::Damaged`]. That is for damage: who wants to forge a dump can. A dump holds all that
//! the store holds, secrets too, so it is to be kept like the store's own files.

mod error;
pub(crate) mod format;
mod reader;
mod transfer;
mod writer;

#[cfg(test)]
mod tests;

use self::format::Footer;
#[cfg(feature = "sled")]
pub(crate) use self::transfer::dump_of;
pub use self::{
    error::DumpError,
    transfer::{Progress, Stage, dump, load, verify},
};
pub(crate) use self::{reader::DumpReader, writer::DumpWriter};
use super::{Sequence, digest::SetDigest};

/// What a dump that was written, or read to its end, holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpInfo {
    /// The number that the dumped store has of its own; 0 where it has none, or where whoever dumped it does not know it.
    pub store_id: u64,
    /// The newest commit of the dumped store that is in the dump. A store that the dump is loaded into counts commits of its own.
    pub sequence: Sequence,
    /// How many entries there are.
    pub entries: u64,
    /// The digest of all entries. Dumps of stores with the same entries have the same, whatever the stores are.
    pub digest: u128,
    /// How long the dump is, in bytes.
    pub bytes: u64,
}

impl DumpInfo {
    fn new(store_id: u64, sequence: Sequence, footer: &Footer) -> Self {
        Self { store_id, sequence, entries: footer.digest.entries, digest: footer.digest.sum, bytes: footer.bytes }
    }

    /// Number and digest of the entries, as a store keeps them.
    pub(crate) fn set_digest(&self) -> SetDigest {
        SetDigest { entries: self.entries, sum: self.digest }
    }
}
