//! Text from elsewhere, made fit for a terminal.

/// The text without control characters and without what turns the direction of writing: what a sandbox says cannot
/// move the cursor, recolour the terminal or pass itself off as something else. Tabs stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

fn is_harmful(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\t') || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_says_cannot_drive_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\nc\td\u{9b}1m\u{202e}e"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\td\u{fffd}1m\u{fffd}e");
        assert_eq!(clean("grüße 日本"), "grüße 日本");
    }
}
