//! The clients of Neon's API, unmodified: its command line tool, and its libraries for TypeScript and Python.

mod library;
mod neonctl;
mod python;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The directory that the clients are installed in.
fn directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in the workspace");
    workspace.join("tests/clients")
}

/// Node.js with one of the scripts in the directory of clients.
fn node(script: &str, home: &Path) -> Command {
    check_installed("node_modules");
    run_with(Path::new("node"), script, home)
}

/// Python with one of the scripts in the directory of clients.
fn python(script: &str, home: &Path) -> Command {
    check_installed(".venv");
    run_with(&directory().join(".venv/bin/python"), script, home)
}

fn check_installed(packages: &str) {
    let packages = directory().join(packages);
    assert!(packages.is_dir(), "{} is missing; `cargo xtask test` installs the API's clients", packages.display());
}

/// A program with a script, in an environment without anybody's settings.
fn run_with(program: &Path, script: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(directory().join(script)).env_clear().current_dir(home);
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", home).env("CI", "true").env("NO_COLOR", "1");
    command
}
