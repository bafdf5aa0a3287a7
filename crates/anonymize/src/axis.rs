//! Quasi-identifiers as ranks: one unsigned integer a value, in the order in which the column is cut.

use std::sync::Arc;

use lookalike_core::{Column, Domain, Error, MISSING, NumberDomain, NumberKind, Result, Values};
use rayon::prelude::*;

use crate::Hierarchy;

/// The rank of a missing value: before every other.
pub const NULL: u32 = 0;

/// What ranks of a column mean.
#[derive(Debug, Clone)]
pub enum Scale {
    /// Rank r is the number `(lowest + r - 1) / steps`: differences of ranks are differences of numbers.
    Even {
        /// The smallest number, in steps.
        lowest: f64,
        /// Steps in one unit.
        steps: f64,
    },
    /// The number of rank r is `values[r - 1]`.
    Numbers(Arc<Vec<f64>>),
    /// Labels in ascending order: rank r is the label of code r - 1.
    Labels,
    /// Rank r is leaf r - 1.
    Tree(Hierarchy),
}

impl Scale {
    /// Numeric distance of two ranks, in units of its own.
    pub fn distance(&self, low: u32, high: u32) -> f64 {
        match self {
            Scale::Numbers(values) => values[high as usize - 1] - values[low as usize - 1],
            _ => f64::from(high - low),
        }
    }

    /// The number of a rank of a numeric scale, in the units of the column's domain; NaN for a missing value and for
    /// other scales.
    pub fn number(&self, rank: u32) -> f64 {
        match self {
            _ if rank == NULL => f64::NAN,
            Scale::Even { lowest, steps } => (lowest + f64::from(rank - 1)) / steps,
            Scale::Numbers(values) => values[rank as usize - 1],
            Scale::Labels | Scale::Tree(_) => f64::NAN,
        }
    }
}

/// Ranks and scale of one quasi-identifier of some rows.
#[derive(Debug)]
pub struct Ranked {
    /// What ranks mean.
    pub scale: Scale,
    /// Rank of each row; [`NULL`] for a missing value.
    pub ranks: Vec<u32>,
}

/// Ranks and scales of columns. At most 4 bytes a value stay; columns of arbitrary floats take 16 more while they are
/// sorted.
pub(crate) fn encode(columns: &[Column], hierarchies: &[Option<Hierarchy>]) -> Result<Vec<Ranked>> {
    columns.par_iter().zip(hierarchies).map(|(column, hierarchy)| encode_column(column, hierarchy.as_ref())).collect()
}

/// Ranks and scale of a column.
pub(crate) fn encode_column(column: &Column, hierarchy: Option<&Hierarchy>) -> Result<Ranked> {
    match (&column.domain, &column.values) {
        (Domain::Number(domain), Values::Number(values)) if hierarchy.is_none() && even(domain).is_none() => {
            let (ranks, distinct) = sorted_ranks(values);
            Ok(Ranked { ranks, scale: Scale::Numbers(Arc::new(distinct)) })
        }
        _ => {
            let scale = scale(column, hierarchy, || Ok(vec![]))?;
            Ok(Ranked { ranks: rank(column, &scale)?, scale })
        }
    }
}

/// The scale of a column; `numbers` gives the distinct values, ascending, where they lie on no grid.
pub(crate) fn scale(
    column: &Column,
    hierarchy: Option<&Hierarchy>,
    numbers: impl FnOnce() -> Result<Vec<f64>>,
) -> Result<Scale> {
    match (hierarchy, &column.domain) {
        (Some(hierarchy), _) => Ok(Scale::Tree(hierarchy.clone())),
        (None, Domain::Category(_)) => Ok(Scale::Labels),
        (None, Domain::Number(domain)) => Ok(match even(domain) {
            Some(steps) => Scale::Even { lowest: (steps * domain.min).round(), steps },
            None => Scale::Numbers(Arc::new(numbers()?)),
        }),
        (None, Domain::Identifier(_)) => Err(identifier(column)),
    }
}

/// Ranks of a column's values on its scale.
pub(crate) fn rank(column: &Column, scale: &Scale) -> Result<Vec<u32>> {
    match (scale, &column.values) {
        (Scale::Tree(hierarchy), values) => {
            let mut ranks = hierarchy.leaves_of(values)?;
            ranks.iter_mut().for_each(|r| *r = r.wrapping_add(1));
            Ok(ranks)
        }
        // MISSING is the largest code and wraps to 0.
        (Scale::Labels, Values::Code(codes)) => {
            const { assert!(MISSING.wrapping_add(1) == NULL) };
            Ok(codes.par_iter().map(|c| c.wrapping_add(1)).collect())
        }
        (Scale::Even { lowest, steps }, Values::Number(values)) => {
            let rank = |v: &f64| if v.is_nan() { NULL } else { ((v * steps).round() - lowest) as u32 + 1 };
            Ok(values.par_iter().map(rank).collect())
        }
        (Scale::Numbers(known), Values::Number(values)) => {
            let rank = |v: &f64| if v.is_nan() { NULL } else { known.partition_point(|k| k < v) as u32 + 1 };
            Ok(values.par_iter().map(rank).collect())
        }
        _ => Err(identifier(column)),
    }
}

fn identifier(column: &Column) -> Error {
    Error::argument(format!(
        "quasi_identifiers: column '{}' is an identifier, which cannot be generalised: leave it out of the \
         quasi-identifiers and of the released columns",
        column.name()
    ))
}

/// Grid steps in one unit, when the column's values lie on a grid of fewer than 2^32 - 2 points.
pub(crate) fn even(domain: &NumberDomain) -> Option<f64> {
    let steps = match domain.kind {
        NumberKind::Integer { .. } => 1.0,
        NumberKind::Float { decimals, .. } => 10f64.powi(i32::from(decimals?)),
    };
    (domain.width() * steps < f64::from(u32::MAX - 2)).then_some(steps)
}

/// Dense ranks by sorting, and the distinct values.
fn sorted_ranks(values: &[f64]) -> (Vec<u32>, Vec<f64>) {
    let mut order: Vec<(f64, u32)> = values.iter().copied().zip(0..).filter(|(v, _)| !v.is_nan()).collect();
    order.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut distinct) = (vec![NULL; values.len()], Vec::<f64>::new());
    for (value, row) in order {
        if distinct.last() != Some(&value) {
            distinct.push(value);
        }
        ranks[row as usize] = distinct.len() as u32;
    }
    (ranks, distinct)
}

/// Bytes that [`encode`] takes on top of the ranks, at its largest.
pub(crate) fn working_bytes(columns: &[Column]) -> usize {
    let sorted = columns.iter().filter_map(|c| match (&c.domain, &c.values) {
        (Domain::Number(domain), Values::Number(values)) if even(domain).is_none() => Some(values.len()),
        _ => None,
    });
    // Columns are encoded side by side, at most one a thread.
    let mut sorted: Vec<usize> = sorted.collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.iter().take(rayon::current_num_threads()).sum::<usize>() * (16 + 8)
}
