//! Branches: `/projects/{project_id}/branches`.

mod delete;
mod list;
mod restore;

use crate::{
    address::Addresses,
    connection::{Connection, ConnectionBody},
    databases::{self, DatabaseBody},
    endpoints::{self, EndpointBody, EndpointFields},
    error::{ApiError, Code},
    input::{JsonBody, PathParams, QueryParams, nullable},
    operations::{self, OperationBody},
    projects::SOURCE,
    roles::RoleBody,
    session::{ApiState, Session},
    settings,
    time::{self, Timestamp},
};
use axum::{Json, http::StatusCode};
pub(crate) use delete::DeleteParams;
use delete::RecoveryBody;
use list::{BranchPagination, ListParams, SearchParams};
use offshoot_catalog::{
    Annotation, Branch, BranchChanged, BranchId, BranchUpdate, Caller, Catalog, Database, Endpoint, Expiry, InitSource,
    NewBranch, ProjectId, RoleName, RoleWithPassword,
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How many roles, and how many databases, the answer to a creation lists.
/// Of a larger branch it lists none, so that creating one takes the same time however large its parent is.
const LISTED_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(branch_list, branch_create))
        .routes(routes!(branch_count))
        .routes(routes!(branch_get, branch_update))
        .routes(routes!(branch_set_as_default))
        .routes(routes!(branch_set_as_primary))
        .merge(delete::routes())
        .merge(restore::routes())
}

