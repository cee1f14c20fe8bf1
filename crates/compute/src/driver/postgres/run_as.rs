//! Whom the clusters run as: PostgreSQL refuses to run as root.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown, lchown},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::geteuid;

use crate::driver::DriverError;

/// The users that are looked for when none is named.
const USUAL: &[&str] = &["postgres", "nobody"];

/// Whom the clusters run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// As the user that this process runs as.
    Ourselves,
    /// As another user, for this process runs as root.
    User { name: String, uid: u32, gid: u32 },
}

impl RunAs {
    /// The user of this name, or where none is given: this process's, unless that is root.
    pub(crate) fn find(name: Option<&str>) -> Result<Self, DriverError> {
        if !geteuid().is_root() {
            return match name {
                None => Ok(Self::Ourselves),
                Some(name) => Err(DriverError::Unfit(format!(
                    "only root can run PostgreSQL as another user, such as {name:?}; name no user, or start as root"
                ))),
            };
        }
        let names = name.map_or(USUAL.to_vec(), |name| vec![name]);
        names.iter().find_map(|name| Self::user(name)).ok_or_else(|| {
            DriverError::Unfit(format!(
                "PostgreSQL refuses to run as root, and there is no user {} to run it as; name one",
                names.join(" or ")
            ))
        })
    }

    fn user(name: &str) -> Option<Self> {
        let id = |kind: &str| -> Option<u32> {
            let said = Command::new("id").args([kind, name]).stdin(Stdio::null()).output().ok()?;
            String::from_utf8(said.stdout).ok()?.trim().parse().ok()
        };
        let (uid, gid) = (id("-u")?, id("-g")?);
        (uid != 0).then(|| Self::User { name: name.to_owned(), uid, gid })
    }

    /// Makes a program that is about to be started run so.
    pub(crate) fn run(&self, command: &mut tokio::process::Command) {
        if let Self::User { uid, gid, .. } = self {
            // With another user, the standard library drops root's other groups, too.
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives a directory to the user.
    pub(crate) fn give(&self, dir: &Path) -> Result<(), DriverError> {
        match self {
            Self::Ourselves => Ok(()),
            Self::User { name, uid, gid } => lchown(dir, Some(*uid), Some(*gid))
                .map_err(DriverError::io(format!("giving {} to user {name}", dir.display()))),
        }
    }

    /// Lets the user read a file that stays ours.
    pub(crate) fn let_read(&self, file: &File) -> io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::User { gid, .. } => {
                fchown(file, None, Some(*gid))?;
                file.set_permissions(fs::Permissions::from_mode(0o640))
            }
        }
    }

    /// Lets the user pass through a directory of ours to what lies below it, and see nothing of it.
    pub(crate) fn let_through(&self, dir: &Path) -> Result<(), DriverError> {
        let Self::User { name, gid, .. } = self else { return Ok(()) };
        let open = || -> io::Result<()> {
            if self.can_pass(&fs::metadata(dir)?) {
                return Ok(());
            }
            chown(dir, None, Some(*gid))?;
            let mode = fs::metadata(dir)?.permissions().mode();
            fs::set_permissions(dir, fs::Permissions::from_mode((mode & 0o700) | 0o010))
        };
        open().map_err(DriverError::io(format!("letting user {name} pass through {}", dir.display())))
    }

    /// Refuses a directory that the user can't get to.
    pub(crate) fn check_reachable(&self, dir: &Path) -> Result<(), DriverError> {
        let Self::User { name, .. } = self else { return Ok(()) };
        for ancestor in dir.ancestors() {
            let metadata =
                fs::metadata(ancestor).map_err(DriverError::io(format!("looking at {}", ancestor.display())))?;
            if !self.can_pass(&metadata) {
                return Err(DriverError::Unfit(format!(
                    "user {name}, whom PostgreSQL has to run as, cannot pass through {}; choose a data directory elsewhere",
                    ancestor.display()
                )));
            }
        }
        Ok(())
    }

    fn can_pass(&self, metadata: &fs::Metadata) -> bool {
        let Self::User { uid, gid, .. } = self else { return true };
        let bits = metadata.mode();
        let class = if metadata.uid() == *uid {
            bits >> 6
        } else if metadata.gid() == *gid {
            bits >> 3
        } else {
            bits
        };
        class & 0o1 != 0
    }
}
