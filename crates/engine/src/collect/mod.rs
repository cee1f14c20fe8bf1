//! Retention and garbage collection.
//!
//! # What is kept
//!
//! A version is *needed* when it is a head; in the readable history of a living branch, which begins with the version that was current at the
//! start of the namespace's [retention window](crate::Transaction::set_retention); kept by a [pin](crate::Transaction::pin); open, because somebody
//! has a [`Version`](crate::Version) of it; or the *origin* of a branch, the version that it was forked from. A deleted branch counts as a branch as long as it has
//! a version of its own left.
//!
//! # How garbage is found
//!
//! Nobody searches the store. What can become garbage is noted when it does: a branch with history has an entry in a queue by the instant at which its oldest
//! version was superseded (`q`), and whoever deletes a branch or a namespace, releases a pin, cuts a history or writes nodes ahead leaves a note
//! (`g`, `a`). The collector works these off. So its cost follows the garbage. An old version is looked at once when it leaves the window, and once more for
//! each pin that is released from it. A round also looks once at each namespace that has a window: one bounded read.
//!
//! # Why no node goes that somebody needs
//!
//! The versions of a namespace that are stored make a tree: a version's *parent* is the one before it on its branch or, for the first one that is
//! left, the branch's origin.
//!
//! 1. *The versions that share a node are connected in this tree.* A commit builds on one version, keeps some of its nodes and makes new ones. A node that was
//!    left out is never taken up again, since ids are never used twice. So in the tree of all versions ever made, the ones with a given node are the one
//!    that made it and a connected part below that. Only versions with at most one child are taken out of the tree, because origins are needed,
//!    and their child becomes their parent's: what was connected stays so.
//! 2. *A version that goes takes along the nodes that neither its parent nor its child has.* If any other version had such a node, then, as these are connected, so
//!    had the parent or the child. And each node that goes with none of them has another version that needs it. Nothing is left over.
//!
//! Both are looked up by key in the neighbours' maps, from the root down to the node's level. No list of superseded nodes is written by commits,
//! none has to be kept up, and no order of ids is relied on.
//!
//! # Why nothing is taken from a reader, or from a commit in flight
//!
//! - What the collector looks at is a *durable* state of the store; then it waits for a grace period (`readers`). Whoever looks for
//!   a version after that, in a state at least as new, cannot find one that was not needed then; whoever found it before has a handle on it, which the
//!   collector sees, and leaves the version for later.
//! - A commit that needs a version writes a reference to it, with the condition that what it read is still so: the branch's record, or the pin. Each commit
//!   of the collector has the condition that no reference was added. One of the two conflicts and looks again.
//! - Nodes that a transaction wrote ahead have a list that its last commit removes. Who finds such a list in a state, waits for a grace period, and
//!   can still remove it, knows that the transaction failed. If it was not so, then the transaction finds its list gone and runs again.
//! - A commit only keeps nodes of a head, and a head is needed.
//!
//! # Why it can be killed anywhere
//!
//! A version goes in one commit together with its nodes and its instant. Where there are too many nodes for one commit, the version goes first, and
//! leaves behind what it takes to go on (`c`): its root and its neighbours, which stay until that is done. Its nodes go children first, so that where one is missing all below it
//! has been dealt with. Everything else is one commit each, and what was done is not done again.

mod apart;
mod background;
mod batch;
mod cut;
mod lists;
mod namespaces;
mod versions;

use bytes::Bytes;

pub use self::background::{BackgroundCollector, CollectorStatus, Pace};
use self::batch::Batch;
use crate::{
    Engine,
    engine::Inner,
    error::Error,
    readers::Grace,
    store::{Snapshot, View},
};

/// What a collector has freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Branches whose history was cut at the start of the window.
    pub cuts: u64,
    /// Versions.
    pub versions: u64,
    /// Nodes of maps.
    pub nodes: u64,
    /// Deleted branches of which nothing is left.
    pub branches: u64,
    /// Deleted namespaces of which nothing is left.
    pub namespaces: u64,
    /// Bytes of all the keys and values that were removed.
    pub bytes: u64,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to look at.
    Worked,
    /// Snapshots or transactions that began before are still open: try again when they may have ended.
    Waiting,
    /// A whole round found nothing to do. What versions that are open keep may be left.
    Idle,
}

/// Collects garbage, step by step; see [`Engine::collector`].
///
/// A collector that is dropped anywhere loses nothing but its place in the round.
pub struct Collector<'a> {
    inner: &'a Inner,
    view: Option<Observed<'a>>,
    phase: Phase,
    /// The last key that this phase has dealt with.
    place: Option<Bytes>,
    collected: Collected,
    /// Whether this round changed anything.
    changed: bool,
}

