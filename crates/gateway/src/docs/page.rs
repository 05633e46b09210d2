//! The page: a list of everything at the side, how to begin, the operations by group, what goes wrong, and the schemas.

use serde_json::Value;

use super::{
    html::{anchor, sentence, text},
    operation::Operation,
    schema,
};

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

/// The whole page.
pub(super) fn page(document: &Value, style: &str) -> String {
    let groups = groups(document);
    let (title, version) = (said(document, "/info/title"), said(document, "/info/version"));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} API</title><style>{style}</style></head>\
         <body><a class=\"skip\" href=\"#main\">To the content</a>\
         <nav aria-label=\"Contents\"><p class=\"name\">{title} <small>{version}</small></p>{}</nav>\
         <main id=\"main\"><h1>{title} API</h1>{}{}{}{}</main></body></html>\n",
        contents(&groups),
        beginning(document),
        groups.iter().map(|group| group.section(document)).collect::<String>(),
        problems(document),
        schemas(document),
        title = text(title),
        version = text(version),
    )
}

fn said<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Operations that belong together.
struct Group<'a> {
    name: &'a str,
    about: &'a str,
    operations: Vec<Operation<'a>>,
}

/// In the order of the document's tags.
fn groups(document: &Value) -> Vec<Group<'_>> {
    let tags = document["tags"].as_array().into_iter().flatten();
    let of = |tag: &Value| operations(document).filter(|operation| operation.about["tags"][0] == *tag).collect();
    tags.filter_map(|tag| {
        let (name, about) = (tag["name"].as_str()?, tag["description"].as_str().unwrap_or_default());
        Some(Group { name, about, operations: of(&tag["name"]) })
    })
    .collect()
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.iter().filter_map(move |method| Some(Operation { method, path, about: item.get(*method)? }))
    })
}

impl Group<'_> {
    fn section(&self, document: &Value) -> String {
        let articles: String = self.operations.iter().map(|operation| operation.article(document)).collect();
        let (anchor, name, about) = (anchor(self.name), text(self.name), sentence(self.about));
        format!("<section id=\"group-{anchor}\"><h2>{name}</h2><p>{about}.</p>{articles}</section>")
    }
}

fn contents(groups: &[Group<'_>]) -> String {
    let entry = |operation: &Operation<'_>| {
        let method = operation.method;
        format!(
            "<li><a href=\"#{}\"><span class=\"method {method}\">{}</span> {}</a></li>",
            operation.anchor(),
            text(&method.to_uppercase()),
            operation.title()
        )
    };
    let group = |group: &Group<'_>| {
        let entries: String = group.operations.iter().map(entry).collect();
        let (anchor, name) = (anchor(group.name), text(group.name));
        format!("<h2><a href=\"#group-{anchor}\">{name}</a></h2><ul>{entries}</ul>")
    };
    let groups: String = groups.iter().map(group).collect();
    format!("{groups}<h2><a href=\"#problems\">problems</a></h2><h2><a href=\"#schemas\">schemas</a></h2>")
}

fn beginning(document: &Value) -> String {
    let server = said(document, "/servers/0/url");
    let first = format!(
        "export SENTINAL_URL={server}\nexport SENTINAL_API_KEY=sntl_...   # the first one is in admin.key in the server's \
         data folder\ncurl -H \"Authorization: Bearer $SENTINAL_API_KEY\" \"$SENTINAL_URL/api/v1/execute\" \\\n  \
         -H 'Content-Type: application/json' -d '{{\"language\":\"python\",\"code\":\"print(6 * 7)\"}}'"
    );
    format!(
        "<p>{}</p><p>Every request but those that say otherwise carries a key, as <code>Authorization: Bearer KEY</code>. \
         Bodies and answers are JSON, in UTF-8; times are RFC 3339; lists come in pages, each of which names the next by \
         a cursor. Fields that nobody knows are refused by name. This page is made of <a \
         href=\"/openapi.json\">the OpenAPI document</a>.</p><h4>A first program</h4><pre \
         tabindex=\"0\"><code>{}</code></pre>",
        sentence(said(document, "/info/description")),
        text(&first)
    )
}

/// The refusals, which are the same for all operations, as those of the first with a key.
fn problems(document: &Value) -> String {
    let first = operations(document).find(|operation| !operation.about["responses"]["400"].is_null());
    let answers = first.into_iter().filter_map(|operation| operation.about["responses"].as_object()).flatten();
    let rows = answers.filter(|(status, _)| status.starts_with(['4', '5'])).map(|(status, answer)| {
        let about = sentence(answer["description"].as_str().unwrap_or_default());
        format!("<tr><td><strong>{}</strong></td><td>{about}</td></tr>", text(status))
    });
    format!(
        "<section id=\"problems\"><h2>problems</h2><p>What goes wrong is answered as <code>application/problem+json</code> \
         (<a href=\"#schema-Problem\">Problem</a>), with a <code>code</code> from a closed set. A program's own failure \
         is a result, and never one of these.</p><div class=\"wide\"><table><thead><tr><th scope=\"col\">Status</th><th \
         scope=\"col\">Means</th></tr></thead><tbody>{}</tbody></table></div></section>",
        rows.collect::<String>()
    )
}

fn schemas(document: &Value) -> String {
    let all = document["components"]["schemas"].as_object().into_iter().flatten();
    let sections: String = all.map(|(name, schema)| schema::section(name, schema)).collect();
    format!("<section id=\"schemas\"><h2>schemas</h2>{sections}</section>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_schema_is_on_the_page_and_every_link_leads_somewhere() {
        let document: Value = serde_json::from_str(&crate::openapi::document()).unwrap();
        let page = page(&document, "");
        for operation in operations(&document) {
            assert!(page.contains(&format!("<article id=\"{}\">", operation.anchor())), "{}", operation.path);
        }
        for (name, _) in document["components"]["schemas"].as_object().unwrap() {
            assert!(page.contains(&format!("id=\"schema-{}\"", anchor(name))), "{name}");
        }
        for link in page.split("href=\"#").skip(1) {
            let target = link.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
        }
    }

    #[test]
    fn it_asks_nobody_for_anything() {
        let document: Value = serde_json::from_str(&crate::openapi::document()).unwrap();
        let page = page(&document, super::super::STYLE);
        for loaded in ["<script", "<img", "<link", "<iframe", "src=", "@import", "url(", " style=\"", "onclick"] {
            assert!(!page.contains(loaded), "{loaded}");
        }
    }
}
