//! The files of a cluster.
//!
//! ```text
//! pg/                 ours; the clusters' user may pass through it
//!   ep-misty-fire-1/  the clusters' user's
//!     data/           what initdb makes
//!     s/              the Unix socket
//!   ep-misty-fire-1.  ours:
//!     hba, crt, tls   what PostgreSQL reads: who may connect, and how connections are secured
//!     log             what it logs
//!     key             the administrator's password; written last, so a cluster without it is half made
//! ```
//!
//! Nothing is written into what is the user's once it is that: whoever has taken over PostgreSQL must not lead us, who may be
//! root, to other files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use offshoot_catalog::EndpointId;
use rcgen::{CertificateParams, KeyPair};
use secrecy::{ExposeSecret, SecretString};

use super::run_as::RunAs;
use crate::{driver::DriverError, tls::TlsError};

/// How long the path of a Unix socket may be.
const MAX_SOCKET_BYTES: usize = 107;

/// Where the administrator's password stands while initdb runs.
const INITDB_PASSWORD: &str = "initdb";

/// All of our files of a cluster besides the key.
const OTHERS: [&str; 7] = ["hba", "crt", "tls", "log", "log-old", "new", INITDB_PASSWORD];

/// How large PostgreSQL's log may be when it starts.
const MAX_LOG_BYTES: u64 = 10 << 20;

/// Who may connect to a cluster, and how: the administrator only over the Unix socket, all others with TLS or over the
/// Unix socket, everybody with a SCRAM password. Copies of the whole cluster are not handed out.
const HBA: &str = "\
# Written by offshoot whenever it makes a cluster.
local   all  cloud_admin                scram-sha-256
host    all  cloud_admin  0.0.0.0/0     reject
host    all  cloud_admin  ::/0          reject
local   all  all                        scram-sha-256
hostssl all  all          127.0.0.1/32  scram-sha-256
hostssl all  all          ::1/128       scram-sha-256
";

/// Where the files of one cluster are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
    endpoint: EndpointId,
}

impl Files {
    pub(crate) fn new(root: &Path, endpoint: &EndpointId) -> Self {
        Self { root: root.to_owned(), endpoint: endpoint.clone() }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.join(self.endpoint.as_str())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("s")
    }

    /// One of our files beside the directory.
    pub(crate) fn beside(&self, kind: &str) -> PathBuf {
        self.root.join(format!("{}.{kind}", self.endpoint))
    }

    fn key(&self) -> PathBuf {
        self.beside("key")
    }

    fn log(&self) -> PathBuf {
        self.beside("log")
    }

    /// Refuses a directory whose path is too long for the socket in it.
    pub(crate) fn check_length(&self) -> Result<(), DriverError> {
        let bytes = self.socket().join(".s.PGSQL.65535").as_os_str().len();
        if bytes <= MAX_SOCKET_BYTES {
            return Ok(());
        }
        Err(DriverError::Unfit(format!(
            "the path of the Unix socket would have {bytes} bytes, and at most {MAX_SOCKET_BYTES} are possible; \
             choose a data directory with a shorter path"
        )))
    }

