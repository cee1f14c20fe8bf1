//! Regions: `/regions`.

use crate::session::{ApiState, Session};
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The only region: where the server is.
pub(crate) const REGION_ID: &str = "local";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(region_list))
}

#[derive(Serialize, ToSchema)]
struct RegionsBody {
    regions: Vec<RegionBody>,
}

/// A region.
#[derive(Serialize, ToSchema)]
#[schema(as = Region)]
struct RegionBody {
    region_id: &'static str,
    name: &'static str,
    default: bool,
    /// Empty: the server does not know where it is.
    geo_lat: &'static str,
    geo_long: &'static str,
}

/// Lists the regions: there is one.
#[utoipa::path(
    get,
    path = "/regions",
    operation_id = "getActiveRegions",
    tag = "Account",
    responses((status = 200, body = RegionsBody))
)]
async fn region_list(_: Session) -> Json<RegionsBody> {
    let here = RegionBody { region_id: REGION_ID, name: "This server", default: true, geo_lat: "", geo_long: "" };
    Json(RegionsBody { regions: vec![here] })
}
