//! Starting and ending: keys, files, signals, crashes.

use crate::common::{Client, KEY, Server, ServerCommand, TestResult, text};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
};

fn mode(path: &Path) -> std::io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn healthz_answers_without_a_key() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    assert_eq!(server.client_without_key().healthz()?, 200);
    Ok(())
}

#[test]
fn both_signals_end_the_server_with_success_and_it_prints_one_line_only() -> TestResult {
    let dir = tempfile::tempdir()?;
    for end in [Server::terminate, Server::interrupt] {
        let ended = end(Server::start(dir.path()));
        assert!(ended.status.success(), "{}", ended.log);
        assert_eq!(ended.printed, "");
    }
    Ok(())
}

#[test]
fn a_generated_key_is_in_a_private_file_and_valid() -> TestResult {
    let dir = tempfile::tempdir()?;
    let data_dir = dir.path().join("new");
    let server = ServerCommand::new(&data_dir).without_key().start();
    let file = data_dir.join("api-key");
    assert_eq!((mode(&data_dir)?, mode(&file)?), (0o700, 0o600));
    let key = fs::read_to_string(&file)?;
    server.client_with(key.trim()).get("/projects");
    let ended = server.terminate();
    assert!(ended.log.contains(&file.display().to_string()), "the log says where: {}", ended.log);
    assert!(!ended.log.contains(key.trim()));

    // The next start neither makes another key nor forgets this one.
    let server = ServerCommand::new(&data_dir).without_key().start();
    server.client_with(key.trim()).get("/projects");
    assert_eq!(fs::read_to_string(&file)?, key);
    Ok(())
}

#[test]
fn a_generated_key_is_shown_once_on_a_terminal_and_not_written() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = ServerCommand::new(dir.path()).without_key().start_on_terminal();
    let printed = server.printed_before();
    assert!(printed.starts_with("API key, shown only this once:"), "{printed}");
    let key = printed.split_whitespace().last().unwrap_or_default().to_owned();
    server.client_with(&key).get("/projects");
    let ended = server.terminate();
    assert!(!ended.log.contains(&key) && !dir.path().join("api-key").exists());

    let server = ServerCommand::new(dir.path()).without_key().start_on_terminal();
    assert_eq!(server.printed_before(), "");
    server.client_with(&key).get("/projects");
    Ok(())
}

#[test]
fn every_file_in_the_data_directory_is_private() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = ServerCommand::new(dir.path()).without_key().start();
    let mut open = vec![server.data_dir().to_owned()];
    while let Some(path) = open.pop() {
        let closed = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path)?, closed, "{}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[test]
fn a_start_that_could_not_show_its_key_does_not_lock_the_operator_out() -> TestResult {
    let dir = tempfile::tempdir()?;
    let obstacle = dir.path().join("api-key");
    fs::create_dir(&obstacle)?;
    let output = ServerCommand::new(dir.path()).without_key().fail();
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("error: cannot write the API key to"), "{said}");

    fs::remove_dir(&obstacle)?;
    let server = ServerCommand::new(dir.path()).without_key().start();
    server.client_with(fs::read_to_string(&obstacle)?.trim()).get("/projects");
    Ok(())
}

#[test]
fn a_key_from_the_environment_that_is_too_weak_is_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let output = ServerCommand::new(dir.path()).env("OFFSHOOT_API_KEY", "short").fail();
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("error: OFFSHOOT_API_KEY cannot be the first key: an API key of one's own has 24"), "{said}");
    // The directory is as good as new.
    let server = Server::start(dir.path());
    assert_eq!(server.printed_before(), "");
    server.client().get("/projects");
    Ok(())
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let output = ServerCommand::new(dir.path()).fail();
    let said = String::from_utf8(output.stderr)?;
    let line = said.lines().last().unwrap_or_default();
    assert!(
        line.starts_with("error: cannot open the store in ") && line.contains(&dir.path().display().to_string()),
        "{said}"
    );
    server.client().get("/projects");
    Ok(())
}

#[test]
fn an_address_in_use_is_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let output = ServerCommand::new(dir.path()).arg("--listen").arg(&address).fail();
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(&format!("error: cannot listen on {address}: ")), "{said}");
    Ok(())
}

