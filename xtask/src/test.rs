//! `cargo xtask test`: gets what is missing or names it, then runs every test.

use crate::{needs, run::run_cargo};
use std::process::ExitCode;

pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    needs::meet(&needs::all())?;
    run_cargo(&["test", "--workspace", "--all-features"], args)
}
