//! What was received, and what of it does not change from one time to the next.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Answer, Event, EventStream};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::DEADLINE;

/// By operation, status and media type.
#[derive(Debug, Default)]
pub(crate) struct Recorder(BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>);

impl Recorder {
    /// Notes a JSON answer, and hands it back.
    pub(crate) fn json(&mut self, operation: &str, status: u16, answer: Answer) -> Result<Value> {
        let body: Value = answer.expect(status).with_context(|| operation.to_owned())?.json()?;
        self.note(operation, status, "application/json", body.clone());
        Ok(body)
    }

    /// Notes the events of a stream up to the first that has this in it.
    pub(crate) async fn events(&mut self, operation: &str, mut stream: EventStream, last: &str) -> Result<()> {
        let mut lines = String::new();
        let reading = async {
            while !lines.contains(last) {
                let Event { name, id, data } = stream.next().await?.context("the stream ended")?;
                let id = if id.is_empty() { String::new() } else { format!("id: {id}\n") };
                write!(lines, "event: {name}\n{id}data: {data}\n\n")?;
            }
            anyhow::Ok(())
        };
        let read = timeout(DEADLINE, reading).await.context("not in time").flatten();
        read.with_context(|| format!("{operation}: {last:?} after {lines}"))?;
        self.note(operation, 200, "text/event-stream", json!(lines));
        Ok(())
    }

    pub(crate) fn note(&mut self, operation: &str, status: u16, kind: &str, body: Value) {
        let statuses = self.0.entry(operation.to_owned()).or_default();
        statuses.entry(status.to_string()).or_default().insert(kind.to_owned(), body);
    }

    pub(crate) fn into_recorded(self) -> Value {
        json!(self.0)
    }
}

/// What two answers to the same request have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Nothing,
    Flag,
    Number,
    /// A text, as far as it is the same every time.
    Text(String),
    /// What its items are; of several the first.
    List(Option<Box<Shape>>),
    Object(BTreeMap<String, Shape>),
    /// The names of a stream's events, each once for all that follow each other.
    Events(Vec<String>),
}

impl Shape {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Flag,
            Value::Number(_) => Self::Number,
            Value::String(text) if text.starts_with("event: ") => Self::Events(names(text)),
            Value::String(text) => Self::Text(kind(text)),
            Value::Array(items) => Self::List(items.first().map(|item| Box::new(Self::of(item)))),
            Value::Object(fields) => {
                Self::Object(fields.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }
}

fn names(lines: &str) -> Vec<String> {
    let mut names: Vec<String> =
        lines.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
    names.dedup();
    names
}

/// A text without what is another one every time: an id or a secret is its prefix, any other with digits what is before the
/// first.
fn kind(text: &str) -> String {
    let is_random = |rest: &str| {
        32 <= rest.len() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    if let Some((prefix, _)) = text.split_once('_').filter(|(_, rest)| is_random(rest)) {
        return prefix.to_owned();
    }
    text.split(|character: char| character.is_ascii_digit()).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_another_value_every_time_has_the_same_shape() -> Result<()> {
        let (one, other) = (
            json!({"id": "sbx_01a", "n": 1, "l": [{"a": null}]}),
            json!({"id": "sbx_02b", "n": 2.5, "l": [{"a": null}, 1]}),
        );
        ensure!(Shape::of(&one) == Shape::of(&other), "{one} and {other}");
        for changed in [
            json!({"id": "exe_01a", "n": 1, "l": []}),
            json!({"id": "sbx_01a", "n": null, "l": [{"a": null}]}),
            json!({"id": "sbx_01a", "n": 1, "l": [{"b": null}]}),
        ] {
            ensure!(Shape::of(&one) != Shape::of(&changed), "{one} and {changed}");
        }
        Ok(())
    }
}
