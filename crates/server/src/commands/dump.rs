//! `offshoot dump`: of the server that runs on the directory, where there is one, otherwise of the directory itself.

use super::{output::Output, require_store, tell};
use crate::{DumpOptions, Error, control, lock_holder, progress::Progress};
use offshoot_engine::{
    SledOptions, SledStore, StoreError,
    dump::{DumpError, DumpInfo, verify},
};
use std::{
    io::{self, Read, Write, stderr},
    path::Path,
    process::ExitCode,
};

pub(super) fn run(options: &DumpOptions) -> Result<ExitCode, Error> {
    let path = &options.dir;
    require_store(path)?;
    let mut output = Output::open(options)?;
    let dumped = match SledStore::open(path, &SledOptions::default()) {
        Ok(store) => of_store(&store, path, &mut output),
        Err(StoreError::Locked { .. }) => of_server(path, &mut output),
        Err(source) => Err(Error::Store { path: path.clone(), source }),
    };
    // What kept the output from being written also ended whatever made the dump.
    output.failed()?;
    let info = dumped?;
    let (is_stdout, name) = (output.is_stdout(), output.name().to_owned());
    output.finish()?;
    let told = format!("{name}: {} entries, {} bytes, up to commit {}", info.entries, info.bytes, info.sequence);
    if is_stdout {
        writeln!(stderr(), "{told}")?
    } else {
        tell(&told)?
    }
    Ok(ExitCode::SUCCESS)
}

fn of_store(store: &SledStore, path: &Path, output: &mut Output) -> Result<DumpInfo, Error> {
    let mut progress = Progress::new("dumping", None);
    let dumped = store.dump(output, &mut |told| progress.dump(told));
    dumped.map_err(|source| Error::Dump { path: path.to_owned(), source })
}

/// Takes the dump that the server makes, and verifies it on its way: only its end proves that it is whole.
fn of_server(path: &Path, output: &mut Output) -> Result<DumpInfo, Error> {
    let answer = control::get(path, "/dump").map_err(|source| Error::Control {
        path: path.to_owned(),
        holder: lock_holder::describe(path),
        source,
    })?;
    let mut progress = Progress::new("dumping", None);
    let copied = verify(Copied { from: answer, to: output }, &mut |told| progress.dump(told));
    copied.map_err(|error| match error {
        DumpError::NotADump | DumpError::UnknownFormat { .. } => Error::Dump { path: path.to_owned(), source: error },
        error => Error::EndedEarly(error),
    })
}

/// Writes down what is read.
struct Copied<'a, R> {
    from: R,
    to: &'a mut Output,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.to.write_all(buffer.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}
