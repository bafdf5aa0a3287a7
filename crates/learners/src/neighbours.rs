//! Exact nearest neighbours of rows with numbers and categories.
//!
//! # Why the result is exact
//!
//! The distance that is reported is always [`Space::distance`], computed in f64 from the values themselves. A search
//! over approximations in f32 only decides which pairs deserve that computation, and it never passes over a pair that
//! could be among those asked for: a pair is skipped only when its approximation exceeds a limit L(D), where D is the
//! radius or the exact distance of the last of the best pairs known so far (infinite while there is none) and L is such
//! that *every* pair of exact distance at most D has an approximation of at most L(D). With u = 2^-24, the largest relative error of one
//! f32 operation, and x, y a query and a reference scaled to width 1 and centred on the middle of the range:
//!
//! * *Sums of absolute differences.* Rounding x_j and y_j moves a part by at most u(|x_j| + |y_j|), the subtraction by u
//!   times the part, the additions by (p + 1)u times the sum s; and |y_j| <= |x_j| + part. In all at most
//!   2u·sum|x_j| + (p + 4)u·s. A capped part differs only where it is below 1 or nearly so, where
//!   |y_j| <= |x_j| + 2: at most 4u(|x_j| + 2). The limit is s + 5u(sum|x_j| + 2p) + 1.05(p + 8)u·s.
//! * *Sums of squares.* The same in the norm: with D = root of s and N = |x|, the limit is
//!   (D(1 + 3u) + 3u·N)^2 (1 + 1.05(p + 8)u).
//! * *Scores x·y - |y|^2/2* (a larger score is a smaller distance). Rounding changes D to at most
//!   E = D(1 + 3u) + 3u·N, so |y| <= Y = N + E; the sum of p + 1 terms errs by at most 1.05(p + 8)u(N·Y + Y^2/2), so
//!   the score is at least (N^2 - E^2)/2 less that.
//! * *Categories* are compared in eight bits. Counters stop at 255 and codes beyond 65,535 are folded: both can only make
//!   an approximation smaller, that is, a pair more likely to be looked at.
//! * Scaled values beyond 10^15 are clamped, which brings rows nearer, never farther.
//! * Where only categories are compared the approximation is exact. A search in canonical order skips pairs at the same
//!   distance too: a later one of the same distance is never reported.
//! * *Cosines* are half the squares of distances of directions, searched as scores; rare categories may share a place.
//! * Squares too small for f32 are lost: both limits of them have room for 1e-36.
//! * The bounds of *masked* distances and of boxes around blocks of references stand in their modules.
//!
//! # Pairs that only count
//!
//! A search within a radius need not know the distance of a pair that is surely nearer. The errors above hold in both
//! directions: every pair of an exact sum of at least s has an approximation of at least s(1 - 1.05(p + 8)u) -
//! 5u(sum|x_j| + 2p), for squares (D(1 - 3u) - 3u·N)^2 (1 - 1.05(p + 8)u), so what is below that for the smallest s of
//! a distance that is not nearer counts without its distance. A score above (N^2 - E^2)/2 + 1.05(p + 8)u(N·Y + Y^2/2)
//! with E = D(1 - 3u) - 3u·N and Y = N + D(1 + 3u) + 3u·N does as well: that falls as D grows where D is more than
//! 4.2(p + 8)u(N + D). What only lowers an approximation is accounted for: categories whose values are folded may hide a
//! mismatch each, more than 255 categories are always computed, and so is what comes near the values that are clamped.
//!
//! Which pairs are looked at may depend on the instruction set and on whether a tree of boxes prunes the search; the best
//! of them cannot, because ties are broken by the canonical order of the references. So the result is the same bits on any
//! processor, with any number of threads and whatever the order of the rows.

mod collect;
mod dense;
mod isa;
mod many;
mod masked;
mod mixed;
mod probe;
mod search;
mod space;
mod tree;

use std::sync::{Mutex, PoisonError};

use lookalike_core::{Error, Job, MISSING, Result};
use rayon::prelude::*;

use collect::TopTwo;
pub use many::{KNearest, Within, k_nearest, within};
use search::{Kernel, Packing, Plan, Probe, Task, search};
pub use space::{Metric, Points, Space};

/// Which references count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchOptions {
    /// Queries and references are the same rows in the same order: a row is not its own neighbour, nor is any row of
    /// the same person where the points have units.
    pub exclude_self: bool,
}

impl SearchOptions {
    fn check(self, queries: &Points, references: &Points) -> Result<()> {
        if self.exclude_self && queries.rows() != references.rows() {
            return Err(Error::internal("rows are to exclude themselves from other rows"));
        }
        Ok(())
    }
}

/// The nearest reference of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Distance to the nearest reference; NaN when no reference counts.
    pub distance: f64,
    /// Its row; of several equally near ones the first in canonical order. [`MISSING`] when no reference counts.
    pub row: u32,
    /// Distance to the second nearest reference, of another person than the nearest where the references have units;
    /// NaN when there is none.
    pub second: f64,
}

impl Neighbour {
    /// Nearest over second nearest distance, from 0 to 1. Equal distances give 1 even when both are 0: two identical
    /// references, the first is no nearer than the second. NaN without a second neighbour.
    pub fn ratio(&self) -> f64 {
        if self.distance == self.second { 1.0 } else { self.distance / self.second }
    }
}

/// The nearest reference of every query, exactly, in the order of the queries.
///
/// Uses all threads of the current rayon pool. Counts `pairs_compared`, reports progress of the phase `neighbours`, and
/// asks every few milliseconds whether to go on. Beside the points it needs memory for one packed copy of the
/// references and, where the search is pruned, the boxes of a tree. Fails (internal) when the points come from another
/// space.
pub fn nearest(
    space: &Space,
    queries: &Points,
    references: &Points,
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Neighbour>> {
    nearest_by(Plan::default(), space, queries, references, options, job)
}

fn nearest_by(
    plan: Plan,
    space: &Space,
    queries: &Points,
    references: &Points,
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Neighbour>> {
    let _result = job.reserve(queries.rows() * size_of::<Neighbour>(), "nearest neighbours")?;
    let none = Neighbour { distance: f64::NAN, row: MISSING, second: f64::NAN };
    let result = Mutex::new(vec![none; queries.rows()]);
    let has_second = unit_count(references) > 1 + usize::from(options.exclude_self);
    let task = Task { space, queries, references, options, probe: Probe::Nearest(2), held: 2 };
    search(
        plan,
        &task,
        |_| TopTwo::new(has_second),
        job,
        |found| {
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            for (query, best) in found {
                if let Some(first) = best.first {
                    result[query] = Neighbour {
                        distance: first.distance,
                        row: references.canonical()[first.position as usize],
                        second: best.second.map_or(f64::NAN, |second| second.distance),
                    };
                }
            }
        },
    )?;
    Ok(result.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Number of persons, or of rows where the unit is the row.
fn unit_count(points: &Points) -> usize {
    points.units().map_or(points.rows(), |units| {
        let mut distinct = units.to_vec();
        distinct.par_sort_unstable();
        distinct.dedup();
        distinct.len()
    })
}

/// Largest relative error of one f32 operation.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// More than f32 operations lose to underflow.
const TINY: f64 = 1e-36;

/// Scaled values are clamped to this, so that sums of their squares stay finite in f32.
const CLAMP: f64 = 1e15;

#[cfg(test)]
mod tests;
