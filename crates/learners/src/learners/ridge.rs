//! Linear regression with a ridge.

use lookalike_core::{Error, Job, Result};
use rayon::prelude::*;

use super::Matrix;

/// Rows of a block, whose sums are added in order.
const BLOCK: usize = 4096;

/// A linear function of the columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    weights: Vec<f64>,
    intercept: f64,
}

impl Regression {
    /// The number expected for a row of the matrix's columns.
    pub fn number(&self, row: &[f64]) -> f64 {
        row.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f64>() + self.intercept
    }

    /// Weights of the columns.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What a row of zeros gets.
    pub fn intercept(&self) -> f64 {
        self.intercept
    }
}

/// Ridge regression (Hoerl & Kennard 1970): least sum of squared errors plus `penalty` times the sum of the squared
/// weights, the intercept left out; scikit-learn's `Ridge` with `alpha`.
///
/// Solved from the normal equations of centred columns by Cholesky's decomposition. Memory is 8 d^2 bytes a thread for d
/// columns. The result does not depend on the order of the rows or the number of threads.
///
/// Fails (internal) without rows or with a penalty that is not above 0.
pub fn ridge(x: &Matrix, y: &[f64], penalty: f64, job: &Job) -> Result<Regression> {
    if y.len() != x.rows || y.is_empty() || !(penalty > 0.0 && penalty.is_finite()) {
        return Err(Error::internal(format!("{} numbers of {} rows with a ridge of {penalty}", y.len(), x.rows)));
    }
    let order = x.canonical_order(|row| y[row]);
    let (products, means) = covariances(x, y, &order, job)?;
    let d = x.columns;
    let at = |i: usize, j: usize| i * (d + 1) + j;
    // Cholesky: the last row of the products, those with y, becomes the right-hand side on the way.
    let mut lower = products;
    for i in 0..d {
        lower[at(i, i)] += penalty;
    }
    for i in 0..=d {
        job.check()?;
        for j in 0..=i.min(d.saturating_sub(1)) {
            let (a, b) = (&lower[at(i, 0)..at(i, j)], &lower[at(j, 0)..at(j, j)]);
            let rest = lower[at(i, j)] - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            lower[at(i, j)] = match i == j {
                // The penalty keeps it positive but for rounding.
                true => rest.max(f64::MIN_POSITIVE).sqrt(),
                false => rest / lower[at(j, j)],
            };
        }
    }
    let mut weights = lower[at(d, 0)..at(d, d)].to_vec();
    for i in (0..d).rev() {
        let later: f64 = (i + 1..d).map(|j| lower[at(j, i)] * weights[j]).sum();
        weights[i] = (weights[i] - later) / lower[at(i, i)];
    }
    let intercept = means[d] - weights.iter().zip(&means).map(|(w, m)| w * m).sum::<f64>();
    Ok(Regression { weights, intercept })
}

/// Inner products of the centred columns and of `y`, which comes last: the lower triangle, row after row; and the means.
fn covariances(x: &Matrix, y: &[f64], order: &[u32], job: &Job) -> Result<(Vec<f64>, Vec<f64>)> {
    let width = x.columns + 1;
    let threads = rayon::current_num_threads().max(1);
    let _memory = job.reserve(8 * width * width * (threads + 1), "inner products of columns")?;
    let value = |row: u32, column: usize| match x.row(row as usize).get(column) {
        Some(value) => *value,
        None => y[row as usize],
    };
    let mean = |column| order.iter().map(|&row| value(row, column)).sum::<f64>() / order.len() as f64;
    let means: Vec<f64> = (0..width).into_par_iter().map(mean).collect();
    let mut products = vec![0.0; width * width];
    // A few blocks at a time, so that memory does not grow with the number of rows.
    for part in order.chunks(BLOCK * threads) {
        job.check()?;
        let block = |rows: &[u32]| {
            let (mut sum, mut centred) = (vec![0.0; width * width], vec![0.0; width]);
            for &row in rows {
                (0..width).for_each(|c| centred[c] = value(row, c) - means[c]);
                for (i, a) in centred.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                    sum[i * width..=i * width + i].iter_mut().zip(&centred).for_each(|(s, b)| *s += a * b);
                }
            }
            sum
        };
        let sums: Vec<Vec<f64>> = part.par_chunks(BLOCK).map(block).collect();
        for sum in sums {
            products.iter_mut().zip(sum).for_each(|(p, s)| *p += s);
        }
    }
    Ok((products, means))
}

/// Number of linearly independent columns beside an intercept: those that Cholesky's decomposition of the correlations,
/// with pivots, gets through. A column that the others explain but for 1e-7 of its variance is not one of them.
pub fn independent_columns(x: &Matrix, job: &Job) -> Result<usize> {
    const TOLERANCE: f64 = 1e-7;
    if x.rows == 0 {
        return Ok(0);
    }
    let order = x.canonical_order(|_| 0.0);
    let (mut products, _) = covariances(x, &vec![0.0; x.rows], &order, job)?;
    let at = |i: usize, j: usize| if i >= j { i * (x.columns + 1) + j } else { j * (x.columns + 1) + i };
    let scales: Vec<f64> = (0..x.columns).map(|i| products[at(i, i)].sqrt()).collect();
    let mut left: Vec<usize> = (0..x.columns).filter(|&i| scales[i] > 0.0).collect();
    for (place, &i) in left.iter().enumerate() {
        left[..=place].iter().for_each(|&j| products[at(i, j)] /= scales[i] * scales[j]);
    }
    let mut rank = 0;
    while let Some(place) = (0..left.len()).max_by(|&a, &b| {
        let size = |place: usize| products[at(left[place], left[place])];
        size(a).total_cmp(&size(b)).then(left[b].cmp(&left[a]))
    }) {
        job.check()?;
        let pivot = left.swap_remove(place);
        let size = products[at(pivot, pivot)];
        if size <= TOLERANCE {
            break;
        }
        rank += 1;
        let row: Vec<f64> = left.iter().map(|&i| products[at(i, pivot)]).collect();
        for (a, &i) in left.iter().enumerate() {
            for (b, &j) in left[..=a].iter().enumerate() {
                products[at(i, j)] -= row[a] * row[b] / size;
            }
        }
    }
    Ok(rank)
}
