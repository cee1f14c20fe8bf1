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
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use offshoot_catalog::Catalog;
use serde_json::Value;
use session::ApiState;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tower::{Layer, Service};
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
    let state = ApiState { catalog, options: Arc::new(options), kept_answers: Arc::default() };
    let app = Router::new()
        .route("/healthz", get(healthz))
        .merge(document::routes(&document::finish(document)))
        .nest_service("/api/v2", api(calls, state))
        .fallback(request::route_not_found)
        .method_not_allowed_fallback(request::method_not_allowed);
    with_request_ids(app)
}

/// Gives other routes what each request to those of [`router`] has: its id in the answer, its line in the log, and an answer where a handler
/// panics.
pub fn with_request_ids(app: Router) -> Router {
    Router::new().fallback_service(middleware::from_fn(request::serve).layer(app))
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

/// The calls behind what each request meets first: authentication, and the limits of its body. It is around all routes and not around each:
/// axum clones what is below a layer for each request, and all routes in one are cloned at once.
fn api(
    calls: Router<ApiState>,
    state: ApiState,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync {
    let calls = calls
        .fallback(request::route_not_found)
        .method_not_allowed_fallback(request::method_not_allowed)
        .with_state(state.clone());
    middleware::from_fn_with_state(state, enter).layer(calls)
}

/// Lets a request through to its handler.
async fn enter(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let mut response = match session::authenticate(&state, &mut request).await {
        Ok(()) => match input::read_body(&state.options, request).await {
            Ok(request) => next.run(request).await,
            Err(error) => error.into_response(),
        },
        Err(error) => session::challenge(error),
    };
    // Answers tell about roles, and some carry a password: no cache may keep any of them.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn healthz() -> &'static str {
    "ok\n"
}
