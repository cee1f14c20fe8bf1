//! What a check of a store's files tells.

use std::fmt;

use crate::{
    check,
    store::{Sequence, dump::DumpInfo},
};

/// How many findings are kept; the rest is counted.
const MAX_FINDINGS: usize = 1_000;

/// A part of a store's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorePart {
    /// The files `COMMITS` and `CHECKPOINT`.
    Notes,
    /// The segments in `journal/`.
    Journal,
    /// The newest file in `snapshots/`.
    Snapshot,
    /// Sled's files in `sled/`.
    Index,
}

impl fmt::Display for StorePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notes => "notes",
            Self::Journal => "journal",
            Self::Snapshot => "snapshot",
            Self::Index => "index",
        })
    }
}

/// Something that is wrong in a store's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFinding {
    /// Where.
    pub part: StorePart,
    /// What is wrong; names the file, the commits or the key.
    pub what: String,
}

/// What a check of a closed store found; see [`SledStore::check`](crate::SledStore::check).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreReport {
    /// The newest commit that is known.
    pub newest: Sequence,
    /// Whether the store was closed cleanly. Otherwise the next start applies the journal to the index again.
    pub is_clean: bool,
    /// How many commits the next start applies to the index again.
    pub to_apply: u64,
    /// The bytes of a frame at the journal's end that was cut short. It was never acknowledged, and the next start discards it.
    pub torn_bytes: Option<u64>,
    /// How many frames the journal has that may still be needed, and in how many segments.
    pub frames: u64,
    /// How many segments these frames are in.
    pub segments: u64,
    /// The newest snapshot, if it can be read.
    pub snapshot: Option<DumpInfo>,
    /// How many entries the index has.
    pub entries: u64,
    /// What is wrong; at most the first thousand.
    pub findings: Vec<StoreFinding>,
    /// How many findings there are beyond those.
    pub more_findings: u64,
    /// What a check of the engine's values found; none where nothing could be read.
    pub engine: Option<check::Report>,
}

impl StoreReport {
    pub(super) fn new(newest: Sequence) -> Self {
        Self {
            newest,
            is_clean: false,
            to_apply: 0,
            torn_bytes: None,
            frames: 0,
            segments: 0,
            snapshot: None,
            entries: 0,
            findings: Vec::new(),
            more_findings: 0,
            engine: None,
        }
    }

    pub(super) fn find(&mut self, part: StorePart, what: impl fmt::Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(StoreFinding { part, what: what.to_string() });
        } else {
            self.more_findings += 1;
        }
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.engine.as_ref().is_some_and(check::Report::is_sound)
    }
}

impl fmt::Display for StoreReport {
    /// The files first, then what the engine keeps in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "files")?;
        writeln!(f, "  newest commit      {}", self.newest)?;
        let closed = if self.is_clean { "cleanly" } else { "not cleanly; the next start checks everything" };
        writeln!(f, "  closed             {closed}")?;
        writeln!(f, "  journal            {} frames in {} segments", self.frames, self.segments)?;
        if self.to_apply > 0 {
            writeln!(f, "  to be applied      {} commits, by the next start", self.to_apply)?;
        }
        if let Some(bytes) = self.torn_bytes {
            writeln!(f, "  cut short          {bytes} bytes at the journal's end, never acknowledged")?;
        }
        match &self.snapshot {
            Some(snapshot) => writeln!(
                f,
                "  snapshot           commit {}, {} entries, {} bytes",
                snapshot.sequence, snapshot.entries, snapshot.bytes
            )?,
            None => writeln!(f, "  snapshot           none that can be read")?,
        }
        writeln!(f, "  index              {} entries", self.entries)?;
        for finding in &self.findings {
            writeln!(f, "  FOUND in the {}: {}", finding.part, finding.what)?;
        }
        if self.more_findings > 0 {
            writeln!(f, "  FOUND {} more like these", self.more_findings)?;
        }
        if !self.findings.is_empty() {
            writeln!(
                f,
                "  The next start mends what it can without losing anything; `offshoot repair` tells what it cannot."
            )?;
        }
        match &self.engine {
            Some(report) => write!(f, "\n{report}"),
            None => writeln!(f, "\nwhat the engine keeps could not be read"),
        }
    }
}
