//! What was committed, one commit after the other, for those who follow.
//!
//! A follower keeps a [`Position`] and nothing else: the engine knows of no followers, so one that stays away holds nothing back. What the store
//! keeps of past commits is bounded; a follower that comes too late is told so, and begins anew with a snapshot.

mod event;

use std::{
    fmt,
    time::{Duration, Instant},
};

pub use self::event::Event;
use crate::{
    Engine, Snapshot,
    error::Error,
    store::{Sequence, StoreError, View},
};

/// A place between two commits, in the one order that all commits of a store have.
///
/// Positions go on across restarts. They belong to their store: one that was restored from a dump gives out the same positions for other commits, so its
/// followers begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Sequence);

impl Position {
    /// The position with this number, as [`Position::number`] gave it.
    pub const fn new(number: u64) -> Self {
        Self(Sequence::new(number))
    }

    /// This position's number.
    pub const fn number(self) -> u64 {
        self.0.number()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One commit, as a follower sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedCommit {
    /// The position after the commit.
    pub position: Position,
    /// All that the commit brought.
    pub events: Vec<Event>,
}

/// What a follower got; see [`Engine::feed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// The commits, oldest first; none when the time has passed.
    pub commits: Vec<FeedCommit>,
    /// Where to go on. It may lie after the last commit, since some that the engine makes for itself are not told.
    pub position: Position,
}

impl Snapshot<'_> {
    /// The position after the newest commit that this snapshot shows. Whoever reads the snapshot and follows the feed from there misses nothing, and
    /// is told nothing twice.
    pub fn position(&self) -> Position {
        Position(self.parts().1.sequence())
    }
}

impl Engine {
    /// Up to `limit` durable commits after a position, oldest first. Waits for the next one where there is none yet, but no longer than `timeout`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use offshoot_engine::{Engine, Error, Event, MemoryStore, NamespaceId, Options};
    /// # let engine = Engine::open(MemoryStore::new(), Options::default())?;
    /// # let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    /// // First all that is there, then all that comes.
    /// let snapshot = engine.snapshot()?;
    /// let (mut head, mut position) = (snapshot.head(main)?.lsn(), snapshot.position());
    ///
    /// engine.transact(|tx| tx.put(main, b"sally", b"secret"))?;
    ///
    /// let page = engine.feed(position, 100, Duration::from_secs(10))?;
    /// for event in page.commits.into_iter().flat_map(|commit| commit.events) {
    ///     if let Event::Version { branch, lsn, .. } = event && branch == main {
    ///         head = lsn;
    ///     }
    /// }
    /// position = page.position;
    /// assert_eq!(head, engine.head(main)?.lsn());
    /// assert!(engine.feed(position, 100, Duration::ZERO)?.commits.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// A position stays good as long as the store keeps what came after it. [`MemoryStore`](crate::MemoryStore) and [`SledStore`](crate::SledStore) keep
    /// the newest commits of the running process: at most 1,024 of them, and 4 MiB. After a restart, only the position after the last commit is still good.
    ///
    /// # Errors
    ///
    /// [`Error::FeedGone`] for a position that is not good any more, or never was: read a [snapshot](Engine::snapshot) and go on from
    /// [its position](Snapshot::position). [`Error::Corrupt`], [`Error::Store`].
    pub fn feed(&self, after: Position, limit: usize, timeout: Duration) -> Result<FeedPage, Error> {
        let store = &self.inner().store;
        // One that lies beyond what the clock can say is as good as for ever.
        let deadline = Instant::now().checked_add(timeout);
        let mut page = FeedPage { commits: Vec::new(), position: after };
        loop {
            let changes = match store.feed(page.position.0, limit.max(1)) {
                Err(StoreError::FeedGone { oldest }) => {
                    let (first, last) = (Position(oldest), self.newest_position()?);
                    return Err(Error::FeedGone { asked: after, first, last });
                }
                changes => changes?,
            };
            let is_at_end = changes.is_empty();
            for change in changes {
                page.position = Position(change.sequence);
                let events = event::events_of(&change.writes)?;
                if !events.is_empty() {
                    page.commits.push(FeedCommit { position: page.position, events });
                }
            }
            if !page.commits.is_empty() {
                return Ok(page);
            }
            if is_at_end {
                // What no commit of this store has reached is another store's.
                let last = self.newest_position()?;
                if page.position > last {
                    return Err(Error::FeedGone { asked: after, first: last, last });
                }
                let left =
                    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
                if left.is_zero() || !store.wait_for_feed(page.position.0, left) {
                    return Ok(page);
                }
            }
        }
    }

    fn newest_position(&self) -> Result<Position, Error> {
        Ok(Position(self.inner().store.snapshot(View::Durable)?.sequence()))
    }
}
