//! Spans of time as people write them.

use anyhow::Result;

use crate::failure::Failure;

/// Seconds: `30`, `1.5`, `90s`, `5m`, `2h`, `1d`, `500ms`.
pub fn parse_seconds(text: &str) -> Result<f64> {
    const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))).unwrap_or((text, 1.0));
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(value) if is_plain => Ok(value * factor),
        _ => Err(Failure::usage(format!("{text:?} is no span of time; write seconds, or 90s, 5m, 2h, 1d"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, seconds) in
            [("30", 30.0), ("1.5", 1.5), ("90s", 90.0), ("5m", 300.0), ("2h", 7200.0), ("1d", 86_400.0)]
        {
            assert!((parse_seconds(text).unwrap() - seconds).abs() < 1e-9, "{text}");
        }
        assert!((parse_seconds("500ms").unwrap() - 0.5).abs() < 1e-9);
        for text in ["", "s", "-1", "+1", "1e9", "inf", "nan", "5 m", "1w", "1.2.3"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
