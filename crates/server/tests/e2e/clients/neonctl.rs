//! `neonctl`, at two versions, through every command that the server has what it needs for.

use super::node;
use crate::common::{
    KEY, Server, ServerCommand, TestResult,
    cli::{self, Done},
    text,
};
use serde_json::{Value, json};
use std::{error::Error, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};
use tempfile::TempDir;

/// The versions: the first is of a thin package over another one, the second is the last of its major version.
const VERSIONS: [&str; 2] = ["neonctl-5", "neonctl-2"];

/// One version of the tool, with a server of its own to speak to.
struct Neonctl {
    version: &'static str,
    server: Server,
    home: TempDir,
}

impl Neonctl {
    fn start(version: &'static str) -> Result<Neonctl, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        // The tool refuses to guess a role where there are several.
        let server = ServerCommand::new(&home.path().join("data")).arg("--system-roles=hidden").start();
        Ok(Neonctl { version, server, home })
    }

    fn command(&self, key: &str, args: &[&str]) -> Command {
        let mut command = node(&format!("node_modules/{}/bin/cli.js", self.version), self.home.path());
        command.args(args).args(["--no-analytics", "--api-key", key]);
        command.arg("--api-host").arg(format!("{}/api/v2", self.server.url()));
        command.arg("--config-dir").arg(self.home.path().join("config"));
        command
    }

    fn run_with(&self, key: &str, args: &[&str]) -> Done {
        cli::run(&mut self.command(key, args))
    }

    fn run(&self, args: &[&str]) -> Done {
        self.run_with(KEY, args)
    }

    /// What a command prints for people, which must succeed.
    fn table(&self, args: &[&str]) -> String {
        let done = self.run(&[args, &["--output", "table"]].concat());
        assert_eq!(done.status, 0, "{} {args:?}: {}", self.version, done.text());
        String::from_utf8(done.printed).expect("tables are text")
    }

    /// What a command prints for programs, which must succeed.
    fn json(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--output", "json"]].concat());
        assert_eq!(done.status, 0, "{} {args:?}: {}", self.version, done.text());
        serde_json::from_slice(&done.printed)
            .unwrap_or_else(|error| panic!("{args:?} printed {}: {error}", done.text()))
    }

    /// What a command says that fails.
    fn refused(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.status, 1, "{} {args:?}: {}", self.version, done.text());
        done.text()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Waits until all operations are done, so that computes are idle.
    fn settle(&self, project: &str) {
        self.server.client().poll_until_settled(project);
    }
}

