//! How branches come to be.

use offshoot_engine::{Point, Transaction};
use secrecy::SecretString;

use super::{
    Branch, BranchState, Credentials, InitSource,
    change::{Expiry, expiry_record, put_annotation},
    fork, outside, parent_record, put_new,
};
use crate::{
    account,
    catalog::{Caller, Catalog, FoundProject, now},
    codec::{BranchRecord, ParentRecord},
    endpoint::{Endpoint, EndpointSpec},
    error::{Error, Result},
    id::{BranchId, ProjectId},
    name::{AccountName, BranchName, RoleName},
    operation::{self, Operation, OperationAction, Step},
    password::NewPassword,
    role,
    text_map::TextMap,
};

/// A branch to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBranch {
    /// The branch's name; its id where none is given.
    pub name: Option<BranchName>,
    /// The parent; the project's default branch where none is given.
    pub parent: Option<BranchId>,
    /// The point of the parent's history to begin with.
    pub point: Point,
    /// What to take of the parent. With [`InitSource::SchemaOnly`] it is a root branch.
    pub init_source: InitSource,
    /// Whether it is to be kept from being deleted, restored and reset.
    pub protected: bool,
    /// When it is to go by itself.
    pub expiry: Option<Expiry>,
    /// What to note about it.
    pub annotation: TextMap,
    /// The endpoints to create with it.
    pub endpoints: Vec<EndpointSpec>,
}

impl Default for NewBranch {
    /// A child of the default branch as it is now, without endpoints.
    fn default() -> Self {
        Self {
            name: None,
            parent: None,
            point: Point::Head,
            init_source: InitSource::ParentData,
            protected: false,
            expiry: None,
            annotation: TextMap::default(),
            endpoints: Vec::new(),
        }
    }
}

/// What creating a branch brought. Its roles and databases are its parent's, and aren't read to create it.
#[derive(Clone, Debug)]
pub struct BranchCreated {
    /// The branch.
    pub branch: Branch,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The new passwords of its roles where its parent is protected; otherwise they have those of the parent. They are
    /// told here only.
    pub passwords: Vec<(RoleName, SecretString)>,
    /// What will make its storage and start its endpoints.
    pub operations: Vec<Operation>,
}

impl Catalog {
    /// Creates a branch that has its parent's roles and databases as of a point. That takes the same time and space
    /// however many there are, unless the parent is protected: then each role gets a new password.
    ///
    /// # Errors
    ///
    /// [`Error::ProjectNotFound`], [`Error::BranchNotFound`] for the parent, [`Error::BranchAlreadyExists`],
    /// [`Error::LsnOutsideHistory`], [`Error::TimeOutsideHistory`], [`Error::EndpointAlreadyExists`],
    /// [`Error::OutOfRange`], [`Error::ComputeLimitsReversed`], [`Error::BranchExpires`] for the parent,
    /// [`Error::BranchCannotExpire`], [`Error::ExpiryInvalid`].
    pub fn branch_create(&self, caller: &Caller, project: &ProjectId, new: NewBranch) -> Result<BranchCreated> {
        EndpointSpec::check(&new.endpoints)?;
        let drawn = self.draw_for_roles(caller, project, &new)?;
        let subject = new.name.as_ref().map_or("", BranchName::as_str);
        self.commit_as(caller, "branch_create", subject, |tx| {
            let project = FoundProject::find(tx, caller, project)?;
            let parent = project.branch(tx, new.parent.as_ref().unwrap_or(&project.record.default_branch))?;
            let has_parent = new.init_source == InitSource::ParentData;
            if has_parent && parent.record.expiry.is_some() {
                return Err(Error::BranchExpires { id: parent.id, what: "have children" });
            }
            let id = self.branch_draw(tx, project.namespace())?;
            let name = new.name.clone().unwrap_or_else(|| BranchName::from(&id));
            let fork = fork(tx, parent.engine, &parent.id, new.point)?;
            let origin = has_parent.then(|| parent_record(&parent.id, &fork));
            let created_by = account::name_of(tx, caller.account)?;
            let mut record = new_record(tx, fork.branch, name, origin, created_by);
            record.init_source = new.init_source;
            record.protected = new.protected;
            record.expiry = new.expiry.map(|expiry| expiry_record(tx, expiry)).transpose()?;
            if record.expiry.is_some() && record.protected {
                return Err(Error::BranchCannotExpire { id, because: "is to be protected" });
            }
            put_new(tx, &project, &id, &record)?;
            if !new.annotation.is_empty() {
                put_annotation(tx, &project, &id, new.annotation.clone())?;
            }
            let credentials = Credentials { kept_from: None, renews: parent.record.protected, drawn: &drawn };
            let passwords = self.restore_credentials(tx, &project, fork.branch, credentials)?;
            let endpoints = self.endpoints_create(tx, &project, &id, &new.endpoints)?;
            let steps = steps_to_create(OperationAction::CreateBranch, &id, &endpoints);
            let operations = operation::schedule(tx, self.entropy(), project.place(), steps)?;
            Ok(BranchCreated { branch: Branch::of(&project, id, record), endpoints, passwords, operations })
        })
    }

    /// As many new passwords as a child of the parent will need, drawn before the transaction, which they would make
    /// long.
    fn draw_for_roles(&self, caller: &Caller, project: &ProjectId, new: &NewBranch) -> Result<Vec<NewPassword>> {
        let mut source = self.snapshot()?;
        let project = FoundProject::find(&mut source, caller, project)?;
        let parent = project.branch(&mut source, new.parent.as_ref().unwrap_or(&project.record.default_branch))?;
        drop(source);
        if !parent.record.protected {
            return Ok(Vec::new());
        }
        let version = self.version(parent.engine, new.point).map_err(|error| outside(&parent.id, error))?;
        let count = role::with_passwords_of(&version)?.len();
        (0..count).map(|_| self.draw_password()).collect()
    }
}

/// Creating a branch makes its storage, then starts its endpoints.
pub(crate) fn steps_to_create(action: OperationAction, branch: &BranchId, endpoints: &[Endpoint]) -> Vec<Step> {
    let storage = Step { action, branch: branch.clone(), endpoint: None };
    let start = |endpoint: &Endpoint| Step {
        action: OperationAction::StartCompute,
        branch: branch.clone(),
        endpoint: Some(endpoint.id.clone()),
    };
    std::iter::once(storage).chain(endpoints.iter().filter(|endpoint| !endpoint.disabled).map(start)).collect()
}

/// The record of a branch that comes to be now.
pub(crate) fn new_record(
    tx: &Transaction<'_>,
    branch: offshoot_engine::BranchId,
    name: BranchName,
    parent: Option<ParentRecord>,
    created_by: Option<AccountName>,
) -> BranchRecord {
    BranchRecord {
        number: branch.number(),
        name,
        parent,
        protected: false,
        state: BranchState::Init,
        state_changed_at: now(tx),
        created_at: now(tx),
        updated_at: now(tx),
        init_source: InitSource::ParentData,
        expiry: None,
        last_reset_at: None,
        restored: None,
        created_by,
    }
}
