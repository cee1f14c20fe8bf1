//! Node.js, and directories of the workspace with a `package-lock.json`.

use super::{answers, output, run};
use crate::run::workspace;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest version that all clients run on: major and minor.
const OLDEST: (u32, u32) = (20, 19);

/// Whether a Node.js that is new enough and its package manager can be run.
pub(crate) fn node_is_there() -> bool {
    answers("npm") && output("node", &["--version"]).is_some_and(|said| is_new_enough(&said))
}

/// Reads what `node --version` says, such as `v20.19.2`.
fn is_new_enough(said: &str) -> bool {
    let mut numbers = said.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST)
}

/// Whether what the lock file of `directory` (below the workspace) names is installed there.
pub(crate) fn is_installed(directory: &str) -> bool {
    let (lock, installed) = lock_files(directory);
    matches!((fs::read(lock), fs::read(installed)), (Ok(lock), Ok(installed)) if lock == installed)
}

/// Installs exactly what the lock file of `directory` names. No package gets to run anything.
pub(crate) fn install(directory: &str) -> Result<(), String> {
    let (lock, installed) = lock_files(directory);
    let ci = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(ci).current_dir(workspace().join(directory)))?;
    // Copied last, so that an installation that broke off is begun again.
    copy(&lock, &installed).map_err(|error| format!("cannot write {}: {error}", installed.display()))
}

/// The lock file, and the copy of it that tells what is installed.
fn lock_files(directory: &str) -> (PathBuf, PathBuf) {
    let directory = workspace().join(directory);
    (directory.join("package-lock.json"), directory.join("node_modules/.installed-lock.json"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_node_does_not_do() {
        for (said, fits) in [
            ("v20.19.0", true),
            ("v24.1.0", true),
            ("v20.18.3", false),
            ("v18.20.4", false),
            ("", false),
            ("v20", false),
        ] {
            assert_eq!(is_new_enough(said), fits, "{said:?}");
        }
    }

    #[test]
    fn a_directory_without_a_lock_file_is_not_installed() {
        assert!(!is_installed("no-such-directory"));
    }
}
