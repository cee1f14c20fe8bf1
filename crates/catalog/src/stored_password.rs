//! Stored passwords: what is kept of a password so that it can be told again.

use std::collections::BTreeSet;

use bytes::Bytes;
use offshoot_engine::{Direction, KeyRange, NamespaceId, Transaction};
use secrecy::SecretString;

use crate::{
    catalog::{Caller, Catalog, FoundBranch, FoundProject, now},
    codec::{DataKeyRecord, PasswordKeyRecord, RoleRecord, SealedRecord},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    key_ring::{PasswordKeyId, PasswordKeys},
    name::RoleName,
    password::NewPassword,
    role::{self, RoleLogin, RoleWithPassword},
    scram::ScramVerifier,
    seal::DataKey,
    tables::{Source, branch as entries, project, system},
};

/// How many projects are looked at in one read.
const PAGE: usize = 256;

/// What is kept of a password.
pub(crate) struct KeptPassword {
    pub(crate) verifier: ScramVerifier,
    /// The password itself, where it is stored.
    pub(crate) sealed: Option<SealedRecord>,
}

/// What changing the password key brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordKeysRotated {
    /// How many projects have a new data key, all of whose data keys are wrapped with the newest password key.
    pub projects: usize,
    /// The password keys that some data keys are still wrapped with, because they were not there.
    pub missing: Vec<PasswordKeyId>,
}

