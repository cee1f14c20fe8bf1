//! Packages of a Debian system, where we may install them.

use super::{answers, output, run};
use std::process::Command;

/// Installs packages, as root on a system that has `apt-get`.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    if output("id", &["-u"]).as_deref() != Some("0") || !answers("apt-get") {
        return Err("only root on a Debian system can have it installed from here".into());
    }
    run(Command::new("apt-get").args(["--quiet", "update"]))?;
    let install = ["--quiet", "--yes", "--no-install-recommends", "install"];
    run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install).args(packages))
}
