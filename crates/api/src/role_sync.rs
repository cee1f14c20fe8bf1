//! `…/branches/{branch_id}/roles/sync`: roles that were made in SQL become roles of the branch. Neon's API has nothing of it.

use crate::{
    document::EXTENSION,
    error::ApiError,
    input::PathParams,
    operations::{self, OperationBody},
    session::{ApiState, Session},
};
use axum::{Json, response::Response, routing};
use offshoot_catalog::{
    self as catalog, BranchId, Caller, Catalog, Operation, ProjectId, RoleLeft, RoleName, RolesTaken,
};
use serde::Serialize;
use std::time::{Duration, Instant};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a request waits for the operation.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    // A role may be named so, and its own calls have the same path.
    let of_a_role = routing::get(show_role_named_sync).delete(delete_role_named_sync);
    OpenApiRouter::new()
        .routes(routes!(role_sync))
        .route("/projects/{project_id}/branches/{branch_id}/roles/sync", of_a_role)
}

/// What came of taking over roles.
#[derive(Serialize, ToSchema)]
struct RoleSyncBody {
    /// Missing where the operations were not finished in time, or failed: they tell how far they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<RolesTakenBody>,
    operations: Vec<OperationBody>,
}

#[derive(Serialize, ToSchema)]
struct RolesTakenBody {
    /// The names of roles that are the branch's now; the first 50.
    taken: Vec<String>,
    taken_count: u32,
    /// Roles that aren't; the first 40.
    left: Vec<RoleLeftBody>,
    left_count: u32,
}

#[derive(Serialize, ToSchema)]
struct RoleLeftBody {
    name: String,
    reason: String,
}

impl From<RolesTaken> for RolesTakenBody {
    fn from(result: RolesTaken) -> RolesTakenBody {
        let left = result.left.into_iter().map(|RoleLeft { name, reason }| RoleLeftBody { name, reason });
        RolesTakenBody {
            taken: result.taken.into_iter().map(|name| name.to_string()).collect(),
            taken_count: result.taken_count,
            left: left.collect(),
            left_count: result.left_count,
        }
    }
}

/// Makes roles that were created in SQL on the branch's compute roles of the branch, with their passwords.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/roles/sync",
    operation_id = "syncProjectBranchRoles",
    tag = EXTENSION,
    responses((status = 200, body = RoleSyncBody))
)]
async fn role_sync(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Json<RoleSyncBody>, ApiError> {
    let synced = session.run(move |catalog, caller| {
        let operations = catalog.role_sync(caller, &project, &branch)?;
        wait(catalog, caller, &project, operations)
    });
    let (result, operations) = synced.await?;
    Ok(Json(RoleSyncBody { result: result.map(Into::into), operations: operations::bodies(operations) }))
}

/// Waits until the first of the operations has come to its end, but not for ever.
fn wait(
    catalog: &Catalog,
    caller: &Caller,
    project: &ProjectId,
    mut operations: Vec<Operation>,
) -> Result<(Option<RolesTaken>, Vec<Operation>), catalog::Error> {
    let end = Instant::now() + PATIENCE;
    loop {
        let moment = catalog.moment();
        for operation in &mut operations {
            *operation = catalog.operation_get(caller, project, operation.id)?;
        }
        let Some(sync) = operations.first() else { return Ok((None, operations)) };
        let left = end.saturating_duration_since(Instant::now());
        if sync.status.is_final() || left.is_zero() {
            return Ok((catalog.role_sync_result(caller, project, sync.id)?, operations));
        }
        catalog.operations_wait(moment, left);
    }
}

fn named_sync() -> Result<RoleName, ApiError> {
    Ok("sync".parse()?)
}

async fn show_role_named_sync(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Response, ApiError> {
    crate::roles::show(session, (project, branch, named_sync()?)).await
}

async fn delete_role_named_sync(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Response, ApiError> {
    crate::roles::delete(session, (project, branch, named_sync()?)).await
}
