//! What was used, added up.

use crate::ExecutionOutcome;

/// What was used: amounts that only ever grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSum {
    /// Sandboxes that were created.
    pub sandboxes: u64,
    /// How long sandboxes were there, from their creation until nothing was left of them, in milliseconds.
    pub sandbox_ms: u64,
    /// Cpu time as the host counted it, in microseconds.
    pub cpu_us: u64,
    /// Memory that was kept for sandboxes times how long, in MiB times milliseconds.
    pub memory_mib_ms: u64,
    /// Executions that have ended, by how: in the order of [`ExecutionOutcome::NAMES`].
    pub executions: [u64; ExecutionOutcome::NAMES.len()],
    /// What executions wrote, stored or not, in bytes.
    pub output_bytes: u64,
    /// Files and archives that were brought into sandboxes, in bytes.
    pub uploaded_bytes: u64,
    /// Files and archives that were fetched out of them, in bytes.
    pub downloaded_bytes: u64,
}

impl UsageSum {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut executions = self.executions;
        for (sum, more) in executions.iter_mut().zip(other.executions) {
            *sum = sum.saturating_add(more);
        }
        Self {
            sandboxes: self.sandboxes.saturating_add(other.sandboxes),
            sandbox_ms: self.sandbox_ms.saturating_add(other.sandbox_ms),
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            memory_mib_ms: self.memory_mib_ms.saturating_add(other.memory_mib_ms),
            executions,
            output_bytes: self.output_bytes.saturating_add(other.output_bytes),
            uploaded_bytes: self.uploaded_bytes.saturating_add(other.uploaded_bytes),
            downloaded_bytes: self.downloaded_bytes.saturating_add(other.downloaded_bytes),
        }
    }

    /// One execution that has ended.
    pub fn execution(outcome: ExecutionOutcome, output_bytes: u64) -> Self {
        let mut executions = [0; ExecutionOutcome::NAMES.len()];
        for (count, name) in executions.iter_mut().zip(ExecutionOutcome::NAMES) {
            *count = u64::from(name == outcome.as_str());
        }
        Self { executions, output_bytes, ..Self::default() }
    }
}

/// What usage is added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// Hours of UTC.
    Hour,
    /// Days of UTC.
    Day,
    /// The key with which it was asked for.
    Key,
    /// The engine on which it ran.
    Engine,
}

impl UsageBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Key, Self::Engine];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Key => "key",
            Self::Engine => "engine",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_counts_once_and_for_its_outcome() {
        for (at, name) in ExecutionOutcome::NAMES.into_iter().enumerate() {
            let outcome = ExecutionOutcome::from_stored(name, Some(0), Some(9)).unwrap();
            let sum = UsageSum::execution(outcome, 5).plus(UsageSum::execution(outcome, 6));
            assert_eq!(
                (sum.executions[at], sum.executions.iter().sum::<u64>(), sum.output_bytes),
                (2, 2, 11),
                "{name}"
            );
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        let most = UsageSum { cpu_us: u64::MAX, ..UsageSum::default() };
        assert_eq!(most.plus(most).cpu_us, u64::MAX);
    }
}
