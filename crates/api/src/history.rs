//! What was, and what differs: `…/branches/{branch_id}/history`, `…/roles/{role_name}/history` and `…/branches/{branch_id}/diff`. Neon's API has nothing of it.

use crate::{
    document::EXTENSION,
    error::ApiError,
    input::{PathParams, QueryParams, page_limit},
    session::{ApiState, Session},
    time::{self, Timestamp},
    users::account_id,
};
use axum::Json;
use offshoot_catalog::{
    BranchId, BranchVersion, Caller, Catalog, Changes, DatabaseDifference, DatabaseName, ProjectId, Provenance,
    RoleDifference, RoleEvent, RoleName, RoleRevision,
};
use offshoot_engine::{Direction, Lsn, Point};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(branch_history)).routes(routes!(role_history)).routes(routes!(branch_diff))
}

/// A version of a branch, with who made it.
#[derive(Serialize, ToSchema)]
#[schema(as = Version)]
struct VersionBody {
    lsn: String,
    committed_at: Timestamp,
    /// What was done, such as `role_create`.
    action: String,
    /// To what it was done: a name or an id; cut off where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<u64>,
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl From<BranchVersion> for VersionBody {
    fn from(version: BranchVersion) -> VersionBody {
        let (action, subject) = action_and_subject(&version.by);
        VersionBody {
            lsn: version.lsn.to_string(),
            committed_at: version.time.into(),
            action,
            subject,
            api_key_id: version.by.key.map(|key| key.get()),
            account_id: account_id(version.by.account),
            request_id: version.by.request,
        }
    }
}

fn action_and_subject(by: &Provenance) -> (String, Option<String>) {
    let (action, subject) = by.action.split_once(' ').unwrap_or((&by.action, ""));
    (action.to_owned(), Some(subject.to_owned()).filter(|subject| !subject.is_empty()))
}

/// Where the next page begins, if there is one.
#[derive(Serialize, ToSchema)]
#[schema(as = NextPage)]
struct NextBody {
    next: String,
}

#[derive(Serialize, ToSchema)]
struct BranchHistoryBody {
    versions: Vec<VersionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<NextBody>,
}

/// What happened to a role with a version.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleRevision)]
struct RoleRevisionBody {
    lsn: String,
    committed_at: Timestamp,
    /// The branch on which it happened: this one, or one that it comes from.
    branch_id: String,
    change: RoleChangeBody,
    /// What changed of it: `password` or `login`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    what: Vec<&'static str>,
    /// What was done.
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RoleChange)]
enum RoleChangeBody {
    Created,
    Changed,
    Deleted,
}

