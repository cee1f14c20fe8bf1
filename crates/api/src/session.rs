//! Who is asking: authentication, and the one way in which a handler calls the catalog.

use crate::{ApiOptions, error::ApiError, request::RequestId, roles::KeptAnswers};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
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
    pub(crate) kept_answers: Arc<KeptAnswers>,
}

/// Lets a request pass only with a valid API key; nothing of it has been looked at before.
pub(crate) async fn authenticate(state: &ApiState, request: &mut Request) -> Result<(), ApiError> {
    let secret = bearer(request.headers()).unwrap_or_default().to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned());
    let client =
        request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| client.ip().to_string());
    let found = move |catalog: &Catalog| catalog.authenticate_from(&secret, client.as_deref());
    let caller = read(state.catalog.clone(), found).await?;
    request.extensions_mut().insert(Caller { request: id, ..caller });
    Ok(())
}

/// The answer to a request without a valid API key.
pub(crate) fn challenge(error: ApiError) -> Response {
    let mut response = error.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
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

    /// Reads from the catalog and writes the body of the answer: at once where that takes no time, else on a thread that may block. So a read of
    /// what is in memory costs no change of threads, and a long list keeps nobody else waiting.
    pub(crate) async fn show<T, B: Serialize>(
        self,
        call: impl Fn(&Catalog, &Caller) -> Result<T, catalog::Error> + Send + 'static,
        body: impl Fn(T) -> B + Send + 'static,
    ) -> Result<Written, ApiError> {
        self.show_written(move |catalog, caller| Ok(Written::new(&body(call(catalog, caller)?)))).await
    }

    /// Shows what `call` has written, where that is not always anew; else as [`Session::show`] does.
    pub(crate) async fn show_written(
        self,
        call: impl Fn(&Catalog, &Caller) -> Result<serde_json::Result<Written>, catalog::Error> + Send + 'static,
    ) -> Result<Written, ApiError> {
        let caller = self.caller;
        let written = read(self.catalog, move |catalog| call(catalog, &caller)).await?;
        written.map_err(|error| ApiError::internal(&format!("an answer cannot be written: {error}")))
    }
}

/// A JSON body that is written already.
#[derive(Clone)]
pub(crate) struct Written(Bytes);

impl Written {
    pub(crate) fn new(body: &impl Serialize) -> serde_json::Result<Written> {
        serde_json::to_vec(body).map(|text| Written(text.into()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

impl FromRequestParts<ApiState> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = parts.extensions.remove::<Caller>();
        let caller = caller.ok_or_else(|| ApiError::internal("bug: a handler ran without authentication"))?;
        Ok(Session { catalog: state.catalog.clone(), caller })
    }
}

/// Does what only reads: at once where the catalog can, else on a thread that may block.
async fn read<T: Send + 'static>(
    catalog: Catalog,
    call: impl Fn(&Catalog) -> Result<T, catalog::Error> + Send + 'static,
) -> Result<T, ApiError> {
    match call(&catalog.at_once()) {
        Err(error) if error.is_not_at_once() => blocking(move || call(&catalog)).await,
        answered => answered.map_err(ApiError::from),
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
