//! Python, and directories of the workspace with a `requirements.txt`.

use super::{output, run};
use crate::run::workspace;
use std::{fs, path::PathBuf, process::Command};

/// Tells whether it is new enough for the client, and has what makes an environment with a package manager in it.
const LOOK: &str = "import ensurepip, sys, venv; print(sys.version_info >= (3, 10))";

/// Whether a Python that is new enough can be run.
pub(crate) fn python_is_there() -> bool {
    output("python3", &["-c", LOOK]).as_deref() == Some("True")
}

/// Whether what the requirements of `directory` (below the workspace) name is installed there.
pub(crate) fn is_installed(directory: &str) -> bool {
    let Environment { requirements, installed, .. } = Environment::of(directory);
    matches!((fs::read(requirements), fs::read(installed)), (Ok(requirements), Ok(installed)) if requirements == installed)
}

/// Installs exactly what the requirements of `directory` name, each file with one of the hashes there, into an environment of its own.
/// No package gets to run anything.
pub(crate) fn install(directory: &str) -> Result<(), String> {
    let Environment { home, requirements, installed } = Environment::of(directory);
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(Command::new(home.join("bin/python"))
        .args(pip)
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements))?;
    // Copied last, so that an installation that broke off is begun again.
    fs::copy(&requirements, &installed)
        .map(drop)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()))
}

struct Environment {
    home: PathBuf,
    requirements: PathBuf,
    /// The copy of the requirements that tells what is installed.
    installed: PathBuf,
}

impl Environment {
    fn of(directory: &str) -> Self {
        let directory = workspace().join(directory);
        let home = directory.join(".venv");
        Self {
            requirements: directory.join("requirements.txt"),
            installed: home.join("installed-requirements.txt"),
            home,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_requirements_is_not_installed() {
        assert!(!is_installed("no-such-directory"));
    }
}
