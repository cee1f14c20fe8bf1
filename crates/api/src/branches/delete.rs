//! How branches are deleted, and recovered.

use super::{BranchBody, BranchChangedBody, BranchPath};
use crate::{
    address::Addresses,
    endpoints::{self, EndpointBody},
    error::ApiError,
    input::{Flag, PathParams, QueryParams},
    operations::{self, OperationBody},
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog::Deletion;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(branch_delete)).routes(routes!(branch_recover))
}

/// That a branch is deleted, and until when it can be recovered.
#[derive(Serialize, ToSchema)]
#[schema(as = BranchRecoveryInfo)]
pub(super) struct RecoveryBody {
    deleted_at: Timestamp,
    recoverable_until: Timestamp,
    /// `user`, or `ttl` where it expired.
    deletion_method: String,
}

impl From<Deletion> for RecoveryBody {
    fn from(deletion: Deletion) -> RecoveryBody {
        RecoveryBody {
            deleted_at: deletion.deleted_at.into(),
            recoverable_until: deletion.recoverable_until.into(),
            deletion_method: deletion.method.to_string(),
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteParams {
    /// Whether it is removed for good at once; otherwise it can be recovered for seven days.
    #[param(value_type = Option<bool>)]
    hard_delete: Option<Flag>,
}

impl DeleteParams {
    pub(crate) fn is_hard(&self) -> bool {
        self.hard_delete.is_some_and(|Flag(hard)| hard)
    }
}

#[derive(Serialize, ToSchema)]
struct BranchRecoveredBody {
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
    operations: Vec<OperationBody>,
}

/// Deletes a branch with its roles, databases and endpoints. It can be recovered for seven days, unless it is deleted for good, as a deleted one can be, too.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/branches/{branch_id}",
    operation_id = "deleteProjectBranch",
    tag = "Branches",
    params(DeleteParams),
    responses((status = 200, body = BranchChangedBody), (status = 204))
)]
async fn branch_delete(
    session: Session,
    PathParams((project, branch)): BranchPath,
    QueryParams(params): QueryParams<DeleteParams>,
) -> Result<Response, ApiError> {
    let deleted = session.run(move |catalog, caller| match params.is_hard() {
        true => catalog.branch_delete_for_good(caller, &project, &branch),
        false => catalog.branch_delete(caller, &project, &branch),
    });
    Ok(match deleted.await? {
        Some(changed) => Json(BranchChangedBody::from(changed)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Brings a deleted branch back, and starts the endpoints that ran when it was deleted.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/recover",
    operation_id = "recoverProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchRecoveredBody))
)]
async fn branch_recover(
    session: Session,
    addresses: Addresses,
    PathParams((project, branch)): BranchPath,
) -> Result<Json<BranchRecoveredBody>, ApiError> {
    let recovered = session.run(move |catalog, caller| catalog.branch_recover(caller, &project, &branch)).await?;
    Ok(Json(BranchRecoveredBody {
        branch: recovered.branch.into(),
        endpoints: endpoints::bodies(recovered.endpoints, &addresses),
        operations: operations::bodies(recovered.operations),
    }))
}
