//! Projects: `/projects`.

use crate::{
    branches::BranchBody,
    databases::{self, DatabaseBody},
    endpoints::{self, EndpointBody},
    error::ApiError,
    input::{JsonBody, PathParams, QueryParams, page_limit},
    operations::{self, OperationBody, Pagination},
    regions::REGION_ID,
    roles::RoleBody,
    session::{ApiState, Session},
    time::Timestamp,
    users::account_id,
};
use axum::{Json, http::StatusCode};
use offshoot_catalog::{NewProject, Project, ProjectCreated, ProjectId, ProjectQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

// What the wire requires and Offshoot has no choice of.
pub(crate) const PLATFORM_ID: &str = "offshoot";
pub(crate) const PROXY_HOST: &str = "localhost";
pub(crate) const PROVISIONER: &str = "k8s-pod";
pub(crate) const SOURCE: &str = "console";

const PAGE_DEFAULT: usize = 10;
const PAGE_MAX: usize = 400;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(project_list, project_create))
        .routes(routes!(project_list_shared))
        .routes(routes!(project_get, project_update, project_delete))
}

/// A project. Alone and in a list it shows the same; what Offshoot does not meter is 0.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
struct ProjectBody {
    id: String,
    platform_id: &'static str,
    region_id: &'static str,
    name: String,
    provisioner: &'static str,
    pg_version: u8,
    proxy_host: &'static str,
    branch_logical_size_limit: u64,
    branch_logical_size_limit_bytes: u64,
    store_passwords: bool,
    active_time: u64,
    active_time_seconds: u64,
    compute_time_seconds: u64,
    cpu_used_sec: u64,
    data_storage_bytes_hour: u64,
    data_transfer_bytes: u64,
    written_data_bytes: u64,
    /// Nothing is metered, so the period is empty.
    consumption_period_start: Timestamp,
    consumption_period_end: Timestamp,
    creation_source: &'static str,
    history_retention_seconds: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The account.
    owner_id: String,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> ProjectBody {
        ProjectBody {
            id: project.id.to_string(),
            platform_id: PLATFORM_ID,
            region_id: REGION_ID,
            name: project.name.to_string(),
            provisioner: PROVISIONER,
            pg_version: project.pg_version,
            proxy_host: PROXY_HOST,
            branch_logical_size_limit: 0,
            branch_logical_size_limit_bytes: 0,
            // Only verifiers are kept, so no password can be revealed later.
            store_passwords: false,
            active_time: 0,
            active_time_seconds: 0,
            compute_time_seconds: 0,
            cpu_used_sec: 0,
            data_storage_bytes_hour: 0,
            data_transfer_bytes: 0,
            written_data_bytes: 0,
            consumption_period_start: project.created_at.into(),
            consumption_period_end: project.created_at.into(),
            creation_source: SOURCE,
            history_retention_seconds: project.history_retention_seconds,
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
            owner_id: account_id(project.account),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ProjectsBody {
    projects: Vec<ProjectBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
    /// Both are required on the wire; Offshoot has neither.
    applications: Map<String, Value>,
    integrations: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
struct SharedProjectsBody {
    projects: Vec<ProjectBody>,
}

#[derive(Serialize, ToSchema)]
struct ProjectOnlyBody {
    project: ProjectBody,
}

#[derive(Serialize, ToSchema)]
struct ProjectChangedBody {
    project: ProjectBody,
    operations: Vec<OperationBody>,
}

#[derive(Serialize, ToSchema)]
struct ProjectCreatedBody {
    project: ProjectBody,
    /// Empty while there is no compute to connect to.
    connection_uris: Vec<Value>,
    roles: Vec<RoleBody>,
    databases: Vec<DatabaseBody>,
    operations: Vec<OperationBody>,
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
}

impl From<ProjectCreated> for ProjectCreatedBody {
    fn from(created: ProjectCreated) -> ProjectCreatedBody {
        let role = |with: offshoot_catalog::RoleWithPassword| RoleBody::new(with.role, with.password.as_ref());
        ProjectCreatedBody {
            project: created.project.into(),
            connection_uris: Vec::new(),
            roles: created.roles.into_iter().map(role).collect(),
            databases: databases::bodies(created.databases),
            operations: operations::bodies(created.operations),
            branch: created.branch.into(),
            endpoints: endpoints::bodies(created.endpoints),
        }
    }
}

#[derive(Default, Deserialize, ToSchema)]
struct ProjectCreateRequest {
    project: Option<ProjectCreateFields>,
}

#[derive(Default, Deserialize, ToSchema)]
struct ProjectCreateFields {
    name: Option<String>,
    pg_version: Option<u8>,
    history_retention_seconds: Option<u32>,
    branch: Option<RootBranchFields>,
    default_endpoint_settings: Option<EndpointDefaults>,
}

#[derive(Default, Deserialize, ToSchema)]
struct RootBranchFields {
    name: Option<String>,
    role_name: Option<String>,
    database_name: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
struct EndpointDefaults {
    suspend_timeout_seconds: Option<i64>,
}

impl ProjectCreateRequest {
    fn read(self) -> Result<NewProject, ApiError> {
        let project = self.project.unwrap_or_default();
        let branch = project.branch.unwrap_or_default();
        Ok(NewProject {
            name: project.name.map(|name| name.parse()).transpose()?,
            branch_name: branch.name.map(|name| name.parse()).transpose()?,
            role_name: branch.role_name.map(|name| name.parse()).transpose()?,
            database_name: branch.database_name.map(|name| name.parse()).transpose()?,
            pg_version: project.pg_version,
            history_retention_seconds: project.history_retention_seconds,
            suspend_timeout_seconds: project.default_endpoint_settings.and_then(|set| set.suspend_timeout_seconds),
        })
    }
}

#[derive(Deserialize, ToSchema)]
struct ProjectUpdateRequest {
    project: ProjectUpdateFields,
}

#[derive(Deserialize, ToSchema)]
struct ProjectUpdateFields {
    name: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    search: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Lists the projects of the account, in order of creation.
#[utoipa::path(
    get,
    path = "/projects",
    operation_id = "listProjects",
    tag = "Projects",
    params(ListParams),
    responses((status = 200, body = ProjectsBody))
)]
async fn project_list(
    session: Session,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<ProjectsBody>, ApiError> {
    let limit = page_limit(params.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let query = ProjectQuery { search: params.search, after: params.cursor, limit };
    let page = session.run(move |catalog, caller| catalog.project_list(caller, query)).await?;
    Ok(Json(ProjectsBody {
        projects: page.items.into_iter().map(Into::into).collect(),
        pagination: page.next.map(|cursor| Pagination { cursor }),
        applications: Map::new(),
        integrations: Map::new(),
    }))
}

/// Lists the projects that other accounts share with this one: there are none.
#[utoipa::path(
    get,
    path = "/projects/shared",
    operation_id = "listSharedProjects",
    tag = "Projects",
    responses((status = 200, body = SharedProjectsBody))
)]
async fn project_list_shared(_: Session) -> Json<SharedProjectsBody> {
    Json(SharedProjectsBody { projects: Vec::new() })
}

/// Creates a project with a root branch, a role, a database and an endpoint.
#[utoipa::path(
    post,
    path = "/projects",
    operation_id = "createProject",
    tag = "Projects",
    request_body = Option<ProjectCreateRequest>,
    responses((status = 201, body = ProjectCreatedBody))
)]
async fn project_create(
    session: Session,
    JsonBody(body): JsonBody<ProjectCreateRequest>,
) -> Result<(StatusCode, Json<ProjectCreatedBody>), ApiError> {
    let new = body.read()?;
    let created = session.run(move |catalog, caller| catalog.project_create(caller, new)).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// Shows a project.
#[utoipa::path(
    get,
    path = "/projects/{project_id}",
    operation_id = "getProject",
    tag = "Projects",
    responses((status = 200, body = ProjectOnlyBody))
)]
async fn project_get(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<ProjectOnlyBody>, ApiError> {
    let project = session.run(move |catalog, caller| catalog.project_get(caller, &project)).await?;
    Ok(Json(ProjectOnlyBody { project: project.into() }))
}

/// Changes a project.
#[utoipa::path(
    patch,
    path = "/projects/{project_id}",
    operation_id = "updateProject",
    tag = "Projects",
    request_body = ProjectUpdateRequest,
    responses((status = 200, body = ProjectChangedBody))
)]
async fn project_update(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    JsonBody(body): JsonBody<ProjectUpdateRequest>,
) -> Result<Json<ProjectChangedBody>, ApiError> {
    let name = body.project.name.map(|name| name.parse()).transpose()?;
    let project = session.run(move |catalog, caller| catalog.project_update(caller, &project, name)).await?;
    // A name is all that can change, and no compute needs to know it.
    Ok(Json(ProjectChangedBody { project: project.into(), operations: Vec::new() }))
}

/// Deletes a project with all that is in it.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}",
    operation_id = "deleteProject",
    tag = "Projects",
    responses((status = 200, body = ProjectOnlyBody))
)]
async fn project_delete(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<ProjectOnlyBody>, ApiError> {
    let project = session.run(move |catalog, caller| catalog.project_delete(caller, &project)).await?;
    Ok(Json(ProjectOnlyBody { project: project.into() }))
}
