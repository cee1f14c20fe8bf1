//! Who has a data directory open, so that a person knows what to stop.

use rustix::fs::{major, minor};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// The process that has the store in `directory` open, as far as the operating system tells.
pub(crate) fn describe(directory: &Path) -> String {
    let holder = || {
        let file = fs::metadata(directory.join("LOCK")).ok()?;
        let id = format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino());
        let process = process_with(&id, &fs::read_to_string("/proc/locks").ok()?)?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(format!("{} (process {process})", name.trim_end()))
    };
    holder().unwrap_or_else(|| "another process".to_owned())
}

/// The process that has this file locked, from lines as in `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
fn process_with(file: &str, locks: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, process, found, ..] if found == file => process.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_found_by_the_file_that_it_has_locked() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:1234 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 8 fe:00:1234 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 9 fe:00:12 0 EOF\n4: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF\n";
        assert_eq!(process_with("fe:00:1234", locks), Some(4711));
        assert_eq!(process_with("fe:00:1", locks), None);
        assert_eq!(process_with("fe:00:1234", "nonsense"), None);
    }

    #[test]
    fn where_nothing_is_known_nothing_is_made_up() {
        assert_eq!(describe(Path::new("/no/such/directory")), "another process");
    }
}
