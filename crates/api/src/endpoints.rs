//! Endpoints (computes): `/projects/{project_id}/endpoints` and `…/branches/{branch_id}/endpoints`.

use crate::{
    address::{Addresses, Place},
    error::ApiError,
    input::{JsonBody, PathParams},
    operations::{self, OperationBody},
    projects::{PROVISIONER, SOURCE},
    regions::REGION_ID,
    session::{ApiState, Session},
    settings,
    time::Timestamp,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog::{
    BranchId, ComputeUnits, Endpoint, EndpointChanged, EndpointId, EndpointKind, EndpointSpec, EndpointUpdate,
    ProjectId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(endpoint_list, endpoint_create))
        .routes(routes!(endpoint_get, endpoint_update, endpoint_delete))
        .routes(routes!(endpoint_start))
        .routes(routes!(endpoint_suspend))
        .routes(routes!(endpoint_restart))
        .routes(routes!(endpoint_list_of_branch))
}

/// `read_write` or `read_only`, in requests and answers.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EndpointType)]
pub(crate) enum KindBody {
    ReadWrite,
    ReadOnly,
}

impl From<KindBody> for EndpointKind {
    fn from(kind: KindBody) -> EndpointKind {
        match kind {
            KindBody::ReadWrite => EndpointKind::ReadWrite,
            KindBody::ReadOnly => EndpointKind::ReadOnly,
        }
    }
}

impl From<EndpointKind> for KindBody {
    fn from(kind: EndpointKind) -> KindBody {
        match kind {
            EndpointKind::ReadWrite => KindBody::ReadWrite,
            EndpointKind::ReadOnly => KindBody::ReadOnly,
        }
    }
}

/// A compute size of a request.
pub(crate) fn units(given: Option<f64>) -> Result<Option<ComputeUnits>, ApiError> {
    Ok(given.map(ComputeUnits::new).transpose()?)
}

/// An endpoint. What Offshoot does not have is constant.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    id: String,
    project_id: String,
    branch_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    host: String,
    proxy_host: String,
    region_id: &'static str,
    #[serde(rename = "type")]
    kind: KindBody,
    current_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_state: Option<String>,
    /// Kept as they were given, for whoever runs the compute.
    settings: Map<String, Value>,
    autoscaling_limit_min_cu: f64,
    autoscaling_limit_max_cu: f64,
    pooler_enabled: bool,
    pooler_mode: &'static str,
    disabled: bool,
    passwordless_access: bool,
    creation_source: &'static str,
    provisioner: &'static str,
    suspend_timeout_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl EndpointBody {
    fn new(endpoint: Endpoint, addresses: &Addresses) -> EndpointBody {
        let Place { host, proxy_host, .. } = addresses.place(&endpoint);
        let mut settings = settings::shown(&endpoint.settings);
        settings.entry("pg_settings").or_insert_with(|| json!({}));
        EndpointBody {
            host,
            id: endpoint.id.to_string(),
            project_id: endpoint.project.to_string(),
            branch_id: endpoint.branch.to_string(),
            name: endpoint.name.map(|name| name.to_string()),
            proxy_host,
            region_id: REGION_ID,
            kind: endpoint.kind.into(),
            current_state: endpoint.state.to_string(),
            pending_state: endpoint.pending_state.map(|state| state.to_string()),
            settings,
            autoscaling_limit_min_cu: endpoint.min_cu.get(),
            autoscaling_limit_max_cu: endpoint.max_cu.get(),
            pooler_enabled: endpoint.pooler_enabled,
            pooler_mode: "transaction",
            disabled: endpoint.disabled,
            passwordless_access: endpoint.passwordless_access,
            creation_source: SOURCE,
            provisioner: PROVISIONER,
            suspend_timeout_seconds: endpoint.suspend_timeout_seconds,
            started_at: endpoint.started_at.map(Into::into),
            suspended_at: endpoint.suspended_at.map(Into::into),
            created_at: endpoint.created_at.into(),
            updated_at: endpoint.updated_at.into(),
        }
    }
}

/// An endpoint to be created; what is not given is as the project's defaults say.
#[derive(Deserialize, ToSchema)]
pub(crate) struct EndpointFields {
    #[serde(rename = "type")]
    kind: KindBody,
    name: Option<String>,
    settings: Option<Map<String, Value>>,
    autoscaling_limit_min_cu: Option<f64>,
    autoscaling_limit_max_cu: Option<f64>,
    suspend_timeout_seconds: Option<i64>,
    disabled: Option<bool>,
    pooler_enabled: Option<bool>,
    passwordless_access: Option<bool>,
}

