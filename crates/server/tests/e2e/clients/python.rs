//! `neon-api`: all of its methods. The walk itself is `tests/clients/neon_api_walk.py`.

use super::python;
use crate::common::{KEY, ServerCommand, TestResult, cli};

#[test]
fn the_python_client_does_all_that_it_can() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = ServerCommand::new(&dir.path().join("data")).start();
    let mut command = python("neon_api_walk.py", dir.path());
    command.env("BASE_URL", format!("{}/api/v2", server.url())).env("API_KEY", KEY).env("PYTHONDONTWRITEBYTECODE", "1");
    let said = cli::run(&mut command).expect(0);
    assert!(said.contains("methods"), "{said}");
    Ok(())
}
