//! JSON bodies, strictly: unknown fields, wrong types and duplicates are refused by name.

use sentinal_model::{Error, Result, limits};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Longest sentence about a body; longer ones quote what the caller sent.
const MESSAGE_CHARS_MAX: usize = 400;

/// Reads a body as `T`, or says what is wrong with it and where.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("the body is empty; send a JSON object"));
    }
    let text = std::str::from_utf8(body).map_err(|e| {
        Error::invalid(format!("the body is not UTF-8: byte {} begins no character; JSON is UTF-8", e.valid_up_to()))
    })?;
    if !text.trim_start().starts_with('{') {
        return Err(Error::invalid("the body is no JSON object; send one, in { and }"));
    }
    refuse_deep(text)?;
    let mut source = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut source).map_err(|e| {
        let path = e.path().to_string();
        refusal(&path, &e.into_inner())
    })?;
    source.end().map_err(|e| refusal(".", &e))?;
    Ok(parsed)
}

/// Counts brackets outside of strings; whether they match is the parser's business.
fn refuse_deep(text: &str) -> Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::JSON_DEPTH_MAX {
            return Err(Error::invalid(format!(
                "the body is nested more than {} levels deep; no request needs that",
                limits::JSON_DEPTH_MAX
            )));
        }
    }
    Ok(())
}

fn refusal(path: &str, error: &serde_json::Error) -> Error {
    let full = error.to_string();
    let message = match error.classify() {
        Category::Data => field_message(path, without_position(&full)),
        Category::Syntax | Category::Eof | Category::Io => format!("the body is not valid JSON: {full}"),
    };
    Error::invalid(message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

fn field_message(path: &str, message: &str) -> String {
    if let Some(unknown) = unknown_field(message) {
        return unknown;
    }
    if let Some(name) = quoted_after(message, "duplicate field `") {
        return format!("{name}: given twice; give it once");
    }
    let message = message
        .replace("expected f64", "expected a number")
        .replace("expected a sequence", "expected an array")
        .replace("invalid type: map", "invalid type: object")
        .replace("invalid type: sequence", "invalid type: array");
    if path == "." {
        return format!("the body: {message}");
    }
    format!("{path}: {message}")
}

/// `unknown field "memmory"; did you mean "memory"? known fields: engine, cpu, ...`
fn unknown_field(message: &str) -> Option<String> {
    let name = quoted_after(message, "unknown field `")?;
    let expected = message.rsplit_once("`, expected ").map_or("", |(_, expected)| expected);
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let name: String = name.chars().take(64).collect();
    Some(crate::field::unknown(&name, &known))
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(start)?;
    Some(rest.rfind("`, expected ").map_or_else(|| rest.trim_end_matches('`'), |end| &rest[..end]))
}

fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CreateSandbox, Execute};

    fn check(body: &str, message: &str) {
        assert_eq!(parse_json::<CreateSandbox>(body.as_bytes()).unwrap_err().message(), message, "{body}");
    }

    #[test]
    fn what_is_wrong_is_said_by_name() {
        check(
            r#"{"memmory":"1Gi"}"#,
            "unknown field \"memmory\"; did you mean \"memory\"? known fields: engine, cpu, memory, disk, image, ttl, idle_timeout, labels, wait",
        );
        check(r#"{"cpu":"two"}"#, "cpu: invalid type: string \"two\", expected a number");
        check(r#"{"cpu":[1]}"#, "cpu: invalid type: array, expected a number");
        check(
            r#"{"memory":2048}"#,
            "memory: invalid type: integer `2048`, expected a quantity in quotes such as \"512Mi\"",
        );
        check(r#"{"cpu":1,"cpu":2}"#, "cpu: given twice; give it once");
        check(r#"{"labels":{"a":"1","a":"2"}}"#, "labels: \"a\" is given twice; give it once");
        check(r#"{"labels":{"a":1}}"#, "labels.a: invalid type: integer `1`, expected a string");
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        check("", "the body is empty; send a JSON object");
        check(" \n", "the body is empty; send a JSON object");
        check("[]", "the body is no JSON object; send one, in { and }");
        check("[\"gvisor\",2]", "the body is no JSON object; send one, in { and }");
        check("null", "the body is no JSON object; send one, in { and }");
        check("{", "the body is not valid JSON: EOF while parsing an object at line 1 column 1");
        check("{} {}", "the body is not valid JSON: trailing characters at line 1 column 4");
        check(r#"{"cpu":1e999}"#, "the body is not valid JSON: number out of range at line 1 column 12");
        check(r#"{"cpu":NaN}"#, "the body is not valid JSON: expected value at line 1 column 8");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = parse_json::<CreateSandbox>(b"{\"image\":\"\xff\"}").unwrap_err();
        assert_eq!(error.message(), "the body is not UTF-8: byte 10 begins no character; JSON is UTF-8");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let deep = format!("{{\"labels\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        check(&deep, "the body is nested more than 64 levels deep; no request needs that");
        let brackets_in_a_string = format!("{{\"command\":\"\\\"{}\"}}", "[".repeat(10_000));
        assert!(parse_json::<Execute>(brackets_in_a_string.as_bytes()).is_ok());
    }

    #[test]
    fn what_the_caller_sent_is_not_quoted_at_length() {
        let long = format!("{{\"cpu\":\"{}\"}}", "x".repeat(100_000));
        assert!(parse_json::<CreateSandbox>(long.as_bytes()).unwrap_err().message().len() <= 4 * MESSAGE_CHARS_MAX);
    }
}
