//! Training rows that are nearer to a synthetic row than to any other training row, rare values weighing more.

use std::sync::atomic::{AtomicU64, Ordering};

use lookalike_core::{Frame, Job, Result, Values};
use lookalike_learners::Bootstrap;
use rayon::prelude::*;

use super::measure::{by_person, mean, share_estimate, sorted, standard_error};
use super::{DistanceFigure, NO_HOLDOUT, Side, Tables};
use crate::{Metric, normal_p_value};

pub(super) fn figures(tables: &Tables<'_>, job: &Job) -> Result<Vec<DistanceFigure>> {
    let seed = tables.params.seed;
    let scale = Scale::new(tables.train.frame, tables.params.metric);
    let synthetic = scale.rows(tables.synthetic, None);
    let identified = |side: &Side| -> Result<Vec<f64>> {
        let real = scale.rows(side.frame, side.frame.units().map(|u| u.codes.clone()));
        identified(&scale, &real, &synthetic, job)
    };
    let train = identified(&tables.train)?;
    let estimate = share_estimate(&tables.train.points, &train, seed, job)?;
    let mut note = "share of training rows nearer to a synthetic row than to any row of another training person, columns \
                    weighted by 1/entropy (ADS-GAN, Yoon et al. 2020; their parts as in metric); without any leakage about \
                    1/2 with as many synthetic as training rows, more with more"
        .to_string();
    if scale.columns.is_empty() {
        note += "; NULL: every column is constant in train";
    } else if estimate.is_none() {
        note += "; NULL: the training rows are of one person";
    }
    let mut figures = vec![
        DistanceFigure::new("epsilon_identifiability", mean(&tables.train.points, &train), note)
            .within(estimate.map(|e| (e.low, e.high))),
    ];
    let Some(holdout) = &tables.holdout else {
        figures.push(DistanceFigure::new("identifiability_excess", None, NO_HOLDOUT));
        return Ok(figures);
    };
    let others = identified(holdout)?;
    figures[0].holdout = mean(&holdout.points, &others);
    let persons = [by_person(&tables.train.points, &train), by_person(&holdout.points, &others)];
    let excess = Bootstrap { seed, ..Bootstrap::default() }.difference(&persons[0], &persons[1], job)?;
    let mut note = "epsilon_identifiability less its holdout figure; above 0 the training rows are nearer".to_string();
    let same_size = tables.null_share() == Some(0.5);
    if !same_size {
        note += "; null_value and p_value NULL: with sizes that differ the two have different baselines";
    }
    let p_value = |e| Some(normal_p_value(e, 0.0, standard_error(excess.as_ref()?))).filter(|p| !p.is_nan());
    figures.push(
        DistanceFigure::new("identifiability_excess", excess.map(|e| e.value), note)
            .within(excess.map(|e| (e.low, e.high)))
            .expecting(same_size.then_some(0.0))
            .tested(excess.filter(|_| same_size).and_then(|e| p_value(e.value))),
    );
    Ok(figures)
}

/// A column that is compared: its place in the frame, its width in the training rows (0 for categories and constants)
/// and its weight.
struct Weighted {
    place: usize,
    width: f64,
    weight: f64,
}

/// Columns by falling weight, so that a comparison can stop early.
struct Scale {
    columns: Vec<Weighted>,
    metric: Metric,
}

/// Rows side by side, numbers and codes alike: NaN is NULL.
struct Rows {
    values: Vec<f64>,
    count: usize,
    units: Option<Vec<u32>>,
}

impl Scale {
    /// Weights are 1 / entropy of the values in the training rows, NULL being a value; a column of one value has none
    /// and is left out, because it tells nobody apart.
    fn new(train: &Frame, metric: Metric) -> Self {
        let mut columns = vec![];
        for (place, column) in train.columns().iter().enumerate() {
            let (entropy, width) = match &column.values {
                Values::Number(values) => {
                    let present = sorted(values.iter().copied());
                    let width = present.last().zip(present.first()).map_or(0.0, |(high, low)| high - low);
                    let runs = present.chunk_by(|a, b| a == b).map(<[f64]>::len);
                    (entropy(runs.chain([values.len() - present.len()]), values.len()), width)
                }
                Values::Code(codes) => {
                    let mut sorted = codes.clone();
                    sorted.sort_unstable();
                    (entropy(sorted.chunk_by(|a, b| a == b).map(<[u32]>::len), codes.len()), 0.0)
                }
                Values::Omitted => continue,
            };
            if entropy > 0.0 {
                columns.push(Weighted { place, width, weight: 1.0 / entropy });
            }
        }
        columns.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        Self { columns, metric }
    }

    fn rows(&self, frame: &Frame, units: Option<Vec<u32>>) -> Rows {
        let width = self.columns.len();
        let mut rows = vec![f64::NAN; frame.rows() * width];
        for (c, column) in self.columns.iter().enumerate() {
            let cells = rows.iter_mut().skip(c).step_by(width);
            match &frame.columns()[column.place].values {
                Values::Number(values) => cells.zip(values).for_each(|(cell, v)| *cell = *v),
                Values::Code(codes) => cells.zip(codes).for_each(|(cell, code)| *cell = f64::from(*code)),
                Values::Omitted => {}
            }
        }
        Rows { values: rows, count: frame.rows(), units }
    }

    /// The weighted sum of two rows, or any number of at least `limit` when it is that large.
    fn sum(&self, a: &[f64], b: &[f64], limit: f64) -> f64 {
        let mut sum = 0.0;
        for ((a, b), column) in a.iter().zip(b).zip(&self.columns) {
            if a == b || (a.is_nan() && b.is_nan()) {
                continue;
            }
            let part = if column.width == 0.0 || a.is_nan() || b.is_nan() { 1.0 } else { (a - b).abs() / column.width };
            sum += column.weight
                * match self.metric {
                    // Angles and masks have no weights: there the parts are those of Gower.
                    Metric::Gower | Metric::Cosine | Metric::Masked => part.min(1.0),
                    Metric::L1 => part,
                    Metric::Euclidean => part * part,
                };
            if sum >= limit {
                break;
            }
        }
        sum
    }
}

fn entropy(counts: impl Iterator<Item = usize>, total: usize) -> f64 {
    let part = |count: usize| {
        let share = count as f64 / total as f64;
        share * libm::log(share)
    };
    -counts.filter(|&n| n > 0).map(part).sum::<f64>()
}

/// 1 for every real row that is nearer to a synthetic row than to a real row of another person, 0 for others, NaN where
/// there is no other person.
fn identified(scale: &Scale, real: &Rows, synthetic: &Rows, job: &Job) -> Result<Vec<f64>> {
    let width = scale.columns.len();
    if width == 0 {
        return Ok(vec![f64::NAN; real.count]);
    }
    let done = AtomicU64::new(0);
    let one = |i: usize| {
        job.check()?;
        let own = &real.values[i * width..][..width];
        let is_self = |j: usize| match &real.units {
            Some(units) => units[i] == units[j],
            None => i == j,
        };
        let mut nearest = f64::INFINITY;
        for (_, other) in real.values.chunks_exact(width).enumerate().filter(|(j, _)| !is_self(*j)) {
            nearest = nearest.min(scale.sum(own, other, nearest));
        }
        let before = done.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(256) {
            job.progress("identifiability", before, real.count as u64);
        }
        if nearest == f64::INFINITY {
            return Ok(f64::NAN);
        }
        let found = synthetic.values.chunks_exact(width).any(|other| scale.sum(own, other, nearest) < nearest);
        Ok(f64::from(u8::from(found)))
    };
    (0..real.count).into_par_iter().map(one).collect()
}
