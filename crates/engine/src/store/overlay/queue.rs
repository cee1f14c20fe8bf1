//! Accepted commits on their way to the base, and those who wait for them.

use std::{collections::VecDeque, mem, sync::Arc};

use bytes::Bytes;

use crate::{
    store::{Sequence, StoreError, Write},
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
        thread::{self, Thread},
    },
};

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
    /// The bytes of those that wait.
    waiting_bytes: usize,
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

/// Which part of the bytes that may be pending is so much that it is not left to those who wait.
const CROWD: usize = 4;

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
        if is_full(&state) {
            self.work.notify_one();
        }
        self.room
            .wait_while(&mut state, |state| is_full(state) && state.stalled.is_none() && state.refusal().is_none());
        let stalled = || if is_full(&state) { state.stalled.clone() } else { None };
        state.refusal().or_else(stalled).map_or(Ok(()), Err)
    }

    /// Why the queue takes nothing any more, if that is so.
    pub(super) fn refusal(&self) -> Result<(), StoreError> {
        self.state.lock().refusal().map_or(Ok(()), Err)
    }

    /// Adds a commit. Whoever waits for it sees to it that it is taken; where many were added and nobody has waited yet, there is work at once.
    pub(super) fn push(&self, pending: Pending) {
        let mut state = self.state.lock();
        state.bytes += pending.bytes;
        state.waiting_bytes += pending.bytes;
        state.waiting.push_back(pending);
        if state.waiting_bytes > self.max_bytes / CROWD {
            self.work.notify_one();
        }
    }

    /// The commits that wait, up to the one with which they have `max_bytes`; none after a failure.
    pub(super) fn take(&self, max_bytes: usize) -> Vec<Pending> {
        let mut state = self.state.lock();
        if state.failed.is_some() {
            return Vec::new();
        }
        let (mut count, mut bytes) = (0, 0);
        while bytes < max_bytes
            && let Some(commit) = state.waiting.get(count)
        {
            (count, bytes) = (count + 1, bytes + commit.bytes);
        }
        state.waiting_bytes -= bytes;
        state.waiting.drain(..count).collect()
    }

    /// Wakes the thread that waits for work, if there is any.
    pub(super) fn call_for_work(&self) {
        if !self.state.lock().waiting.is_empty() {
            self.work.notify_one();
        }
    }

    /// Waits until there is work, as far as somebody calls for it, or the end; whether there is any.
    pub(super) fn wait_for_work(&self) -> bool {
        let mut state = self.state.lock();
        self.work.wait_while(&mut state, |state| state.waiting.is_empty() && state.refusal().is_none());
        state.failed.is_none() && !state.waiting.is_empty()
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
        state.failed.get_or_insert_with(|| StoreError::Poisoned { cause: Arc::new(cause.clone()) });
        state.waiting.clear();
        state.waiting_bytes = 0;
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
