//! Gradient-boosted trees over histograms.
//!
//! The house has its own because none of the libraries looked at (perpetual, forust-ml, smartcore) offers a way to be
//! cancelled from outside in the middle of a fit, nor promises the same bits with any number of threads.

mod bins;
mod tree;

use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

use super::{Classes, Matrix, sigmoid, softmax};
use bins::Bins;
use tree::Tree;

/// What is to be learned.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// Labels below a number of classes: least log loss.
    Classes(&'a [u32], usize),
    /// Numbers: least squares.
    Numbers(&'a [f64]),
}

/// How trees grow. The defaults are those of scikit-learn's `HistGradientBoostingClassifier`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoostedParams {
    /// Rounds; each adds a tree, with more than two classes one for each that occurs.
    pub rounds: usize,
    /// What part of its best step a tree makes.
    pub shrinkage: f64,
    /// Most leaves of a tree, at least 2. The leaf that gains most is split first.
    pub leaves: usize,
    /// Most splits above a leaf.
    pub depth: usize,
    /// Fewest rows of a leaf, at least 1.
    pub min_rows: usize,
    /// Least sum of second derivatives of a leaf.
    pub min_weight: f64,
    /// L2 penalty of the values of leaves.
    pub ridge: f64,
}

impl Default for BoostedParams {
    fn default() -> Self {
        Self { rounds: 100, shrinkage: 0.1, leaves: 31, depth: 32, min_rows: 20, min_weight: 1e-3, ridge: 0.0 }
    }
}

/// Trees that were grown.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosted {
    /// `None` for numbers.
    classes: Option<Classes>,
    /// Of each score: where it starts, and its trees.
    scores: Vec<(f64, Vec<Tree>)>,
}

impl Boosted {
    /// Probabilities of all classes for a row of the matrix's columns; empty for trees of numbers. A class that no
    /// training row had gets 0.
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        self.classes.as_ref().map_or(vec![], |c| c.probabilities(&self.scores(row)))
    }

    /// Log odds of class 1 against all others; infinite where it was the only class, or none of the classes, of the
    /// training rows. NaN for trees of numbers.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        self.classes.as_ref().map_or(f64::NAN, |c| c.log_odds(&self.scores(row)))
    }

    /// The number expected for a row; NaN for trees of classes.
    pub fn number(&self, row: &[f64]) -> f64 {
        if self.classes.is_some() { f64::NAN } else { self.scores(row)[0] }
    }

    fn scores(&self, row: &[f64]) -> Vec<f64> {
        self.scores.iter().map(|(start, trees)| trees.iter().fold(*start, |sum, t| sum + t.value(row))).collect()
    }
}

/// Grows trees one after the other, each on the first and second derivatives of the loss at what the trees before it say
/// (Chen & Guestrin 2016, section 2), over at most 255 bins a column (Ke et al. 2017).
///
/// Nothing is drawn, and the result does not depend on the order of the rows or the number of threads. Fails (internal)
/// without rows, with a label that is no class, or with parameters out of range.
pub fn boosted(x: &Matrix, y: Target<'_>, params: BoostedParams, job: &Job) -> Result<Boosted> {
    let (rows, classes, labels) = match y {
        Target::Classes(labels, count) => {
            let (classes, places) = Classes::of(labels, count)?;
            (labels.len(), Some(classes), places.into_iter().map(f64::from).collect())
        }
        Target::Numbers(numbers) => (numbers.len(), None, numbers.to_vec()),
    };
    let scores = classes.as_ref().map_or(1, Classes::scores);
    if rows != x.rows || rows == 0 || params.leaves < 2 || params.min_rows == 0 {
        return Err(Error::internal(format!("{rows} labels of {} rows for boosted trees {params:?}", x.rows)));
    }
    let _memory = job.reserve(x.rows * (x.columns + 24 * scores.max(1) + 8), "boosted trees")?;
    let order = x.canonical_order(|row| labels[row]);
    let labels: Vec<f64> = order.iter().map(|&r| labels[r as usize]).collect();
    let bins = Bins::of(x, &order, job)?;
    let starts = starts(&labels, classes.as_ref(), scores);
    let mut at: Vec<Vec<f64>> = starts.iter().map(|s| vec![*s; rows]).collect();
    let mut trees: Vec<(f64, Vec<Tree>)> = starts.into_iter().map(|s| (s, vec![])).collect();
    for round in 0..params.rounds {
        let derivatives = derivatives(&at, &labels, classes.is_some());
        for ((at, (_, trees)), derivatives) in at.iter_mut().zip(&mut trees).zip(&derivatives) {
            job.check()?;
            trees.push(tree::grow(&bins, derivatives, &params, at, job)?);
        }
        job.progress("boosting", round as u64 + 1, params.rounds as u64);
    }
    Ok(Boosted { classes, scores: trees })
}

/// The best constant scores.
fn starts(labels: &[f64], classes: Option<&Classes>, scores: usize) -> Vec<f64> {
    let rows = labels.len() as f64;
    let count = |class: usize| labels.iter().filter(|l| **l == class as f64).count() as f64;
    match (classes, scores) {
        (None, _) => vec![labels.iter().sum::<f64>() / rows],
        (Some(_), 1) => vec![libm::log(count(1) / count(0))],
        (Some(_), n) => (0..n).map(|class| libm::log(count(class) / rows)).collect(),
    }
}

/// First and second derivative of the loss by each score, a row.
fn derivatives(at: &[Vec<f64>], labels: &[f64], are_classes: bool) -> Vec<Vec<[f64; 2]>> {
    match at {
        [at] if !are_classes => vec![at.iter().zip(labels).map(|(f, y)| [f - y, 1.0]).collect()],
        [at] => {
            let of = |(f, y): (&f64, &f64)| {
                let p = sigmoid(*f);
                [p - y, p * (1.0 - p)]
            };
            vec![at.par_iter().zip(labels).with_min_len(1024).map(of).collect()]
        }
        _ => {
            let shares: Vec<Vec<f64>> = (0..labels.len())
                .into_par_iter()
                .with_min_len(256)
                .map(|row| {
                    let mut shares: Vec<f64> = at.iter().map(|s| s[row]).collect();
                    softmax(&mut shares);
                    shares
                })
                .collect();
            let of = |class: usize| {
                let row = |(shares, y): (&Vec<f64>, &f64)| {
                    let p = shares[class];
                    [p - f64::from(u8::from(*y == class as f64)), p * (1.0 - p)]
                };
                shares.iter().zip(labels).map(row).collect()
            };
            (0..at.len()).map(of).collect()
        }
    }
}
