//! A tree of boxes around packed blocks of rows, to pass over blocks that hold nothing of interest.
//!
//! Rows are halved along the column in which a sample of them differs most, until a block is left (a k-d tree, Bentley
//! 1975, Communications of the ACM 18, with buckets as in Friedman, Bentley and Finkel 1977, ACM TOMS 3). A box has the
//! smallest and the largest value of every number, whether one is NULL, and the smallest and the largest code of every
//! category: a code outside differs from all of them.
//!
//! # Why nothing is lost
//!
//! A box is passed over when its lower bound exceeds the largest sum of interest. The bound is computed as
//! [`Space::exact`] computes the sum, in the same order, from parts that are no larger: rounding is monotone, so the
//! bound is no larger than the sum of any row in the box. The largest sum of interest has room for sums that round to
//! the same distance. Candidates are ranked by distance and canonical position, so the order they are found in does not
//! matter.
//!
//! In the same way a box counts as a whole when its upper bound, made of parts that are no smaller, is a sum of pairs
//! that only count.

use lookalike_core::{Job, Reservation, Result};

use super::mixed::scaled;
use super::{Metric, Points, Space};

/// Range of one number column in a box, in values times the factor of the column.
#[derive(Debug, Clone, Copy)]
struct NumberBox {
    /// Infinite when all are NULL.
    low: f64,
    /// Minus infinite when all are NULL.
    high: f64,
    /// Whether one is NULL.
    null: bool,
}

const NO_NUMBER: NumberBox = NumberBox { low: f64::INFINITY, high: f64::NEG_INFINITY, null: false };

/// Smallest and largest code of a category in a box; NULL is the largest of all.
type CodeBox = [u32; 2];

const NO_CODE: CodeBox = [u32::MAX, 0];

/// Boxes in preorder: a node of b blocks is followed by the node of the first half of them, rounded up, then the other.
#[derive(Debug)]
pub(super) struct Tree {
    blocks: usize,
    columns: Vec<Column>,
    codes: usize,
    /// For each node the number columns.
    number_boxes: Vec<NumberBox>,
    /// For each node the category columns.
    code_boxes: Vec<CodeBox>,
    cap: f64,
    squared: bool,
    _memory: Reservation,
}

/// Scale of a number column.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// A little less than one over the width; 0 where values are equal or not.
    inverse: f64,
    /// A little more than one over the width.
    above: f64,
}

/// A group of queries on its way through a tree.
pub(super) struct Walk<L> {
    /// Numbers times the factor of their column, column by column; NaN is NULL.
    numbers: Vec<L>,
    /// Whether one of the numbers is NULL.
    null: Vec<bool>,
    /// Codes, column by column.
    codes: Vec<L>,
    /// Sums below which pairs of a query only count; none where no pair does.
    sure: Option<L>,
}

/// What a walk comes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Its start.
    Root,
    /// A block that can hold a row of interest to the queries whose bits are set.
    Block(usize, u32),
    /// So many blocks from the first, whose rows all only count for the queries whose bits are set.
    Whole(usize, usize, u32),
}

impl<L: Copy + Default + AsMut<[f64]>> Walk<L> {
    pub fn new(space: &Space, queries: &Points, rows: &[u32], sure: Option<L>) -> Self {
        let mut walk = Self {
            numbers: vec![L::default(); space.numbers.len()],
            null: vec![false; space.numbers.len()],
            codes: vec![L::default(); space.codes.len()],
            sure,
        };
        for (i, &row) in rows.iter().enumerate() {
            for (j, (value, column)) in queries.numbers(row as usize).iter().zip(&space.numbers).enumerate() {
                walk.numbers[j].as_mut()[i] = value * column.factor;
                walk.null[j] |= value.is_nan();
            }
            for (j, code) in queries.codes(row as usize).iter().enumerate() {
                walk.codes[j].as_mut()[i] = f64::from(*code);
            }
        }
        walk
    }
}

impl Tree {
    /// A tree over all rows, and the canonical positions of the rows in the order of its blocks.
    pub fn build(space: &Space, points: &Points, block: usize, job: &Job) -> Result<(Self, Vec<u32>)> {
        Self::over((0..points.rows() as u32).collect(), space, points, block, job)
    }

