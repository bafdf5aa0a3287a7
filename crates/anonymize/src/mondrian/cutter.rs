//! Cutting partitions to the end.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::part::{Extent, Part};
use crate::axis::{NULL, Scale};
use crate::{Items, Judge, Problem};

/// Partitions of up to so many items are cut to the end by one thread.
const SEQUENTIAL: usize = 1 << 14;

/// Which band holds what.
#[derive(Debug)]
pub(super) struct Layout {
    /// Bands of the lowest and the highest rank of each column; the same one where items have a single rank.
    pub columns: Vec<(usize, usize)>,
}

impl Layout {
    pub fn of(items: &Items) -> Self {
        let mut next = 0;
        let columns = (0..items.columns()).map(|c| {
            let low = next;
            next += 1 + usize::from(items.high(c).is_some());
            (low, next - 1)
        });
        Self { columns: columns.collect() }
    }

    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.order() + 1
    }

    /// The band of the items' numbers.
    pub fn order(&self) -> usize {
        self.columns.last().map_or(0, |c| c.1 + 1)
    }

    /// The bands of all items, in their order.
    pub fn fill(&self, items: &Items) -> Vec<Vec<u32>> {
        let columns = (0..items.columns()).flat_map(|c| [Some(items.low(c)), items.high(c)].into_iter().flatten());
        let mut bands: Vec<Vec<u32>> = columns.map(<[u32]>::to_vec).collect();
        bands.push((0..items.len() as u32).collect());
        bands
    }
}

/// A quasi-identifier and what its widths are relative to.
#[derive(Debug)]
pub(super) struct Axis {
    pub scale: Scale,
    whole: f64,
    low: usize,
    high: usize,
}

impl Axis {
    /// Of a column of that extent in the whole table; `labels` tells how many labels it has.
    pub fn new(scale: Scale, extent: Extent, labels: impl FnOnce() -> u32, (low, high): (usize, usize)) -> Self {
        let whole = match &scale {
            Scale::Even { .. } | Scale::Numbers(_) if extent.is_wide() => scale.distance(extent.low, extent.high),
            Scale::Even { .. } | Scale::Numbers(_) => 1.0,
            Scale::Labels => f64::from(labels()),
            Scale::Tree(hierarchy) => f64::from(hierarchy.leaf_count()),
        };
        Self { scale, whole, low, high }
    }

    /// Of a column in memory.
    fn of(items: &Items, column: usize, bands: (usize, usize)) -> Self {
        let (lows, highs) = (items.low(column), items.high(column));
        let extent = Extent::of(lows).up_to(highs.map(Extent::of));
        let labels = || {
            let mut seen = Seen::up_to(extent.high);
            lows.iter().chain(highs.unwrap_or_default()).for_each(|&r| seen.add(r));
            seen.count()
        };
        Self::new(items.axis(column).scale.clone(), extent, labels, bands)
    }

    /// Width of what has that extent, and so many labels, relative to the table, 0 to 1.
    pub fn relative(&self, extent: Extent, labels: impl FnOnce() -> u32) -> f64 {
        if !extent.is_wide() {
            return 0.0;
        }
        let width = match &self.scale {
            Scale::Even { .. } | Scale::Numbers(_) => self.scale.distance(extent.low, extent.high),
            Scale::Labels => f64::from(labels()),
            Scale::Tree(tree) => f64::from(tree.leaves_below(tree.common(extent.low - 1, extent.high - 1))),
        };
        width / self.whole
    }

    /// Width of a stretch relative to the table, 0 to 1.
    fn width(&self, part: &mut Part<'_>, range: Range<usize>, low: Extent) -> f64 {
        let high = (self.high != self.low).then(|| Extent::of(part.band(self.high, range.clone())));
        self.relative(low.up_to(high), || part.distinct(self.low, range, low))
    }
}

/// Labels that occur, by rank.
#[derive(Debug)]
pub(super) struct Seen(Vec<bool>);

impl Seen {
    pub fn up_to(rank: u32) -> Self {
        Self(vec![false; rank as usize + 1])
    }

    pub fn add(&mut self, rank: u32) {
        self.0[rank as usize] = true;
    }

    /// Those that occur, the missing value not among them.
    pub fn ranks(&self) -> impl Iterator<Item = u32> + '_ {
        (1..).zip(&self.0[1..]).filter(|(_, seen)| **seen).map(|(rank, _)| rank)
    }

    /// How many, the missing value not counted.
    pub fn count(&self) -> u32 {
        self.0[1..].iter().map(|s| u32::from(*s)).sum()
    }
}

/// One side of a cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    pub items: usize,
    pub rows: usize,
    pub kept: bool,
    pub budget: usize,
}

