//! One operation: what it does, what it takes, what it answers, and a line that calls it.

use serde_json::Value;

use super::{
    curl,
    example::{example, resolved},
    html::{anchor, paragraphs, sentence, text},
    schema::{fields, row, table, type_of},
};

/// An operation of the document.
pub(super) struct Operation<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) about: &'a Value,
}

impl Operation<'_> {
    /// Where it stands on the page.
    pub(super) fn anchor(&self) -> String {
        anchor(self.about["operationId"].as_str().unwrap_or_default())
    }

    /// What it is called.
    pub(super) fn title(&self) -> String {
        sentence(self.about["summary"].as_str().unwrap_or(self.path))
    }

    /// All of it.
    pub(super) fn article(&self, document: &Value) -> String {
        let (anchor, title) = (self.anchor(), self.title());
        let (method, path) = (text(&self.method.to_uppercase()), text(self.path));
        let line = curl::line(document, (self.method, self.path), self.about);
        let open = if self.about["security"].is_null() { "" } else { "<p>Needs no key.</p>" };
        format!(
            "<article id=\"{anchor}\"><h3><a href=\"#{anchor}\">{title}</a></h3>\
             <p class=\"route\"><span class=\"method {}\">{method}</span> <code>{path}</code></p>{}{open}{}{}\
             <pre tabindex=\"0\"><code>{}</code></pre>{}</article>",
            self.method,
            paragraphs(self.about["description"].as_str().unwrap_or_default()),
            self.parameters(),
            self.body(document),
            text(&line),
            self.answers(document)
        )
    }

    fn parameters(&self) -> String {
        let parameters = self.about["parameters"].as_array().into_iter().flatten();
        let rows: String = parameters
            .map(|parameter| {
                let mut schema = parameter["schema"].clone();
                if let Some(fields) = schema.as_object_mut() {
                    fields.insert("description".to_owned(), parameter["description"].clone());
                }
                let place = parameter["in"].as_str().unwrap_or_default();
                let name = parameter["name"].as_str().unwrap_or_default();
                let name = if place == "header" { format!("{name}:") } else { name.to_owned() };
                row(&name, &schema, parameter["required"] == true && place != "path")
            })
            .collect();
        titled("Parameters", &table(&rows))
    }

    fn body(&self, document: &Value) -> String {
        let content = self.about["requestBody"]["content"].as_object().into_iter().flatten();
        let shown = content.map(|(kind, media)| {
            let schema = resolved(document, &media["schema"]);
            let kind = format!("<p><code>{}</code>: {}</p>", text(kind), type_of(&media["schema"]));
            format!("{kind}{}", table(&fields(schema)))
        });
        titled("Body", &shown.collect::<String>())
    }

    /// What goes well; what does not is the same everywhere.
    fn answers(&self, document: &Value) -> String {
        let answers = self.about["responses"].as_object().into_iter().flatten();
        let good = answers.filter(|(status, _)| !status.starts_with(['4', '5']));
        let shown = good.map(|(status, answer)| {
            let about = sentence(answer["description"].as_str().unwrap_or_default());
            let content = answer["content"].as_object().into_iter().flatten();
            let kinds = content.map(|(kind, media)| media_answer(document, kind, media));
            let status = if status == "default" { "Any" } else { status };
            format!("<p><strong>{}</strong> {about}</p>{}", text(status), kinds.collect::<String>())
        });
        titled("Answers", &shown.collect::<String>())
    }
}

fn media_answer(document: &Value, kind: &str, media: &Value) -> String {
    let schema = &media["schema"];
    let named = format!("<p><code>{}</code>: {}</p>", text(kind), type_of(schema));
    let shown = match &media["example"] {
        Value::Null if kind != "application/json" || schema["$ref"].is_null() => return named,
        Value::Null => pretty(&example(document, schema)),
        Value::String(events) => events.clone(),
        recorded @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => pretty(recorded),
    };
    let example = format!("<pre tabindex=\"0\"><code>{}</code></pre>", text(&shown));
    format!("{named}<details><summary>Example</summary>{example}</details>")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn titled(title: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<h4>{title}</h4>{content}") }
}
