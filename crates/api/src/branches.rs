//! Branches: `/projects/{project_id}/branches`.

mod list;

use crate::{
    databases::{self, DatabaseBody},
    endpoints::{self, EndpointBody, KindBody},
    error::{ApiError, Code},
    input::{JsonBody, PathParams, QueryParams},
    operations::{self, OperationBody},
    projects::SOURCE,
    roles::{self, RoleBody},
    session::{ApiState, Session},
    time::{self, Timestamp},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use list::{BranchPagination, ListParams, SearchParams};
use offshoot_catalog::{Branch, BranchId, Caller, Catalog, EndpointSpec, NewBranch, ProjectId};
use offshoot_engine::{Lsn, Point};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How many roles, and how many databases, the answer to a creation lists.
/// Of a larger branch it lists none, so that creating one takes the same time however large its parent is.
const LISTED_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(branch_list, branch_create))
        .routes(routes!(branch_count))
        .routes(routes!(branch_get, branch_delete))
}

/// A branch in an answer. What Offshoot does not meter is 0.
#[derive(Serialize, ToSchema)]
#[schema(as = Branch)]
pub(crate) struct BranchBody {
    id: String,
    project_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_lsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_timestamp: Option<Timestamp>,
    name: String,
    current_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_state: Option<String>,
    state_changed_at: Timestamp,
    creation_source: &'static str,
    /// The older name of `default`, which clients still read.
    primary: bool,
    default: bool,
    protected: bool,
    cpu_used_sec: u64,
    active_time_seconds: u64,
    compute_time_seconds: u64,
    written_data_bytes: u64,
    data_transfer_bytes: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Branch> for BranchBody {
    fn from(branch: Branch) -> BranchBody {
        let parent = branch.parent.as_ref();
        BranchBody {
            parent_id: parent.map(|parent| parent.id.to_string()),
            parent_lsn: parent.map(|parent| parent.lsn.to_string()),
            parent_timestamp: parent.map(|parent| parent.time.into()),
            id: branch.id.to_string(),
            project_id: branch.project.to_string(),
            name: branch.name.to_string(),
            current_state: branch.state.to_string(),
            pending_state: branch.pending_state.map(|state| state.to_string()),
            state_changed_at: branch.state_changed_at.into(),
            creation_source: SOURCE,
            primary: branch.default,
            default: branch.default,
            protected: branch.protected,
            cpu_used_sec: 0,
            active_time_seconds: 0,
            compute_time_seconds: 0,
            written_data_bytes: 0,
            data_transfer_bytes: 0,
            created_at: branch.created_at.into(),
            updated_at: branch.updated_at.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BranchesBody {
    branches: Vec<BranchBody>,
    /// Required on the wire; Offshoot has no annotations.
    annotations: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<BranchPagination>,
}

#[derive(Serialize, ToSchema)]
struct BranchCountBody {
    count: usize,
}

#[derive(Serialize, ToSchema)]
struct BranchOnlyBody {
    branch: BranchBody,
    annotation: AnnotationBody,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Annotation)]
struct AnnotationBody {
    object: AnnotationObjectBody,
    value: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AnnotationObject)]
struct AnnotationObjectBody {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

#[derive(Serialize, ToSchema)]
struct BranchCreatedBody {
    branch: BranchBody,
    endpoints: Vec<EndpointBody>,
    operations: Vec<OperationBody>,
    roles: Vec<RoleBody>,
    databases: Vec<DatabaseBody>,
}

#[derive(Serialize, ToSchema)]
struct BranchChangedBody {
    branch: BranchBody,
    operations: Vec<OperationBody>,
}

#[derive(Default, Deserialize, ToSchema)]
struct BranchCreateRequest {
    branch: Option<BranchCreateFields>,
    endpoints: Option<Vec<EndpointFields>>,
}

#[derive(Default, Deserialize, ToSchema)]
struct BranchCreateFields {
    name: Option<String>,
    parent_id: Option<String>,
    parent_lsn: Option<String>,
    parent_timestamp: Option<String>,
    archived: Option<bool>,
    #[schema(value_type = Option<String>)]
    expires_at: Option<IgnoredAny>,
    init_source: Option<String>,
    protected: Option<bool>,
}

impl BranchCreateFields {
    /// Refuses what would otherwise be promised in silence.
    fn check_supported(&self) -> Result<(), ApiError> {
        let asked = [
            ("archived", self.archived == Some(true)),
            ("expires_at", self.expires_at.is_some()),
            ("init_source", self.init_source.as_ref().is_some_and(|source| source != "parent-data")),
            ("protected", self.protected == Some(true)),
        ];
        match asked.into_iter().find(|(_, asked)| *asked) {
            Some((field, _)) => {
                let message = format!("{field} is not supported yet; leave it out");
                Err(ApiError::new(Code::NotSupported, message))
            }
            None => Ok(()),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct EndpointFields {
    #[serde(rename = "type")]
    kind: KindBody,
    suspend_timeout_seconds: Option<i64>,
}

impl BranchCreateRequest {
    fn read(self) -> Result<NewBranch, ApiError> {
        let branch = self.branch.unwrap_or_default();
        branch.check_supported()?;
        let endpoint = |fields: EndpointFields| EndpointSpec {
            kind: fields.kind.into(),
            suspend_timeout_seconds: fields.suspend_timeout_seconds,
        };
        Ok(NewBranch {
            name: branch.name.map(|name| name.parse()).transpose()?,
            parent: branch.parent_id.map(|id| id.parse()).transpose()?,
            point: point(branch.parent_lsn.as_deref(), branch.parent_timestamp.as_deref())?,
            endpoints: self.endpoints.unwrap_or_default().into_iter().map(endpoint).collect(),
        })
    }
}

/// The point on the parent where a child begins: its head unless an LSN or a time is given.
fn point(lsn: Option<&str>, timestamp: Option<&str>) -> Result<Point, ApiError> {
    match (lsn, timestamp) {
        (None, None) => Ok(Point::Head),
        (Some(lsn), None) => lsn.parse::<Lsn>().map(Point::Lsn).map_err(|_| {
            let message =
                format!("parent_lsn {lsn:?} is not an LSN; write it as two hexadecimal numbers, as in 0/16B3748");
            ApiError::new(Code::LsnInvalid, message)
        }),
        (None, Some(timestamp)) => time::parse("parent_timestamp", timestamp).map(Point::Time),
        (Some(_), Some(_)) => {
            Err(ApiError::new(Code::PointAmbiguous, "both parent_lsn and parent_timestamp are given; give one of them"))
        }
    }
}

/// Lists the branches of a project; all of them, where no limit is given.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches",
    operation_id = "listProjectBranches",
    tag = "Branches",
    params(ListParams),
    responses((status = 200, body = BranchesBody))
)]
async fn branch_list(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<BranchesBody>, ApiError> {
    let query = params.read()?;
    let branches = session.run(move |catalog, caller| catalog.branch_list(caller, &project)).await?;
    let page = query.page_of(branches);
    Ok(Json(BranchesBody {
        branches: page.branches.into_iter().map(Into::into).collect(),
        annotations: Map::new(),
        pagination: page.pagination,
    }))
}

/// Counts the branches of a project.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/count",
    operation_id = "countProjectBranches",
    tag = "Branches",
    params(SearchParams),
    responses((status = 200, body = BranchCountBody))
)]
async fn branch_count(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<SearchParams>,
) -> Result<Json<BranchCountBody>, ApiError> {
    let branches = session.run(move |catalog, caller| catalog.branch_list(caller, &project)).await?;
    Ok(Json(BranchCountBody { count: branches.iter().filter(|branch| params.fits(branch)).count() }))
}

/// Creates a branch that has what its parent has at a point in time.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches",
    operation_id = "createProjectBranch",
    tag = "Branches",
    request_body = Option<BranchCreateRequest>,
    responses((status = 201, body = BranchCreatedBody))
)]
async fn branch_create(
    session: Session,
    PathParams((project,)): PathParams<(ProjectId,)>,
    JsonBody(body): JsonBody<BranchCreateRequest>,
) -> Result<(StatusCode, Json<BranchCreatedBody>), ApiError> {
    let new = body.read()?;
    let create = move |catalog: &Catalog, caller: &Caller| {
        let created = catalog.branch_create(caller, &project, new)?;
        let roles = catalog.role_list_up_to(caller, &project, &created.branch.id, LISTED_MAX)?;
        let databases = catalog.database_list_up_to(caller, &project, &created.branch.id, LISTED_MAX)?;
        Ok((created, roles.unwrap_or_default(), databases.unwrap_or_default()))
    };
    let (created, roles, databases) = session.run(create).await?;
    let body = BranchCreatedBody {
        branch: created.branch.into(),
        endpoints: endpoints::bodies(created.endpoints),
        operations: operations::bodies(created.operations),
        roles: roles::bodies(roles),
        databases: databases::bodies(databases),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Shows a branch.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}",
    operation_id = "getProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchOnlyBody))
)]
async fn branch_get(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Json<BranchOnlyBody>, ApiError> {
    let branch = session.run(move |catalog, caller| catalog.branch_get(caller, &project, &branch)).await?;
    let object = AnnotationObjectBody { kind: "console/branch", id: branch.id.to_string() };
    Ok(Json(BranchOnlyBody { branch: branch.into(), annotation: AnnotationBody { object, value: Map::new() } }))
}

/// Deletes a branch with its roles, databases and endpoints.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/branches/{branch_id}",
    operation_id = "deleteProjectBranch",
    tag = "Branches",
    responses((status = 200, body = BranchChangedBody), (status = 204))
)]
async fn branch_delete(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.branch_delete(caller, &project, &branch)).await? {
        Some(changed) => {
            let operations = operations::bodies(changed.operations);
            Json(BranchChangedBody { branch: changed.branch.into(), operations }).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
