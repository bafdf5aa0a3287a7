//! Sums of differences of numbers plus counts of unequal categories, 64 references against 4 queries at a time.
//!
//! Categories come first: where no reference of a block has few enough mismatches, its numbers are not looked at.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::ops::Range;

use lookalike_core::{Job, Reservation, Result};

use super::isa::Isa;
use super::space::{Points, Space, is_missing};
use super::{CLAMP, Kernel, Metric, Packing, TINY, UNIT};

/// References in a block.
const LANES: usize = 64;
/// Queries in a group.
const GROUP: usize = 4;

/// One number of every reference in a block.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct NumberLanes([f32; LANES]);

/// One byte of every reference in a block.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct ByteLanes([u8; LANES]);

/// Where the bytes of a category come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Category {
    /// Codes of a category column.
    Code(usize),
    /// Values of a number column without a width.
    Constant(usize),
    /// NULL or not of a number column.
    Missing(usize),
}

impl Category {
    /// A number for the value of a row, the same for equal values, unless it is NULL.
    pub fn code(self, space: &Space, points: &Points, row: usize) -> Option<u32> {
        match self {
            Category::Code(j) => Some(points.codes(row)[j]).filter(|&code| !is_missing(code)),
            Category::Constant(j) => {
                let value = points.numbers(row)[j];
                (!value.is_nan()).then(|| u32::from(constant_byte(value, space.numbers[j].center)))
            }
            Category::Missing(j) => Some(u32::from(points.numbers(row)[j].is_nan())),
        }
    }
}

/// Which columns are packed, and how.
#[derive(Debug)]
pub(super) struct Layout {
    /// Number columns whose difference is used as it is.
    plain: Vec<usize>,
    /// Number columns whose difference may be NaN (a NULL: counts 0, its flag counts instead) or above the cap.
    guarded: Vec<usize>,
    /// Categories of one byte.
    narrow: Vec<Category>,
    /// Categories of two bytes that count one mismatch together.
    wide: Vec<Category>,
    /// Categories of which unequal values may have equal bytes.
    folded: usize,
    metric: Metric,
}

impl Layout {
    pub fn new(space: &Space, queries: &Points, references: &Points) -> Self {
        let mut layout =
            Self { plain: vec![], guarded: vec![], narrow: vec![], wide: vec![], folded: 0, metric: space.metric };
        let traits = queries.number_traits(&space.numbers).into_iter().zip(references.number_traits(&space.numbers));
        for (j, (((missing, outside), reference), column)) in traits.zip(&space.numbers).enumerate() {
            let (missing, outside) = (missing || reference.0, outside || reference.1);
            if column.width == 0.0 {
                layout.narrow.push(Category::Constant(j));
                layout.folded += 1;
                continue;
            }
            if missing || (outside && space.cap().is_finite()) {
                layout.guarded.push(j);
            } else {
                layout.plain.push(j);
            }
            if missing {
                layout.narrow.push(Category::Missing(j));
            }
        }
        for (j, column) in space.codes.iter().enumerate() {
            // One byte value is left for NULL.
            layout.folded += usize::from(column.labels > usize::from(u16::MAX));
            if column.labels < 256 { &mut layout.narrow } else { &mut layout.wide }.push(Category::Code(j));
        }
        layout
    }

    /// Whether all that is compared are numbers whose squares can be had from products.
    pub fn is_dense(&self) -> bool {
        self.metric == Metric::Euclidean
            && self.guarded.is_empty()
            && self.narrow.is_empty()
            && self.wide.is_empty()
            && !self.plain.is_empty()
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.plain.iter().chain(&self.guarded).copied()
    }

    fn number_count(&self) -> usize {
        self.plain.len() + self.guarded.len()
    }

    fn byte_count(&self) -> usize {
        self.narrow.len() + 2 * self.wide.len()
    }

    /// Scaled numbers of a row, plain ones first.
    fn pack_numbers(&self, space: &Space, points: &Points, row: usize, mut put: impl FnMut(usize, f32)) {
        let values = points.numbers(row);
        for (at, j) in self.numbers().enumerate() {
            put(at, scaled(space, j, values[j]));
        }
    }

