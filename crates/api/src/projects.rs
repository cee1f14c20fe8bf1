//! Projects: `/projects`.

use crate::{
    branches::BranchBody,
    databases::{self, DatabaseBody},
    endpoints::{self, EndpointBody},
    error::ApiError,
    input::{JsonBody, PathParams, QueryParams, page_limit},
    operations::{self, OperationBody, Pagination},
    roles::RoleBody,
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::{Json, Router, http::StatusCode, routing::get};
use offshoot_catalog::{self as catalog, NewProject, Project, ProjectCreated, ProjectId, ProjectQuery, ProjectUpdate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

// What the wire requires and Offshoot has no choice of.
pub(crate) const PLATFORM_ID: &str = "offshoot";
pub(crate) const REGION_ID: &str = "local";
pub(crate) const PROXY_HOST: &str = "localhost";
pub(crate) const PROVISIONER: &str = "k8s-pod";
pub(crate) const SOURCE: &str = "console";

const PAGE_DEFAULT: usize = 10;
const PAGE_MAX: usize = 400;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/projects", get(project_list).post(project_create))
        .route("/projects/{project_id}", get(project_get).patch(project_update).delete(project_delete))
}

/// What a project shows both alone and in a list. What Offshoot does not meter is 0.
#[derive(Serialize)]
struct ProjectItemBody {
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
    cpu_used_sec: u64,
    creation_source: &'static str,
    history_retention_seconds: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    owner_id: String,
}

impl From<Project> for ProjectItemBody {
    fn from(project: Project) -> ProjectItemBody {
        ProjectItemBody {
            id: project.id.to_string(),
            platform_id: PLATFORM_ID,
            region_id: REGION_ID,
            name: project.name.to_string(),
            provisioner: PROVISIONER,
            pg_version: project.pg_version,
            proxy_host: PROXY_HOST,
            branch_logical_size_limit: 0,
            branch_logical_size_limit_bytes: 0,
            store_passwords: project.store_passwords,
            cpu_used_sec: 0,
            creation_source: SOURCE,
            history_retention_seconds: project.history_retention_seconds,
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
            owner_id: project.account.to_string(),
        }
    }
}

/// A project in a list.
#[derive(Serialize)]
struct ProjectListItemBody {
    #[serde(flatten)]
    item: ProjectItemBody,
    active_time: u64,
}

/// A project alone.
#[derive(Serialize)]
struct ProjectBody {
    #[serde(flatten)]
    item: ProjectItemBody,
    data_storage_bytes_hour: u64,
    data_transfer_bytes: u64,
    written_data_bytes: u64,
    compute_time_seconds: u64,
    active_time_seconds: u64,
    consumption_period_start: Timestamp,
    consumption_period_end: Timestamp,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> ProjectBody {
        // Nothing is metered, so the period is empty.
        let period = project.created_at.into();
        ProjectBody {
            item: project.into(),
            data_storage_bytes_hour: 0,
            data_transfer_bytes: 0,
            written_data_bytes: 0,
            compute_time_seconds: 0,
            active_time_seconds: 0,
            consumption_period_start: period,
            consumption_period_end: period,
        }
    }
}

#[derive(Serialize)]
struct ProjectsBody {
    projects: Vec<ProjectListItemBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
    /// Both are required on the wire; Offshoot has neither.
    applications: Map<String, Value>,
    integrations: Map<String, Value>,
}

#[derive(Serialize)]
struct ProjectOnlyBody {
    project: ProjectBody,
}

#[derive(Serialize)]
struct ProjectChangedBody {
    project: ProjectBody,
    operations: Vec<OperationBody>,
}

#[derive(Serialize)]
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

#[derive(Default, Deserialize)]
struct ProjectCreateRequest {
    project: Option<ProjectCreateFields>,
}

#[derive(Default, Deserialize)]
struct ProjectCreateFields {
    name: Option<String>,
    pg_version: Option<u8>,
    history_retention_seconds: Option<u32>,
    branch: Option<RootBranchFields>,
    default_endpoint_settings: Option<EndpointDefaults>,
}

#[derive(Default, Deserialize)]
struct RootBranchFields {
    name: Option<String>,
    role_name: Option<String>,
    database_name: Option<String>,
}

#[derive(Default, Deserialize)]
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
            endpoint_defaults: catalog::EndpointDefaults {
                suspend_timeout_seconds: project.default_endpoint_settings.and_then(|set| set.suspend_timeout_seconds),
                ..catalog::EndpointDefaults::default()
            },
            ..NewProject::default()
        })
    }
}

#[derive(Deserialize)]
struct ProjectUpdateRequest {
    project: ProjectUpdateFields,
}

#[derive(Deserialize)]
struct ProjectUpdateFields {
    name: Option<String>,
}

#[derive(Deserialize)]
struct ListParams {
    search: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn project_list(
    session: Session,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<ProjectsBody>, ApiError> {
    let limit = page_limit(params.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let query = ProjectQuery { search: params.search, after: params.cursor, limit };
    let page = session.run(move |catalog, caller| catalog.project_list(caller, query)).await?;
    let item = |project: Project| ProjectListItemBody { item: project.into(), active_time: 0 };
    Ok(Json(ProjectsBody {
        projects: page.items.into_iter().map(item).collect(),
        pagination: page.next.map(|cursor| Pagination { cursor }),
        applications: Map::new(),
        integrations: Map::new(),
    }))
}

async fn project_create(
    session: Session,
    JsonBody(body): JsonBody<ProjectCreateRequest>,
) -> Result<(StatusCode, Json<ProjectCreatedBody>), ApiError> {
    let new = body.read()?;
    let created = session.run(move |catalog, caller| catalog.project_create(caller, new)).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

async fn project_get(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<ProjectOnlyBody>, ApiError> {
    let project = session.run(move |catalog, caller| catalog.project_get(caller, &project)).await?;
    Ok(Json(ProjectOnlyBody { project: project.into() }))
}

async fn project_update(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    JsonBody(body): JsonBody<ProjectUpdateRequest>,
) -> Result<Json<ProjectChangedBody>, ApiError> {
    let name = body.project.name.map(|name| name.parse()).transpose()?;
    let update = ProjectUpdate { name, ..ProjectUpdate::default() };
    let project = session.run(move |catalog, caller| catalog.project_update(caller, &project, &update)).await?;
    // A name is all that can change, and no compute needs to know it.
    Ok(Json(ProjectChangedBody { project: project.into(), operations: Vec::new() }))
}

async fn project_delete(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<ProjectOnlyBody>, ApiError> {
    let project = session.run(move |catalog, caller| catalog.project_delete(caller, &project)).await?;
    Ok(Json(ProjectOnlyBody { project: project.into() }))
}
