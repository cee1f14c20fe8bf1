//! The outermost layer: gives each request its id and a line in the log, catches panics, and writes the bodies of refusals.

use crate::error::{ApiError, Code};
use axum::{
    Json,
    body::HttpBody,
    extract::{OriginalUri, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, time::Instant};
use tracing::Instrument;
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Neon's clients look for it.
const X_NEON_RET_REQUEST_ID: HeaderName = HeaderName::from_static("x-neon-ret-request-id");
const REQUEST_ID_MAX_BYTES: usize = 64;

/// The request's id: the caller's own where it is a sane one, else a new UUID.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    fn of(headers: &HeaderMap) -> RequestId {
        let sane = |value: &&HeaderValue| {
            !value.is_empty()
                && value.len() <= REQUEST_ID_MAX_BYTES
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let given = headers.get(X_REQUEST_ID).filter(sane).cloned();
        RequestId(given.unwrap_or_else(RequestId::generate))
    }

    fn generate() -> HeaderValue {
        let mut buffer = Uuid::encode_buffer();
        let text: &str = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        // A UUID's text is always a valid header value.
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

pub(crate) async fn serve(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let span =
        tracing::info_span!("request", id = id.as_str(), method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(id.clone());
    let has_body = !request.body().is_end_stream();
    let started = Instant::now();
    async {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let mut response = finish(answered.unwrap_or_else(|panic| panicked(&*panic)), &id);
        if has_body && leaves_body_unread(response.status()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        tracing::info!(status = response.status().as_u16(), micros = started.elapsed().as_micros(), "answered");
        response
    }
    .instrument(span)
    .await
}

/// Whether an answer came before the request's body was read to its end, so that the connection cannot serve another.
fn leaves_body_unread(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT)
}

/// Writes the body of a refusal and the headers that every answer has.
fn finish(mut response: Response, id: &RequestId) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = Json(error.body(id.as_str())).into_response();
        let (parts, body) = body.into_parts();
        response.headers_mut().extend(parts.headers);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body;
    }
    response.headers_mut().insert(X_REQUEST_ID, id.0.clone());
    response.headers_mut().insert(X_NEON_RET_REQUEST_ID, id.0.clone());
    response
}

/// Answers a request whose handler panicked; what it said stays in the log.
fn panicked(panic: &(dyn Any + Send)) -> Response {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(&format!("a handler panicked: {}", said.unwrap_or("(no message)"))).into_response()
}

/// Answers a path that no route has.
pub(crate) async fn route_not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    let path = uri.path();
    ApiError::new(Code::RouteNotFound, format!("there is nothing at {path}; /api/v2/openapi.json lists what there is"))
}

/// Answers a method that the path's route does not have.
pub(crate) async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::new(
        Code::MethodNotAllowed,
        format!("{method} is not among this path's methods; the Allow header lists them"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        Router,
        body::{Body, to_bytes},
        middleware,
        routing::get,
    };
    use tower::ServiceExt;

    fn id_of(value: &'static str) -> RequestId {
        RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_sane_request_id_is_kept() {
        assert_eq!(id_of("deploy-42/a").as_str(), "deploy-42/a");
    }

    #[test]
    fn an_empty_long_or_spaced_request_id_is_replaced() {
        const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        assert_eq!(LONG.len(), 65);
        for value in ["", LONG, "two words"] {
            assert!(Uuid::parse_str(id_of(value).as_str()).is_ok(), "{value:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_telling_what_it_said() -> Result<(), Box<dyn std::error::Error>> {
        async fn panics() {
            panic!("the secret is swordfish");
        }
        let app = Router::new().route("/", get(panics)).layer(middleware::from_fn(serve));
        let request = Request::get("/").header(X_REQUEST_ID, "r-1").body(Body::empty())?;
        let response = app.oneshot(request).await?;
        assert_eq!(response.status(), 500);
        let body: serde_json::Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await?)?;
        assert_eq!((&body["code"], &body["request_id"]), (&"INTERNAL".into(), &"r-1".into()));
        assert!(!body.to_string().contains("swordfish"));
        Ok(())
    }
}
