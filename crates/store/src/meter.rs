//! Up to where a sandbox is in the sums of what was used, and what is added to them when it is counted again.
//!
//! Pure: a store keeps the meter with the sandbox and adds the shares in the same transaction, so whatever is written
//! twice, and whenever the server is killed, counts once.

use sentinal_model::UsageSum;

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// The most that is counted at once: a clock that was wrong for long must not fill the table.
const SPAN_MS_MAX: i64 = 31 * 24 * HOUR_MS;

/// Up to where a sandbox is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meter {
    /// Up to this moment.
    pub(crate) at: i64,
    /// Up to so much cpu time, in microseconds.
    pub(crate) cpu_us: i64,
}

/// What is added to the sums of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// When the hour begins.
    pub(crate) hour: i64,
    pub(crate) used: UsageSum,
}

impl Meter {
    /// Where it stands at this moment, and what that adds. What lies behind it is not counted again, whatever is said.
    pub(crate) fn advance(self, to: Self, memory_mib: u64) -> (Self, Vec<Share>) {
        let next = Self { at: self.at.max(to.at), cpu_us: self.cpu_us.max(to.cpu_us) };
        let mut shares = Vec::new();
        let mut from = self.at.max(next.at.saturating_sub(SPAN_MS_MAX));
        while from < next.at {
            let hour = hour_of(from);
            let until = next.at.min(hour.saturating_add(HOUR_MS));
            shares.push(Share { hour, used: reserved(until - from, memory_mib) });
            from = until;
        }
        let cpu_us = u64::try_from(next.cpu_us - self.cpu_us).unwrap_or(0);
        if 0 < cpu_us {
            let used = UsageSum { cpu_us, ..UsageSum::default() };
            // When exactly it was used, nobody has said.
            match shares.last_mut() {
                Some(last) => last.used = last.used.plus(used),
                None => shares.push(Share { hour: hour_of(next.at), used }),
            }
        }
        (next, shares)
    }
}

/// When the hour of a moment begins.
pub(crate) const fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)
}

fn reserved(ms: i64, memory_mib: u64) -> UsageSum {
    let sandbox_ms = u64::try_from(ms).unwrap_or(0);
    UsageSum { sandbox_ms, memory_mib_ms: memory_mib.saturating_mul(sandbox_ms), ..UsageSum::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(shares: &[Share]) -> UsageSum {
        shares.iter().fold(UsageSum::default(), |sum, share| sum.plus(share.used))
    }

    #[test]
    fn time_is_shared_between_the_hours_it_lies_in() {
        let meter = Meter { at: HOUR_MS - 1000, cpu_us: 10 };
        let (next, shares) = meter.advance(Meter { at: 2 * HOUR_MS + 500, cpu_us: 15 }, 256);
        assert_eq!(next, Meter { at: 2 * HOUR_MS + 500, cpu_us: 15 });
        let times: Vec<_> = shares.iter().map(|share| (share.hour, share.used.sandbox_ms, share.used.cpu_us)).collect();
        assert_eq!(times, [(0, 1000, 0), (HOUR_MS, 3_600_000, 0), (2 * HOUR_MS, 500, 5)]);
        assert_eq!(total(&shares).memory_mib_ms, 256 * 3_601_500);
        assert_eq!(next.advance(next, 256), (next, vec![]));
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_fill_the_table() {
        let (_, shares) = Meter { at: 0, cpu_us: 0 }.advance(Meter { at: i64::MAX, cpu_us: 0 }, 1);
        assert!(shares.len() <= 31 * 24 + 1, "{}", shares.len());
    }

    proptest! {
        #[test]
        fn however_often_it_is_counted_it_is_counted_once(
            steps in proptest::collection::vec((0_i64..20 * HOUR_MS, 0_i64..1_000_000), 1..20)
        ) {
            let begin = Meter { at: 12_345, cpu_us: 0 };
            let (end, shares) = steps.iter().fold((begin, Vec::new()), |(meter, mut all), (at, cpu_us)| {
                let (next, shares) = meter.advance(Meter { at: *at, cpu_us: *cpu_us }, 3);
                all.extend(shares);
                (next, all)
            });
            let sum = total(&shares);
            let ms = u64::try_from(end.at - begin.at).unwrap();
            prop_assert_eq!((sum.sandbox_ms, sum.memory_mib_ms), (ms, 3 * ms));
            prop_assert_eq!(sum.cpu_us, u64::try_from(end.cpu_us).unwrap());
            prop_assert!(shares.iter().all(|share| share.used.sandbox_ms <= 3_600_000 && share.hour % HOUR_MS == 0));
        }
    }
}