/// The words of a table's line that has `word` among them.
fn row(table: &str, word: &str) -> Vec<String> {
    let lines = table.lines().map(|line| {
        line.split(|char: char| char.is_whitespace() || char == '│')
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    lines
        .into_iter()
        .find(|cells| cells.iter().any(|cell| cell == word))
        .unwrap_or_else(|| panic!("no {word} in {table}"))
}

/// The ids, names or whatever of the elements of a list.
fn each(value: &Value, field: &str) -> Vec<String> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(|item| text(&item[field])).collect()
}

fn for_both(walk: impl Fn(&Neonctl) -> TestResult) -> TestResult {
    VERSIONS.into_iter().try_for_each(|version| walk(&Neonctl::start(version)?))
}

#[test]
fn accounts_and_keys() -> TestResult {
    for_both(|neonctl| {
        assert!(neonctl.table(&["me"]).contains("casey"));
        assert_eq!(neonctl.json(&["me"])["login"], "casey");
        assert_eq!(neonctl.json(&["orgs", "list"]).as_array().map(Vec::len), Some(0));
        let created = neonctl.json(&["api-keys", "create", "--name", "deploy"]);
        assert!(text(&created["key"]).starts_with("osk_"), "{created}");
        assert_eq!(each(&neonctl.json(&["api-keys", "list"]), "name"), ["first key", "deploy"]);
        assert_eq!(neonctl.run_with(&text(&created["key"]), &["me"]).status, 0);
        neonctl.json(&["api-keys", "revoke", &created["id"].to_string()]);
        let done = neonctl.run_with(&text(&created["key"]), &["me"]);
        assert_eq!(done.status, 1);
        assert!(done.text().contains("Authentication failed"), "{}", done.text());
        Ok(())
    })
}

#[test]
fn projects() -> TestResult {
    for_both(|neonctl| {
        let created = neonctl.json(&["projects", "create", "--name", "shop"]);
        let id = text(&created["project"]["id"]);
        assert!(text(&created["connection_uris"][0]["connection_uri"]).starts_with("postgresql://casey:"), "{created}");
        let table = neonctl.table(&["projects", "list"]);
        assert_eq!(row(&table, &id)[..3], [id.as_str(), "shop", "local"], "{table}");
        let got = neonctl.json(&["projects", "get", &id]);
        assert_eq!((text(&got["id"]), text(&got["name"])), (id.clone(), "shop".into()));
        assert_eq!(neonctl.json(&["projects", "update", &id, "--name", "market"])["name"], "market");
        let operations = neonctl.json(&["operations", "list", "--project-id", &id]);
        assert_eq!(each(&operations, "action"), ["start_compute", "create_timeline"]);
        assert!(neonctl.table(&["operations", "list", "--project-id", &id]).contains("create_timeline"));
        assert_eq!(neonctl.json(&["projects", "delete", &id])["id"], id.as_str());
        assert!(neonctl.refused(&["projects", "get", &id]).contains("not found"));
        let deleted = neonctl.table(&["projects", "list", "--recoverable-only"]);
        assert!(deleted.contains(&id), "{deleted}");
        assert_eq!(neonctl.json(&["projects", "recover", &id])["id"], id.as_str());
        assert!(neonctl.refused(&["projects", "recover", &id]).contains("is not deleted"));
        assert_eq!(neonctl.json(&["projects", "get", &id])["name"], "market");
        Ok(())
    })
}

#[test]
fn branches() -> TestResult {
    for_both(|neonctl| {
        let project = text(&neonctl.json(&["projects", "create"])["project"]["id"]);
        // The only project is meant where none is named.
        let created = neonctl.json(&["branches", "create", "--name", "dev"]);
        let dev = text(&created["branch"]["id"]);
        assert_eq!(created["endpoints"].as_array().map(Vec::len), Some(1));
        let lsn = text(&created["branch"]["parent_lsn"]);
        let bare = neonctl.json(&["branches", "create", "--name", "bare", "--no-compute", "--parent", &lsn]);
        assert!(bare["endpoints"].as_array().is_none_or(Vec::is_empty), "{bare}");
        neonctl.settle(&project);
        let table = neonctl.table(&["branches", "list"]);
        assert!(row(&table, "main").iter().any(|cell| cell == "ready"), "{table}");
        assert_eq!(neonctl.json(&["branches", "get", "dev"])["id"], dev.as_str());
        assert_eq!(neonctl.json(&["branches", "rename", "dev", "work"])["name"], "work");
        let schema = neonctl.json(&["branches", "create", "--name", "plan", "--schema-only"]);
        assert_eq!(schema["branch"]["init_source"], "schema-only");

        let expires = (chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
            + chrono::TimeDelta::days(2))
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
        let expiring = neonctl.json(&["branches", "set-expiration", "bare", "--expires-at", &expires]);
        assert_eq!(expiring["expires_at"], expires.as_str());
        assert_eq!(neonctl.json(&["branches", "set-expiration", "bare"]).get("expires_at"), None);

        let reset = neonctl.json(&["branches", "reset", "work", "--parent"]);
        assert!(reset.to_string().contains(&dev), "{reset}");
        let restored = neonctl.json(&["branches", "restore", "work", "main", "--preserve-under-name", "work-old"]);
        assert!(restored.to_string().contains(&dev) && restored.to_string().contains("work-old"), "{restored}");
        neonctl.settle(&project);
        let point = text(&neonctl.json(&["branches", "get", "work"])["parent_lsn"]);
        let past = neonctl.refused(&["branches", "restore", "work", "^self@0/0", "--preserve-under-name", "older"]);
        assert!(past.contains("outside the history"), "{past} {point}");

        assert_eq!(neonctl.json(&["branches", "set-default", "work"])["default"], true);
        assert!(neonctl.refused(&["branches", "delete", "work"]).contains("default branch"));
        assert_eq!(neonctl.json(&["branches", "set-default", "main"])["default"], true);
        let added = neonctl.json(&["branches", "add-compute", "work"]);
        assert_eq!((&added["type"], &added["branch_id"]), (&"read_only".into(), &dev.as_str().into()));
        let difference = neonctl.refused(&["branches", "schema-diff", "main", "work"]);
        assert!(difference.contains("table data"), "{difference}");
        assert_eq!(neonctl.json(&["branches", "delete", "bare"])["name"], "bare");
        assert!(neonctl.refused(&["branches", "get", "bare"]).contains("not found"));
        Ok(())
    })
}

#[test]
fn roles_and_databases() -> TestResult {
    for_both(|neonctl| {
        let project = text(&neonctl.json(&["projects", "create"])["project"]["id"]);
        neonctl.settle(&project);
        let database = neonctl.json(&["databases", "create", "--name", "shop"]);
        assert_eq!(database["owner_name"], "casey");
        let table = neonctl.table(&["databases", "list"]);
        assert_eq!(row(&table, "shop")[..2], ["shop", "casey"], "{table}");
        let role = neonctl.json(&["roles", "create", "--name", "sally"]);
        assert!(text(&role["password"]).len() >= 16, "{role}");
        let silent = neonctl.json(&["roles", "create", "--name", "group", "--noLogin"]);
        assert_eq!(silent["authentication_method"], "no_login");
        assert_eq!(each(&neonctl.json(&["roles", "list"]), "name"), ["casey", "sally", "group"]);
        assert!(neonctl.table(&["roles", "list"]).contains("sally"));
        assert!(neonctl.refused(&["roles", "create", "--name", "sally"]).contains("exists already"));
        assert!(neonctl.refused(&["roles", "delete", "casey"]).contains("owns the database"));
        assert_eq!(neonctl.json(&["roles", "delete", "sally"])["name"], "sally");
        let again = neonctl.run(&["roles", "delete", "sally"]);
        assert_eq!(again.status, 0, "{}", again.text());
        assert_eq!(neonctl.json(&["databases", "delete", "shop"])["name"], "shop");
        Ok(())
    })
}

#[test]
fn connection_strings() -> TestResult {
    for_both(|neonctl| {
        let created = neonctl.json(&["projects", "create"]);
        let project = text(&created["project"]["id"]);
        neonctl.settle(&project);
        let listed = neonctl.server.client().get(&format!("/projects/{project}/endpoints"));
        let endpoint = text(&listed["endpoints"][0]["id"]);
        let connect = |args: &[&str]| {
            let done = neonctl.run(&[&["connection-string"], args].concat());
            assert_eq!(done.status, 0, "{} {args:?}: {}", neonctl.version, done.text());
            String::from_utf8(done.printed).expect("text").trim().to_owned()
        };
        let plain = connect(&[]);
        assert!(
            plain.starts_with("postgresql://casey:") && plain.contains(&format!("@{endpoint}.localhost/neondb")),
            "{plain}"
        );
        assert!(
            text(&created["connection_uris"][0]["connection_uri"])
                .split('@')
                .next()
                .is_some_and(|start| plain.starts_with(start)),
            "{plain}"
        );
        assert!(connect(&["--pooled"]).contains(&format!("@{endpoint}-pooler.localhost/")));
        assert!(!connect(&["--ssl", "omit"]).contains("sslmode"));
        assert!(connect(&["--prisma"]).contains("connect_timeout"));
        let parts = neonctl.json(&["connection-string", "--extended"]);
        assert_eq!((&parts["connection_string"], &parts["role"]), (&plain.as_str().into(), &"casey".into()));
        assert_eq!(parts["host"], format!("{endpoint}.localhost"));
        let branch = text(&neonctl.json(&["branches", "get", "main"])["id"]);
        assert!(connect(&["main@0/1"]).contains(&format!("@{branch}.localhost")));
        neonctl.json(&["roles", "create", "--name", "sally"]);
        assert!(
            connect(&["main", "--role-name", "sally", "--database-name", "neondb"]).starts_with("postgresql://sally:")
        );
        assert!(neonctl.refused(&["connection-string"]).to_lowercase().contains("role"));
        Ok(())
    })
}

/// What `psql` was given, which the tool starts. The one that it finds here only tells.
#[test]
fn psql_is_started_with_the_connection_string() -> TestResult {
    for_both(|neonctl| {
        let project = text(&neonctl.json(&["projects", "create"])["project"]["id"]);
        neonctl.settle(&project);
        let programs = neonctl.file("bin");
        std::fs::create_dir(&programs)?;
        std::fs::write(programs.join("psql"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")?;
        std::fs::set_permissions(programs.join("psql"), std::fs::Permissions::from_mode(0o755))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)))?;
        let plain = neonctl.json(&["connection-string", "--extended"]);
        let uri = text(&plain["connection_string"]);
        for (args, more) in [(&["connection-string", "--psql"][..], &[][..]), (&["psql", "main"], &["-c", "SELECT 1"])]
        {
            let mut command = neonctl.command(KEY, args);
            // What follows this is not the tool's.
            if !more.is_empty() {
                command.arg("--").args(more);
            }
            let said = cli::run(command.env("PATH", &path)).expect(0);
            // Between or behind it, one of the versions says that it connects.
            let said = said.lines().filter(|line| !line.starts_with("INFO: "));
            let told: Vec<_> = said.clone().skip_while(|line| *line != uri).collect();
            assert_eq!(told, [&[uri.as_str()], more].concat(), "{args:?} said {:?}", said.collect::<Vec<_>>());
        }
        Ok(())
    })
}

