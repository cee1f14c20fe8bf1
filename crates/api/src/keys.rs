//! API keys: `/api_keys`.

use crate::{
    error::ApiError,
    input::{JsonBody, PathParams},
    session::{ApiState, Session},
    time::Timestamp,
    users::account_id,
};
use axum::Json;
use offshoot_catalog::{self as catalog, ApiKey, ApiKeyId, KeyName};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(key_list, key_create)).routes(routes!(key_revoke))
}

/// An API key in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct KeyBody {
    id: u64,
    name: String,
    created_at: Timestamp,
    created_by: KeyCreatorBody,
    last_used_at: Option<Timestamp>,
    /// Empty where it was not used.
    last_used_from_addr: String,
}

/// The account of a key.
#[derive(Serialize, ToSchema)]
struct KeyCreatorBody {
    id: String,
    name: String,
    image: &'static str,
}

/// A new API key. It has no `Debug`, because of its secret.
#[derive(Serialize, ToSchema)]
struct KeyCreatedBody {
    id: u64,
    /// The secret, told here only.
    key: String,
    name: String,
    created_at: Timestamp,
    created_by: String,
}

#[derive(Serialize, ToSchema)]
struct KeyRevokedBody {
    id: u64,
    name: String,
    created_at: Timestamp,
    created_by: String,
    last_used_at: Option<Timestamp>,
    last_used_from_addr: String,
    revoked: bool,
}

#[derive(Deserialize, ToSchema)]
struct KeyCreateRequest {
    key_name: String,
}

/// The id of a key in a path. What is no number is the id of no key.
struct KeyId(ApiKeyId);

impl FromStr for KeyId {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<KeyId, ApiError> {
        text.parse().map(|number| KeyId(ApiKeyId::new(number))).map_err(|_| ApiError::key_not_found(text))
    }
}

/// Lists the account's API keys, in order of creation, without their secrets.
#[utoipa::path(
    get,
    path = "/api_keys",
    operation_id = "listApiKeys",
    tag = "Account",
    responses((status = 200, body = Vec<KeyBody>))
)]
async fn key_list(session: Session) -> Result<Json<Vec<KeyBody>>, ApiError> {
    let (account, keys) =
        session.run(|catalog, caller| Ok((catalog.account_get(caller.account)?, catalog.key_list(caller)?))).await?;
    let body = |key: ApiKey| KeyBody {
        id: key.id.get(),
        name: key.name.to_string(),
        created_at: key.created_at.into(),
        created_by: KeyCreatorBody { id: account_id(account.id), name: account.name.to_string(), image: "" },
        last_used_at: key.last_used_at.map(Into::into),
        last_used_from_addr: key.last_used_from.unwrap_or_default(),
    };
    Ok(Json(keys.into_iter().map(body).collect()))
}

/// Creates an API key for the account. The answer has its secret.
#[utoipa::path(
    post,
    path = "/api_keys",
    operation_id = "createApiKey",
    tag = "Account",
    request_body = KeyCreateRequest,
    responses((status = 200, body = KeyCreatedBody))
)]
async fn key_create(
    session: Session,
    JsonBody(body): JsonBody<KeyCreateRequest>,
) -> Result<Json<KeyCreatedBody>, ApiError> {
    let name = KeyName::new(body.key_name).map_err(catalog::Error::from)?;
    let created = session.run(move |catalog, caller| catalog.key_create(caller.account, &name)).await?;
    Ok(Json(KeyCreatedBody {
        id: created.key.id.get(),
        key: created.secret.expose_secret().to_owned(),
        name: created.key.name.to_string(),
        created_at: created.key.created_at.into(),
        created_by: account_id(created.key.account),
    }))
}

/// Revokes an API key of the account.
#[utoipa::path(
    delete,
    path = "/api_keys/{key_id}",
    operation_id = "revokeApiKey",
    tag = "Account",
    responses((status = 200, body = KeyRevokedBody))
)]
async fn key_revoke(
    session: Session,
    PathParams((KeyId(id),)): PathParams<(KeyId,)>,
) -> Result<Json<KeyRevokedBody>, ApiError> {
    let key = session.run(move |catalog, caller| catalog.key_revoke(caller, id)).await?;
    Ok(Json(KeyRevokedBody {
        id: key.id.get(),
        name: key.name.to_string(),
        created_at: key.created_at.into(),
        created_by: account_id(key.account),
        last_used_at: key.last_used_at.map(Into::into),
        last_used_from_addr: key.last_used_from.unwrap_or_default(),
        revoked: true,
    }))
}