/// Shares what is left of a budget among the sides that stay; false when more than `limit` rows would be dropped, or all.
pub(super) fn deal(sides: &mut [Side], budget: usize, limit: usize) -> bool {
    let rows = |sides: &[Side], kept: bool| sides.iter().filter(|s| s.kept == kept).map(|s| s.rows).sum::<usize>();
    let (kept, dropped) = (rows(sides, true), rows(sides, false));
    if dropped > limit || kept == 0 {
        return false;
    }
    // Differences of rounded cumulative shares: nothing is lost and the sum is exact.
    let (rest, mut before) = ((budget - dropped) as u128, 0u128);
    for side in sides.iter_mut().filter(|s| s.kept) {
        let after = before + side.rows as u128;
        side.budget = (rest * after / kept as u128 - rest * before / kept as u128) as usize;
        before = after;
    }
    true
}

/// Buffers of one thread, so that small partitions allocate nothing.
struct Work<'p> {
    /// Rows that the partition being cut may drop.
    budget: usize,
    candidates: Vec<(f64, usize, Extent)>,
    sizes: Vec<usize>,
    sides: Vec<Side>,
    judge: Judge<'p>,
}

pub(super) struct Cutter<'p> {
    problem: &'p Problem,
    pub axes: Vec<Axis>,
    order: usize,
    k: usize,
    relaxed: bool,
    only_k: bool,
    done: AtomicU64,
    job: &'p Job,
}

impl<'p> Cutter<'p> {
    pub fn new(problem: &'p Problem, layout: &Layout, relaxed: bool, job: &'p Job) -> Self {
        let axes = (0..).zip(&layout.columns).map(|(c, &bands)| Axis::of(&problem.items, c, bands)).collect();
        Self::with_axes(problem, axes, layout, relaxed, job)
    }

    pub fn with_axes(problem: &'p Problem, axes: Vec<Axis>, layout: &Layout, relaxed: bool, job: &'p Job) -> Self {
        Self {
            problem,
            axes,
            order: layout.order(),
            k: problem.criteria.k() as usize,
            relaxed,
            only_k: problem.criteria.only_k(),
            done: AtomicU64::new(0),
            job,
        }
    }

