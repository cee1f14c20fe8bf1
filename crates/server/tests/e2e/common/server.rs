//! A running `offshoot serve`.

use super::Client;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::{self, JoinHandle},
};

/// The key that servers under test get, unless a test wants a generated one.
pub(crate) const KEY: &str = "osk_a-key-for-tests-0123456789";

/// How to start a server.
pub(crate) struct ServerCommand {
    data_dir: PathBuf,
    command: Command,
}

impl ServerCommand {
    /// On `data_dir` and a free port, for the account `casey`, with [`KEY`] as its first key, and without computes.
    pub(crate) fn new(data_dir: &Path) -> ServerCommand {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--account", "casey", "--data-dir"]).arg(data_dir);
        command.args(["--compute", "none"]);
        command.env("OFFSHOOT_API_KEY", KEY).env_remove("OFFSHOOT_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ServerCommand { data_dir: data_dir.to_owned(), command }
    }

    pub(crate) fn arg(mut self, arg: &str) -> ServerCommand {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> ServerCommand {
        self.command.env(name, value);
        self
    }

    /// Leaves the first key to the server.
    pub(crate) fn without_key(mut self) -> ServerCommand {
        self.command.env_remove("OFFSHOOT_API_KEY");
        self
    }

    /// Runs a server that cannot start, to its end.
    pub(crate) fn fail(mut self) -> Output {
        let output = self.command.output().expect("the binary runs");
        assert!(!output.status.success(), "the server ended with success");
        output
    }

    /// Starts a server and waits until it says that it is ready.
    pub(crate) fn start(mut self) -> Server {
        let mut child = self.command.spawn().expect("the binary starts");
        let printed = child.stdout.take().expect("piped");
        self.wait_until_ready(child, Box::new(BufReader::new(printed)))
    }

    /// Starts a server whose standard output is a terminal.
    pub(crate) fn start_on_terminal(mut self) -> Server {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are pseudoterminals");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("the terminal can be used");
        let name = ptsname(&terminal, Vec::new()).expect("the terminal has a name");
        let name = name.to_str().expect("the name is text");
        let output = File::options().read(true).write(true).open(name).expect("the terminal opens");
        let child = self.command.stdout(output).spawn().expect("the binary starts");
        self.wait_until_ready(child, Box::new(BufReader::new(File::from(terminal))))
    }

    fn wait_until_ready(self, mut child: Child, mut printed: Box<dyn BufRead + Send>) -> Server {
        let mut log = child.stderr.take().expect("piped");
        let log = thread::spawn(move || {
            let mut text = String::new();
            log.read_to_string(&mut text).map(|_| text)
        });
        let mut before = String::new();
        let url = loop {
            let mut line = String::new();
            if printed.read_line(&mut line).expect("standard output is text") == 0 {
                let log = log.join().expect("the log's reader ends");
                panic!("the server printed {before:?} and logged {log:?}");
            }
            match line.strip_prefix("listening on ") {
                Some(url) => break url.trim_end().to_owned(),
                None => before.push_str(&line),
            }
        };
        Server { url, before, data_dir: self.data_dir, child, printed, log: Some(log) }
    }
}

/// A server that is ready. Killed when dropped.
pub(crate) struct Server {
    url: String,
    before: String,
    data_dir: PathBuf,
    child: Child,
    printed: Box<dyn BufRead + Send>,
    log: Option<JoinHandle<std::io::Result<String>>>,
}

/// What a server left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it printed after the line that said that it was ready.
    pub(crate) printed: String,
    pub(crate) log: String,
}

impl Server {
    /// Starts a server on `data_dir` in the usual way.
    pub(crate) fn start(data_dir: &Path) -> Server {
        ServerCommand::new(data_dir).start()
    }

    /// What the server printed before it was ready.
    pub(crate) fn printed_before(&self) -> &str {
        &self.before
    }

    /// Where the server listens, such as `http://127.0.0.1:1234`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A client with [`KEY`].
    pub(crate) fn client(&self) -> Client {
        self.client_with(KEY)
    }

    pub(crate) fn client_with(&self, key: &str) -> Client {
        Client::new(&self.url, Some(key))
    }

    pub(crate) fn client_without_key(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// Ends the server as `kill -9` does.
    pub(crate) fn kill(self) -> Ended {
        self.end(Signal::KILL)
    }

    /// Asks the server to stop, as `kill` does, and waits until it has.
    pub(crate) fn terminate(self) -> Ended {
        self.end(Signal::TERM)
    }

    /// Asks the server to stop, as Ctrl-C does, and waits until it has.
    pub(crate) fn interrupt(self) -> Ended {
        self.end(Signal::INT)
    }

    fn end(mut self, signal: Signal) -> Ended {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
        let status = self.child.wait().expect("the server can be waited for");
        let mut printed = String::new();
        // A terminal that nobody writes to any more gives an error at its end.
        let _ = self.printed.read_to_string(&mut printed);
        let log = self.log.take().expect("taken only here").join().expect("the log's reader ends");
        Ended { status, printed, log: log.expect("the log is text") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