#[test]
fn allowed_addresses_are_kept() -> TestResult {
    for_both(|neonctl| {
        neonctl.json(&["projects", "create"]);
        let addresses = |args: &[&str]| neonctl.json(&[&["ip-allow"], args].concat())["IP_addresses"].clone();
        assert_eq!(addresses(&["list"]), json!([]));
        assert_eq!(addresses(&["add", "10.0.0.1", "10.0.0.2"]), json!(["10.0.0.1", "10.0.0.2"]));
        assert_eq!(addresses(&["remove", "10.0.0.1"]), json!(["10.0.0.2"]));
        assert_eq!(addresses(&["reset", "10.0.0.3"]), json!(["10.0.0.3"]));
        assert!(neonctl.table(&["ip-allow", "list"]).contains("10.0.0.3"));
        Ok(())
    })
}

#[test]
fn snapshots() -> TestResult {
    for_both(|neonctl| {
        let project = text(&neonctl.json(&["projects", "create"])["project"]["id"]);
        neonctl.settle(&project);
        let made = neonctl.json(&["snapshots", "create", "--name", "kept"]);
        let id = text(&made["id"]);
        assert_eq!(made["name"], "kept");
        assert_eq!(each(&neonctl.json(&["snapshots", "list"]), "id"), [id.as_str()]);
        assert_eq!(neonctl.json(&["snapshots", "get", &id])["source_branch_id"], made["source_branch_id"]);
        assert_eq!(neonctl.json(&["snapshots", "update", &id, "--name", "before"])["name"], "before");
        let restored = neonctl.json(&["snapshots", "restore", &id, "--name", "back"])["restored_branch"].clone();
        assert_eq!((&restored["name"], &restored["restore_status"]), (&"back".into(), &"restored".into()));
        neonctl.settle(&project);
        neonctl.json(&["snapshots", "finalize", "back"]);
        assert_eq!(neonctl.json(&["branches", "get", "main"])["id"], restored["id"]);
        assert_eq!(neonctl.json(&["snapshots", "delete", &id])["id"], id.as_str());
        assert_eq!(neonctl.json(&["snapshots", "list"]).as_array().map(Vec::len), Some(0));
        assert!(neonctl.refused(&["snapshots", "schedule", "get"]).contains("backup_schedule"));
        Ok(())
    })
}

