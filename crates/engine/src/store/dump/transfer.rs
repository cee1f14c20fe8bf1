//! From a store into a dump, and back.

use std::{
    io::{Read, Seek, SeekFrom},
    mem,
};

use bytes::Bytes;

use super::{DumpError, DumpInfo, DumpReader, DumpWriter};
use crate::store::{Commit, Condition, Direction, KeyRange, Sequence, Store, Submitted, Ticket, View, Write};

/// How many bytes of keys and values [`load`] writes with one commit, where the store takes as many.
const COMMIT_BYTES: usize = 4 << 20;

/// What is being done with a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is written.
    Dumping,
    /// It is read, and nothing else.
    Verifying,
    /// It is read, and loaded into a store.
    Loading,
}

/// How far something has come; told after each block of about 64 KiB, and at the end of each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How many entries this stage is through with.
    pub entries: u64,
    /// How many bytes of the dump this stage has written or read.
    pub bytes: u64,
    /// How long the dump is, in bytes, where that is known.
    pub of_bytes: Option<u64>,
}

/// Writes all durable entries of a store as a dump, and flushes `out`; to make a file durable is left to the caller.
///
/// The dump is of one moment, whatever is committed meanwhile. The store keeps, in memory, what is overwritten until the dump is written.
///
/// # Errors
///
/// - [`DumpError::Io`] when `out` fails.
/// - [`DumpError::Store`] when the store does.
/// - [`DumpError::InvalidEntry`] when the store has an entry of more than 8 MiB.
pub fn dump(
    store: &dyn Store,
    out: impl std::io::Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<DumpInfo, DumpError> {
    dump_of(0, store, out, progress)
}

/// Like [`dump`], of a store with this id.
pub(crate) fn dump_of(
    store_id: u64,
    store: &dyn Store,
    out: impl std::io::Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<DumpInfo, DumpError> {
    let snapshot = store.snapshot(View::Durable)?;
    let mut meter = Meter::new(Stage::Dumping, None, progress);
    let mut writer = DumpWriter::new(out, store_id, snapshot.sequence())?;
    for entry in snapshot.range(&KeyRange::ALL, Direction::Ascending) {
        let (key, value) = entry?;
        writer.entry(&key, &value)?;
        meter.report(writer.entries(), writer.written());
    }
    let (_, info) = writer.finish()?;
    meter.report(info.entries, info.bytes);
    Ok(info)
}

/// Reads a dump to its end, and says what it holds.
///
/// # Errors
///
/// - [`DumpError::NotADump`], [`DumpError::UnknownFormat`] and [`DumpError::Damaged`] for everything but a whole dump and nothing after it.
/// - [`DumpError::Io`] when `input` fails.
pub fn verify(input: impl Read, progress: &mut dyn FnMut(Progress)) -> Result<DumpInfo, DumpError> {
    read(input, Meter::new(Stage::Verifying, None, progress), |_| Ok(()))
}

/// Loads a dump, which begins where `input` stands, into an empty store, and returns when all of it is durable.
///
/// All of the dump is read first, and a damaged one refused before anything is written. When something fails after that, a part of it may be
/// in the store, which is of no use then. Nobody else may write to the store meanwhile.
///
/// # Errors
///
/// - [`DumpError::NotEmpty`] for a store with entries, also when they are written meanwhile.
/// - [`DumpError::Store`] when the store fails.
/// - Those of [`verify`].
pub fn load(
    mut input: impl Read + Seek,
    store: &dyn Store,
    progress: &mut dyn FnMut(Progress),
) -> Result<DumpInfo, DumpError> {
    let mut loader = Loader::new(store)?;
    let io = || DumpError::io("find a place in the dump");
    let begin = input.stream_position().map_err(io())?;
    let end = input.seek(SeekFrom::End(0)).map_err(io())?;
    let of_bytes = Some(end.saturating_sub(begin));
    input.seek(SeekFrom::Start(begin)).map_err(io())?;
    let verified = read(&mut input, Meter::new(Stage::Verifying, of_bytes, progress), |_| Ok(()))?;
    input.seek(SeekFrom::Start(begin)).map_err(io())?;
    let loaded = read(&mut input, Meter::new(Stage::Loading, of_bytes, progress), |entry| loader.add(entry))?;
    if loaded != verified {
        return Err(DumpError::Damaged { offset: 0, what: "it changed while it was loaded" });
    }
    loader.finish()?;
    Ok(loaded)
}

/// Reads a dump to its end; each entry goes to `sink`.
fn read(
    input: impl Read,
    mut meter: Meter<'_>,
    mut sink: impl FnMut((Bytes, Bytes)) -> Result<(), DumpError>,
) -> Result<DumpInfo, DumpError> {
    let mut reader = DumpReader::open(input)?;
    while let Some(entry) = reader.next() {
        sink(entry?)?;
        meter.report(reader.entries(), reader.offset());
    }
    let info = reader.finish()?;
    meter.report(info.entries, info.bytes);
    Ok(info)
}

/// Tells somebody how far a stage has come.
struct Meter<'a> {
    told: Progress,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Meter<'a> {
    fn new(stage: Stage, of_bytes: Option<u64>, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self { told: Progress { stage, entries: 0, bytes: 0, of_bytes }, progress }
    }

    /// Tells it when there are more bytes than the last time.
    fn report(&mut self, entries: u64, bytes: u64) {
        if bytes > self.told.bytes {
            self.told = Progress { entries, bytes, ..self.told };
            (self.progress)(self.told);
        }
    }
}

/// Writes entries to a store in commits of some size. Each depends on that nobody else has written since the one before.
struct Loader<'a> {
    store: &'a dyn Store,
    /// The newest commit that is our own; the store was empty before the first.
    newest: Sequence,
    ticket: Option<Ticket>,
    writes: Vec<Write>,
    bytes: usize,
}

impl<'a> Loader<'a> {
    fn new(store: &'a dyn Store) -> Result<Self, DumpError> {
        let snapshot = store.snapshot(View::Latest)?;
        if snapshot.range(&KeyRange::ALL, Direction::Ascending).next().transpose()?.is_some() {
            return Err(DumpError::NotEmpty);
        }
        Ok(Self { store, newest: snapshot.sequence(), ticket: None, writes: Vec::new(), bytes: 0 })
    }

    fn add(&mut self, (key, value): (Bytes, Bytes)) -> Result<(), DumpError> {
        let bytes = key.len() + value.len();
        if !self.writes.is_empty() && self.bytes + bytes > COMMIT_BYTES.min(self.store.max_commit_bytes()) {
            self.submit()?;
        }
        self.bytes += bytes;
        self.writes.push(Write::Create(key, value));
        Ok(())
    }

    fn submit(&mut self) -> Result<(), DumpError> {
        let unchanged = Condition { range: KeyRange::ALL, unchanged_since: self.newest };
        let commit = Commit { conditions: vec![unchanged], writes: mem::take(&mut self.writes) };
        self.bytes = 0;
        match self.store.submit(commit)? {
            Submitted::Applied(ticket) => {
                self.newest = ticket.sequence();
                self.ticket = Some(ticket);
                Ok(())
            }
            Submitted::Conflict => Err(DumpError::NotEmpty),
        }
    }

    /// Returns when all is durable: the last commit is so only after the others.
    fn finish(mut self) -> Result<(), DumpError> {
        if !self.writes.is_empty() {
            self.submit()?;
        }
        self.ticket.map_or(Ok(()), |ticket| Ok(self.store.wait(ticket)?))
    }
}
