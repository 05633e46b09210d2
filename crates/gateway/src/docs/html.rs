//! Texts as HTML.

/// A text as it is, whatever is in it.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A sentence in which `this` is code.
pub(super) fn sentence(source: &str) -> String {
    let parts = source.split('`').enumerate();
    let shown = parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", text(part)) } else { text(part) });
    shown.collect()
}

/// Paragraphs of such sentences.
pub(super) fn paragraphs(source: &str) -> String {
    let blocks = source.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let shown: Vec<String> = blocks.map(|block| format!("<p>{}</p>", sentence(block))).collect();
    shown.concat()
}

/// A name as a part of an address within the page.
pub(super) fn anchor(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_text_is_text() {
        assert_eq!(sentence("a `<b>` & \"c\""), "a <code>&lt;b&gt;</code> &amp; &quot;c&quot;");
        assert_eq!(
            paragraphs("one\n\n<script>alert('x')</script>"),
            "<p>one</p><p>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;</p>"
        );
        assert_eq!(anchor("List_Sandbox\"><"), "List-Sandbox---");
    }
}
