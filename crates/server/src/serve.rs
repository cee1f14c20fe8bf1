//! `offshoot serve`: opens what is needed, says that it is ready, and ends cleanly.

use crate::{
    Error, ServeOptions, StoreKind, SystemRoles,
    compute::Computes,
    connections::serve_connections,
    control::{self, Admin, Control},
    first_key,
    housekeeping::Housekeeping,
    log,
    password_key::{self, PasswordKeySource},
};
use axum::Router;
use offshoot_api::{ApiOptions, console, router};
use offshoot_catalog::{Catalog, PasswordKeys};
use offshoot_engine::{Engine, MemoryStore, Pace, SledOptions, SledStore};
use rustix::fs::Mode;
use std::{
    fs::{self, DirBuilder},
    io::{self, Write, stdout},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// How long clients may take to send the rest of their requests after a signal; it leaves time before a supervisor loses patience.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or Ctrl-C, then finishes what is in flight.
///
/// The process's file mode creation mask becomes 077. Prints `listening on http://ADDR` to standard output when it is ready. Logs to standard error.
///
/// # Errors
///
/// Says what kept the server from starting, or from going on.
pub fn serve(options: &ServeOptions) -> Result<(), Error> {
    log::init("info")?;
    // Whatever this process creates is for its user alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let Stored { engine, store } = Stored::open(options)?;
    let collector = engine.collect_in_background(Pace::default())?;
    let computes = Computes::choose(&options.compute, options.store, &options.data_dir)?;
    let keys = &options.keys;
    let (key_file, key_texts) = (keys.password_key_file.as_deref(), keys.password_keys.as_ref());
    let keys = Arc::new(PasswordKeySource::new(&options.data_dir, key_file, key_texts, options.store));
    let catalog_options = computes.catalog_options(catalog_options(options, keys.load()?), &options.compute);
    let catalog = Catalog::open(engine, catalog_options)?;
    password_key::warn_of_missing(&catalog)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind(options.listen));
    let listener = listener.map_err(|source| Error::Listen { address: options.listen, source })?;
    first_key::ensure(&catalog, options)?;
    let api = ApiOptions { addresses: computes.addresses(), ..ApiOptions::default() };
    let executor = computes.start(catalog.clone(), &options.compute)?;
    let housekeeping = Housekeeping::start(catalog.clone())?;
    let admin = Admin { catalog: catalog.clone(), keys };
    let app = router(catalog, api).merge(console());
    let served = runtime.block_on(async {
        let (control, listeners) = store.and_then(|store| listen_for_control(&options.data_dir, store, admin)).unzip();
        let served = serve_until_signal(listener, app, listeners).await;
        // Before anybody else can have the store open, and a socket of their own.
        drop(control);
        served
    });
    // Waits for catalog calls that are still on the runtime's threads.
    drop(runtime);
    housekeeping.stop();
    executor.stop();
    drop(collector);
    served
}

fn catalog_options(options: &ServeOptions, keys: PasswordKeys) -> offshoot_catalog::Options {
    let mut catalog = offshoot_catalog::Options::default().with_password_keys(keys);
    if options.no_stored_passwords {
        catalog = catalog.without_stored_passwords();
    }
    match options.system_roles {
        SystemRoles::Listed => catalog,
        SystemRoles::Hidden => catalog.with_hidden_system_roles(),
    }
}

/// The engine, and the store below it where operators may ask for more than the engine gives.
struct Stored {
    engine: Engine,
    store: Option<Arc<SledStore>>,
}

impl Stored {
    fn open(options: &ServeOptions) -> Result<Stored, Error> {
        let engine_options = offshoot_engine::Options::default();
        match options.store {
            StoreKind::Memory => Ok(Stored { engine: Engine::open(MemoryStore::new(), engine_options)?, store: None }),
            StoreKind::Sled => {
                let path = &options.data_dir;
                make_private_dir(path).map_err(|source| Error::DataDir { path: path.clone(), source })?;
                let store = SledStore::open(path, &SledOptions::default());
                let store = Arc::new(store.map_err(|source| Error::Store { path: path.clone(), source })?);
                Ok(Stored { engine: Engine::open(Arc::clone(&store), engine_options)?, store: Some(store) })
            }
        }
    }
}

/// The control socket with what it answers to. The server can do without it.
fn listen_for_control(
    data_dir: &Path,
    store: Arc<SledStore>,
    admin: Admin,
) -> Option<(Control, (UnixListener, Router))> {
    match Control::listen(data_dir) {
        Ok((control, listener)) => Some((control, (listener, control::router(store, admin)))),
        Err(error) => {
            tracing::warn!(%error, "cannot make the control socket; `offshoot dump` and the like need the server stopped");
            None
        }
    }
}

/// Makes the directory, or closes an empty one to others. One that holds something already keeps its mode:
/// it may be somebody's home, and what the server puts there is private by itself.
fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::read_dir(path)?.next().is_none() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

async fn serve_until_signal(
    listener: TcpListener,
    app: Router,
    control: Option<(UnixListener, Router)>,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    // Nothing is ever sent: the sender is dropped.
    let (stop, stopped) = watch::channel(());
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.changed().await;
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut servers = JoinSet::new();
    let api = serve_connections(listener, app, until_stopped());
    servers.spawn(async {
        api.await;
        Ok(())
    });
    if let Some((listener, app)) = control {
        servers.spawn(axum::serve(listener, app).with_graceful_shutdown(until_stopped()).into_future());
    }
    announce(address)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing what is in flight");
    drop(stop);
    match tokio::time::timeout(DRAIN, all_ended(servers)).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            tracing::warn!(seconds = DRAIN.as_secs(), "clients kept their connections busy; leaving them");
            Ok(())
        }
    }
}

async fn all_ended(mut servers: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = servers.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    }

    #[test]
    fn a_new_or_empty_directory_is_closed_and_a_used_one_left_as_it_is() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (new, used) = (dir.path().join("a/new"), dir.path().join("used"));
        fs::create_dir(&used)?;
        fs::set_permissions(&used, fs::Permissions::from_mode(0o755))?;
        for path in [&new, &used] {
            make_private_dir(path)?;
            assert_eq!(mode(path)?, 0o700);
        }
        fs::write(used.join("something"), "")?;
        fs::set_permissions(&used, fs::Permissions::from_mode(0o755))?;
        make_private_dir(&used)?;
        assert_eq!(mode(&used)?, 0o755);
        Ok(())
    }
}
