//! Projects: what an account keeps apart.

use std::{ops::Bound, time::Duration};

use chrono::{DateTime, Utc};
use offshoot_engine::{BranchId as EngineBranch, Direction, KeyRange, NamespaceId, Transaction};

use crate::{
    account::Account,
    branch::{self, Branch},
    catalog::{Caller, Catalog, FoundProject, draw_free, now},
    codec::{DatabaseRecord, DeletionRecord, ProjectIdRecord, ProjectRecord, RoleRecord},
    database::{self, Database},
    deletion::Deletion,
    endpoint::{Endpoint, EndpointDefaults, EndpointKind, EndpointSpec},
    error::{Error, Result},
    id::{AccountId, BranchId, ProjectId},
    name::{BranchName, DatabaseName, ProjectName, RoleName},
    operation::{self, Operation, OperationAction, Step},
    page::Page,
    role::{self, Role, RoleWithPassword},
    stored_password::KeptPassword,
    tables::{branch as entries, numbers, system},
    text_map::TextMap,
};

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The project's id.
    pub id: ProjectId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The project's name; others may have the same.
    pub name: ProjectName,
    /// The major version of PostgreSQL.
    pub pg_version: u8,
    /// For how long a branch's history is to be kept.
    pub history_retention_seconds: u32,
    /// The branch that is meant where none is named.
    pub default_branch: BranchId,
    /// Whether passwords of roles are stored, so that they can be told again.
    pub store_passwords: bool,
    /// Settings by name, as they were given.
    pub settings: TextMap,
    /// What its new endpoints get where nothing is said.
    pub endpoint_defaults: EndpointDefaults,
    /// That it is deleted, if it is.
    pub deletion: Option<Deletion>,
    /// When the project was created.
    pub created_at: DateTime<Utc>,
    /// When the project itself last changed; what is in it doesn't count.
    pub updated_at: DateTime<Utc>,
}

impl Project {
    fn from_record(id: ProjectId, record: ProjectRecord) -> Self {
        Self {
            id,
            account: record.account,
            name: record.name,
            pg_version: record.pg_version,
            history_retention_seconds: record.history_retention_seconds,
            default_branch: record.default_branch,
            store_passwords: record.store_passwords,
            settings: record.settings,
            endpoint_defaults: record.endpoint_defaults.into(),
            deletion: None,
            created_at: record.created_at.0,
            updated_at: record.updated_at.0,
        }
    }
}

impl From<FoundProject> for Project {
    fn from(found: FoundProject) -> Self {
        Self::from_record(found.id, found.record)
    }
}

/// A project to be created; all has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProject {
    /// The project's name; its id where none is given.
    pub name: Option<ProjectName>,
    /// The root branch's name; `main` where none is given.
    pub branch_name: Option<BranchName>,
    /// The default role's name; the account's where none is given, or where that can't be a role's, `<database>_owner`.
    pub role_name: Option<RoleName>,
    /// The name of the database that the default role owns; `neondb` where none is given.
    pub database_name: Option<DatabaseName>,
    /// The major version of PostgreSQL: one that [there is](crate::Options::with_pg_versions); 17, or the newest below it,
    /// or the oldest above it, where none is given.
    pub pg_version: Option<u8>,
    /// For how long history is to be kept: up to 2592000 seconds, which is 30 days; a day where nothing is given.
    pub history_retention_seconds: Option<u32>,
    /// Whether passwords are stored, so that they can be told again; true where nothing is said, if the catalog can.
    pub store_passwords: Option<bool>,
    /// Settings by name, kept as they are.
    pub settings: TextMap,
    /// What its endpoints get, the first one included.
    pub endpoint_defaults: EndpointDefaults,
    /// What to note about the root branch.
    pub annotation: TextMap,
}

impl NewProject {
    fn check(&self) -> Result<()> {
        if let Some(given) = self.pg_version.filter(|version| !(14..=18).contains(version)) {
            return Err(Error::OutOfRange { field: "pg_version", given: given.into(), allowed: "14 to 18" });
        }
        check_retention(self.history_retention_seconds)?;
        self.role_name.as_ref().map(RoleName::check_not_reserved).transpose()?;
        self.database_name.as_ref().map(DatabaseName::check_not_reserved).transpose()?;
        self.endpoint_defaults.check()
    }
}

