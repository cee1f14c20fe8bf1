//! Reading a dump.

use std::io::{self, Read};

use bytes::{Buf, Bytes};

use super::{
    DumpError, DumpInfo,
    format::{
        BLOCK_HEAD_BYTES, BLOCK_MARK, CHECKSUM_BYTES, ENTRY_HEAD_BYTES, FOOTER_BYTES, FOOTER_MARK, Footer,
        HEADER_BYTES, Header, MAX_PAYLOAD_BYTES, check, refuse_key, take,
    },
};
use crate::store::{Sequence, digest::SetDigest};

/// How much memory is taken at once for bytes that the input may turn out not to have.
const STEP_BYTES: usize = 1 << 20;

/// Reads a dump: an iterator of its entries, in ascending order of their keys.
///
/// An entry comes out once the checksum of its block was right; that nothing is missing is known at the end, when the iterator yields
/// `None` without an error before. [`DumpReader::finish`] reads on to there. An error ends the iteration.
///
/// Keys and values are slices of their block: as long as one of them is there, so is the block of about 64 KiB.
pub(crate) struct DumpReader<R> {
    input: R,
    header: Header,
    /// Where the next part begins.
    offset: u64,
    /// The checksum of the part that was read last.
    checksum: u64,
    block: Block,
    last_key: Bytes,
    digest: SetDigest,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Done(DumpInfo),
    Failed,
}

impl<R: Read> DumpReader<R> {
    /// Begins to read a dump: its header. Reads in large pieces, so that the input needs no buffer of its own.
    pub(crate) fn open(mut input: R) -> Result<Self, DumpError> {
        let mut part = Vec::with_capacity(HEADER_BYTES);
        read_up_to(&mut input, &mut part, HEADER_BYTES)?;
        let (header, checksum) = Header::decode(&part)?;
        Ok(Self {
            input,
            header,
            offset: HEADER_BYTES as u64,
            checksum,
            block: Block::default(),
            last_key: Bytes::new(),
            digest: SetDigest::default(),
            state: State::Reading,
        })
    }

    /// The id of the store that was dumped; 0 for none.
    pub(crate) fn store_id(&self) -> u64 {
        self.header.store_id
    }

    /// The newest commit that is in the dump.
    pub(crate) fn sequence(&self) -> Sequence {
        self.header.sequence
    }

    /// How many entries came out so far.
    pub(crate) fn entries(&self) -> u64 {
        self.digest.entries
    }

    /// How many bytes were read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads what is left of the dump, and says what all of it holds. After an error there is no dump to speak of, and this is one too.
    pub(crate) fn finish(mut self) -> Result<DumpInfo, DumpError> {
        for entry in &mut self {
            entry?;
        }
        match self.state {
            State::Done(info) => Ok(info),
            State::Reading | State::Failed => {
                Err(DumpError::io("read the dump")(io::Error::other("what was read before is damaged")))
            }
        }
    }

    fn next_entry(&mut self) -> Result<Option<(Bytes, Bytes)>, DumpError> {
        loop {
            let offset = self.block.offset();
            if let Some((key, value)) = self.block.next()? {
                refuse_key(&self.last_key, &key).map_err(|why| DumpError::Damaged { offset, what: why })?;
                self.digest.add(&key, &value);
                self.last_key = key.clone();
                return Ok(Some((key, value)));
            }
            let mut part = Vec::new();
            self.read(&mut part, BLOCK_HEAD_BYTES, "it ends without its footer")?;
            match part.first_chunk() {
                Some(&BLOCK_MARK) => self.block = self.read_block(part)?,
                Some(&FOOTER_MARK) => {
                    self.state = State::Done(self.read_footer(part)?);
                    return Ok(None);
                }
                _ => return Err(self.damaged("neither a block nor the footer begins here")),
            }
        }
    }

    /// Reads the rest of a block of which `part` is the head.
    fn read_block(&mut self, mut part: Vec<u8>) -> Result<Block, DumpError> {
        let mut head = part.get(BLOCK_MARK.len()..).unwrap_or_default();
        let length = take(&mut head).map_or(0, u32::from_be_bytes) as usize;
        let left = take(&mut head).map_or(0, u32::from_be_bytes);
        if !(1..=MAX_PAYLOAD_BYTES).contains(&length) {
            return Err(self.damaged("the block that begins here has a length that no block has"));
        }
        self.read(&mut part, BLOCK_HEAD_BYTES + length + CHECKSUM_BYTES, "it ends within a block")?;
        self.check(&part, "the block that begins here does not match its checksum")?;
        let payload = Bytes::from(part).slice(BLOCK_HEAD_BYTES..BLOCK_HEAD_BYTES + length);
        Ok(Block { payload, left, end: self.offset - CHECKSUM_BYTES as u64 })
    }

