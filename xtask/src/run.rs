//! Running one program in the workspace, its output streaming through.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

/// The cargo that runs us, so that a pinned or wrapped one stays in use.
pub(crate) fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// Runs cargo at the top of the workspace and passes its exit status on.
pub(crate) fn run_cargo(args: &[&str], more: &[String]) -> Result<ExitCode, String> {
    run(Command::new(cargo()).args(args).args(more).current_dir(workspace()))
}

/// Runs a command and passes its exit status on.
pub(crate) fn run(command: &mut Command) -> Result<ExitCode, String> {
    let program = command.get_program().to_owned();
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    // A child that a signal ended has no code; that is a failure too.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The top of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