fn check_retention(seconds: Option<u32>) -> Result<()> {
    match seconds.filter(|seconds| *seconds > 2_592_000) {
        Some(given) => {
            let field = "history_retention_seconds";
            Err(Error::OutOfRange { field, given: given.into(), allowed: "0 to 2592000" })
        }
        None => Ok(()),
    }
}

/// For how long the engine keeps what was overwritten.
fn window(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// What is to be another way about a project; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectUpdate {
    /// The project's name.
    pub name: Option<ProjectName>,
    /// For how long history is to be kept: up to 2592000 seconds.
    pub history_retention_seconds: Option<u32>,
    /// Settings by name; those of other names stay.
    pub settings: Option<TextMap>,
    /// What new endpoints get from now on; what isn't given stays.
    pub endpoint_defaults: Option<EndpointDefaults>,
}

/// What changing a project brought.
#[derive(Clone, Debug)]
pub struct ProjectChanged {
    /// The project, as it is now.
    pub project: Project,
    /// What will tell the storage of it.
    pub operations: Vec<Operation>,
}

/// What creating a project brought.
#[derive(Clone, Debug)]
pub struct ProjectCreated {
    /// The project.
    pub project: Project,
    /// Its root branch.
    pub branch: Branch,
    /// The root branch's endpoint.
    pub endpoints: Vec<Endpoint>,
    /// The default role, with its password, and the system's role.
    pub roles: Vec<RoleWithPassword>,
    /// The database of the default role.
    pub databases: Vec<Database>,
    /// What will make the branch's storage and start the endpoint.
    pub operations: Vec<Operation>,
}

/// Which projects to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectQuery {
    /// Only those whose id or name contains this, in upper or lower case.
    pub search: Option<String>,
    /// The cursor of an earlier page, to go on from there.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
    /// Those that are deleted and can be recovered, in the place of those that are there.
    pub deleted: bool,
}

impl Default for ProjectQuery {
    /// All projects.
    fn default() -> Self {
        Self { search: None, after: None, limit: usize::MAX, deleted: false }
    }
}

/// The version of PostgreSQL that a project gets where it is there and none is asked for.
const USUAL_PG_VERSION: u8 = 17;

/// How many projects are looked at in one read.
const PAGE: usize = 256;

impl Catalog {
    /// Creates a project with a root branch, a default role that owns a database, the system's role `web_access`, and a
    /// read-write endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] for a reserved name, [`Error::OutOfRange`], [`Error::PgVersionUnsupported`],
    /// [`Error::PasswordStoringForbidden`], [`Error::ComputeLimitsReversed`], [`Error::AccountNotFound`].
    pub fn project_create(&self, caller: &Caller, new: NewProject) -> Result<ProjectCreated> {
        new.check()?;
        let pg_version = self.pg_version(new.pg_version)?;
        let store_passwords = self.store_passwords(new.store_passwords)?;
        let password = self.draw_password()?;
        let subject = new.name.as_ref().map_or("", ProjectName::as_str);
        let mut created = self.commit_as(caller, "project_create", subject, |tx| {
            let account = Account::find(tx, caller.account)?;
            let (project, root) = self.project_put(tx, caller.account, &new, pg_version, store_passwords)?;
            let branch_id = project.record.default_branch.clone();
            let branch_name = new.branch_name.clone().unwrap_or_else(BranchName::main);
            let record = branch::new_record(tx, root, branch_name, None, Some(account.name.clone()));
            branch::put_new(tx, &project, &branch_id, &record)?;
            if !new.annotation.is_empty() {
                branch::put_annotation(tx, &project, &branch_id, new.annotation.clone())?;
            }
            let branch = Branch::of(&project, branch_id.clone(), record);

            let database_name = new.database_name.clone().unwrap_or_else(DatabaseName::neondb);
            let owner = new.role_name.clone().unwrap_or_else(|| RoleName::default_for(&account.name, &database_name));
            let kept = self.keep(tx, &project, &owner, &password)?;
            let roles = self.put_first_roles(tx, &branch_id, root, owner.clone(), kept)?;
            let databases = vec![put_first_database(tx, &branch_id, root, database_name, owner)?];

            let endpoint = EndpointSpec::new(EndpointKind::ReadWrite);
            let endpoints = self.endpoints_create(tx, &project, &branch_id, &[endpoint])?;
            let steps = branch::steps_to_create(OperationAction::CreateTimeline, &branch_id, &endpoints);
            let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(ProjectCreated { project: project.into(), branch, endpoints, roles, databases, operations })
        })?;
        if let Some(owner) = created.roles.first_mut() {
            owner.password = Some(password.password);
        }
        Ok(created)
    }

