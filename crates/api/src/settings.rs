//! Settings and annotations: what the catalog keeps as it was given.

use crate::error::ApiError;
use offshoot_catalog::TextMap;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Settings as the catalog keeps them: the text of a JSON value for each name.
pub(crate) fn kept(settings: Map<String, Value>) -> Result<TextMap, ApiError> {
    Ok(TextMap::new(settings.into_iter().map(|(name, value)| (name, value.to_string())))?)
}

/// Settings as answers show them.
pub(crate) fn shown(kept: &TextMap) -> Map<String, Value> {
    // What an embedding program kept otherwise is shown as a text.
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    kept.as_map().iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

/// Annotations as the catalog keeps them.
pub(crate) fn annotation(texts: Option<BTreeMap<String, String>>) -> Result<TextMap, ApiError> {
    Ok(TextMap::new(texts.unwrap_or_default())?)
}