    /// Category bytes of a row, narrow ones first. Unequal bytes mean unequal categories; equal ones usually mean equal.
    fn pack_bytes(&self, space: &Space, points: &Points, row: usize, mut put: impl FnMut(usize, u8)) {
        for (at, category) in self.narrow.iter().enumerate() {
            put(at, category.code(space, points, row).map_or(u8::MAX, |code| code as u8));
        }
        for (i, category) in self.wide.iter().enumerate() {
            let code = category.code(space, points, row);
            let word = code.map_or(u16::MAX, |code| (code % u32::from(u16::MAX)) as u16);
            let [low, high] = word.to_le_bytes();
            put(self.narrow.len() + 2 * i, low);
            put(self.narrow.len() + 2 * i + 1, high);
        }
    }
}

/// A number on the scale of its column in f32; NaN is NULL.
pub(super) fn scaled(space: &Space, column: usize, value: f64) -> f32 {
    let column = &space.numbers[column];
    ((value * column.factor - column.center) / column.width).clamp(-CLAMP, CLAMP) as f32
}

/// Equal values have equal bytes below 255.
fn constant_byte(value: f64, usual: f64) -> u8 {
    if value == usual { 0 } else { 1 + ((value + 0.0).to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 % 254 }
}

/// References packed for [`Kernel::scan`]; SQUARED adds squares of differences instead of the differences.
#[derive(Debug)]
pub(super) struct Mixed<'a, const SQUARED: bool> {
    isa: Isa,
    space: &'a Space,
    layout: Layout,
    /// For each block the plain, then the guarded columns.
    numbers: Vec<NumberLanes>,
    /// For each block the narrow categories, then the two bytes of each wide one.
    bytes: Vec<ByteLanes>,
    /// Largest part of a guarded number.
    cap: f32,
    _memory: Reservation,
}

/// Four packed queries.
#[derive(Debug)]
pub(super) struct Group {
    /// One number of each query, column by column.
    numbers: Vec<[f32; GROUP]>,
    /// One byte of each query, repeated to fill four.
    bytes: Vec<[u32; GROUP]>,
    /// Sum of |x|, or the norm |x|, of each query.
    size: [f64; GROUP],
    /// Largest approximation of interest; negative when there is none.
    limits: [f32; GROUP],
    /// Approximations below belong to pairs that only count.
    sure: [f32; GROUP],
    /// Largest number of mismatches that the limit allows.
    most: [u8; GROUP],
    hits: [u64; GROUP],
    /// Approximations in the block that was hit, valid where there was a hit.
    values: [[f32; LANES]; GROUP],
}

impl<'a, const SQUARED: bool> Mixed<'a, SQUARED> {
    pub fn pack(
        isa: Isa,
        space: &'a Space,
        layout: Layout,
        references: &Points,
        packing: &Packing,
        job: &Job,
    ) -> Result<Self> {
        let blocks = packing.len().div_ceil(LANES);
        let (n, c) = (layout.number_count(), layout.byte_count());
        let memory = job.reserve(blocks * LANES * (4 * n + c), "packed references")?;
        let mut numbers = vec![NumberLanes([0.0; LANES]); blocks * n];
        let mut bytes = vec![ByteLanes([0; LANES]); blocks * c];
        for (slot, row) in packing.rows().enumerate() {
            let (block, lane) = (slot / LANES, slot % LANES);
            if lane == 0 {
                job.check()?;
            }
            layout.pack_numbers(space, references, row as usize, |j, x| numbers[block * n + j].0[lane] = x);
            layout.pack_bytes(space, references, row as usize, |j, x| bytes[block * c + j].0[lane] = x);
        }
        let cap = space.cap() as f32;
        Ok(Self { isa, space, layout, numbers, bytes, cap, _memory: memory })
    }

    fn block_numbers(&self, block: usize) -> (&[NumberLanes], &[NumberLanes]) {
        let n = self.layout.number_count();
        self.numbers[block * n..][..n].split_at(self.layout.plain.len())
    }

    fn block_bytes(&self, block: usize) -> (&[ByteLanes], &[[ByteLanes; 2]]) {
        let c = self.layout.byte_count();
        let (narrow, wide) = self.bytes[block * c..][..c].split_at(self.layout.narrow.len());
        (narrow, wide.as_chunks().0)
    }
}

