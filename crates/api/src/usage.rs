//! What was used, as callers see it and ask for it.

use std::time::Duration;

use sentinal_model::{Error, ExecutionOutcome, Millis, Result, UsageBy, UsageSum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    field::{parse_time, time_text},
    query::Query,
};

const HOUR_MS: i64 = 3_600_000;
/// How far back it goes unless told: what is added up by the hour.
const HOURS_BACK: Duration = Duration::from_secs(24 * 3600);
/// What is added up by anything else.
const DAYS_BACK: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was used in a span of time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"since": "2026-11-27T00:00:00.000Z", "until": "2026-11-29T00:00:00.000Z", "by": "day",
    "items": [{"group": "2026-11-28T00:00:00.000Z", "sandboxes": 3, "sandbox_seconds": 912.4, "cpu_seconds": 48.1,
        "memory_gib_seconds": 456.2, "executions": {"exited": 12, "signaled": 0, "timeout": 1, "oom": 0, "killed": 0},
        "output_bytes": 40960, "uploaded_bytes": 65536, "downloaded_bytes": 20480}],
    "total": {"sandboxes": 3, "sandbox_seconds": 912.4, "cpu_seconds": 48.1, "memory_gib_seconds": 456.2,
        "executions": {"exited": 12, "signaled": 0, "timeout": 1, "oom": 0, "killed": 0}, "output_bytes": 40960,
        "uploaded_bytes": 65536, "downloaded_bytes": 20480}}))]
pub struct UsageReport {
    /// From the beginning of this hour.
    #[schema(format = DateTime)]
    pub since: String,
    /// Until the end of the hour before this moment.
    #[schema(format = DateTime)]
    pub until: String,
    /// By what it is added up.
    #[schema(value_type = crate::UsageBy, example = "day")]
    pub by: String,
    /// The sums, in the order of what they are of; those of nothing are left out.
    pub items: Vec<UsageItem>,
    /// All of them together.
    pub total: UsageFigures,
}

/// What was used of or by one of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageItem {
    /// When the hour or the day begins, the key's id, or the engine's name; null where that is not known.
    #[schema(example = "2026-11-28T00:00:00.000Z")]
    pub group: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub used: UsageFigures,
}

/// How much was used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageFigures {
    /// Sandboxes that were created.
    pub sandboxes: u64,
    /// How long sandboxes were there, from their creation until nothing was left of them.
    pub sandbox_seconds: f64,
    /// Cpu time as the host has counted it.
    pub cpu_seconds: f64,
    /// Memory that was kept for sandboxes, used or not, times how long.
    pub memory_gib_seconds: f64,
    /// Executions that have ended, by how.
    pub executions: ExecutionCounts,
    /// What executions wrote, stored or not.
    pub output_bytes: u64,
    /// Files and archives that were brought into sandboxes.
    pub uploaded_bytes: u64,
    /// Files and archives that were fetched out of them.
    pub downloaded_bytes: u64,
}

/// Executions that have ended, by their outcome.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "each is an outcome, which says what it is")]
pub struct ExecutionCounts {
    pub exited: u64,
    pub signaled: u64,
    pub timeout: u64,
    pub oom: u64,
    pub killed: u64,
}

impl From<UsageSum> for UsageFigures {
    fn from(sum: UsageSum) -> Self {
        Self {
            sandboxes: sum.sandboxes,
            sandbox_seconds: ratio(sum.sandbox_ms, 1000.0),
            cpu_seconds: ratio(sum.cpu_us, 1_000_000.0),
            memory_gib_seconds: ratio(sum.memory_mib_ms, 1024.0 * 1000.0),
            executions: sum.executions.into(),
            output_bytes: sum.output_bytes,
            uploaded_bytes: sum.uploaded_bytes,
            downloaded_bytes: sum.downloaded_bytes,
        }
    }
}