    /// A tree over rows given by their canonical positions.
    pub fn over(
        mut items: Vec<u32>,
        space: &Space,
        points: &Points,
        block: usize,
        job: &Job,
    ) -> Result<(Self, Vec<u32>)> {
        let blocks = items.len().div_ceil(block);
        let nodes = (2 * blocks).saturating_sub(1);
        let (numbers, codes) = (space.numbers.len(), space.codes.len());
        let memory = job.reserve(
            nodes * (numbers * size_of::<NumberBox>() + codes * size_of::<CodeBox>()),
            "boxes of a search tree",
        )?;
        let mut number_boxes = vec![NO_NUMBER; nodes * numbers];
        let mut code_boxes = vec![NO_CODE; nodes * codes];
        let builder = Builder { space, points, block, job };
        let _keys = job.reserve(items.len() * size_of::<(f64, u32)>(), "order of a search tree")?;
        builder.split(&mut items, Some((&mut number_boxes, &mut code_boxes)))?;
        let inverse = |width: f64| if width > 0.0 { (1.0 - 4.0 * f64::EPSILON) / width } else { 0.0 };
        let above = |width: f64| if width > 0.0 { (1.0 + 4.0 * f64::EPSILON) / width } else { 0.0 };
        let column = |width: f64| Column { inverse: inverse(width), above: above(width) };
        let columns = space.numbers.iter().map(|c| column(c.width)).collect();
        let squared = space.metric() == Metric::Euclidean;
        let tree =
            Self { blocks, columns, codes, number_boxes, code_boxes, cap: space.cap(), squared, _memory: memory };
        Ok((tree, items))
    }