impl RoleRevisionBody {
    fn new(revision: RoleRevision, branch: &BranchId) -> RoleRevisionBody {
        let (change, what) = match revision.event {
            RoleEvent::Created => (RoleChangeBody::Created, vec![]),
            RoleEvent::PasswordChanged => (RoleChangeBody::Changed, vec!["password"]),
            RoleEvent::Changed => (RoleChangeBody::Changed, vec!["login"]),
            RoleEvent::Deleted => (RoleChangeBody::Deleted, vec![]),
        };
        RoleRevisionBody {
            lsn: revision.lsn.to_string(),
            committed_at: revision.time.into(),
            // A branch that is no longer there has no id any more, and what it had is this one's.
            branch_id: revision.branch.as_ref().unwrap_or(branch).to_string(),
            change,
            what,
            action: action_and_subject(&revision.by).0,
            api_key_id: revision.by.key.map(|key| key.get()),
            request_id: revision.by.request,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct RoleHistoryBody {
    history: Vec<RoleRevisionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<NextBody>,
}

/// What differs between two points.
#[derive(Serialize, ToSchema)]
#[schema(as = Diff)]
struct DiffBody {
    base: PointBody,
    target: PointBody,
    roles: DifferencesBody,
    databases: DifferencesBody,
}

/// A point of a branch's history.
#[derive(Serialize, ToSchema)]
#[schema(as = Point)]
struct PointBody {
    branch_id: String,
    lsn: String,
}

/// Names of what is at the target and not at the base, the other way round, and of what is another at each.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Differences)]
struct DifferencesBody {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<ChangedBody>,
}

/// Something that is another way: a role's `password` or `login`; a database's `name` or `owner`.
#[derive(Serialize, ToSchema)]
#[schema(as = Changed)]
struct ChangedBody {
    /// The name at the target.
    name: String,
    what: Vec<&'static str>,
}

impl DifferencesBody {
    fn of_roles(roles: Vec<RoleDifference>) -> DifferencesBody {
        let mut body = DifferencesBody::default();
        for role in roles {
            let name = role.name.to_string();
            match (role.before, role.after) {
                (None, _) => body.added.push(name),
                (_, None) => body.removed.push(name),
                (before, after) => {
                    let what = chosen([("login", before != after), ("password", role.password_changed)]);
                    body.changed.push(ChangedBody { name, what });
                }
            }
        }
        body
    }

    fn of_databases(databases: Vec<DatabaseDifference>) -> DifferencesBody {
        let mut body = DifferencesBody::default();
        let named = |name: DatabaseName| name.to_string();
        for database in databases {
            match (database.before, database.after) {
                (None, None) => {}
                (None, Some((name, _))) => body.added.push(named(name)),
                (Some((name, _)), None) => body.removed.push(named(name)),
                (Some(before), Some(after)) => {
                    let what = chosen([("name", before.0 != after.0), ("owner", before.1 != after.1)]);
                    body.changed.push(ChangedBody { name: named(after.0), what });
                }
            }
        }
        body
    }
}

fn chosen<const N: usize>(all: [(&'static str, bool); N]) -> Vec<&'static str> {
    all.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OrderParam {
    Asc,
    #[default]
    Desc,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct BranchHistoryParams {
    /// 1 to 1000; 100 unless given.
    limit: Option<usize>,
    /// `pagination.next` of the page before.
    cursor: Option<String>,
    /// Oldest or newest first; `desc` unless given.
    #[param(inline)]
    order: Option<OrderParam>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RoleHistoryParams {
    /// 1 to 1000; 100 unless given.
    limit: Option<usize>,
    /// `pagination.next` of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DiffParams {
    /// The branch to compare with; the parent at the point where the branch began, unless anything of the base is given.
    base_branch_id: Option<String>,
    /// The head of the base unless given.
    base_lsn: Option<String>,
    base_timestamp: Option<String>,
    /// The head of the branch unless given.
    lsn: Option<String>,
    timestamp: Option<String>,
}

/// Lists the versions of a branch, with who made them.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/history",
    operation_id = "listProjectBranchHistory",
    tag = EXTENSION,
    params(BranchHistoryParams),
    responses((status = 200, body = BranchHistoryBody))
)]
async fn branch_history(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
    QueryParams(params): QueryParams<BranchHistoryParams>,
) -> Result<Json<BranchHistoryBody>, ApiError> {
    let limit = page_limit(params.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let order = match params.order.unwrap_or_default() {
        OrderParam::Asc => Direction::Ascending,
        OrderParam::Desc => Direction::Descending,
    };
    let list = move |catalog: &Catalog, caller: &Caller| {
        catalog.branch_history(caller, &project, &branch, order, params.cursor.as_deref(), limit)
    };
    let page = session.run(list).await?;
    Ok(Json(BranchHistoryBody {
        versions: page.items.into_iter().map(Into::into).collect(),
        pagination: page.next.map(|next| NextBody { next }),
    }))
}

/// Lists what happened to a role, newest first, on its branch and before on those that it comes from.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/roles/{role_name}/history",
    operation_id = "listProjectBranchRoleHistory",
    tag = EXTENSION,
    params(RoleHistoryParams),
    responses((status = 200, body = RoleHistoryBody))
)]
async fn role_history(
    session: Session,
    PathParams((project, branch, name)): PathParams<(ProjectId, BranchId, RoleName)>,
    QueryParams(params): QueryParams<RoleHistoryParams>,
) -> Result<Json<RoleHistoryBody>, ApiError> {
    let limit = page_limit(params.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let of = branch.clone();
    let list = move |catalog: &Catalog, caller: &Caller| {
        catalog.role_history(caller, &project, &branch, &name, params.cursor.as_deref(), limit)
    };
    let page = session.run(list).await?;
    Ok(Json(RoleHistoryBody {
        history: page.items.into_iter().map(|revision| RoleRevisionBody::new(revision, &of)).collect(),
        pagination: page.next.map(|next| NextBody { next }),
    }))
}

/// Shows what differs between two branches, or two points of them.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/branches/{branch_id}/diff",
    operation_id = "getProjectBranchDiff",
    tag = EXTENSION,
    params(DiffParams),
    responses((status = 200, body = DiffBody))
)]
async fn branch_diff(
    session: Session,
    PathParams((project, branch)): PathParams<(ProjectId, BranchId)>,
    QueryParams(params): QueryParams<DiffParams>,
) -> Result<Json<DiffBody>, ApiError> {
    let base_branch: Option<BranchId> = params.base_branch_id.map(|id| id.parse()).transpose()?;
    let base_point =
        time::point(("base_lsn", "base_timestamp"), params.base_lsn.as_deref(), params.base_timestamp.as_deref())?;
    let point = time::point(("lsn", "timestamp"), params.lsn.as_deref(), params.timestamp.as_deref())?;
    let diff = move |catalog: &Catalog, caller: &Caller| {
        let base = base_of(catalog, caller, &project, &branch, (base_branch, base_point))?;
        // Points first become LSNs, so that what is told of them and what is compared are the same.
        let at = |branch: BranchId, point| -> Result<(BranchId, Lsn), offshoot_catalog::Error> {
            let lsn = catalog.branch_lsn(caller, &project, &branch, point)?;
            Ok((branch, lsn))
        };
        let (base, target) = (at(base.0, base.1)?, at(branch, point)?);
        let (older, newer) = ((&base.0, Point::Lsn(base.1)), (&target.0, Point::Lsn(target.1)));
        let changes = catalog.branch_diff(caller, &project, older, newer)?;
        Ok((base, target, changes))
    };
    let (base, target, Changes { roles, databases }) = session.run(diff).await?;
    let point = |(branch, lsn): (BranchId, Lsn)| PointBody { branch_id: branch.to_string(), lsn: lsn.to_string() };
    Ok(Json(DiffBody {
        base: point(base),
        target: point(target),
        roles: DifferencesBody::of_roles(roles),
        databases: DifferencesBody::of_databases(databases),
    }))
}

/// What a branch is compared with: as asked for, or where it began.
fn base_of(
    catalog: &Catalog,
    caller: &Caller,
    project: &ProjectId,
    branch: &BranchId,
    asked: (Option<BranchId>, Point),
) -> Result<(BranchId, Point), offshoot_catalog::Error> {
    match asked {
        (Some(base), point) => Ok((base, point)),
        (None, Point::Head) => match catalog.branch_get(caller, project, branch)?.parent {
            Some(parent) => Ok((parent.id, Point::Lsn(parent.lsn))),
            // A root branch began as it was first.
            None => {
                let first = catalog.branch_history(caller, project, branch, Direction::Ascending, None, 1)?;
                let point = first.items.first().map_or(Point::Head, |version| Point::Lsn(version.lsn));
                Ok((branch.clone(), point))
            }
        },
        (None, point) => Ok((branch.clone(), point)),
    }
}
