//! The engine: what holds everything together.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::{
    BranchId, BranchInfo, Clock, NamespaceId, Point, Snapshot, SystemClock, Version,
    branch::{self, Durable, Read},
    clock::{Instants, Micros},
    codec::{self, key, record},
    error::Error,
    ids::Ids,
    locks::Locks,
    readers::Readers,
    store::{Commit, Condition, Direction, KeyRange, Store, Submitted, View, Write},
    transaction::refuse_inside_body,
    tree::{Limits, Nodes},
    upgrade,
    version::{VersionData, Versions},
};

/// How an engine works; [`Options::default`] says what is usual.
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(crate) cache_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    validates: bool,
}

impl Default for Options {
    /// A cache of 256 MiB, and the operating system's clock.
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, clock: Arc::new(SystemClock), limits: Limits::DEFAULT, validates: true }
    }
}

impl Options {
    /// How many bytes of memory decoded nodes and versions may take.
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Where commits take their instants from.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes nodes so small that few keys make deep trees, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_small_nodes(mut self) -> Self {
        self.limits = Limits::SMALL;
        self
    }

    /// Lets transactions commit whatever has become of what they read, so that a test can show that it would notice.
    #[cfg(any(test, feature = "testing"))]
    pub fn without_validation(mut self) -> Self {
        self.validates = false;
        self
    }
}

/// Branches of versioned, ordered maps over a [`Store`]. Cheap to clone; all clones are the same engine.
///
/// Opening a store twice at once is the store's to refuse.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) nodes: Arc<Nodes>,
    /// The nodes that are in memory, for those who must not wait for others.
    pub(crate) nodes_in_memory: Arc<Nodes>,
    pub(crate) versions: Versions,
    pub(crate) ids: Ids,
    pub(crate) instants: Instants,
    pub(crate) locks: Locks,
    pub(crate) readers: Readers,
    /// Held by the collector while it takes a step.
    pub(crate) collecting: Mutex<()>,
    pub(crate) limits: Limits,
    /// Whether what a transaction read must still hold when it commits; always, but for tests.
    pub(crate) validates: bool,
}

impl Engine {
    /// Opens the engine over a store; an empty store is made ready first.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignStore`] when the store holds something else, [`Error::Corrupt`], [`Error::Store`].
    pub fn open(store: impl Store, options: Options) -> Result<Self, Error> {
        let store: Arc<dyn Store> = Arc::new(store);
        let instants = Instants::new(options.clock);
        prepare(store.as_ref(), &instants)?;
        // A version is small beside its nodes.
        let version_bytes = options.cache_bytes / 8;
        let nodes = Nodes::new(Arc::clone(&store), options.cache_bytes - version_bytes);
        Ok(Self {
            inner: Arc::new(Inner {
                nodes_in_memory: Arc::new(nodes.in_memory()),
                nodes: Arc::new(nodes),
                versions: Versions::new(Arc::clone(&store), version_bytes),
                ids: Ids::new(Arc::clone(&store)),
                instants,
                locks: Locks::new(),
                readers: Readers::default(),
                collecting: Mutex::default(),
                limits: options.limits,
                validates: options.validates,
                store,
            }),
        })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The durable state of everything at one moment.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        let reader = self.inner.readers.enter();
        Ok(Snapshot::new(&self.inner, reader, self.inner.store.snapshot(View::Durable)?, &self.inner.nodes))
    }

    /// The same for those who must not wait for the disk, such as the thread of an event loop: records and heads of branches, and what is read of
    /// these, come from memory, or are refused with [`StoreError::NotInMemory`]. Ask [`Engine::snapshot`] then, where waiting is allowed; what it
    /// reads stays in memory for a while.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], also where the store can't tell what it has in memory.
    ///
    /// [`StoreError::NotInMemory`]: crate::storage::StoreError::NotInMemory
    pub fn snapshot_in_memory(&self) -> Result<Snapshot<'_>, Error> {
        let reader = self.inner.readers.enter();
        let store = self.inner.store.snapshot_in_memory()?;
        Ok(Snapshot::new(&self.inner, reader, store, &self.inner.nodes_in_memory))
    }

    /// The newest durable version of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn head(&self, branch: BranchId) -> Result<Version, Error> {
        let _reader = self.inner.readers.enter();
        let head = |read: &Durable<'_>| Ok(branch::require(read, branch)?.head);
        self.inner.follow(branch.namespace(), head)
    }

    /// The version of a branch that was current at `point`. Asked again for the same LSN or instant, it answers the same.
    ///
    /// # Errors
    ///
    /// [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`], [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`],
    /// and [`Error::NestedTransaction`] for an instant inside a transaction's body.
    pub fn version(&self, branch: BranchId, point: Point) -> Result<Version, Error> {
        let present = self.inner.settle(branch, point)?;
        let _reader = self.inner.readers.enter();
        let snapshot = self.inner.store.snapshot(View::Durable)?;
        let found = branch::require(snapshot.as_ref(), branch)?;
        let data = branch::select(snapshot.as_ref(), &self.inner.versions, branch, &found, point, present)?;
        Ok(self.inner.version(branch.namespace(), data))
    }

    /// What is known of a branch.
    ///
    /// # Errors
    ///
    /// [`Error::BranchNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn branch(&self, branch: BranchId) -> Result<BranchInfo, Error> {
        Ok(BranchInfo::new(branch, &branch::require(&Durable(self.inner.store.as_ref()), branch)?))
    }

    /// What the engine's clock says now. Commits may carry later instants: see [`Engine::clamped_commits`].
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.instants.now().instant()
    }

    /// How many commits found the clock behind their branch's head, and carry an instant later than the clock's.
    pub fn clamped_commits(&self) -> u64 {
        self.inner.instants.clamped()
    }

    /// How many bytes of memory cached nodes take.
    pub fn cached_bytes(&self) -> u64 {
        self.inner.nodes.cached_bytes()
    }

    /// Empties the caches, so that the next reads go to the store.
    #[cfg(any(test, feature = "testing"))]
    pub fn forget_cached(&self) {
        self.inner.nodes.forget_all();
        self.inner.versions.forget_all();
    }
}

