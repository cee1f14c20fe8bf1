//! Where PostgreSQL's programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::driver::DriverError;

/// The oldest major version that is supported.
const MIN_MAJOR: u32 = 14;

/// Where packages put the programs without adding them to the search path.
const USUAL: &[&str] = &["/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];

/// PostgreSQL's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub(crate) postgres: PathBuf,
    pub(crate) initdb: PathBuf,
    major: u32,
}

impl Programs {
    /// Looks for `postgres` and `initdb`: in `dir` where one is given, otherwise on the search path and where packages
    /// put them.
    ///
    /// # Errors
    ///
    /// [`DriverError::Unfit`] says what was looked for, and where.
    pub fn find(dir: Option<&Path>) -> Result<Self, DriverError> {
        let dirs = match dir {
            Some(dir) => vec![dir.to_owned()],
            None => search_path().chain(usual_dirs()).collect(),
        };
        let mut newest: Option<Self> = None;
        for dir in &dirs {
            let found = Self::in_dir(dir);
            // What is on the search path is what the user means; of the others the newest is taken.
            if found.as_ref().is_some_and(|found| newest.as_ref().is_none_or(|newest| newest.major < found.major)) {
                newest = found;
            }
            if newest.is_some() && search_path().any(|on_path| on_path == *dir) {
                break;
            }
        }
        newest.ok_or_else(|| {
            let places = dir.map_or("on the search path or below /usr/lib/postgresql".to_owned(), |dir| {
                format!("in {}", dir.display())
            });
            DriverError::Unfit(format!(
                "there is no PostgreSQL {MIN_MAJOR} or newer (`postgres` and `initdb`) {places}"
            ))
        })
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Where the programs are.
    pub fn dir(&self) -> &Path {
        self.postgres.parent().unwrap_or(Path::new("/"))
    }

    fn in_dir(dir: &Path) -> Option<Self> {
        // A link in a directory of the search path leads to where the programs find their own files.
        let postgres = fs::canonicalize(dir.join("postgres")).ok()?;
        let initdb = fs::canonicalize(dir.join("initdb")).ok()?;
        let said = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
        (major >= MIN_MAJOR).then_some(Self { postgres, initdb, major })
    }
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn usual_dirs() -> impl Iterator<Item = PathBuf> {
    let versions = USUAL.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    versions.map(|version| version.path().join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("postgres of another kind"), None);
    }
}
