//! Accepted commits on their way to the base, and those who wait for them.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::store::{Sequence, StoreError, Write};

/// An accepted commit that is not durable yet.
pub(crate) struct Pending {
    pub(crate) sequence: Sequence,
    pub(crate) writes: Arc<[Write]>,
    /// The keys' values before this commit, in the order of `writes`.
    pub(crate) before: Vec<Option<Bytes>>,
    /// The bytes of all keys and values written.
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Pending>,
    /// The bytes of all commits that the base does not have yet.
    bytes: usize,
    durable: Sequence,
    /// Why the base takes nothing for now.
    stalled: Option<StoreError>,
    failed: Option<StoreError>,
    closed: bool,
    /// Those who wait for a commit, in any order.
    waiters: Vec<Waiter>,
}

/// Somebody who waits for a commit. Each is woken for itself, once: where dozens wait, waking all of them for each group costs more than the commits.
struct Waiter {
    sequence: Sequence,
    thread: Thread,
    is_done: Arc<AtomicBool>,
}

impl Waiter {
    fn wake(self) {
        self.is_done.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl State {
    fn refusal(&self) -> Option<StoreError> {
        self.failed.clone().or(self.closed.then_some(StoreError::Closed))
    }
}

/// The queue of pending commits, oldest first.
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to take, or nothing will come any more.
    work: Condvar,
    /// The base took something, or takes nothing for now, or nothing will come any more.
    room: Condvar,
    max_bytes: usize,
}

impl Queue {
    pub(super) fn new(durable: Sequence, max_bytes: usize) -> Self {
        let state = State { durable, ..State::default() };
        Self { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new(), max_bytes }
    }

    /// Blocks while too much is pending.
    ///
    /// # Errors
    ///
    /// If the queue takes nothing any more, or too much is pending and the base takes nothing for now.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let is_full = |state: &State| state.bytes > self.max_bytes;
        self.room
            .wait_while(&mut state, |state| is_full(state) && state.stalled.is_none() && state.refusal().is_none());
        let stalled = || if is_full(&state) { state.stalled.clone() } else { None };
        state.refusal().or_else(stalled).map_or(Ok(()), Err)
    }

    /// Why the queue takes nothing any more, if that is so.
    pub(super) fn refusal(&self) -> Result<(), StoreError> {
        self.state.lock().refusal().map_or(Ok(()), Err)
    }

    pub(super) fn push(&self, pending: Pending) {
        let mut state = self.state.lock();
        state.bytes += pending.bytes;
        state.waiting.push_back(pending);
        self.work.notify_one();
    }

    /// All commits that wait, without waiting for one.
    pub(super) fn take(&self) -> Vec<Pending> {
        mem::take(&mut self.state.lock().waiting).into()
    }

    /// The commits that wait, up to the one with which they have `max_bytes`, as soon as there is one; `None` once the queue is closed and
    /// empty, or failed.
    pub(super) fn wait_for_work(&self, max_bytes: usize) -> Option<Vec<Pending>> {
        let mut state = self.state.lock();
        self.work.wait_while(&mut state, |state| state.waiting.is_empty() && state.refusal().is_none());
        if state.failed.is_some() || state.waiting.is_empty() {
            return None;
        }
        let (mut count, mut bytes) = (0, 0);
        while bytes < max_bytes
            && let Some(commit) = state.waiting.get(count)
        {
            (count, bytes) = (count + 1, bytes + commit.bytes);
        }
        Some(state.waiting.drain(..count).collect())
    }

    /// Says that all commits up to `durable` are durable.
    pub(super) fn durable(&self, durable: Sequence) {
        let mut state = self.state.lock();
        state.durable = durable;
        let done = state.waiters.extract_if(.., |waiter| waiter.sequence <= durable).collect();
        wake(done, state);
    }

    /// Says that the base has taken commits of this many bytes.
    pub(super) fn applied(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        self.room.notify_all();
    }

    /// Says why the base takes nothing for now, or that it does.
    pub(super) fn stall(&self, reason: Option<StoreError>) {
        self.state.lock().stalled = reason;
        self.room.notify_all();
    }

    /// Fails everything that is not durable and all that would come after it.
    pub(super) fn fail(&self, cause: &StoreError) {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| cause.poison());
        state.waiting.clear();
        self.work.notify_all();
        self.room.notify_all();
        wake(mem::take(&mut state.waiters), state);
    }

    /// Takes no more commits; those that wait still become durable.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Returns when commit `sequence` is durable or failed.
    pub(super) fn wait(&self, sequence: Sequence) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.durable < sequence && state.failed.is_none() {
            let is_done = Arc::new(AtomicBool::new(false));
            state.waiters.push(Waiter { sequence, thread: thread::current(), is_done: Arc::clone(&is_done) });
            drop(state);
            while !is_done.load(Ordering::Acquire) {
                thread::park();
            }
            state = self.state.lock();
        }
        match &state.failed {
            Some(error) if state.durable < sequence => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

/// Wakes those who waited, after the lock is gone that they need next.
fn wake(waiters: Vec<Waiter>, state: MutexGuard<'_, State>) {
    drop(state);
    waiters.into_iter().for_each(Waiter::wake);
}
