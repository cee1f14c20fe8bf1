//! What a branch has none of here, for clients that ask before they show the rest: buckets, functions, credentials.

use crate::{
    error::ApiError,
    input::PathParams,
    session::{ApiState, Session},
};
use axum::Json;
use offshoot_catalog::{BranchId, ProjectId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(branch_bucket_list))
        .routes(routes!(branch_function_list))
        .routes(routes!(branch_credential_list))
}

type BranchPath = PathParams<(ProjectId, BranchId)>;

#[derive(Serialize, ToSchema)]
struct BucketsBody {
    buckets: Vec<Value>,
}

#[derive(Serialize, ToSchema)]
struct FunctionsBody {
    functions: Vec<Value>,
}

#[derive(Serialize, ToSchema)]
struct CredentialsBody {
    credentials: Vec<Value>,
}

/// Refuses a branch that isn't there.
async fn check(session: Session, PathParams((project, branch)): BranchPath) -> Result<(), ApiError> {
    session.run(move |catalog, caller| catalog.branch_get(caller, &project, &branch).map(drop)).await
}

/// Lists the buckets of a branch: there are none.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/buckets",
    operation_id = "listProjectBranchBuckets",
    tag = "Branches",
    responses((status = 200, body = BucketsBody))
)]
async fn branch_bucket_list(session: Session, path: BranchPath) -> Result<Json<BucketsBody>, ApiError> {
    check(session, path).await.map(|()| Json(BucketsBody { buckets: Vec::new() }))
}

/// Lists the functions of a branch: there are none.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/functions",
    operation_id = "listProjectBranchFunctions",
    tag = "Branches",
    responses((status = 200, body = FunctionsBody))
)]
async fn branch_function_list(session: Session, path: BranchPath) -> Result<Json<FunctionsBody>, ApiError> {
    check(session, path).await.map(|()| Json(FunctionsBody { functions: Vec::new() }))
}

/// Lists the credentials for services of a branch: there are none.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/credentials",
    operation_id = "listCredentials",
    tag = "Branches",
    responses((status = 200, body = CredentialsBody))
)]
async fn branch_credential_list(session: Session, path: BranchPath) -> Result<Json<CredentialsBody>, ApiError> {
    check(session, path).await.map(|()| Json(CredentialsBody { credentials: Vec::new() }))
}
