//! Whether synthetic rows lie where real ones do, cover them, and are their own: figures of nearest neighbours.
//!
//! The space is that of [`Metric::Euclidean`]: numbers over the range of the real rows, a mismatch of categories 1.

use std::collections::HashMap;

use lookalike_core::{Column, Frame, Job, Result, Values};
use lookalike_learners::{Metric, SearchOptions, Space, k_nearest, nearest, within};
use rayon::prelude::*;

use crate::figure::{Better, Figure};
use crate::persons::Persons;

/// Neighbours of density and coverage, as Naeem et al. recommend.
const K: usize = 5;

/// Shares of the support, from 0 to 1, over which precision and recall are compared, as in the code of Alaa et al.
const STEPS: usize = 30;

/// Where the best value depends on the data.
const UNKNOWN: f64 = f64::NAN;

pub(super) fn figures(real: &Frame, synthetic: &Frame, seed: u64, remark: &str, job: &Job) -> Result<Vec<Figure>> {
    let space = Space::fit(Metric::Euclidean, &[real])?;
    let (r, s) = (space.encode(real, job)?, space.encode(synthetic, job)?);
    let others = SearchOptions { exclude_self: true };
    let of_real = k_nearest(&space, &r, &r, K, others, job)?;
    let nearest_real: Vec<f64> = (0..real.rows()).map(|i| of_real.distances[i * K]).collect();
    let radii: Vec<f64> = (0..real.rows()).map(|i| of_real.distances[i * K + K - 1]).collect();
    let to_synthetic = nearest(&space, &r, &s, SearchOptions::default(), job)?;
    let to_real = nearest(&space, &s, &r, SearchOptions::default(), job)?;
    let persons = [Persons::of(real, seed), Persons::of(synthetic, seed)];
    let mut figures = vec![];

    let centre = Centre::of(real, real);
    let (of_r, of_s) = (centre.distances(real), centre.distances(synthetic));
    let radius = quantiles(&of_r);
    let share = |radius: f64| of_s.iter().filter(|d| **d <= radius).count() as f64 / of_s.len() as f64;
    let precision = agreement(|step| share(radius[step]));
    figures.push(Figure::new("alpha_precision", precision, (1.0, Better::Higher)));

    let alone = "the real rows are of one person alone";
    let of_s = Centre::of(synthetic, real).distances(synthetic);
    let closest: Vec<f64> = to_synthetic.iter().map(|n| of_s[n.row as usize]).collect();
    let radius = quantiles(&closest);
    let recalled: Vec<bool> = to_synthetic.iter().zip(&nearest_real).map(|(n, own)| n.distance <= *own).collect();
    let recall = match nearest_real.iter().any(|d| d.is_nan()) {
        true => f64::NAN,
        false => agreement(|step| {
            let inside = closest.iter().zip(&recalled).filter(|(c, recalled)| **recalled && **c <= radius[step]);
            inside.count() as f64 / closest.len() as f64
        }),
    };
    figures.push(Figure::new("beta_recall", recall, (UNKNOWN, Better::Higher)).because(alone));

    let authentic = |row: usize| to_real[row].distance > nearest_real[to_real[row].row as usize];
    let (value, interval) = match nearest_real.iter().any(|d| d.is_nan()) {
        true => (f64::NAN, None),
        false => persons[1].share(authentic, job)?,
    };
    figures.push(Figure::new("authenticity", value, (UNKNOWN, Better::Higher)).within(interval).because(alone));

    let few = format!("a real row has fewer than {K} others of other persons");
    let enough = radii.iter().all(|d| !d.is_nan());
    let (density, covered) = match enough {
        false => (f64::NAN, (f64::NAN, None)),
        true => {
            let balls = within(&space, &r, &s, &radii, SearchOptions::default(), job)?;
            let inside: u64 = balls.iter().map(|b| u64::from(b.nearer) + u64::from(b.tied)).sum();
            let covered = persons[0].share(|i| to_synthetic[i].distance <= radii[i], job)?;
            (inside as f64 / (K * synthetic.rows()) as f64, covered)
        }
    };
    figures.push(Figure::new("density", density, (1.0, Better::Higher)).because(&few));
    let ideal = expected_coverage(real.rows(), synthetic.rows());
    figures.push(Figure::new("coverage", covered.0, (ideal, Better::Higher)).within(covered.1).because(&few));
    Ok(figures.into_iter().map(|f| f.noting(remark)).collect())
}

