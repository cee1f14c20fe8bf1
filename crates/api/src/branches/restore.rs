//! Branches that get the contents of another point, and those that take another one's place.

use super::{BranchBody, BranchPath};
use crate::{
    error::ApiError,
    input::{JsonBody, PathParams},
    operations::{self, OperationBody},
    roles::NewPasswordBody,
    session::{ApiState, Session},
    time,
};
use axum::Json;
use offshoot_catalog::{BranchName, NewRestore};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(branch_restore)).routes(routes!(branch_finalize_restore))
}

#[derive(Deserialize, ToSchema)]
struct BranchRestoreRequest {
    /// The branch whose contents it gets: another one, or itself.
    source_branch_id: String,
    source_lsn: Option<String>,
    source_timestamp: Option<String>,
    /// The name of the branch under which the present contents live on.
    preserve_under_name: Option<String>,
    /// An extension: whether roles that the branch has now keep the passwords that they have now.
    preserve_credentials: Option<bool>,
}

impl BranchRestoreRequest {
    fn read(self) -> Result<NewRestore, ApiError> {
        let point = time::point(
            ("source_lsn", "source_timestamp"),
            self.source_lsn.as_deref(),
            self.source_timestamp.as_deref(),
        )?;
        Ok(NewRestore {
            source: self.source_branch_id.parse()?,
            point,
            preserve_under: self.preserve_under_name.map(|name| name.parse()).transpose()?,
            preserve_credentials: self.preserve_credentials == Some(true),
        })
    }
}

#[derive(Serialize, ToSchema)]
struct BranchRestoredBody {
    branch: BranchBody,
    operations: Vec<OperationBody>,
    /// An extension: the passwords of roles that got new ones, because the source is protected. They are told here only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    new_passwords: Vec<NewPasswordBody>,
}

#[derive(Deserialize, ToSchema)]
struct FinalizeRestoreRequest {
    /// The name that the replaced branch gets.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct RestoreFinalizedBody {
    operations: Vec<OperationBody>,
}

/// Gives a branch the contents of a point of another branch, or of its own past.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/restore",
    operation_id = "restoreProjectBranch",
    tag = "Branches",
    request_body = BranchRestoreRequest,
    responses((status = 200, body = BranchRestoredBody))
)]
async fn branch_restore(
    session: Session,
    PathParams((project, branch)): BranchPath,
    JsonBody(body): JsonBody<BranchRestoreRequest>,
) -> Result<Json<BranchRestoredBody>, ApiError> {
    let restore = body.read()?;
    let reset = session.run(move |catalog, caller| catalog.branch_restore(caller, &project, &branch, &restore)).await?;
    Ok(Json(BranchRestoredBody {
        branch: reset.branch.into(),
        operations: operations::bodies(reset.operations),
        new_passwords: reset.passwords.into_iter().map(Into::into).collect(),
    }))
}

/// Lets a branch that was made of a snapshot take the place of the one that it is to replace.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/finalize_restore",
    operation_id = "finalizeRestoreBranch",
    tag = "Branches",
    request_body = Option<FinalizeRestoreRequest>,
    responses((status = 200, body = RestoreFinalizedBody))
)]
async fn branch_finalize_restore(
    session: Session,
    PathParams((project, branch)): BranchPath,
    JsonBody(body): JsonBody<FinalizeRestoreRequest>,
) -> Result<Json<RestoreFinalizedBody>, ApiError> {
    let name: Option<BranchName> = body.name.map(|name| name.parse()).transpose()?;
    let finalized = session
        .run(move |catalog, caller| catalog.branch_finalize_restore(caller, &project, &branch, name.as_ref()))
        .await?;
    Ok(Json(RestoreFinalizedBody { operations: operations::bodies(finalized.operations) }))
}