/// A durable state, and the grace period that began after it.
struct Observed<'a> {
    snapshot: Box<dyn Snapshot + 'a>,
    grace: Grace,
}

/// The parts of a round, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Cut,
    Lists,
    Garbage,
}

/// Whether a part of a step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// All was looked at.
    Done,
    /// The budget is used up.
    Paused,
    /// Something has changed since the state that is looked at.
    Stale,
}

impl Engine {
    /// A collector of what is not needed any more: versions older than their namespace's [window](crate::Transaction::set_retention), deleted branches and
    /// namespaces, what released pins kept, and what failed transactions left. It works while transactions and reads go on, and takes nothing from them.
    ///
    /// ```
    /// use offshoot_engine::{Engine, Error, MemoryStore, NamespaceId, Options, Step};
    ///
    /// let engine = Engine::open(MemoryStore::new(), Options::default())?;
    /// let main = engine.transact(|tx| tx.create_branch(NamespaceId::SYSTEM))?.value;
    /// engine.transact(|tx| tx.put(main, b"sally", b"secret"))?;
    /// engine.transact(|tx| tx.delete_branch(main))?;
    ///
    /// let mut collector = engine.collector();
    /// while collector.step(1_000)? != Step::Idle {}
    /// assert_eq!(collector.collected().versions, 2);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn collector(&self) -> Collector<'_> {
        let (inner, collected) = (self.inner(), Collected::default());
        Collector { inner, view: None, phase: Phase::Cut, place: None, collected, changed: false }
    }
}

impl<'a> Collector<'a> {
    /// What this collector has freed so far.
    pub fn collected(&self) -> Collected {
        self.collected
    }

    /// Removes about `budget` keys, in several small commits, and returns when that is durable.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when something that is needed to decide is damaged; the next step goes on behind it. [`Error::Store`].
    pub fn step(&mut self, budget: usize) -> Result<Step, Error> {
        let inner = self.inner;
        let _one_at_a_time = inner.collecting.lock();
        let view = match self.view.take() {
            Some(view) => view,
            None => {
                let snapshot = inner.store.snapshot(View::Durable)?;
                let Some(grace) = inner.readers.begin_grace() else { return Ok(Step::Waiting) };
                Observed { snapshot, grace }
            }
        };
        if !inner.readers.is_over(&view.grace) {
            self.view = Some(view);
            return Ok(Step::Waiting);
        }
        let mut batch = Batch::new(inner, view.snapshot.as_ref(), budget);
        let flow = match self.work(&mut batch) {
            Ok(flow) => batch.flush().map(|last| if last == Flow::Stale { last } else { flow }),
            Err(error) => Err(error),
        };
        let (removed, durable) = batch.finish();
        self.changed |= removed != Collected::default();
        self.collected.add(removed);
        durable?;
        let flow = flow?;
        if flow != Flow::Done || self.phase != Phase::Cut {
            return Ok(Step::Worked);
        }
        Ok(if std::mem::take(&mut self.changed) { Step::Worked } else { Step::Idle })
    }

    /// Goes on with the round until its end, or until the budget is used up.
    fn work(&mut self, batch: &mut Batch<'_>) -> Result<Flow, Error> {
        match apart::go_on(batch)? {
            Flow::Done => {}
            flow => return Ok(flow),
        }
        loop {
            let flow = match self.phase {
                Phase::Cut => cut::work(batch, &mut self.place)?,
                Phase::Lists => lists::work(batch, &mut self.place)?,
                Phase::Garbage => versions::work(batch, &mut self.place)?,
            };
            if flow != Flow::Done {
                return Ok(flow);
            }
            self.place = None;
            self.phase = match self.phase {
                Phase::Cut => Phase::Lists,
                Phase::Lists => Phase::Garbage,
                Phase::Garbage => Phase::Cut,
            };
            if self.phase == Phase::Cut {
                return batch.flush();
            }
        }
    }

    /// How many notes of what may be collected there are, up to `limit`. One may stand for a key or for a namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn queued(&self, limit: usize) -> Result<usize, Error> {
        use crate::store::{Direction, KeyRange};
        let snapshot = self.inner.store.snapshot(View::Durable)?;
        let mut queued = 0;
        for tag in [b"a", b"g"] {
            for entry in snapshot.range(&KeyRange::prefix(tag), Direction::Ascending).take(limit - queued) {
                entry?;
                queued += 1;
            }
        }
        Ok(queued)
    }
}

impl Collected {
    fn add(&mut self, more: Self) {
        let Self { cuts, versions, nodes, branches, namespaces, bytes } = more;
        self.cuts += cuts;
        self.versions += versions;
        self.nodes += nodes;
        self.branches += branches;
        self.namespaces += namespaces;
        self.bytes += bytes;
    }
}