impl EndpointFields {
    pub(crate) fn read(self) -> Result<EndpointSpec, ApiError> {
        let usual = EndpointSpec::new(self.kind.into());
        Ok(EndpointSpec {
            name: self.name.map(|name| name.parse()).transpose()?,
            settings: settings::kept(self.settings.unwrap_or_default())?,
            min_cu: units(self.autoscaling_limit_min_cu)?,
            max_cu: units(self.autoscaling_limit_max_cu)?,
            suspend_timeout_seconds: self.suspend_timeout_seconds,
            disabled: self.disabled.unwrap_or(usual.disabled),
            pooler_enabled: self.pooler_enabled.unwrap_or(usual.pooler_enabled),
            passwordless_access: self.passwordless_access.unwrap_or(usual.passwordless_access),
            ..usual
        })
    }
}

#[derive(Deserialize, ToSchema)]
struct EndpointCreateRequest {
    endpoint: EndpointCreateFields,
}

#[derive(Deserialize, ToSchema)]
struct EndpointCreateFields {
    branch_id: String,
    #[serde(flatten)]
    fields: EndpointFields,
}

#[derive(Deserialize, ToSchema)]
struct EndpointUpdateRequest {
    endpoint: EndpointUpdateFields,
}

#[derive(Deserialize, ToSchema)]
struct EndpointUpdateFields {
    name: Option<String>,
    /// By name; those of other names stay.
    settings: Option<Map<String, Value>>,
    autoscaling_limit_min_cu: Option<f64>,
    autoscaling_limit_max_cu: Option<f64>,
    suspend_timeout_seconds: Option<i64>,
    disabled: Option<bool>,
    pooler_enabled: Option<bool>,
    passwordless_access: Option<bool>,
}

impl EndpointUpdateFields {
    fn read(self) -> Result<EndpointUpdate, ApiError> {
        Ok(EndpointUpdate {
            name: self.name.map(|name| name.parse()).transpose()?,
            settings: self.settings.map(settings::kept).transpose()?,
            min_cu: units(self.autoscaling_limit_min_cu)?,
            max_cu: units(self.autoscaling_limit_max_cu)?,
            suspend_timeout_seconds: self.suspend_timeout_seconds,
            disabled: self.disabled,
            pooler_enabled: self.pooler_enabled,
            passwordless_access: self.passwordless_access,
        })
    }
}

/// Endpoints as answers list them.
pub(crate) fn bodies(endpoints: Vec<Endpoint>, addresses: &Addresses) -> Vec<EndpointBody> {
    endpoints.into_iter().map(|endpoint| EndpointBody::new(endpoint, addresses)).collect()
}

#[derive(Serialize, ToSchema)]
struct EndpointsBody {
    endpoints: Vec<EndpointBody>,
}

#[derive(Serialize, ToSchema)]
struct EndpointOnlyBody {
    endpoint: EndpointBody,
}

#[derive(Serialize, ToSchema)]
struct EndpointChangedBody {
    endpoint: EndpointBody,
    operations: Vec<OperationBody>,
}

impl EndpointChangedBody {
    fn new(changed: EndpointChanged, addresses: &Addresses) -> EndpointChangedBody {
        EndpointChangedBody {
            endpoint: EndpointBody::new(changed.endpoint, addresses),
            operations: operations::bodies(changed.operations),
        }
    }
}

type EndpointPath = PathParams<(ProjectId, EndpointId)>;

/// Lists the endpoints of a project, in order of creation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/endpoints",
    operation_id = "listProjectEndpoints",
    tag = "Endpoints",
    responses((status = 200, body = EndpointsBody))
)]
async fn endpoint_list(
    session: Session,
    addresses: Addresses,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<EndpointsBody>, ApiError> {
    let endpoints = session.run(move |catalog, caller| catalog.endpoint_list(caller, &project)).await?;
    Ok(Json(EndpointsBody { endpoints: bodies(endpoints, &addresses) }))
}

/// Lists the endpoints of a branch, in order of creation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/endpoints",
    operation_id = "listProjectBranchEndpoints",
    tag = "Endpoints",
    responses((status = 200, body = EndpointsBody))
)]
async fn endpoint_list_of_branch(
    session: Session,
    addresses: Addresses,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Json<EndpointsBody>, ApiError> {
    Ok(Json(EndpointsBody {
        endpoints: bodies(
            session.run(move |catalog, caller| catalog.endpoint_list_of_branch(caller, &project, &branch)).await?,
            &addresses,
        ),
    }))
}

/// Shows an endpoint.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/endpoints/{endpoint_id}",
    operation_id = "getProjectEndpoint",
    tag = "Endpoints",
    responses((status = 200, body = EndpointOnlyBody))
)]
async fn endpoint_get(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): PathParams<(ProjectId, EndpointId)>,
) -> Result<Json<EndpointOnlyBody>, ApiError> {
    let endpoint = session.run(move |catalog, caller| catalog.endpoint_get(caller, &project, &id)).await?;
    Ok(Json(EndpointOnlyBody { endpoint: EndpointBody::new(endpoint, &addresses) }))
}