/// What coverage to expect of rows of the same distribution: a real row is left out where its k nearest of all others
/// are all real (Naeem et al. 2020, section 3.3).
fn expected_coverage(real: usize, synthetic: usize) -> f64 {
    let (n, m) = (real as f64, synthetic as f64);
    1.0 - (1..=K).map(|j| (n - j as f64) / (n + m - j as f64)).product::<f64>()
}

/// One less the mean difference of a curve from the diagonal, over that of a curve of zeros.
fn agreement(curve: impl Fn(usize) -> f64 + Sync) -> f64 {
    let shares = (0..STEPS).map(|step| step as f64 / (STEPS - 1) as f64);
    let total: f64 = shares.clone().sum();
    1.0 - shares.enumerate().map(|(step, share)| (share - curve(step)).abs()).sum::<f64>() / total
}

/// Quantiles at the steps, linear between order statistics.
fn quantiles(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.par_sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let quantile = |step: usize| {
        let place = step as f64 / (STEPS - 1) as f64 * last as f64;
        let (low, high) = (sorted[place as usize], sorted[(place as usize + 1).min(last)]);
        low + (high - low) * place.fract()
    };
    (0..STEPS).map(quantile).collect()
}

/// The centre of a table. The squared distance to it is the mean of those to all rows less half the mean of those
/// between them, which is defined where the centre is no row itself, as with categories and NULLs.
struct Centre {
    parts: Vec<Part>,
}

enum Part {
    /// A number with a range: share of rows with a value, and of these, over the range, mean and variance.
    Number { column: usize, width: f64, present: f64, mean: f64, variance: f64 },
    /// Values that are equal or not: the share of each, by bits.
    Equal { column: usize, shares: HashMap<u64, f64>, spread: f64 },
}

impl Centre {
    /// Of the rows of `frame`, with the ranges of `real`.
    fn of(frame: &Frame, real: &Frame) -> Self {
        let order = frame.canonical_order();
        let part = |(i, column): (usize, &Column)| {
            let width = match &real.columns()[i].values {
                Values::Number(v) => {
                    let present = || v.iter().copied().filter(|x| !x.is_nan());
                    present().reduce(f64::max).zip(present().reduce(f64::min)).map_or(0.0, |(high, low)| high - low)
                }
                _ => 0.0,
            };
            match column.values.gather(&order) {
                Values::Omitted => None,
                Values::Number(v) if width > 0.0 => {
                    let scaled: Vec<f64> = v.iter().filter(|x| !x.is_nan()).map(|x| x / width).collect();
                    let n = scaled.len().max(1) as f64;
                    let mean = scaled.iter().sum::<f64>() / n;
                    let variance = scaled.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
                    let present = scaled.len() as f64 / v.len() as f64;
                    Some(Part::Number { column: i, width, present, mean, variance })
                }
                values => {
                    let keys = keys(&values);
                    let mut counts: HashMap<u64, u64> = HashMap::new();
                    keys.iter().for_each(|k| *counts.entry(*k).or_default() += 1);
                    let n = keys.len() as f64;
                    // A sum of integers: exact in the order of the map.
                    let squares: u128 = counts.values().map(|&c| u128::from(c) * u128::from(c)).sum();
                    let spread = (1.0 - squares as f64 / (n * n)) / 2.0;
                    let shares = counts.into_iter().map(|(k, c)| (k, c as f64 / n)).collect();
                    Some(Part::Equal { column: i, shares, spread })
                }
            }
        };
        Self { parts: frame.columns().iter().enumerate().filter_map(part).collect() }
    }

