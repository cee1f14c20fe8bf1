//! Where a dump goes.

use crate::{DumpOptions, Error, whole_file::WholeFile};
use std::{
    fs::File,
    io::{self, IsTerminal, Write, stdout},
    os::fd::AsFd,
    path::Path,
};

/// A file, or standard output. Keeps the first error, which others may take for one of theirs.
pub(super) struct Output {
    /// What people call it.
    name: String,
    target: Target,
    failure: Option<io::Error>,
}

enum Target {
    /// Past the standard library's buffer, which looks for lines.
    Stdout(File),
    File(WholeFile),
}

impl Output {
    pub(super) fn open(options: &DumpOptions) -> Result<Output, Error> {
        let path = &options.file;
        if path == Path::new("-") {
            return Output::stdout();
        }
        let name = path.display().to_string();
        match WholeFile::create(path, options.force) {
            Ok(file) => Ok(Output { name, target: Target::File(file), failure: None }),
            Err(error) => Err(refusal(name, error)),
        }
    }

    fn stdout() -> Result<Output, Error> {
        if stdout().is_terminal() {
            return Err(Error::Terminal);
        }
        let name = "standard output".to_owned();
        match stdout().as_fd().try_clone_to_owned() {
            Ok(file) => Ok(Output { name, target: Target::Stdout(file.into()), failure: None }),
            Err(error) => Err(refusal(name, error)),
        }
    }

    /// Whether standard output is for something else than what people read.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout(_))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The error that a write ended with, if one did.
    pub(super) fn failed(&mut self) -> Result<(), Error> {
        match self.failure.take() {
            Some(source) => Err(refusal(self.name.clone(), source)),
            None => Ok(()),
        }
    }

    /// Makes durable what was written, as far as that is possible.
    pub(super) fn finish(self) -> Result<(), Error> {
        let finished = match self.target {
            Target::File(file) => file.finish(),
            Target::Stdout(file) if file.metadata().is_ok_and(|there| there.is_file()) => file.sync_all(),
            Target::Stdout(_) => Ok(()),
        };
        finished.map_err(|error| refusal(self.name, error))
    }
}

fn refusal(file: String, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists { path: file.into() },
        _ => Error::Output { file, source },
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.target {
            Target::Stdout(file) => file.write(bytes),
            Target::File(file) => file.write(bytes),
        };
        written.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failure = Some(error);
            }
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