#[test]
fn a_memory_server_forgets_and_needs_a_key_where_there_is_no_terminal() -> TestResult {
    let dir = tempfile::tempdir()?;
    let data_dir = dir.path().join("never-made");
    let memory = || ServerCommand::new(&data_dir).arg("--store").arg("memory");
    let output = memory().without_key().fail();
    assert!(String::from_utf8(output.stderr)?.contains("set OFFSHOOT_API_KEY"));
    memory().start().client().create_project();
    assert_eq!(memory().start().client().get("/projects")["projects"], json!([]));
    assert!(!data_dir.exists());
    Ok(())
}

#[test]
fn what_was_there_is_there_after_a_restart() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let (_, main) = server.client().create_project();
    server.client().create_role(&main, "sally");
    let before = server.client().get(&format!("{main}/roles"));
    server.terminate();
    let server = Server::start(dir.path());
    assert_eq!(server.client().get(&format!("{main}/roles")), before);
    Ok(())
}

/// Creates roles until the server is gone, and reports each one that was acknowledged.
fn create_until_gone(client: &Client, roles: &str, prefix: &str, acknowledged: &Sender<String>) -> u32 {
    for sent in 1.. {
        let name = format!("{prefix}-{sent}");
        let body = json!({ "role": { "name": name } }).to_string();
        match client.send("POST", roles, Some(&body)) {
            Ok(answer) => {
                assert_eq!(answer.status, 201, "{}", answer.body);
                // The test may have heard enough already.
                let _ = acknowledged.send(name);
            }
            Err(_) => return sent,
        }
    }
    0
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_there_after_it() -> TestResult {
    const THREADS: usize = 4;
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path());
    let (created, main) = server.client().create_project();
    let roles = format!("{main}/roles");
    let mut expected = BTreeSet::from(["casey".to_owned(), "web_access".to_owned()]);
    for round in 0..5 {
        let (acknowledge, acknowledged) = channel();
        let writers: Vec<_> = (0..THREADS)
            .map(|writer| {
                let (client, roles, acknowledge) = (server.client(), roles.clone(), acknowledge.clone());
                thread::spawn(move || create_until_gone(&client, &roles, &format!("r{round}-{writer}"), &acknowledge))
            })
            .collect();
        drop(acknowledge);
        expected.extend(acknowledged.iter().take(20 + 10 * round));
        server.kill();
        let sent: u32 = writers.into_iter().map(|writer| writer.join().expect("a writer ends")).sum();
        expected.extend(acknowledged.iter());

        server = Server::start(dir.path());
        let found: BTreeSet<String> = server.client().role_names(&main).into_iter().collect();
        let lost: Vec<_> = expected.difference(&found).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        // What was in flight may be there too, at most one per writer.
        assert!(found.len() <= expected.len() + THREADS, "{} roles of {sent} sent in round {round}", found.len());
        expected = found;
    }
    // The restarted server finishes the operations that the killed ones left.
    let listed = server.client().poll_until_settled(&text(&created["project"]["id"]));
    assert!(listed["operations"].as_array().is_some_and(|all| all.len() >= expected.len()));
    Ok(())
}

#[test]
fn no_secret_is_in_the_log() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = ServerCommand::new(dir.path()).env("OFFSHOOT_LOG", "trace").start();
    let client = server.client();
    let (created, main) = client.create_project();
    let role = client.create_role(&main, "sally");
    let reset = client.expect(200, "POST", &format!("{main}/roles/sally/reset_password"), None);
    server.client_with("osk_a-wrong-key-0123456789").send("GET", "/projects", None)?;
    let log = server.terminate().log;
    assert!(log.contains("/roles/sally"), "requests are logged: {log}");
    let passwords = [&created["roles"][0], &role["role"], &reset["role"]].map(|role| text(&role["password"]));
    let keys = [KEY.to_owned(), "osk_a-wrong-key-0123456789".to_owned(), "SCRAM-SHA-256$".to_owned()];
    for secret in passwords.iter().chain(&keys) {
        assert!(!log.contains(secret.as_str()), "a secret is in the log");
    }
    Ok(())
}
