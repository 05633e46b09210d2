//! Numbers that were measured several times.

use std::time::{Duration, Instant};

/// At least one number, in the order of their size.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes one more into account.
    pub(crate) fn add(&mut self, value: f64) {
        let at = self.0.partition_point(|smaller| *smaller < value);
        self.0.insert(at, value);
    }

    /// Takes a time into account, in milliseconds.
    pub(crate) fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1000.0);
    }

    /// As many are smaller as are larger.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 {
            self.at(middle)
        } else {
            f64::midpoint(self.at(middle), self.at(middle.wrapping_sub(1)))
        }
    }

    /// Of twenty, one is larger.
    pub(crate) fn p95(&self) -> f64 {
        self.at((self.0.len() * 95).div_ceil(100).saturating_sub(1))
    }

    fn at(&self, index: usize) -> f64 {
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// How long something takes, until its answer is there.
pub(crate) async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<(Duration, T), E> {
    let start = Instant::now();
    let answer = work.await?;
    Ok((start.elapsed(), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl IntoIterator<Item = f64>) -> Samples {
        let mut samples = Samples::default();
        values.into_iter().for_each(|value| samples.add(value));
        samples
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert!((samples([3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((samples([4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(samples([]).median().is_nan());
    }

    #[test]
    fn of_twenty_one_is_above_the_p95() {
        assert!((samples((1..=20).map(f64::from)).p95() - 19.0).abs() < 1e-9);
        assert!((samples([7.0]).p95() - 7.0).abs() < 1e-9);
    }
}
