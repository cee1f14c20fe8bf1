//! The catalog itself, and how its parts read and commit.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use offshoot_engine::{
    BranchId as EngineBranch, Engine, NamespaceId, Point, Snapshot, StoreError, Transaction, Version,
};
use parking_lot::{Condvar, Mutex, RwLock};
use sha2::{Digest, Sha256};

use crate::{
    codec::{BranchRecord, DeletionRecord, ProjectRecord, Time},
    entropy::{Entropy, OsEntropy},
    error::{Error, Result},
    id::{AccountId, ApiKeyId, BranchId, ProjectId},
    key::KeyUses,
    key_ring::PasswordKeys,
    password::NewPassword,
    provenance::{MAX_REQUEST_BYTES, Provenance, clipped},
    tables::{Source, project, system},
};

/// How a catalog works; [`Options::default`] says what is usual.
#[derive(Clone)]
pub struct Options {
    entropy: Arc<dyn Entropy>,
    compute_ports: Option<RangeInclusive<u16>>,
    password_keys: Arc<PasswordKeys>,
    pub(crate) forbids_stored_passwords: bool,
    pub(crate) hides_system_roles: bool,
    pub(crate) pg_versions: Vec<u8>,
}

impl Default for Options {
    /// Without password keys, so that no password is kept; for PostgreSQL 14 to 18.
    fn default() -> Self {
        Self {
            entropy: Arc::new(OsEntropy),
            password_keys: Arc::new(PasswordKeys::none()),
            forbids_stored_passwords: false,
            hides_system_roles: false,
            compute_ports: None,
            pg_versions: (14..=18).collect(),
        }
    }
}

impl Options {
    /// Where ids and secrets are drawn from: the operating system, unless said otherwise.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// The ports of which each endpoint gets one, where computes are on one machine. Without them endpoints have none.
    #[must_use]
    pub fn with_compute_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.compute_ports = Some(ports);
        self
    }

    /// What passwords are sealed under where a project stores them: without keys, none does.
    #[must_use]
    pub fn with_password_keys(mut self, keys: PasswordKeys) -> Self {
        self.password_keys = Arc::new(keys);
        self
    }

    /// Stores no password, and reveals none, whatever a project says; the keys are for what is stored already.
    #[must_use]
    pub fn without_stored_passwords(mut self) -> Self {
        self.forbids_stored_passwords = true;
        self
    }

    /// Leaves the system's roles out of lists. Whoever asks for one by name finds it.
    #[must_use]
    pub fn with_hidden_system_roles(mut self) -> Self {
        self.hides_system_roles = true;
        self
    }

    /// The major versions of PostgreSQL that computes run; a project for another one is refused.
    #[must_use]
    pub fn with_pg_versions(mut self, versions: impl IntoIterator<Item = u8>) -> Self {
        self.pg_versions = versions.into_iter().collect();
        self
    }
}

/// Who asks: the account in whose name, the API key that was used and the id of the request.
///
/// [`Catalog::authenticate`] gives one for a key's secret; a program that embeds the catalog can make its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account. Nothing of other accounts is seen.
    pub account: AccountId,
    /// The API key, if one was used.
    pub key: Option<ApiKeyId>,
    /// The id of the request, if it has one; 64 bytes of it are kept with what it changes.
    pub request: Option<String>,
}

impl Caller {
    /// A caller that acts for `account` without a key.
    pub fn new(account: AccountId) -> Self {
        Self { account, key: None, request: None }
    }

    /// The same caller, with the id of its request; what exceeds 64 bytes is cut off.
    #[must_use]
    pub fn with_request(self, request: &str) -> Self {
        Self { request: Some(clipped(request, MAX_REQUEST_BYTES).to_owned()), ..self }
    }
}

/// Accounts, projects, branches, roles, databases, endpoints and operations, kept by an [`Engine`].
///
/// A cheap handle: clones are the same catalog. Every method returns when what it did is durable; all of them block.
#[derive(Clone)]
pub struct Catalog {
    shared: Arc<Shared>,
    /// Whether it must not wait: see [`Catalog::at_once`].
    at_once: bool,
}

