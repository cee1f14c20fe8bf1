//! What Neon's API has and this server cannot answer: it says so, and why.

use crate::{
    document::ELSEWHERE,
    error::{ApiError, Code},
    session::{ApiState, Session},
};
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::{HttpMethod, OpenApi, Paths, ResponseBuilder, path::OperationBuilder};
use utoipa_axum::router::OpenApiRouter;

const TABLE_DATA: &str = "it needs table data, which Offshoot does not have; ask the compute of the branch";
const ONE_ACCOUNT: &str =
    "a project belongs to one account and is not shared; give the other account a project of its own";

/// Each call: method, path, id in Neon's document, and why it is not here.
const CALLS: &[(HttpMethod, &str, &str, &str)] = &[
    (HttpMethod::Get, "/projects/{project_id}/branches/{branch_id}/schema", "getProjectBranchSchema", TABLE_DATA),
    (
        HttpMethod::Get,
        "/projects/{project_id}/branches/{branch_id}/compare_schema",
        "getProjectBranchSchemaComparison",
        TABLE_DATA,
    ),
    (HttpMethod::Get, "/projects/{project_id}/permissions", "listProjectPermissions", ONE_ACCOUNT),
    (HttpMethod::Post, "/projects/{project_id}/permissions", "grantPermissionToProject", ONE_ACCOUNT),
];

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    let mut paths = Paths::new();
    for (method, path, id, why) in CALLS {
        let operation = OperationBuilder::new()
            .operation_id(Some(*id))
            .tag(ELSEWHERE)
            .summary(Some(format!("Refused: {why}.")))
            .response("501", ResponseBuilder::new().build());
        paths.add_path_operation(*path, vec![method.clone()], operation.build());
    }
    let mut document = OpenApi::default();
    document.paths = paths;
    CALLS.iter().fold(OpenApiRouter::with_openapi(document), |router, (method, path, _, why)| {
        router.route(path, refusing(method, why))
    })
}

fn refusing(method: &HttpMethod, why: &'static str) -> MethodRouter<ApiState> {
    let filter = if *method == HttpMethod::Get { MethodFilter::GET } else { MethodFilter::POST };
    on(
        filter,
        move |_: Session| async move { ApiError::new(Code::NotImplemented, format!("this call is not here: {why}")) },
    )
}
