//! `POST /admin`: what operators do with accounts, keys and the password key.

use crate::{
    admin::{AdminRequest, perform},
    error::chain,
    password_key::PasswordKeySource,
};
use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog::Catalog;
use std::sync::Arc;

/// What it takes.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) catalog: Catalog,
    pub(crate) keys: Arc<PasswordKeySource>,
}

pub(super) async fn admin(State(admin): State<Admin>, body: Bytes) -> Response {
    let request: AdminRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    tracing::info!(?request, "an operator's request");
    let performed = tokio::task::spawn_blocking(move || perform(&admin.catalog, &admin.keys, request)).await;
    let answer = match performed {
        Ok(Ok(answer)) => serde_json::to_vec(&answer).map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err("the request failed; the server's log says why".to_owned()),
    };
    match answer {
        Ok(answer) => answer.into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, refusal).into_response(),
    }
}
