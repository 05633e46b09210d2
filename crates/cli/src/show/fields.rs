//! A document as lines.

use serde_json::{Value, json};

use super::clean;

/// A document's fields, one a line, in the order in which people look for them: `first`, then what there is besides. What
/// is null is left out.
pub(crate) fn fields(document: &Value, first: &[&str]) -> String {
    let empty = json!({});
    let all = document.as_object().or_else(|| empty.as_object());
    let rest = all.into_iter().flatten().map(|(name, _)| name.as_str()).filter(|name| !first.contains(name));
    let names = first.iter().copied().chain(rest);
    let lines = names.filter_map(|name| match &document[name] {
        Value::Null => None,
        Value::String(text) => Some(format!("{name:<15} {}", clean(text))),
        Value::Object(pairs) if pairs.is_empty() => None,
        Value::Object(pairs) => {
            let pair =
                |(key, value): (&String, &Value)| clean(&format!("{key}={}", value.as_str().unwrap_or_default()));
            Some(format!("{name:<15} {}", pairs.iter().map(pair).collect::<Vec<_>>().join(" ")))
        }
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            Some(format!("{name:<15} {}", clean(&other.to_string())))
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
