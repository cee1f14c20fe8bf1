//! The control socket: whose it is, when it is there, and what a dump through it does when somebody goes away.

use crate::common::{
    KEY, Server, ServerCommand, TestResult,
    cli::{command, names_in, offshoot, wait},
};
use offshoot_engine::{Engine, NamespaceId, SledOptions, SledStore, dump::verify};
use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
    process::Child,
};

/// More than fits into all that lies between a server and a client that takes nothing.
fn fill(data_dir: &Path) -> TestResult {
    let store = SledStore::open(data_dir, &SledOptions::default())?;
    let engine = Engine::open(store, offshoot_engine::Options::default())?;
    for part in 0..8_u8 {
        engine.transact(|tx| {
            let branch = tx.create_branch(NamespaceId::SYSTEM)?;
            (0..64_u8).try_for_each(|number| tx.put(branch, &[part, number], &[number; 16_000]))
        })?;
    }
    Ok(())
}

/// A dump to standard output that has begun, and goes on only when that is read.
fn stalled_dump(data_dir: &Path) -> Child {
    let mut child = command([OsStr::new("dump"), data_dir.as_ref(), "-".as_ref()]).spawn().expect("the binary starts");
    let mut first = [0; 8];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("the dump begins");
    assert_eq!(&first, b"OFFSDUMP");
    child
}

#[test]
fn the_socket_is_for_its_owner_and_gone_after_a_clean_end() -> TestResult {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("control.sock");
    for _ in 0..2 {
        let server = Server::start(dir.path());
        let there = fs::symlink_metadata(&socket)?;
        assert!(there.file_type().is_socket());
        assert_eq!(there.permissions().mode() & 0o777, 0o600);
        server.terminate();
        assert!(!socket.exists());
    }
    Ok(())
}

#[test]
fn a_killed_servers_socket_is_no_obstacle() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, socket) = (dir.path().join("data"), dir.path().join("data/control.sock"));
    Server::start(&data).kill();
    assert!(socket.exists());
    // Without a server the dump is of the directory itself.
    offshoot([OsStr::new("dump"), data.as_ref(), dir.path().join("one").as_ref()]).expect(0);
    let server = Server::start(&data);
    offshoot([OsStr::new("dump"), data.as_ref(), dir.path().join("two").as_ref()]).expect(0);
    server.terminate();
    assert!(!socket.exists());
    Ok(())
}

#[test]
fn a_server_in_memory_has_no_socket() -> TestResult {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("never-made");
    let server = ServerCommand::new(&data).arg("--store").arg("memory").start();
    server.client().get("/projects");
    assert!(!data.exists());
    Ok(())
}

#[test]
fn a_directory_with_a_long_name_works_as_well() -> TestResult {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("x".repeat(150));
    let server = Server::start(&data);
    offshoot([OsStr::new("dump"), data.as_ref(), dir.path().join("backup").as_ref()]).expect(0);
    assert!(data.join("control.sock").exists());
    server.terminate();
    assert!(!data.join("control.sock").exists());
    Ok(())
}

#[test]
fn a_server_that_cannot_have_a_socket_goes_on_without_one() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, obstacle) = (dir.path().join("data"), dir.path().join("data/control.sock"));
    fs::create_dir(&data)?;
    fs::write(&obstacle, "not a socket")?;
    let server = Server::start(&data);
    server.client().get("/projects");
    let said = offshoot([OsStr::new("dump"), data.as_ref(), dir.path().join("backup").as_ref()]).expect(1);
    assert!(said.contains("is in use by ") && said.contains("nobody answers on its control socket"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(server.terminate().log.contains("cannot make the control socket"));
    assert_eq!(fs::read_to_string(&obstacle)?, "not a socket");
    assert_eq!(names_in(dir.path()), ["data"]);
    Ok(())
}

#[test]
fn a_dump_whose_server_is_killed_fails_and_says_so() -> TestResult {
    let dir = tempfile::tempdir()?;
    fill(dir.path())?;
    let server = Server::start(dir.path());
    let dump = stalled_dump(dir.path());
    server.kill();
    let done = wait(dump);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.starts_with("error: the dump ended before it was whole"), "{}", done.said);
    assert!(verify(&[b"OFFSDUMP", &done.printed[..]].concat()[..], &mut |_| {}).is_err());
    Ok(())
}

#[test]
fn a_server_that_is_stopped_does_not_wait_for_a_dump_for_long() -> TestResult {
    let dir = tempfile::tempdir()?;
    fill(dir.path())?;
    let server = Server::start(dir.path());
    let dump = stalled_dump(dir.path());
    let ended = server.terminate();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(ended.log.contains("leaving them") && !ended.log.contains("panicked"), "{}", ended.log);
    assert_eq!(wait(dump).status, 1);
    assert!(!dir.path().join("control.sock").exists());
    Ok(())
}

#[test]
fn a_client_that_goes_away_ends_its_dump_and_nothing_else() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, file) = (dir.path().join("data"), dir.path().join("backup"));
    fill(&data)?;
    let server = Server::start(&data);
    let mut dump = stalled_dump(&data);
    dump.kill().expect("the dump runs");
    dump.wait().expect("the dump ends");
    // Another client is served, and writers are.
    offshoot([OsStr::new("dump"), data.as_ref(), file.as_ref()]).expect(0);
    verify(fs::File::open(&file)?, &mut |_| {})?;
    server.client().create_project();
    let log = server.terminate().log;
    assert!(log.contains("a dump ended early") && !log.contains("leaving them"), "{log}");
    Ok(())
}

#[test]
fn nothing_else_is_behind_the_socket() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    for path in ["/", "/healthz", "/api/v2/projects"] {
        let mut stream = UnixStream::connect(dir.path().join("control.sock"))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    server.client().get("/projects");
    Ok(())
}