impl Group {
    fn numbers(&self, plain: usize) -> (&[[f32; GROUP]], &[[f32; GROUP]]) {
        self.numbers.split_at(plain)
    }

    fn bytes(&self, narrow: usize) -> (&[[u32; GROUP]], &[[[u32; GROUP]; 2]]) {
        let (narrow, wide) = self.bytes.split_at(narrow);
        (narrow, wide.as_chunks().0)
    }
}

impl<const SQUARED: bool> Kernel for Mixed<'_, SQUARED> {
    type Group = Group;
    type Lanes = [f64; GROUP];
    const GROUP: usize = GROUP;
    const BLOCK: usize = LANES;

    fn block_bytes(&self) -> usize {
        LANES * (4 * self.layout.number_count() + self.layout.byte_count())
    }

    fn group(&self, queries: &Points, rows: &[u32]) -> Group {
        let mut group = Group {
            numbers: vec![[0.0; GROUP]; self.layout.number_count()],
            bytes: vec![[0; GROUP]; self.layout.byte_count()],
            size: [0.0; GROUP],
            limits: [-1.0; GROUP],
            sure: [-1.0; GROUP],
            most: [0; GROUP],
            hits: [0; GROUP],
            values: [[0.0; LANES]; GROUP],
        };
        for (i, &row) in rows.iter().enumerate() {
            let (row, mut size) = (row as usize, 0.0);
            self.layout.pack_numbers(self.space, queries, row, |j, x| {
                group.numbers[j][i] = x;
                let x = if x.is_nan() { 0.0 } else { f64::from(x).abs() };
                size += if SQUARED { x * x } else { x };
            });
            self.layout.pack_bytes(self.space, queries, row, |j, x| {
                group.bytes[j][i] = u32::from(x) * 0x0101_0101;
            });
            group.size[i] = if SQUARED { size.sqrt() } else { size };
            (group.limits[i], group.most[i]) = (f32::INFINITY, u8::MAX);
        }
        group
    }

    fn limit(&self, group: &mut Group, query: usize, sum: f64, ties: bool) {
        let (columns, size) = (self.layout.number_count() as f64, group.size[query]);
        let limit = if sum < 0.0 {
            -1.0
        } else if columns == 0.0 {
            // The approximation is exact.
            if ties { sum + 0.5 } else { sum - 0.5 }
        } else if SQUARED {
            (sum.sqrt() * (1.0 + 3.0 * UNIT) + 3.0 * UNIT * size).powi(2) * (1.0 + 1.05 * (columns + 8.0) * UNIT) + TINY
        } else {
            sum * (1.0 + 1.05 * (columns + 8.0) * UNIT) + 5.0 * UNIT * (size + 2.0 * columns)
        };
        group.limits[query] = (limit as f32).next_up();
        group.most[query] = limit as u8;
    }

    fn sure(&self, group: &mut Group, query: usize, sum: f64) {
        let (columns, size) = (self.layout.number_count() as f64, group.size[query]);
        // Mismatches that the approximation may have missed.
        let missed = self.layout.folded as f64;
        let (sum, share) = (sum - missed, 1.05 * (columns + 8.0) * UNIT);
        let is_known = sum > 0.0
            && sum + size < 0.1 * CLAMP
            && share < 0.01
            && self.layout.narrow.len() + self.layout.wide.len() <= usize::from(u8::MAX);
        if is_known {
            let lowest = if SQUARED {
                (sum.sqrt() * (1.0 - 3.0 * UNIT) - 3.0 * UNIT * size).max(0.0).powi(2) * (1.0 - share)
            } else {
                sum * (1.0 - share) - 5.0 * UNIT * (size + 2.0 * columns)
            };
            group.sure[query] = ((lowest - TINY) as f32).next_down();
        }
    }

    fn surely(group: &Group, query: usize) -> u64 {
        let (values, sure) = (&group.values[query], group.sure[query]);
        values.iter().enumerate().fold(0, |lanes, (lane, &value)| lanes | (u64::from(value < sure) << lane))
    }

    fn scan(&self, group: &mut Group, blocks: Range<usize>) -> Option<usize> {
        if group.limits.iter().all(|limit| *limit < 0.0) {
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
        group.hits[query]
    }

    fn within(group: &Group, query: usize, lane: usize) -> bool {
        group.values[query][lane] <= group.limits[query]
    }
}
