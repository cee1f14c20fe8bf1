//! `@neondatabase/api-client`: every method of which the server has the call, or which is known to be of no use here. The walk itself is `tests/clients/api-client.mjs`.

use super::node;
use crate::common::{KEY, ServerCommand, TestResult, cli};

#[test]
fn the_typescript_client_does_all_that_the_server_has_a_call_for() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = ServerCommand::new(&dir.path().join("data")).start();
    let mut command = node("api-client.mjs", dir.path());
    command.env("BASE_URL", format!("{}/api/v2", server.url())).env("API_KEY", KEY);
    let said = cli::run(&mut command).expect(0);
    assert!(said.contains("methods"), "{said}");
    Ok(())
}