struct Shared {
    engine: Engine,
    options: Options,
    password_keys: RwLock<Arc<PasswordKeys>>,
    key_uses: KeyUses,
    signal: Signal,
    /// Held by whoever removes a project, or wakes it, which takes several commits.
    settling: Mutex<()>,
}

/// Counts commits, and wakes those who wait for the next one.
#[derive(Default)]
struct Signal {
    commits: Mutex<u64>,
    changed: Condvar,
}

/// How many roles or databases are few enough to be listed [at once](Catalog::at_once).
const MAX_AT_ONCE: usize = 100;

/// The refusal of what can't be done [at once](Catalog::at_once).
pub(crate) fn not_at_once() -> Error {
    Error::Engine(StoreError::NotInMemory.into())
}

/// A moment in the catalog's life, to wait for what happens after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

impl Catalog {
    /// The catalog that `engine` keeps. An engine's system namespace holds one catalog.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] when the engine can't be read.
    pub fn open(engine: Engine, options: Options) -> Result<Self> {
        let password_keys = RwLock::new(Arc::clone(&options.password_keys));
        let (key_uses, signal, settling) = (KeyUses::default(), Signal::default(), Mutex::default());
        let shared = Arc::new(Shared { engine, options, password_keys, key_uses, signal, settling });
        let catalog = Self { shared, at_once: false };
        // An unreadable catalog should be noticed before anybody relies on it.
        catalog.is_new()?;
        Ok(catalog)
    }

