//! Training rows that a synthetic row nearly hits in every column.

use std::collections::HashMap;

use lookalike_core::{Error, Frame, Job, Result, Values};
use rayon::prelude::*;

use super::measure::{mean, share_estimate, sorted};
use super::{DistanceFigure, Side, Tables};

/// How near a number has to be: the range of the training rows over this (SynthEval).
const PARTS: f64 = 30.0;

pub(super) fn figures(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let widths: Vec<f64> = numbers(tables.train.frame)
        .iter()
        .map(|v| {
            let present = sorted(v.iter().copied());
            present.last().zip(present.first()).map_or(0.0, |(high, low)| (high / PARTS) - (low / PARTS))
        })
        .collect();
    let index = Index::new(tables.synthetic);
    let hit = |side: &Side| index.hit(side.frame, &widths, job);
    let train = hit(&tables.train)?;
    let holdout = tables.holdout.as_ref().map(|h| Ok::<_, Error>(mean(&h.points, &hit(h)?))).transpose()?;
    let estimate = share_estimate(&tables.train.points, &train, tables.params.seed, job)?;
    Ok(vec![
        DistanceFigure::new(
            "hitting_rate",
            mean(&tables.train.points, &train),
            "share of training rows with a synthetic row within 1/30 of the range in every number and equal in every \
             category (SynthEval); compare it with the holdout figure",
        )
        .within(estimate.map(|e| (e.low, e.high)))
        .beside(holdout.flatten()),
    ])
}

fn numbers(frame: &Frame) -> Vec<&[f64]> {
    frame.columns().iter().filter_map(|c| c.values.numbers()).collect()
}

fn codes(frame: &Frame, row: usize) -> Vec<u32> {
    let code = |values: &Values| values.codes().map(|codes| codes[row]);
    frame.columns().iter().filter_map(|c| code(&c.values)).collect()
}

/// Rows by their categories.
struct Index<'a> {
    numbers: Vec<&'a [f64]>,
    rows: HashMap<Vec<u32>, Vec<u32>>,
}

impl<'a> Index<'a> {
    fn new(frame: &'a Frame) -> Self {
        let mut rows: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
        (0..frame.rows()).for_each(|row| rows.entry(codes(frame, row)).or_default().push(row as u32));
        Self { numbers: numbers(frame), rows }
    }

    /// 1 for every row of a frame that is hit, 0 for others. NULL hits NULL alone.
    fn hit(&self, frame: &Frame, widths: &[f64], job: &Job) -> Result<Vec<f64>> {
        let theirs = numbers(frame);
        let near = |a: f64, b: f64, width: f64| a == b || (a - b).abs() <= width || (a.is_nan() && b.is_nan());
        let is_hit = |row: usize| {
            job.check()?;
            let candidates = self.rows.get(&codes(frame, row)).map_or(&[][..], Vec::as_slice);
            let found = candidates.iter().any(|&candidate| {
                let mut columns = self.numbers.iter().zip(&theirs).zip(widths);
                columns.all(|((a, b), width)| near(a[candidate as usize], b[row], *width))
            });
            Ok(f64::from(u8::from(found)))
        };
        (0..frame.rows()).into_par_iter().map(is_hit).collect()
    }
}
