//! What many fields have in common: names, numbers of seconds, moments, maps without duplicates.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use sentinal_model::{Error, Millis, Result, similar};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

/// Says that `name` is no field, and which one may have been meant.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match similar(name, known.iter().copied()) {
        Some(candidate) => format!("unknown field {name:?}; did you mean {candidate:?}? known fields: {list}"),
        None => format!("unknown field {name:?}; known fields: {list}"),
    }
}

/// Puts the field's name in front of what is wrong with it.
pub(crate) fn named<T, E: fmt::Display>(field: &str, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| Error::invalid(format!("{field}: {error}")))
}

/// A number of seconds between `min` and `max`; fractions are allowed.
pub(crate) fn seconds(field: &str, value: f64, min: Duration, max: Duration) -> Result<Duration> {
    let within = min.as_secs_f64() <= value && value <= max.as_secs_f64();
    Duration::try_from_secs_f64(value).ok().filter(|_| within).ok_or_else(|| {
        let (min, max) = (min.as_secs_f64(), max.as_secs_f64());
        Error::invalid(format!("{field}: {value} is out of range: write a number of seconds between {min} and {max}"))
    })
}

/// Somebody in a sandbox.
pub(crate) fn parse_user(name: String) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    if !name.is_empty() && name.len() <= 32 && name.chars().all(plain) {
        return Ok(name);
    }
    Err(Error::invalid("user: write a name of 1 to 32 letters, digits, _ - . or a number"))
}

/// Permission bits.
pub(crate) fn parse_mode(text: &str) -> Result<u32> {
    let is_octal = text.len() <= 5 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| is_octal && (1..=0o7777).contains(bits));
    bits.ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        Error::invalid(format!("mode: {text:?} is no permission bits in octal, as 0644 is"))
    })
}

/// A moment as answers show it: RFC 3339 with milliseconds, in UTC.
pub fn time_text(time: Millis) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.3}")
}

/// A moment as callers write it: RFC 3339.
pub(crate) fn parse_time(field: &str, text: &str) -> Result<Millis> {
    let parsed: std::result::Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|moment| Millis(moment.as_millisecond())).map_err(|_| {
        let text: String = text.chars().take(64).collect();
        Error::invalid(format!("{field}: {text:?} is no time; write it like 2026-01-31T12:00:00Z"))
    })
}

/// Reads an object, and refuses a key that stands there twice.
pub(crate) fn unique_map<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
    source: D,
) -> std::result::Result<Option<BTreeMap<String, V>>, D::Error> {
    struct Unique<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = Option<BTreeMap<String, V>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> std::result::Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = source.next_entry::<String, V>()? {
                if map.contains_key(&key) {
                    let key: String = key.chars().take(64).collect();
                    return Err(A::Error::custom(format!("{key:?} is given twice; give it once")));
                }
                map.insert(key, value);
            }
            Ok(Some(map))
        }
    }

    source.deserialize_any(Unique(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_looks_like_no_other_gets_no_guess() {
        assert_eq!(unknown("gpu", &["engine", "memory"]), "unknown field \"gpu\"; known fields: engine, memory");
    }

    #[test]
    fn seconds_are_finite_and_within_their_range() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(seconds("ttl", 1.5, min, max), Ok(Duration::from_millis(1500)));
        for value in [0.0, -1.0, 60.1, f64::NAN, f64::INFINITY, 1e300] {
            assert!(seconds("ttl", value, min, max).is_err(), "{value}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time_text(Millis(1_764_000_000_005)), "2025-11-24T16:00:00.005Z");
        assert_eq!(parse_time("since", "2025-11-24T17:00:00.005+01:00"), Ok(Millis(1_764_000_000_005)));
        assert!(parse_time("since", "yesterday").is_err());
    }
}
