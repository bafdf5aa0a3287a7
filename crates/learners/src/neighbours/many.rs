//! More than one neighbour of a query: the nearest k, and how many lie within a radius.

use std::sync::{Mutex, PoisonError};

use lookalike_core::{Error, Job, MISSING, Result};

use super::collect::{Counts, TopK};
use super::search::{Plan, Probe, Task, search};
use super::{Points, SearchOptions, Space};

/// The nearest references of every query.
#[derive(Debug, Clone, PartialEq)]
pub struct KNearest {
    /// Neighbours of each query.
    pub k: usize,
    /// For each query its `k` neighbours, nearest first; of equally near ones those that come first in canonical order.
    /// [`MISSING`] where fewer than `k` references count.
    pub rows: Vec<u32>,
    /// Their distances; NaN where there is none.
    pub distances: Vec<f64>,
}

impl KNearest {
    /// Rows and distances of the neighbours of a query, without those that are missing.
    pub fn of(&self, query: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = query * self.k..(query + 1) * self.k;
        let pairs = self.rows[range.clone()].iter().copied().zip(self.distances[range].iter().copied());
        pairs.take_while(|(row, _)| *row != MISSING)
    }
}

/// References around a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Within {
    /// References nearer than the radius.
    pub nearer: u32,
    /// References exactly as far as the radius.
    pub tied: u32,
}

/// The `k` nearest references of every query, exactly, in the order of the queries. Rows count, several of one person
/// as well; [`SearchOptions::exclude_self`] leaves out the row itself or, with units, all rows of its person.
///
/// Uses all threads of the current rayon pool. Counts `pairs_compared` and reports progress of the phase `neighbours`.
/// Beside the points and the result it needs memory for one packed copy of the references and, where the search is
/// pruned, the boxes of a tree. Fails (internal) when rows are to exclude themselves from others.
pub fn k_nearest(
    space: &Space,
    queries: &Points,
    references: &Points,
    k: usize,
    options: SearchOptions,
    job: &Job,
) -> Result<KNearest> {
    k_nearest_by(Plan::default(), space, queries, references, k, options, job)
}

pub(super) fn k_nearest_by(
    plan: Plan,
    space: &Space,
    queries: &Points,
    references: &Points,
    k: usize,
    options: SearchOptions,
    job: &Job,
) -> Result<KNearest> {
    let slots = queries.rows() * k;
    let _result = job.reserve(slots * (size_of::<u32>() + size_of::<f64>()), "nearest neighbours")?;
    let result = Mutex::new(KNearest { k, rows: vec![MISSING; slots], distances: vec![f64::NAN; slots] });
    let held = k.min(references.rows());
    if held > 0 {
        let task = Task { space, queries, references, options, probe: Probe::Nearest(k), held };
        let start = |_| TopK::new(held);
        search(plan, &task, start, job, |found| {
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            for (query, best) in found {
                for (i, candidate) in best.into_sorted().into_iter().enumerate() {
                    result.rows[query * k + i] = references.canonical()[candidate.position as usize];
                    result.distances[query * k + i] = candidate.distance;
                }
            }
        })?;
    } else {
        options.check(queries, references)?;
    }
    Ok(result.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// How many references lie within a radius of every query, in the order of the queries; a radius a query. No reference
/// lies within a negative or NaN radius.
///
/// Fails (internal) when there are not as many radii as queries, or rows are to exclude themselves from others.
pub fn within(
    space: &Space,
    queries: &Points,
    references: &Points,
    radii: &[f64],
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Within>> {
    within_by(Plan::default(), space, queries, references, radii, options, job)
}

pub(super) fn within_by(
    plan: Plan,
    space: &Space,
    queries: &Points,
    references: &Points,
    radii: &[f64],
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Within>> {
    if radii.len() != queries.rows() {
        return Err(Error::internal(format!("{} radii of {} queries", radii.len(), queries.rows())));
    }
    let _result = job.reserve(size_of_val(radii), "neighbours within a radius")?;
    let result = Mutex::new(vec![Within::default(); radii.len()]);
    let task = Task { space, queries, references, options, probe: Probe::Radii(radii), held: 0 };
    let start = |query: usize| {
        let radius = radii[query];
        Counts::new(radius, space.largest_sum(radius), space.sure_sum(radius))
    };
    search(plan, &task, start, job, |found| {
        let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
        for (query, counts) in found {
            result[query] = Within { nearer: counts.nearer, tied: counts.tied };
        }
    })?;
    Ok(result.into_inner().unwrap_or_else(PoisonError::into_inner))
}
