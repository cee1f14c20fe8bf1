//! Databases: `…/branches/{branch_id}/databases`.

use crate::{
    error::ApiError,
    input::{JsonBody, PathParams},
    operations::{self, OperationBody},
    session::{ApiState, Session, Written},
    time::Timestamp,
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog::{BranchId, Database, DatabaseChanged, DatabaseName, ProjectId, RoleName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(database_list, database_create)).routes(routes!(
        database_get,
        database_update,
        database_delete
    ))
}

/// A database in an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Database)]
pub(crate) struct DatabaseBody {
    id: u64,
    branch_id: String,
    name: String,
    owner_name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Database> for DatabaseBody {
    fn from(database: Database) -> DatabaseBody {
        DatabaseBody {
            id: database.id,
            branch_id: database.branch.to_string(),
            name: database.name.to_string(),
            owner_name: database.owner.to_string(),
            created_at: database.created_at.into(),
            updated_at: database.updated_at.into(),
        }
    }
}

/// Databases as answers list them.
pub(crate) fn bodies(databases: Vec<Database>) -> Vec<DatabaseBody> {
    databases.into_iter().map(Into::into).collect()
}

#[derive(Serialize, ToSchema)]
struct DatabasesBody {
    databases: Vec<DatabaseBody>,
}

#[derive(Serialize, ToSchema)]
struct DatabaseOnlyBody {
    database: DatabaseBody,
}

#[derive(Serialize, ToSchema)]
struct DatabaseChangedBody {
    database: DatabaseBody,
    operations: Vec<OperationBody>,
}

impl From<DatabaseChanged> for DatabaseChangedBody {
    fn from(changed: DatabaseChanged) -> DatabaseChangedBody {
        DatabaseChangedBody { database: changed.database.into(), operations: operations::bodies(changed.operations) }
    }
}

#[derive(Deserialize, ToSchema)]
struct DatabaseCreateRequest {
    database: DatabaseCreateFields,
}

#[derive(Deserialize, ToSchema)]
struct DatabaseCreateFields {
    name: String,
    owner_name: String,
}

#[derive(Deserialize, ToSchema)]
struct DatabaseUpdateRequest {
    database: DatabaseUpdateFields,
}

#[derive(Deserialize, ToSchema)]
struct DatabaseUpdateFields {
    name: Option<String>,
    owner_name: Option<String>,
}

type BranchPath = PathParams<(ProjectId, BranchId)>;
type DatabasePath = PathParams<(ProjectId, BranchId, DatabaseName)>;

/// Lists the databases of a branch, in order of creation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/databases",
    operation_id = "listProjectBranchDatabases",
    tag = "Databases",
    responses((status = 200, body = DatabasesBody))
)]
async fn database_list(session: Session, PathParams((project, branch)): BranchPath) -> Result<Written, ApiError> {
    let body = |databases| DatabasesBody { databases: bodies(databases) };
    session.show(move |catalog, caller| catalog.database_list(caller, &project, &branch), body).await
}

/// Creates a database.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/databases",
    operation_id = "createProjectBranchDatabase",
    tag = "Databases",
    request_body = DatabaseCreateRequest,
    responses((status = 201, body = DatabaseChangedBody))
)]
async fn database_create(
    session: Session,
    PathParams((project, branch)): BranchPath,
    JsonBody(body): JsonBody<DatabaseCreateRequest>,
) -> Result<(StatusCode, Json<DatabaseChangedBody>), ApiError> {
    let name: DatabaseName = body.database.name.parse()?;
    let owner: RoleName = body.database.owner_name.parse()?;
    let changed =
        session.run(move |catalog, caller| catalog.database_create(caller, &project, &branch, name, owner)).await?;
    Ok((StatusCode::CREATED, Json(changed.into())))
}

/// Shows a database.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/databases/{database_name}",
    operation_id = "getProjectBranchDatabase",
    tag = "Databases",
    responses((status = 200, body = DatabaseOnlyBody))
)]
async fn database_get(
    session: Session,
    PathParams((project, branch, name)): DatabasePath,
) -> Result<Written, ApiError> {
    let body = |database: Database| DatabaseOnlyBody { database: database.into() };
    session.show(move |catalog, caller| catalog.database_get(caller, &project, &branch, &name), body).await
}

/// Gives a database another name, another owner, or both.
#[utoipa::path(
    patch,
    path = "/projects/{project_id}/branches/{branch_id}/databases/{database_name}",
    operation_id = "updateProjectBranchDatabase",
    tag = "Databases",
    request_body = DatabaseUpdateRequest,
    responses((status = 200, body = DatabaseChangedBody))
)]
async fn database_update(
    session: Session,
    PathParams((project, branch, name)): DatabasePath,
    JsonBody(body): JsonBody<DatabaseUpdateRequest>,
) -> Result<Json<DatabaseChangedBody>, ApiError> {
    let new_name = body.database.name.map(|name| name.parse()).transpose()?;
    let owner = body.database.owner_name.map(|name| name.parse()).transpose()?;
    let changed = session
        .run(move |catalog, caller| catalog.database_update(caller, &project, &branch, &name, new_name, owner))
        .await?;
    Ok(Json(changed.into()))
}

/// Deletes a database.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/branches/{branch_id}/databases/{database_name}",
    operation_id = "deleteProjectBranchDatabase",
    tag = "Databases",
    responses((status = 200, body = DatabaseChangedBody), (status = 204))
)]
async fn database_delete(
    session: Session,
    PathParams((project, branch, name)): DatabasePath,
) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.database_delete(caller, &project, &branch, &name)).await? {
        Some(changed) => Json(DatabaseChangedBody::from(changed)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
