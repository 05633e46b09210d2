//! `sentinal usage` and `sentinal quota`: what was used, and what may be.

use anyhow::Result;
use clap::{Args, ValueEnum};
use sentinal_api::{Quota, QuotaReport, UsageFigures, UsageReport};

use crate::{
    client::Answer,
    session::Session,
    show::{self, Table, bytes},
};

/// Which of what was used.
#[derive(Debug, Args)]
pub struct UsageOptions {
    /// By what it is added up
    #[arg(long, value_name = "WHAT", default_value = "day")]
    by: By,
    /// From the hour of this moment, such as 2026-01-31T12:00:00Z [default: 30 days back; 24 hours by the hour]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until the hour of this moment [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// What it can be added up by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// Hours of UTC
    Hour,
    /// Days of UTC
    Day,
    /// The API key with which it was asked for
    Key,
    /// The engine on which it ran
    Engine,
}

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct QuotaOptions {}

/// `sentinal usage`.
pub(crate) async fn usage(session: &Session, options: &UsageOptions) -> Result<u8> {
    let mut query = vec![("by", options.by.name())];
    query.extend(options.since.as_deref().map(|since| ("since", since)));
    query.extend(options.until.as_deref().map(|until| ("until", until)));
    let answer: Answer<UsageReport> = session.client.get(&["usage"], &query).await?;
    if session.json {
        show::json(&answer.json)?;
        return Ok(0);
    }
    usage_table(options.by, &answer.body).print()?;
    Ok(0)
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Key => "key",
            Self::Engine => "engine",
        }
    }
}

fn usage_table(by: By, report: &UsageReport) -> Table {
    let first = by.name().to_uppercase();
    let used =
        ["SANDBOXES", "HOURS", "CPU HOURS", "GIB HOURS", "EXECUTIONS", "NOT EXITED", "OUTPUT", "FILES IN", "OUT"];
    let mut table = Table::new(&[&[first.as_str()], &used[..]].concat());
    for item in &report.items {
        let group = item.group.clone().unwrap_or_else(|| "-".to_owned());
        let group = match by {
            By::Day => group.get(..10).unwrap_or(&group).to_owned(),
            By::Hour => group.get(..16).map_or_else(|| group.clone(), |minute| format!("{minute}Z")),
            By::Key | By::Engine => group,
        };
        table.row(cells(group, &item.used));
    }
    table.row(cells("total".to_owned(), &report.total));
    table
}

fn cells(group: String, used: &UsageFigures) -> [String; 10] {
    let executions = used.executions;
    [
        group,
        used.sandboxes.to_string(),
        hours(used.sandbox_seconds),
        hours(used.cpu_seconds),
        hours(used.memory_gib_seconds),
        executions.all().to_string(),
        (executions.all() - executions.exited).to_string(),
        bytes(used.output_bytes),
        bytes(used.uploaded_bytes),
        bytes(used.downloaded_bytes),
    ]
}

fn hours(seconds: f64) -> String {
    format!("{:.3}", seconds / 3600.0)
}

/// `sentinal quota`.
pub(crate) async fn quota(session: &Session) -> Result<u8> {
    let answer: Answer<QuotaReport> = session.client.get(&["quota"], &[]).await?;
    if session.json {
        show::json(&answer.json)?;
        return Ok(0);
    }
    let mut table = Table::new(&["QUOTA", "IN USE", "LIMIT"]);
    for quota in &answer.body.items {
        let limit = quota.limit.map_or_else(|| "-".to_owned(), |limit| amount(quota, limit));
        table.row([quota.name.clone(), amount(quota, quota.used), limit]);
    }
    table.print()?;
    Ok(0)
}

fn amount(quota: &Quota, amount: f64) -> String {
    match quota.unit.as_str() {
        "bytes" => bytes(whole(amount)),
        _ => amount.to_string(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
fn whole(amount: f64) -> u64 {
    amount as u64
}
