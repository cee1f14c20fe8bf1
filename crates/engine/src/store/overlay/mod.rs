//! Multi-version reads and conditional commits over a base that has only one version.
//!
//! # What it holds
//!
//! The [`Chains`] keep the values of recently written keys, before and after each commit. The [`Queue`] keeps accepted commits until
//! the owner takes them, makes them durable, and calls [`Overlay::durable`]; it then writes them to its base and calls [`Overlay::applied`],
//! in this order or at once with [`Overlay::publish`].
//!
//! # Invariants
//!
//! - A key is in the chains from before a commit of it can reach the base until the base has that commit for good *and* every open snapshot was
//!   opened after that. So a reader that looks at the base first and at the chains afterwards never takes a value that is too new for it,
//!   and a key that is not in the chains has its right value in the base.
//! - Where a snapshot that stays open holds back much, the newest value of a key may be in the base alone, with the key still in the chains. Then no
//!   snapshot that shows this value was opened before the base had it, so again none has read the base too early for it.
//! - A snapshot holds back the commits that the base did not have when it was opened (those after its *pin*), also those that it shows. So what
//!   it finds in the base alone was there before it was opened.
//! - What the owner could not make durable is never published, so readers of durable values never see it. Where the owner failed otherwise, a group
//!   that is being made durable meanwhile may still be published, although those who wait for it were told of the failure.
//!
//! Nothing of this survives a crash: what counts is what the owner made durable.

#![cfg_attr(not(feature = "sled"), expect(dead_code, reason = "some of this is for stores with a thread of their own"))]

mod chains;
mod feed;
mod hot;
mod pins;
mod queue;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use self::{
    chains::Chains,
    feed::{Arrivals, Feed},
    pins::Pins,
    queue::Queue,
    snapshot::OverlaySnapshot,
};
pub(crate) use self::{hot::Hot, queue::Pending};
use super::{Change, Commit, Condition, Direction, KeyRange, Sequence, StoreError, Submitted, Ticket, View, Write};

/// How many bytes of keys and values one commit may have, in all stores on an overlay.
pub(crate) const MAX_COMMIT_BYTES: usize = 8 << 20;

/// What an overlay lies on: an ordered map with one version of each key.
pub(crate) trait Base: Send + Sync + 'static {
    /// Whether reading never waits for a disk.
    const IS_MEMORY: bool = false;

    /// The value of one key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The first `limit` entries of a range that is not empty, in the order of `direction`.
    fn page(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError>;
}

/// Of how many commits values are let go before others get their turn.
const PRUNED_AT_ONCE: usize = 32;

/// What changes with each commit.
struct State {
    chains: Chains,
    feed: Feed,
    latest: Sequence,
    durable: Sequence,
    /// The newest commit that the base has.
    applied: Sequence,
}

/// A base with multi-version reads and a queue of commits; see the module's documentation.
pub(crate) struct Overlay<B> {
    base: B,
    hot: Hot,
    state: RwLock<State>,
    /// Locked after `state`.
    pins: Mutex<Pins>,
    queue: Queue,
    arrivals: Arrivals,
    /// Held while a commit is decided and ordered.
    submitting: Mutex<()>,
    /// Grows with each accepted commit, before the commit can reach the base.
    epoch: AtomicU64,
    /// How many keys the chains hold.
    chained: AtomicUsize,
    /// When what the chains have of commits has more bytes, what the base has is left to it.
    max_whole_bytes: usize,
}

impl<B: Base> Overlay<B> {
    /// Lays an overlay on a base that has all commits up to `sequence`. [`Overlay::submit`] blocks while more than
    /// `max_pending_bytes` are pending. Where snapshots stay open, about thrice as much is kept of what was written since, but for the keys, and for each of
    /// them what it shows.
    pub(crate) fn new(base: B, sequence: Sequence, max_pending_bytes: usize, hot: Hot) -> Self {
        let state = State {
            chains: Chains::new(sequence),
            feed: Feed::new(sequence),
            latest: sequence,
            durable: sequence,
            applied: sequence,
        };
        Self {
            base,
            hot,
            state: RwLock::new(state),
            pins: Mutex::default(),
            queue: Queue::new(sequence, max_pending_bytes),
            arrivals: Arrivals::new(sequence),
            submitting: Mutex::default(),
            epoch: AtomicU64::new(0),
            chained: AtomicUsize::new(0),
            max_whole_bytes: max_pending_bytes.saturating_mul(2),
        }
    }

