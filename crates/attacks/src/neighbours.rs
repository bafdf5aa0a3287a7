//! Exact nearest neighbours of rows with numbers and categories.
//!
//! # Why the result is exact
//!
//! The distance that is reported is always [`Space::distance`], computed in f64 from the values themselves. A search
//! over approximations in f32 only decides which pairs deserve that computation, and it never passes over a pair that
//! could be among the best two: a pair is skipped only when its approximation exceeds a limit L(D), where D is the
//! exact distance of the second best pair known so far (infinite while there is none) and L is such that *every* pair
//! of exact distance at most D has an approximation of at most L(D). With u = 2^-24, the largest relative error of one
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
//! * Where only categories are compared the approximation is exact, and pairs at the same distance are skipped too: the
//!   references are searched in canonical order, so a later one of the same distance is never reported.
//!
//! Which pairs are looked at may depend on the instruction set; the best two of them cannot, because ties are broken by
//! the canonical order of the references. So the result is the same bits on any processor, with any number of threads
//! and whatever the order of the rows.

mod dense;
mod isa;
mod many;
mod mixed;
mod space;
mod top_two;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use lookalike_core::{Error, Job, MISSING, Result};
use rayon::prelude::*;

use dense::Dense;
use isa::Isa;
pub use many::{KNearest, Within, k_nearest, within};
use mixed::{Layout, Mixed};
pub use space::{Metric, Points, Space};
use top_two::{Candidate, TopTwo};

/// Which references count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchOptions {
    /// Queries and references are the same rows in the same order: a row is not its own neighbour, nor is any row of
    /// the same person where the points have units.
    pub exclude_self: bool,
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
/// references. Fails (internal) when the points come from another space.
pub fn nearest(
    space: &Space,
    queries: &Points,
    references: &Points,
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Neighbour>> {
    nearest_on(Isa::detect(), space, queries, references, options, job)
}

fn nearest_on(
    isa: Isa,
    space: &Space,
    queries: &Points,
    references: &Points,
    options: SearchOptions,
    job: &Job,
) -> Result<Vec<Neighbour>> {
    if options.exclude_self && queries.rows() != references.rows() {
        return Err(Error::internal("rows are to exclude themselves from other rows"));
    }
    if references.rows() == 0 {
        return Ok(vec![Neighbour { distance: f64::NAN, row: MISSING, second: f64::NAN }; queries.rows()]);
    }
    let search = Search::new(space, queries, references, options);
    let layout = Layout::new(space, queries, references);
    if layout.is_dense() {
        let kernel = Dense::pack(isa, space, references, job)?;
        search.run(&kernel, job)
    } else if space.metric() == Metric::Euclidean {
        let kernel = Mixed::<true>::pack(isa, space, layout, references, job)?;
        search.run(&kernel, job)
    } else {
        let kernel = Mixed::<false>::pack(isa, space, layout, references, job)?;
        search.run(&kernel, job)
    }
}

/// A way to find the pairs that may be near: references packed in blocks, queries in groups.
trait Kernel: Sync {
    /// Packed queries with their limits.
    type Group: Send;
    /// Queries in a group.
    const GROUP: usize;
    /// References in a block, in canonical order; at most 64.
    const BLOCK: usize;
    /// Bytes of a packed block.
    fn block_bytes(&self) -> usize;
    /// Packs the given queries, at most [`Kernel::GROUP`], with infinite limits; what is missing to a full group never
    /// hits.
    fn group(&self, queries: &Points, rows: Range<usize>) -> Self::Group;
    /// Limits a query to pairs that may have an exact sum of at most `sum`; to none when it is negative.
    fn limit(&self, group: &mut Self::Group, query: usize, sum: f64);
    /// The first of the blocks in which a query of the group has pairs within its limit.
    fn scan(&self, group: &mut Self::Group, blocks: Range<usize>) -> Option<usize>;
    /// After a hit: the references of the block within the limit of the query as it was, one bit each.
    fn hits(group: &Self::Group, query: usize) -> u64;
    /// After a hit: whether a reference of the block is within the limit of the query as it is now.
    fn within(group: &Self::Group, query: usize, lane: usize) -> bool;
}

/// Bytes of packed references that stay in the second-level cache while a tile of queries passes over them.
const CHUNK_BYTES: usize = 256 << 10;

/// Queries of a tile.
const TILE: usize = 240;

struct Search<'a> {
    space: &'a Space,
    queries: &'a Points,
    references: &'a Points,
    exclude_self: bool,
    /// Whether the second best can exist; else the limit follows the best.
    has_second: bool,
}

