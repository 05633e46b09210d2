//! What stands behind the question mark, strictly: unknown names, duplicates and broken escapes are refused.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use sentinal_model::{Error, GuestPath, Result, SandboxId, StdinPart, Stream, limits};

use crate::field::{named, seconds, unknown};

/// Names and values of a query string, to be taken one by one.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

/// Which page of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery<Id> {
    /// After (older than) this one.
    pub cursor: Option<Id>,
    /// At most so many.
    pub limit: u32,
}

/// Which sandboxes.
#[derive(Debug, Clone)]
pub struct SandboxesQuery {
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Which page.
    pub page: PageQuery<SandboxId>,
}

/// Which executions.
#[derive(Debug, Clone, Copy)]
pub struct ExecutionsQuery<Id> {
    /// Of this sandbox.
    pub sandbox: Option<SandboxId>,
    /// Which page.
    pub page: PageQuery<Id>,
}

/// How long an answer may wait for the end of an execution.
#[derive(Debug, Clone, Copy)]
pub struct WaitQuery {
    /// Zero: it is answered at once.
    pub wait: Duration,
}

/// Which part of an execution's output.
#[derive(Debug, Clone, Copy)]
pub struct OutputQuery {
    /// Which stream.
    pub stream: Stream,
    /// From this byte on.
    pub offset: u64,
    /// Whether to go on until the end.
    pub follow: bool,
}

/// A file in a sandbox.
#[derive(Debug, Clone)]
pub struct FileQuery {
    /// Which sandbox.
    pub sandbox: SandboxId,
    /// Which file.
    pub path: GuestPath,
}

impl Query {
    /// Splits and decodes a query string.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| broken("the query"))?;
            let value = decode(value).ok_or_else(|| broken(&name.chars().take(64).collect::<String>()))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of `name`.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    /// All values of `name`, which may be given more than once.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.take(name)).collect()
    }

    /// Refuses what nobody took; `known` is what could have been.
    pub fn finish(self, known: &[&str]) -> Result<()> {
        match self.0.first() {
            Some((name, _)) if known.contains(&name.as_str()) => {
                Err(Error::invalid(format!("{}: given twice; give it once", cut(name))))
            }
            Some((name, _)) => Err(Error::invalid(unknown(&cut(name), known))),
            None => Ok(()),
        }
    }
}

impl<Id: FromStr<Err: std::fmt::Display>> PageQuery<Id> {
    pub(crate) fn take(query: &mut Query) -> Result<Self> {
        Ok(Self {
            cursor: query.take("cursor").map(|text| cursor(&text)).transpose()?,
            limit: parse_limit(query.take("limit"))?,
        })
    }
}

impl TryFrom<Query> for SandboxesQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let mut labels = BTreeMap::new();
        for text in query.take_all("label") {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::invalid(format!("label: {:?} has no value; write it like label=team=blue", cut(&text)))
            })?;
            if labels.insert(key.to_owned(), value.to_owned()).is_some_and(|other| other != value) {
                return Err(Error::invalid(format!("label: {:?} cannot have two values at once", cut(key))));
            }
        }
        if limits::LABELS_MAX < labels.len() {
            return Err(Error::invalid(format!(
                "label: given {} times; at most {} are allowed",
                labels.len(),
                limits::LABELS_MAX
            )));
        }
        let page = PageQuery::take(&mut query)?;
        query.finish(&["label", "limit", "cursor"])?;
        Ok(Self { labels, page })
    }
}

impl<Id: FromStr<Err: std::fmt::Display>> TryFrom<Query> for ExecutionsQuery<Id> {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let sandbox = query.take("sandbox_id").map(|id| named("sandbox_id", id.parse())).transpose()?;
        let page = PageQuery::take(&mut query)?;
        query.finish(&["sandbox_id", "limit", "cursor"])?;
        Ok(Self { sandbox, page })
    }
}

impl TryFrom<Query> for WaitQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let wait = query.take("wait").map(|text| {
            let value = text.parse().map_err(|_| Error::invalid("wait: is not a number of seconds"))?;
            seconds("wait", value, Duration::ZERO, limits::WAIT_MAX)
        });
        query.finish(&["wait"])?;
        Ok(Self { wait: wait.transpose()?.unwrap_or_default() })
    }
}

