//! Refusals as a client sees them: the one place where they get status, `code` and `message`.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offshoot_catalog as catalog;
use serde::Serialize;
use std::{error::Error as StdError, iter::successors};
use utoipa::ToSchema;

/// Why the HTTP layer itself refuses a request. What the catalog refuses has the catalog's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BodyInvalid,
    BodyTimeout,
    BodyTooLarge,
    Internal,
    JsonInvalid,
    LsnInvalid,
    MethodNotAllowed,
    NotImplemented,
    NotSupported,
    PathInvalid,
    PointAmbiguous,
    QueryInvalid,
    RouteNotFound,
    TimestampInvalid,
}

impl Code {
    #[cfg(test)]
    pub(crate) const ALL: [Code; 14] = [
        Code::BodyInvalid,
        Code::BodyTimeout,
        Code::BodyTooLarge,
        Code::Internal,
        Code::JsonInvalid,
        Code::LsnInvalid,
        Code::MethodNotAllowed,
        Code::NotImplemented,
        Code::NotSupported,
        Code::PathInvalid,
        Code::PointAmbiguous,
        Code::QueryInvalid,
        Code::RouteNotFound,
        Code::TimestampInvalid,
    ];

    /// The stable text that clients may match on.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Code::BodyInvalid => "BODY_INVALID",
            Code::BodyTimeout => "BODY_TIMEOUT",
            Code::BodyTooLarge => "BODY_TOO_LARGE",
            Code::Internal => "INTERNAL",
            Code::JsonInvalid => "JSON_INVALID",
            Code::LsnInvalid => "LSN_INVALID",
            Code::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Code::NotImplemented => "NOT_IMPLEMENTED",
            Code::NotSupported => "NOT_SUPPORTED",
            Code::PathInvalid => "PATH_INVALID",
            Code::PointAmbiguous => "POINT_AMBIGUOUS",
            Code::QueryInvalid => "QUERY_INVALID",
            Code::RouteNotFound => "ROUTE_NOT_FOUND",
            Code::TimestampInvalid => "TIMESTAMP_INVALID",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Code::NotSupported => StatusCode::UNPROCESSABLE_ENTITY,
            Code::RouteNotFound => StatusCode::NOT_FOUND,
            Code::BodyInvalid
            | Code::JsonInvalid
            | Code::LsnInvalid
            | Code::PathInvalid
            | Code::PointAmbiguous
            | Code::QueryInvalid
            | Code::TimestampInvalid => StatusCode::BAD_REQUEST,
        }
    }
}

/// All that a client is told of a failure of ours; the rest is in the log.
const OURS: &str = "the server failed, not the request; its log tells why under this request_id";

/// What a client is told while there is no space for changes.
const FULL: &str =
    "the server has no space for changes at present, and nothing was changed; reads go on; try again later";

/// A refusal. As a response it has no body yet: the outermost layer knows the request id and writes it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// The body of every answer that is not a success.
#[derive(Serialize, ToSchema)]
#[schema(as = GeneralError)]
pub(crate) struct ErrorBody<'a> {
    /// What the server's log has it under.
    request_id: &'a str,
    /// For programs: it stays.
    code: &'a str,
    /// For people: it may get better.
    message: &'a str,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> ApiError {
        ApiError { status: code.status(), code: code.as_str(), message: message.into() }
    }

    /// A failure of ours: the detail goes to the log, the client gets the request id to ask about it.
    pub(crate) fn internal(detail: &str) -> ApiError {
        tracing::error!(detail, "a request failed");
        ApiError::new(Code::Internal, OURS)
    }

    /// The refusal of a key's id that is not even a number.
    pub(crate) fn key_not_found(id: &str) -> ApiError {
        let message = format!("API key {id:?} not found");
        ApiError { status: StatusCode::NOT_FOUND, code: "API_KEY_NOT_FOUND", message }
    }

    pub(crate) fn body<'a>(&'a self, request_id: &'a str) -> ErrorBody<'a> {
        ErrorBody { request_id, code: self.code, message: &self.message }
    }
}

impl From<catalog::Error> for ApiError {
    fn from(error: catalog::Error) -> ApiError {
        let status = match error.kind() {
            catalog::Kind::Invalid => StatusCode::BAD_REQUEST,
            catalog::Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            catalog::Kind::NotFound => StatusCode::NOT_FOUND,
            catalog::Kind::Conflict => StatusCode::CONFLICT,
            catalog::Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            catalog::Kind::Unmet => StatusCode::PRECONDITION_FAILED,
            catalog::Kind::Unavailable | catalog::Kind::Full => StatusCode::SERVICE_UNAVAILABLE,
            catalog::Kind::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if error.kind() == catalog::Kind::Full {
            // The store has told the operator; each refused request would say the same.
            return ApiError { status, code: error.code(), message: FULL.into() };
        }
        if status.is_server_error() {
            tracing::error!(error = chain(&error), "the catalog failed");
            return ApiError { status, code: error.code(), message: OURS.into() };
        }
        ApiError { status, code: error.code(), message: error.to_string() }
    }
}

impl From<catalog::NameError> for ApiError {
    fn from(error: catalog::NameError) -> ApiError {
        catalog::Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The error with its causes on one line.
fn chain(error: &dyn StdError) -> String {
    let texts: Vec<String> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_engine::StoreError;
    use std::{
        collections::{BTreeMap, BTreeSet},
        io,
        sync::Arc,
    };

    /// The codes of the table in the documentation, each with its statuses.
    fn documented() -> BTreeMap<&'static str, BTreeSet<u16>> {
        let mut rows: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
        for line in include_str!("../../../docs/errors.md").lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let [_, _, status, code, ..] = cells[..]
                && let Ok(status) = status.parse()
            {
                rows.entry(code.trim_matches('`')).or_default().insert(status);
            }
        }
        rows
    }

    #[test]
    fn the_documented_table_has_every_code_and_no_other() {
        let documented: BTreeSet<&str> = documented().into_keys().collect();
        let ours = Code::ALL.iter().map(|code| code.as_str());
        let known: BTreeSet<&str> = ours.chain(catalog::Error::CODES.iter().copied()).collect();
        let unknown: Vec<_> = documented.difference(&known).collect();
        let missing: Vec<_> = known.difference(&documented).collect();
        assert!(unknown.is_empty() && missing.is_empty(), "not a code: {unknown:?}; not in the table: {missing:?}");
    }

    #[test]
    fn the_documented_table_has_the_status_of_every_code() {
        let documented = documented();
        for code in Code::ALL {
            let expected = BTreeSet::from([code.status().as_u16()]);
            assert_eq!(documented.get(code.as_str()), Some(&expected), "{}", code.as_str());
        }
    }

    #[test]
    fn a_failure_of_the_store_tells_the_client_nothing_of_it() {
        let error = catalog::Error::Corrupt { table: "roles", key: "sally".into(), reason: "a bit is off".into() };
        let error = ApiError::from(error);
        assert_eq!((error.status.as_u16(), error.code, error.message.as_str()), (500, "STORE_CORRUPT", OURS));
    }

    #[test]
    fn a_client_is_told_to_try_again_when_the_disk_is_full() {
        let source = Arc::new(io::ErrorKind::StorageFull.into());
        let error = offshoot_engine::Error::from(StoreError::NoSpace { source });
        let error = ApiError::from(catalog::Error::from(error));
        assert_eq!((error.status.as_u16(), error.code, error.message.as_str()), (503, "STORE_FULL", FULL));
    }
}
