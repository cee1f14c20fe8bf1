//! Roles: `…/branches/{branch_id}/roles`.

mod kept;

pub(crate) use self::kept::KeptAnswers;
use crate::{
    error::ApiError,
    input::{JsonBody, PathParams, QueryParams, page_limit},
    operations::{self, OperationBody},
    session::{ApiState, Session, Written},
    time::Timestamp,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog::{
    BranchId, Caller, Catalog, ProjectId, Role, RoleChanged, RoleLogin, RoleName, RoleSearch, RoleWithPassword,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::Display;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const PAGE_MAX: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(role_list, role_create))
        .routes(routes!(role_get, role_delete))
        .routes(routes!(role_reset_password))
        .routes(routes!(role_reveal_password, role_reveal_password_by_post))
}

/// A role in an answer. It has no `Debug`, because it may carry a password.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleBody {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    branch_id: BranchId,
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    name: RoleName,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    protected: bool,
    authentication_method: &'static str,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl RoleBody {
    pub(crate) fn new(role: Role, password: Option<&SecretString>) -> RoleBody {
        RoleBody {
            branch_id: role.branch,
            name: role.name,
            password: password.map(|password| password.expose_secret().to_owned()),
            protected: role.protected,
            authentication_method: match role.login {
                RoleLogin::Password => "password",
                RoleLogin::NoLogin => "no_login",
            },
            created_at: role.created_at.into(),
            updated_at: role.updated_at.into(),
        }
    }
}

fn as_text<S: Serializer>(shown: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(shown)
}

impl From<Role> for RoleBody {
    fn from(role: Role) -> RoleBody {
        RoleBody::new(role, None)
    }
}

impl From<RoleWithPassword> for RoleBody {
    fn from(with: RoleWithPassword) -> RoleBody {
        RoleBody::new(with.role, with.password.as_ref())
    }
}

/// A role's new password, where an answer is about something else. It has no `Debug`.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPassword)]
pub(crate) struct NewPasswordBody {
    role_name: String,
    password: String,
}

impl From<(RoleName, SecretString)> for NewPasswordBody {
    fn from((name, password): (RoleName, SecretString)) -> NewPasswordBody {
        NewPasswordBody { role_name: name.to_string(), password: password.expose_secret().to_owned() }
    }
}

/// Roles as answers list them, without passwords.
pub(crate) fn bodies(roles: Vec<Role>) -> Vec<RoleBody> {
    roles.into_iter().map(Into::into).collect()
}

#[derive(Serialize, ToSchema)]
struct RolesBody {
    roles: Vec<RoleBody>,
    /// An extension, where a `limit` was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<RolePagination>,
}

/// Where the next page begins, if there is one.
#[derive(Serialize, ToSchema)]
struct RolePagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many roles there are on all pages.
    total: usize,
}

/// All of them extensions.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RoleListParams {
    /// Only roles whose names contain this, in upper or lower case.
    search: Option<String>,
    /// `pagination.next` of the page before; ask with the same search.
    cursor: Option<String>,
    /// 1 to 10000; all, where it is not given.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct RoleOnlyBody {
    role: RoleBody,
}

#[derive(Serialize, ToSchema)]
struct RoleChangedBody {
    role: RoleBody,
    operations: Vec<OperationBody>,
}

impl From<RoleChanged> for RoleChangedBody {
    fn from(changed: RoleChanged) -> RoleChangedBody {
        RoleChangedBody {
            role: RoleBody::new(changed.role, changed.password.as_ref()),
            operations: operations::bodies(changed.operations),
        }
    }
}

/// A stored password. It has no `Debug`.
#[derive(Serialize, ToSchema)]
struct RolePasswordBody {
    password: String,
}

#[derive(Deserialize, ToSchema)]
struct RoleCreateRequest {
    role: RoleCreateFields,
}

#[derive(Deserialize, ToSchema)]
struct RoleCreateFields {
    name: String,
    #[serde(default)]
    no_login: Option<bool>,
}

type BranchPath = PathParams<(ProjectId, BranchId)>;
type RolePath = PathParams<(ProjectId, BranchId, RoleName)>;

