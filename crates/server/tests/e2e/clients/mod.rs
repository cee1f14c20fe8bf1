//! The clients of Neon's API, unmodified: its command line tool and its TypeScript library.

mod library;
mod neonctl;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The directory that the clients are installed in.
fn directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in the workspace");
    workspace.join("tests/clients")
}

/// Node.js with one of the scripts in the directory of clients, in an environment without anybody's settings.
fn node(script: &str, home: &Path) -> Command {
    let script = directory().join(script);
    assert!(
        script.is_file() && directory().join("node_modules").is_dir(),
        "{} is not installed; `cargo xtask test` installs the API's clients",
        script.display()
    );
    let mut command = Command::new("node");
    command.arg(script).env_clear().current_dir(home);
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("HOME", home).env("CI", "true").env("NO_COLOR", "1");
    command
}
