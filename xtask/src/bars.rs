//! `cargo xtask bars`: the speed bars, as ratios within one run. Not part of `.ci/run`.

use crate::run::run_cargo;
use std::process::ExitCode;

/// What both binaries exit with when there is no group of the asked name.
const USAGE: u8 = 2;

/// Measures the groups of bars that are named, of both binaries; each leaves the other's groups to it.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let measure = |package, binary| run_cargo(&["run", "--release", "--package", package, "--bin", binary, "--"], args);
    let bars = measure("offshoot-benches", "bars")?;
    if bars == ExitCode::from(USAGE) {
        return Ok(bars);
    }
    let race = measure("offshoot-peers", "race")?;
    Ok(if bars == ExitCode::SUCCESS { race } else { bars })
}
