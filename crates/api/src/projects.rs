//! Projects: `/projects`.

mod delete;

use crate::{
    address::Addresses,
    branches::BranchBody,
    connection::{Connection, ConnectionBody},
    databases::{self, DatabaseBody},
    endpoints::{self, EndpointBody, units},
    error::{ApiError, Code},
    input::{Flag, JsonBody, PathParams, QueryParams, page_limit},
    operations::{self, OperationBody, Pagination},
    regions::REGION_ID,
    roles::RoleBody,
    session::{ApiState, Session},
    settings,
    time::Timestamp,
    users::account_id,
};
use axum::{Json, http::StatusCode};
use offshoot_catalog::{
    ComputeUnits, EndpointDefaults, NewProject, Project, ProjectCreated, ProjectId, ProjectQuery, ProjectUpdate,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
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
        .routes(routes!(project_get, project_update))
        .merge(delete::routes())
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
    /// Kept as they were given, for whoever runs the computes.
    settings: Map<String, Value>,
    default_endpoint_settings: EndpointDefaultsBody,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Of a deleted project.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    /// Until when a deleted project can be recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    recoverable_until: Option<Timestamp>,
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
            store_passwords: project.store_passwords,
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
            settings: settings::shown(&project.settings),
            default_endpoint_settings: project.endpoint_defaults.into(),
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
            deleted_at: project.deletion.map(|deletion| deletion.deleted_at.into()),
            recoverable_until: project.deletion.map(|deletion| deletion.recoverable_until.into()),
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

impl ProjectsBody {
    fn of(projects: Vec<Project>, next: Option<String>) -> ProjectsBody {
        ProjectsBody {
            projects: projects.into_iter().map(Into::into).collect(),
            pagination: next.map(|cursor| Pagination { cursor }),
            applications: Map::new(),
            integrations: Map::new(),
        }
    }
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
    connection_uris: Vec<ConnectionBody>,
    roles: Vec<RoleBody>,
    databases: Vec<DatabaseBody>,
    operations: Vec<OperationBody>,
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
}

impl ProjectCreatedBody {
    fn new(created: ProjectCreated, addresses: &Addresses) -> ProjectCreatedBody {
        let connection = connection(&created).map(|connection| ConnectionBody::new(&connection, addresses));
        ProjectCreatedBody {
            project: created.project.into(),
            connection_uris: connection.into_iter().collect(),
            roles: created.roles.into_iter().map(Into::into).collect(),
            databases: databases::bodies(created.databases),
            operations: operations::bodies(created.operations),
            branch: created.branch.into(),
            endpoints: endpoints::bodies(created.endpoints, addresses),
        }
    }
}

/// How the default role reaches its database.
fn connection(created: &ProjectCreated) -> Option<Connection<'_>> {
    let (role, password) = created.roles.iter().find_map(|with| Some((&with.role.name, with.password.as_ref()?)))?;
    let (endpoint, database) = (created.endpoints.first()?, created.databases.first()?);
    Some(Connection { endpoint, role, password, database: &database.name })
}

#[derive(Default, Deserialize, ToSchema)]
struct ProjectCreateRequest {
    project: Option<ProjectCreateFields>,
}

#[derive(Default, Deserialize, ToSchema)]
struct ProjectCreateFields {
    name: Option<String>,
    /// One of `/regions`.
    region_id: Option<String>,
    pg_version: Option<u8>,
    store_passwords: Option<bool>,
    history_retention_seconds: Option<u32>,
    branch: Option<RootBranchFields>,
    settings: Option<Map<String, Value>>,
    default_endpoint_settings: Option<EndpointDefaultsBody>,
    /// The older place of what is in `default_endpoint_settings`.
    autoscaling_limit_min_cu: Option<f64>,
    autoscaling_limit_max_cu: Option<f64>,
}

#[derive(Default, Deserialize, ToSchema)]
struct RootBranchFields {
    name: Option<String>,
    role_name: Option<String>,
    database_name: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// What new endpoints get where nothing is said.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[schema(as = DefaultEndpointSettings)]
struct EndpointDefaultsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    suspend_timeout_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling_limit_min_cu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling_limit_max_cu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pg_settings: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pgbouncer_settings: Option<Map<String, Value>>,
}

