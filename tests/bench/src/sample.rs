//! Measured values and what is said of them.

/// Values of one kind, in one unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    values: Vec<f64>,
}

impl Sample {
    /// From nanoseconds, in microseconds.
    pub(crate) fn from_nanoseconds(values: &[u64]) -> Self {
        values.iter().map(|&nanoseconds| nanoseconds as f64 / 1e3).collect()
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub(crate) fn extend(&mut self, other: &Sample) {
        self.values.extend_from_slice(&other.values);
    }

    /// The value that this share of all values does not pass (nearest rank). 0 where there is none.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.percentile(50.0)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.percentile(99.0)
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<Values: IntoIterator<Item = f64>>(values: Values) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sample: Sample = (1..=100).rev().map(f64::from).collect();
        assert_eq!((sample.p50(), sample.p99(), sample.percentile(100.0)), (50.0, 99.0, 100.0));
        assert_eq!(Sample::default().p99(), 0.0);
        assert_eq!([7.0].into_iter().collect::<Sample>().p50(), 7.0);
    }
}
