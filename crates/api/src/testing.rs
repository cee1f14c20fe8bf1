//! Checks answers against the OpenAPI document, for the tests of this crate and of whoever serves its router.

mod schema;

use crate::openapi;
use serde_json::{Value, json};

/// The OpenAPI document as a judge of answers.
///
/// It is stricter than a client may be: a field that the document does not have is as wrong as one that is missing.
pub struct Document(Value);

impl Default for Document {
    fn default() -> Document {
        Document::new()
    }
}

impl Document {
    /// The document of this crate's router.
    pub fn new() -> Document {
        Document(openapi())
    }

    /// All calls: method in capitals, and path below `/api/v2` with parameters in braces.
    pub fn calls(&self) -> Vec<(String, String)> {
        let items = self.0["paths"].as_object().into_iter().flatten();
        let calls = items.flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(|(method, _)| (method.to_uppercase(), path.clone()))
        });
        calls.collect()
    }

    /// Checks the answer to a request whose path is given as it was sent, below `/api/v2`, with its query. A body of null is none.
    ///
    /// # Errors
    ///
    /// Says what the document does not have, or the answer does not keep to. Refusals of paths and methods that are not in the document are right.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
        let told = |problem: String| format!("{method} {path} answered {status} with {body}: {problem}");
        let schema = match self.template(method, path) {
            Some(template) => self.answer(template, method, status).map_err(told)?,
            None if matches!(status, 401 | 404 | 405) => refusal(),
            None => return Err(told("the document has no such call".into())),
        };
        schema::check(&self.0, &schema, body).map_err(told)
    }

    /// The path in the document that a path fits, with as few parameters as can be.
    fn template(&self, method: &str, path: &str) -> Option<&str> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.0["paths"].as_object()?;
        let having_method = paths.iter().filter(|(_, item)| item.get(method.to_lowercase()).is_some());
        let fitting = having_method.map(|(template, _)| template.as_str()).filter(|template| fits(template, path));
        fitting.min_by_key(|template| template.matches('{').count())
    }

    /// The schema of an answer; of one without a body, null.
    fn answer(&self, template: &str, method: &str, status: u16) -> Result<Value, String> {
        let responses = &self.0["paths"][template][method.to_lowercase()]["responses"];
        let response = match responses.get(status.to_string()) {
            Some(response) => response,
            None if status >= 400 => return Ok(refusal()),
            None => return Err("the document does not have this status".into()),
        };
        match response.pointer("/content/application~1json/schema") {
            Some(schema) => Ok(schema.clone()),
            None if status >= 400 => Ok(refusal()),
            None => Ok(json!({ "type": "null" })),
        }
    }
}

fn refusal() -> Value {
    json!({ "$ref": "#/components/schemas/GeneralError" })
}

fn fits(template: &str, path: &str) -> bool {
    let (mut parts, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (parts.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given || (part.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}
