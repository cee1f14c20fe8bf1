//! `offshoot dump` and `offshoot load`: nothing is lost on the way, and nothing half is taken for whole.

use crate::common::{
    Client, KEY, Server, ServerCommand, TestResult,
    cli::{Done, command, names_in, offshoot, wait},
    text,
};
use offshoot_engine::dump::{DumpInfo, verify};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

pub(crate) fn dump(from: &Path, to: &Path) -> Done {
    offshoot([OsStr::new("dump"), from.as_ref(), to.as_ref()])
}

pub(crate) fn load(from: &Path, to: &Path) -> Done {
    offshoot([OsStr::new("load"), from.as_ref(), to.as_ref()])
}

fn info(dump: &Path) -> Result<DumpInfo, Box<dyn std::error::Error>> {
    Ok(verify(File::open(dump)?, &mut |_| {})?)
}

/// A closed data directory with a project in which something was done; gives the path of its root branch.
pub(crate) fn used_data_dir(path: &Path) -> String {
    let server = Server::start(path);
    let client = server.client();
    let (created, main) = client.create_project();
    client.create_role(&main, "sally");
    client.create_branch(&text(&created["project"]["id"]), json!({ "name": "child" }));
    client.poll_until_settled(&text(&created["project"]["id"]));
    assert!(server.terminate().status.success());
    main
}

/// What a client sees of a project's branches.
fn seen(client: &Client, branches: &[String]) -> Vec<Value> {
    let lists =
        branches.iter().flat_map(|branch| ["roles", "databases", "endpoints"].map(|of| format!("{branch}/{of}")));
    lists.chain(branches.iter().cloned()).map(|path| client.get(&path)).collect()
}

#[test]
fn a_dump_of_a_stopped_server_holds_everything() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (old, file, new) = (dir.path().join("old"), dir.path().join("backup"), dir.path().join("new"));
    let main = used_data_dir(&old);
    let told = dump(&old, &file).expect(0);
    let of_old = info(&file)?;
    assert!(
        told.contains(&format!("{} entries", of_old.entries)) && told.contains(&format!("commit {}", of_old.sequence))
    );
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    load(&file, &new).expect(0);
    assert_eq!(fs::metadata(&new)?.permissions().mode() & 0o777, 0o700);
    assert_eq!(names_in(dir.path()), ["backup", "new", "old"], "nothing else is left");

    // Keys, roles, verifiers and all else: byte for byte.
    let again = dir.path().join("again");
    dump(&new, &again).expect(0);
    let of_new = info(&again)?;
    assert_eq!((of_new.entries, of_new.digest, of_new.sequence), (of_old.entries, of_old.digest, of_old.sequence));
    let (old, new) = (Server::start(&old), ServerCommand::new(&new).without_key().start());
    let branches = [main];
    assert_eq!(seen(&old.client(), &branches), seen(&new.client(), &branches));
    // And it is a store to go on with.
    new.client().create_role(&branches[0], "tom");
    Ok(())
}

/// Creates roles on one branch until it is told to stop; counts those that were acknowledged.
fn write_until(client: &Client, branch: &str, acknowledged: &AtomicUsize, is_over: &AtomicBool) {
    for number in 0.. {
        if is_over.load(Ordering::Acquire) {
            return;
        }
        client.create_role(branch, &format!("r-{number}"));
        acknowledged.store(number + 1, Ordering::Release);
    }
}

