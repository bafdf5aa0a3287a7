//! Distances beside those of noise.

use lookalike_core::{Column, Frame, Job, MISSING, Result, Streams, Values, uniform};
use rand::RngCore;

use super::measure::{quantile, sorted};
use super::{DistanceFigure, Side, Tables};
use crate::{SearchOptions, nearest};

/// The median distance beside that of rows drawn uniformly in every column, at most 1 (SDMetrics'
/// DCRBaselineProtection).
pub(super) fn figures(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let noise = noise(tables.train.frame, tables.synthetic.rows(), tables.params.seed);
    let noise = tables.space.encode(&noise, job)?;
    let of = |side: &Side| -> Result<Option<f64>> {
        let found = nearest(&tables.space, &noise, &side.points, SearchOptions::default(), job)?;
        let noise = quantile(&sorted(found.iter().map(|n| n.distance)), 0.5);
        let synthetic = quantile(&sorted(side.of_synthetic.iter().map(|n| n.distance)), 0.5);
        Ok(noise
            .zip(synthetic)
            .filter(|(noise, _)| *noise > 0.0)
            .map(|(noise, synthetic)| (synthetic / noise).min(1.0)))
    };
    let value = of(&tables.train)?;
    let mut note = "median distance of synthetic rows to train over that of as many rows of uniform noise, at most 1 \
                    (SDMetrics' DCRBaselineProtection); a good generator scores low, so it cannot tell copies from quality"
        .to_string();
    if value.is_none() {
        note += "; NULL: most rows of noise are equal to a training row";
    }
    let holdout = tables.holdout.as_ref().map(of).transpose()?.flatten();
    Ok(vec![DistanceFigure::new("dcr_baseline", value, note).beside(holdout)])
}

/// Rows drawn uniformly between the smallest and the largest number, and of the labels, that the training rows have.
fn noise(train: &Frame, rows: usize, seed: u64) -> Frame {
    let streams = Streams::new(seed, "noise");
    let column = |(c, column): (usize, &Column)| {
        let mut rng = streams.block(c as u64);
        let values = match &column.values {
            Values::Number(values) => {
                let present = sorted(values.iter().copied());
                match present.first().zip(present.last()) {
                    Some((low, high)) => {
                        let width = high - low;
                        Values::Number((0..rows).map(|_| low + uniform(&mut rng) * width).collect())
                    }
                    None => Values::Number(vec![f64::NAN; rows]),
                }
            }
            Values::Code(codes) => {
                let mut labels: Vec<u32> = codes.iter().copied().filter(|c| *c != MISSING).collect();
                labels.sort_unstable();
                labels.dedup();
                let draw = |_| match labels.len() as u64 {
                    0 => MISSING,
                    n => labels[(rng.next_u64() % n) as usize],
                };
                Values::Code((0..rows).map(draw).collect())
            }
            Values::Omitted => Values::Omitted,
        };
        Column { values, ..column.without_values() }
    };
    Frame::new(rows, train.columns().iter().enumerate().map(column).collect(), None)
}