    /// Reads the rest of the footer, of which `part` is the beginning, and looks whether something follows.
    fn read_footer(&mut self, mut part: Vec<u8>) -> Result<DumpInfo, DumpError> {
        self.read(&mut part, FOOTER_BYTES, "it ends within its footer")?;
        let begin = self.offset;
        self.check(&part, "the footer does not match its checksum")?;
        let expected = Footer { digest: self.digest, bytes: self.offset };
        if Footer::decode(&part) != Some(expected) {
            let what = "the footer does not say what stands before it";
            return Err(DumpError::Damaged { offset: begin, what });
        }
        if read_up_to(&mut self.input, &mut Vec::new(), 1)? > 0 {
            return Err(self.damaged("something follows the footer"));
        }
        Ok(DumpInfo::new(self.store_id(), self.sequence(), &expected))
    }

    /// Fills `part` up to `length` bytes, or says that the dump ends too early.
    fn read(&mut self, part: &mut Vec<u8>, length: usize, what: &'static str) -> Result<(), DumpError> {
        let found = read_up_to(&mut self.input, part, length)?;
        if found < length {
            return Err(DumpError::Damaged { offset: self.offset + found as u64, what });
        }
        Ok(())
    }

    /// Checks a part that was read whole, and goes on to where the next one begins.
    fn check(&mut self, part: &[u8], what: &'static str) -> Result<(), DumpError> {
        self.checksum = check(part, self.checksum).ok_or(self.damaged(what))?;
        self.offset += part.len() as u64;
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> DumpError {
        DumpError::Damaged { offset: self.offset, what }
    }
}

impl<R: Read> Iterator for DumpReader<R> {
    type Item = Result<(Bytes, Bytes), DumpError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Reading => {
                let entry = self.next_entry();
                if entry.is_err() {
                    self.state = State::Failed;
                }
                entry.transpose()
            }
            State::Done(_) | State::Failed => None,
        }
    }
}

/// The entries of a block that are still to come.
#[derive(Default)]
struct Block {
    payload: Bytes,
    left: u32,
    /// Where the payload ends in the dump.
    end: u64,
}

impl Block {
    /// Where the next entry begins in the dump.
    fn offset(&self) -> u64 {
        self.end - self.payload.len() as u64
    }

    fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, DumpError> {
        let offset = self.offset();
        match (self.left.checked_sub(1), self.payload.is_empty()) {
            (None, true) => Ok(None),
            (None, false) | (Some(_), true) => {
                Err(DumpError::Damaged { offset, what: "a block has more or fewer entries than it says" })
            }
            (Some(left), false) => {
                self.left = left;
                let entry = self.take();
                entry.map(Some).ok_or(DumpError::Damaged { offset, what: "an entry is longer than its block" })
            }
        }
    }

    fn take(&mut self) -> Option<(Bytes, Bytes)> {
        let mut head = &self.payload[..];
        let key_bytes = u32::from_be_bytes(take(&mut head)?) as usize;
        let value_bytes = u32::from_be_bytes(take(&mut head)?) as usize;
        let key_end = ENTRY_HEAD_BYTES.checked_add(key_bytes)?;
        let end = key_end.checked_add(value_bytes)?;
        if end > self.payload.len() {
            return None;
        }
        let entry = (self.payload.slice(ENTRY_HEAD_BYTES..key_end), self.payload.slice(key_end..end));
        self.payload.advance(end);
        Some(entry)
    }
}

/// Fills `part` up to `length` bytes, fewer only where the input ends. Returns how many there are.
fn read_up_to(input: &mut impl Read, part: &mut Vec<u8>, length: usize) -> Result<usize, DumpError> {
    let mut filled = part.len();
    while filled < length {
        if filled == part.len() {
            part.resize(length.min(filled + STEP_BYTES), 0);
        }
        match input.read(part.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DumpError::io("read the dump")(error)),
        }
    }
    part.truncate(filled);
    Ok(filled)
}