    /// Rows in an order in which those that lie together follow each other, so many at a time.
    pub fn order(space: &Space, points: &Points, group: usize, job: &Job) -> Result<Vec<u32>> {
        let mut items: Vec<u32> = (0..points.rows() as u32).collect();
        let _keys = job.reserve(items.len() * size_of::<(f64, u32)>(), "order of queries")?;
        Builder { space, points, block: group, job }.split(&mut items, None)?;
        items.iter_mut().for_each(|item| *item = points.canonical()[*item as usize]);
        Ok(items)
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Hands over the blocks that can hold a row within the reach of a query of the group, likely near ones first.
    /// `visit` looks at a block and tells the largest sum of interest of every query; at the root it only tells.
    pub fn walk<L>(&self, walk: &Walk<L>, visit: &mut impl FnMut(Step) -> L)
    where
        L: Copy + Default + AsRef<[f64]> + AsMut<[f64]>,
    {
        let mut reach = visit(Step::Root);
        if self.blocks > 0 && reach.as_ref().iter().any(|&r| r >= 0.0) {
            self.descend(walk, visit, &mut reach, (0, 0, self.blocks), u32::MAX);
        }
    }

    fn descend<L>(
        &self,
        walk: &Walk<L>,
        visit: &mut impl FnMut(Step) -> L,
        reach: &mut L,
        (node, first, blocks): (usize, usize, usize),
        open: u32,
    ) where
        L: Copy + Default + AsRef<[f64]> + AsMut<[f64]>,
    {
        if blocks == 1 {
            *reach = visit(Step::Block(first, open));
            return;
        }
        let half = blocks.div_ceil(2);
        let mut children = [(node + 1, first, half), (node + 2 * half, first + half, blocks - half)];
        let mut lower = children.map(|child| self.lower(walk, child.0));
        // Lanes without a query, or with one that is done, have a negative reach.
        let total = |lower: &L, reach: &L| -> f64 {
            lower.as_ref().iter().zip(reach.as_ref()).map(|(l, r)| if *r >= 0.0 { *l } else { 0.0 }).sum()
        };
        if total(&lower[1], reach) < total(&lower[0], reach) {
            children.swap(0, 1);
            lower.swap(0, 1);
        }
        for (child, lower) in children.into_iter().zip(lower) {
            let mut open = open & lanes(&lower, reach, |lower, reach| lower <= reach);
            if let Some(sure) = walk.sure.as_ref().filter(|_| open != 0) {
                let whole = open & lanes(&self.upper(walk, child.0), sure, |upper, sure| upper < sure);
                if whole != 0 {
                    *reach = visit(Step::Whole(child.1, child.2, whole));
                    open &= !whole;
                }
            }
            if open != 0 {
                self.descend(walk, visit, reach, child, open);
            }
        }
    }

    /// For each query a sum that no row of the box exceeds.
    fn upper<L: Copy + Default + AsRef<[f64]> + AsMut<[f64]>>(&self, walk: &Walk<L>, node: usize) -> L {
        let mut sums = L::default();
        let boxes = &self.number_boxes[node * self.columns.len()..][..self.columns.len()];
        for ((range, column), values) in boxes.iter().zip(&self.columns).zip(&walk.numbers) {
            let is_empty = range.low > range.high;
            // A NULL in the box is at 1 from any number.
            let least = f64::from(u8::from(range.null));
            for (sum, value) in sums.as_mut().iter_mut().zip(values.as_ref()) {
                let part = if value.is_nan() {
                    f64::from(u8::from(!is_empty))
                } else if is_empty {
                    least
                } else {
                    let beyond = (value - range.low).max(range.high - value).max(0.0);
                    let part =
                        if column.above == 0.0 { f64::from(u8::from(beyond > 0.0)) } else { beyond * column.above };
                    part.min(self.cap).max(least)
                };
                *sum += if self.squared { part * part } else { part };
            }
        }
        let mut unequal = L::default();
        for ([low, high], codes) in self.code_boxes[node * self.codes..][..self.codes].iter().zip(&walk.codes) {
            let (low, high) = (f64::from(*low), f64::from(*high));
            for (count, code) in unequal.as_mut().iter_mut().zip(codes.as_ref()) {
                *count += if *code == low && *code == high { 0.0 } else { 1.0 };
            }
        }
        sums.as_mut().iter_mut().zip(unequal.as_ref()).for_each(|(sum, count)| *sum += count);
        sums
    }

    /// For each query a sum that no row of the box falls below.
    fn lower<L: Copy + Default + AsRef<[f64]> + AsMut<[f64]>>(&self, walk: &Walk<L>, node: usize) -> L {
        let mut sums = L::default();
        let boxes = &self.number_boxes[node * self.columns.len()..][..self.columns.len()];
        for (((range, column), values), &null) in boxes.iter().zip(&self.columns).zip(&walk.numbers).zip(&walk.null) {
            // A NULL in the box is at 1 from any number.
            let cap = if range.null { 1.0 } else { self.cap };
            for (sum, value) in sums.as_mut().iter_mut().zip(values.as_ref()) {
                // Below 0 inside, NaN for NULL: both become 0.
                let beyond = (range.low - value).max(value - range.high).max(0.0);
                let mut part =
                    if column.inverse == 0.0 { f64::from(u8::from(beyond > 0.0)) } else { beyond * column.inverse };
                part = part.min(cap);
                if null && value.is_nan() {
                    part = f64::from(u8::from(!range.null));
                }
                *sum += if self.squared { part * part } else { part };
            }
        }
        let mut unequal = L::default();
        for ([low, high], codes) in self.code_boxes[node * self.codes..][..self.codes].iter().zip(&walk.codes) {
            let (low, high) = (f64::from(*low), f64::from(*high));
            for (count, code) in unequal.as_mut().iter_mut().zip(codes.as_ref()) {
                *count += if *code < low || *code > high { 1.0 } else { 0.0 };
            }
        }
        sums.as_mut().iter_mut().zip(unequal.as_ref()).for_each(|(sum, count)| *sum += count);
        sums
    }
}

/// The queries of which two numbers pass a test, one bit each.
fn lanes<L: AsRef<[f64]>>(a: &L, b: &L, test: impl Fn(f64, f64) -> bool) -> u32 {
    let pairs = a.as_ref().iter().zip(b.as_ref()).enumerate();
    pairs.fold(0, |lanes, (i, (a, b))| lanes | (u32::from(test(*a, *b)) << i))
}

/// Rows that a split looks at to choose its column.
const SAMPLE: usize = 64;

/// Rows worth a task of their own.
const PARALLEL: usize = 1 << 13;

struct Builder<'a> {
    space: &'a Space,
    points: &'a Points,
    block: usize,
    job: &'a Job,
}