#[test]
fn a_directory_is_linked_to_a_project_and_a_branch() -> TestResult {
    for_both(|neonctl| {
        let project = text(&neonctl.json(&["projects", "create"])["project"]["id"]);
        // With a second project, the one of the directory is meant.
        neonctl.json(&["projects", "create"]);
        let context =
            || -> Result<Value, Box<dyn Error>> { Ok(serde_json::from_slice(&std::fs::read(neonctl.file(".neon"))?)?) };
        let done = |args: &[&str]| {
            let done = neonctl.run(args);
            assert_eq!(done.status, 0, "{} {args:?}: {}", neonctl.version, done.text());
        };
        done(&["set-context", "--project-id", &project]);
        assert_eq!(context()?["projectId"], project.as_str());
        done(&["link", "--clear"]);
        assert_eq!(context()?.get("projectId"), None);
        done(&["link", "--project-id", &project, "--branch", "main"]);
        assert_eq!((&context()?["projectId"], &context()?["branch"]), (&project.as_str().into(), &"main".into()));
        neonctl.json(&["branches", "create", "--name", "dev"]);
        done(&["checkout", "dev"]);
        assert_eq!(context()?["branch"], "dev");
        // It asks for buckets, functions and credentials first, of which there are none.
        let status = neonctl.run(&["status"]);
        assert_eq!(status.status, 0, "{} {}", neonctl.version, status.text());
        assert!(status.text().contains("dev"), "{} {}", neonctl.version, status.text());
        // The branch of the directory is compared with its parent.
        assert!(neonctl.refused(&["diff"]).contains("table data"));
        let passed = neonctl.json(&["api", &format!("/projects/{project}")]);
        assert_eq!(passed["project"]["id"], project.as_str());
        Ok(())
    })
}
