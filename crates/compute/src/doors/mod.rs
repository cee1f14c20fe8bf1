//! The ports of computes that sleep: whoever connects to one wakes it.
//!
//! While an endpoint's server doesn't run, this process listens on its port. A client that begins as clients of PostgreSQL
//! do has the catalog asked for the compute's start, and waits. Before the server is started it is given the port, and
//! when it runs, those who waited are connected to it; what they say is passed on as it is, TLS included. Whoever connects
//! from then on meets the server itself.

mod client;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io,
    net::{Ipv4Addr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use offshoot_catalog::{Catalog, EndpointId};
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
    time::sleep,
};

use self::client::Client;

/// How long to wait when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// For how long clients of computes that sleep are waited for, and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a client may take to say what it wants.
    pub first_bytes: Duration,
    /// How long a client waits for its compute.
    pub start: Duration,
}

impl Default for Patience {
    /// 10 seconds, and 2 minutes.
    fn default() -> Self {
        Self { first_bytes: Duration::from_secs(10), start: Duration::from_secs(120) }
    }
}

/// What became of a compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Sleeps,
    Runs,
    Fails,
}

/// The doors of all computes that sleep.
pub(crate) struct Doors {
    catalog: Catalog,
    patience: Patience,
    doors: Mutex<HashMap<EndpointId, Door>>,
    /// Ports that others have, so that each is told once.
    taken: Mutex<HashSet<EndpointId>>,
    max_doors: usize,
    clients: Arc<Semaphore>,
}

struct Door {
    news: watch::Sender<News>,
    /// None while the server has the port, or is about to.
    listening: Option<Listening>,
}

struct Listening {
    close: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Doors {
    pub(crate) fn new(catalog: Catalog, patience: Patience) -> Self {
        // Doors are to leave most of the files that this process may have open to others, and so are clients, who have two.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = usize::try_from(files).unwrap_or(usize::MAX).min(1 << 20);
        Self {
            catalog,
            patience,
            doors: Mutex::default(),
            taken: Mutex::default(),
            max_doors: files / 4,
            clients: Arc::new(Semaphore::new(files / 8)),
        }
    }

    /// Listens on the port of a compute that sleeps, unless that is done already or its server is about to have it.
    pub(crate) fn open(&self, endpoint: &EndpointId, port: u16) {
        let mut doors = self.doors.lock();
        let is_full = doors.len() >= self.max_doors;
        let Entry::Vacant(place) = doors.entry(endpoint.clone()) else { return };
        let listener = if is_full { Err(io::Error::other("too many files are open")) } else { listen(port) };
        match listener {
            Ok(listener) => {
                let news = watch::Sender::new(News::Sleeps);
                let client =
                    Client { catalog: self.catalog.clone(), endpoint: endpoint.clone(), port, patience: self.patience };
                let (close, closed) = oneshot::channel();
                let task = tokio::spawn(attend(listener, closed, client, news.clone(), Arc::clone(&self.clients)));
                place.insert(Door { news, listening: Some(Listening { close, task }) });
                self.taken.lock().remove(endpoint);
            }
            Err(error) => {
                if self.taken.lock().insert(endpoint.clone()) {
                    let error = error.to_string();
                    tracing::warn!(
                        endpoint = endpoint.as_str(),
                        port,
                        error,
                        "cannot listen for a suspended compute, so nobody who connects wakes it; trying again"
                    );
                }
            }
        }
    }

    /// Leaves a compute's port to its server. Who waits goes on waiting.
    pub(crate) async fn give(&self, endpoint: &EndpointId) {
        let listening = {
            let mut doors = self.doors.lock();
            let new = || Door { news: watch::Sender::new(News::Sleeps), listening: None };
            doors.entry(endpoint.clone()).or_insert_with(new).listening.take()
        };
        if let Some(listening) = listening {
            listening.close().await;
        }
    }

    /// Tells those who wait for a compute what became of it. Its door can be opened again where it was given away.
    pub(crate) fn tell(&self, endpoint: &EndpointId, news: News) {
        let mut doors = self.doors.lock();
        let Entry::Occupied(door) = doors.entry(endpoint.clone()) else { return };
        door.get().news.send_replace(news);
        if door.get().listening.is_none() {
            door.remove();
        }
    }

    /// Whether a compute's server was given the port, and it isn't told yet what became of it.
    pub(crate) fn is_given(&self, endpoint: &EndpointId) -> bool {
        self.doors.lock().get(endpoint).is_some_and(|door| door.listening.is_none())
    }

    /// Closes a door; who waits is sent away.
    pub(crate) async fn close(&self, endpoint: &EndpointId) {
        self.give(endpoint).await;
        self.tell(endpoint, News::Fails);
    }

    /// Closes all doors; who waits is sent away.
    pub(crate) async fn close_all(&self) {
        let endpoints: Vec<EndpointId> = self.doors.lock().keys().cloned().collect();
        for endpoint in endpoints {
            self.close(&endpoint).await;
        }
    }
}

impl Listening {
    async fn close(self) {
        // It has ended already where nobody takes this.
        let _ = self.close.send(());
        if self.task.await.is_err() {
            tracing::error!("listening for a suspended compute panicked");
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Lets clients in until the door is to be closed; those who have connected by then are let in still.
async fn attend(
    listener: TcpListener,
    mut closed: oneshot::Receiver<()>,
    client: Client,
    news: watch::Sender<News>,
    clients: Arc<Semaphore>,
) {
    let let_in = |stream: TcpStream| {
        let Ok(permit) = Arc::clone(&clients).try_acquire_owned() else {
            tracing::warn!(endpoint = client.endpoint.as_str(), "too many clients of suspended computes");
            return;
        };
        let (client, news) = (client.clone(), news.subscribe());
        tokio::spawn(async move {
            let _permit = permit;
            client.attend(stream, news).await;
        });
    };
    loop {
        tokio::select! {
            _ = &mut closed => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => let_in(stream),
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, _)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        stream.into_iter().for_each(&let_in);
    }
}
