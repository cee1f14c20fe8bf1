//! What one commit writes.

use offshoot_benches::roles;

/// A new entry, and an entry that takes the place of an older one: what a commit of the engine comes down to.
pub(crate) struct Puts {
    pub(crate) new: ([u8; 24], [u8; 200]),
    pub(crate) head: ([u8; 24], [u8; 56]),
}

impl Puts {
    /// The puts of commit `number`, by a thread that has a head of its own.
    pub(crate) fn new(thread: usize, number: u64) -> Self {
        Self {
            new: (key(*b"entry/..", number), roles::bytes(number, 1)),
            head: (key(*b"head/...", thread as u64), roles::bytes(number, 2)),
        }
    }

    /// Both, as keys and values.
    pub(crate) fn pairs(&self) -> [(&[u8], &[u8]); 2] {
        [(&self.new.0, &self.new.1), (&self.head.0, &self.head.1)]
    }
}

/// A key that sorts by its number.
fn key(prefix: [u8; 8], number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&prefix);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}
