//! Endpoints (computes): `/projects/{project_id}/endpoints` and `…/branches/{branch_id}/endpoints`.

use crate::{
    error::ApiError,
    input::PathParams,
    projects::{PROVISIONER, PROXY_HOST, SOURCE},
    regions::REGION_ID,
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::Json;
use offshoot_catalog::{BranchId, Endpoint, EndpointId, EndpointKind, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(endpoint_list))
        .routes(routes!(endpoint_get))
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

/// An endpoint in an answer. What Offshoot does not have is constant.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    id: String,
    project_id: String,
    branch_id: String,
    host: String,
    proxy_host: &'static str,
    region_id: &'static str,
    #[serde(rename = "type")]
    kind: KindBody,
    current_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_state: Option<String>,
    settings: Value,
    autoscaling_limit_min_cu: f64,
    autoscaling_limit_max_cu: f64,
    pooler_enabled: bool,
    pooler_mode: &'static str,
    disabled: bool,
    passwordless_access: bool,
    creation_source: &'static str,
    provisioner: &'static str,
    suspend_timeout_seconds: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> EndpointBody {
        EndpointBody {
            // Clients derive the pooled host from the id in it.
            host: format!("{}.{PROXY_HOST}", endpoint.id),
            id: endpoint.id.to_string(),
            project_id: endpoint.project.to_string(),
            branch_id: endpoint.branch.to_string(),
            proxy_host: PROXY_HOST,
            region_id: REGION_ID,
            kind: endpoint.kind.into(),
            current_state: endpoint.state.to_string(),
            pending_state: endpoint.pending_state.map(|state| state.to_string()),
            settings: json!({ "pg_settings": {} }),
            autoscaling_limit_min_cu: 1.0,
            autoscaling_limit_max_cu: 1.0,
            pooler_enabled: false,
            pooler_mode: "transaction",
            disabled: false,
            // Passwordless connections do not exist yet.
            passwordless_access: false,
            creation_source: SOURCE,
            provisioner: PROVISIONER,
            suspend_timeout_seconds: endpoint.suspend_timeout_seconds,
            created_at: endpoint.created_at.into(),
            updated_at: endpoint.updated_at.into(),
        }
    }
}

/// Endpoints as answers list them.
pub(crate) fn bodies(endpoints: Vec<Endpoint>) -> Vec<EndpointBody> {
    endpoints.into_iter().map(Into::into).collect()
}

#[derive(Serialize, ToSchema)]
struct EndpointsBody {
    endpoints: Vec<EndpointBody>,
}

#[derive(Serialize, ToSchema)]
struct EndpointOnlyBody {
    endpoint: EndpointBody,
}

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
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<EndpointsBody>, ApiError> {
    let endpoints = session.run(move |catalog, caller| catalog.endpoint_list(caller, &project)).await?;
    Ok(Json(EndpointsBody { endpoints: bodies(endpoints) }))
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
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Json<EndpointsBody>, ApiError> {
    Ok(Json(EndpointsBody {
        endpoints: bodies(
            session.run(move |catalog, caller| catalog.endpoint_list_of_branch(caller, &project, &branch)).await?,
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
    PathParams((project, id)): PathParams<(ProjectId, EndpointId)>,
) -> Result<Json<EndpointOnlyBody>, ApiError> {
    let endpoint = session.run(move |catalog, caller| catalog.endpoint_get(caller, &project, &id)).await?;
    Ok(Json(EndpointOnlyBody { endpoint: endpoint.into() }))
}
