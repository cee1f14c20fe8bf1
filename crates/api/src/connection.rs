//! How a client reaches a database: connection URIs, and `/projects/{project_id}/connection_uri`.

use crate::{
    address::{Addresses, Place},
    error::ApiError,
    input::{Flag, PathParams, QueryParams},
    session::{ApiState, Session},
};
use axum::Json;
use offshoot_catalog::{
    self as catalog, BranchId, Caller, Catalog, DatabaseName, Endpoint, EndpointId, EndpointKind, ProjectId, RoleName,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(connection_uri))
}

/// What needs no encoding in any part of a URI.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A database as a role reaches it. It has no `Debug`, because of the password.
pub(crate) struct Connection<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) role: &'a RoleName,
    pub(crate) password: &'a SecretString,
    pub(crate) database: &'a DatabaseName,
}

impl Connection<'_> {
    /// What a client takes as it is.
    fn uri(&self, place: &Place, is_pooled: bool) -> String {
        let host = if is_pooled { &place.pooler_host_in_uri } else { &place.host_in_uri };
        let encoded = |text| utf8_percent_encode(text, ENCODED);
        let (role, password) = (encoded(self.role.as_str()), encoded(self.password.expose_secret()));
        let (database, sslmode) = (encoded(self.database.as_str()), place.sslmode);
        format!("postgresql://{role}:{password}@{host}/{database}?sslmode={sslmode}")
    }
}

/// A connection URI with its parts.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionDetails)]
pub(crate) struct ConnectionBody {
    connection_uri: String,
    connection_parameters: ConnectionParametersBody,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionParameters)]
struct ConnectionParametersBody {
    database: String,
    password: String,
    role: String,
    host: String,
    pooler_host: String,
}

impl ConnectionBody {
    pub(crate) fn new(connection: &Connection<'_>, addresses: &Addresses) -> ConnectionBody {
        let place = addresses.place(connection.endpoint);
        ConnectionBody {
            connection_uri: connection.uri(&place, false),
            connection_parameters: ConnectionParametersBody {
                database: connection.database.to_string(),
                password: connection.password.expose_secret().to_owned(),
                role: connection.role.to_string(),
                host: place.host,
                pooler_host: place.pooler_host,
            },
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ConnectionUriBody {
    uri: String,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ConnectionParams {
    database_name: String,
    role_name: String,
    /// The default branch unless given.
    branch_id: Option<String>,
    /// The branch's read-write endpoint unless given.
    endpoint_id: Option<String>,
    /// Through the pooler, if there is one.
    #[param(value_type = Option<bool>)]
    pooled: Option<Flag>,
}

/// Gives the URI with which a role connects to a database. The project has to store passwords.
#[utoipa::path(
    get,
    path = "/projects/{project_id}/connection_uri",
    operation_id = "getConnectionURI",
    tag = "Projects",
    params(ConnectionParams),
    responses((status = 200, body = ConnectionUriBody))
)]
async fn connection_uri(
    session: Session,
    addresses: Addresses,
    PathParams((project,)): PathParams<(ProjectId,)>,
    QueryParams(params): QueryParams<ConnectionParams>,
) -> Result<Json<ConnectionUriBody>, ApiError> {
    let database: DatabaseName = params.database_name.parse()?;
    let role: RoleName = params.role_name.parse()?;
    let branch: Option<BranchId> = params.branch_id.map(|id| id.parse()).transpose()?;
    let endpoint: Option<EndpointId> = params.endpoint_id.map(|id| id.parse()).transpose()?;
    let find = move |catalog: &Catalog, caller: &Caller| {
        let endpoint = endpoint_of(catalog, caller, &project, (branch, endpoint))?;
        catalog.database_get(caller, &project, &endpoint.branch, &database)?;
        let password = catalog.role_reveal_password(caller, &project, &endpoint.branch, &role)?;
        let connection = Connection { endpoint: &endpoint, role: &role, password: &password, database: &database };
        let place = addresses.place(&endpoint);
        Ok(connection.uri(&place, params.pooled.is_some_and(|Flag(pooled)| pooled)))
    };
    Ok(Json(ConnectionUriBody { uri: session.run(find).await? }))
}

/// The endpoint that is meant.
fn endpoint_of(
    catalog: &Catalog,
    caller: &Caller,
    project: &ProjectId,
    (branch, endpoint): (Option<BranchId>, Option<EndpointId>),
) -> Result<Endpoint, catalog::Error> {
    if let Some(id) = endpoint {
        let found = catalog.endpoint_get(caller, project, &id)?;
        return match branch {
            Some(branch) if found.branch != branch => Err(catalog::Error::EndpointNotFound { id: id.to_string() }),
            _ => Ok(found),
        };
    }
    let branch = branch.map_or_else(|| catalog.project_get(caller, project).map(|found| found.default_branch), Ok)?;
    let endpoints = catalog.endpoint_list_of_branch(caller, project, &branch)?;
    let found = endpoints.into_iter().find(|endpoint| endpoint.kind == EndpointKind::ReadWrite);
    found.ok_or_else(|| catalog::Error::EndpointNotFound { id: format!("read_write of {branch}") })
}
