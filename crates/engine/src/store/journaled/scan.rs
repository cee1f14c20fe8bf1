//! Reading the journal when a store is opened: which frames are whole, where the next one goes, and whether anything is damaged.
//!
//! Each frame names the commits in it and the frame before it, so the frames that follow each other are known for sure. Where they end, what
//! follows is either nothing, what a segment held when it was used before (with older commits), or the newest frame, torn: it was never
//! acknowledged, because the next frame is written only after it is durable. A whole frame with later commits after that
//! means that something in between was damaged.

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use super::{
    frame::{self, Head, PAGE_BYTES},
    space::{self, Kind},
    stamp::Stamp,
};
use crate::store::{Sequence, StoreError, Write, disk::Disk};

/// A segment that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScannedSegment {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// Its newest commit; zero where it has no frame that counts.
    pub(crate) last: Sequence,
}

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScannedFrame {
    pub(crate) segment: u64,
    pub(crate) position: u64,
    pub(crate) head: Head,
    /// Whether it follows the frame that was found before it, or the floor.
    pub(crate) is_linked: bool,
}

/// The newest frame, written only in part before a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) first: Sequence,
    pub(crate) bytes: u64,
}

/// A place in the journal where commits cannot be read, although later ones can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The segment, and the byte in it, where the first frame that cannot be read begins; where its head cannot be read either, the first byte behind
    /// the frames before it that counts for nothing.
    pub(crate) segment: u64,
    pub(crate) position: u64,
    /// The commits that cannot be read.
    pub(crate) lost: Range<u64>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.lost.end.saturating_sub(1);
        write!(f, "the journal is damaged at byte {} of {}", self.position, space::name(self.segment))?;
        write!(f, ": commits {} to {last} cannot be read", self.lost.start)
    }
}

/// What the journal holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) segments: Vec<ScannedSegment>,
    pub(crate) spares: Vec<(u64, u64)>,
    /// The whole frames with commits after the floor, in their order.
    pub(crate) frames: Vec<ScannedFrame>,
    pub(crate) torn: Option<Torn>,
    pub(crate) damages: Vec<Damage>,
    /// Commits up to this one were of no interest.
    floor: Sequence,
    /// Greater than each number of a segment.
    pub(crate) next_number: u64,
}

impl Scan {
    /// The store after the last frame, if there is one.
    pub(crate) fn end(&self) -> Option<Stamp> {
        self.frames.last().map(|frame| frame.head.after)
    }

    /// What is left when all segments were put aside.
    pub(crate) fn forget_segments(&mut self) {
        self.segments.clear();
        self.frames.clear();
        self.damages.clear();
    }

    /// The newest commit of a whole frame, or the floor.
    pub(crate) fn newest(&self) -> Sequence {
        self.end().map_or(self.floor, |end| end.sequence)
    }

    /// Whether the frames have all commits after `sequence` that there are.
    pub(crate) fn follows(&self, sequence: Sequence) -> bool {
        let mut needed = self.frames.iter().filter(|frame| frame.head.after.sequence > sequence);
        let begins = needed.next().is_none_or(|first| first.head.first <= sequence.next());
        // What came before the floor was not looked at.
        sequence >= self.floor && begins && needed.all(|frame| frame.is_linked)
    }

    /// Where the next frame goes: a segment and a byte in it; none where there is no segment at all.
    pub(crate) fn position(&self) -> Option<(u64, u64)> {
        match self.frames.last() {
            Some(last) => Some((last.segment, last.position + last.head.frame_bytes() as u64)),
            None => self.segments.first().map(|segment| (segment.number, 0)),
        }
    }
}

/// Reads the journal of the store with this id. Commits up to `floor` are of no interest; what a segment holds from an earlier use are such.
pub(crate) fn scan(disk: &Arc<dyn Disk>, store: u64, floor: Sequence) -> Result<Scan, StoreError> {
    let mut scan = Scan { floor, ..Scan::default() };
    let mut numbers = Vec::new();
    for name in disk.list(space::DIRECTORY).map_err(StoreError::io("list the segments of the journal"))? {
        match space::kind(&name) {
            Kind::Segment(number) => numbers.push(number),
            Kind::Spare(number) => {
                let path = format!("{}/{name}", space::DIRECTORY);
                let bytes =
                    disk.open(&path).and_then(|file| file.len()).map_err(StoreError::io(format!("open {path}")))?;
                scan.spares.push((number, bytes));
                scan.next_number = scan.next_number.max(number + 1);
            }
            Kind::Unfinished => {
                let path = format!("{}/{name}", space::DIRECTORY);
                disk.remove(&path).map_err(StoreError::io(format!("remove {path}")))?;
            }
            // Another one with this number would take its name.
            Kind::Damaged(number) => scan.next_number = scan.next_number.max(number + 1),
            Kind::Other => {}
        }
    }
    let mut reader = Reader { store, scan, lost: None };
    for number in numbers {
        let bytes = read_segment(disk, number)?;
        reader.segment(number, &bytes);
    }
    Ok(reader.finish())
}