    /// The same catalog for those who must not wait, such as the thread of an event loop: it answers what takes no time because all of it is in
    /// memory, and refuses everything else, changes among it, with an error that says so ([`Error::is_not_at_once`]). Ask the catalog
    /// itself then, where waiting is allowed.
    #[must_use]
    pub fn at_once(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), at_once: true }
    }

    /// How many roles or databases may be listed.
    pub(crate) fn list_limit(&self) -> usize {
        if self.at_once { MAX_AT_ONCE } else { usize::MAX }
    }

    /// Refuses what may take a while where that is not wanted.
    pub(crate) fn check_may_wait(&self) -> Result<()> {
        if self.at_once { Err(not_at_once()) } else { Ok(()) }
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>> {
        let engine = &self.shared.engine;
        Ok(if self.at_once { engine.snapshot_in_memory()? } else { engine.snapshot()? })
    }

    /// The version of a branch that was current at `point`.
    pub(crate) fn version(
        &self,
        branch: EngineBranch,
        point: Point,
    ) -> std::result::Result<Version, offshoot_engine::Error> {
        if self.at_once { Err(StoreError::NotInMemory.into()) } else { self.shared.engine.version(branch, point) }
    }

    /// Draws a password. Its verifier takes a while.
    pub(crate) fn draw_password(&self) -> Result<NewPassword> {
        self.check_may_wait()?;
        Ok(NewPassword::draw(self.entropy())?)
    }

    /// The engine that keeps the catalog.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn key_uses(&self) -> &KeyUses {
        &self.shared.key_uses
    }

    pub(crate) fn settling(&self) -> &Mutex<()> {
        &self.shared.settling
    }

    pub(crate) fn password_keys(&self) -> Arc<PasswordKeys> {
        Arc::clone(&self.shared.password_keys.read())
    }

    pub(crate) fn set_password_keys(&self, keys: PasswordKeys) {
        *self.shared.password_keys.write() = Arc::new(keys);
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.shared.options.entropy.as_ref()
    }

    pub(crate) fn compute_ports(&self) -> Option<RangeInclusive<u16>> {
        self.shared.options.compute_ports.clone()
    }

    /// Commits what `body` does; `body` may run several times.
    pub(crate) fn commit<T>(&self, body: impl FnMut(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.check_may_wait()?;
        let committed = self.engine().transact(body)?;
        self.wake();
        Ok(committed.value)
    }

    /// Commits what `body` does for `caller`; the versions it makes say who made them, and that it was `action` on
    /// `subject`.
    pub(crate) fn commit_as<T>(
        &self,
        caller: &Caller,
        action: &str,
        subject: &str,
        mut body: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let metadata = Provenance::new(caller, action, subject).encode()?;
        self.commit(|tx| {
            tx.set_metadata(&metadata)?;
            body(tx)
        })
    }

    /// Now, as a mark for [`Catalog::operations_wait`].
    pub fn moment(&self) -> Moment {
        Moment(*self.shared.signal.commits.lock())
    }

    /// Waits until something was committed after `moment`, [`Catalog::wake`] was called after it, or `timeout` is over.
    ///
    /// An executor takes the moment first, then asks for [`Catalog::operations_due`], and waits when there are none:
    /// what becomes due in between ends the wait at once.
    pub fn operations_wait(&self, moment: Moment, timeout: Duration) {
        let signal = &self.shared.signal;
        let mut commits = signal.commits.lock();
        signal.changed.wait_while_for(&mut commits, |commits| *commits == moment.0, timeout);
    }

    /// Ends all waits of [`Catalog::operations_wait`], so that an executor can be told to stop.
    pub fn wake(&self) {
        let signal = &self.shared.signal;
        *signal.commits.lock() += 1;
        signal.changed.notify_all();
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

/// A project that was found, in the hands of somebody who may see it.
pub(crate) struct FoundProject {
    pub(crate) id: ProjectId,
    pub(crate) record: ProjectRecord,
}

impl FoundProject {
    /// Finds one of the caller's projects. That of another account is as if it weren't there.
    pub(crate) fn find(source: &mut impl Source, caller: &Caller, id: &ProjectId) -> Result<Self> {
        let record = system::PROJECTS.get(source, NamespaceId::SYSTEM, id.as_str().as_bytes())?;
        match record {
            Some(record) if record.account == caller.account => Ok(Self { id: id.clone(), record }),
            _ => Err(Error::ProjectNotFound { id: id.to_string() }),
        }
    }

    /// Finds a project of any account, whether it is there or deleted; then it also tells when it was.
    pub(crate) fn even_deleted(
        source: &mut impl Source,
        id: &ProjectId,
    ) -> Result<Option<(Self, Option<DeletionRecord>)>> {
        let key = id.as_str().as_bytes();
        if let Some(record) = system::PROJECTS.get(source, NamespaceId::SYSTEM, key)? {
            return Ok(Some((Self { id: id.clone(), record }, None)));
        }
        let deleted = system::DELETED_PROJECTS.get(source, NamespaceId::SYSTEM, key)?;
        Ok(deleted.map(|deleted| (Self { id: id.clone(), record: deleted.project.0 }, Some(deleted.deletion))))
    }

    pub(crate) fn namespace(&self) -> NamespaceId {
        NamespaceId::new(self.record.namespace)
    }

    /// The project as the queue of operations names it.
    pub(crate) fn place(&self) -> (&ProjectId, NamespaceId) {
        (&self.id, self.namespace())
    }

    /// Finds a branch of the project.
    pub(crate) fn branch(&self, source: &mut impl Source, id: &BranchId) -> Result<FoundBranch> {
        let record = project::BRANCHES.get(source, self.namespace(), id.as_str().as_bytes())?;
        let record = record.ok_or_else(|| Error::BranchNotFound { id: id.to_string() })?;
        Ok(FoundBranch { id: id.clone(), engine: EngineBranch::new(self.namespace(), record.number), record })
    }
}

/// A branch that was found.
pub(crate) struct FoundBranch {
    pub(crate) id: BranchId,
    pub(crate) engine: EngineBranch,
    pub(crate) record: BranchRecord,
}

impl FoundBranch {
    /// Finds a branch of one of the caller's projects.
    pub(crate) fn find(
        source: &mut impl Source,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
    ) -> Result<(FoundProject, Self)> {
        let project = FoundProject::find(source, caller, project)?;
        let branch = project.branch(source, branch)?;
        Ok((project, branch))
    }
}

/// The instant of a commit, as records keep it.
pub(crate) fn now(tx: &Transaction<'_>) -> Time {
    Time(tx.instant())
}

/// The key under which a name of any length is found.
pub(crate) fn name_key(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

/// Draws ids until `taken` says that one is free.
pub(crate) fn draw_free<I>(
    mut draw: impl FnMut() -> Result<I>,
    mut taken: impl FnMut(&I) -> Result<bool>,
) -> Result<I> {
    loop {
        let id = draw()?;
        if !taken(&id)? {
            return Ok(id);
        }
    }
}