#[test]
fn a_dump_of_a_running_server_is_of_one_moment_and_lacks_nothing_acknowledged_before() -> TestResult {
    const WRITERS: usize = 4;
    let dir = tempfile::tempdir()?;
    let (old, file, new) = (dir.path().join("old"), dir.path().join("backup"), dir.path().join("new"));
    let server = Server::start(&old);
    let client = server.client();
    let (created, main) = client.create_project();
    let project = text(&created["project"]["id"]);
    let branches: Vec<String> = (0..WRITERS).map(|_| client.create_branch(&project, json!({})).1).collect();
    let acknowledged: Vec<AtomicUsize> = branches.iter().map(|_| AtomicUsize::new(0)).collect();
    let is_over = AtomicBool::new(false);
    let before = thread::scope(|scope| {
        for (branch, acknowledged) in branches.iter().zip(&acknowledged) {
            let client = server.client();
            let is_over = &is_over;
            scope.spawn(move || write_until(&client, branch, acknowledged, is_over));
        }
        let counts = || acknowledged.iter().map(|count| count.load(Ordering::Acquire)).collect::<Vec<_>>();
        while counts().iter().any(|count| *count < 10) {
            thread::yield_now();
        }
        let before = counts();
        let done = dump(&old, &file);
        is_over.store(true, Ordering::Release);
        done.expect(0);
        before
    });
    load(&file, &new).expect(0);
    let copy = ServerCommand::new(&new).without_key().start();
    for (branch, before) in branches.iter().zip(before) {
        let (live, copied) = (client.get(&format!("{branch}/roles")), copy.client().get(&format!("{branch}/roles")));
        let (live, copied) = (live["roles"].as_array().expect("a list"), copied["roles"].as_array().expect("a list"));
        // What every branch begins with, and a role after the other: each state of it is a beginning of the newest.
        let first = client.role_names(&main).len();
        assert!(copied.len() >= first + before, "{} of {before} acknowledged roles", copied.len() - first);
        assert_eq!(copied[..], live[..copied.len()]);
    }
    let main = [main];
    assert_eq!(seen(&client, &main), seen(&copy.client(), &main));
    Ok(())
}

#[test]
fn a_damaged_dump_is_refused_and_no_directory_made() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (old, file, new) = (dir.path().join("old"), dir.path().join("backup"), dir.path().join("new"));
    used_data_dir(&old);
    dump(&old, &file).expect(0);
    let whole = fs::read(&file)?;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (bytes, what) in [
        (&whole[..whole.len() - 1], "is damaged at byte"),
        (&whole[..100], "is damaged at byte"),
        (&flipped, "is damaged at byte"),
        (&b"something else"[..], "is not a dump"),
    ] {
        fs::write(&file, bytes)?;
        let said = load(&file, &new).expect(1);
        assert!(said.starts_with("error: cannot load ") && said.contains(what), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(names_in(dir.path()), ["backup", "old"]);
    }
    let said = load(&dir.path().join("missing"), &new).expect(1);
    assert!(said.contains("missing") && said.contains("No such file"), "{said}");
    Ok(())
}

#[test]
fn a_directory_that_is_in_use_is_not_loaded_into() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (old, file) = (dir.path().join("old"), dir.path().join("backup"));
    used_data_dir(&old);
    dump(&old, &file).expect(0);
    let before = names_in(&old);
    let said = load(&file, &old).expect(1);
    assert!(said.contains("is not empty; give a directory that is missing or empty"), "{said}");
    assert_eq!(names_in(&old), before);
    // An empty one is as good as a missing one.
    let empty = dir.path().join("empty");
    fs::create_dir(&empty)?;
    load(&file, &empty).expect(0);
    Ok(())
}

#[test]
fn a_file_that_exists_is_replaced_only_by_force() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (old, file) = (dir.path().join("old"), dir.path().join("backup"));
    used_data_dir(&old);
    fs::write(&file, "the only backup")?;
    let said = dump(&old, &file).expect(1);
    assert!(said.contains("exists already; give another name, or --force"), "{said}");
    assert_eq!(fs::read_to_string(&file)?, "the only backup");
    offshoot([OsStr::new("dump"), "--force".as_ref(), old.as_ref(), file.as_ref()]).expect(0);
    info(&file)?;
    assert_eq!(names_in(dir.path()), ["backup", "old"]);
    Ok(())
}