impl EndpointDefaultsBody {
    fn read(self) -> Result<EndpointDefaults, ApiError> {
        let settings = [("pg_settings", self.pg_settings), ("pgbouncer_settings", self.pgbouncer_settings)];
        let settings = settings.into_iter().filter_map(|(name, given)| Some((name.to_owned(), Value::Object(given?))));
        Ok(EndpointDefaults {
            suspend_timeout_seconds: self.suspend_timeout_seconds,
            min_cu: units(self.autoscaling_limit_min_cu)?,
            max_cu: units(self.autoscaling_limit_max_cu)?,
            settings: settings::kept(settings.collect())?,
        })
    }
}

impl From<EndpointDefaults> for EndpointDefaultsBody {
    fn from(defaults: EndpointDefaults) -> EndpointDefaultsBody {
        let mut shown = settings::shown(&defaults.settings);
        let mut of = |name| shown.remove(name).and_then(|settings| settings.as_object().cloned());
        EndpointDefaultsBody {
            suspend_timeout_seconds: defaults.suspend_timeout_seconds,
            autoscaling_limit_min_cu: defaults.min_cu.map(ComputeUnits::get),
            autoscaling_limit_max_cu: defaults.max_cu.map(ComputeUnits::get),
            pg_settings: of("pg_settings"),
            pgbouncer_settings: of("pgbouncer_settings"),
        }
    }
}

impl ProjectCreateRequest {
    fn read(self) -> Result<NewProject, ApiError> {
        let project = self.project.unwrap_or_default();
        let branch = project.branch.unwrap_or_default();
        if let Some(region) = project.region_id.filter(|region| region != REGION_ID) {
            let message = format!(
                "region {region:?} is not here; this server has the region {REGION_ID:?}, which need not be named"
            );
            return Err(ApiError::new(Code::NotSupported, message));
        }
        let mut defaults = project.default_endpoint_settings.unwrap_or_default();
        defaults.autoscaling_limit_min_cu = defaults.autoscaling_limit_min_cu.or(project.autoscaling_limit_min_cu);
        defaults.autoscaling_limit_max_cu = defaults.autoscaling_limit_max_cu.or(project.autoscaling_limit_max_cu);
        Ok(NewProject {
            name: project.name.map(|name| name.parse()).transpose()?,
            branch_name: branch.name.map(|name| name.parse()).transpose()?,
            role_name: branch.role_name.map(|name| name.parse()).transpose()?,
            database_name: branch.database_name.map(|name| name.parse()).transpose()?,
            pg_version: project.pg_version,
            history_retention_seconds: project.history_retention_seconds,
            store_passwords: project.store_passwords,
            settings: settings::kept(project.settings.unwrap_or_default())?,
            endpoint_defaults: defaults.read()?,
            annotation: settings::annotation(branch.annotations)?,
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
    history_retention_seconds: Option<u32>,
    /// By name; those of other names stay.
    settings: Option<Map<String, Value>>,
    default_endpoint_settings: Option<EndpointDefaultsBody>,
}

impl ProjectUpdateFields {
    fn read(self) -> Result<ProjectUpdate, ApiError> {
        Ok(ProjectUpdate {
            name: self.name.map(|name| name.parse()).transpose()?,
            history_retention_seconds: self.history_retention_seconds,
            settings: self.settings.map(settings::kept).transpose()?,
            endpoint_defaults: self.default_endpoint_settings.map(EndpointDefaultsBody::read).transpose()?,
        })
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    search: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
    /// Deleted projects that can be recovered, in the place of those that are there.
    #[param(value_type = Option<bool>)]
    recoverable: Option<Flag>,
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
    let deleted = params.recoverable.is_some_and(|Flag(recoverable)| recoverable);
    let query = ProjectQuery { search: params.search, after: params.cursor, limit, deleted };
    let page = session.run(move |catalog, caller| catalog.project_list(caller, query)).await?;
    Ok(Json(ProjectsBody::of(page.items, page.next)))
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
    addresses: Addresses,
    JsonBody(body): JsonBody<ProjectCreateRequest>,
) -> Result<(StatusCode, Json<ProjectCreatedBody>), ApiError> {
    let new = body.read()?;
    let created = session.run(move |catalog, caller| catalog.project_create(caller, new)).await?;
    Ok((StatusCode::CREATED, Json(ProjectCreatedBody::new(created, &addresses))))
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
    let update = body.project.read()?;
    let changed = session.run(move |catalog, caller| catalog.project_update(caller, &project, &update)).await?;
    Ok(Json(ProjectChangedBody { project: changed.project.into(), operations: operations::bodies(changed.operations) }))
}
