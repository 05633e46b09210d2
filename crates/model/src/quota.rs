//! How much a tenant may have at once.

use std::{fmt, str::FromStr};

use crate::{Code, Error, limits, parse_bytes};

/// What a quota is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaName {
    /// Sandboxes that have not ended.
    Sandboxes,
    /// Their cores, in thousandths.
    Cpu,
    /// Their memory, in bytes.
    Memory,
    /// Their disks, in bytes.
    Disk,
    /// Executions that run.
    Executions,
    /// Output that is stored, in bytes.
    Output,
}

/// How much of each; `None` is as much as the node has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas([Option<u64>; QuotaName::ALL.len()]);

/// How much of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts([u64; QuotaName::ALL.len()]);

/// One quota as an operator writes it: `sandboxes=100`, `cpu=32`, `memory=64Gi`, `executions=none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaChoice {
    /// Of what.
    pub name: QuotaName,
    /// How much.
    pub limit: Option<u64>,
}

/// A text that is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no quota; write NAME=LIMIT, where the name is sandboxes, cpu, memory, disk, executions or output, and \
     the limit a number, for memory, disk and output with a unit such as 64Gi, or none"
)]
pub struct InvalidQuota {
    text: String,
}

impl QuotaName {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Sandboxes, Self::Cpu, Self::Memory, Self::Disk, Self::Executions, Self::Output];

    /// The quota's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandboxes => "sandboxes",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Executions => "executions",
            Self::Output => "output",
        }
    }

    /// An amount as people read it.
    pub fn shown(self, amount: u64) -> String {
        match self {
            Self::Sandboxes | Self::Executions => amount.to_string(),
            Self::Cpu => format!("{}.{:03} cores", amount / 1000, amount % 1000),
            Self::Memory | Self::Disk | Self::Output => format!("{} MiB", amount >> 20),
        }
    }

    /// What helps against its being used up.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Sandboxes | Self::Cpu | Self::Memory | Self::Disk => "destroy sandboxes that are not needed",
            Self::Executions => "wait for some to end",
            Self::Output => "it goes with the records of what has ended, a day after",
        }
    }

    fn parse_limit(self, text: &str) -> Option<u64> {
        match self {
            Self::Sandboxes | Self::Executions => text.parse().ok(),
            Self::Memory | Self::Disk | Self::Output => parse_bytes(text),
            Self::Cpu => milli(text),
        }
    }
}

/// Thousandths of a decimal number.
fn milli(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) || 3 < fraction.len() {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(format!("{fraction:0<3}").parse().ok()?)
}

impl Default for Quotas {
    fn default() -> Self {
        let none = Self([None; QuotaName::ALL.len()]);
        none.with(QuotaChoice { name: QuotaName::Executions, limit: Some(limits::EXECUTIONS_QUOTA) })
            .with(QuotaChoice { name: QuotaName::Output, limit: Some(limits::OUTPUT_QUOTA_BYTES) })
    }
}

impl Quotas {
    /// The same with another limit.
    #[must_use]
    pub const fn with(mut self, choice: QuotaChoice) -> Self {
        self.0[choice.name as usize] = choice.limit;
        self
    }

    /// How much of it.
    pub const fn limit(&self, name: QuotaName) -> Option<u64> {
        self.0[name as usize]
    }

    /// Refuses what would be more than there may be, beside what is in use. What of `wanted` is nothing is not asked for.
    pub fn check(&self, used: &Amounts, wanted: &Amounts) -> Result<(), Error> {
        let is_over = |name: &QuotaName| {
            let sum = used.of(*name).saturating_add(wanted.of(*name));
            0 < wanted.of(*name) && self.limit(*name).is_some_and(|limit| limit < sum)
        };
        match QuotaName::ALL.into_iter().find(is_over) {
            Some(name) => Err(self.exceeded(name, used.of(name), wanted.of(name))),
            None => Ok(()),
        }
    }

