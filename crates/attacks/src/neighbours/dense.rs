//! Euclidean distances of rows of numbers through products: 32 references against 12 queries at a time.
//!
//! A panel of references starts with a row of -|y|^2/2, which initialises the accumulators; what is left are fused
//! multiply-adds, and the nearest reference is that of the largest score x·y - |y|^2/2.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::ops::Range;

use lookalike_core::{Job, Reservation, Result};

use super::isa::Isa;
use super::mixed::scaled;
use super::space::{Points, Space};
use super::{Kernel, UNIT};

/// References in a panel.
const LANES: usize = 32;
/// Queries in a group.
const GROUP: usize = 12;

/// One number of every reference in a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Lanes([f32; LANES]);

/// References packed for [`Kernel::scan`].
#[derive(Debug)]
pub(super) struct Dense<'a> {
    isa: Isa,
    space: &'a Space,
    /// For each panel the row of -|y|^2/2, then a row for each column.
    rows: Vec<Lanes>,
    _memory: Reservation,
}

/// Twelve packed queries.
#[derive(Debug)]
pub(super) struct Group {
    /// One number of each query, column by column.
    numbers: Vec<[f32; GROUP]>,
    /// Norm of each query.
    size: [f64; GROUP],
    /// Smallest score of interest.
    limits: [f32; GROUP],
    hits: [u32; GROUP],
    /// Scores in the panel that was hit.
    values: [Lanes; GROUP],
}

impl<'a> Dense<'a> {
    pub fn pack(isa: Isa, space: &'a Space, references: &Points, job: &Job) -> Result<Self> {
        let columns = space.numbers.len();
        let panels = references.rows().div_ceil(LANES);
        let memory = job.reserve(panels * LANES * 4 * (columns + 1), "packed references")?;
        let mut rows = vec![Lanes([0.0; LANES]); panels * (columns + 1)];
        for (position, &row) in references.canonical().iter().enumerate() {
            let (panel, lane) = (position / LANES, position % LANES);
            if lane == 0 {
                job.check()?;
            }
            let mut squares = 0.0;
            let panel = &mut rows[panel * (columns + 1)..][..columns + 1];
            for (j, value) in references.numbers(row as usize).iter().enumerate() {
                let y = scaled(space, j, *value);
                panel[j + 1].0[lane] = y;
                squares += f64::from(y) * f64::from(y);
            }
            panel[0].0[lane] = (-0.5 * squares) as f32;
        }
        Ok(Self { isa, space, rows, _memory: memory })
    }

    fn panel(&self, panel: usize) -> &[Lanes] {
        let height = self.space.numbers.len() + 1;
        &self.rows[panel * height..][..height]
    }
}

impl Kernel for Dense<'_> {
    type Group = Group;
    const GROUP: usize = GROUP;
    const BLOCK: usize = LANES;

    fn block_bytes(&self) -> usize {
        LANES * 4 * (self.space.numbers.len() + 1)
    }

    fn group(&self, queries: &Points, rows: Range<usize>) -> Group {
        let mut group = Group {
            numbers: vec![[0.0; GROUP]; self.space.numbers.len()],
            size: [0.0; GROUP],
            limits: [f32::INFINITY; GROUP],
            hits: [0; GROUP],
            values: [Lanes([0.0; LANES]); GROUP],
        };
        for (i, row) in rows.enumerate() {
            let mut squares = 0.0;
            for (j, value) in queries.numbers(row).iter().enumerate() {
                let x = scaled(self.space, j, *value);
                group.numbers[j][i] = x;
                squares += f64::from(x) * f64::from(x);
            }
            group.size[i] = squares.sqrt();
            group.limits[i] = f32::NEG_INFINITY;
        }
        group
    }

    fn limit(&self, group: &mut Group, query: usize, sum: f64) {
        let (columns, size) = (self.space.numbers.len() as f64, group.size[query]);
        let limit = if sum < 0.0 {
            f64::INFINITY
        } else {
            let distance = sum.sqrt() * (1.0 + 3.0 * UNIT) + 3.0 * UNIT * size;
            let reach = size + distance;
            let error = 1.05 * (columns + 8.0) * UNIT * (size * reach + 0.5 * reach * reach);
            0.5 * (size - distance) * (size + distance) - error
        };
        // Scores stay far below the largest f32, so that only "none" becomes infinite.
        group.limits[query] = if limit.is_nan() { f32::NEG_INFINITY } else { (limit as f32).next_down() };
        if sum < 0.0 {
            group.limits[query] = f32::INFINITY;
        }
    }

    fn scan(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        if group.limits.iter().all(|limit| *limit == f32::INFINITY) {
            return None;
        }
        match self.isa {
            // SAFETY: the variant exists only where the processor was found to have the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::scan(self, group, blocks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::scan(self, group, blocks) },
            Isa::Portable => portable::scan(self, group, blocks),
        }
    }

    fn hits(group: &Group, query: usize) -> u64 {
        u64::from(group.hits[query])
    }

    fn within(group: &Group, query: usize, lane: usize) -> bool {
        group.values[query].0[lane] >= group.limits[query]
    }
}
