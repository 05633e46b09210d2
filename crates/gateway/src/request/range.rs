//! Which part of a file is wanted (RFC 9110, section 14).

use http::{HeaderMap, Method, header};
use sentinal_model::ByteRange;

/// The one range that is asked for. What is malformed, of another unit or several ranges means the whole file, as the
/// RFC allows; and so does a condition, which nothing here can meet: files have no validators.
pub(crate) fn wanted_range(method: &Method, headers: &HeaderMap) -> Option<ByteRange> {
    let mut values = headers.get_all(header::RANGE).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    if *method != Method::GET || headers.contains_key(header::IF_RANGE) {
        return None;
    }
    let (unit, range) = value.to_str().ok()?.split_once('=')?;
    if unit.trim().eq_ignore_ascii_case("bytes") { parse(range.trim()) } else { None }
}

fn parse(range: &str) -> Option<ByteRange> {
    match range.split_once('-')? {
        ("", bytes) => Some(ByteRange::Last(number(bytes)?)),
        (first, "") => Some(ByteRange::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::Within(first, last))
        }
    }
}

/// One too large to be written down is larger than any file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &'static str, expected: Option<ByteRange>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().unwrap());
        assert_eq!(wanted_range(&Method::GET, &headers), expected, "{text}");
        assert_eq!(wanted_range(&Method::HEAD, &headers), None);
        headers.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(wanted_range(&Method::GET, &headers), None);
    }

    #[test]
    fn one_range_of_bytes_is_understood() {
        check("bytes=0-0", Some(ByteRange::Within(0, 0)));
        check("Bytes = 5-99", Some(ByteRange::Within(5, 99)));
        check("bytes=5-", Some(ByteRange::From(5)));
        check("bytes=-5", Some(ByteRange::Last(5)));
        check("bytes=0-99999999999999999999", Some(ByteRange::Within(0, u64::MAX)));
    }

    #[test]
    fn everything_else_means_the_whole_file() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
            "lines=1-2",
        ] {
            check(text, None);
        }
    }
}
