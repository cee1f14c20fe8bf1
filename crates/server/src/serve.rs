//! `offshoot serve`: opens what is needed, says that it is ready, and ends cleanly.

use crate::{ComputeDriver, Error, ServeOptions, StoreKind, driver_none::DriverNone, first_key, log};
use axum::Router;
use offshoot_api::{ApiOptions, router};
use offshoot_catalog::Catalog;
use offshoot_engine::{Engine, MemoryStore, SledOptions, SledStore};
use rustix::fs::Mode;
use std::{
    fs::{self, DirBuilder},
    io::{self, Write, stdout},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
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
    log::init()?;
    // Whatever this process creates is for its user alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let catalog = Catalog::open(open_engine(options)?, offshoot_catalog::Options::default())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind(options.listen));
    let listener = listener.map_err(|source| Error::Listen { address: options.listen, source })?;
    first_key::ensure(&catalog, options)?;
    let driver = match options.compute {
        ComputeDriver::None => DriverNone::start(catalog.clone())?,
    };
    let served = runtime.block_on(serve_until_signal(listener, router(catalog, ApiOptions::default())));
    // Waits for catalog calls that are still on the runtime's threads.
    drop(runtime);
    driver.stop();
    served
}

fn open_engine(options: &ServeOptions) -> Result<Engine, Error> {
    let engine_options = offshoot_engine::Options::default();
    match options.store {
        StoreKind::Memory => Ok(Engine::open(MemoryStore::new(), engine_options)?),
        StoreKind::Sled => {
            let path = &options.data_dir;
            make_private_dir(path).map_err(|source| Error::DataDir { path: path.clone(), source })?;
            let store = SledStore::open(path, &SledOptions::default());
            let store = store.map_err(|source| Error::Store { path: path.clone(), source })?;
            Ok(Engine::open(store, engine_options)?)
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

async fn serve_until_signal(listener: TcpListener, app: Router) -> Result<(), Error> {
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // The sender is only ever dropped.
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    announce(address)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing what is in flight");
    drop(stop);
    match tokio::time::timeout(DRAIN, server).await {
        Ok(ended) => Ok(ended.map_err(io::Error::other)??),
        Err(_) => {
            tracing::warn!(seconds = DRAIN.as_secs(), "clients kept their connections busy; leaving them");
            Ok(())
        }
    }
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