/// The store that the journal is of, by the first whole frame; none where there is none.
pub(crate) fn store_of(disk: &Arc<dyn Disk>) -> Result<Option<u64>, StoreError> {
    for name in disk.list(space::DIRECTORY).map_err(StoreError::io("list the segments of the journal"))? {
        if let Kind::Segment(number) = space::kind(&name) {
            let bytes = read_segment(disk, number)?;
            let mut pages = (0..bytes.len()).step_by(PAGE_BYTES).filter_map(|start| frame::decode(bytes.get(start..)?));
            if let Some((head, _)) = pages.next() {
                return Ok(Some(head.after.store));
            }
        }
    }
    Ok(None)
}

/// All bytes of a segment.
pub(crate) fn read_segment(disk: &Arc<dyn Disk>, number: u64) -> Result<Vec<u8>, StoreError> {
    let name = space::name(number);
    let read = || {
        let file = disk.open(&name)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(std::io::Error::other)?];
        let length = file.read_at(&mut bytes, 0)?;
        bytes.truncate(length);
        Ok(bytes)
    };
    read().map_err(StoreError::io(format!("read {name}")))
}

/// Reads the writes of frames with commits after `after`, frame by frame, in their order.
pub(crate) fn replay(
    disk: &Arc<dyn Disk>,
    frames: &[ScannedFrame],
    after: Sequence,
    mut apply: impl FnMut(&[Write], &Stamp) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut open: Option<(u64, Vec<u8>)> = None;
    for frame in frames.iter().filter(|frame| frame.head.after.sequence > after) {
        let bytes = match &open {
            Some((number, bytes)) if *number == frame.segment => bytes,
            _ => &open.insert((frame.segment, read_segment(disk, frame.segment)?)).1,
        };
        let payload = usize::try_from(frame.position).ok().and_then(|position| frame::decode(bytes.get(position..)?));
        let writes: Option<Vec<Write>> = payload.and_then(|(_, payload)| frame::writes(payload).collect());
        let unreadable = || {
            let what = format!("the frame at byte {} of {} cannot be read", frame.position, space::name(frame.segment));
            StoreError::Corrupt { what }
        };
        apply(&writes.ok_or_else(unreadable)?, &frame.head.after)?;
    }
    Ok(())
}

/// Where frames could not be followed any further.
struct Lost {
    segment: u64,
    position: u64,
    /// The head of a frame that should be next, if it can still be read.
    head: Option<Head>,
}

struct Reader {
    store: u64,
    scan: Scan,
    /// Where the frames end, as far as is known yet; once a later whole frame is found, that was damage.
    lost: Option<Lost>,
}

impl Reader {
    /// Reads the next segment.
    fn segment(&mut self, number: u64, bytes: &[u8]) {
        self.scan.next_number = self.scan.next_number.max(number + 1);
        self.scan.segments.push(ScannedSegment { number, bytes: bytes.len() as u64, last: Sequence::ZERO });
        let mut position = 0;
        // What is left of a page at the end of a segment that was cut may still be a frame.
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            position += match self.frame(number, position as u64, rest) {
                Some(length) => length,
                None => {
                    self.note_end(number, position as u64, rest);
                    PAGE_BYTES
                }
            };
        }
        self.note_end(number, position as u64, &[]);
    }

    /// Takes the frame at the start of `bytes`, if it is whole and newer than what was read. Gives its length.
    fn frame(&mut self, segment: u64, position: u64, bytes: &[u8]) -> Option<usize> {
        let newest = self.scan.newest();
        let head = frame::head(bytes)?;
        if head.after.store != self.store || head.after.sequence <= newest {
            return None;
        }
        let (head, _) = frame::decode(bytes)?;
        let names_the_last = self.scan.frames.last().is_none_or(|last| head.previous == last.head.checksum);
        let is_linked = head.first == newest.next() && names_the_last;
        if !is_linked {
            let place = self.lost.as_ref().map_or((segment, position), |lost| (lost.segment, lost.position));
            let first = newest.next();
            let lost = first.number()..head.first.max(first.next()).number();
            self.scan.damages.push(Damage { segment: place.0, position: place.1, lost });
        }
        if let Some(last) = self.scan.segments.last_mut() {
            last.last = head.after.sequence;
        }
        self.scan.frames.push(ScannedFrame { segment, position, head, is_linked });
        self.lost = None;
        Some(head.frame_bytes())
    }

    /// Notes where the frames seem to end.
    fn note_end(&mut self, segment: u64, position: u64, bytes: &[u8]) {
        let expected = self.scan.newest().next();
        let head = frame::head(bytes).filter(|head| head.after.store == self.store && head.first == expected);
        // Where the head of the next frame can be read, it is known where that frame is: maybe in another segment than the one before.
        if self.lost.as_ref().is_none_or(|lost| lost.head.is_none() && head.is_some()) {
            self.lost = Some(Lost { segment, position, head });
        }
    }

    fn finish(mut self) -> Scan {
        let torn = self.lost.and_then(|lost| lost.head);
        self.scan.torn = torn.map(|head| Torn { first: head.first, bytes: head.frame_bytes() as u64 });
        self.scan
    }
}