/// Lists the roles of a branch, in order of creation.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/roles",
    operation_id = "listProjectBranchRoles",
    tag = "Roles",
    params(RoleListParams),
    responses((status = 200, body = RolesBody))
)]
async fn role_list(
    State(state): State<ApiState>,
    session: Session,
    PathParams((project, branch)): BranchPath,
    QueryParams(params): QueryParams<RoleListParams>,
) -> Result<Written, ApiError> {
    let limit = params.limit.map(|limit| page_limit(Some(limit), PAGE_MAX, PAGE_MAX)).transpose()?;
    let search = RoleSearch { text: params.search, after: params.cursor };
    let list = move |catalog: &Catalog, caller: &Caller| {
        if limit.is_none() && search == RoleSearch::default() {
            return state.kept_answers.list(catalog.roles_at_head(caller, &project, &branch)?);
        }
        let page = catalog.role_search(caller, &project, &branch, &search, limit.unwrap_or(usize::MAX))?;
        let pagination = limit.map(|_| RolePagination { next: page.next, total: page.found });
        Ok(Written::new(&RolesBody { roles: bodies(page.roles), pagination }))
    };
    session.show_written(list).await
}

/// What [`role_get`] answers.
pub(crate) async fn show(
    state: State<ApiState>,
    session: Session,
    path: (ProjectId, BranchId, RoleName),
) -> Result<Response, ApiError> {
    role_get(state, session, PathParams(path)).await.map(IntoResponse::into_response)
}

/// What [`role_delete`] answers.
pub(crate) async fn delete(session: Session, path: (ProjectId, BranchId, RoleName)) -> Result<Response, ApiError> {
    role_delete(session, PathParams(path)).await
}

/// Creates a role. The answer has its password.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/roles",
    operation_id = "createProjectBranchRole",
    tag = "Roles",
    request_body = RoleCreateRequest,
    responses((status = 201, body = RoleChangedBody))
)]
async fn role_create(
    session: Session,
    PathParams((project, branch)): BranchPath,
    JsonBody(body): JsonBody<RoleCreateRequest>,
) -> Result<(StatusCode, Json<RoleChangedBody>), ApiError> {
    let name: RoleName = body.role.name.parse()?;
    let login = if body.role.no_login == Some(true) { RoleLogin::NoLogin } else { RoleLogin::Password };
    let changed =
        session.run(move |catalog, caller| catalog.role_create(caller, &project, &branch, name, login)).await?;
    Ok((StatusCode::CREATED, Json(changed.into())))
}

/// Shows a role, without its password.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}",
    operation_id = "getProjectBranchRole",
    tag = "Roles",
    responses((status = 200, body = RoleOnlyBody))
)]
async fn role_get(
    State(state): State<ApiState>,
    session: Session,
    PathParams((project, branch, name)): RolePath,
) -> Result<Written, ApiError> {
    let one = move |catalog: &Catalog, caller: &Caller| {
        state.kept_answers.one(catalog.roles_at_head(caller, &project, &branch)?, &name)
    };
    session.show_written(one).await
}

/// Deletes a role.
#[utoipa::path(
    delete,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}",
    operation_id = "deleteProjectBranchRole",
    tag = "Roles",
    responses((status = 200, body = RoleChangedBody), (status = 204))
)]
async fn role_delete(session: Session, PathParams((project, branch, name)): RolePath) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.role_delete(caller, &project, &branch, &name)).await? {
        Some(changed) => Json(RoleChangedBody::from(changed)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Gives a role a new password, which the answer has.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}/reset_password",
    operation_id = "resetProjectBranchRolePassword",
    tag = "Roles",
    responses((status = 200, body = RoleChangedBody))
)]
async fn role_reset_password(
    session: Session,
    PathParams((project, branch, name)): RolePath,
) -> Result<Json<RoleChangedBody>, ApiError> {
    Ok(Json(
        session.run(move |catalog, caller| catalog.role_reset_password(caller, &project, &branch, &name)).await?.into(),
    ))
}

/// Tells a role's stored password.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}/reveal_password",
    operation_id = "getProjectBranchRolePassword",
    tag = "Roles",
    responses((status = 200, body = RolePasswordBody))
)]
async fn role_reveal_password(
    session: Session,
    PathParams((project, branch, name)): RolePath,
) -> Result<Json<RolePasswordBody>, ApiError> {
    let password =
        session.run(move |catalog, caller| catalog.role_reveal_password(caller, &project, &branch, &name)).await?;
    Ok(Json(RolePasswordBody { password: password.expose_secret().to_owned() }))
}

/// Tells a role's stored password, for clients that ask with POST.
#[utoipa::path(
    post,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}/reveal_password",
    operation_id = "revealProjectBranchRolePassword",
    tag = "Roles",
    responses((status = 200, body = RolePasswordBody))
)]
async fn role_reveal_password_by_post(session: Session, path: RolePath) -> Result<Json<RolePasswordBody>, ApiError> {
    role_reveal_password(session, path).await
}
