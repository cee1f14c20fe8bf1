//! Roles: `…/branches/{branch_id}/roles`.

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
    routing::{get, post},
};
use offshoot_catalog::{BranchId, ProjectId, Role, RoleChanged, RoleLogin, RoleName};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/projects/{project_id}/branches/{branch_id}/roles", get(role_list).post(role_create))
        .route("/projects/{project_id}/branches/{branch_id}/roles/{role_name}", get(role_get).delete(role_delete))
        .route(
            "/projects/{project_id}/branches/{branch_id}/roles/{role_name}/reset_password",
            post(role_reset_password),
        )
}

/// A role in an answer. It has no `Debug`, because it may carry a password.
#[derive(Serialize)]
pub(crate) struct RoleBody {
    branch_id: String,
    name: String,
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
            branch_id: role.branch.to_string(),
            name: role.name.to_string(),
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

impl From<Role> for RoleBody {
    fn from(role: Role) -> RoleBody {
        RoleBody::new(role, None)
    }
}

/// Roles as answers list them, without passwords.
pub(crate) fn bodies(roles: Vec<Role>) -> Vec<RoleBody> {
    roles.into_iter().map(Into::into).collect()
}

#[derive(Serialize)]
struct RolesBody {
    roles: Vec<RoleBody>,
}

#[derive(Serialize)]
struct RoleOnlyBody {
    role: RoleBody,
}

#[derive(Serialize)]
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

#[derive(Deserialize)]
struct RoleCreateRequest {
    role: RoleCreateFields,
}

#[derive(Deserialize)]
struct RoleCreateFields {
    name: String,
    #[serde(default)]
    no_login: Option<bool>,
}

type BranchPath = PathParams<(ProjectId, BranchId)>;
type RolePath = PathParams<(ProjectId, BranchId, RoleName)>;

async fn role_list(session: Session, PathParams((project, branch)): BranchPath) -> Result<Json<RolesBody>, ApiError> {
    let roles = session.run(move |catalog, caller| catalog.role_list(caller, &project, &branch)).await?;
    Ok(Json(RolesBody { roles: bodies(roles) }))
}

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

async fn role_get(
    session: Session,
    PathParams((project, branch, name)): RolePath,
) -> Result<Json<RoleOnlyBody>, ApiError> {
    Ok(Json(RoleOnlyBody {
        role: session.run(move |catalog, caller| catalog.role_get(caller, &project, &branch, &name)).await?.into(),
    }))
}

async fn role_delete(session: Session, PathParams((project, branch, name)): RolePath) -> Result<Response, ApiError> {
    Ok(match session.run(move |catalog, caller| catalog.role_delete(caller, &project, &branch, &name)).await? {
        Some(changed) => Json(RoleChangedBody::from(changed)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn role_reset_password(
    session: Session,
    PathParams((project, branch, name)): RolePath,
) -> Result<Json<RoleChangedBody>, ApiError> {
    Ok(Json(
        session.run(move |catalog, caller| catalog.role_reset_password(caller, &project, &branch, &name)).await?.into(),
    ))
}
