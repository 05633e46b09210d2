//! The head of a part, and the parameters of its headers.

use sentinal_model::{Code, Error, Result};

/// What a part says about itself.
#[derive(Debug)]
pub(crate) struct PartHead {
    /// Of the field.
    pub(crate) name: String,
    /// Present if the part is a file.
    pub(crate) filename: Option<String>,
}

impl PartHead {
    /// Parses what stands between the delimiter and the empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| Error::invalid("the head of a part is not UTF-8"))?;
        let disposition = text.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let named = disposition.and_then(|value| Some((parameter(value, "name")?, parameter(value, "filename"))));
        let (name, filename) =
            named.ok_or_else(|| Error::invalid("a part has no Content-Disposition: form-data; name=\"...\""))?;
        Ok(Self { name, filename })
    }
}

/// The boundary of a `multipart/form-data` content type.
pub(crate) fn boundary_of(content_type: &str) -> Result<String> {
    let boundary = parameter(content_type, "boundary");
    let is_sound = |b: &String| (1..=70).contains(&b.len()) && b.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    boundary.filter(is_sound).ok_or_else(|| {
        Error::new(
            Code::UnsupportedMediaType,
            "Content-Type: multipart/form-data needs a boundary of 1 to 70 characters",
        )
    })
}

/// The value of a parameter behind the first semicolon, quoted or not.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

/// A value, and what stands behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((unescape(&value), &quoted[index + 1..])),
            '\\' => match letters.next()? {
                (_, escaped @ ('"' | '\\')) => value.push(escaped),
                (_, other) => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

/// The three characters that browsers write as escapes in names (WHATWG HTML, multipart form data).
fn unescape(value: &str) -> String {
    value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_found_quoted_or_not() {
        assert_eq!(boundary_of("multipart/form-data; boundary=abc").unwrap(), "abc");
        assert_eq!(boundary_of("multipart/form-data; charset=utf-8; Boundary=\"a b\"").unwrap(), "a b");
        for wrong in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a"] {
            assert!(boundary_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_without_a_name_is_refused() {
        assert!(PartHead::parse(b"\r\nContent-Type: text/plain").is_err());
        assert!(PartHead::parse(b"").is_err());
        assert!(PartHead::parse(b"\r\nContent-Disposition: form-data; filename=\"a\"").is_err());
    }
}
