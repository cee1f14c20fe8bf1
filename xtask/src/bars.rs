//! `cargo xtask bars`: the speed bars, as ratios within one run. Not part of `.ci/run`.

use crate::run::run_cargo;
use std::process::ExitCode;

pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    run_cargo(&["run", "--release", "--package", "offshoot-benches", "--bin", "bars", "--"], args)
}
