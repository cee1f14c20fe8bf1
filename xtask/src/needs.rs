//! What the tests need besides themselves: how to find out whether it is there, how to get it, and what to say where neither helps.
//!
//! Whatever comes to need more adds an entry to [`all`], after those that its installation relies on.

mod apt;
mod npm;
mod python;

use crate::run::cargo;
use std::process::{Command, Stdio};

/// Something that some test cannot do without.
pub(crate) struct Need {
    /// What it is.
    name: &'static str,
    /// What it is for, and how a person gets it.
    advice: &'static str,
    /// Whether it is there, and can be used.
    look: fn() -> bool,
    /// How to get it; nothing where that is for a person to decide. Looked for again afterwards.
    install: Option<fn() -> Result<(), String>>,
}

/// All that the tests need.
pub(crate) fn all() -> Vec<Need> {
    vec![
        Need {
            name: "cargo",
            advice: "builds everything; install it from https://rustup.rs",
            look: || answers(&cargo()),
            install: None,
        },
        Need {
            name: "rustc",
            advice: "compiles everything; install it from https://rustup.rs",
            look: || answers("rustc"),
            install: None,
        },
        Need {
            name: "cc",
            advice: "links everything, and compiles what is in C; on Debian: apt-get install gcc",
            look: || answers("cc"),
            install: None,
        },
        node(),
        Need {
            name: "PostgreSQL 14 or newer: initdb, postgres and psql",
            advice: "is what roles are made true in; on Debian: apt-get install postgresql",
            look: postgres_is_there,
            install: Some(|| apt::install(&["postgresql"])),
        },
        Need {
            name: "the API's clients",
            advice: "are tested against the server; to install them: npm ci --ignore-scripts, in tests/clients",
            look: || npm::is_installed("tests/clients"),
            install: Some(|| npm::install("tests/clients")),
        },
        Need {
            name: "Python 3.10 or newer, with venv",
            advice: "runs the API's Python client; on Debian: apt-get install python3 python3-venv",
            look: python::python_is_there,
            install: Some(|| apt::install(&["python3", "python3-venv"])),
        },
        Need {
            name: "the API's Python client",
            advice: "is tested against the server; it is installed from PyPI into tests/clients/.venv, as tests/clients/requirements.txt says",
            look: || python::is_installed("tests/clients"),
            install: Some(|| python::install("tests/clients")),
        },
        chromium(),
        console(),
    ]
}

/// What runs JavaScript outside of a browser.
pub(crate) fn node() -> Need {
    Need {
        name: "Node.js 20.19 or newer, with npm",
        advice: "runs the API's clients and the console's tests; install it from https://nodejs.org, or where the system's is new enough: apt-get install nodejs npm",
        look: npm::node_is_there,
        install: Some(|| apt::install(&["nodejs", "npm"])),
    }
}

/// The browser that the console is tried in.
pub(crate) fn chromium() -> Need {
    Need {
        name: "Chromium",
        advice: "shows the console; on Debian: apt-get install chromium (OFFSHOOT_CHROMIUM names it where it is not /usr/bin/chromium)",
        look: || answers(&browser()),
        install: Some(|| apt::install(&["chromium"])),
    }
}

/// The packages of `tests/console`.
pub(crate) fn console() -> Need {
    Need {
        name: "what drives Chromium",
        advice: "tries the console as a person does; to install it: npm ci --ignore-scripts, in tests/console",
        look: || npm::is_installed("tests/console"),
        install: Some(|| npm::install("tests/console")),
    }
}

/// What makes the pictures of the documents small.
pub(crate) fn pngquant() -> Need {
    Need {
        name: "pngquant",
        advice: "makes the pictures small; on Debian: apt-get install pngquant",
        look: || answers("pngquant"),
        install: Some(|| apt::install(&["pngquant"])),
    }
}

/// Gets what is missing and can be got.
///
/// # Errors
///
/// Names what is missing still, each with its advice.
pub(crate) fn meet(needs: &[Need]) -> Result<(), String> {
    let missing: Vec<String> = needs.iter().filter_map(|need| need.meet().err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("the tests need what is not installed:\n{}", missing.join("\n")))
}

impl Need {
    fn meet(&self) -> Result<(), String> {
        if (self.look)() {
            return Ok(());
        }
        let why = match self.install {
            None => None,
            Some(install) => {
                eprintln!("installing {}", self.name);
                install().err()
            }
        };
        if (self.look)() {
            return Ok(());
        }
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        Err(format!("  {}: {}{why}", self.name, self.advice))
    }
}

/// The program that shows the console.
fn browser() -> String {
    std::env::var("OFFSHOOT_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into())
}

/// Whether PostgreSQL's programs are on the search path, or where packages put those that aren't.
fn postgres_is_there() -> bool {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let packaged = packaged.map(|version| format!("{}/bin/", version.path().display()));
    let mut dirs = packaged.chain([String::new()]);
    let server = dirs.any(|dir| answers(&format!("{dir}initdb")) && answers(&format!("{dir}postgres")));
    server && answers("psql")
}

/// Whether a program can be run.
fn answers(program: &str) -> bool {
    output(program, &["--version"]).is_some()
}

/// What a program prints, where it can be run and succeeds.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command to its end; what it prints goes to standard error.
fn run(command: &mut Command) -> Result<(), String> {
    let named = format!("{command:?}");
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{named} failed: {status}")),
        Err(error) => Err(format!("cannot run {named}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Need =
        Need { name: "no-such-thing", advice: "cannot be had", look: || answers("no-such-thing"), install: None };

    #[test]
    fn what_is_missing_is_named_with_its_advice() {
        let there = Need { name: "there", advice: "", look: || true, install: Some(|| Err("not called".into())) };
        let said = meet(&[there, ABSENT]).unwrap_err();
        assert_eq!(said, "the tests need what is not installed:\n  no-such-thing: cannot be had");
    }

    #[test]
    fn an_installation_that_brought_nothing_is_told_with_its_reason() {
        let failing = Need { install: Some(|| Err("no network".into())), ..ABSENT };
        assert!(meet(&[failing]).unwrap_err().ends_with("cannot be had (no network)"));
        assert!(meet(&[Need { install: Some(|| Ok(())), ..ABSENT }]).is_err());
    }

    #[test]
    fn what_can_be_installed_is_there_afterwards() -> Result<(), String> {
        use std::sync::atomic::{AtomicBool, Ordering};
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        let need = Need {
            look: || INSTALLED.load(Ordering::SeqCst),
            install: Some(|| {
                INSTALLED.store(true, Ordering::SeqCst);
                Ok(())
            }),
            ..ABSENT
        };
        meet(&[need])
    }
}
