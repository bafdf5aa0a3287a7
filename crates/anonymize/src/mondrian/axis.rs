//! Quasi-identifiers as ranks: one unsigned integer a value, in the order in which the column is cut.

use lookalike_core::{Column, Domain, Error, Frame, MISSING, NumberDomain, NumberKind, Result, Values};
use rayon::prelude::*;

use crate::Hierarchy;

/// The rank of a missing value: before every other.
pub(super) const NULL: u32 = 0;

/// What ranks of a column mean.
#[derive(Debug)]
pub(super) enum Scale {
    /// Differences of ranks are differences of numbers.
    Even,
    /// The number of rank r is `values[r - 1]`.
    Numbers(Vec<f64>),
    /// Labels in ascending order.
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
}

/// Ranks and scales of all columns of a frame. At most 4 bytes a value stay; columns of arbitrary floats take 16
/// more while they are sorted.
pub(super) fn encode(frame: &Frame, hierarchies: &[Option<Hierarchy>]) -> Result<Vec<(Vec<u32>, Scale)>> {
    frame.columns().par_iter().zip(hierarchies).map(|(column, hierarchy)| encode_column(column, hierarchy)).collect()
}

fn encode_column(column: &Column, hierarchy: &Option<Hierarchy>) -> Result<(Vec<u32>, Scale)> {
    if let Some(hierarchy) = hierarchy {
        let mut ranks = hierarchy.leaves_of(&column.values)?;
        ranks.iter_mut().for_each(|r| *r = r.wrapping_add(1));
        return Ok((ranks, Scale::Tree(hierarchy.clone())));
    }
    match (&column.domain, &column.values) {
        // MISSING is the largest code and wraps to 0.
        (Domain::Category(_), Values::Code(codes)) => {
            const { assert!(MISSING.wrapping_add(1) == NULL) };
            Ok((codes.par_iter().map(|c| c.wrapping_add(1)).collect(), Scale::Labels))
        }
        (Domain::Number(domain), Values::Number(values)) => Ok(match even(domain) {
            Some(steps) => (even_ranks(values, steps * domain.min, steps), Scale::Even),
            None => {
                let (ranks, distinct) = sorted_ranks(values);
                (ranks, Scale::Numbers(distinct))
            }
        }),
        _ => Err(Error::argument(format!(
            "quasi_identifiers: column '{}' is an identifier, which cannot be generalised: leave it out of the \
             quasi-identifiers and of the released columns",
            column.name()
        ))),
    }
}

/// Grid steps in one unit, when the column's values lie on a grid of fewer than 2^32 - 2 points.
fn even(domain: &NumberDomain) -> Option<f64> {
    let steps = match domain.kind {
        NumberKind::Integer { .. } => 1.0,
        NumberKind::Float { decimals, .. } => 10f64.powi(i32::from(decimals?)),
    };
    (domain.width() * steps < f64::from(u32::MAX - 2)).then_some(steps)
}

fn even_ranks(values: &[f64], lowest: f64, steps: f64) -> Vec<u32> {
    let lowest = lowest.round();
    let rank = |v: &f64| if v.is_nan() { NULL } else { ((v * steps).round() - lowest) as u32 + 1 };
    values.par_iter().map(rank).collect()
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
pub(super) fn working_bytes(frame: &Frame) -> usize {
    let sorted = frame.columns().iter().filter(|c| match &c.domain {
        Domain::Number(domain) => even(domain).is_none(),
        _ => false,
    });
    // Columns are encoded side by side, at most one a thread.
    sorted.count().min(rayon::current_num_threads()) * frame.rows() * (16 + 8)
}
