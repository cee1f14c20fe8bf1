//! `…/endpoints/{endpoint_id}/drift`: what an endpoint's server has and its branch doesn't know. Neon's API has nothing of it.

use crate::{
    document::EXTENSION,
    error::ApiError,
    input::PathParams,
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::Json;
use offshoot_catalog::{EndpointId, NotedDrift, ProjectId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(endpoint_drift))
}

#[derive(Serialize, ToSchema)]
struct EndpointDriftBody {
    /// Missing where server and branch were not compared yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftBody>,
}

/// What the server had besides, when it was last compared with its branch.
#[derive(Serialize, ToSchema)]
struct DriftBody {
    compared_at: Timestamp,
    /// The names of roles; the first 50.
    roles: Vec<String>,
    roles_count: u32,
    /// The names of databases; the first 50.
    databases: Vec<String>,
    databases_count: u32,
}

impl From<NotedDrift> for DriftBody {
    fn from(noted: NotedDrift) -> DriftBody {
        let NotedDrift { compared_at, roles, roles_count, databases, databases_count } = noted;
        DriftBody { compared_at: compared_at.into(), roles, roles_count, databases, databases_count }
    }
}

/// Shows which roles and databases an endpoint's server has that its branch does not know.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/endpoints/{endpoint_id}/drift",
    operation_id = "getProjectEndpointDrift",
    tag = EXTENSION,
    responses((status = 200, body = EndpointDriftBody))
)]
async fn endpoint_drift(
    session: Session,
    PathParams((project, id)): PathParams<(ProjectId, EndpointId)>,
) -> Result<Json<EndpointDriftBody>, ApiError> {
    let noted = session.run(move |catalog, caller| catalog.endpoint_drift(caller, &project, &id)).await?;
    Ok(Json(EndpointDriftBody { drift: noted.map(Into::into) }))
}
