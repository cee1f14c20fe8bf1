//! The journal's end, where frames are written.
//!
//! A frame is written to its segment and made durable before the next one is written, so only the newest can be torn.

use std::sync::Arc;

use super::{
    frame,
    space::{Full, Segment, Space},
    stamp::Stamp,
};
use crate::store::{Sequence, StoreError, overlay::Pending};

/// Writes frames. A failure leaves open what is durable, so nothing may be written after it.
pub(crate) struct Journal {
    space: Arc<Space>,
    active: Segment,
    /// Where the next frame goes.
    position: u64,
    /// The newest commit in the active segment, or before it.
    last: Sequence,
    /// The checksum of the newest frame.
    previous: u64,
    frame: Vec<u8>,
}

impl Journal {
    /// Goes on behind what was found.
    pub(crate) fn new(space: Arc<Space>, active: Segment, position: u64, last: Sequence, previous: u64) -> Self {
        Self { space, active, position, last, previous, frame: Vec::new() }
    }

    /// Makes a group of commits durable, all of it or nothing; the store is then as `after` says. Gives the bytes of its frame.
    pub(crate) fn append(&mut self, group: &[Pending], after: &Stamp) -> Result<u64, StoreError> {
        let checksum = frame::encode(group, after, self.previous, &mut self.frame);
        let bytes = self.frame.len() as u64;
        if self.active.bytes - self.position < bytes {
            self.turn_over()?;
        }
        let failed = || StoreError::io(format!("write segment {} of the journal", self.active.number));
        self.active.file.write_at(&self.frame, self.position).map_err(failed())?;
        self.active.file.sync().map_err(failed())?;
        self.position += bytes;
        self.last = after.sequence;
        self.previous = checksum;
        let reserved = group.iter().map(|commit| frame::bytes_alone(&commit.writes) as u64).sum();
        self.space.written(reserved, self.active.bytes - self.position);
        Ok(bytes)
    }

    /// Goes on with the next segment.
    fn turn_over(&mut self) -> Result<(), StoreError> {
        let full = Full { number: self.active.number, bytes: self.active.bytes, last: self.last };
        let bug = || StoreError::Corrupt { what: "bug: a commit was accepted without space in the journal".to_owned() };
        self.active = self.space.take_next(full).ok_or_else(bug)?;
        self.position = 0;
        Ok(())
    }
}
