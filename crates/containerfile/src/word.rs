//! Words as a shell would see them: quotes, backslashes, and variables that are replaced.

use crate::limits::TEXT_BYTES_MAX;

/// Knows what a variable stands for.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Splits at blanks outside of quotes. What a variable stands for is never split.
pub(crate) fn words(text: &str, lookup: &Lookup<'_>) -> Result<Vec<String>, String> {
    let mut reader = Reader { left: text, lookup };
    let mut words = Vec::new();
    while let Some(word) = reader.word()? {
        words.push(word);
    }
    Ok(words)
}

/// All of it as one word, with its blanks.
pub(crate) fn text(text: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut reader = Reader { left: text, lookup };
    let mut whole = String::new();
    while !reader.left.is_empty() {
        let blanks = reader.left.len() - reader.left.trim_start().len();
        whole.push_str(&reader.left[..blanks]);
        whole.push_str(&reader.word()?.unwrap_or_default());
        bounded(&whole)?;
    }
    Ok(whole)
}

struct Reader<'a> {
    left: &'a str,
    lookup: &'a Lookup<'a>,
}

/// What a character within quotes means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Double,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let first = self.left.chars().next()?;
        self.left = &self.left[first.len_utf8()..];
        Some(first)
    }

    fn word(&mut self) -> Result<Option<String>, String> {
        self.left = self.left.trim_start();
        if self.left.is_empty() {
            return Ok(None);
        }
        let (mut word, mut quotes) = (String::new(), Quotes::None);
        while let Some(next) = self.left.chars().next() {
            if quotes == Quotes::None && next.is_whitespace() {
                break;
            }
            self.take();
            match (next, quotes) {
                ('\'', Quotes::None) => word.push_str(&self.single()?),
                ('"', Quotes::None) => quotes = Quotes::Double,
                ('"', Quotes::Double) => quotes = Quotes::None,
                ('\\', _) => word.push(self.take().ok_or("it ends with a backslash")?),
                ('$', _) => word.push_str(&self.variable()?),
                (other, _) => word.push(other),
            }
            bounded(&word)?;
        }
        if quotes == Quotes::Double {
            return Err("a quote is never closed".to_owned());
        }
        Ok(Some(word))
    }

    fn single(&mut self) -> Result<String, String> {
        let (inside, rest) = self.left.split_once('\'').ok_or("a quote is never closed")?;
        self.left = rest;
        Ok(inside.to_owned())
    }

    /// What follows a dollar sign. One that no name follows stands for itself.
    fn variable(&mut self) -> Result<String, String> {
        if let Some(rest) = self.left.strip_prefix('{') {
            let (inside, rest) = rest.split_once('}').ok_or("a ${ is never closed")?;
            self.left = rest;
            return self.braced(inside);
        }
        let length = name_length(self.left);
        if length == 0 {
            return Ok("$".to_owned());
        }
        let (name, rest) = self.left.split_at(length);
        self.left = rest;
        Ok((self.lookup)(name).unwrap_or_default())
    }

    /// `NAME`, `NAME:-word`, `NAME:+word`.
    fn braced(&self, inside: &str) -> Result<String, String> {
        let (name, rest) = inside.split_at(name_length(inside));
        let value = (self.lookup)(name).filter(|value| !value.is_empty());
        if name.is_empty() {
            return Err(format!("${{{inside}}} names no variable"));
        }
        if rest.is_empty() {
            return Ok(value.unwrap_or_default());
        }
        if let Some(default) = rest.strip_prefix(":-") {
            return Ok(value.unwrap_or_else(|| default.to_owned()));
        }
        if let Some(other) = rest.strip_prefix(":+") {
            return Ok(value.map(|_| other.to_owned()).unwrap_or_default());
        }
        Err(format!("${{{inside}}} is not read; ${{NAME}}, ${{NAME:-word}} and ${{NAME:+word}} are"))
    }
}

/// Of the name that a text begins with.
pub(crate) fn name_length(text: &str) -> usize {
    let is_first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let part = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if is_first { part } else { 0 }
}

fn bounded(text: &str) -> Result<(), String> {
    if TEXT_BYTES_MAX < text.len() {
        return Err(format!("with its variables replaced it has more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("a b".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text, &lookup).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn words_are_what_a_shell_would_see() {
        check("  a  b ", &["a", "b"]);
        check(r#"a"b c"d 'e $A' \$A f\ g"#, &["ab cd", "e $A", "$A", "f g"]);
        check(r#"$A x$A.y "${A}" $NONE "" 5$"#, &["a b", "xa b.y", "a b", "", "", "5$"]);
        check("${NONE:-z} ${EMPTY:-z} ${A:-z} ${A:+z} ${NONE:+z}x", &["z", "z", "a b", "z", "x"]);
        for broken in ["'a", "\"a", "${A", "${A:?x}", "${}", "a\\"] {
            assert!(words(broken, &lookup).is_err(), "{broken}");
        }
        assert_eq!(super::text("  a  $A ", &lookup).unwrap(), "  a  a b ");
    }

    #[test]
    fn what_grows_is_bounded() {
        let large = |_: &str| Some("x".repeat(TEXT_BYTES_MAX));
        assert!(words("$A$A", &large).is_err());
        assert!(super::text("$A $A", &large).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(written in "[a${}:\\-+'\"\\\\ \\PC]{0,40}") {
            let _ = words(&written, &lookup);
            let _ = super::text(&written, &lookup);
        }
    }
}
