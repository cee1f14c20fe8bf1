//! Operations: `/projects/{project_id}/operations`.

use crate::{
    error::ApiError,
    input::{PathParams, QueryParams, page_limit},
    session::{ApiState, Session},
    time::Timestamp,
};
use axum::Json;
use offshoot_catalog::{Operation, OperationId, ProjectId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(operation_list)).routes(routes!(operation_get))
}

/// An operation in an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Operation)]
pub(crate) struct OperationBody {
    id: String,
    project_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<String>,
    action: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    failures_count: u32,
    /// When it is tried again, after it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    total_duration_ms: u32,
}

impl From<Operation> for OperationBody {
    fn from(operation: Operation) -> OperationBody {
        let took = operation.finished_at.map(|end| (end - operation.created_at).num_milliseconds());
        OperationBody {
            id: operation.id.to_string(),
            project_id: operation.project.to_string(),
            branch_id: operation.branch.map(|id| id.to_string()),
            endpoint_id: operation.endpoint.map(|id| id.to_string()),
            action: operation.action.to_string(),
            status: operation.status.to_string(),
            error: operation.error,
            failures_count: operation.failures_count,
            retry_at: operation.retry_at.map(Into::into),
            created_at: operation.created_at.into(),
            updated_at: operation.updated_at.into(),
            // The wire has 32 bits; one that took longer than three weeks shows the most they hold.
            total_duration_ms: took.map_or(0, |ms| i32::try_from(ms).unwrap_or(i32::MAX).unsigned_abs()),
        }
    }
}

/// Operations as answers list them.
pub(crate) fn bodies(operations: Vec<Operation>) -> Vec<OperationBody> {
    operations.into_iter().map(Into::into).collect()
}

#[derive(Serialize, ToSchema)]
struct OperationsBody {
    operations: Vec<OperationBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

/// Where the next page begins, as projects and operations have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pagination {
    pub(crate) cursor: String,
}

#[derive(Serialize, ToSchema)]
struct OperationOnlyBody {
    operation: OperationBody,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PageParams {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Lists the operations of a project, newest first.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/operations",
    operation_id = "listProjectOperations",
    tag = "Operations",
    params(PageParams),
    responses((status = 200, body = OperationsBody))
)]
async fn operation_list(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(page): QueryParams<PageParams>,
) -> Result<Json<OperationsBody>, ApiError> {
    let limit = page_limit(page.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let page = session
        .run(move |catalog, caller| catalog.operation_list(caller, &project, page.cursor.as_deref(), limit))
        .await?;
    Ok(Json(OperationsBody {
        operations: bodies(page.items),
        pagination: page.next.map(|cursor| Pagination { cursor }),
    }))
}

/// Shows an operation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/operations/{operation_id}",
    operation_id = "getProjectOperation",
    tag = "Operations",
    responses((status = 200, body = OperationOnlyBody))
)]
async fn operation_get(
    session: Session,
    PathParams((project, id)): PathParams<(ProjectId, OperationId)>,
) -> Result<Json<OperationOnlyBody>, ApiError> {
    let operation = session.run(move |catalog, caller| catalog.operation_get(caller, &project, id)).await?;
    Ok(Json(OperationOnlyBody { operation: operation.into() }))
}