    fn exceeded(&self, name: QuotaName, used: u64, wanted: u64) -> Error {
        let limit = name.shown(self.limit(name).unwrap_or_default());
        let (used, wanted) = (name.shown(used), name.shown(wanted));
        let (name, remedy) = (name.as_str(), name.remedy());
        let message = format!(
            "the quota {name} is used up: {used} of {limit} are in use, and {wanted} more was asked for; {remedy}, or \
             have the operator raise it"
        );
        Error::new(Code::QuotaExceeded, message)
    }
}

impl Amounts {
    /// The same with so much of that.
    #[must_use]
    pub const fn with(mut self, name: QuotaName, amount: u64) -> Self {
        self.0[name as usize] = amount;
        self
    }

    /// How much of it.
    pub const fn of(&self, name: QuotaName) -> u64 {
        self.0[name as usize]
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
        self
    }
}

impl FromStr for QuotaChoice {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let invalid = || InvalidQuota { text: text.to_owned() };
        let (name, limit) = text.split_once('=').ok_or_else(invalid)?;
        let name = QuotaName::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(invalid)?;
        let limit = match limit {
            "none" => None,
            limit => Some(name.parse_limit(limit).ok_or_else(invalid)?),
        };
        Ok(Self { name, limit })
    }
}

impl fmt::Display for QuotaChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        write!(f, "{}={limit}", self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_an_operator_writes_it() {
        let check = |text: &str, name, limit| assert_eq!(text.parse(), Ok(QuotaChoice { name, limit }), "{text}");
        check("sandboxes=100", QuotaName::Sandboxes, Some(100));
        check("cpu=1.5", QuotaName::Cpu, Some(1500));
        check("cpu=32", QuotaName::Cpu, Some(32_000));
        check("memory=2Gi", QuotaName::Memory, Some(2 << 30));
        check("executions=none", QuotaName::Executions, None);
        check("output=0", QuotaName::Output, Some(0));
        for text in [
            "",
            "sandboxes",
            "sandboxes=",
            "sandboxes=-1",
            "sandboxes=1Gi",
            "cpu=1.2345",
            "cpu=.5",
            "cpu=1e3",
            "ram=1",
            "memory=x",
        ] {
            assert!(text.parse::<QuotaChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_over_a_quota_is_refused_by_its_name() {
        let quotas = Quotas::default().with("sandboxes=3".parse().unwrap()).with("memory=1Gi".parse().unwrap());
        let used = Amounts::default().with(QuotaName::Sandboxes, 2).with(QuotaName::Memory, 900 << 20);
        let wanted = |sandboxes, mib: u64| {
            Amounts::default().with(QuotaName::Sandboxes, sandboxes).with(QuotaName::Memory, mib << 20)
        };
        assert_eq!(quotas.check(&used, &wanted(1, 124)), Ok(()));
        let refused = quotas.check(&used, &wanted(1, 125)).unwrap_err();
        assert_eq!(refused.code(), Code::QuotaExceeded);
        assert!(refused.message().contains("the quota memory is used up: 900 MiB of 1024 MiB"), "{refused}");
        assert!(quotas.check(&used, &wanted(2, 1)).unwrap_err().message().contains("sandboxes"), "two more");
        // What is not asked for may be over its quota: it was raised before.
        let over = used.with(QuotaName::Memory, 2 << 30);
        assert_eq!(quotas.check(&over, &wanted(1, 0)), Ok(()));
    }

    #[test]
    fn nothing_is_limited_that_the_node_limits() {
        let most = QuotaName::ALL.into_iter().fold(Amounts::default(), |all, name| all.with(name, u64::MAX));
        assert!(Quotas::default().check(&Amounts::default(), &most).unwrap_err().message().contains("executions"));
        let sandbox = Amounts::default().with(QuotaName::Sandboxes, u64::MAX).with(QuotaName::Disk, u64::MAX);
        assert_eq!(Quotas::default().check(&Amounts::default(), &sandbox), Ok(()));
    }
}
