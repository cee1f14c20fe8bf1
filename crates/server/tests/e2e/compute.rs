//! Roles in a real PostgreSQL, by way of the API and psql.

use crate::common::{Client, Server, ServerCommand, TestResult, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;

fn start(data_dir: &Path) -> Server {
    ServerCommand::new(data_dir).arg("--compute=postgres").start()
}

/// What psql prints for a query, or what it complains of.
fn psql(uri: &str, query: &str) -> Result<String, String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", query, uri]);
    let output = psql.stdin(Stdio::null()).output().expect("psql runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The URI with another role and password in it.
fn as_role(uri: &str, role: &str, password: &str) -> String {
    let (_, place) = uri.split_once('@').expect("a URI with a host");
    format!("postgresql://{role}:{password}@{place}")
}

/// Waits until all operations of a project have come to their end.
fn settle(client: &Client, project: &str) {
    let is_final = |operation: &Value| {
        ["finished", "skipped", "cancelled", "error"].contains(&operation["status"].as_str().unwrap_or_default())
    };
    let page = format!("/projects/{project}/operations?limit=1000");
    while !client.get(&page)["operations"].as_array().is_some_and(|all| all.iter().all(is_final)) {
        thread::sleep(Duration::from_millis(50));
    }
}

fn data_of(server_dir: &Path, endpoint: &str) -> PathBuf {
    server_dir.join("pg").join(endpoint).join("data")
}

#[test]
fn a_role_that_the_api_creates_logs_in_with_psql_and_one_that_it_deletes_does_not() -> TestResult {
    let dir = TempDir::with_prefix("offshoot-")?;
    let data_dir = dir.path().join("data");
    let server = ServerCommand::new(&data_dir).arg("--compute=postgres").env("OFFSHOOT_LOG", "trace").start();
    let client = server.client();
    let created = client.expect(201, "POST", "/projects", None);
    let (project, branch) = (text(&created["project"]["id"]), text(&created["branch"]["id"]));
    let endpoint = text(&created["endpoints"][0]["id"]);
    let uri = text(&created["connection_uris"][0]["connection_uri"]);
    let host = text(&created["endpoints"][0]["host"]);
    assert!(host.starts_with(&format!("{endpoint}.localhost:")), "{host}");
    settle(&client, &project);
    assert_eq!(psql(&uri, "SELECT current_user")?, "casey");
    assert_eq!(psql(&uri, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?, "t");
    // The host of the answer leads there, too, where the name is given an address.
    let (_, port) = host.split_once(':').ok_or("no port")?;
    let by_name =
        format!("host={endpoint}.localhost hostaddr=127.0.0.1 port={port} user=casey dbname=neondb sslmode=require");
    let password = text(&created["roles"][0]["password"]);
    assert_eq!(psql(&format!("{by_name} password={password}"), "SELECT 1")?, "1");
    assert!(psql(&uri.replace("sslmode=require", "sslmode=disable"), "SELECT 1").is_err());

    let roles = format!("/projects/{project}/branches/{branch}/roles");
    let sally = client.expect(201, "POST", &roles, Some(json!({ "role": { "name": "sally" } })));
    let first = as_role(&uri, "sally", &text(&sally["role"]["password"]));
    settle(&client, &project);
    assert_eq!(psql(&first, "SELECT current_user")?, "sally");
    let reset = client.expect(200, "POST", &format!("{roles}/sally/reset_password"), None);
    let second = as_role(&uri, "sally", &text(&reset["role"]["password"]));
    settle(&client, &project);
    assert!(psql(&first, "SELECT 1").is_err_and(|error| error.contains("password authentication failed")));
    assert_eq!(psql(&second, "SELECT current_user")?, "sally");
    client.expect(200, "DELETE", &format!("{roles}/sally"), None);
    settle(&client, &project);
    assert!(psql(&second, "SELECT 1").is_err_and(|error| error.contains("password authentication failed")));

    // Nothing was made in SQL, so there is nothing to take over.
    let nothing = client.expect(200, "POST", &format!("{roles}/sync"), None);
    assert_eq!(nothing["result"]["taken_count"], json!(0));

    let log = server.terminate().log;
    assert!(log.contains("compute driver: postgres"), "{log}");
    let passwords = [&created["roles"][0], &sally["role"], &reset["role"]].map(|role| text(&role["password"]));
    for secret in passwords.iter().map(String::as_str).chain(["SCRAM-SHA-256$"]) {
        assert!(!log.contains(secret), "what is applied to the server tells a secret to the log");
    }
    assert!(!data_of(&data_dir, &endpoint).join("postmaster.pid").exists());
    assert!(psql(&uri, "SELECT 1").is_err());

    // It comes back as it was.
    let server = start(&data_dir);
    settle(&server.client(), &project);
    assert_eq!(psql(&uri, "SELECT current_user")?, "casey");
    server.terminate();
    Ok(())
}

#[test]
fn psql_wakes_a_suspended_compute_also_after_the_server_was_killed() -> TestResult {
    let dir = TempDir::with_prefix("offshoot-")?;
    let data_dir = dir.path().join("data");
    let mut server = start(&data_dir);
    let created = server.client().expect(201, "POST", "/projects", None);
    let (project, endpoint) = (text(&created["project"]["id"]), text(&created["endpoints"][0]["id"]));
    let uri = text(&created["connection_uris"][0]["connection_uri"]);
    assert!(uri.contains("sslmode=require"), "{uri}");
    let path = format!("/projects/{project}/endpoints/{endpoint}");
    for round in 0..3 {
        let client = server.client();
        settle(&client, &project);
        client.expect(200, "POST", &format!("{path}/suspend"), None);
        settle(&client, &project);
        assert_eq!(text(&client.get(&path)["endpoint"]["current_state"]), "idle");
        match round {
            0 => {}
            1 => {
                server.kill();
                server = start(&data_dir);
            }
            _ => {
                server.terminate();
                assert!(psql(&uri, "SELECT 1").is_err());
                server = start(&data_dir);
            }
        }
        // The server says that it is ready a moment before it listens for those who sleep.
        while std::net::TcpStream::connect(address(&uri)).is_err() {
            thread::yield_now();
        }
        assert_eq!(psql(&uri, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?, "t");
        let client = server.client();
        settle(&client, &project);
        let newest = client.get(&format!("/projects/{project}/operations?limit=1"));
        let newest = &newest["operations"][0];
        assert_eq!((text(&newest["action"]), text(&newest["status"])), ("start_compute".into(), "finished".into()));
        assert_eq!(text(&client.get(&path)["endpoint"]["current_state"]), "active");
        assert_eq!(psql(&uri, "SELECT current_user")?, "casey");
    }
    // One that is disabled is not woken.
    let client = server.client();
    client.expect(200, "PATCH", &path, Some(json!({ "endpoint": { "disabled": true } })));
    settle(&client, &project);
    let plain = uri.replace("sslmode=require", "sslmode=disable");
    assert!(psql(&uri, "SELECT 1").is_err());
    assert!(psql(&plain, "SELECT 1").is_err_and(|error| error.contains(&format!("endpoint {endpoint} is disabled"))));
    server.terminate();
    Ok(())
}

#[test]
fn what_went_while_another_driver_was_used_is_told_and_left() -> TestResult {
    let dir = TempDir::with_prefix("offshoot-")?;
    let data_dir = dir.path().join("data");
    let server = start(&data_dir);
    let created = server.client().expect(201, "POST", "/projects", None);
    let (project, endpoint) = (text(&created["project"]["id"]), text(&created["endpoints"][0]["id"]));
    settle(&server.client(), &project);
    assert!(!server.terminate().log.contains("belongs to no endpoint"));
    let server = ServerCommand::new(&data_dir).arg("--compute=none").start();
    server.client().delete(&format!("/projects/{project}?hard_delete=true"));
    // Computes that are gone are forgotten before later operations are finished.
    let other = server.client().expect(201, "POST", "/projects", None);
    settle(&server.client(), &text(&other["project"]["id"]));
    server.terminate();
    let server = start(&data_dir);
    server.client().expect(201, "POST", "/projects", None);
    let log = server.terminate().log;
    let told = log.lines().any(|line| line.contains("belongs to no endpoint") && line.contains(&endpoint));
    assert!(told, "{log}");
    assert!(data_of(&data_dir, &endpoint).is_dir());
    Ok(())
}

/// Where a URI leads.
fn address(uri: &str) -> &str {
    let (_, place) = uri.split_once('@').expect("a URI with a host");
    place.split_once('/').expect("a URI with a database").0
}

#[test]
fn a_server_that_runs_elsewhere_is_reached_where_the_answers_say() -> TestResult {
    let dir = TempDir::with_prefix("offshoot-")?;
    // A cluster of another server is lent.
    let lent = dir.path().join("lent");
    let lender = start(&lent);
    let created = lender.client().expect(201, "POST", "/projects", None);
    settle(&lender.client(), &text(&created["project"]["id"]));
    let cluster = lent.join("pg").join(text(&created["endpoints"][0]["id"]));
    let host = text(&created["endpoints"][0]["host"]);
    let (_, port) = host.split_once(':').ok_or("no port")?;
    let password = fs::read_to_string(cluster.with_extension("key"))?;
    let socket = cluster.join("s");
    let admin = format!("host={} port={port} user=cloud_admin password={password} dbname=postgres", socket.display());
    psql(&admin, "CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'of-the-administrator'")?;

    let (list, data_dir) = (dir.path().join("servers"), dir.path().join("data"));
    fs::write(&list, "")?;
    let servers = format!("--servers={}", list.display());
    let server = ServerCommand::new(&data_dir).arg("--compute=external").arg(&servers).start();
    let client = server.client();
    let body = json!({ "project": { "branch": { "role_name": "robin", "database_name": "shop" } } });
    let created = client.expect(201, "POST", "/projects", Some(body));
    let (project, endpoint) = (text(&created["project"]["id"]), text(&created["endpoints"][0]["id"]));
    assert_eq!(text(&created["endpoints"][0]["host"]), format!("{endpoint}.localhost"));
    let certificate = cluster.with_extension("crt");
    let line = format!(
        "{endpoint} postgresql://dba:of-the-administrator@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={}\n",
        certificate.display()
    );
    fs::write(&list, line)?;
    let path = format!("/projects/{project}/endpoints/{endpoint}");
    client.expect(200, "POST", &format!("{path}/start"), None);
    settle(&client, &project);
    assert_eq!(text(&client.get(&path)["endpoint"]["host"]), format!("127.0.0.1:{port}"));
    let uri = client.get(&format!("/projects/{project}/connection_uri?database_name=shop&role_name=robin"));
    assert_eq!(psql(&text(&uri["uri"]), "SELECT current_user")?, "robin");
    let drift = client.get(&format!("{path}/drift"));
    assert_eq!(drift["drift"]["databases"], json!(["neondb"]));
    let log = server.terminate().log;
    assert!(!log.contains("of-the-administrator"), "{log}");
    lender.terminate();
    Ok(())
}

/// What each role's password is; nothing for one that was deleted. A change whose answer never came may have been made or not, so the role is left out.
type Passwords = Mutex<BTreeMap<String, Option<String>>>;

/// Creates, resets and deletes roles until the server is gone.
fn change_until_killed(client: &Client, roles: &str, round: usize, passwords: &Passwords, changes: &AtomicUsize) {
    for number in 0.. {
        let name = format!("role_{round}_{number}");
        let answers = [
            ("POST", roles.to_owned(), Some(json!({ "role": { "name": name } }).to_string())),
            ("POST", format!("{roles}/{name}/reset_password"), None),
            ("DELETE", format!("{roles}/{name}"), None),
        ];
        // A third of them stay as they were created, a third is reset, and a third is deleted as well.
        for (method, path, body) in answers.into_iter().take(number % 3 + 1) {
            passwords.lock().expect("unpoisoned").remove(&name);
            let Ok(answer) = client.send(method, &path, body.as_deref()) else { return };
            let password = answer.body["role"]["password"].as_str().map(str::to_owned);
            passwords.lock().expect("unpoisoned").insert(name.clone(), password);
            changes.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn after_kills_of_server_and_postgres_exactly_the_promised_roles_log_in() -> TestResult {
    let dir = TempDir::with_prefix("offshoot-")?;
    let data_dir = dir.path().join("data");
    let mut server = start(&data_dir);
    let created = server.client().expect(201, "POST", "/projects", None);
    let (project, branch) = (text(&created["project"]["id"]), text(&created["branch"]["id"]));
    let endpoint = text(&created["endpoints"][0]["id"]);
    let uri = text(&created["connection_uris"][0]["connection_uri"]);
    let roles = format!("/projects/{project}/branches/{branch}/roles");
    let passwords = Passwords::default();
    settle(&server.client(), &project);
    for round in 0..4 {
        let (client, changes) = (server.client(), AtomicUsize::new(0));
        server = thread::scope(|scope| {
            scope.spawn(|| change_until_killed(&client, &roles, round, &passwords, &changes));
            while changes.load(Ordering::SeqCst) < 5 + 4 * round {
                thread::yield_now();
            }
            server.kill();
            // PostgreSQL goes on, or goes down, too.
            if round % 2 == 1 {
                let pid = fs::read_to_string(data_of(&data_dir, &endpoint).join("postmaster.pid")).expect("it runs");
                let pid = pid.lines().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).expect("a process");
                kill_process(pid, Signal::KILL).expect("it runs");
            }
            start(&data_dir)
        });
    }
    settle(&server.client(), &project);
    let listed = server.client().get(&roles);
    let listed: Vec<String> =
        listed["roles"].as_array().expect("a list").iter().map(|role| text(&role["name"])).collect();
    let passwords = passwords.into_inner()?;
    assert!(passwords.len() > 10, "{}", passwords.len());
    for (name, password) in &passwords {
        assert_eq!(listed.contains(name), password.is_some(), "{name}");
        if let Some(password) = password {
            assert_eq!(psql(&as_role(&uri, name, password), "SELECT current_user"), Ok(name.clone()));
        }
    }
    // The server has the roles that the API lists, and no others.
    let query =
        "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN ('cloud_admin', 'neon_superuser')";
    let mut found: Vec<String> = psql(&uri, query)?.lines().map(str::to_owned).collect();
    let mut listed = listed;
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
    server.terminate();
    Ok(())
}
