//! Small supervised learners: logistic and ridge regression and gradient-boosted trees over frames.
//!
//! Attacks and figures of quality need classifiers that give the same bits whatever the order of the rows and the number of threads, stop when
//! the job is cancelled, and bring nothing into the build. [`Features`] turns frames into a [`Matrix`]; [`logistic`],
//! [`ridge`] and [`boosted`] learn from it. All put rows into an order of content first and add over fixed blocks. Where there are
//! more columns than rows, `dual_logistic` finds the same regression from the inner products of the rows.

mod boosted;
mod dual;
mod features;
mod logistic;
mod ridge;

use lookalike_core::{Error, Result};
use rayon::prelude::*;

pub use boosted::{Boosted, BoostedParams, Target, boosted};
pub use dual::dual_logistic;
pub use features::{Features, Moments};
pub use logistic::{Linear, logistic};
pub use ridge::{Regression, independent_columns, ridge};

/// A dense table of numbers, row after row, none of them NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows * columns` values.
    pub values: Vec<f64>,
}

impl Matrix {
    /// The values of a row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// Rows in an order that depends on their values and labels alone.
    fn canonical_order(&self, label: impl Fn(usize) -> f64 + Sync) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.rows as u32).collect();
        order.par_sort_unstable_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            let parts = self.row(a).iter().zip(self.row(b)).map(|(x, y)| x.total_cmp(y));
            parts.chain([label(a).total_cmp(&label(b))]).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        order
    }

    /// The given rows, in that order.
    fn gather(&self, rows: &[u32]) -> Matrix {
        let values = rows.iter().flat_map(|&r| self.row(r as usize)).copied().collect();
        Matrix { rows: rows.len(), columns: self.columns, values }
    }
}

/// The classes that occur among labels. Learners know these alone: a class that no row has gets probability 0.
#[derive(Debug, Clone, PartialEq)]
struct Classes {
    /// Classes that occur, ascending.
    present: Vec<u32>,
    /// Number of classes, those that do not occur included.
    count: usize,
}

impl Classes {
    /// The classes of labels, and each label as its place among those that occur.
    fn of(labels: &[u32], count: usize) -> Result<(Self, Vec<u32>)> {
        let mut place = vec![u32::MAX; count];
        for &label in labels {
            *place
                .get_mut(label as usize)
                .ok_or_else(|| Error::internal(format!("class {label} of {count} classes")))? = 0;
        }
        let present: Vec<u32> = (0..count as u32).filter(|&c| place[c as usize] == 0).collect();
        if present.is_empty() {
            return Err(Error::internal("a classifier learns from no rows"));
        }
        present.iter().zip(0..).for_each(|(&c, i)| place[c as usize] = i);
        Ok((Self { present, count }, labels.iter().map(|&l| place[l as usize]).collect()))
    }

    /// Scores that a learner has: none for a single class, the log odds of the second of two, one each of more.
    fn scores(&self) -> usize {
        match self.present.len() {
            1 => 0,
            2 => 1,
            n => n,
        }
    }

    /// Probabilities of all classes.
    fn probabilities(&self, scores: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; self.count];
        match scores {
            [] => all[self.present[0] as usize] = 1.0,
            [one] => {
                all[self.present[0] as usize] = sigmoid(-one);
                all[self.present[1] as usize] = sigmoid(*one);
            }
            many => {
                let mut shares = many.to_vec();
                softmax(&mut shares);
                self.present.iter().zip(shares).for_each(|(&c, p)| all[c as usize] = p);
            }
        }
        all
    }

    /// Log odds of class 1 against all others; infinite where it is the only class that occurs, or does not occur.
    fn log_odds(&self, scores: &[f64]) -> f64 {
        let Some(place) = self.present.iter().position(|&c| c == 1) else { return f64::NEG_INFINITY };
        match scores {
            [] => f64::INFINITY,
            [one] => [-one, *one][place],
            many => many[place] - log_sum_exp(many.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, s)| *s)),
        }
    }
}

/// 1 / (1 + exp(-x)).
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// log(1 + exp(x)) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// Scores to shares of 1.
fn softmax(scores: &mut [f64]) {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|s| *s = libm::exp(*s - max));
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
}

/// log(sum(exp(x))) without overflow; minus infinity of nothing.
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + libm::log(values.map(|v| libm::exp(v - max)).sum()) }
}

#[cfg(test)]
mod tests;
