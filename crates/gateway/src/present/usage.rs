//! What was used, and what may be, in the words of the API.

use sentinal_api as v1;
use sentinal_controller::{Quota, UsageQuery, UsageRecord};
use sentinal_model::{QuotaName, UsageBy, UsageSum};

/// Sums as callers see them.
pub(crate) fn usage(query: UsageQuery, records: Vec<UsageRecord>) -> v1::UsageReport {
    let total = records.iter().fold(UsageSum::default(), |sum, record| sum.plus(record.used));
    let item = |record: UsageRecord| v1::UsageItem { group: group(query.by, &record), used: record.used.into() };
    v1::UsageReport {
        since: v1::time_text(query.since),
        until: v1::time_text(query.until),
        by: query.by.as_str().to_owned(),
        items: records.into_iter().map(item).collect(),
        total: total.into(),
    }
}

fn group(by: UsageBy, record: &UsageRecord) -> Option<String> {
    match by {
        UsageBy::Hour | UsageBy::Day => Some(v1::time_text(record.hour)),
        UsageBy::Key => record.key.map(|key| key.to_string()),
        UsageBy::Engine => record.engine.map(|engine| engine.to_string()),
    }
}

/// A quota as callers see it.
pub(crate) fn quota(quota: Quota) -> v1::Quota {
    let (unit, divisor) = match quota.name {
        QuotaName::Sandboxes | QuotaName::Executions => ("count", 1.0),
        QuotaName::Cpu => ("cores", 1000.0),
        QuotaName::Memory | QuotaName::Disk | QuotaName::Output => ("bytes", 1.0),
    };
    v1::Quota {
        name: quota.name.as_str().to_owned(),
        unit: unit.to_owned(),
        limit: quota.limit.map(|limit| shown(limit) / divisor),
        used: shown(quota.used) / divisor,
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to eight pebibytes")]
fn shown(amount: u64) -> f64 {
    amount as f64
}
