//! Times and sizes for people.

use sentinal_model::{Clock as _, SystemClock};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago a moment (RFC 3339) was: `5s`, `3m`, `2h`, `4d`.
pub(crate) fn age(moment: &str) -> String {
    distance(moment).map_or_else(|| "?".to_owned(), |seconds| short(seconds.max(0)))
}

/// How far off a moment (RFC 3339) is, or `-` once it lies behind.
pub(crate) fn seconds_left(moment: &str) -> String {
    distance(moment).filter(|seconds| *seconds < 0).map_or_else(|| "-".to_owned(), |seconds| short(-seconds))
}

/// Seconds since a moment; below zero for one that is to come.
fn distance(moment: &str) -> Option<i64> {
    let then: jiff::Timestamp = moment.parse().ok()?;
    Some((SystemClock.now().0 - then.as_millisecond()) / 1000)
}

fn short(seconds: i64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

/// A size with one digit after the point: `0B`, `12.5MiB`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (u128::from(size) * 10, 0);
    while 10_240 <= tenths && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    let fraction = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
    format!("{}{fraction}{}", tenths / 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (size, text) in [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (13_107_200, "12.5MiB")] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(bytes(u64::MAX), "16777216TiB");
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200_000, "2d")] {
            assert_eq!(short(seconds), text);
        }
        assert_eq!(age("no time"), "?");
        assert_eq!(age("2999-01-01T00:00:00Z"), "0s");
        assert_eq!(seconds_left("2000-01-01T00:00:00Z"), "-");
    }
}