impl Inner {
    pub(crate) fn version(&self, namespace: NamespaceId, data: Arc<VersionData>) -> Version {
        Version::new(Arc::clone(&self.nodes), namespace, data)
    }

    /// Opens the version that `reference` means, out of the state of the store in which the reference was found.
    pub(crate) fn readable(
        &self,
        read: &(impl Read + ?Sized),
        namespace: NamespaceId,
        reference: record::VersionRef,
    ) -> Result<Version, Error> {
        Ok(self.version(namespace, self.versions.load(read, namespace, reference)?))
    }

    /// Opens the version that `find` finds a reference to, without a snapshot. Where a purge has changed both in between, it looks again.
    pub(crate) fn follow(
        &self,
        namespace: NamespaceId,
        find: impl Fn(&Durable<'_>) -> Result<record::VersionRef, Error>,
    ) -> Result<Version, Error> {
        let read = Durable(self.store.as_ref());
        let mut reference = find(&read)?;
        loop {
            let opened = self.readable(&read, namespace, reference);
            let Err(error @ Error::Corrupt { .. }) = opened else { return opened };
            let again = find(&read)?;
            if again == reference {
                return Err(error);
            }
            reference = again;
        }
    }

    /// Makes sure that no commit at or before `point` becomes durable on `branch` after this. Gives the present.
    fn settle(&self, branch: BranchId, point: Point) -> Result<Micros, Error> {
        let Point::Time(time) = point else { return Ok(Micros(i64::MAX)) };
        refuse_inside_body()?;
        let present = self.instants.observe(Micros::of(time));
        // Whoever builds a commit now has chosen its instant already: let it be submitted first.
        let held = self.locks.hold(&BTreeSet::from([branch]));
        let submitted = self.store.submit(Commit::default())?;
        drop(held);
        match submitted {
            Submitted::Applied(ticket) => self.store.wait(ticket)?,
            Submitted::Conflict => return Err(Error::Internal("a barrier cannot conflict")),
        }
        Ok(present)
    }
}

/// Makes an empty store ready, or checks that it is the engine's.
fn prepare(store: &dyn Store, instants: &Instants) -> Result<(), Error> {
    let snapshot = store.snapshot(View::Latest)?;
    if let Some(mark) = snapshot.get(&key::MARK)? {
        let (content, _) = codec::open::<record::Mark>(&key::MARK, &mark)?;
        if mark.first() == Some(&codec::envelope::FORMAT_WITHOUT_REFERENCES) {
            upgrade::add_references(store, &content)?;
        }
        return Ok(());
    }
    if snapshot.range(&KeyRange::ALL, Direction::Ascending).next().transpose()?.is_some() {
        return Err(Error::ForeignStore);
    }
    let created_micros = instants.next(Micros(i64::MIN)).0;
    let system = NamespaceId::SYSTEM;
    let write = |key: bytes::Bytes, value: Result<(bytes::Bytes, codec::envelope::Checksum), Error>| {
        value.map(|(value, _)| Write::Create(key, value))
    };
    let writes = vec![
        write(key::MARK, codec::seal(&key::MARK, &record::Mark { created_micros }))?,
        write(key::IDS, codec::seal(&key::IDS, &record::Ids { last: system.get() }))?,
        write(key::namespace(system), codec::seal(&key::namespace(system), &record::Namespace { created_micros }))?,
    ];
    let condition = Condition { range: KeyRange::ALL, unchanged_since: snapshot.sequence() };
    match store.submit(Commit { conditions: vec![condition], writes })? {
        Submitted::Applied(ticket) => Ok(store.wait(ticket)?),
        // Another engine was faster; what it made is as good.
        Submitted::Conflict => prepare(store, instants),
    }
}