/// A branch in an answer. What Offshoot does not meter is 0.
#[derive(Serialize, ToSchema)]
#[schema(as = Branch)]
pub(crate) struct BranchBody {
    id: String,
    project_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_lsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_timestamp: Option<Timestamp>,
    name: String,
    current_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_state: Option<String>,
    state_changed_at: Timestamp,
    init_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_interval_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reset_at: Option<Timestamp>,
    /// How far a branch that was made of a snapshot is on its way to take another one's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_status: Option<String>,
    /// The snapshot that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored_from: Option<String>,
    /// The branch whose place it takes, or has taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored_as: Option<String>,
    /// Who created it; missing on branches that an earlier release made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<CreatorBody>,
    /// Of a deleted branch: until when it can be recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryBody>,
    creation_source: &'static str,
    /// The older name of `default`, which clients still read.
    primary: bool,
    default: bool,
    protected: bool,
    cpu_used_sec: u64,
    active_time_seconds: u64,
    compute_time_seconds: u64,
    written_data_bytes: u64,
    data_transfer_bytes: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// An account, by its name.
#[derive(Serialize, ToSchema)]
#[schema(as = BranchCreator)]
struct CreatorBody {
    name: String,
}

impl From<Branch> for BranchBody {
    fn from(branch: Branch) -> BranchBody {
        let parent = branch.parent.as_ref();
        let restored = branch.restored.as_ref();
        BranchBody {
            parent_id: parent.map(|parent| parent.id.to_string()),
            parent_lsn: parent.map(|parent| parent.lsn.to_string()),
            parent_timestamp: parent.map(|parent| parent.time.into()),
            id: branch.id.to_string(),
            project_id: branch.project.to_string(),
            name: branch.name.to_string(),
            current_state: branch.state.to_string(),
            pending_state: branch.pending_state.map(|state| state.to_string()),
            state_changed_at: branch.state_changed_at.into(),
            init_source: branch.init_source.to_string(),
            expires_at: branch.expires_at.map(Into::into),
            ttl_interval_seconds: branch.ttl_seconds,
            last_reset_at: branch.last_reset_at.map(Into::into),
            restore_status: restored.map(|restored| restored.status.to_string()),
            restored_from: restored.map(|restored| restored.snapshot.to_string()),
            restored_as: restored.and_then(|restored| restored.target.as_ref()).map(ToString::to_string),
            created_by: branch.created_by.map(|name| CreatorBody { name: name.to_string() }),
            recovery: branch.deletion.map(Into::into),
            creation_source: SOURCE,
            primary: branch.default,
            default: branch.default,
            protected: branch.protected,
            cpu_used_sec: 0,
            active_time_seconds: 0,
            compute_time_seconds: 0,
            written_data_bytes: 0,
            data_transfer_bytes: 0,
            created_at: branch.created_at.into(),
            updated_at: branch.updated_at.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BranchesBody {
    branches: Vec<BranchBody>,
    /// Of the branches that have any, by id.
    annotations: BTreeMap<String, AnnotationBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<BranchPagination>,
}

#[derive(Serialize, ToSchema)]
struct BranchCountBody {
    count: usize,
}

#[derive(Serialize, ToSchema)]
struct BranchOnlyBody {
    branch: BranchBody,
    annotation: AnnotationBody,
}

/// What people noted about a branch.
#[derive(Serialize, ToSchema)]
#[schema(as = Annotation)]
struct AnnotationBody {
    object: AnnotationObjectBody,
    value: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationObject)]
struct AnnotationObjectBody {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

impl AnnotationBody {
    fn new(branch: &BranchId, annotation: Option<Annotation>) -> AnnotationBody {
        let (created_at, updated_at) = annotation.as_ref().map(|noted| (noted.created_at, noted.updated_at)).unzip();
        AnnotationBody {
            object: AnnotationObjectBody { kind: "console/branch", id: branch.to_string() },
            value: annotation.map(|noted| noted.value.as_map().clone()).unwrap_or_default(),
            created_at: created_at.map(Into::into),
            updated_at: updated_at.map(Into::into),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BranchCreatedBody {
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
    operations: Vec<OperationBody>,
    /// None where there are more than 100, so that creating a branch takes no longer.
    roles: Vec<RoleBody>,
    databases: Vec<DatabaseBody>,
    /// Where an endpoint was created, and there is no doubt about role and database.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_uris: Option<Vec<ConnectionBody>>,
}

#[derive(Serialize, ToSchema)]
struct BranchChangedBody {
    branch: BranchBody,
    operations: Vec<OperationBody>,
}

impl From<BranchChanged> for BranchChangedBody {
    fn from(changed: BranchChanged) -> BranchChangedBody {
        BranchChangedBody { branch: changed.branch.into(), operations: operations::bodies(changed.operations) }
    }
}

#[derive(Default, Deserialize, ToSchema)]
struct BranchCreateRequest {
    branch: Option<BranchCreateFields>,
    endpoints: Option<Vec<EndpointFields>>,
    annotation_value: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize, ToSchema)]
struct BranchCreateFields {
    name: Option<String>,
    parent_id: Option<String>,
    parent_lsn: Option<String>,
    parent_timestamp: Option<String>,
    archived: Option<bool>,
    expires_at: Option<String>,
    /// `parent-data` or `schema-only`.
    init_source: Option<String>,
    protected: Option<bool>,
}

impl BranchCreateRequest {
    fn read(self) -> Result<NewBranch, ApiError> {
        let branch = self.branch.unwrap_or_default();
        if branch.archived == Some(true) {
            return Err(ApiError::new(Code::NotSupported, "archived is not supported; leave it out"));
        }
        let point = time::point(
            ("parent_lsn", "parent_timestamp"),
            branch.parent_lsn.as_deref(),
            branch.parent_timestamp.as_deref(),
        )?;
        let endpoints = self.endpoints.unwrap_or_default().into_iter().map(EndpointFields::read);
        Ok(NewBranch {
            name: branch.name.map(|name| name.parse()).transpose()?,
            parent: branch.parent_id.map(|id| id.parse()).transpose()?,
            point,
            init_source: init_source(branch.init_source.as_deref())?,
            protected: branch.protected == Some(true),
            expiry: branch.expires_at.as_deref().map(expiry).transpose()?,
            annotation: settings::annotation(self.annotation_value)?,
            endpoints: endpoints.collect::<Result<_, _>>()?,
        })
    }
}

fn init_source(text: Option<&str>) -> Result<InitSource, ApiError> {
    match text {
        None | Some("parent-data") => Ok(InitSource::ParentData),
        Some("schema-only") => Ok(InitSource::SchemaOnly),
        Some(other) => {
            let message = format!("init_source {other:?} is not supported; it can be parent-data or schema-only");
            Err(ApiError::new(Code::NotSupported, message))
        }
    }
}

fn expiry(text: &str) -> Result<Expiry, ApiError> {
    time::parse("expires_at", text).map(Expiry)
}

#[derive(Deserialize, ToSchema)]
struct BranchUpdateRequest {
    branch: BranchUpdateFields,
}

#[derive(Deserialize, ToSchema)]
struct BranchUpdateFields {
    name: Option<String>,
    protected: Option<bool>,
    /// Null for never.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Option<String>>,
}

impl BranchUpdateFields {
    fn read(self) -> Result<BranchUpdate, ApiError> {
        let expiry = self.expires_at.map(|text| text.as_deref().map(expiry).transpose());
        Ok(BranchUpdate {
            name: self.name.map(|name| name.parse()).transpose()?,
            protected: self.protected,
            expiry: expiry.transpose()?,
        })
    }
}

type BranchPath = PathParams<(ProjectId, BranchId)>;

/// Lists the branches of a project; all of them, where no limit is given.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches",
    operation_id = "listProjectBranches",
    tag = "Branches",
    params(ListParams),
    responses((status = 200, body = BranchesBody))
)]
async fn branch_list(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<BranchesBody>, ApiError> {
    let with_deleted = params.with_deleted();
    let query = params.read()?;
    let list = move |catalog: &Catalog, caller: &Caller| {
        let mut branches = catalog.branch_list(caller, &project)?;
        if with_deleted {
            branches.extend(catalog.branch_list_deleted(caller, &project)?);
        }
        Ok((branches, catalog.branch_annotation_list(caller, &project)?))
    };
    let (branches, annotations) = session.run(list).await?;
    let page = query.page_of(branches);
    let annotation = |(id, annotation): (BranchId, Annotation)| {
        let shown = page.branches.iter().any(|branch| branch.id == id);
        shown.then(|| (id.to_string(), AnnotationBody::new(&id, Some(annotation))))
    };
    Ok(Json(BranchesBody {
        annotations: annotations.into_iter().filter_map(annotation).collect(),
        branches: page.branches.into_iter().map(Into::into).collect(),
        pagination: page.pagination,
    }))
}

/// Counts the branches of a project.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/count",
    operation_id = "countProjectBranches",
    tag = "Branches",
    params(SearchParams),
    responses((status = 200, body = BranchCountBody))
)]
async fn branch_count(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<SearchParams>,
) -> Result<Json<BranchCountBody>, ApiError> {
    let branches = session.run(move |catalog, caller| catalog.branch_list(caller, &project)).await?;
    Ok(Json(BranchCountBody { count: branches.iter().filter(|branch| params.fits(branch)).count() }))
}

/// Creates a branch that has what its parent has at a point in time.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches",
    operation_id = "createProjectBranch",
    tag = "Branches",
    request_body = Option<BranchCreateRequest>,
    responses((status = 201, body = BranchCreatedBody))
)]
async fn branch_create(
    session: Session,
    addresses: Addresses,
    PathParams((project,)): PathParams<(ProjectId,)>,
    JsonBody(body): JsonBody<BranchCreateRequest>,
) -> Result<(StatusCode, Json<BranchCreatedBody>), ApiError> {
    let new = body.read()?;
    let create = move |catalog: &Catalog, caller: &Caller| {
        let created = catalog.branch_create(caller, &project, new)?;
        let branch = &created.branch.id;
        // New passwords are told here only, so then all roles are listed.
        let most = if created.passwords.is_empty() { LISTED_MAX } else { usize::MAX };
        let roles = catalog.role_list_revealed_up_to(caller, &project, branch, most)?;
        let databases = catalog.database_list_up_to(caller, &project, branch, LISTED_MAX)?;
        Ok((created, roles.unwrap_or_default(), databases.unwrap_or_default()))
    };
    let (created, mut roles, databases) = session.run(create).await?;
    let mut passwords: HashMap<RoleName, SecretString> = created.passwords.into_iter().collect();
    for with in &mut roles {
        with.password = passwords.remove(&with.role.name).or_else(|| with.password.take());
    }
    let body = BranchCreatedBody {
        connection_uris: connection(&created.endpoints, &roles, &databases)
            .map(|connection| vec![ConnectionBody::new(&connection, &addresses)]),
        branch: created.branch.into(),
        endpoints: endpoints::bodies(created.endpoints, &addresses),
        operations: operations::bodies(created.operations),
        roles: roles.into_iter().map(Into::into).collect(),
        databases: databases::bodies(databases),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Shows a branch.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}",
    operation_id = "getProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchOnlyBody))
)]
async fn branch_get(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Json<BranchOnlyBody>, ApiError> {
    let get = move |catalog: &Catalog, caller: &Caller| {
        Ok((catalog.branch_get(caller, &project, &branch)?, catalog.branch_annotation(caller, &project, &branch)?))
    };
    let (branch, annotation) = session.run(get).await?;
    let annotation = AnnotationBody::new(&branch.id, annotation);
    Ok(Json(BranchOnlyBody { branch: branch.into(), annotation }))
}

/// Changes a branch: its name, whether it is protected, and when it goes by itself.
#[utoipa::path(
    patch,
    path = "/projects/{project_id}/branches/{branch_id}",
    operation_id = "updateProjectBranch",
    tag = "Branches",
    request_body = BranchUpdateRequest,
    responses((status = 200, body = BranchChangedBody))
)]
async fn branch_update(
    session: Session,
    PathParams((project, branch)): BranchPath,
    JsonBody(body): JsonBody<BranchUpdateRequest>,
) -> Result<Json<BranchChangedBody>, ApiError> {
    let update = body.branch.read()?;
    let changed = session.run(move |catalog, caller| catalog.branch_update(caller, &project, &branch, update)).await?;
    Ok(Json(changed.into()))
}

