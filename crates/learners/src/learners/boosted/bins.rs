//! Columns in at most 255 bins.

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::Matrix;

/// Most bins of a column.
const MAX_BINS: usize = 255;

/// Columns as bins, rows in canonical order.
pub(super) struct Bins {
    pub rows: usize,
    /// Of each column: the largest value of every bin but the last, ascending.
    pub edges: Vec<Vec<f64>>,
    /// Of each column: the bin of each row.
    pub codes: Vec<Vec<u8>>,
}

impl Bins {
    /// Every value is a bin where a column has at most 255; else edges are the mid-quantiles, as scikit-learn has them.
    pub fn of(x: &Matrix, order: &[u32], job: &Job) -> Result<Self> {
        let column = |c: usize| {
            job.check()?;
            let values: Vec<f64> = order.iter().map(|&r| x.row(r as usize)[c]).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let edges = edges(sorted);
            let codes = values.iter().map(|v| edges.partition_point(|e| e < v) as u8).collect();
            Ok((edges, codes))
        };
        let all: Vec<(Vec<f64>, Vec<u8>)> = (0..x.columns).into_par_iter().map(column).collect::<Result<_>>()?;
        let (edges, codes) = all.into_iter().unzip();
        Ok(Self { rows: order.len(), edges, codes })
    }
}

fn edges(sorted: Vec<f64>) -> Vec<f64> {
    let middle = |a: f64, b: f64| a + (b - a) * 0.5;
    let mut distinct = sorted.clone();
    distinct.dedup();
    let mut edges: Vec<f64> = if distinct.len() <= MAX_BINS {
        distinct.windows(2).map(|w| middle(w[0], w[1])).collect()
    } else {
        let last = sorted.len() - 1;
        let quantile = |i: usize| {
            // i/255 of the way, between two rows in the middle.
            let (at, rest) = (i * last / MAX_BINS, i * last % MAX_BINS);
            if rest == 0 { sorted[at] } else { middle(sorted[at], sorted[at + 1]) }
        };
        (1..MAX_BINS).map(quantile).collect()
    };
    edges.dedup();
    edges
}
