//! The line that makes a request, for a shell.

use serde_json::Value;

use super::example::example;

const KEY: &str = " -H \"Authorization: Bearer $SENTINAL_API_KEY\"";

/// Of one operation.
pub(super) fn line(document: &Value, (method, path): (&str, &str), operation: &Value) -> String {
    let verb = if method == "get" { String::new() } else { format!(" -X {}", method.to_uppercase()) };
    let key = if operation["security"].is_null() { KEY } else { "" };
    let address = format!("curl{verb}{key} \"$SENTINAL_URL{}{}\"", filled(path), query(operation));
    let body = body(document, &operation["requestBody"]["content"]);
    std::iter::once(address).chain(body).collect::<Vec<_>>().join(" \\\n  ")
}

/// The path with variables of the shell where something stands for another thing.
fn filled(path: &str) -> String {
    path.split('/').map(|part| name_of(part).unwrap_or_else(|| part.to_owned())).collect::<Vec<_>>().join("/")
}

fn name_of(part: &str) -> Option<String> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(format!("${}", name.trim_start_matches('*').to_uppercase()))
}

/// What has to stand behind the question mark: words to replace, and no variables, for a shell has a `PATH` of its own.
fn query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let needed = parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    let pairs = needed.filter_map(|parameter| {
        let name = parameter["name"].as_str()?;
        Some(format!("{name}={}", name.to_uppercase()))
    });
    let pairs = pairs.collect::<Vec<_>>().join("&");
    if pairs.is_empty() { pairs } else { format!("?{pairs}") }
}

fn body(document: &Value, content: &Value) -> Option<String> {
    if let Some(json) = content.get("application/json") {
        let shown = json.get("example").cloned().unwrap_or_else(|| example(document, &json["schema"]));
        return Some(format!("-H 'Content-Type: application/json' -d '{}'", quoted(&without_nulls(shown))));
    }
    if content.get("multipart/form-data").is_some() {
        return Some("-F sandbox_id=$ID -F file=@FILE".to_owned());
    }
    let kind = content.as_object()?.keys().next()?;
    Some(format!("-H 'Content-Type: {kind}' --data-binary @FILE"))
}

/// What is not given is left out.
fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// JSON within single quotes.
fn quoted(value: &Value) -> String {
    value.to_string().replace('\'', "'\\''")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_all_that_a_request_needs() {
        let operation = json!({
            "parameters": [{"name": "path", "in": "query", "required": true}, {"name": "limit", "in": "query"}],
            "requestBody": {"content": {"application/json": {"example": {"name": "it's", "none": null}}}}});
        let expected = "curl -X POST -H \"Authorization: Bearer $SENTINAL_API_KEY\" \
             \"$SENTINAL_URL/api/v1/sandbox/$ID/files?path=PATH\" \\\n  \
             -H 'Content-Type: application/json' -d '{\"name\":\"it'\\''s\"}'";
        assert_eq!(line(&json!({}), ("post", "/api/v1/sandbox/{id}/files"), &operation), expected);
        let open = json!({"security": [{}]});
        assert_eq!(line(&json!({}), ("get", "/health"), &open), "curl \"$SENTINAL_URL/health\"");
    }
}
