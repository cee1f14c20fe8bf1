//! The server's end of the control socket.

use super::{
    SOCKET, SocketName,
    admin::{Admin, admin},
    dump::dump,
};
use axum::{
    Router,
    routing::{get, post},
};
use offshoot_engine::SledStore;
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::UnixListener;

/// What the server answers to on its control socket.
pub(crate) fn router(store: Arc<SledStore>, on_catalog: Admin) -> Router {
    let of_store = Router::new().route("/dump", get(dump)).with_state(store);
    of_store.merge(Router::new().route("/admin", post(admin)).with_state(on_catalog))
}

/// The socket's file, removed when dropped. Whoever has it has the store open, so no other server's is removed.
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    /// Makes the socket of the store in `data_dir`, which this process has open. One that is there was left by a server that was killed.
    pub(crate) fn listen(data_dir: &Path) -> io::Result<(Control, UnixListener)> {
        let path = data_dir.join(SOCKET);
        remove_socket(&path)?;
        let listener = UnixListener::bind(SocketName::new(data_dir)?.path)?;
        let control = Control { path };
        fs::set_permissions(&control.path, Permissions::from_mode(0o600))?;
        Ok((control, listener))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = remove_socket(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the control socket");
        }
    }
}

/// Removes a socket, if there is one, and nothing else.
fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(there) if !there.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket has its name"))
        }
        there => there.and_then(|_| fs::remove_file(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_replaces_a_stale_one_and_goes_in_the_end() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&path)?);
        assert!(path.exists(), "the stale one is there");
        let (control, _listener) = Control::listen(dir.path())?;
        tokio::net::UnixStream::connect(&path).await?;
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        drop(control);
        assert!(!path.exists());
        Ok(())
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(SOCKET);
        fs::write(&path, "a note")?;
        let refused = Control::listen(dir.path()).map(drop).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read_to_string(&path)?, "a note");
        Ok(())
    }
}
