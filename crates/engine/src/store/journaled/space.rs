//! Space for the journal: segments that are prepared before they are needed, and used again when nothing needs them any more.
//!
//! # What it holds
//!
//! - The *active* segment, which frames go to; the journal has it open, here is only how much of it is left.
//! - The *next* segment: zero-filled or used before, durable in its size and name.
//! - *Full* segments, oldest first, until a checkpoint of the index and a snapshot cover all of their commits.
//! - *Spares*: covered segments under another name, on their way to become the next.
//!
//! # Invariants
//!
//! - A commit is accepted only after its space was reserved. What is reserved in all fits into what is left of the active segment, or all of
//!   it into the next. So an accepted commit never finds the disk full.
//! - Where there is too little, small commits wait until others are written, and do not ask for a larger segment: whoever waits sees to it that
//!   what is accepted is written, and whoever is accepted meanwhile does the same.
//! - Segments with numbers are in the order of their frames. A segment gets its number, durably, before a frame is written to it.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::frame::PAGE_BYTES;
use crate::store::{
    Sequence, StoreError,
    disk::{Disk, DiskFile},
};

/// The directory of segments.
pub(crate) const DIRECTORY: &str = "journal";
const UNFINISHED: &str = "journal/unfinished";
/// How many bytes of zeros are written at once.
const ZEROS: usize = 1 << 20;

/// Where segment `number` is.
pub(crate) fn name(number: u64) -> String {
    format!("{DIRECTORY}/{number:016x}")
}

fn spare_name(number: u64) -> String {
    format!("{DIRECTORY}/spare-{number:016x}")
}

/// Where a repair puts segment `number` aside.
pub(crate) fn damaged_name(number: u64) -> String {
    format!("{DIRECTORY}/damaged-{number:016x}")
}

/// What a file in the directory of segments is.
pub(crate) enum Kind {
    Segment(u64),
    Spare(u64),
    /// Put aside by a repair.
    Damaged(u64),
    Unfinished,
    /// Nobody knows.
    Other,
}

/// What the file `name` of the directory of segments is.
pub(crate) fn kind(name: &str) -> Kind {
    let known = if let Some(digits) = name.strip_prefix("spare-") {
        hexadecimal(digits).map(Kind::Spare)
    } else if let Some(digits) = name.strip_prefix("damaged-") {
        hexadecimal(digits).map(Kind::Damaged)
    } else if name == "unfinished" {
        Some(Kind::Unfinished)
    } else {
        hexadecimal(name).map(Kind::Segment)
    };
    known.unwrap_or(Kind::Other)
}

/// The number of 16 digits that is all of a file's name, or of its end. One so large that counting on would end is none of a store's.
pub(crate) fn hexadecimal(digits: &str) -> Option<u64> {
    let number = u64::from_str_radix(digits, 16).ok()?;
    (number <= u64::MAX >> 1 && format!("{number:016x}") == digits).then_some(number)
}

/// A segment that frames can go to.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) file: Box<dyn DiskFile>,
}

/// A segment without room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// Its newest commit.
    pub(crate) last: Sequence,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

/// The segments as they are found when a store is opened.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) next: Option<Segment>,
    pub(crate) full: VecDeque<Full>,
    pub(crate) spares: Vec<Spare>,
    /// The length of the active segment, and what is left of it.
    pub(crate) active_bytes: u64,
    pub(crate) rest: u64,
    /// Greater than each number in use.
    pub(crate) next_number: u64,
}

struct State {
    found: Found,
    /// What accepted commits need at most.
    reserved: u64,
    /// The greatest segment that somebody waits for.
    wanted: u64,
    /// How often preparing the next segment has begun.
    begun: u64,
    /// How often it has ended, well or not.
    ended: u64,
    failure: Option<StoreError>,
    /// Commits up to this one need no journal.
    covered: Sequence,
    is_closed: bool,
}

impl State {
    fn fits(&self, bytes: u64) -> bool {
        let next = self.found.next.as_ref().map_or(0, |next| next.bytes);
        self.reserved + bytes <= self.found.rest.max(next)
    }

    /// Asks for a next segment that has room for `bytes`.
    fn want(&mut self, bytes: u64, segment_bytes: u64) {
        // A segment of the usual size does for small commits, once those before are written. With a large one, all that is reserved may have to go
        // to the next segment.
        let wanted = if bytes <= segment_bytes { bytes } else { self.reserved + bytes };
        self.wanted = self.wanted.max(wanted);
    }