    fn work(&self) -> Work<'p> {
        Work { budget: 0, candidates: vec![], sizes: vec![], sides: vec![], judge: self.problem.judge() }
    }

    /// Cuts to the end; the stretches of the classes in the order of their items, which begin at `start`.
    pub fn solve(&self, mut part: Part<'_>, start: usize, budget: usize) -> Result<Vec<Range<usize>>> {
        self.job.check()?;
        if part.len() <= SEQUENTIAL {
            return self.solve_small(part, start, budget);
        }
        let (all, mut work) = (0..part.len(), self.work());
        if !self.cut(&mut part, all.clone(), budget, &mut work) {
            self.progress(all.len());
            return Ok(std::iter::once(start..start + all.end).collect());
        }
        let sides = work.sides;
        let starts = sides.iter().scan(start, |next, side| {
            let mine = *next;
            *next += side.items;
            Some(mine)
        });
        let parts = part.split(sides.iter().map(|s| s.items));
        let tasks: Vec<_> = parts.into_iter().zip(starts).zip(&sides).filter(|(_, side)| side.kept).collect();
        let classes: Vec<Vec<Range<usize>>> = tasks
            .into_par_iter()
            .map(|((part, start), side)| self.solve(part, start, side.budget))
            .collect::<Result<_>>()?;
        Ok(classes.concat())
    }

    /// The same on one thread, with the partitions still to be cut on a stack.
    fn solve_small(&self, mut part: Part<'_>, start: usize, budget: usize) -> Result<Vec<Range<usize>>> {
        let (mut classes, mut work) = (vec![], self.work());
        let mut stack = vec![(0..part.len(), budget)];
        while let Some((range, budget)) = stack.pop() {
            // Counting a population can take long.
            if !self.only_k {
                self.job.check()?;
            }
            if !self.cut(&mut part, range.clone(), budget, &mut work) {
                classes.push(start + range.start..start + range.end);
                continue;
            }
            let mut end = range.end;
            for side in work.sides.iter().rev() {
                if side.kept {
                    stack.push((end - side.items..end, side.budget));
                }
                end -= side.items;
            }
        }
        self.progress(part.len());
        Ok(classes)
    }

    fn progress(&self, items: usize) {
        let done = self.done.fetch_add(items as u64, Ordering::Relaxed) + items as u64;
        self.job.progress("anonymising", done, self.problem.items.len() as u64);
    }

    /// Makes the first allowable cut of a stretch: its items lie side by side afterwards, as `work.sides` says.
    fn cut(&self, part: &mut Part<'_>, range: Range<usize>, budget: usize, work: &mut Work<'_>) -> bool {
        if budget == 0 && range.len() < 2 * self.k {
            return false;
        }
        work.budget = budget;
        work.candidates.clear();
        for (column, axis) in self.axes.iter().enumerate() {
            let extent = Extent::of(part.band(axis.low, range.clone()));
            if extent.is_wide() || extent.is_mixed() {
                work.candidates.push((axis.width(part, range.clone(), extent), column, extent));
            }
        }
        // Few candidates: insertion sort inside, and no allocation.
        work.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        (0..work.candidates.len()).any(|i| {
            let (_, column, extent) = work.candidates[i];
            self.cut_column(part, column, range.clone(), extent, work)
        })
    }

    fn cut_column(
        &self,
        part: &mut Part<'_>,
        column: usize,
        range: Range<usize>,
        extent: Extent,
        work: &mut Work<'_>,
    ) -> bool {
        let (budget, band) = (work.budget, self.axes[column].low);
        if extent.is_mixed() {
            let missing = part.band(band, range.clone()).iter().filter(|r| **r == NULL).count();
            if self.cut_at(part, band, range.clone(), Cut { threshold: NULL, front: missing }, budget, work) {
                return true;
            }
        }
        if !extent.is_wide() {
            return false;
        }
        if let Scale::Tree(tree) = &self.axes[column].scale {
            let node = tree.common(extent.low - 1, extent.high - 1);
            let mut sizes = std::mem::take(&mut work.sizes);
            part.mark_children(band, range.clone(), extent, tree.nodes_at(node.level - 1), &mut sizes);
            let allowed = self.fits(&sizes, budget) && {
                part.gather_marked(range.clone(), &sizes);
                self.settle(part, range, &sizes, budget, work)
            };
            work.sizes = sizes;
            return allowed;
        }
        let median = part.median(band, range.clone(), extent);
        let (mut below, mut equal) = (0, 0);
        for &rank in part.band(band, range.clone()) {
            below += usize::from(rank < median);
            equal += usize::from(rank == median);
        }
        let limits = if budget == 0 { &[0][..] } else { &[0, budget] };
        let half = Cut { threshold: median, front: range.len().div_ceil(2) };
        if self.relaxed && limits.iter().any(|&limit| self.cut_at(part, band, range.clone(), half, limit, work)) {
            return true;
        }
        let cuts =
            [Cut { threshold: median, front: below + equal }, Cut { threshold: median.wrapping_sub(1), front: below }];
        limits.iter().any(|&limit| {
            // A cut with an empty side is no cut.
            cuts.iter()
                .filter(|cut| 0 < cut.front && cut.front < range.len())
                .any(|&cut| self.cut_at(part, band, range.clone(), cut, limit, work))
        })
    }

    /// Makes a cut if it is allowable with at most `limit` rows dropped.
    fn cut_at(
        &self,
        part: &mut Part<'_>,
        band: usize,
        range: Range<usize>,
        cut: Cut,
        limit: usize,
        work: &mut Work<'_>,
    ) -> bool {
        let sizes = [cut.front, range.len() - cut.front];
        self.fits(&sizes, limit) && {
            part.move_to_front(band, range.clone(), cut.threshold, cut.front);
            self.settle(part, range, &sizes, limit, work)
        }
    }

    /// Whether a cut can be allowable, judged by the number of items alone: rows are never fewer.
    pub fn fits(&self, sizes: &[usize], limit: usize) -> bool {
        let small: usize = sizes.iter().filter(|s| **s < self.k).sum();
        sizes.len() > 1 && small <= limit && sizes.iter().any(|s| *s >= self.k)
    }

    /// Decides which sides of a cut, already lying side by side, stay, and shares the partition's budget among them.
    /// False when more than `limit` rows would be dropped.
    fn settle(&self, part: &Part<'_>, range: Range<usize>, sizes: &[usize], limit: usize, work: &mut Work<'_>) -> bool {
        work.sides.clear();
        let (mut start, mut dropped) = (range.start, 0);
        for &items in sizes {
            let members = part.band(self.order, start..start + items);
            let kept = items >= self.k && (self.only_k || work.judge.admits(members.iter().copied(), items));
            let side = Side { items, rows: self.rows(members), kept, budget: 0 };
            dropped += if kept { 0 } else { side.rows };
            if dropped > limit {
                return false;
            }
            work.sides.push(side);
            start += items;
        }
        deal(&mut work.sides, work.budget, limit)
    }

    fn rows(&self, members: &[u32]) -> usize {
        let items = &self.problem.items;
        if items.has_weights() { members.iter().map(|&i| items.weight(i)).sum() } else { members.len() }
    }
}

/// A cut of a column: items of lower rank than the threshold come first, then those of its rank as far as they belong
/// to the `front` ones.
#[derive(Debug, Clone, Copy)]
struct Cut {
    threshold: u32,
    front: usize,
}
