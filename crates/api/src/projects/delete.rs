//! How projects are deleted, and recovered.

use super::{ProjectBody, ProjectOnlyBody};
use crate::{
    branches::{BranchBody, DeleteParams},
    error::ApiError,
    input::{PathParams, QueryParams},
    session::{ApiState, Session},
};
use axum::Json;
use offshoot_catalog::ProjectId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(project_delete)).routes(routes!(project_recover))
}

#[derive(Serialize, ToSchema)]
struct ProjectRecoveredBody {
    project: ProjectBody,
    branches: Vec<BranchBody>,
}

/// Deletes a project with all that is in it. It can be recovered for seven days, unless it is deleted for good, as a deleted one can be, too.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}",
    operation_id = "deleteProject",
    tag = "Projects",
    params(DeleteParams),
    responses((status = 200, body = ProjectOnlyBody))
)]
async fn project_delete(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<DeleteParams>,
) -> Result<Json<ProjectOnlyBody>, ApiError> {
    let deleted = session.run(move |catalog, caller| match params.is_hard() {
        true => catalog.project_delete_for_good(caller, &project),
        false => catalog.project_delete(caller, &project),
    });
    Ok(Json(ProjectOnlyBody { project: deleted.await?.into() }))
}

/// Brings a deleted project back with all that was in it, and starts the endpoints that ran when it was deleted.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/recover",
    operation_id = "recoverProject",
    tag = "Projects",
    responses((status = 200, body = ProjectRecoveredBody))
)]
async fn project_recover(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<ProjectRecoveredBody>, ApiError> {
    let recovered = session.run(move |catalog, caller| catalog.project_recover(caller, &project)).await?;
    Ok(Json(ProjectRecoveredBody {
        project: recovered.project.into(),
        branches: recovered.branches.into_iter().map(Into::into).collect(),
    }))
}
