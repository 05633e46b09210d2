//! Amounts with a range, as options and the configuration file give them: numbers, bytes, spans of time.

use std::{fmt, ops::RangeInclusive, time::Duration};

use sentinal_model::{bytes_text, parse_bytes};

/// Bytes, written as a Kubernetes quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// A span of time in whole seconds, written like `90s` or `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) u64);

impl Span {
    pub(crate) const fn of(duration: Duration) -> Self {
        Self(duration.as_secs())
    }

    pub(crate) const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytes_text(self.0).fmt(f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(24 * 3600, "d"), (3600, "h"), (60, "m")];
        let exact = units.into_iter().find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (unit, suffix) = exact.unwrap_or((1, "s"));
        write!(f, "{}{suffix}", self.0 / unit)
    }
}

type Parsed<T> = Result<T, String>;

/// Reads whole numbers of this range.
pub(crate) fn number(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<u64> + Clone {
    move |text| {
        let value = text.parse().ok().filter(|value| range.contains(value));
        value.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Reads bytes of this range.
pub(crate) fn bytes(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Bytes> + Clone {
    move |text| {
        let value = parse_bytes(text).filter(|value| range.contains(value)).map(Bytes);
        let (min, max) = (Bytes(*range.start()), Bytes(*range.end()));
        value.ok_or_else(|| format!("must be bytes from {min} to {max}, such as 16Mi"))
    }
}

/// Reads spans of this range of seconds.
pub(crate) fn span(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Span> + Clone {
    move |text| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to an integer saturates")]
        let seconds = sentinal_cli::parse_seconds(text).ok().map(|seconds| seconds as u64);
        let (min, max) = (Span(*range.start()), Span(*range.end()));
        let value = seconds.filter(|seconds| range.contains(seconds)).map(Span);
        value.ok_or_else(|| format!("must be a span of time from {min} to {max}, such as 90s or 24h"))
    }
}

/// Reads shares of a whole.
pub(crate) fn share(text: &str) -> Parsed<f64> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_told_the_range() {
        assert_eq!(number(1..=9)("9"), Ok(9));
        assert_eq!(number(1..=9)("10"), Err("must be a whole number from 1 to 9".to_owned()));
        assert_eq!(bytes(1024..=1 << 20)("1Mi"), Ok(Bytes(1 << 20)));
        let refusal = "must be bytes from 1Ki to 1Mi, such as 16Mi".to_owned();
        assert_eq!(bytes(1024..=1 << 20)("2Mi"), Err(refusal));
        assert_eq!(span(60..=3600)("1h"), Ok(Span(3600)));
        assert!(span(60..=3600)("2h").unwrap_err().contains("from 1m to 1h"));
        assert!(["1.1", "-0.1", "NaN", "x"].iter().all(|text| share(text).is_err()) && share("0.5").is_ok());
    }

    #[test]
    fn an_amount_prints_as_it_would_be_written() {
        assert_eq!(Bytes(1 << 20).to_string(), "1Mi");
        assert_eq!([Span(86_400), Span(5400), Span(61)].map(|span| span.to_string()), ["1d", "90m", "61s"]);
    }
}
