//! Who is asking: authentication, and the one way in which a handler calls the catalog.

use crate::{ApiOptions, error::ApiError, request::RequestId};
use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use offshoot_catalog::{self as catalog, AccountId, Caller, Catalog};
use serde::Serialize;
use std::{net::SocketAddr, sync::Arc};
use tracing::Span;

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) catalog: Catalog,
    pub(crate) options: Arc<ApiOptions>,
}

/// Lets a request pass only with a valid API key; nothing of it has been looked at before.
pub(crate) async fn authenticate(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let secret = bearer(request.headers()).unwrap_or_default().to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned());
    let client =
        request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| client.ip().to_string());
    let catalog = state.catalog;
    match blocking(move || catalog.authenticate_from(&secret, client.as_deref())).await {
        Ok(caller) => {
            request.extensions_mut().insert(Caller { request: id, ..caller });
            next.run(request).await
        }
        Err(error) => {
            let mut response = error.into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    }
}

/// The key in `Authorization: Bearer KEY`; the scheme's letter case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The catalog, on behalf of an authenticated caller.
pub(crate) struct Session {
    catalog: Catalog,
    caller: Caller,
}

impl Session {
    /// The account in whose name the caller speaks.
    pub(crate) fn account(&self) -> AccountId {
        self.caller.account
    }

    /// Runs catalog calls on a thread that may block, for they wait for the disk.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        call: impl FnOnce(&Catalog, &Caller) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        blocking(move || call(&self.catalog, &self.caller)).await
    }

    /// Answers with what catalog calls give, written as JSON on the same thread: a long answer would keep those waiting whom the caller's thread serves
    /// besides.
    pub(crate) async fn answer<T: Serialize>(
        self,
        call: impl FnOnce(&Catalog, &Caller) -> Result<T, catalog::Error> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let written = self.run(|catalog, caller| Ok(serde_json::to_vec(&call(catalog, caller)?))).await?;
        let json = written.map_err(|error| ApiError::internal(&format!("an answer can't be written: {error}")))?;
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
    }
}

impl FromRequestParts<ApiState> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| ApiError::internal("bug: a handler ran without authentication"))?;
        Ok(Session { catalog: state.catalog.clone(), caller })
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, catalog::Error> + Send + 'static,
) -> Result<T, ApiError> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(call)).await;
    done.map_err(|error| ApiError::internal(&format!("a catalog call did not end: {error}")))?.map_err(ApiError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer_of(value: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_letter_case() {
        assert_eq!(bearer_of("bearer osk_1"), Some("osk_1".into()));
        assert_eq!(bearer_of("Bearer  osk_1"), Some("osk_1".into()));
    }

    #[test]
    fn another_scheme_or_a_bare_key_is_no_key() {
        assert_eq!(bearer_of("Basic b3Nr"), None);
        assert_eq!(bearer_of("osk_1"), None);
    }
}
