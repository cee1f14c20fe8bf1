//! Where password keys come from: the environment, a file, or for a store in memory nowhere but memory.

use crate::{Error, StoreKind, whole_file::WholeFile};
use offshoot_catalog::{Catalog, OsEntropy, PasswordKeys, PasswordKeysRotated};
use secrecy::{ExposeSecret, SecretString};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The file's name in a data directory, where no other is given.
const KEY_FILE: &str = "password-key";

const HEADER: &str = "\
# The keys under which stored passwords are sealed, the newest one last. The store and its dumps do not hold them:
# without this file, passwords cannot be revealed. Keep a copy, apart from the backups.
";

/// Where password keys come from.
pub(crate) enum PasswordKeySource {
    Environment(SecretString),
    File(PathBuf),
    Memory,
}

impl PasswordKeySource {
    pub(crate) fn new(
        data_dir: &Path,
        file: Option<&Path>,
        environment: Option<&SecretString>,
        store: StoreKind,
    ) -> PasswordKeySource {
        match (environment, file) {
            (Some(keys), _) => PasswordKeySource::Environment(keys.clone()),
            (None, Some(file)) => PasswordKeySource::File(file.to_owned()),
            (None, None) if store == StoreKind::Memory => PasswordKeySource::Memory,
            (None, None) => PasswordKeySource::File(data_dir.join(KEY_FILE)),
        }
    }

    /// The keys; a file that does not exist is made.
    pub(crate) fn load(&self) -> Result<PasswordKeys, Error> {
        match self {
            PasswordKeySource::Environment(keys) => PasswordKeys::parse(keys).map_err(Error::PasswordKeysInEnvironment),
            PasswordKeySource::Memory => Ok(PasswordKeys::generate(&OsEntropy)?),
            PasswordKeySource::File(path) => match read(path)? {
                Some(keys) => Ok(keys),
                None => {
                    let keys = PasswordKeys::generate(&OsEntropy)?;
                    write(path, &keys, false)?;
                    tracing::info!(file = %path.display(), "made a password key; keep a copy of the file, apart from backups");
                    Ok(keys)
                }
            },
        }
    }

    /// Seals all that is stored under a new key: one that is added to the file, or the newest of the environment.
    pub(crate) fn rotate(&self, catalog: &Catalog) -> Result<PasswordKeysRotated, Error> {
        let keys = match self {
            PasswordKeySource::Environment(_) => self.load()?,
            PasswordKeySource::Memory => PasswordKeys::generate(&OsEntropy)?,
            PasswordKeySource::File(path) => {
                let keys = self.load()?.with_new(&OsEntropy)?;
                // Before anything is sealed under it.
                write(path, &keys, true)?;
                keys
            }
        };
        Ok(catalog.password_keys_rotate(keys)?)
    }
}

/// Says in the log which keys are missing, which the operator can still bring back.
pub(crate) fn warn_of_missing(catalog: &Catalog) -> Result<(), Error> {
    for key in catalog.password_keys_missing()? {
        tracing::error!(%key, "a password key is missing: the passwords sealed under it cannot be revealed until it is back");
    }
    Ok(())
}

/// Reads a key file, if there is one.
fn read(path: &Path) -> Result<Option<PasswordKeys>, Error> {
    let failed = |source| Error::PasswordKeyFile { path: path.to_owned(), source };
    let mode = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed)?.permissions().mode(),
    };
    if mode & 0o077 != 0 {
        return Err(Error::PasswordKeyFileOpen { path: path.to_owned() });
    }
    let text = SecretString::from(fs::read_to_string(path).map_err(failed)?);
    let keys = PasswordKeys::parse(&text);
    keys.map(Some).map_err(|source| Error::PasswordKeyFileUnfit { path: path.to_owned(), source })
}

fn write(path: &Path, keys: &PasswordKeys, replaces: bool) -> Result<(), Error> {
    let written = || -> io::Result<()> {
        let mut file = WholeFile::create(path, replaces)?;
        file.write_all(HEADER.as_bytes())?;
        file.write_all(keys.to_text().expose_secret().as_bytes())?;
        file.finish()
    };
    written().map_err(|source| Error::PasswordKeyFile { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(keys: &PasswordKeys) -> Vec<String> {
        keys.ids().map(|id| id.to_string()).collect()
    }

    #[test]
    fn a_file_is_made_once_for_its_owner_alone() -> Result<(), Error> {
        let dir = tempfile::tempdir()?;
        let source = PasswordKeySource::new(dir.path(), None, None, StoreKind::Sled);
        let keys = source.load()?;
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(ids(&source.load()?), ids(&keys));
        Ok(())
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_refused() -> Result<(), Error> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("elsewhere");
        let source = PasswordKeySource::new(dir.path(), Some(&path), None, StoreKind::Sled);
        source.load()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
        assert!(matches!(source.load(), Err(Error::PasswordKeyFileOpen { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        fs::write(&path, "c2hvcnQ=")?;
        let refused = source.load();
        assert!(matches!(&refused, Err(Error::PasswordKeyFileUnfit { .. })));
        assert!(refused.is_err_and(|error| !crate::error::chain(&error).contains("c2hvcnQ=")));
        Ok(())
    }

    #[test]
    fn the_environment_comes_before_a_file() -> Result<(), Error> {
        let dir = tempfile::tempdir()?;
        let given = PasswordKeys::generate(&OsEntropy)?;
        let text = given.to_text();
        let source = PasswordKeySource::new(dir.path(), Some(&dir.path().join("file")), Some(&text), StoreKind::Sled);
        assert_eq!(ids(&source.load()?), ids(&given));
        assert!(!dir.path().join("file").exists());
        Ok(())
    }
}
