//! The first account and its API key, made when there is none.
//!
//! A generated key is shown before it becomes valid. So a server killed on the way leaves no valid key
//! that nobody has seen: the next start finds no key and begins again.

use crate::{Error, ServeOptions, StoreKind, whole_file::WholeFile};
use offshoot_catalog::{AccountId, AccountName, Caller, Catalog, Entropy, KeyName, NameError, OsEntropy};
use secrecy::{ExposeSecret, SecretString};
use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal, Write, stdout},
    path::Path,
    process::{Command, Stdio},
};

const KEY_FILE: &str = "api-key";
const KEY_BYTES: usize = 24;

/// Makes the first account and key, unless some account has a key already.
pub(crate) fn ensure(catalog: &Catalog, options: &ServeOptions) -> Result<(), Error> {
    let accounts = catalog.account_list()?;
    for account in &accounts {
        let caller = Caller { account: account.id, key: None, request: None };
        if !catalog.key_list(&caller)?.is_empty() {
            return Ok(());
        }
    }
    let account = match accounts.first() {
        Some(account) => account.id,
        None => {
            catalog
                .account_create(&account_name(options.account.as_deref()).map_err(offshoot_catalog::Error::from)?)?
                .id
        }
    };
    match &options.first_key {
        Some(key) => import(catalog, account, key).map_err(Error::FirstKey),
        None => {
            let key = generate()?;
            show(&key, options)?;
            Ok(import(catalog, account, &key)?)
        }
    }
}

fn import(catalog: &Catalog, account: AccountId, key: &SecretString) -> Result<(), offshoot_catalog::Error> {
    catalog.key_import(account, &"first key".parse::<KeyName>()?, key).map(drop)
}

/// The name as given, or the operating system's user where that can be an account, or `admin`.
fn account_name(given: Option<&str>) -> Result<AccountName, NameError> {
    if let Some(name) = given {
        return name.parse();
    }
    operating_system_user().and_then(|user| user.parse().ok()).map_or_else(|| "admin".parse(), Ok)
}

/// The user as the session says, or where there is no session, as in a container, as the system's own command does.
fn operating_system_user() -> Option<String> {
    let of_session =
        ["USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok().filter(|user| !user.is_empty()));
    of_session.or_else(|| {
        let said = Command::new("id").arg("-un").stderr(Stdio::null()).output().ok()?;
        Some(String::from_utf8(said.stdout).ok()?.trim().to_owned())
    })
}

fn generate() -> Result<SecretString, Error> {
    let mut bytes = [0; KEY_BYTES];
    OsEntropy.fill(&mut bytes)?;
    let mut text = String::from("osk_");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text.into())
}

fn show(key: &SecretString, options: &ServeOptions) -> Result<(), Error> {
    if stdout().is_terminal() {
        return Ok(print(key)?);
    }
    if options.store == StoreKind::Memory {
        return Err(Error::NowhereForKey);
    }
    let path = options.data_dir.join(KEY_FILE);
    write(&path, key).map_err(|source| Error::KeyFile { path: path.clone(), source })?;
    tracing::info!(file = %path.display(), "wrote the new API key to a file that only you can read");
    Ok(())
}

fn print(key: &SecretString) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "API key, shown only this once:\n\n    {}\n", key.expose_secret())?;
    out.flush()
}

fn write(path: &Path, key: &SecretString) -> io::Result<()> {
    let mut file = WholeFile::create(path, true)?;
    writeln!(file, "{}", key.expose_secret())?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_generated_key_has_192_bits_and_is_new_each_time() -> Result<(), Error> {
        let (one, other) = (generate()?, generate()?);
        assert_eq!(one.expose_secret().len(), "osk_".len() + 2 * 192 / 8);
        assert_ne!(one.expose_secret(), other.expose_secret());
        Ok(())
    }

    #[test]
    fn a_key_file_is_private_and_replaces_what_a_killed_start_left() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(KEY_FILE);
        fs::write(&path, "never valid")?;
        write(&path, &"osk_1".into())?;
        assert_eq!(fs::read_to_string(&path)?, "osk_1\n");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        Ok(())
    }

    #[test]
    fn a_given_account_name_is_not_replaced_when_it_is_invalid() {
        assert!(account_name(Some("")).is_err());
    }
}
