//! The Neon API v2 over HTTP, as an [`axum::Router`] over an [`offshoot_catalog::Catalog`].
//!
//! ```
//! use offshoot_api::{ApiOptions, router};
//! use offshoot_catalog::{Catalog, Options};
//! use offshoot_engine::{Engine, MemoryStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(MemoryStore::new(), Default::default())?;
//! let catalog = Catalog::open(engine, Options::default())?;
//! let app: axum::Router = router(catalog, ApiOptions::default());
//! // Serve it with `axum::serve`, alone or merged into a router of your own.
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! Each concept has one module with its wire types and thin handlers; the rules are the catalog's.
//! The router expects to run on a multi-threaded tokio runtime: catalog calls wait for the disk on its blocking threads.

mod absent;
mod address;
mod branches;
mod connection;
mod console;
mod databases;
mod document;
mod drift;
mod elsewhere;
mod endpoints;
mod error;
mod history;
mod input;
mod keys;
mod operations;
mod projects;
mod regions;
mod request;
mod role_sync;
mod roles;
mod session;
mod settings;
mod snapshots;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod users;

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    routing::get,
};
use offshoot_catalog::Catalog;
use serde_json::Value;
use session::ApiState;
use std::{sync::Arc, time::Duration};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa_axum::router::OpenApiRouter;

pub use address::{Address, Addresses};
pub use console::console;

/// Limits that protect the server from its clients.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// The largest request body taken, in bytes; 1 MiB unless set.
    pub body_max_bytes: usize,
    /// How long a request body may take to arrive; 30 seconds unless set.
    pub body_timeout: Duration,
    /// Where endpoints are reached whose servers run elsewhere; none unless set.
    pub addresses: Addresses,
}

impl Default for ApiOptions {
    fn default() -> ApiOptions {
        ApiOptions { body_max_bytes: 1 << 20, body_timeout: Duration::from_secs(30), addresses: Addresses::default() }
    }
}

/// Builds the whole HTTP surface: the API below `/api/v2`, its document at `/api/v2/openapi.json` with a page to read it at `/docs`, and
/// `GET /healthz`.
///
/// Every other request below `/api/v2` needs `Authorization: Bearer KEY`, whether its path exists or not.
/// Every refusal has the body `{"request_id", "code", "message"}`.
pub fn router(catalog: Catalog, options: ApiOptions) -> Router {
    let (calls, document) = calls().split_for_parts();
    Router::new()
        .route("/healthz", get(healthz))
        .merge(document::routes(&document::finish(document)))
        .nest("/api/v2", api(calls, ApiState { catalog, options: Arc::new(options) }))
        .fallback(request::route_not_found)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(middleware::from_fn(request::serve))
}

/// The OpenAPI document of the calls below `/api/v2`, as the server gives it at `/api/v2/openapi.json`.
pub fn openapi() -> Value {
    document::finish(calls().into_openapi())
}

/// All calls, each with its part of the document.
fn calls() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(projects::routes())
        .merge(branches::routes())
        .merge(roles::routes())
        .merge(role_sync::routes())
        .merge(databases::routes())
        .merge(endpoints::routes())
        .merge(drift::routes())
        .merge(connection::routes())
        .merge(snapshots::routes())
        .merge(history::routes())
        .merge(operations::routes())
        .merge(users::routes())
        .merge(keys::routes())
        .merge(regions::routes())
        .merge(absent::routes())
        .merge(elsewhere::routes())
}

/// The calls behind what each request meets first: authentication, and the limits of its body.
fn api(calls: Router<ApiState>, state: ApiState) -> Router {
    // Answers tell about roles, and some carry a password: no cache may keep any of them.
    let no_store = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    calls
        .fallback(request::route_not_found)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), input::read_body))
        .layer(middleware::from_fn_with_state(state.clone(), session::authenticate))
        .layer(no_store)
        .with_state(state)
}

async fn healthz() -> &'static str {
    "ok\n"
}