    /// The caller's projects, in order of creation.
    ///
    /// # Errors
    ///
    /// [`Error::CursorInvalid`].
    pub fn project_list(&self, caller: &Caller, query: ProjectQuery) -> Result<Page<Project>> {
        let mut source = self.snapshot()?;
        let account = caller.account.get();
        let mut range = KeyRange::prefix(&account.to_be_bytes());
        if let Some(cursor) = query.after {
            let after = cursor.parse().map_err(|_| Error::CursorInvalid { cursor })?;
            range.start = Bound::Excluded(numbers(account, after).to_vec().into());
        }
        let search = query.search.map(|search| search.to_lowercase());
        let matches = |project: &FoundProject| {
            search.as_ref().is_none_or(|search| {
                project.id.as_str().contains(search) || project.record.name.as_str().to_lowercase().contains(search)
            })
        };
        let table = if query.deleted { &system::ACCOUNT_DELETED_PROJECTS } else { &system::ACCOUNT_PROJECTS };
        let now = self.engine().now();
        let mut found: Vec<(FoundProject, Option<DeletionRecord>)> = Vec::new();
        loop {
            let page = table.list(&mut source, NamespaceId::SYSTEM, range.clone(), Direction::Ascending, PAGE)?;
            let is_last = page.len() < PAGE;
            for (key, ProjectIdRecord { project }) in page {
                let missing = || Error::ProjectNotFound { id: project.to_string() };
                let (project, deletion) = FoundProject::even_deleted(&mut source, &project)?.ok_or_else(missing)?;
                let is_shown = deletion.as_ref().is_none_or(|deletion| deletion.until.0 > now);
                if is_shown && matches(&project) {
                    found.push((project, deletion));
                }
                range.start = Bound::Excluded(key);
            }
            if is_last || found.len() >= query.limit {
                found.truncate(query.limit);
                // A full page has a cursor even if nothing follows: neonctl takes only a page that is not full for the last, and begins anew without one.
                let last = found.last().filter(|_| found.len() == query.limit);
                let next = last.map(|(project, _)| project.record.namespace.to_string());
                let project = |(project, deletion): (FoundProject, Option<DeletionRecord>)| Project {
                    deletion: deletion.map(Into::into),
                    ..Project::from(project)
                };
                return Ok(Page { items: found.into_iter().map(project).collect(), next });
            }
        }
    }

    /// One of the caller's projects.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`].
    pub fn project_get(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        Ok(FoundProject::find(&mut self.snapshot()?, caller, id)?.into())
    }

    /// Changes a project. A change of how long its history is kept is an operation of its default branch's, for the storage to know it, too.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::OutOfRange`], [`Error::ComputeLimitsReversed`].
    pub fn project_update(&self, caller: &Caller, id: &ProjectId, update: &ProjectUpdate) -> Result<ProjectChanged> {
        check_retention(update.history_retention_seconds)?;
        self.commit(|tx| {
            let mut project = FoundProject::find(tx, caller, id)?;
            let before = project.record.clone();
            let record = &mut project.record;
            if let Some(name) = &update.name {
                record.name = name.clone();
            }
            if let Some(seconds) = update.history_retention_seconds {
                record.history_retention_seconds = seconds;
                tx.set_retention(NamespaceId::new(record.namespace), Some(window(seconds)))?;
            }
            if let Some(settings) = &update.settings {
                record.settings = record.settings.merged(settings)?;
            }
            if let Some(changes) = &update.endpoint_defaults {
                let defaults = EndpointDefaults::from(record.endpoint_defaults.clone()).merged(changes.clone())?;
                defaults.check()?;
                record.endpoint_defaults = defaults.into();
            }
            if *record != before {
                record.updated_at = now(tx);
                system::PROJECTS.put(tx, NamespaceId::SYSTEM, id.as_str().as_bytes(), record)?;
            }
            let steps = if record.history_retention_seconds == before.history_retention_seconds {
                Vec::new()
            } else {
                let branch = record.default_branch.clone();
                vec![Step { action: OperationAction::ApplyStorageConfig, branch, endpoint: None }]
            };
            let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(ProjectChanged { project: project.into(), operations })
        })
    }

