//! Whether a value is what a schema says: as much of JSON Schema as the document has in it, and no keyword more.

use chrono::DateTime;
use serde_json::Value;

/// Checks `value` against `schema`, whose references lead into `document`.
///
/// # Errors
///
/// Says where the value is not what the schema says; or which keyword of the schema would have been passed over.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let keywords = schema.as_object().into_iter().flatten();
    keywords.into_iter().try_for_each(|(keyword, rule)| check_keyword(document, schema, (keyword, rule), value))
}

fn check_keyword(
    document: &Value,
    schema: &Value,
    (keyword, rule): (&str, &Value),
    value: &Value,
) -> Result<(), String> {
    let holds = match keyword {
        "$ref" => {
            let target = rule.as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
            return check(document, target.ok_or(format!("{rule} leads nowhere"))?, value);
        }
        "oneOf" => list(rule).filter(|choice| check(document, choice, value).is_ok()).count() == 1,
        "type" if rule.is_array() => list(rule).any(|kind| is(kind, value)),
        "type" => is(rule, value),
        "enum" => list(rule).any(|one| one == value),
        "format" => has_format(rule, value),
        "minimum" => value.as_f64().is_none_or(|number| rule.as_f64().is_some_and(|minimum| number >= minimum)),
        "required" => return check_required(rule, value),
        "properties" => return check_properties(document, schema, value),
        "items" => return check_items(document, rule, value),
        "additionalProperties" => return check_other_properties(document, schema, value),
        // Names are texts, and nothing else is said of them.
        "propertyNames" => rule == &serde_json::json!({ "type": "string" }),
        "description" | "title" => true,
        unknown => return Err(format!("the schema's {unknown:?} is not checked yet")),
    };
    if holds { Ok(()) } else { Err(format!("{value} breaks {keyword}: {rule}")) }
}

fn list(rule: &Value) -> impl Iterator<Item = &Value> {
    rule.as_array().into_iter().flatten()
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

fn has_format(format: &Value, value: &Value) -> bool {
    match (format.as_str(), value) {
        (Some("date-time"), Value::String(text)) => DateTime::parse_from_rfc3339(text).is_ok(),
        (Some("date-time"), Value::Null) => true,
        (Some("int32"), value) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        (Some("int64"), value) => value.as_i64().is_some(),
        (Some("double"), value) => value.is_number(),
        _ => false,
    }
}

fn check_required(names: &Value, value: &Value) -> Result<(), String> {
    let missing = list(names).filter_map(Value::as_str).find(|name| value.get(name).is_none());
    missing.map_or(Ok(()), |name| Err(format!("{name} is missing in {value}")))
}

/// Checks each field, and that there is none that the schema does not have.
fn check_properties(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (name, field) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).ok_or(format!("{name} is unknown in {value}"))?;
        check(document, known, field).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

/// Checks the fields that the schema has no name for.
fn check_other_properties(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let others = value.as_object().into_iter().flatten().filter(|(name, _)| schema["properties"].get(name).is_none());
    for (name, field) in others {
        check(document, &schema["additionalProperties"], field).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

fn check_items(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    list(value).enumerate().try_for_each(|(place, item)| {
        check(document, schema, item).map_err(|problem| format!("element {place}: {problem}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(schema: Value, value: Value) -> bool {
        let document = json!({ "short": { "type": "string", "enum": ["a", "b"] } });
        check(&document, &schema, &value).is_ok()
    }

    #[test]
    fn what_keeps_to_a_schema_fits() {
        assert!(fits(json!({ "$ref": "#/short" }), json!("a")));
        assert!(fits(json!({ "type": ["string", "null"], "format": "date-time" }), json!(null)));
        assert!(fits(json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } }), json!([0, 1])));
        let object =
            json!({ "type": "object", "required": ["a"], "properties": { "a": {}, "b": { "type": "boolean" } } });
        assert!(fits(object, json!({ "a": 1 })));
        assert!(fits(json!({ "type": "object", "additionalProperties": {} }), json!({ "any": [] })));
        assert!(fits(json!({ "additionalProperties": { "type": "string" } }), json!({ "any": "text" })));
        assert!(fits(json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/short" }] }), json!("b")));
    }

    #[test]
    fn what_does_not_keep_to_a_schema_is_noticed() {
        assert!(!fits(json!({ "$ref": "#/short" }), json!("c")));
        assert!(!fits(json!({ "$ref": "#/nowhere" }), json!("c")));
        assert!(!fits(json!({ "type": "string", "format": "date-time" }), json!("yesterday")));
        assert!(!fits(json!({ "type": "integer", "format": "int32" }), json!(1_u64 << 40)));
        assert!(!fits(json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } }), json!([0, -1])));
        let object =
            json!({ "type": "object", "required": ["a"], "properties": { "a": {}, "b": { "type": "boolean" } } });
        assert!(!fits(object.clone(), json!({ "b": true })));
        assert!(!fits(object.clone(), json!({ "a": 1, "b": 1 })));
        assert!(!fits(object.clone(), json!({ "a": 1, "c": 1 })));
        assert!(!fits(object, json!([])));
        assert!(!fits(json!({ "additionalProperties": { "type": "string" } }), json!({ "any": 1 })));
        assert!(!fits(json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/short" }] }), json!(1)));
        assert!(!fits(json!({ "pattern": "a" }), json!("a")), "an unknown keyword is not passed over");
    }
}
