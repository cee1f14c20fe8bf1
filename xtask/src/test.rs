//! `cargo xtask test`: names what is missing, then runs every test.

use crate::run::{cargo, run_cargo};
use std::process::{Command, ExitCode, Stdio};

/// A program without which some test could not run.
struct Need {
    program: String,
    /// What it is for, and how to get it.
    advice: &'static str,
}

/// All that the tests need. The Rust toolchain and the C compiler that it links with are enough today; what comes to need
/// more (a PostgreSQL server, say) adds its line here, so that nobody finds out by a failing test.
fn needs() -> Vec<Need> {
    vec![
        Need { program: cargo(), advice: "builds everything; install it from https://rustup.rs" },
        Need { program: "rustc".into(), advice: "compiles everything; install it from https://rustup.rs" },
        Need {
            program: "cc".into(),
            advice: "links everything, and compiles what is in C; on Debian: apt-get install gcc",
        },
    ]
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let missing: Vec<String> = needs().iter().filter(|need| !is_there(need)).map(describe).collect();
    if !missing.is_empty() {
        return Err(format!("the tests need what is not installed:\n{}", missing.join("\n")));
    }
    run_cargo(&["test", "--workspace", "--all-features"], args)
}

fn describe(need: &Need) -> String {
    format!("  {}: {}", need.program, need.advice)
}

fn is_there(need: &Need) -> bool {
    Command::new(&need.program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_program_is_named() {
        let need = Need { program: "offshoot-no-such-program".into(), advice: "cannot be had" };
        assert!(!is_there(&need));
        assert_eq!(describe(&need), "  offshoot-no-such-program: cannot be had");
    }

    #[test]
    fn the_toolchain_is_all_that_is_needed() {
        assert!(needs().iter().all(is_there));
    }
}
