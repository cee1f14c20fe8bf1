//! The control socket: how the commands of an operator reach the server that has the data directory open.
//!
//! A Unix socket in the data directory, for its owner alone, that speaks HTTP. Whoever can open it could read the data directory too, so there
//! are no keys.

mod admin;
mod client;
mod dump;
mod server;

pub use self::client::ControlError;
pub(crate) use self::{
    admin::Admin,
    client::{get, post},
    server::{Control, router},
};

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// No system takes a longer name for a socket; Linux takes 107 bytes, others a few less.
const MAX_NAME_BYTES: usize = 100;

/// A name for the socket that is short enough to be used with it.
struct SocketName {
    path: PathBuf,
    /// What a name through `/proc` leads through, as long as it is open.
    _directory: Option<File>,
}

impl SocketName {
    fn new(data_dir: &Path) -> io::Result<SocketName> {
        let path = data_dir.join(SOCKET);
        if path.as_os_str().len() <= MAX_NAME_BYTES {
            return Ok(SocketName { path, _directory: None });
        }
        let directory = File::open(data_dir)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        Ok(SocketName { path: short.join(SOCKET), _directory: Some(directory) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_enough_however_long_the_directorys_is() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(SocketName::new(dir.path())?.path, dir.path().join(SOCKET));
        let long = dir.path().join("x".repeat(200));
        std::fs::create_dir(&long)?;
        let name = SocketName::new(&long)?;
        assert!(name.path.as_os_str().len() <= MAX_NAME_BYTES, "{}", name.path.display());
        std::fs::write(&name.path, "here")?;
        assert_eq!(std::fs::read_to_string(long.join(SOCKET))?, "here");
        Ok(())
    }
}
