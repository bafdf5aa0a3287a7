//! More than one neighbour of a query: the nearest k, and how many lie within a radius.

use std::collections::BinaryHeap;

use lookalike_core::{Error, Job, MISSING, Result};
use rayon::prelude::*;

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

#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    distance: f64,
    position: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.position.cmp(&other.position))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` nearest references of every query, exactly, in the order of the queries. Rows count, several of one person
/// as well; [`SearchOptions::exclude_self`] leaves out the row itself or, with units, all rows of its person.
///
/// Uses all threads of the current rayon pool. Fails (internal) when rows are to exclude themselves from others.
pub fn k_nearest(
    space: &Space,
    queries: &Points,
    references: &Points,
    k: usize,
    options: SearchOptions,
    job: &Job,
) -> Result<KNearest> {
    let mut result =
        KNearest { k, rows: vec![MISSING; queries.rows() * k], distances: vec![f64::NAN; queries.rows() * k] };
    if k == 0 {
        return Ok(result);
    }
    let out = result.rows.par_chunks_mut(k).zip(result.distances.par_chunks_mut(k));
    out.enumerate().try_for_each(|(query, (rows, distances))| {
        let mut best = BinaryHeap::with_capacity(k + 1);
        visit(space, queries, query, references, options, job, |candidate| {
            if best.len() < k || best.peek().is_some_and(|worst| candidate < *worst) {
                best.push(candidate);
                if best.len() > k {
                    best.pop();
                }
            }
        })?;
        for (i, candidate) in best.into_sorted_vec().into_iter().enumerate() {
            rows[i] = references.canonical()[candidate.position as usize];
            distances[i] = candidate.distance;
        }
        Ok::<(), Error>(())
    })?;
    Ok(result)
}

/// How many references lie within a radius of every query, in the order of the queries; a radius a query.
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
    if radii.len() != queries.rows() {
        return Err(Error::internal(format!("{} radii of {} queries", radii.len(), queries.rows())));
    }
    let count = |(query, radius): (usize, &f64)| {
        let mut found = Within::default();
        visit(space, queries, query, references, options, job, |candidate| {
            found.nearer += u32::from(candidate.distance < *radius);
            found.tied += u32::from(candidate.distance == *radius);
        })?;
        Ok(found)
    };
    radii.par_iter().enumerate().map(count).collect()
}

/// Hands over every reference that counts for a query.
fn visit(
    space: &Space,
    queries: &Points,
    query: usize,
    references: &Points,
    options: SearchOptions,
    job: &Job,
    mut each: impl FnMut(Candidate),
) -> Result<()> {
    if options.exclude_self && queries.rows() != references.rows() {
        return Err(Error::internal("rows are to exclude themselves from other rows"));
    }
    job.check()?;
    for (position, &row) in references.canonical().iter().enumerate() {
        let is_self = options.exclude_self
            && match (queries.units(), references.units()) {
                (Some(a), Some(b)) => a[query] == b[row as usize],
                _ => query == row as usize,
            };
        if !is_self {
            let distance = space.distance(queries, query as u32, references, row);
            each(Candidate { distance, position: position as u32 });
        }
    }
    Ok(())
}