impl TryFrom<Query> for OutputQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self {
            stream: query.take("stream").map_or(Ok(Stream::Stdout), |name| stream(&name))?,
            offset: query.take("offset").map_or(Ok(0), |text| offset(&text))?,
            follow: parse_flag("follow", query.take("follow"))?,
        };
        query.finish(&["stream", "offset", "follow"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for StdinPart {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self {
            offset: query.take("offset").map(|text| offset(&text)).transpose()?,
            end: parse_flag("end", query.take("end"))?,
        };
        query.finish(&["offset", "end"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for FileQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let sandbox = query.take("sandbox_id").ok_or_else(|| missing("sandbox_id"))?;
        let path = query.take("path").ok_or_else(|| missing("path"))?;
        query.finish(&["sandbox_id", "path"])?;
        if path.ends_with('/') {
            return Err(Error::invalid("path: names a folder; write the path of a file, without a slash at its end"));
        }
        Ok(Self { sandbox: named("sandbox_id", sandbox.parse())?, path: named("path", path.parse())? })
    }
}

/// Rows of a page.
pub(crate) fn parse_limit(text: Option<String>) -> Result<u32> {
    parse_count("limit", text, limits::PAGE_ROWS_DEFAULT, limits::PAGE_ROWS_MAX)
}

/// A number of things: at least one.
pub(crate) fn parse_count(field: &str, text: Option<String>, default: u32, max: u32) -> Result<u32> {
    let Some(text) = text else { return Ok(default) };
    let parsed = digits(&text).and_then(|digits| digits.parse().ok());
    parsed
        .filter(|count| 1 <= *count && *count <= max)
        .ok_or_else(|| Error::invalid(format!("{field}: {:?} is no number between 1 and {max}", cut(&text))))
}

/// Yes or no.
pub(crate) fn parse_flag(field: &str, text: Option<String>) -> Result<bool> {
    match text.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::invalid(format!("{field}: {:?} is neither true nor false", cut(other)))),
    }
}

fn cursor<Id: FromStr>(text: &str) -> Result<Id> {
    text.parse().map_err(|_| {
        Error::invalid("cursor: is none of ours; send what \"next\" of the page before said, or leave it out")
    })
}

fn stream(name: &str) -> Result<Stream> {
    let known = Stream::ALL.into_iter().find(|stream| stream.as_str() == name);
    known.ok_or_else(|| Error::invalid(format!("stream: {:?} is neither stdout nor stderr", cut(name))))
}

pub(crate) fn offset(text: &str) -> Result<u64> {
    let parsed = digits(text).and_then(|digits| digits.parse().ok());
    parsed.ok_or_else(|| Error::invalid(format!("offset: {:?} is no number of bytes", cut(text))))
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

pub(crate) fn missing(field: &str) -> Error {
    Error::invalid(format!("{field}: is missing; add ?{field}= to the address"))
}

fn broken(field: &str) -> Error {
    Error::invalid(format!("{field}: has an escape that is not % and two hexadecimal digits, or is not UTF-8"))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Undoes `%41` and `+`; `None` if an escape is broken or the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, message: &str) {
        let refused = Query::parse(query).and_then(OutputQuery::try_from).unwrap_err();
        assert_eq!(refused.message(), message, "{query}");
    }

    #[test]
    fn a_query_is_refused_by_name() {
        check("steam=stdout", "unknown field \"steam\"; did you mean \"stream\"? known fields: stream, offset, follow");
        check("stream=both", "stream: \"both\" is neither stdout nor stderr");
        check("offset=-1", "offset: \"-1\" is no number of bytes");
        check("offset=99999999999999999999", "offset: \"99999999999999999999\" is no number of bytes");
        check("offset=1&offset=2", "offset: given twice; give it once");
        check("follow=1", "follow: \"1\" is neither true nor false");
        check("stream=%FF", "stream: has an escape that is not % and two hexadecimal digits, or is not UTF-8");
        check("stream=%4", "stream: has an escape that is not % and two hexadecimal digits, or is not UTF-8");
    }

    #[test]
    fn labels_may_be_given_more_than_once() {
        let parse = |query| Query::parse(query).and_then(SandboxesQuery::try_from);
        let labels = parse("label=team=blue&limit=5&label=stage=a%3Db").unwrap().labels;
        assert_eq!(labels, [("stage", "a=b"), ("team", "blue")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        for (query, message) in [
            ("label=team", "label: \"team\" has no value; write it like label=team=blue"),
            ("label=a=1&label=a=2", "label: \"a\" cannot have two values at once"),
            ("limit=1&limit=2", "limit: given twice; give it once"),
            ("labels=a=1", "unknown field \"labels\"; did you mean \"label\"? known fields: label, limit, cursor"),
        ] {
            assert_eq!(parse(query).unwrap_err().message(), message, "{query}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        let mut query = Query::parse("path=%2Ftmp%2Fgr%C3%BC%C3%9Fe+a%2Bb&x").unwrap();
        assert_eq!(query.take("path").as_deref(), Some("/tmp/grüße a+b"));
        assert_eq!(query.take("x").as_deref(), Some(""));
    }

    #[test]
    fn a_page_has_a_bounded_number_of_rows() {
        assert_eq!(parse_limit(None), Ok(limits::PAGE_ROWS_DEFAULT));
        assert_eq!(parse_limit(Some("1000".into())), Ok(1000));
        for text in ["0", "1001", "-1", "+5", "ten", "", "4294967297"] {
            assert!(parse_limit(Some(text.into())).is_err(), "{text}");
        }
    }
}
