//! The console in a real browser. The flows are in `tests/console`, for Node.js and Chromium; here they get the built server.

use std::{path::Path, process::Command};

#[test]
fn people_can_do_everything_in_the_console() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/console");
    assert!(
        directory.join("node_modules/playwright-core").is_dir(),
        "{} lacks its packages; `cargo xtask test` installs them",
        directory.display()
    );
    let output = Command::new("node")
        .args(["--test", "--test-concurrency=2"])
        .current_dir(&directory)
        .env("OFFSHOOT_BINARY", env!("CARGO_BIN_EXE_offshoot"))
        .output()
        .expect("Node.js runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // A run that found no tests would succeed too.
    assert!(!said.contains("\n# tests 0\n"), "{said}");
}
