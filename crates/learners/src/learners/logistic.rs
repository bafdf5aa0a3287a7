//! Logistic regression with a ridge.

use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

use super::{Classes, Matrix, sigmoid, softplus};

/// Steps that the search remembers.
const MEMORY: usize = 10;

/// Steps after which the search gives up.
const MAX_STEPS: usize = 2000;

/// The largest gradient component a row at which the search ends.
const TOLERANCE: f64 = 1e-9;

/// Rows of a block, whose sums are added in order; more where there would be more than 64 blocks.
const BLOCK: usize = 512;

/// A linear classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    classes: Classes,
    columns: usize,
    /// For each score its weights, then its intercept.
    weights: Vec<f64>,
}

impl Linear {
    /// Probabilities of all classes for a row of the matrix's columns. A class that no training row had gets 0.
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        self.classes.probabilities(&self.scores(row))
    }

    /// Log odds of class 1 against all others; infinite where it was the only class, or none of the classes, of the
    /// training rows.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        self.classes.log_odds(&self.scores(row))
    }

    /// For two classes that both occur, the weights of the log odds of class 1, then the intercept; for more, those of
    /// each class that occurs, one after the other.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn scores(&self, row: &[f64]) -> Vec<f64> {
        self.weights.chunks_exact(self.columns + 1).map(|w| score(w, row)).collect()
    }
}

fn score(weights: &[f64], row: &[f64]) -> f64 {
    row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + weights[row.len()]
}

/// Multinomial logistic regression of labels below `classes`: least sum over rows of the log loss plus `ridge` / 2 times
/// the sum of the squared weights, intercepts left out. With `ridge` = 1/C this is scikit-learn's `LogisticRegression`:
/// two classes have one set of weights, more have one each.
///
/// Found by L-BFGS (Nocedal & Wright 2006, algorithm 7.5) from zero, until no component of the gradient exceeds 1e-9 a
/// row or rounding allows no further step; a search that takes too many steps is told to the user. The result does not
/// depend on the order of the rows or the number of threads.
///
/// Fails (internal) without rows, with a label that is no class, or with a ridge that is not above 0.
pub fn logistic(x: &Matrix, y: &[u32], classes: usize, ridge: f64, job: &Job) -> Result<Linear> {
    if y.len() != x.rows || !(ridge > 0.0 && ridge.is_finite()) {
        return Err(Error::internal(format!("{} labels of {} rows with a ridge of {ridge}", y.len(), x.rows)));
    }
    let (classes, labels) = Classes::of(y, classes)?;
    let scores = classes.scores();
    let (blocks, parameters) = (x.rows.div_ceil(block(x.rows)), scores * (x.columns + 1));
    let bytes = 8 * (x.rows * x.columns + parameters * (blocks + 2 * MEMORY + 4));
    let _memory = job.reserve(bytes, "logistic regression")?;
    let order = x.canonical_order(|row| f64::from(labels[row]));
    let labels: Vec<u32> = order.iter().map(|&r| labels[r as usize]).collect();
    let loss = Loss { x: x.gather(&order), labels, scores, ridge };
    let weights = if scores == 0 { vec![] } else { minimise(&loss, parameters, job)? };
    Ok(Linear { classes, columns: x.columns, weights })
}

fn block(rows: usize) -> usize {
    BLOCK.max(rows.div_ceil(64))
}

struct Loss {
    x: Matrix,
    labels: Vec<u32>,
    scores: usize,
    ridge: f64,
}

impl Loss {
    /// The objective and its gradient.
    fn at(&self, weights: &[f64], job: &Job) -> Result<(f64, Vec<f64>)> {
        job.check()?;
        let parts: Vec<(f64, Vec<f64>)> = self
            .labels
            .par_chunks(block(self.x.rows))
            .enumerate()
            .map(|(i, part)| self.part(i, part, weights))
            .collect();
        let (mut sum, mut gradient) = (0.0, vec![0.0; weights.len()]);
        for (loss, part) in parts {
            sum += loss;
            gradient.iter_mut().zip(part).for_each(|(g, p)| *g += p);
        }
        let columns = self.x.columns;
        for (g, w) in gradient.chunks_exact_mut(columns + 1).zip(weights.chunks_exact(columns + 1)) {
            for (g, w) in g.iter_mut().zip(&w[..columns]) {
                *g += self.ridge * w;
                sum += 0.5 * self.ridge * w * w;
            }
        }
        Ok((sum, gradient))
    }