/// Creates an endpoint on a branch, and starts it.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/endpoints",
    operation_id = "createProjectEndpoint",
    tag = "Endpoints",
    request_body = EndpointCreateRequest,
    responses((status = 201, body = EndpointChangedBody))
)]
async fn endpoint_create(
    session: Session,
    addresses: Addresses,
    PathParams((project,)): PathParams<(ProjectId,)>,
    JsonBody(body): JsonBody<EndpointCreateRequest>,
) -> Result<(StatusCode, Json<EndpointChangedBody>), ApiError> {
    let branch: BranchId = body.endpoint.branch_id.parse()?;
    let spec = body.endpoint.fields.read()?;
    let changed = session.run(move |catalog, caller| catalog.endpoint_create(caller, &project, &branch, spec)).await?;
    Ok((StatusCode::CREATED, Json(EndpointChangedBody::new(changed, &addresses))))
}

/// Changes an endpoint.
#[utoipa::path(
    patch,
    path = "/projects/{project_id}/endpoints/{endpoint_id}",
    operation_id = "updateProjectEndpoint",
    tag = "Endpoints",
    request_body = EndpointUpdateRequest,
    responses((status = 200, body = EndpointChangedBody))
)]
async fn endpoint_update(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): EndpointPath,
    JsonBody(body): JsonBody<EndpointUpdateRequest>,
) -> Result<Json<EndpointChangedBody>, ApiError> {
    let update = body.endpoint.read()?;
    let changed = session.run(move |catalog, caller| catalog.endpoint_update(caller, &project, &id, update)).await?;
    Ok(Json(EndpointChangedBody::new(changed, &addresses)))
}

/// Suspends an endpoint and deletes it.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/endpoints/{endpoint_id}",
    operation_id = "deleteProjectEndpoint",
    tag = "Endpoints",
    responses((status = 200, body = EndpointChangedBody), (status = 204))
)]
async fn endpoint_delete(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): EndpointPath,
) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.endpoint_delete(caller, &project, &id)).await? {
        Some(changed) => Json(EndpointChangedBody::new(changed, &addresses)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Starts an endpoint.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/endpoints/{endpoint_id}/start",
    operation_id = "startProjectEndpoint",
    tag = "Endpoints",
    responses((status = 200, body = EndpointChangedBody))
)]
async fn endpoint_start(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): EndpointPath,
) -> Result<Json<EndpointChangedBody>, ApiError> {
    let changed = session.run(move |catalog, caller| catalog.endpoint_start(caller, &project, &id)).await?;
    Ok(Json(EndpointChangedBody::new(changed, &addresses)))
}

/// Suspends an endpoint.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/endpoints/{endpoint_id}/suspend",
    operation_id = "suspendProjectEndpoint",
    tag = "Endpoints",
    responses((status = 200, body = EndpointChangedBody))
)]
async fn endpoint_suspend(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): EndpointPath,
) -> Result<Json<EndpointChangedBody>, ApiError> {
    let changed = session.run(move |catalog, caller| catalog.endpoint_suspend(caller, &project, &id)).await?;
    Ok(Json(EndpointChangedBody::new(changed, &addresses)))
}

/// Suspends an endpoint and starts it again.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/endpoints/{endpoint_id}/restart",
    operation_id = "restartProjectEndpoint",
    tag = "Endpoints",
    responses((status = 200, body = EndpointChangedBody))
)]
async fn endpoint_restart(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): EndpointPath,
) -> Result<Json<EndpointChangedBody>, ApiError> {
    let changed = session.run(move |catalog, caller| catalog.endpoint_restart(caller, &project, &id)).await?;
    Ok(Json(EndpointChangedBody::new(changed, &addresses)))
}
