//! `…/branches/{branch_id}/roles/sync`: roles and databases that were made in SQL become the branch's. Neon's API has nothing of it.

use crate::{
    document::EXTENSION,
    error::ApiError,
    input::PathParams,
    operations::{self, OperationBody},
    session::{ApiState, Session},
};
use axum::{Json, extract::State, response::Response, routing};
use offshoot_catalog::{self as catalog, BranchId, Caller, Catalog, Left, Operation, ProjectId, RoleName, ServerTaken};
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

/// What came of taking over roles and databases.
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
    left: Vec<LeftBody>,
    left_count: u32,
    databases: DatabasesTakenBody,
}

#[derive(Serialize, ToSchema)]
struct DatabasesTakenBody {
    /// The names of databases that are the branch's now; the first 50.
    taken: Vec<String>,
    taken_count: u32,
    /// Databases that aren't; the first 40.
    left: Vec<LeftBody>,
    left_count: u32,
}

/// A role or a database that is not the branch's, and why.
#[derive(Serialize, ToSchema)]
struct LeftBody {
    name: String,
    reason: String,
}

impl From<ServerTaken> for RolesTakenBody {
    fn from(ServerTaken { roles, databases }: ServerTaken) -> RolesTakenBody {
        RolesTakenBody {
            taken: names(roles.taken),
            taken_count: roles.taken_count,
            left: left(roles.left),
            left_count: roles.left_count,
            databases: DatabasesTakenBody {
                taken: names(databases.taken),
                taken_count: databases.taken_count,
                left: left(databases.left),
                left_count: databases.left_count,
            },
        }
    }
}

fn names<N: ToString>(names: Vec<N>) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn left(left: Vec<Left>) -> Vec<LeftBody> {
    left.into_iter().map(|Left { name, reason }| LeftBody { name, reason }).collect()
}

/// Makes roles and databases that were created in SQL on the branch's compute the branch's, with passwords and owners.
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
) -> Result<(Option<ServerTaken>, Vec<Operation>), catalog::Error> {
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
    state: State<ApiState>,
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Response, ApiError> {
    crate::roles::show(state, session, (project, branch, named_sync()?)).await
}

async fn delete_role_named_sync(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Response, ApiError> {
    crate::roles::delete(session, (project, branch, named_sync()?)).await
}