impl From<[u64; ExecutionOutcome::NAMES.len()]> for ExecutionCounts {
    fn from([exited, signaled, timeout, oom, killed]: [u64; ExecutionOutcome::NAMES.len()]) -> Self {
        Self { exited, signaled, timeout, oom, killed }
    }
}

impl ExecutionCounts {
    /// However they ended.
    pub const fn all(&self) -> u64 {
        self.exited + self.signaled + self.timeout + self.oom + self.killed
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for centuries of one machine")]
fn ratio(amount: u64, unit: f64) -> f64 {
    amount as f64 / unit
}

/// Which of what was used, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageAsked {
    since: Option<Millis>,
    until: Option<Millis>,
    /// By what it is to be added up.
    pub by: UsageBy,
}

impl TryFrom<Query> for UsageAsked {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let since = query.take("since").map(|text| parse_time("since", &text)).transpose()?;
        let until = query.take("until").map(|text| parse_time("until", &text)).transpose()?;
        let by = query.take("by").map_or(Ok(UsageBy::Day), |text| parse_by(&text))?;
        query.finish(&["since", "until", "by"])?;
        Ok(Self { since, until, by })
    }
}

impl UsageAsked {
    /// The whole hours that are meant at this moment.
    pub fn span(&self, now: Millis) -> Result<(Millis, Millis)> {
        let until = self.until.unwrap_or(now);
        let back = if self.by == UsageBy::Hour { HOURS_BACK } else { DAYS_BACK };
        let back_ms = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
        let since = self.since.unwrap_or_else(|| Millis(until.0.saturating_sub(back_ms)));
        if until <= since {
            return Err(Error::invalid(format!(
                "since: {} is not before until, {}",
                time_text(since),
                time_text(until)
            )));
        }
        let hour = |at: i64| at.div_euclid(HOUR_MS).saturating_mul(HOUR_MS);
        Ok((Millis(hour(since.0)), Millis(hour(until.0.saturating_add(HOUR_MS - 1)))))
    }
}

fn parse_by(name: &str) -> Result<UsageBy> {
    UsageBy::ALL.into_iter().find(|by| by.as_str() == name).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        Error::invalid(format!("by: {name:?} is none of {}", UsageBy::ALL.map(UsageBy::as_str).join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(query: &str, now: i64) -> Result<(i64, i64)> {
        let asked = UsageAsked::try_from(Query::parse(query)?)?;
        asked.span(Millis(now)).map(|(since, until)| (since.0 / HOUR_MS, until.0 / HOUR_MS))
    }

    #[test]
    fn whole_hours_are_meant() {
        let now = 1000 * HOUR_MS + 5;
        assert_eq!(span("", now), Ok((1000 - 720, 1001)));
        assert_eq!(span("by=hour", now), Ok((1000 - 24, 1001)));
        assert_eq!(span("since=1970-01-01T01:59:59Z&until=1970-01-01T03:00:00Z", now), Ok((1, 3)));
        assert_eq!(span("since=1970-01-01T01:10:00Z&until=1970-01-01T01:20:00Z", now), Ok((1, 2)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (query, field) in [
            ("since=yesterday", "since"),
            ("until=1", "until"),
            ("by=week", "by"),
            ("from=1970-01-01T00:00:00Z", "from"),
            ("since=1970-01-02T00:00:00Z&until=1970-01-01T00:00:00Z", "since"),
        ] {
            let refused = span(query, HOUR_MS).unwrap_err();
            assert!(refused.message().contains(field), "{query}: {refused}");
        }
    }

    #[test]
    fn amounts_have_the_units_of_their_names() {
        let sum = UsageSum { sandbox_ms: 1500, cpu_us: 2_500_000, memory_mib_ms: 512 * 4000, ..UsageSum::default() };
        let figures = UsageFigures::from(sum);
        let shown = [figures.sandbox_seconds, figures.cpu_seconds, figures.memory_gib_seconds];
        assert!(
            shown.iter().zip([1.5, 2.5, 2.0]).all(|(shown, expected)| (shown - expected).abs() < 1e-9),
            "{shown:?}"
        );
    }
}
