//! The OpenAPI document: the same as it was, unless somebody means to change it.

use crate::common::{App, TestResult};
use offshoot_api::{openapi, testing::Document};
use serde_json::Value;
use std::{collections::BTreeSet, env, fmt::Write, fs};

const WIRE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wire.txt");

/// The wire in one line for each call and each schema: a change of it is a change of these lines.
fn wire(document: &Value) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# What the API looks like. After a change that is meant: WIRE_UPDATE=1 cargo test -p offshoot-api --all-features the_wire_is\n\n",
    );
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(&item) {
            write!(text, "{} {path}", method.to_uppercase())?;
            let queries = operation["parameters"].as_array().into_iter().flatten();
            for parameter in queries.filter(|parameter| parameter["in"] == "query") {
                let mark = if parameter["required"] == true { "" } else { "?" };
                write!(text, " {}{mark}", parameter["name"].as_str().unwrap_or_default())?;
            }
            if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
                write!(text, " <- {}", named(schema))?;
            }
            for (status, response) in members(&operation["responses"]) {
                let schema = response.pointer("/content/application~1json/schema").map_or_else(String::new, named);
                write!(text, " -> {status} {schema}")?;
            }
            let mark = if operation["x-offshoot-extension"] == true { " (extension)" } else { "" };
            writeln!(text, "{mark}")?;
        }
    }
    for (name, schema) in members(&document["components"]["schemas"]) {
        writeln!(text, "{name} {}", named(&schema))?;
    }
    Ok(text)
}

/// A schema in a few words.
fn named(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(named).collect::<Vec<_>>().join("|");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join("|");
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let field = |(name, field): (&String, &Value)| {
            let mark = if required.contains(name.as_str()) { "" } else { "?" };
            format!("{name}{mark}: {}", named(field))
        };
        return format!("{{{}}}", properties.iter().map(field).collect::<Vec<_>>().join(", "));
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("[{}]", named(&schema["items"])),
        Value::String(kind) => {
            schema["format"].as_str().map_or_else(|| kind.clone(), |format| format!("{kind}({format})"))
        }
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        _ => "any".into(),
    }
}

#[test]
fn the_wire_is_as_the_list_in_the_repository_says() -> TestResult {
    let now = wire(&openapi())?;
    if env::var_os("WIRE_UPDATE").is_some() {
        fs::write(WIRE, &now)?;
    }
    let listed = fs::read_to_string(WIRE)?;
    let (listed, now): (BTreeSet<&str>, BTreeSet<&str>) = (listed.lines().collect(), now.lines().collect());
    let gone: Vec<_> = listed.difference(&now).collect();
    let new: Vec<_> = now.difference(&listed).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone from the wire: {gone:#?}\nnew on it: {new:#?}");
    Ok(())
}

#[test]
fn every_call_has_an_id_of_its_own_a_summary_and_one_known_tag() {
    let document = openapi();
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            assert!(ids.insert(operation["operationId"].as_str()), "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            assert!(
                matches!(&operation["tags"].as_array().map(Vec::as_slice), Some([tag]) if tags.contains(&tag)),
                "{method} {path}"
            );
        }
    }
    assert!(ids.len() > 20);
}

#[test]
fn every_reference_leads_to_a_schema() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = openapi();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn an_answer_that_the_document_does_not_allow_is_noticed() -> TestResult {
    let document = Document::new();
    let good = serde_json::json!({ "databases": [] });
    let path = "/projects/p/branches/b/databases";
    document.check("GET", path, 200, &good)?;
    for (method, path, status, body) in [
        ("GET", path, 200, serde_json::json!({})),
        ("GET", path, 200, serde_json::json!({ "databases": [], "more": 1 })),
        ("GET", path, 200, serde_json::json!({ "databases": [{ "id": 1 }] })),
        ("GET", path, 201, good.clone()),
        ("GET", path, 404, good.clone()),
        ("GET", "/nothing", 200, good),
        ("DELETE", "/projects/p/branches/b/databases/d", 204, serde_json::json!({})),
    ] {
        assert!(document.check(method, path, status, &body).is_err(), "{method} {path} {status} {body}");
    }
    Ok(())
}

#[tokio::test]
async fn the_document_and_its_page_are_given_without_a_key() -> TestResult {
    let app = App::new()?;
    let request = axum::http::Request::get("/api/v2/openapi.json").body(axum::body::Body::empty())?;
    let response = tower::ServiceExt::oneshot(app.router.clone(), request).await?;
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    assert_eq!(serde_json::from_slice::<Value>(&bytes)?, openapi());
    for (path, kind) in [("/docs", "text/html"), ("/docs/page.css", "text/css"), ("/docs/page.js", "text/javascript")] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty())?;
        let response = tower::ServiceExt::oneshot(app.router.clone(), request).await?;
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers()["content-type"].to_str()?.starts_with(kind), "{path}");
        assert!(response.headers()["content-security-policy"].to_str()?.contains("default-src 'none'"), "{path}");
    }
    Ok(())
}
