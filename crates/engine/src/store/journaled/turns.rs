//! Who makes the next group of commits durable: whoever waits for one, where nobody else is at it, and otherwise the committing thread.
//!
//! What must not happen is that somebody waits for a commit that nobody will write. `tests/interleavings` tries that out.

use crate::sync::{Mutex, MutexGuard};

/// What it takes to write, for one at a time.
pub(crate) struct Turns<W>(Mutex<W>);

impl<W> Turns<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// The turn of whoever has added a commit, and is about to wait for it.
    ///
    /// To hand that to a thread and to be woken by it would take a large part of the time of a commit.
    pub(crate) fn take_one(&self, write_group: impl FnOnce(&mut W), call_for_work: impl FnOnce()) {
        if let Some(mut writer) = self.0.try_lock() {
            write_group(&mut writer);
            drop(writer);
            // Whoever came meanwhile found the lock taken, and waits for the committing thread: also where there was nothing to write, since
            // somebody may have added a commit after that was found.
            call_for_work();
        }
    }

    /// The turns of the committing thread: whenever there is work, group by group, those that come meanwhile included.
    pub(crate) fn take_all(&self, wait_for_work: impl Fn() -> bool, write_group: impl Fn(&mut W) -> bool) {
        while wait_for_work() {
            let mut writer = self.0.lock();
            while write_group(&mut writer) {}
        }
    }

    /// A turn for something else.
    pub(crate) fn lock(&self) -> MutexGuard<'_, W> {
        self.0.lock()
    }
}
