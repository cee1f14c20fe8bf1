//! Databases: `…/branches/{branch_id}/databases`.

use crate::{
    error::ApiError,
    input::{JsonBody, PathParams},
    operations::{self, OperationBody},
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use offshoot_catalog::{BranchId, Database, DatabaseChanged, DatabaseName, ProjectId, RoleName};
use serde::{Deserialize, Serialize};

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/projects/{project_id}/branches/{branch_id}/databases", get(database_list).post(database_create))
        .route(
            "/projects/{project_id}/branches/{branch_id}/databases/{database_name}",
            get(database_get).patch(database_update).delete(database_delete),
        )
}

/// A database in an answer.
#[derive(Serialize)]
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

#[derive(Serialize)]
struct DatabasesBody {
    databases: Vec<DatabaseBody>,
}

#[derive(Serialize)]
struct DatabaseOnlyBody {
    database: DatabaseBody,
}

#[derive(Serialize)]
struct DatabaseChangedBody {
    database: DatabaseBody,
    operations: Vec<OperationBody>,
}

impl From<DatabaseChanged> for DatabaseChangedBody {
    fn from(changed: DatabaseChanged) -> DatabaseChangedBody {
        DatabaseChangedBody { database: changed.database.into(), operations: operations::bodies(changed.operations) }
    }
}

#[derive(Deserialize)]
struct DatabaseCreateRequest {
    database: DatabaseCreateFields,
}

#[derive(Deserialize)]
struct DatabaseCreateFields {
    name: String,
    owner_name: String,
}

#[derive(Deserialize)]
struct DatabaseUpdateRequest {
    database: DatabaseUpdateFields,
}

#[derive(Deserialize)]
struct DatabaseUpdateFields {
    name: Option<String>,
    owner_name: Option<String>,
}

type BranchPath = PathParams<(ProjectId, BranchId)>;
type DatabasePath = PathParams<(ProjectId, BranchId, DatabaseName)>;

async fn database_list(
    session: Session,
    PathParams((project, branch)): BranchPath,
) -> Result<Json<DatabasesBody>, ApiError> {
    let databases = session.run(move |catalog, caller| catalog.database_list(caller, &project, &branch)).await?;
    Ok(Json(DatabasesBody { databases: bodies(databases) }))
}

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

async fn database_get(
    session: Session,
    PathParams((project, branch, name)): DatabasePath,
) -> Result<Json<DatabaseOnlyBody>, ApiError> {
    let database = session.run(move |catalog, caller| catalog.database_get(caller, &project, &branch, &name)).await?;
    Ok(Json(DatabaseOnlyBody { database: database.into() }))
}

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

async fn database_delete(
    session: Session,
    PathParams((project, branch, name)): DatabasePath,
) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.database_delete(caller, &project, &branch, &name)).await? {
        Some(changed) => Json(DatabaseChangedBody::from(changed)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
