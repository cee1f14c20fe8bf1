//! The segments of a store that exists, for a journal that goes on in them.

use std::{io, sync::Arc};

use super::Recovery;
use crate::store::{
    StoreError,
    journaled::{
        index::IndexHome,
        space::{self, Full, Segment, Space, Spare},
    },
};

impl<H: IndexHome> Recovery<'_, H> {
    /// Gives all segments other names, so that a new journal begins; nothing is removed.
    pub(super) fn put_journal_aside(&mut self) -> Result<(), StoreError> {
        let failed = || StoreError::io("put the damaged journal aside");
        for name in self.disk.list(space::DIRECTORY).map_err(failed())? {
            if let space::Kind::Segment(number) = space::kind(&name) {
                self.disk.rename(&space::name(number), &space::damaged_name(number)).map_err(failed())?;
            }
        }
        self.disk.sync_dir(space::DIRECTORY).map_err(failed())?;
        self.scan.forget_segments();
        Ok(())
    }

    /// The active segment, where the next frame goes in it, the checksum of the newest frame, and the other segments.
    pub(super) fn segments(&self) -> Result<(Segment, u64, u64, Arc<Space>), StoreError> {
        let mut found = space::Found { next_number: self.scan.next_number.max(1), ..space::Found::default() };
        found.spares =
            self.scan.spares.iter().map(|(number, bytes)| Spare { number: *number, bytes: *bytes }).collect();
        let (mut active, position) = match self.scan.position() {
            Some((number, position)) => (self.open_segment(number)?, position),
            None => {
                let number = found.next_number;
                found.next_number += 1;
                let created = space::create(&**self.disk, self.sizes.segment_bytes, number);
                (created.map_err(StoreError::io("create a segment of the journal"))?, 0)
            }
        };
        for segment in &self.scan.segments {
            if segment.number > active.number && found.next.is_none() && segment.bytes >= self.sizes.segment_bytes {
                found.next = Some(self.open_segment(segment.number)?);
            } else if segment.number != active.number {
                found.full.push_back(Full { number: segment.number, bytes: segment.bytes, last: segment.last });
            }
        }
        // A segment may have been cut right behind its last frame.
        active.bytes = active.bytes.max(position);
        (found.active_bytes, found.rest) = (active.bytes, active.bytes - position);
        let previous = self.scan.frames.last().map_or(0, |frame| frame.head.checksum);
        let space = Space::new(Arc::clone(self.disk), self.sizes.segment_bytes, self.sizes.reserve_bytes, found);
        Ok((active, position, previous, Arc::new(space)))
    }

    fn open_segment(&self, number: u64) -> Result<Segment, StoreError> {
        let open = || -> io::Result<Segment> {
            let file = self.disk.open_for_pages(&space::name(number))?;
            Ok(Segment { number, bytes: file.len()?, file })
        };
        open().map_err(StoreError::io(format!("open {}", space::name(number))))
    }

    /// Writes the newest frame once more, with the same bytes, and makes it durable. It may never have been: a killed process did not wait for
    /// that, and after a failed attempt the operating system shows bytes that the disk does not have. The index must not be ahead of it.
    pub(super) fn settle_newest_frame(&self) -> Result<(), StoreError> {
        let Some(frame) = self.scan.frames.last() else { return Ok(()) };
        let name = space::name(frame.segment);
        let settle = || {
            let file = self.disk.open(&name)?;
            let mut bytes = vec![0; frame.head.frame_bytes()];
            let length = file.read_at(&mut bytes, frame.position)?;
            bytes.truncate(length);
            file.write_at(&bytes, frame.position)?;
            file.sync()
        };
        settle().map_err(StoreError::io(format!("write {name}")))
    }
}
