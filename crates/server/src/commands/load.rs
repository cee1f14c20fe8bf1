//! `offshoot load`: a new data directory of a dump.

use super::tell;
use crate::{Error, LoadOptions, progress::Progress};
use offshoot_engine::{SledStore, dump::DumpError};
use std::{fs::File, process::ExitCode};

pub(super) fn run(options: &LoadOptions) -> Result<ExitCode, Error> {
    let (file, path) = (&options.file, &options.dir);
    let opened = File::open(file).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
    let (bytes, input) = opened.map_err(|source| Error::Input { path: file.clone(), source })?;
    let mut progress = Progress::new("verifying", Some(bytes));
    let loaded = SledStore::restore(path, input, &mut |told| progress.dump(told));
    let info = loaded.map_err(|source| match source {
        DumpError::NotEmpty => Error::NotEmpty { path: path.clone() },
        source => Error::Load { file: file.clone(), path: path.clone(), source },
    })?;
    drop(progress);
    tell(&format!(
        "{}: {} entries of {} bytes, up to commit {}",
        path.display(),
        info.entries,
        info.bytes,
        info.sequence
    ))?;
    Ok(ExitCode::SUCCESS)
}
