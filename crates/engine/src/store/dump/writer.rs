//! Writing a dump.

use std::io::{self, Write};

use super::{
    DumpError, DumpInfo,
    format::{
        BLOCK_BYTES, BLOCK_HEAD_BYTES, BLOCK_MARK, ENTRY_HEAD_BYTES, FOOTER_BYTES, Footer, Header, MAX_ENTRY_BYTES,
        refuse_key, seal,
    },
};
use crate::store::{Sequence, digest::SetDigest};

/// Writes a dump, with one write for each part. Without [`DumpWriter::finish`] it is none: readers refuse it.
pub(crate) struct DumpWriter<W> {
    out: W,
    header: Header,
    /// How many bytes were written.
    written: u64,
    /// The checksum of the part that was written last.
    checksum: u64,
    /// The block that is being filled: empty, or its head, still to be completed, and entries.
    block: Vec<u8>,
    block_entries: u32,
    block_bytes: usize,
    last_key: Vec<u8>,
    digest: SetDigest,
    /// After a failed write nobody knows what is there.
    failed: bool,
}

impl<W: Write> DumpWriter<W> {
    /// Begins a dump of the store with this id, 0 where it has none, as it is at `sequence`.
    pub(crate) fn new(out: W, store_id: u64, sequence: Sequence) -> Result<Self, DumpError> {
        Self::with_block_bytes(out, store_id, sequence, BLOCK_BYTES)
    }

    /// Begins a dump whose blocks have payloads of at most `block_bytes`, unless a single entry is longer.
    pub(super) fn with_block_bytes(
        out: W,
        store_id: u64,
        sequence: Sequence,
        block_bytes: usize,
    ) -> Result<Self, DumpError> {
        let header = Header { store_id, sequence };
        let (part, checksum) = header.encode();
        let mut writer = Self {
            out,
            header,
            written: 0,
            checksum,
            block: Vec::new(),
            block_entries: 0,
            block_bytes,
            last_key: Vec::new(),
            digest: SetDigest::default(),
            failed: false,
        };
        writer.write(&part)?;
        Ok(writer)
    }

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// - [`DumpError::InvalidEntry`] for a key that is not greater than the one before it, is empty or begins with a zero byte, and for an
    ///   entry of more than [`MAX_ENTRY_BYTES`]. The dump goes on without it.
    /// - [`DumpError::Io`] where a write failed, and ever after.
    pub(crate) fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        self.refuse_after_failure()?;
        refuse_key(&self.last_key, key).map_err(|why| invalid(why, key))?;
        let (Ok(key_bytes), Ok(value_bytes), ..=MAX_ENTRY_BYTES) =
            (u32::try_from(key.len()), u32::try_from(value.len()), key.len().saturating_add(value.len()))
        else {
            return Err(invalid("its key and value have more than 8 MiB", key));
        };
        let entry_bytes = ENTRY_HEAD_BYTES + key.len() + value.len();
        if self.block_entries > 0 && self.block.len() - BLOCK_HEAD_BYTES + entry_bytes > self.block_bytes {
            self.write_block()?;
        }
        if self.block.is_empty() {
            self.block.extend_from_slice(&[0; BLOCK_HEAD_BYTES]);
        }
        self.block.extend_from_slice(&key_bytes.to_be_bytes());
        self.block.extend_from_slice(&value_bytes.to_be_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.block_entries += 1;
        self.digest.add(key, value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// How many entries were added.
    pub(crate) fn entries(&self) -> u64 {
        self.digest.entries
    }

    /// How many bytes were written; what was added last may still be missing.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Completes the dump and flushes what it is written to. To make a file durable is left to the caller.
    pub(crate) fn finish(mut self) -> Result<(W, DumpInfo), DumpError> {
        if self.block_entries > 0 {
            self.write_block()?;
        }
        let footer = Footer { digest: self.digest, bytes: self.written + FOOTER_BYTES as u64 };
        self.write(&footer.encode(self.checksum))?;
        self.out.flush().map_err(DumpError::io("write the dump"))?;
        Ok((self.out, DumpInfo::new(self.header.store_id, self.header.sequence, &footer)))
    }

    fn write_block(&mut self) -> Result<(), DumpError> {
        let mut block = std::mem::take(&mut self.block);
        let payload_bytes = u32::try_from(block.len() - BLOCK_HEAD_BYTES).unwrap_or(u32::MAX);
        let head = BLOCK_MARK.into_iter().chain(payload_bytes.to_be_bytes()).chain(self.block_entries.to_be_bytes());
        block.iter_mut().zip(head).for_each(|(byte, of_head)| *byte = of_head);
        self.checksum = seal(&mut block, self.checksum);
        let outcome = self.write(&block);
        block.clear();
        self.block = block;
        self.block_entries = 0;
        outcome
    }

    fn write(&mut self, part: &[u8]) -> Result<(), DumpError> {
        self.refuse_after_failure()?;
        let outcome = self.out.write_all(part).map_err(DumpError::io("write the dump"));
        self.failed = outcome.is_err();
        self.written += part.len() as u64;
        outcome
    }

    fn refuse_after_failure(&self) -> Result<(), DumpError> {
        match self.failed {
            true => Err(DumpError::io("write the dump")(io::Error::other("an earlier write failed"))),
            false => Ok(()),
        }
    }
}

fn invalid(why: &str, key: &[u8]) -> DumpError {
    /// A key is shown as far as it helps to find it.
    const SHOWN: usize = 512;
    let shown = key.get(..SHOWN).unwrap_or(key);
    DumpError::InvalidEntry { what: format!("{why}: \"{}\"", shown.escape_ascii()) }
}