impl Catalog {
    /// Tells a role's password again.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`], [`Error::RoleNotFound`], [`Error::RoleHasNoLogin`],
    /// [`Error::PasswordsNotStored`], [`Error::PasswordNotKept`], [`Error::PasswordKeyMissing`].
    pub fn role_reveal_password(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        name: &RoleName,
    ) -> Result<SecretString> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let record = role::require(&mut source, &branch, name)?;
        self.reveal(&mut source, &project, name, &record)
    }

    /// The roles of a branch with their passwords, where these can be told again, in order of creation; none where it
    /// has more than `most`, which is found out without reading them all.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`].
    pub fn role_list_revealed_up_to(
        &self,
        caller: &Caller,
        project: &ProjectId,
        branch: &BranchId,
        most: usize,
    ) -> Result<Option<Vec<RoleWithPassword>>> {
        let mut source = self.snapshot()?;
        let (project, branch) = FoundBranch::find(&mut source, caller, project, branch)?;
        let Some(records) = self.role_records(&mut source, &branch, most)? else { return Ok(None) };
        let mut roles = Vec::with_capacity(records.len());
        for (name, record) in records {
            let password = match self.reveal(&mut source, &project, &name, &record) {
                Ok(password) => Some(password),
                Err(error) if error.is_unrevealable() => None,
                Err(error) => return Err(error),
            };
            roles.push(RoleWithPassword { role: role::Role::from_record(&branch.id, name, record), password });
        }
        Ok(Some(roles))
    }

    /// Whether passwords are stored where a project wants it.
    pub fn stores_passwords(&self) -> bool {
        !self.options().forbids_stored_passwords && self.password_keys().newest().is_some()
    }

    /// The password keys that something in the catalog is sealed under, and that aren't there.
    pub fn password_keys_missing(&self) -> Result<Vec<PasswordKeyId>> {
        let used = system::PASSWORD_KEYS.all(&mut self.snapshot()?, NamespaceId::SYSTEM, b"")?;
        let keys = self.password_keys();
        let ids = used.into_iter().map(|(key, _)| password_key_id(&key)).collect::<Result<Vec<_>>>()?;
        Ok(ids.into_iter().filter(|id| keys.get(*id).is_none()).collect())
    }

    /// Takes `keys` in the place of the password keys that there are, and wraps all data keys with the newest of them;
    /// each project also gets a new data key for passwords that come. Run again after it was interrupted, it goes on.
    ///
    /// Afterwards the older keys are needed for backups from before, and for nothing else, unless some were
    /// [missing](PasswordKeysRotated::missing).
    pub fn password_keys_rotate(&self, keys: PasswordKeys) -> Result<PasswordKeysRotated> {
        self.set_password_keys(keys);
        let keys = self.password_keys();
        // Who made a data key under an older one, and is not done yet, has read these: it begins again, with the new keys.
        self.commit(|tx| {
            let used = system::PASSWORD_KEYS.all(tx, NamespaceId::SYSTEM, b"")?;
            used.iter().try_for_each(|(key, used)| system::PASSWORD_KEYS.put(tx, NamespaceId::SYSTEM, key, used))
        })?;
        let (mut rotated, mut missing) = (PasswordKeysRotated::default(), BTreeSet::new());
        // One that is deleted or recovered meanwhile is met once at least: deleted ones are looked at after and before the others.
        let mut done = BTreeSet::new();
        for keys_of in [Self::deleted_project_keys, Self::project_keys, Self::deleted_project_keys] {
            let mut range = KeyRange::ALL;
            loop {
                let page = keys_of(self, range.clone())?;
                let Some(last) = page.last() else { break };
                range.start = std::ops::Bound::Excluded(last.clone());
                for key in page {
                    if !done.insert(key.clone()) {
                        continue;
                    }
                    if let Some(lacking) = self.commit(|tx| self.rewrap(tx, &keys, &key))? {
                        missing.extend(lacking);
                        rotated.projects += 1;
                    }
                }
            }
        }
        self.commit(|tx| {
            for (key, _) in system::PASSWORD_KEYS.all(tx, NamespaceId::SYSTEM, b"")? {
                let id = password_key_id(&key)?;
                if !missing.contains(&id) && keys.newest().is_none_or(|newest| newest.id != id) {
                    system::PASSWORD_KEYS.delete(tx, NamespaceId::SYSTEM, &key)?;
                }
            }
            Ok(())
        })?;
        rotated.missing = missing.into_iter().collect();
        Ok(rotated)
    }

    /// What is kept of a new password.
    pub(crate) fn keep(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        role: &RoleName,
        new: &NewPassword,
    ) -> Result<KeptPassword> {
        let data_key = self.data_key(tx, project)?;
        self.keep_with(data_key.as_ref(), project, role, new)
    }

    /// What is kept of a new password, with the key that [`Catalog::data_key`] gave.
    pub(crate) fn keep_with(
        &self,
        data_key: Option<&DataKey>,
        project: &FoundProject,
        role: &RoleName,
        new: &NewPassword,
    ) -> Result<KeptPassword> {
        let sealed = data_key.map(|key| key.seal(self.entropy(), &project.id, role, &new.password)).transpose()?;
        Ok(KeptPassword { verifier: new.verifier.clone(), sealed })
    }

    /// The key that passwords are sealed with from now on, where the project stores them. One whose password key is
    /// missing is left for those who still need it, and another one made.
    pub(crate) fn data_key(&self, tx: &mut Transaction<'_>, project: &FoundProject) -> Result<Option<DataKey>> {
        if !project.record.store_passwords || !self.stores_passwords() {
            return Ok(None);
        }
        let newest = project::DATA_KEYS
            .list(tx, project.namespace(), KeyRange::ALL, Direction::Descending, 1)?
            .into_iter()
            .next();
        let Some((key, record)) = newest else { return self.new_data_key(tx, project, 1).map(Some) };
        let number = data_key_number(&key)?;
        match self.password_keys().get(record.wrapped_with) {
            Some(with) => Ok(Some(unwrap(&record, with, project, number)?)),
            None => self.new_data_key(tx, project, next(&key, number)?).map(Some),
        }
    }

    fn new_data_key(&self, tx: &mut Transaction<'_>, project: &FoundProject, number: u32) -> Result<DataKey> {
        let keys = self.password_keys();
        let with = keys.newest().ok_or(Error::PasswordStoringForbidden)?;
        let data_key = DataKey::draw(self.entropy(), number)?;
        let record = data_key.wrap(self.entropy(), with, &project.id, now(tx))?;
        project::DATA_KEYS.put(tx, project.namespace(), &number.to_be_bytes(), &record)?;
        let id = with.id.get().to_be_bytes();
        if system::PASSWORD_KEYS.get(tx, NamespaceId::SYSTEM, &id)?.is_none() {
            let record = PasswordKeyRecord { first_used_at: now(tx) };
            system::PASSWORD_KEYS.put(tx, NamespaceId::SYSTEM, &id, &record)?;
        }
        Ok(data_key)
    }

    fn project_keys(&self, range: KeyRange) -> Result<Vec<Bytes>> {
        let page =
            system::PROJECTS.list(&mut self.snapshot()?, NamespaceId::SYSTEM, range, Direction::Ascending, PAGE)?;
        Ok(page.into_iter().map(|(key, _)| key).collect())
    }

    fn deleted_project_keys(&self, range: KeyRange) -> Result<Vec<Bytes>> {
        let page = system::DELETED_PROJECTS.list(
            &mut self.snapshot()?,
            NamespaceId::SYSTEM,
            range,
            Direction::Ascending,
            PAGE,
        )?;
        Ok(page.into_iter().map(|(key, _)| key).collect())
    }

    /// Wraps a project's data keys with the newest password key, and makes a new one. Tells which password keys were
    /// missing; nothing where the project doesn't store passwords.
    fn rewrap(&self, tx: &mut Transaction<'_>, keys: &PasswordKeys, id: &[u8]) -> Result<Option<Vec<PasswordKeyId>>> {
        let id = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| system::PROJECTS.corrupt_key(b"", "its key is not an id"))?;
        let Some((project, _)) = FoundProject::even_deleted(tx, &id)? else { return Ok(None) };
        let (mut last, mut missing) = (0, Vec::new());
        let Some(newest) = keys.newest().filter(|_| project.record.store_passwords) else { return Ok(None) };
        for (key, record) in project::DATA_KEYS.all(tx, project.namespace(), b"")? {
            last = data_key_number(&key)?;
            let Some(with) = keys.get(record.wrapped_with) else {
                missing.push(record.wrapped_with);
                continue;
            };
            let data_key = unwrap(&record, with, &project, last)?;
            let wrapped = data_key.wrap(self.entropy(), newest, &project.id, record.created_at)?;
            project::DATA_KEYS.put(tx, project.namespace(), &key, &wrapped)?;
        }
        self.new_data_key(tx, &project, next(&last.to_be_bytes(), last)?)?;
        Ok(Some(missing))
    }

    fn reveal(
        &self,
        source: &mut impl Source,
        project: &FoundProject,
        name: &RoleName,
        record: &RoleRecord,
    ) -> Result<SecretString> {
        if record.login == RoleLogin::NoLogin {
            return Err(Error::RoleHasNoLogin { name: name.clone() });
        }
        if !project.record.store_passwords || self.options().forbids_stored_passwords {
            return Err(Error::PasswordsNotStored { id: project.id.clone() });
        }
        let sealed = record.sealed.as_ref().ok_or_else(|| Error::PasswordNotKept { name: name.clone() })?;
        let number = sealed.data_key.to_be_bytes();
        let wrapped = project::DATA_KEYS.get(source, project.namespace(), &number)?;
        let wrapped =
            wrapped.ok_or_else(|| project::DATA_KEYS.corrupt_key(&number, "a role needs it, and it is gone"))?;
        let keys = self.password_keys();
        let with = keys.get(wrapped.wrapped_with).ok_or(Error::PasswordKeyMissing { key: wrapped.wrapped_with })?;
        let data_key = unwrap(&wrapped, with, project, sealed.data_key)?;
        let opened = data_key.open(&project.id, name, sealed);
        opened.map_err(|_| entries::ROLES.corrupt_key(name.as_str(), "its password was sealed for something else"))
    }
}

