//! `offshoot check`: of a data directory, or of a dump.

use super::{FOUND, require_store, tell};
use crate::{CheckOptions, Error, error::chain, lock_holder, progress::Progress};
use offshoot_engine::{
    MemoryStore, SledStore, StoreError, check,
    dump::{DumpError, load},
};
use std::{fs::File, path::Path, process::ExitCode};

const ADVICE: &str = ", or make a dump of it with `offshoot dump` and check that";

pub(super) fn run(options: &CheckOptions) -> Result<ExitCode, Error> {
    let path = &options.path;
    let (report, is_sound) = if path.is_file() { check_dump(path)? } else { check_directory(path)? };
    tell(&report)?;
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn check_directory(path: &Path) -> Result<(String, bool), Error> {
    require_store(path)?;
    let mut progress = Progress::new("checking", None);
    let report = SledStore::check(path, &mut |told| progress.check(told)).map_err(|source| match source {
        StoreError::Locked { .. } => {
            Error::InUse { path: path.to_owned(), holder: lock_holder::describe(path), advice: ADVICE }
        }
        source => Error::Check { path: path.to_owned(), source },
    })?;
    Ok((report.to_string(), report.is_sound()))
}

fn check_dump(path: &Path) -> Result<(String, bool), Error> {
    let failed = |source| Error::CheckDump { path: path.to_owned(), source };
    let opened = File::open(path).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
    let (bytes, input) = opened.map_err(|source| Error::Input { path: path.to_owned(), source })?;
    let store = MemoryStore::new();
    let mut progress = Progress::new("verifying", Some(bytes));
    let info = match load(input, &store, &mut |told| progress.dump(told)) {
        Ok(info) => info,
        Err(damage @ DumpError::Damaged { .. }) => return Ok((chain(&damage), false)),
        Err(error) => return Err(failed(error)),
    };
    drop(progress);
    let mut progress = Progress::new("checking", None);
    let report = check::check(&store, &mut |told| progress.check(told))?;
    let head = format!("dump of commit {}: {} entries, {} bytes", info.sequence, info.entries, info.bytes);
    Ok((format!("{head}\n\n{report}"), report.is_sound()))
}