#[test]
fn standard_output_gets_the_same_dump_and_nothing_else() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (old, file) = (dir.path().join("old"), dir.path().join("backup"));
    used_data_dir(&old);
    dump(&old, &file).expect(0);
    let stopped = dump(&old, Path::new("-"));
    assert!(stopped.printed == fs::read(&file)?, "{}", stopped.said);
    assert!(stopped.said.starts_with("standard output: "), "{}", stopped.said);
    let server = Server::start(&old);
    let running = dump(&old, Path::new("-"));
    assert!(running.printed == stopped.printed, "{}", running.said);
    server.terminate();
    Ok(())
}

#[test]
fn a_dump_that_cannot_be_written_says_why_and_leaves_nothing() -> TestResult {
    let dir = tempfile::tempdir()?;
    let old = dir.path().join("old");
    used_data_dir(&old);
    let to_full_disk = || -> Result<Done, std::io::Error> {
        let mut command = command([OsStr::new("dump"), old.as_ref(), "-".as_ref()]);
        let child = command.stdout(Stdio::from(File::create("/dev/full")?)).spawn()?;
        Ok(wait(child))
    };
    let full = "error: cannot write standard output: No space left on device";
    let said = to_full_disk()?.expect(1);
    assert!(said.starts_with(full), "{said}");
    let server = Server::start(&old);
    let said = to_full_disk()?.expect(1);
    assert!(said.starts_with(full), "{said}");
    let said = dump(&old, &dir.path().join("no/such/folder")).expect(1);
    assert!(said.contains("cannot write") && said.contains("No such file"), "{said}");
    server.client().get("/projects");
    assert_eq!(names_in(dir.path()), ["old"]);
    Ok(())
}

#[test]
fn nothing_is_made_where_no_store_was() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (empty, file) = (dir.path().join("empty"), dir.path().join("backup"));
    fs::create_dir(&empty)?;
    for path in [&empty, &dir.path().join("missing")] {
        let said = dump(path, &file).expect(1);
        assert!(said.starts_with("error: there is no store in "), "{said}");
        for command in ["check", "repair"] {
            offshoot([OsStr::new(command), path.as_ref()]).expect(2);
        }
    }
    assert_eq!(names_in(dir.path()), ["empty"]);
    assert_eq!(names_in(&empty), [""; 0]);
    Ok(())
}

#[test]
fn no_secret_is_told_by_a_command() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, file, new) = (dir.path().join("data"), dir.path().join("backup"), dir.path().join("new"));
    let server = ServerCommand::new(&data).env("OFFSHOOT_LOG", "trace").start();
    let (created, main) = server.client().create_project();
    let role = server.client().create_role(&main, "sally");
    let run = |args: [&OsStr; 3]| {
        let mut command = command(args.into_iter().filter(|arg| !arg.is_empty()));
        let output = command.env("OFFSHOOT_LOG", "trace").output().expect("the binary runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let mut told = run(["dump".as_ref(), data.as_ref(), file.as_ref()]);
    told += &server.terminate().log;
    let nothing = OsStr::new("");
    told += &run(["load".as_ref(), file.as_ref(), new.as_ref()]);
    for path in [&data, &new, &file] {
        told += &run(["check".as_ref(), path.as_ref(), nothing]);
    }
    told += &run(["repair".as_ref(), data.as_ref(), nothing]);
    fs::write(new.join("sled/db"), "damaged")?;
    told += &run(["check".as_ref(), new.as_ref(), nothing]);
    told += &run(["dump".as_ref(), new.as_ref(), dir.path().join("second").as_ref()]);
    let passwords = [&created["roles"][0], &role["role"]].map(|role| text(&role["password"]));
    for secret in passwords.iter().map(String::as_str).chain([KEY, "SCRAM-SHA-256$"]) {
        assert!(!told.contains(secret), "a secret is told");
    }
    // Verifiers have to be in a dump; passwords and keys never are.
    let bytes = fs::read(&file)?;
    for secret in passwords.iter().map(String::as_str).chain([KEY]) {
        assert!(!bytes.windows(secret.len()).any(|found| found == secret.as_bytes()), "a secret is in the dump");
    }
    Ok(())
}
