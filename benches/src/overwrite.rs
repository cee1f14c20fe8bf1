//! What the disk allows: overwrites of space that was written before, each made durable.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

/// A file of zeros, already durable, that frames are written over in turn: neither its length nor its place on the disk changes with them.
pub struct Preallocated {
    file: File,
    frame: Vec<u8>,
    frames: u64,
    next: u64,
}

impl Preallocated {
    /// A file of `bytes` bytes for frames of `frame_bytes` bytes each.
    ///
    /// # Errors
    ///
    /// What the operating system refuses.
    pub fn create(path: &Path, bytes: u64, frame_bytes: u64) -> io::Result<Self> {
        let mut file = File::create_new(path)?;
        io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
        file.sync_all()?;
        let frame = vec![0; usize::try_from(frame_bytes).map_err(io::Error::other)?];
        Ok(Self { file, frame, frames: bytes / frame_bytes, next: 0 })
    }

    /// Writes `count` frames, each with an `fdatasync` of its own. Gives how many.
    ///
    /// # Errors
    ///
    /// What the operating system refuses.
    pub fn overwrite(&mut self, count: u64) -> io::Result<u64> {
        for _ in 0..count {
            self.frame.fill(self.next.to_le_bytes()[0] | 1);
            self.file.seek(SeekFrom::Start(self.next % self.frames * self.frame.len() as u64))?;
            self.file.write_all(&self.frame)?;
            self.file.sync_data()?;
            self.next += 1;
        }
        Ok(count)
    }
}