    pub(crate) fn base(&self) -> &B {
        &self.base
    }

    /// See [`super::Store::get`].
    pub(crate) fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if view == View::Durable
            && let Some(value) = self.hot.get(key)
        {
            return Ok(Some(value));
        }
        let epoch = self.epoch.load(Ordering::SeqCst);
        if self.chained.load(Ordering::SeqCst) == 0 {
            // Nothing is pending. If that is still so afterwards, the base was read between two commits.
            let value = self.base.get(key)?;
            if self.epoch.load(Ordering::SeqCst) == epoch {
                if let Some(value) = &value {
                    self.keep_hot(key, value, epoch);
                }
                return Ok(value);
            }
        }
        if view == View::Latest {
            self.queue.refusal()?;
        }
        self.get_at(key, |state| match view {
            View::Durable => state.durable,
            View::Latest => state.latest,
        })
    }

    /// The value of `key` at a sequence that is not older than the oldest pin.
    fn get_at(&self, key: &[u8], at: impl Fn(&State) -> Sequence) -> Result<Option<Bytes>, StoreError> {
        let lookup = || {
            let state = self.state.read();
            (self.in_memory(&state, key, at(&state)), self.epoch.load(Ordering::SeqCst))
        };
        let (found, epoch) = lookup();
        if let Some(value) = found {
            return Ok(value);
        }
        let value = self.base.get(key)?;
        if self.epoch.load(Ordering::SeqCst) == epoch {
            if let Some(value) = &value {
                self.keep_hot(key, value, epoch);
            }
            return Ok(value);
        }
        // Commits came in between and may have reached the base already; if one wrote this key, the chains know what was before.
        Ok(lookup().0.unwrap_or(value))
    }

    /// The value of `key` at a sequence, where it is known without a look into the base.
    fn in_memory(&self, state: &State, key: &[u8], at: Sequence) -> Option<Option<Bytes>> {
        // What is hot is the newest value, and whoever needs an older one finds that in the chains.
        state.chains.visible(key, at).or_else(|| self.hot.get(key).map(Some))
    }

    /// Keeps a value that the base had, and nothing newer was in the chains, at `epoch`.
    fn keep_hot(&self, key: &[u8], value: &Bytes, epoch: u64) {
        // No commit is accepted while this lock is held.
        let _state = self.state.read();
        if self.epoch.load(Ordering::SeqCst) == epoch {
            self.hot.insert(key, value);
        }
    }

    /// See [`super::Store::snapshot`].
    pub(crate) fn snapshot(&self, view: View) -> Result<OverlaySnapshot<'_, B>, StoreError> {
        if view == View::Latest {
            self.queue.refusal()?;
        }
        Ok(self.open(view, true))
    }

    /// See [`super::Store::snapshot_in_memory`].
    pub(crate) fn snapshot_in_memory(&self) -> OverlaySnapshot<'_, B> {
        self.open(View::Durable, B::IS_MEMORY)
    }

    fn open(&self, view: View, reads_base: bool) -> OverlaySnapshot<'_, B> {
        let state = self.state.read();
        let pin = state.applied;
        let sequence = match view {
            View::Durable => state.durable,
            View::Latest => state.latest,
        };
        self.pins.lock().open(pin, sequence);
        OverlaySnapshot { overlay: self, sequence, pin, reads_base }
    }

    /// Forgets a snapshot, and what was kept for it alone.
    fn unpin(&self, pin: Sequence) {
        let was_last_of_oldest = self.pins.lock().close(pin);
        if was_last_of_oldest && self.chained.load(Ordering::SeqCst) > 0 {
            self.prune();
        }
    }

    /// Lets go of what nobody needs, little by little, so that nobody waits long for the state.
    fn prune(&self) {
        loop {
            let mut state = self.state.write();
            let oldest_pin = self.pins.lock().oldest();
            let floor = oldest_pin.map_or(state.applied, |pin| pin.min(state.applied));
            let is_done = state.chains.prune(floor, PRUNED_AT_ONCE);
            self.chained.store(state.chains.len(), Ordering::SeqCst);
            if is_done {
                return;
            }
        }
    }

    /// Leaves values to the base where a snapshot that stays open keeps the chains from letting go of them.
    fn settle(&self) {
        if !self.state.read().chains.has_much_to_settle(self.max_whole_bytes) {
            return;
        }
        let (commits, applied, readers) = {
            let mut state = self.state.write();
            let (applied, readers) = (state.applied, self.pins.lock().spans());
            (state.chains.take_unsettled(applied, &readers), applied, readers)
        };
        // The base has them, so what is opened meanwhile needs nothing of the chains for them.
        for commits in commits.chunks(PRUNED_AT_ONCE) {
            self.state.write().chains.settle(commits, applied, &readers);
        }
    }

    /// See [`super::Store::submit`].
    pub(crate) fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        let bytes = check(&commit)?;
        self.queue.wait_for_room()?;
        let _ordered = self.submitting.lock();
        // What was accepted may have failed while this commit waited for its turn.
        self.queue.refusal()?;
        let (sequence, chained) = {
            let state = self.state.read();
            let holds = |condition: &Condition| state.chains.unchanged(&condition.range, condition.unchanged_since);
            if !commit.conditions.iter().all(holds) {
                return Ok(Submitted::Conflict);
            }
            if commit.writes.is_empty() {
                return Ok(Submitted::Applied(Ticket(state.latest)));
            }
            let chained: Vec<_> = commit.writes.iter().map(|write| newest(&state.chains, write)).collect();
            (state.latest.next(), chained)
        };
        // No other commit is decided meanwhile, so these stay the newest values, even if some move from the chains to the base.
        let before = commit.writes.iter().zip(chained).map(|(write, chained)| self.before(write, chained));
        let before = before.collect::<Result<Vec<_>, _>>()?;
        let writes: Arc<[Write]> = commit.writes.into();
        {
            let mut state = self.state.write();
            // A key that is created had no value that could have been kept.
            for write in writes.iter().filter(|write| !matches!(write, Write::Create(..))) {
                self.hot.remove(write.key());
            }
            state.chains.push(sequence, &writes, &before);
            state.latest = sequence;
            self.chained.store(state.chains.len(), Ordering::SeqCst);
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
        self.queue.push(Pending { sequence, writes, before, bytes });
        Ok(Submitted::Applied(Ticket(sequence)))
    }

    /// The newest value of the key that is about to be written; `chained` is what the chains have.
    fn before(&self, write: &Write, chained: Option<Option<Bytes>>) -> Result<Option<Bytes>, StoreError> {
        match write {
            Write::Put(..) | Write::Delete(_) => match chained.or_else(|| self.hot.get(write.key()).map(Some)) {
                Some(value) => Ok(value),
                None => self.base.get(write.key()),
            },
            Write::Create(key, _) => {
                let found = match chained {
                    None if CHECKS_CREATE => self.base.get(key)?,
                    chained => chained.flatten(),
                };
                match found {
                    None => Ok(None),
                    Some(_) => Err(invalid("creates a key that has a value already", key)),
                }
            }
        }
    }

    /// See [`super::Store::wait`].
    pub(crate) fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.queue.wait(ticket.0)
    }

    /// See [`super::Store::feed`].
    pub(crate) fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.state.read().feed.read(after, limit)
    }

    /// See [`super::Store::wait_for_feed`].
    pub(crate) fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.arrivals.wait(after, timeout)
    }

    /// The newest durable commit.
    pub(crate) fn newest_durable(&self) -> Sequence {
        self.state.read().durable
    }

    /// The commits that wait, in their order, up to the one with which they have `max_bytes`. Each call's commits must be made durable, or failed,
    /// before the next call's.
    pub(crate) fn take(&self, max_bytes: usize) -> Vec<Pending> {
        self.queue.take(max_bytes)
    }

    /// Wakes the thread that [waits for work](Overlay::wait_for_work), if there is any.
    pub(crate) fn call_for_work(&self) {
        self.queue.call_for_work();
    }

    /// Waits until somebody calls for work, or the overlay is closed or fails; whether commits wait.
    pub(crate) fn wait_for_work(&self) -> bool {
        self.queue.wait_for_work()
    }

    /// Says that these commits are durable: readers may see them. The base need not have them yet.
    pub(crate) fn durable(&self, commits: &[Pending]) {
        let Some(newest) = commits.last() else { return };
        {
            let mut state = self.state.write();
            state.durable = newest.sequence;
            for commit in commits {
                state.feed.push(commit);
            }
        }
        self.queue.durable(newest.sequence);
        self.arrivals.announce(newest.sequence);
    }

    /// Says that the base has all commits up to `newest`, which was durable before; they have this many bytes in all.
    pub(crate) fn applied(&self, newest: Sequence, bytes: usize) {
        self.state.write().applied = newest;
        self.prune();
        self.queue.applied(bytes);
        self.settle();
    }

    /// Says that these commits are durable and that the base has them.
    pub(crate) fn publish(&self, commits: &[Pending]) {
        self.durable(commits);
        if let Some(newest) = commits.last() {
            self.applied(newest.sequence, commits.iter().map(|commit| commit.bytes).sum());
        }
    }

    /// Says why the base takes no commits for now, or that it takes them again. While it does not, commits are refused with this reason once
    /// too much is pending.
    pub(crate) fn stall(&self, reason: Option<StoreError>) {
        self.queue.stall(reason);
    }

    /// Fails all commits that are not durable, and all later ones. Readers of durable values go on.
    pub(crate) fn fail(&self, cause: &StoreError) {
        self.queue.fail(cause);
    }

    /// Takes no more commits; those that wait can still be taken.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