    fn has_covered(&self) -> bool {
        self.found.full.front().is_some_and(|full| full.last <= self.covered)
    }

    /// Whether the next segment should be prepared: again after a failure only when somebody waits for it.
    fn wants_next(&self) -> bool {
        match &self.found.next {
            None => self.failure.is_none() || self.wanted > 0,
            Some(next) => next.bytes < self.wanted,
        }
    }
}

/// The space of one journal, shared by those who commit, the thread that writes frames, and the one that prepares segments.
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    /// What stays free for the index.
    reserve_bytes: u64,
    state: Mutex<State>,
    /// There is something to prepare, or the end.
    work: Condvar,
    /// An attempt to prepare has ended, or there is more room.
    progress: Condvar,
    /// How many wait in [`Space::reserve`].
    blocked: AtomicUsize,
}

impl Space {
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u64, reserve_bytes: u64, found: Found) -> Self {
        let state = State {
            found,
            reserved: 0,
            wanted: 0,
            begun: 0,
            ended: 0,
            failure: None,
            covered: Sequence::ZERO,
            is_closed: false,
        };
        let (work, progress) = (Condvar::new(), Condvar::new());
        Self {
            disk,
            segment_bytes,
            reserve_bytes,
            state: Mutex::new(state),
            work,
            progress,
            blocked: AtomicUsize::new(0),
        }
    }

    /// Reserves space for a frame of `bytes`; waits while the next segment is prepared, or until accepted commits are written, for which it calls
    /// first. Commits that are accepted while it waits have to be [called](Space::is_awaited) for too.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSpace`] where the next segment cannot be prepared. Asking again tries again.
    pub(crate) fn reserve(&self, bytes: u64, call_for_accepted: impl FnOnce()) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if !state.fits(bytes) {
            self.blocked.fetch_add(1, Ordering::SeqCst);
            MutexGuard::unlocked(&mut state, call_for_accepted);
            let fits = self.wait_until_fits(&mut state, bytes);
            self.blocked.fetch_sub(1, Ordering::SeqCst);
            fits?;
        }
        state.reserved += bytes;
        Ok(())
    }

    /// Whether somebody waits until accepted commits are written.
    pub(crate) fn is_awaited(&self) -> bool {
        self.blocked.load(Ordering::SeqCst) > 0
    }

    fn wait_until_fits(&self, state: &mut MutexGuard<'_, State>, bytes: u64) -> Result<(), StoreError> {
        // One that has begun may not know yet of space that somebody has just made.
        let seen = state.begun;
        while !state.fits(bytes) {
            if state.is_closed {
                return Err(StoreError::Closed);
            }
            if state.ended > seen
                && let Some(failure) = &state.failure
            {
                return Err(failure.clone());
            }
            state.want(bytes, self.segment_bytes);
            self.work.notify_one();
            self.progress.wait(state);
        }
        Ok(())
    }

    /// Gives back what was reserved for a commit that was not accepted.
    pub(crate) fn release(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(bytes);
        self.progress.notify_all();
    }

    /// Says that nothing that was accepted will be written any more.
    pub(crate) fn abandon(&self) {
        self.state.lock().reserved = 0;
        self.progress.notify_all();
    }

    /// Says that frames were written for which `reserved` bytes were reserved, and that the active segment has `rest` left.
    pub(crate) fn written(&self, reserved: u64, rest: u64) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(reserved);
        state.found.rest = rest;
        self.progress.notify_all();
    }

    /// Takes the next segment as the active one; `full` is the one that was active.
    pub(crate) fn take_next(&self, full: Full) -> Option<Segment> {
        let mut state = self.state.lock();
        let next = state.found.next.take()?;
        state.found.full.push_back(full);
        (state.found.active_bytes, state.found.rest) = (next.bytes, next.bytes);
        self.work.notify_one();
        Some(next)
    }

    /// Says that commits up to `covered` need no journal any more.
    pub(crate) fn cover(&self, covered: Sequence) {
        let mut state = self.state.lock();
        state.covered = state.covered.max(covered);
        if state.has_covered() {
            self.work.notify_one();
        }
    }

    /// Ends the thread that prepares, and those who wait for it.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// How many bytes of the journal's files have frames that may be needed, about, and how many all files have.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let found = &self.state.lock().found;
        let full = found.full.iter().map(|full| full.bytes).sum::<u64>();
        let spares = found.spares.iter().map(|spare| spare.bytes).sum::<u64>();
        let next = found.next.as_ref().map_or(0, |next| next.bytes);
        (full + found.active_bytes - found.rest, full + found.active_bytes + spares + next)
    }

    /// Prepares segments until the end.
    pub(crate) fn run(&self) {
        loop {
            let mut state = self.state.lock();
            self.work.wait_while(&mut state, |state| !state.is_closed && !state.wants_next() && !state.has_covered());
            if state.is_closed {
                return;
            }
            if state.has_covered() {
                self.recycle(state);
            } else {
                self.prepare(state);
            }
        }
    }

    /// Makes a spare of the oldest segment, which is covered.
    fn recycle(&self, mut state: MutexGuard<'_, State>) {
        let Some(full) = state.found.full.pop_front() else { return };
        drop(state);
        // Where this fails the segment keeps its number, and the next start finds that nothing needs it.
        match self.disk.rename(&name(full.number), &spare_name(full.number)) {
            Ok(()) => self.state.lock().found.spares.push(Spare { number: full.number, bytes: full.bytes }),
            Err(error) => {
                tracing::warn!(%error, segment = full.number, "cannot take a segment of the journal out of use")
            }
        }
    }

    /// Prepares the next segment.
    fn prepare(&self, mut state: MutexGuard<'_, State>) {
        state.begun += 1;
        let wanted = mem::take(&mut state.wanted);
        let bytes = self.segment_bytes.max(wanted.next_multiple_of(PAGE_BYTES as u64));
        let number = state.found.next_number;
        let spare = state.found.spares.iter().position(|spare| spare.bytes >= bytes);
        let spare = spare.map(|index| state.found.spares.swap_remove(index));
        drop(state);
        let prepared = match spare {
            Some(spare) => self.reuse(spare, number),
            None => self.fill(bytes, number),
        };
        let mut state = self.state.lock();
        state.ended += 1;
        match prepared {
            Ok(segment) => {
                if state.failure.take().is_some() {
                    tracing::info!("there is space for commits again");
                }
                state.found.next_number = number + 1;
                // One that was too small for what is wanted is left out; frames never went to it.
                if let Some(small) = state.found.next.replace(segment) {
                    state.found.full.push_front(Full {
                        number: small.number,
                        bytes: small.bytes,
                        last: Sequence::ZERO,
                    });
                }
            }
            Err(error) => {
                if state.failure.is_none() {
                    tracing::error!(%error, "cannot prepare space for more commits");
                }
                state.found.spares.extend(spare);
                state.failure = Some(StoreError::NoSpace { source: Arc::new(error) });
            }
        }
        self.progress.notify_all();
    }

    fn reuse(&self, spare: Spare, number: u64) -> io::Result<Segment> {
        let (spare_name, name) = (spare_name(spare.number), name(number));
        let reuse = || {
            self.disk.rename(&spare_name, &name)?;
            self.disk.sync_dir(DIRECTORY)?;
            self.disk.open_for_pages(&name)
        };
        match reuse() {
            Ok(file) => Ok(Segment { number, bytes: spare.bytes, file }),
            Err(error) => {
                // The next attempt looks for it where it was; without a new name it still is there.
                let _ = self.disk.rename(&name, &spare_name);
                Err(error)
            }
        }
    }

    fn fill(&self, bytes: u64, number: u64) -> io::Result<Segment> {
        let filled = self.fill_unfinished(bytes, number);
        if filled.is_err() {
            // It takes space that is short.
            let _ = self.disk.remove(UNFINISHED);
        }
        filled
    }

    fn fill_unfinished(&self, bytes: u64, number: u64) -> io::Result<Segment> {
        if self.disk.free_bytes()? < bytes + self.reserve_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        create(&*self.disk, bytes, number)
    }
}

/// Creates segment `number`, filled with zeros, so that writing to it later changes nothing but its content.
pub(crate) fn create(disk: &dyn Disk, bytes: u64, number: u64) -> io::Result<Segment> {
    disk.create(UNFINISHED)?;
    let file = disk.open_for_pages(UNFINISHED)?;
    let zeros = vec![0; ZEROS.min(usize::try_from(bytes).unwrap_or(ZEROS))];
    let mut position = 0;
    while position < bytes {
        let length = zeros.len().min(usize::try_from(bytes - position).unwrap_or(zeros.len()));
        file.write_at(&zeros[..length], position)?;
        position += length as u64;
    }
    file.sync()?;
    disk.rename(UNFINISHED, &name(number))?;
    disk.sync_dir(DIRECTORY)?;
    Ok(Segment { number, bytes, file })
}
