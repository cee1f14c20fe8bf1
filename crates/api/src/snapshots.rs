//! Snapshots: `/projects/{project_id}/snapshots` and `…/branches/{branch_id}/snapshot`.

use crate::{
    address::Addresses,
    branches::BranchBody,
    endpoints::{self, EndpointBody},
    error::ApiError,
    input::{JsonBody, PathParams, QueryParams},
    operations::{self, OperationBody},
    roles::NewPasswordBody,
    session::{ApiState, Session},
    time::{self, Timestamp},
};
use axum::{Json, http::StatusCode};
use offshoot_catalog::{self as catalog, BranchId, NewSnapshot, ProjectId, Snapshot, SnapshotId, SnapshotRestore};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(snapshot_create))
        .routes(routes!(snapshot_list))
        .routes(routes!(snapshot_update, snapshot_delete))
        .routes(routes!(snapshot_restore))
}

/// A point of a branch's history that is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Snapshot)]
struct SnapshotBody {
    id: String,
    name: String,
    source_branch_id: String,
    lsn: String,
    timestamp: Timestamp,
    manual: bool,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl From<Snapshot> for SnapshotBody {
    fn from(snapshot: Snapshot) -> SnapshotBody {
        SnapshotBody {
            id: snapshot.id.to_string(),
            name: snapshot.name.to_string(),
            source_branch_id: snapshot.source.to_string(),
            lsn: snapshot.lsn.to_string(),
            timestamp: snapshot.time.into(),
            // Nothing makes snapshots by itself.
            manual: true,
            created_at: snapshot.created_at.into(),
            expires_at: snapshot.expires_at.map(Into::into),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct SnapshotsBody {
    snapshots: Vec<SnapshotBody>,
}

#[derive(Serialize, ToSchema)]
struct SnapshotOnlyBody {
    snapshot: SnapshotBody,
}

/// A snapshot takes nothing to do, so there are no operations.
#[derive(Serialize, ToSchema)]
struct SnapshotCreatedBody {
    snapshot: SnapshotBody,
    operations: Vec<OperationBody>,
}

#[derive(Serialize, ToSchema)]
struct SnapshotDeletedBody {
    operations: Vec<OperationBody>,
}

#[derive(Serialize, ToSchema)]
struct SnapshotRestoredBody {
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
    operations: Vec<OperationBody>,
    /// An extension: the passwords of roles that got new ones, because the snapshot is of a protected branch. They are told here only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    new_passwords: Vec<NewPasswordBody>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SnapshotParams {
    /// The snapshot's id unless given.
    name: Option<String>,
    /// The head of the branch unless given.
    lsn: Option<String>,
    timestamp: Option<String>,
    expires_at: Option<String>,
}

#[derive(Deserialize, ToSchema)]
struct SnapshotUpdateRequest {
    snapshot: SnapshotUpdateFields,
}

#[derive(Deserialize, ToSchema)]
struct SnapshotUpdateFields {
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
struct SnapshotRestoreRequest {
    /// The new branch's name; where it takes another one's place at once, that one gets the name.
    name: Option<String>,
    /// The branch whose place it is to take; the one that the snapshot was taken of unless given.
    target_branch_id: Option<String>,
    /// Whether it takes that place at once.
    finalize_restore: Option<bool>,
    /// An extension: whether roles that the target has keep the passwords that they have there.
    preserve_credentials: Option<bool>,
}

type SnapshotPath = PathParams<(ProjectId, SnapshotId)>;

/// Makes a snapshot of a branch.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/snapshot",
    operation_id = "createSnapshot",
    tag = "Snapshots",
    params(SnapshotParams),
    responses((status = 200, body = SnapshotCreatedBody))
)]
async fn snapshot_create(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
    QueryParams(params): QueryParams<SnapshotParams>,
) -> Result<Json<SnapshotCreatedBody>, ApiError> {
    let new = NewSnapshot {
        name: params.name.map(|name| name.parse()).transpose()?,
        point: time::point(("lsn", "timestamp"), params.lsn.as_deref(), params.timestamp.as_deref())?,
        expires_at: params.expires_at.as_deref().map(|text| time::parse("expires_at", text)).transpose()?,
    };
    let snapshot = session.run(move |catalog, caller| catalog.snapshot_create(caller, &project, &branch, new)).await?;
    Ok(Json(SnapshotCreatedBody { snapshot: snapshot.into(), operations: Vec::new() }))
}

/// Lists the snapshots of a project, in order of creation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/snapshots",
    operation_id = "listSnapshots",
    tag = "Snapshots",
    responses((status = 200, body = SnapshotsBody))
)]
async fn snapshot_list(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
) -> Result<Json<SnapshotsBody>, ApiError> {
    let snapshots = session.run(move |catalog, caller| catalog.snapshot_list(caller, &project)).await?;
    Ok(Json(SnapshotsBody { snapshots: snapshots.into_iter().map(Into::into).collect() }))
}

/// Gives a snapshot another name.
#[utoipa::path(
    patch,
    path = "/projects/{project_id}/snapshots/{snapshot_id}",
    operation_id = "updateSnapshot",
    tag = "Snapshots",
    request_body = SnapshotUpdateRequest,
    responses((status = 200, body = SnapshotOnlyBody))
)]
async fn snapshot_update(
    session: Session,
    PathParams((project, id)): SnapshotPath,
    JsonBody(body): JsonBody<SnapshotUpdateRequest>,
) -> Result<Json<SnapshotOnlyBody>, ApiError> {
    let name = body.snapshot.name.map(|name| name.parse()).transpose()?;
    let snapshot = session.run(move |catalog, caller| catalog.snapshot_update(caller, &project, &id, name)).await?;
    Ok(Json(SnapshotOnlyBody { snapshot: snapshot.into() }))
}

