//! A value that fits a schema: the example that stands there, or one made of its parts.

use serde_json::{Map, Value, json};

/// How deep schemas are followed; ours are not recursive, and a page must not depend on it.
const DEPTH_MAX: usize = 6;

/// The schema that a reference leads to; itself if it is none.
pub(super) fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(schema)
}

/// A value that fits.
pub(super) fn example(document: &Value, schema: &Value) -> Value {
    made(document, schema, 0)
}

fn made(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    if let Some(example) = schema.get("example").filter(|example| !example.is_null()) {
        return example.clone();
    }
    if DEPTH_MAX < depth {
        return Value::Null;
    }
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(all) = schema[alternatives].as_array() {
            let is_something = |one: &&Value| one["type"] != "null";
            return all.iter().find(is_something).map_or(Value::Null, |one| made(document, one, depth + 1));
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return whole(parts.iter().map(|part| made(document, part, depth + 1)));
    }
    if let Some(first) = schema["enum"].as_array().and_then(|names| names.first()) {
        return first.clone();
    }
    by_type(document, schema, depth)
}

fn by_type(document: &Value, schema: &Value, depth: usize) -> Value {
    let types = &schema["type"];
    if types.as_array().is_some_and(|types| types.iter().any(|name| name == "null")) {
        return Value::Null;
    }
    match types.as_str().unwrap_or_default() {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, part)| (name.clone(), made(document, part, depth + 1))).collect::<Map<_, _>>().into()
        }
        "array" => json!([made(document, &schema["items"], depth + 1)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        "boolean" => json!(false),
        "string" if schema["format"] == "date-time" => json!("2026-01-31T12:00:00.000Z"),
        "string" => json!("..."),
        _ => Value::Null,
    }
}

/// One object of several.
fn whole(parts: impl Iterator<Item = Value>) -> Value {
    let fields = parts.filter_map(|part| if let Value::Object(fields) = part { Some(fields) } else { None });
    fields.flatten().collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_made_of_its_parts() {
        let document = json!({"components": {"schemas": {
            "Kind": {"type": "string", "enum": ["one", "two"]},
            "Base": {"type": "object", "properties": {"id": {"type": "string", "example": "sbx_1"}}},
            "All": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {
                "kind": {"$ref": "#/components/schemas/Kind"}, "none": {"type": ["string", "null"]},
                "list": {"type": "array", "items": {"type": "integer", "minimum": 3}}}}]}}}});
        let schema = json!({"$ref": "#/components/schemas/All"});
        let expected = json!({"id": "sbx_1", "kind": "one", "none": null, "list": [3]});
        assert_eq!(example(&document, &schema), expected);
        let endless = json!({"a": {"$ref": "#/a"}});
        assert_eq!(example(&endless, &json!({"oneOf": [{"$ref": "#/a"}]})), Value::Null);
    }
}