    fn part(&self, number: usize, labels: &[u32], weights: &[f64]) -> (f64, Vec<f64>) {
        let (mut sum, mut gradient) = (0.0, vec![0.0; weights.len()]);
        let width = self.x.columns + 1;
        let mut residuals = vec![0.0; self.scores];
        for (i, &label) in labels.iter().enumerate() {
            let row = self.x.row(number * block(self.x.rows) + i);
            for (r, w) in residuals.iter_mut().zip(weights.chunks_exact(width)) {
                *r = score(w, row);
            }
            if let [one] = residuals.as_mut_slice() {
                sum += softplus(if label == 1 { -*one } else { *one });
                *one = sigmoid(*one) - f64::from(label);
            } else {
                let of_label = residuals[label as usize];
                let max = residuals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                residuals.iter_mut().for_each(|r| *r = libm::exp(*r - max));
                let total: f64 = residuals.iter().sum();
                sum += libm::log(total) + max - of_label;
                residuals.iter_mut().for_each(|r| *r /= total);
                residuals[label as usize] -= 1.0;
            }
            for (r, g) in residuals.iter().zip(gradient.chunks_exact_mut(width)) {
                g.iter_mut().zip(row).for_each(|(g, x)| *g += r * x);
                g[width - 1] += r;
            }
        }
        (sum, gradient)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn minimise(loss: &Loss, parameters: usize, job: &Job) -> Result<Vec<f64>> {
    let mut at = vec![0.0; parameters];
    let (mut value, mut gradient) = loss.at(&at, job)?;
    // Steps and changes of the gradient, oldest first.
    let mut memory: Vec<(Vec<f64>, Vec<f64>)> = vec![];
    let largest = |g: &[f64]| g.iter().map(|g| g.abs()).fold(0.0, f64::max);
    for _ in 0..MAX_STEPS {
        if largest(&gradient) <= TOLERANCE * loss.x.rows as f64 {
            return Ok(at);
        }
        let direction = direction(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        let mut step = if memory.is_empty() { 1.0 / gradient.iter().map(|g| g * g).sum::<f64>().sqrt() } else { 1.0 };
        let found = loop {
            let next: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let (next_value, next_gradient) = loss.at(&next, job)?;
            if next_value <= value + 1e-4 * step * slope {
                break Some((next, next_value, next_gradient));
            }
            // The gain is below the rounding of the sum: what counts is the gradient.
            if (next_value - value).abs() <= 1e-12 * value.abs() && largest(&next_gradient) < largest(&gradient) {
                break Some((next, next_value, next_gradient));
            }
            step *= 0.5;
            if step < 1e-10 {
                break None;
            }
        };
        let Some((next, next_value, next_gradient)) = found else { return Ok(at) };
        let moved: Vec<f64> = next.iter().zip(&at).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&moved, &turned) > 0.0 {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push((moved, turned));
        }
        (at, value, gradient) = (next, next_value, next_gradient);
    }
    job.warn(&format!("a logistic regression was stopped after {MAX_STEPS} steps, near its optimum"));
    Ok(at)
}

/// Minus the inverse Hessian, as far as remembered, times the gradient.
fn direction(gradient: &[f64], memory: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = vec![];
    for (s, y) in memory.iter().rev() {
        let share = dot(s, &q) / dot(s, y);
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= share * y);
        shares.push(share);
    }
    if let Some((s, y)) = memory.last() {
        let scale = dot(s, y) / dot(y, y);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(y, &q) / dot(s, y);
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (share - back) * s);
    }
    q
}
