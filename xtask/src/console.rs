//! `cargo xtask screenshots` and `cargo xtask blocking`: the console in a browser, outside of the tests.

use crate::{
    needs,
    run::{run, run_cargo, workspace},
};
use std::{
    env,
    process::{Command, ExitCode},
};

/// Takes the pictures of `docs/console`.
pub(crate) fn screenshots() -> Result<ExitCode, String> {
    needs::meet(&[needs::node(), needs::chromium(), needs::console(), needs::pngquant()])?;
    run_script("screenshots.js")
}

/// Measures how long the console's pages block with many branches.
pub(crate) fn blocking() -> Result<ExitCode, String> {
    needs::meet(&[needs::node(), needs::chromium(), needs::console()])?;
    run_script("blocking.js")
}

/// Runs a script of `tests/console` with a server that is as the sources are.
fn run_script(script: &str) -> Result<ExitCode, String> {
    let built = run_cargo(&["build", "--package", "offshoot"], &[])?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    // Cargo puts the workspace's binaries side by side.
    let this = env::current_exe().map_err(|error| format!("cannot find the built server: {error}"))?;
    let directory = workspace().join("tests/console");
    run(Command::new("node").arg(script).current_dir(directory).env("OFFSHOOT_BINARY", this.with_file_name("offshoot")))
}