/// Makes a branch the one that is meant where none is named.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/set_as_default",
    operation_id = "setDefaultProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchChangedBody))
)]
async fn branch_set_as_default(
    session: Session,
    PathParams((project, branch)): BranchPath,
) -> Result<Json<BranchChangedBody>, ApiError> {
    let changed = session.run(move |catalog, caller| catalog.branch_set_default(caller, &project, &branch)).await?;
    Ok(Json(changed.into()))
}

/// Makes a branch the default one, under the older name of that.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/set_as_primary",
    operation_id = "setPrimaryProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchChangedBody))
)]
async fn branch_set_as_primary(session: Session, path: BranchPath) -> Result<Json<BranchChangedBody>, ApiError> {
    branch_set_as_default(session, path).await
}

/// How a new endpoint is used, where one role with a known password and one database leave no doubt.
fn connection<'a>(
    endpoints: &'a [Endpoint],
    roles: &'a [RoleWithPassword],
    databases: &'a [Database],
) -> Option<Connection<'a>> {
    let mut users = roles.iter().filter(|with| !with.role.protected);
    match (endpoints.first(), users.next(), users.next(), databases) {
        (Some(endpoint), Some(RoleWithPassword { role, password: Some(password) }), None, [database]) => {
            Some(Connection { endpoint, role: &role.name, password, database: &database.name })
        }
        _ => None,
    }
}