impl Error {
    /// Whether it says that a password can't be told, and not that something failed.
    fn is_unrevealable(&self) -> bool {
        matches!(
            self,
            Self::RoleHasNoLogin { .. }
                | Self::PasswordsNotStored { .. }
                | Self::PasswordNotKept { .. }
                | Self::PasswordKeyMissing { .. }
        )
    }
}

fn unwrap(
    record: &DataKeyRecord,
    with: &crate::key_ring::PasswordKey,
    project: &FoundProject,
    number: u32,
) -> Result<DataKey> {
    DataKey::unwrap(record, with, &project.id, number)
        .map_err(|_| project::DATA_KEYS.corrupt_key(&number.to_be_bytes(), "it was wrapped for something else"))
}

fn data_key_number(key: &[u8]) -> Result<u32> {
    let number = key.try_into().map_err(|_| project::DATA_KEYS.corrupt_key(key, "its key is not a number"))?;
    Ok(u32::from_be_bytes(number))
}

fn next(key: &[u8], number: u32) -> Result<u32> {
    number.checked_add(1).ok_or_else(|| project::DATA_KEYS.corrupt_key(key, "there is no number after it"))
}

fn password_key_id(key: &[u8]) -> Result<PasswordKeyId> {
    let number = key.try_into().map_err(|_| system::PASSWORD_KEYS.corrupt_key(key, "its key is not a number"))?;
    Ok(PasswordKeyId::new(u64::from_be_bytes(number)))
}
