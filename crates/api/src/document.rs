//! The server's OpenAPI document: generated from the handlers, then given what all of them share.

use crate::error::ErrorBody;
use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

/// The tag of what Neon's API does not have.
pub(crate) const EXTENSION: &str = "Extensions";

/// The tag of what Neon's API has, and this server does not.
pub(crate) const ELSEWHERE: &str = "Not here";

const TAGS: &[(&str, &str)] = &[
    ("Projects", "What an account keeps apart."),
    ("Branches", "A project's roles and databases, each as of some point and from there on its own."),
    ("Roles", "Who can log in to a branch's databases."),
    ("Databases", "The databases of a branch."),
    ("Endpoints", "The computes through which a branch is reached."),
    ("Operations", "What makes a change true on computes and storage."),
    ("Snapshots", "Points of a branch that are kept under a name."),
    ("Account", "Who asks, and with which keys."),
    (EXTENSION, "What Neon's API does not have."),
    (ELSEWHERE, "What Neon's API has, and cannot be answered without table data; 501 says why."),
];

/// What the parts of paths are.
const PATH_PARAMS: &[(&str, &str)] = &[
    ("project_id", "A project's id, such as `hidden-cell-76330194`."),
    ("branch_id", "A branch's id, such as `br-blue-tooth-67158003`."),
    ("endpoint_id", "An endpoint's id, such as `ep-aged-math-66828504`."),
    ("snapshot_id", "A snapshot's id."),
    ("operation_id", "An operation's id, a UUID."),
    ("key_id", "An API key's id, a number."),
    ("role_name", "A role's name, percent-encoded."),
    ("database_name", "A database's name, percent-encoded."),
];

/// The only field that is null where it has no value; others are left out.
const NULLABLE: &str = "last_used_at";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Offshoot",
        description = "Branch metadata for Postgres platforms: the Neon API v2, with extensions that are tagged as such. \
                       A field that has no value is left out of an answer. Unknown fields and query parameters of a request are ignored."
    ),
    components(schemas(ErrorBody))
)]
struct Shared;

/// The document of a router's handlers, with what they share.
pub(crate) fn finish(handlers: utoipa::openapi::OpenApi) -> Value {
    let mut document = json!(Shared::openapi().merge_from(handlers));
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" });
    document["servers"] = json!([{ "url": "/api/v2" }]);
    document["security"] = json!([{ "apiKey": [] }]);
    document["components"]["securitySchemes"] = json!({ "apiKey": { "type": "http", "scheme": "bearer" } });
    document["tags"] =
        TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    for (path, item) in members(&mut document["paths"]) {
        let parameters = path_parameters(path);
        for (_, operation) in members(item) {
            finish_operation(operation, &parameters);
        }
    }
    for (_, schema) in members(&mut document["components"]["schemas"]) {
        leave_out_null(schema);
    }
    document
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let description =
            PATH_PARAMS.iter().find(|(known, _)| *known == name).map_or("", |(_, description)| description);
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
    };
    names.map(parameter).collect()
}

/// Adds the parameters of the path, the refusals, texts for statuses, and the mark of an extension.
fn finish_operation(operation: &mut Value, path_parameters: &[Value]) {
    let query = operation["parameters"].as_array().cloned().unwrap_or_default();
    operation["parameters"] = path_parameters.iter().cloned().chain(query).collect();
    for (status, response) in members(&mut operation["responses"]) {
        response["description"] = json!(match status.as_str() {
            "201" => "It was created.",
            "202" => "It will be done.",
            "204" => "There was nothing to delete.",
            "501" => "This server cannot answer that.",
            _ => "It was done.",
        });
    }
    let content =
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{}", ErrorBody::name()) } } });
    operation["responses"]["default"] = json!({ "description": "It was refused.", "content": content });
    if operation["tags"] == json!([EXTENSION]) {
        operation["x-offshoot-extension"] = json!(true);
    }
}

/// Takes `null` from the types of fields: they are left out where they have no value.
fn leave_out_null(schema: &mut Value) {
    for (name, property) in members(&mut schema["properties"]) {
        if name == NULLABLE {
            continue;
        }
        if let Some(types) = property["type"].as_array_mut() {
            types.retain(|kind| kind != "null");
            if let [only] = &types[..] {
                property["type"] = only.clone();
            }
        }
        if let Some(choices) = property["oneOf"].as_array_mut() {
            choices.retain(|choice| choice["type"] != "null");
            if let [only] = &choices[..] {
                *property = only.clone();
            }
        }
        // Indexing a value with a name puts nulls where there was nothing.
        if let Some(members) = property.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
    }
    if let Some(members) = schema.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
}

/// The document, and a page to read it with. Both tell nothing of what is stored, so they ask for no key.
pub(crate) fn routes(document: &Value) -> Router {
    let json = document.to_string();
    let file = |content_type: &'static str, text: String| {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(ONLY_OURS)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        get(move || async move { (headers, text).into_response() })
    };
    Router::new()
        .route("/api/v2/openapi.json", file("application/json", json))
        .route("/docs", file("text/html; charset=utf-8", include_str!("document/page.html").into()))
        .route("/docs/page.css", file("text/css; charset=utf-8", include_str!("document/page.css").into()))
        .route("/docs/page.js", file("text/javascript; charset=utf-8", include_str!("document/page.js").into()))
}

/// The page works without any other host.
const ONLY_OURS: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