    /// The distance of every row of a frame.
    fn distances(&self, frame: &Frame) -> Vec<f64> {
        let mut squares = vec![0.0; frame.rows()];
        for part in &self.parts {
            match part {
                Part::Number { column, width, present, mean, variance } => {
                    let half = present * present * variance + present * (1.0 - present);
                    let values = frame.columns()[*column].values.numbers().unwrap_or_default();
                    squares.par_iter_mut().zip(values).for_each(|(square, x)| {
                        let from = x / width - mean;
                        let all = match x.is_nan() {
                            true => *present,
                            false => present * (from * from + variance) + 1.0 - present,
                        };
                        *square += all - half;
                    });
                }
                Part::Equal { column, shares, spread } => {
                    let keys = keys(&frame.columns()[*column].values);
                    squares.par_iter_mut().zip(keys).for_each(|(square, key)| {
                        *square += 1.0 - shares.get(&key).copied().unwrap_or(0.0) - spread;
                    });
                }
            }
        }
        squares.into_iter().map(|square| square.max(0.0).sqrt()).collect()
    }
}

/// Values as integers that are equal where the values are.
fn keys(values: &Values) -> Vec<u64> {
    match values {
        Values::Number(v) => v.iter().map(|x| if x.is_nan() { u64::MAX } else { (x + 0.0).to_bits() }).collect(),
        Values::Code(v) => v.iter().map(|c| u64::from(*c)).collect(),
        Values::Omitted => vec![],
    }
}

#[cfg(test)]
mod tests {
    use lookalike_core::MISSING;

    use super::*;
    use crate::test_frames::{codes, frame, numbers};

    #[test]
    fn centres_by_hand() {
        // x over the range 4 is 0, 1/2, 1, mean 1/2; c is one-hot over root 2, the centre (2/3, 1/3, 0) over root 2.
        let real = frame(vec![numbers("x", &[0.0, 2.0, 4.0]), codes("c", 3, &[0, 0, 1])]);
        let found = Centre::of(&real, &real).distances(&frame(vec![numbers("x", &[0.0, 2.0]), codes("c", 3, &[0, 2])]));
        let expected =
            [(1.0f64 / 4.0 + 0.5 * (1.0 / 9.0 + 1.0 / 9.0)).sqrt(), (0.5f64 * (4.0 / 9.0 + 1.0 / 9.0 + 1.0)).sqrt()];
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?} {expected:?}");
    }

    #[test]
    fn distances_to_centres_are_those_of_all_rows() {
        // The identity, with NULLs: from the pairs of the space itself.
        let real = frame(vec![
            numbers("x", &[0.0, 2.0, f64::NAN, 4.0, f64::NAN]),
            codes("c", 3, &[0, MISSING, 1, 2, 1]),
            numbers("one", &[7.0, 7.0, 7.0, f64::NAN, 7.0]),
        ]);
        let job = Job::unbounded();
        let space = Space::fit(Metric::Euclidean, &[&real]).unwrap();
        let points = space.encode(&real, &job).unwrap();
        let square = |a: usize, b: usize| space.distance(&points, a as u32, &points, b as u32).powi(2);
        let all = |a: usize| (0..5).map(|b| square(a, b)).sum::<f64>() / 5.0;
        let half = (0..5).map(all).sum::<f64>() / 10.0;
        let found = Centre::of(&real, &real).distances(&real);
        for (row, found) in found.into_iter().enumerate() {
            assert!((found - (all(row) - half).max(0.0).sqrt()).abs() < 1e-12, "row {row}: {found}");
        }
    }

    #[test]
    fn coverage_to_expect_by_hand() {
        // Of 6 real and 5 synthetic rows: 5/10 4/9 3/8 2/7 1/6 is the chance that the 5 nearest are all real.
        assert!((expected_coverage(6, 5) - (1.0 - 120.0 / 30240.0)).abs() < 1e-12);
        assert_eq!(agreement(|step| step as f64 / 29.0), 1.0);
        assert_eq!(agreement(|_| 0.0), 0.0);
    }
}
