//! Schemas: what a type is called, and its fields as rows.

use serde_json::Value;

use super::html::{anchor, sentence, text};

/// What a schema is called, with a link where it is described elsewhere.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{}\">{}</a>", anchor(name), text(&shown(name)));
    }
    for alternatives in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[alternatives].as_array() {
            let named = all.iter().filter(|one| one["type"] != "null").map(type_of);
            return joined(named, if alternatives == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(names) = schema["enum"].as_array() {
        return joined(names.iter().map(|name| format!("<code>{}</code>", text(&plain(name)))), " | ");
    }
    match &schema["type"] {
        Value::Array(types) => {
            let named = types.iter().filter(|name| *name != "null").filter_map(Value::as_str);
            joined(named.map(|name| one(name, schema)), " or ")
        }
        Value::String(name) => one(name, schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "anything".to_owned(),
    }
}

fn one(name: &str, schema: &Value) -> String {
    match (name, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        ("string", Some("date-time")) => "time (RFC 3339)".to_owned(),
        ("string", Some("binary")) => "bytes".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        (other, _) => text(other),
    }
}

/// A list of one thing is a schema of its own in the document.
fn shown(name: &str) -> String {
    name.strip_prefix("List_").map_or_else(|| name.to_owned(), |of| format!("List of {of}"))
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The bounds of a value.
fn bounds(schema: &Value) -> String {
    let bound = |name: &str, word: &str| schema.get(name).map(|value| format!("{word} {}", plain(value)));
    // That a number is not below nothing needs no words.
    let least = if schema["minimum"] == 0 { None } else { bound("minimum", "from") };
    let all = [least, bound("maximum", "to"), bound("default", "unless told")];
    joined(all.into_iter().flatten().map(|bound| text(&bound)), " ")
}

/// The fields of an object, those that have to be there first.
pub(super) fn fields(schema: &Value) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    let first = required.iter().filter_map(|name| properties?.get_key_value(*name));
    let rest = properties.into_iter().flatten().filter(|(name, _)| !required.contains(&name.as_str()));
    first.chain(rest).map(|(name, part)| row(name, part, required.contains(&name.as_str()))).collect()
}

/// One named value.
pub(super) fn row(name: &str, schema: &Value, is_required: bool) -> String {
    let mark = if is_required { " <span class=\"must\">required</span>" } else { "" };
    let bounds = bounds(schema);
    let bounds = if bounds.is_empty() { bounds } else { format!(", {bounds}") };
    let about = sentence(schema["description"].as_str().unwrap_or_default());
    format!("<tr><td><code>{}</code>{mark}</td><td>{}{bounds}</td><td>{about}</td></tr>", text(name), type_of(schema))
}

/// A table of named values; nothing if there are none.
pub(super) fn table(rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Type</th>\
         <th scope=\"col\">About</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// A schema with all that is known of it.
pub(super) fn section(name: &str, schema: &Value) -> String {
    let about = sentence(schema["description"].as_str().unwrap_or_default());
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let rows: String = std::iter::once(schema).chain(parts.clone()).map(fields).collect();
    let others = joined(parts.filter(|part| part["$ref"].is_string()).map(type_of), ", ");
    let others = if others.is_empty() { others } else { format!("<p>All fields of {others}, and:</p>") };
    let is_more = rows.is_empty() && schema["type"] != "object" && schema["allOf"].is_null();
    let kind = if is_more { format!("<p>{}</p>", type_of(schema)) } else { String::new() };
    format!(
        "<section class=\"schema\" id=\"schema-{}\"><h3>{}</h3><p>{about}</p>{kind}{others}{}</section>",
        anchor(name),
        text(&shown(name)),
        table(&rows)
    )
}
