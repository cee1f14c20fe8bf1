//! What takes long (a commit's way to the disk, the verifier of a new password) keeps nobody waiting who did not ask for it.

use crate::common::{App, KEY, TestResult, each, storing_passwords};
use axum::{
    body::{Body, Bytes},
    http::Request,
};
use offshoot_api::ApiOptions;
use offshoot_catalog::{Entropy, EntropyError, OsEntropy};
use offshoot_engine::{
    MemoryStore,
    storage::{Change, Commit, Sequence, Snapshot, Store, StoreError, Submitted, Ticket, View},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use tower::ServiceExt;

/// How many clients wait for the disk at once.
const CLIENTS: usize = 64;

/// A thread that runs tasks, and may not wait for anything else once it is watched.
#[derive(Clone)]
struct Watched {
    thread: ThreadId,
    is_on: Arc<AtomicBool>,
}

impl Watched {
    /// Refuses what would keep tasks waiting. An error fails the test, where waiting would only hang it.
    fn check(&self, what: &str) -> Result<(), io::Error> {
        if self.is_on.load(SeqCst) && thread::current().id() == self.thread {
            return Err(io::Error::other(format!("{what} on a thread that runs tasks")));
        }
        Ok(())
    }
}

/// A store whose commits become durable when it is told to, while its thread is watched.
struct SlowStore {
    store: MemoryStore,
    watched: Watched,
    /// Is told of each thread that begins to wait.
    waiting: UnboundedSender<ThreadId>,
}

impl SlowStore {
    fn check(&self, what: &str) -> Result<(), StoreError> {
        self.watched.check(what).map_err(StoreError::io("go on"))
    }
}

impl Store for SlowStore {
    fn get(&self, view: View, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.check("reading")?;
        self.store.get(view, key)
    }

    fn snapshot(&self, view: View) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.check("reading")?;
        self.store.snapshot(view)
    }

    fn snapshot_in_memory(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.store.snapshot_in_memory()
    }

    fn submit(&self, commit: Commit) -> Result<Submitted, StoreError> {
        self.check("writing")?;
        let submitted = self.store.submit(commit)?;
        if !self.watched.is_on.load(SeqCst) {
            self.store.sync();
        }
        Ok(submitted)
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.check("waiting for the disk")?;
        // Nobody listens any more when the test is over.
        let _ = self.waiting.send(thread::current().id());
        self.store.wait(ticket)
    }

    fn feed(&self, after: Sequence, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.store.feed(after, limit)
    }

    fn wait_for_feed(&self, after: Sequence, timeout: Duration) -> bool {
        self.store.wait_for_feed(after, timeout)
    }

    fn max_commit_bytes(&self) -> usize {
        self.store.max_commit_bytes()
    }
}

/// What passwords are drawn from, just before their verifiers are computed.
struct WatchedEntropy(Watched);

impl Entropy for WatchedEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.0.check("drawing a password").map_err(|error| EntropyError::new(error.to_string()))?;
        OsEntropy.fill(bytes)
    }
}

/// All tasks have one thread, so one of them that waits would stop them all.
#[tokio::test]
async fn slow_commits_keep_no_other_request_waiting() -> TestResult {
    let watched = Watched { thread: thread::current().id(), is_on: Arc::default() };
    let (waiting, mut waits) = unbounded_channel();
    let store = MemoryStore::manual();
    let slow = SlowStore { store: store.clone(), watched: watched.clone(), waiting };
    let options = storing_passwords()?.with_entropy(WatchedEntropy(watched.clone()));
    let app = Arc::new(App::over(slow, ApiOptions::default(), options)?);
    let (_, _, main) = app.project().await?;
    // Whoever waited until now is done with it.
    while waits.try_recv().is_ok() {}
    watched.is_on.store(true, SeqCst);

    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (app, path) = (Arc::clone(&app), format!("{main}/roles"));
        let body = json!({ "role": { "name": format!("role_{client}") } });
        clients.spawn(async move { app.ok("POST", &path, body).await.map_err(|error| error.to_string()) });
    }
    let mut stuck = HashSet::new();
    while stuck.len() < CLIENTS {
        tokio::select! {
            thread = waits.recv() => stuck.extend(thread),
            ended = clients.join_next() => panic!("a commit was answered before it was durable: {ended:?}"),
        }
    }

    for path in ["/healthz", "/docs", "/api/v2/openapi.json"] {
        let request = Request::get(path).header("authorization", format!("Bearer {KEY}")).body(Body::empty())?;
        assert_eq!(app.router.clone().oneshot(request).await?.status(), 200, "{path}");
    }
    assert_eq!(app.get(&format!("{main}/roles/casey")).await?["role"]["name"], "casey");
    assert_eq!(each(&app.get(&format!("{main}/roles")).await?["roles"], "name"), ["casey", "web_access"]);
    app.refused((404, "ROLE_NOT_FOUND"), "GET", &format!("{main}/roles/role_0"), Value::Null).await?;
    assert!(clients.try_join_next().is_none());

    watched.is_on.store(false, SeqCst);
    store.sync();
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let roles = app.get(&format!("{main}/roles")).await?;
    assert_eq!(roles["roles"].as_array().map(Vec::len), Some(CLIENTS + 2));
    Ok(())
}
