//! Figures of one value a row, with intervals over rows or persons.

use lookalike_core::{Job, Result};
use lookalike_learners::{Bootstrap, Estimate, binomial_sf, wilson};

use crate::{Points, normal_quantile};

const CONFIDENCE: f64 = 0.95;

/// Sums and numbers of rows of every person, or of every row without units, in an order that does not depend on the
/// input's. Values that are NaN are left out.
pub(super) fn by_person(points: &Points, values: &[f64]) -> Vec<[f64; 2]> {
    // Sums go over rows in canonical order, so that they are the same bits in any order of the rows.
    let rows = points.canonical().iter().map(|&row| row as usize);
    match points.units() {
        None => rows.filter(|&row| !values[row].is_nan()).map(|row| [values[row], 1.0]).collect(),
        Some(units) => {
            let persons = units.iter().max().map_or(0, |m| *m as usize + 1);
            let mut sums = vec![[0.0; 2]; persons];
            for row in rows.filter(|&row| !values[row].is_nan()) {
                let sum = &mut sums[units[row] as usize];
                sum[0] += values[row];
                sum[1] += 1.0;
            }
            sums.retain(|s| s[1] > 0.0);
            sums
        }
    }
}

/// The mean over all rows that have a value.
pub(super) fn mean(points: &Points, values: &[f64]) -> Option<f64> {
    let [sum, rows] = by_person(points, values).iter().fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
    (rows > 0.0).then(|| sum / rows)
}

/// The mean with an interval from resampled rows or persons.
pub(super) fn mean_estimate(points: &Points, values: &[f64], seed: u64, job: &Job) -> Result<Option<Estimate>> {
    Bootstrap { seed, ..Bootstrap::default() }.mean(&by_person(points, values), job)
}

/// The mean of values of 0, 1/2 and 1 with Wilson's interval over rows, or from resampled persons.
pub(super) fn share_estimate(points: &Points, values: &[f64], seed: u64, job: &Job) -> Result<Option<Estimate>> {
    if points.units().is_some() {
        return mean_estimate(points, values, seed, job);
    }
    let (sum, rows) = values.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    let interval = || {
        let (low, high) = wilson(sum, rows, CONFIDENCE);
        let value = sum / rows;
        // At shares of 0 and 1 an end is the share itself, but for rounding.
        Estimate { value, low: low.min(value), high: high.max(value) }
    };
    Ok((rows > 0.0).then(interval))
}

/// Standard error that an interval at 95 % stands for.
pub(super) fn standard_error(estimate: &Estimate) -> f64 {
    (estimate.high - estimate.low) / (2.0 * normal_quantile(0.5 + CONFIDENCE / 2.0))
}

/// Values in ascending order without those that are missing.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Quantile of sorted values, linear between order statistics.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place as usize], sorted[(place as usize + 1).min(sorted.len() - 1)]);
    Some(if low == high { low } else { low + (high - low) * place.fract() })
}

/// The interval of a quantile between two order statistics, exact for independent rows (Thompson 1936); `None` where so
/// few rows have none.
pub(super) fn quantile_interval(sorted: &[f64], q: f64) -> Option<(f64, f64)> {
    let (n, tail) = (sorted.len() as u64, (1.0 - CONFIDENCE) / 2.0);
    // At most `tail` that fewer than `low` rows are below the quantile, at most `tail` that `high` or more are.
    let first = |holds: &dyn Fn(u64) -> bool| {
        let (mut a, mut b) = (0, n + 1);
        while a < b {
            let middle = a + (b - a) / 2;
            if holds(middle) { b = middle } else { a = middle + 1 }
        }
        a
    };
    let low = first(&|k| 1.0 - binomial_sf(k, n, q) > tail).checked_sub(1)?;
    let high = first(&|k| binomial_sf(k, n, q) <= tail);
    let low = sorted.get(low.checked_sub(1)? as usize)?;
    Some((*low, *sorted.get(high.checked_sub(1)? as usize)?))
}