/// Whether a key that is created is looked up. Looking is what callers avoid with [`Write::Create`], so only debug builds check their word.
const CHECKS_CREATE: bool = cfg!(debug_assertions);

/// The newest value that the chains have of a key that is about to be written.
fn newest(chains: &Chains, write: &Write) -> Option<Option<Bytes>> {
    match write {
        Write::Create(..) if !CHECKS_CREATE => None,
        write => chains.newest(write.key()),
    }
}

/// Checks the rules that hold for every commit, and counts its bytes.
fn check(commit: &Commit) -> Result<usize, StoreError> {
    let mut keys = HashSet::with_capacity(commit.writes.len());
    for write in &commit.writes {
        let key = write.key();
        if key.first().is_none_or(|first| *first == 0) {
            return Err(invalid(
                "writes a key that is empty or begins with a zero byte, which stores keep for themselves",
                key,
            ));
        }
        if !keys.insert(key) {
            return Err(invalid("writes a key twice", key));
        }
    }
    check_size(commit)
}

/// Refuses a commit that is too large, and counts the bytes of one that is not.
pub(crate) fn check_size(commit: &Commit) -> Result<usize, StoreError> {
    let bytes = commit.writes.iter().map(Write::bytes).sum();
    if bytes > MAX_COMMIT_BYTES {
        return Err(StoreError::CommitTooLarge { bytes, max: MAX_COMMIT_BYTES });
    }
    Ok(bytes)
}

fn invalid(what: &str, key: &[u8]) -> StoreError {
    StoreError::InvalidCommit { what: format!("it {what}: \"{}\"", key.escape_ascii()) }
}
