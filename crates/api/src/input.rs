//! Extractors for path, query and body, whose refusals have the API's error body.

use crate::{
    ApiOptions,
    error::{ApiError, Code},
};
use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use http_body_util::LengthLimitError;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::error::Category;
use std::{error::Error, str::FromStr};

/// The parameters in the path, percent-decoded one by one and read as ids and names.
pub(crate) struct PathParams<T>(pub(crate) T);

impl<S: Send + Sync, T: FromSegments> FromRequestParts<S> for PathParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T::Segments>::from_request_parts(parts, state).await {
            Ok(Path(segments)) => T::from_segments(segments).map(PathParams),
            Err(rejection) if rejection.status() == StatusCode::BAD_REQUEST => {
                let message = format!("{}; percent-encode each part of the path as UTF-8", rejection.body_text());
                Err(ApiError::new(Code::PathInvalid, message))
            }
            Err(rejection) => Err(ApiError::internal(&rejection.body_text())),
        }
    }
}

/// A tuple that is read from as many path segments.
pub(crate) trait FromSegments: Sized {
    type Segments: DeserializeOwned + Send;

    fn from_segments(segments: Self::Segments) -> Result<Self, ApiError>;
}

impl<A: FromStr<Err: Into<ApiError>>> FromSegments for (A,) {
    type Segments = (String,);

    fn from_segments((a,): (String,)) -> Result<Self, ApiError> {
        Ok((segment(&a)?,))
    }
}

impl<A: FromStr<Err: Into<ApiError>>, B: FromStr<Err: Into<ApiError>>> FromSegments for (A, B) {
    type Segments = (String, String);

    fn from_segments((a, b): (String, String)) -> Result<Self, ApiError> {
        Ok((segment(&a)?, segment(&b)?))
    }
}

impl<A, B, C> FromSegments for (A, B, C)
where
    A: FromStr<Err: Into<ApiError>>,
    B: FromStr<Err: Into<ApiError>>,
    C: FromStr<Err: Into<ApiError>>,
{
    type Segments = (String, String, String);

    fn from_segments((a, b, c): (String, String, String)) -> Result<Self, ApiError> {
        Ok((segment(&a)?, segment(&b)?, segment(&c)?))
    }
}

fn segment<T: FromStr<Err: Into<ApiError>>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(Into::into)
}

/// The query string; parameters that the call does not know are ignored.
pub(crate) struct QueryParams<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(QueryParams(params)),
            Err(rejection) => Err(ApiError::new(Code::QueryInvalid, rejection.body_text())),
        }
    }
}

/// A yes or no in a query, in any letter case: `true`, `True`, `1`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Flag(true)),
            "false" | "0" | "" => Ok(Flag(false)),
            _ => Err(D::Error::custom(format!("{text:?} is neither true nor false"))),
        }
    }
}

/// A field that may be null, which is something else than leaving it out.
pub(crate) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How many items a page has: `asked`, where it is within 1 to `max`, or else `default`.
pub(crate) fn page_limit(asked: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(ApiError::new(Code::QueryInvalid, format!("limit is {limit}; it must be between 1 and {max}")))
}

/// Reads the body before any handler runs. Whether a handler then wants it or not, the connection can serve the next request.
pub(crate) async fn read_body(limits: &ApiOptions, request: Request) -> Result<Request, ApiError> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let read = to_bytes(body, limits.body_max_bytes);
    let bytes = match tokio::time::timeout(limits.body_timeout, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => {
            let message = format!("the body is larger than {} bytes", limits.body_max_bytes);
            return Err(ApiError::new(Code::BodyTooLarge, message));
        }
        Ok(Err(_)) => return Err(ApiError::new(Code::BodyInvalid, "the body broke off before its end")),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", limits.body_timeout.as_secs());
            return Err(ApiError::new(Code::BodyTimeout, message));
        }
    };
    parts.extensions.insert(BodyBytes(bytes));
    Ok(Request::from_parts(parts, Body::empty()))
}

/// A body that was read.
#[derive(Clone)]
struct BodyBytes(Bytes);

/// The JSON body, whatever the content type says. No body at all counts as `{}`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let bytes = parts.extensions.get::<BodyBytes>().map_or(&b""[..], |body| &body.0);
        let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
        serde_json::from_slice(text).map(JsonBody).map_err(|error| unfit(&error))
    }
}

fn unfit(error: &serde_json::Error) -> ApiError {
    match error.classify() {
        Category::Data => ApiError::new(Code::BodyInvalid, format!("the body does not fit this call: {error}")),
        Category::Syntax | Category::Eof | Category::Io => {
            ApiError::new(Code::JsonInvalid, format!("the body is not JSON: {error}"))
        }
    }
}
