//! Means over the columns in which both rows have a value, 64 references against one query at a time.
//!
//! Numbers and codes alike become numbers of which NULL is NaN, and a difference counts at most 1. With c values in the
//! query and d in the reference, m of them in the same columns, c + d - 2m columns have one value alone; so only the
//! columns in which the query has a value are looked at. With u as in the notes on exactness of the neighbours, a part
//! is too large by at most 4u(|x_j| + 2), the sum of m of them by another (m + 1)u times m, and what follows by a few u
//! of a number below 2: the limit of a distance D is D(1 + 8u) + 5u(max|x_j| + 2) + 1.05(p + 16)u.

use std::ops::Range;

use lookalike_core::{Job, Reservation, Result};

use super::isa::Isa;
use super::mixed::{Category, scaled};
use super::space::{Points, Space};
use super::{Kernel, Metric, Packing, UNIT};

/// References in a block.
const LANES: usize = 64;
/// References that are summed in registers.
const PART: usize = 16;
/// Queries in a group.
const GROUP: usize = 4;
/// Codes beyond are folded: they would not be exact in f32.
const CODES: u32 = 1 << 24;

/// References packed for [`Kernel::scan`].
#[derive(Debug)]
pub(super) struct Masked<'a> {
    isa: Isa,
    space: &'a Space,
    /// For each block the numbers of values of the references, then a row for each column.
    rows: Vec<[f32; LANES]>,
    _memory: Reservation,
}

/// Packed queries.
#[derive(Debug)]
pub(super) struct Group {
    queries: [Query; GROUP],
}

#[derive(Debug)]
struct Query {
    /// Columns with a value, and the value.
    present: Vec<(u32, f32)>,
    /// Largest |x|.
    size: f64,
    /// Largest approximation of interest; negative when there is none.
    limit: f32,
    hits: u64,
    /// Approximations in the block that was looked at last.
    values: [f32; LANES],
}

impl<'a> Masked<'a> {
    pub fn pack(isa: Isa, space: &'a Space, references: &Points, packing: &Packing, job: &Job) -> Result<Self> {
        let height = space.columns() + 1;
        let blocks = packing.len().div_ceil(LANES);
        let memory = job.reserve(blocks * LANES * 4 * height, "packed references")?;
        let mut rows = vec![[f32::NAN; LANES]; blocks * height];
        for (slot, row) in packing.rows().enumerate() {
            let (block, lane) = (&mut rows[slot / LANES * height..][..height], slot % LANES);
            if lane == 0 {
                job.check()?;
                block[0] = [0.0; LANES];
            }
            values(space, references, row as usize, |column, value| {
                block[column + 1][lane] = value;
                block[0][lane] += 1.0;
            });
        }
        Ok(Self { isa, space, rows, _memory: memory })
    }

    /// The plain loop, compiled once for every set of instructions.
    #[inline(always)]
    fn scan_with(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        let height = self.space.columns() + 1;
        let share = (Metric::MASK_WEIGHT / self.space.columns() as f64) as f32;
        for block in blocks {
            let (counts, columns) = self.rows[block * height..][..height].split_first()?;
            let mut hit = false;
            for query in group.queries.iter_mut().filter(|query| query.limit >= 0.0) {
                query.hits = 0;
                for (part, (values, counts)) in
                    query.values.as_chunks_mut::<PART>().0.iter_mut().zip(counts.as_chunks::<PART>().0).enumerate()
                {
                    let (mut sums, mut common) = ([0.0f32; PART], [0.0f32; PART]);
                    for &(column, x) in &query.present {
                        let references = &columns[column as usize].as_chunks::<PART>().0[part];
                        for ((sum, common), &y) in sums.iter_mut().zip(&mut common).zip(references) {
                            let difference = (x - y).abs();
                            let present = if y.is_nan() { 0.0 } else { 1.0 };
                            // What is not below 1 is 1, NaN too.
                            *sum += if difference < 1.0 { difference } else { present };
                            *common += present;
                        }
                    }
                    let own = query.present.len() as f32;
                    for (((value, sum), common), count) in values.iter_mut().zip(sums).zip(common).zip(counts) {
                        // Without a common column the mean is 1, between two rows of NULLs 0.
                        let mean = if common > 0.0 { sum / common } else { (own + count).min(1.0) };
                        *value = mean + share * (own + count - 2.0 * common);
                    }
                    for (lane, value) in values.iter().enumerate() {
                        query.hits |= u64::from(*value <= query.limit) << (part * PART + lane);
                    }
                }
                hit |= query.hits != 0;
            }
            if hit {
                return Some(block);
            }
        }
        None
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn scan_avx512(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        self.scan_with(group, blocks)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn scan_avx2(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        self.scan_with(group, blocks)
    }
}

/// Hands over the values of a row that are not NULL. Equal values become equal numbers, unequal categories numbers that
/// usually differ by 1 or more.
fn values(space: &Space, points: &Points, row: usize, mut put: impl FnMut(usize, f32)) {
    for (j, (value, column)) in points.numbers(row).iter().zip(&space.numbers).enumerate() {
        if column.width == 0.0 {
            if let Some(code) = Category::Constant(j).code(space, points, row) {
                put(j, code as f32);
            }
        } else if !value.is_nan() {
            put(j, scaled(space, j, *value));
        }
    }
    for j in 0..space.codes.len() {
        if let Some(code) = Category::Code(j).code(space, points, row) {
            put(space.numbers.len() + j, (code % CODES) as f32);
        }
    }
}

impl Kernel for Masked<'_> {
    type Group = Group;
    type Lanes = [f64; GROUP];
    const GROUP: usize = GROUP;
    const BLOCK: usize = LANES;

    fn block_bytes(&self) -> usize {
        LANES * 4 * (self.space.columns() + 1)
    }

    fn group(&self, queries: &Points, rows: &[u32]) -> Group {
        let query = |i: usize| {
            let mut query = Query { present: vec![], size: 0.0, limit: -1.0, hits: 0, values: [0.0; LANES] };
            if let Some(&row) = rows.get(i) {
                query.limit = f32::INFINITY;
                values(self.space, queries, row as usize, |column, x| {
                    query.present.push((column as u32, x));
                    if column < self.space.numbers.len() && self.space.numbers[column].width > 0.0 {
                        query.size = query.size.max(f64::from(x).abs());
                    }
                });
            }
            query
        };
        Group { queries: std::array::from_fn(query) }
    }

    fn limit(&self, group: &mut Group, query: usize, sum: f64, _ties: bool) {
        let query = &mut group.queries[query];
        let error = 5.0 * UNIT * (query.size + 2.0) + 1.05 * UNIT * (self.space.columns() as f64 + 16.0);
        let limit = if sum < 0.0 { -1.0 } else { sum * (1.0 + 8.0 * UNIT) + error };
        query.limit = (limit as f32).next_up();
        if query.limit < 0.0 {
            query.hits = 0;
        }
    }

    fn scan(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        if group.queries.iter().all(|query| query.limit < 0.0) {
            return None;
        }
        match self.isa {
            // SAFETY: the variant exists only where the processor was found to have the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { self.scan_avx512(group, blocks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { self.scan_avx2(group, blocks) },
            Isa::Portable => self.scan_with(group, blocks),
        }
    }

    fn hits(group: &Group, query: usize) -> u64 {
        group.queries[query].hits
    }

    fn within(group: &Group, query: usize, lane: usize) -> bool {
        let query = &group.queries[query];
        query.values[lane] <= query.limit
    }
}
