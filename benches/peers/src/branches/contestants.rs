//! Who takes part.

use std::{fs, path::Path};

use offshoot_benches::Outcome;

use super::stores::{Branching, Copy, Offshoot, Sqlite, Trine};

/// Names, in the order of the table's columns; Offshoot is the first.
pub(crate) const NAMES: [&str; 4] = ["Offshoot", "trine-kv", "SQLite", "copy on sled"];

pub(crate) const OFFSHOOT: usize = 0;
pub(crate) const COPY: usize = 3;

/// Opens the contestant of this number in a directory of its own below `directory`.
pub(crate) fn open(number: usize, directory: &Path, cache_bytes: u64) -> Outcome<Box<dyn Branching>> {
    let directory = directory.join(number.to_string());
    fs::create_dir_all(&directory)?;
    Ok(match number {
        0 => Box::new(Offshoot::open(&directory, cache_bytes)?),
        1 => Box::new(Trine::open(&directory, cache_bytes)?),
        2 => Box::new(Sqlite::open(&directory, cache_bytes)?),
        3 => Box::new(Copy::open(&directory, cache_bytes)?),
        _ => return Err("there is no such contestant".into()),
    })
}