impl<'a> Search<'a> {
    fn new(space: &'a Space, queries: &'a Points, references: &'a Points, options: SearchOptions) -> Self {
        let units = match references.units() {
            None => references.rows(),
            Some(units) => {
                let mut distinct = units.to_vec();
                distinct.par_sort_unstable();
                distinct.dedup();
                distinct.len()
            }
        };
        let has_second = units > 1 + usize::from(options.exclude_self);
        Self { space, queries, references, exclude_self: options.exclude_self, has_second }
    }

    fn run<K: Kernel>(&self, kernel: &K, job: &Job) -> Result<Vec<Neighbour>> {
        let rows = self.queries.rows();
        let _result = job.reserve(rows * size_of::<Neighbour>(), "nearest neighbours")?;
        let none = Neighbour { distance: f64::NAN, row: MISSING, second: f64::NAN };
        let mut result = vec![none; rows];
        // Few queries are still spread over all threads.
        let share = rows.div_ceil(4 * rayon::current_num_threads());
        let tile = TILE.min(share.next_multiple_of(K::GROUP)).max(K::GROUP);
        let done = AtomicU64::new(0);
        result.par_chunks_mut(tile).enumerate().try_for_each(|(i, out)| {
            let first = i * tile;
            self.tile(kernel, first..first + out.len(), out, job)?;
            job.count("pairs_compared", out.len() * self.references.rows());
            let before = done.fetch_add(out.len() as u64, Ordering::Relaxed);
            job.progress("neighbours", before + out.len() as u64, rows as u64);
            Ok::<(), Error>(())
        })?;
        Ok(result)
    }

    fn tile<K: Kernel>(&self, kernel: &K, rows: Range<usize>, out: &mut [Neighbour], job: &Job) -> Result<()> {
        let start = rows.start;
        let starts = (start..rows.end).step_by(K::GROUP);
        let mut groups: Vec<(K::Group, Vec<TopTwo>)> = starts
            .map(|s| {
                let members = s..rows.end.min(s + K::GROUP);
                let best = vec![TopTwo::default(); members.len()];
                (kernel.group(self.queries, members), best)
            })
            .collect();
        let blocks = self.references.rows().div_ceil(K::BLOCK);
        let chunk = (CHUNK_BYTES / kernel.block_bytes().max(1)).max(1);
        for chunk_start in (0..blocks).step_by(chunk) {
            job.check()?;
            let chunk_end = blocks.min(chunk_start + chunk);
            for (g, (group, best)) in groups.iter_mut().enumerate() {
                let mut from = chunk_start;
                while let Some(block) = kernel.scan(group, from..chunk_end) {
                    for (i, best) in best.iter_mut().enumerate() {
                        self.look(kernel, group, i, start + g * K::GROUP + i, block, best);
                    }
                    from = block + 1;
                }
            }
        }
        let canonical = self.references.canonical();
        for (out, best) in out.iter_mut().zip(groups.iter().flat_map(|(_, best)| best)) {
            if let Some(first) = best.first {
                out.distance = first.distance;
                out.row = canonical[first.position as usize];
                out.second = best.second.map_or(f64::NAN, |s| s.distance);
            }
        }
        Ok(())
    }

    /// Computes the exact distances of the pairs of one query and one block that are within the limit.
    fn look<K: Kernel>(
        &self,
        kernel: &K,
        group: &mut K::Group,
        query: usize,
        row: usize,
        block: usize,
        best: &mut TopTwo,
    ) {
        let mut hits = K::hits(group, query);
        while hits != 0 {
            let lane = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            let position = block * K::BLOCK + lane;
            let Some(&reference) = self.references.canonical().get(position) else { return };
            if !K::within(group, query, lane) {
                continue;
            }
            let unit = self.references.units().map_or(position as u32, |units| units[reference as usize]);
            if self.exclude_self {
                let is_self = match self.queries.units() {
                    Some(units) => units[row] == unit,
                    None => row == reference as usize,
                };
                if is_self {
                    continue;
                }
            }
            let (sum, distance) = self.space.exact(self.queries, row, self.references, reference as usize);
            if best.offer(Candidate { distance, sum, position: position as u32, unit }) {
                let bound = if self.has_second { best.second } else { best.first };
                if let Some(bound) = bound {
                    // Blocks come in canonical order: a later pair at the same distance is no better.
                    kernel.limit(group, query, if bound.distance == 0.0 { -1.0 } else { bound.sum });
                }
            }
        }
    }
}

/// Largest relative error of one f32 operation.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// Scaled values are clamped to this, so that sums of their squares stay finite in f32.
const CLAMP: f64 = 1e15;

#[cfg(test)]
mod tests;