    /// The version of PostgreSQL of a new project.
    fn pg_version(&self, given: Option<u8>) -> Result<u8> {
        let supported = &self.options().pg_versions;
        match given {
            Some(given) if supported.contains(&given) => Ok(given),
            Some(given) => Err(Error::PgVersionUnsupported { given, supported: supported.clone() }),
            None => {
                let usual = supported.iter().filter(|version| **version <= USUAL_PG_VERSION).max();
                Ok(usual.or(supported.iter().min()).copied().unwrap_or(USUAL_PG_VERSION))
            }
        }
    }

    /// Whether a new project stores passwords.
    fn store_passwords(&self, given: Option<bool>) -> Result<bool> {
        match given {
            Some(true) if !self.stores_passwords() => Err(Error::PasswordStoringForbidden),
            given => Ok(given.unwrap_or_else(|| self.stores_passwords())),
        }
    }

    /// Makes a project's namespace and its root branch, and writes the project.
    fn project_put(
        &self,
        tx: &mut Transaction<'_>,
        account: AccountId,
        new: &NewProject,
        pg_version: u8,
        store_passwords: bool,
    ) -> Result<(FoundProject, EngineBranch)> {
        let taken = |id: &ProjectId| Ok(FoundProject::even_deleted(tx, id)?.is_some());
        let id = draw_free(|| Ok(ProjectId::draw(self.entropy())?), taken)?;
        let namespace = tx.create_namespace()?;
        let retention = new.history_retention_seconds.unwrap_or(86_400);
        tx.set_retention(namespace, Some(window(retention)))?;
        let root = tx.create_branch(namespace)?;
        let record = ProjectRecord {
            account,
            namespace: namespace.get(),
            name: new.name.clone().unwrap_or_else(|| ProjectName::from(&id)),
            pg_version,
            history_retention_seconds: retention,
            default_branch: self.branch_draw(tx, namespace)?,
            created_at: now(tx),
            updated_at: now(tx),
            store_passwords,
            settings: new.settings.clone(),
            endpoint_defaults: new.endpoint_defaults.clone().into(),
        };
        system::PROJECTS.put(tx, NamespaceId::SYSTEM, id.as_str().as_bytes(), &record)?;
        let place = numbers(account.get(), namespace.get());
        system::ACCOUNT_PROJECTS.put(tx, NamespaceId::SYSTEM, &place, &ProjectIdRecord { project: id.clone() })?;
        Ok((FoundProject { id, record }, root))
    }

    /// Writes the default role and the system's role, in this order.
    fn put_first_roles(
        &self,
        tx: &mut Transaction<'_>,
        branch: &BranchId,
        root: EngineBranch,
        owner: RoleName,
        password: KeptPassword,
    ) -> Result<Vec<RoleWithPassword>> {
        let owner_record = role::new_record(tx, 0, Some(password));
        let system_record = RoleRecord { protected: true, ..role::new_record(tx, 1, None) };
        let mut roles = Vec::new();
        for (name, record) in [(owner, owner_record), (RoleName::web_access(), system_record)] {
            entries::ROLES.put(tx, root, name.as_str().as_bytes(), &record)?;
            if !(record.protected && self.options().hides_system_roles) {
                roles.push(RoleWithPassword { role: Role::from_record(branch, name, record), password: None });
            }
        }
        Ok(roles)
    }
}

fn put_first_database(
    tx: &mut Transaction<'_>,
    branch: &BranchId,
    root: EngineBranch,
    name: DatabaseName,
    owner: RoleName,
) -> Result<Database> {
    let record = DatabaseRecord { owner, created_at: now(tx), updated_at: now(tx) };
    database::put(tx, root, &name, &record)?;
    Ok(Database::from_record(branch, name, record))
}