/// Deletes a snapshot. Branches that were made of it stay.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/snapshots/{snapshot_id}",
    operation_id = "deleteSnapshot",
    tag = "Snapshots",
    responses((status = 202, body = SnapshotDeletedBody))
)]
async fn snapshot_delete(
    session: Session,
    PathParams((project, id)): SnapshotPath,
) -> Result<(StatusCode, Json<SnapshotDeletedBody>), ApiError> {
    let delete = move |catalog: &catalog::Catalog, caller: &catalog::Caller| {
        let deleted = catalog.snapshot_delete(caller, &project, &id)?;
        deleted.ok_or_else(|| catalog::Error::SnapshotNotFound { id: id.to_string() })
    };
    session.run(delete).await?;
    Ok((StatusCode::ACCEPTED, Json(SnapshotDeletedBody { operations: Vec::new() })))
}

/// The older place of the name.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RestoreParams {
    name: Option<String>,
}

/// Makes a branch of a snapshot, which may take another one's place.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/snapshots/{snapshot_id}/restore",
    operation_id = "restoreSnapshot",
    tag = "Snapshots",
    params(RestoreParams),
    request_body = Option<SnapshotRestoreRequest>,
    responses((status = 200, body = SnapshotRestoredBody))
)]
async fn snapshot_restore(
    session: Session,
    addresses: Addresses,
    PathParams((project, id)): SnapshotPath,
    QueryParams(params): QueryParams<RestoreParams>,
    JsonBody(body): JsonBody<SnapshotRestoreRequest>,
) -> Result<Json<SnapshotRestoredBody>, ApiError> {
    let restore = SnapshotRestore {
        name: body.name.or(params.name).map(|name| name.parse()).transpose()?,
        target: body.target_branch_id.map(|id| id.parse()).transpose()?,
        finalize: body.finalize_restore == Some(true),
        preserve_credentials: body.preserve_credentials == Some(true),
    };
    let restored =
        session.run(move |catalog, caller| catalog.snapshot_restore(caller, &project, &id, &restore)).await?;
    Ok(Json(SnapshotRestoredBody {
        branch: restored.branch.into(),
        endpoints: endpoints::bodies(restored.endpoints, &addresses),
        operations: operations::bodies(restored.operations),
        new_passwords: restored.passwords.into_iter().map(Into::into).collect(),
    }))
}