    /// The administrator's password; none where the cluster was not made, or not wholly.
    pub(crate) fn password(&self) -> Result<Option<SecretString>, DriverError> {
        match fs::read_to_string(self.key()) {
            Ok(password) => Ok(Some(password.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DriverError::io(format!("reading {}", self.key().display()))(source)),
        }
    }

    /// Makes the cluster's directories, as empty as they were never used.
    pub(crate) fn make_dirs(&self, run_as: &RunAs) -> Result<(), DriverError> {
        self.remove()?;
        let dirs = [self.dir(), self.data(), self.socket()];
        for dir in &dirs {
            let made = DirBuilder::new().mode(0o700).create(dir);
            made.map_err(DriverError::io(format!("making {}", dir.display())))?;
        }
        // The outermost last: from then on what is in it is the user's to change.
        dirs.iter().rev().try_for_each(|dir| run_as.give(dir))
    }

    /// Writes what PostgreSQL reads besides what initdb makes.
    pub(crate) fn furnish(&self, run_as: &RunAs) -> Result<(), DriverError> {
        let names = [format!("{}.localhost", self.endpoint), "localhost".into(), "127.0.0.1".into()];
        let key = KeyPair::generate().map_err(TlsError::certificate)?;
        let parameters = CertificateParams::new(names).map_err(TlsError::certificate)?;
        let certificate = parameters.self_signed(&key).map_err(TlsError::certificate)?;
        let files = [("crt", certificate.pem()), ("tls", key.serialize_pem()), ("hba", HBA.to_owned())];
        files.into_iter().try_for_each(|(kind, text)| self.write_readable(run_as, kind, &text).map(drop))
    }

    /// Writes the administrator's password for initdb to read.
    pub(crate) fn write_password_for_initdb(
        &self,
        run_as: &RunAs,
        password: &SecretString,
    ) -> Result<PathBuf, DriverError> {
        self.write_readable(run_as, INITDB_PASSWORD, password.expose_secret())
    }

    /// Removes the password that initdb has read.
    pub(crate) fn remove_password_of_initdb(&self) -> Result<(), DriverError> {
        fs::remove_file(self.beside(INITDB_PASSWORD)).map_err(DriverError::io("removing the password of initdb"))
    }

    /// Writes a file of ours that the clusters' user may read.
    fn write_readable(&self, run_as: &RunAs, kind: &str, text: &str) -> Result<PathBuf, DriverError> {
        let path = self.beside(kind);
        let written = write_private(&path, text.as_bytes()).and_then(|file| run_as.let_read(&file));
        written.map_err(DriverError::io(format!("writing {}", path.display())))?;
        Ok(path)
    }

    /// Notes that the cluster is made.
    pub(crate) fn finish(&self, password: &SecretString) -> Result<(), DriverError> {
        let path = self.key();
        let write = || -> io::Result<()> {
            let new = self.beside("new");
            write_private(&new, password.expose_secret().as_bytes())?;
            fs::rename(&new, &path)?;
            File::open(&self.root)?.sync_all()
        };
        write().map_err(DriverError::io(format!("writing {}", path.display())))
    }

    /// Removes the cluster's files.
    pub(crate) fn remove(&self) -> Result<(), DriverError> {
        let dir = self.dir();
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        // First what says that the rest is whole.
        let mut removed = gone(fs::remove_file(self.key())).and_then(|()| gone(fs::remove_dir_all(&dir)));
        for kind in OTHERS {
            removed = removed.and_then(|()| gone(fs::remove_file(self.beside(kind))));
        }
        removed.map_err(DriverError::io(format!("removing {}", dir.display())))
    }

    /// The file that PostgreSQL logs to. One that has grown large is put aside.
    pub(crate) fn open_log(&self) -> Result<File, DriverError> {
        if fs::metadata(self.log()).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
            let aside = fs::rename(self.log(), self.beside("log-old"));
            aside.map_err(DriverError::io(format!("putting {} aside", self.log().display())))?;
        }
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(self.log());
        opened.map_err(DriverError::io(format!("opening {}", self.log().display())))
    }

    /// The last lines that PostgreSQL logged, for a message.
    pub(crate) fn last_logged(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("FATAL") || line.contains("HINT")).collect();
        let last = lines.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join("; ");
        if last.is_empty() { format!("see {}", self.log().display()) } else { last }
    }
}

/// The endpoints whose clusters are made.
pub(crate) fn endpoints(root: &Path) -> Vec<EndpointId> {
    let entries = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".key")?.parse().ok()).collect()
}

/// Writes a file that only we can read, in the place of one that may be there.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// A new password for an administrator: 32 hexadecimal digits of the operating system's randomness.
pub(crate) fn new_password() -> Result<SecretString, DriverError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(DriverError::io("reading /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}
