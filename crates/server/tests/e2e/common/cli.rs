//! The commands of an operator.

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) printed: Vec<u8>,
    pub(crate) said: String,
}

impl Done {
    /// All that a person sees of it.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.printed), self.said)
    }

    /// Checks the exit status, and gives the text.
    pub(crate) fn expect(self, status: i32) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        self.text()
    }
}

/// A command that is not started yet.
pub(crate) fn command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
    command.args(args).env_remove("OFFSHOOT_LOG").env_remove("OFFSHOOT_API_KEY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `offshoot` with these arguments to its end.
pub(crate) fn offshoot<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Done {
    run(&mut command(args))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    done(output.status, output.stdout, &output.stderr)
}

/// Waits for a command, and reads what nobody has read of it yet.
pub(crate) fn wait(mut child: Child) -> Done {
    let (mut printed, mut said) = (Vec::new(), Vec::new());
    if let Some(mut output) = child.stdout.take() {
        output.read_to_end(&mut printed).expect("standard output can be read");
    }
    child.stderr.take().expect("piped").read_to_end(&mut said).expect("standard error can be read");
    done(child.wait().expect("the command ends"), printed, &said)
}

fn done(status: ExitStatus, printed: Vec<u8>, said: &[u8]) -> Done {
    let status = status.code().expect("no signal ended it");
    Done { status, printed, said: String::from_utf8(said.to_vec()).expect("errors are text") }
}

/// The names of what is in a directory, in order.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
