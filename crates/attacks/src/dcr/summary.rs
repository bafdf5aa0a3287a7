//! Figures over the distances of all synthetic rows.

use lookalike_core::{Error, Result};
use rayon::prelude::*;

use crate::wilson;

/// Mergeable summary of `dcr` and `holdout_dcr`: the result does not depend on the order or the grouping of the rows.
///
/// It keeps the distances (16 bytes a row), because quantiles are exact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DcrSummary {
    dcr: Vec<f64>,
    holdout: Vec<f64>,
    sizes: Option<(u64, u64)>,
}

/// What [`DcrSummary::finish`] returns. `None` where there is nothing to compute a figure from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DcrFigures {
    /// Rows with a distance to the training rows.
    pub rows: u64,
    /// Mean distance to the training rows.
    pub mean: Option<f64>,
    /// Median distance.
    pub median: Option<f64>,
    /// 5th percentile, interpolated linearly between order statistics (type 7 of Hyndman & Fan 1996, numpy's default),
    /// as is the median.
    pub p05: Option<f64>,
    /// Share of rows at distance 0: verbatim copies of training rows.
    pub identical_share: Option<f64>,
    /// Mean distance to the holdout.
    pub holdout_mean: Option<f64>,
    /// Median distance to the holdout.
    pub holdout_median: Option<f64>,
    /// 5th percentile of the distance to the holdout.
    pub holdout_p05: Option<f64>,
    /// Share of rows identical with a holdout row: what chance alone gives.
    pub holdout_identical_share: Option<f64>,
    /// Share of rows nearer to the training rows than to the holdout; equal distances count half.
    pub share: Option<f64>,
    /// Lower end of the 95 % Wilson interval of `share`. Rows with equal distances count as half a success, which makes
    /// the interval wider than it would have to be, never narrower. It takes the synthetic rows as independent.
    pub share_lo: Option<f64>,
    /// Upper end of the interval.
    pub share_hi: Option<f64>,
    /// The share to expect when the training rows had no influence: training rows / (training + holdout rows), 1/2 only
    /// for equal sizes. `None` unless the sizes were given.
    pub null_share: Option<f64>,
}

impl DcrSummary {
    /// Takes rows in: their distances to the training rows and, with a holdout, to it. NaN is NULL and is skipped: a
    /// row counts in every figure for which it has what the figure needs.
    ///
    /// Fails (internal) when the slices differ in length.
    pub fn update(&mut self, dcr: &[f64], holdout_dcr: Option<&[f64]>) -> Result<()> {
        if holdout_dcr.is_some_and(|h| h.len() != dcr.len()) {
            return Err(Error::internal("dcr and holdout_dcr of different lengths"));
        }
        self.dcr.extend_from_slice(dcr);
        match holdout_dcr {
            Some(holdout) => self.holdout.extend_from_slice(holdout),
            None => self.holdout.resize(self.dcr.len(), f64::NAN),
        }
        Ok(())
    }

    /// Says how many training and holdout rows the distances are to; needed for `null_share` alone.
    ///
    /// Fails (data) when other sizes were given before: then the rows come from different comparisons.
    pub fn sizes(&mut self, train_rows: u64, holdout_rows: u64) -> Result<()> {
        match self.sizes {
            Some(known) if known != (train_rows, holdout_rows) => Err(Error::data(format!(
                "dcr: train_rows and holdout_rows must be the same in all rows of a group, found {} and {} beside {} \
                 and {}; GROUP BY what tells the comparisons apart",
                known.0.min(train_rows),
                if train_rows < known.0 { holdout_rows } else { known.1 },
                known.0.max(train_rows),
                if train_rows < known.0 { known.1 } else { holdout_rows },
            ))),
            _ => {
                self.sizes = Some((train_rows, holdout_rows));
                Ok(())
            }
        }
    }

    /// Takes in what another summary took in. Fails (data) like [`DcrSummary::sizes`].
    pub fn merge(&mut self, other: &DcrSummary) -> Result<()> {
        if let Some((train, holdout)) = other.sizes {
            self.sizes(train, holdout)?;
        }
        self.dcr.extend_from_slice(&other.dcr);
        self.holdout.extend_from_slice(&other.holdout);
        Ok(())
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        (self.dcr.capacity() + self.holdout.capacity()) * size_of::<f64>()
    }

    /// The state to send elsewhere: distances to training rows, distances to the holdout (as many; NaN is NULL), sizes.
    /// [`DcrSummary::update`] and [`DcrSummary::sizes`] take it in again.
    pub fn state(&self) -> (&[f64], &[f64], Option<(u64, u64)>) {
        (&self.dcr, &self.holdout, self.sizes)
    }

    /// The figures over all rows taken in.
    pub fn finish(&self) -> DcrFigures {
        let train = Distances::of(&self.dcr);
        let holdout = Distances::of(&self.holdout);
        let (mut closer, mut equal, mut both) = (0u64, 0u64, 0u64);
        for (d, h) in self.dcr.iter().zip(&self.holdout) {
            closer += u64::from(d < h);
            equal += u64::from(d == h);
            both += u64::from(!d.is_nan() && !h.is_nan());
        }
        let successes = closer as f64 + equal as f64 / 2.0;
        let interval = (both > 0).then(|| wilson(successes, both as f64, 0.95));
        DcrFigures {
            rows: train.rows,
            mean: train.mean,
            median: train.median,
            p05: train.p05,
            identical_share: train.identical,
            holdout_mean: holdout.mean,
            holdout_median: holdout.median,
            holdout_p05: holdout.p05,
            holdout_identical_share: holdout.identical,
            share: (both > 0).then(|| successes / both as f64),
            share_lo: interval.map(|i| i.0),
            share_hi: interval.map(|i| i.1),
            null_share: self.sizes.filter(|s| s.0 + s.1 > 0).map(|(t, h)| t as f64 / (t as f64 + h as f64)),
        }
    }
}

/// Figures of one list of distances.
struct Distances {
    rows: u64,
    mean: Option<f64>,
    median: Option<f64>,
    p05: Option<f64>,
    identical: Option<f64>,
}

impl Distances {
    fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.par_sort_unstable_by(f64::total_cmp);
        let present = !sorted.is_empty();
        let share = |n: usize| n as f64 / sorted.len() as f64;
        Self {
            rows: sorted.len() as u64,
            // In ascending order the sum is the same whatever the order the rows came in.
            mean: present.then(|| sorted.iter().sum::<f64>() / sorted.len() as f64),
            median: quantile(&sorted, 0.5),
            p05: quantile(&sorted, 0.05),
            identical: present.then(|| share(sorted.partition_point(|d| *d <= 0.0))),
        }
    }
}

/// Quantile of sorted values, linear between order statistics.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let low = sorted[place as usize];
    let high = sorted[(place as usize + 1).min(sorted.len() - 1)];
    Some(if low == high { low } else { low + (high - low) * place.fract() })
}