impl Builder<'_> {
    /// Puts items into the order of the tree and fills the boxes of its nodes, the root first.
    fn split(&self, items: &mut [u32], boxes: Option<(&mut [NumberBox], &mut [CodeBox])>) -> Result<()> {
        let blocks = items.len().div_ceil(self.block);
        if blocks <= 1 {
            if let Some((numbers, codes)) = boxes {
                self.surround(items, numbers, codes);
            }
            return Ok(());
        }
        self.job.check()?;
        let half = blocks.div_ceil(2);
        self.partition(items, half * self.block);
        let parallel = items.len() > PARALLEL;
        let (left, right) = items.split_at_mut(half * self.block);
        let Some((numbers, codes)) = boxes else {
            return both(parallel, || self.split(left, None), || self.split(right, None));
        };
        let (n, c) = (self.space.numbers.len(), self.space.codes.len());
        let (own_numbers, below_numbers) = numbers.split_at_mut(n);
        let (own_codes, below_codes) = codes.split_at_mut(c);
        let left_nodes = 2 * half - 1;
        let (left_numbers, right_numbers) = below_numbers.split_at_mut(left_nodes * n);
        let (left_codes, right_codes) = below_codes.split_at_mut(left_nodes * c);
        both(
            parallel,
            || self.split(left, Some((&mut *left_numbers, &mut *left_codes))),
            || self.split(right, Some((&mut *right_numbers, &mut *right_codes))),
        )?;
        for child in [&left_numbers[..n], &right_numbers[..n]] {
            for (own, child) in own_numbers.iter_mut().zip(child) {
                own.low = own.low.min(child.low);
                own.high = own.high.max(child.high);
                own.null |= child.null;
            }
        }
        for child in [&left_codes[..c], &right_codes[..c]] {
            own_codes.iter_mut().zip(child).for_each(|(own, c)| *own = [own[0].min(c[0]), own[1].max(c[1])]);
        }
        Ok(())
    }

    fn row(&self, item: u32) -> usize {
        self.points.canonical()[item as usize] as usize
    }

    fn surround(&self, items: &[u32], numbers: &mut [NumberBox], codes: &mut [CodeBox]) {
        for &item in items {
            let row = self.row(item);
            for ((value, column), own) in self.points.numbers(row).iter().zip(&self.space.numbers).zip(&mut *numbers) {
                let value = value * column.factor;
                // The smaller of NaN and a number is the number.
                own.low = own.low.min(value);
                own.high = own.high.max(value);
                own.null |= value.is_nan();
            }
            for (&code, own) in self.points.codes(row).iter().zip(&mut *codes) {
                *own = [own[0].min(code), own[1].max(code)];
            }
        }
    }

    /// Moves items so that the first `at` have no larger values than the others in the chosen column.
    fn partition(&self, items: &mut [u32], at: usize) {
        let Some(column) = self.widest(items) else { return };
        let key = |item: u32| match column.checked_sub(self.space.numbers.len()) {
            None => {
                let value = self.points.numbers(self.row(item))[column];
                if value.is_nan() { f64::INFINITY } else { value }
            }
            Some(code) => f64::from(self.points.codes(self.row(item))[code]),
        };
        let mut keys: Vec<(f64, u32)> = items.iter().map(|&item| (key(item), item)).collect();
        keys.select_nth_unstable_by(at, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        items.iter_mut().zip(keys).for_each(|(item, key)| *item = key.1);
    }

    /// The column, numbers first, in which two rows of a sample differ most on average (in squares); `None` when they
    /// are all alike.
    fn widest(&self, items: &[u32]) -> Option<usize> {
        let count = items.len().min(SAMPLE);
        let rows: Vec<usize> = (0..count).map(|i| self.row(items[i * items.len() / count])).collect();
        let numbers = (0..self.space.numbers.len()).map(|j| self.number_spread(&rows, j));
        let codes = (0..self.space.codes.len()).map(|j| self.code_spread(&rows, j));
        let widest = numbers.chain(codes).enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        (widest.1 > 0.0).then_some(widest.0)
    }

    fn number_spread(&self, rows: &[usize], column: usize) -> f64 {
        let width = self.space.numbers[column].width;
        let (mut present, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for &row in rows {
            let value = self.points.numbers(row)[column];
            let value = if width > 0.0 { f64::from(scaled(self.space, column, value)) } else { value };
            if !value.is_nan() {
                present += 1.0;
                sum += value;
                squares += value * value;
            }
        }
        let share = present / rows.len() as f64;
        let variance = if present > 0.0 { (squares / present - (sum / present).powi(2)).max(0.0) } else { 0.0 };
        let variance = if width > 0.0 { variance } else { variance.min(0.25) };
        2.0 * variance * share * share + 2.0 * share * (1.0 - share)
    }

    fn code_spread(&self, rows: &[usize], column: usize) -> f64 {
        let mut codes = [0; SAMPLE];
        let codes = &mut codes[..rows.len()];
        codes.iter_mut().zip(rows).for_each(|(code, &row)| *code = self.points.codes(row)[column]);
        codes.sort_unstable();
        let equal: usize = codes.chunk_by(|a, b| a == b).map(|run| run.len() * run.len()).sum();
        1.0 - equal as f64 / (rows.len() * rows.len()) as f64
    }
}

fn both(
    parallel: bool,
    left: impl FnOnce() -> Result<()> + Send,
    right: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    if parallel {
        let (left, right) = rayon::join(left, right);
        left.and(right)
    } else {
        left()?;
        right()
    }
}
