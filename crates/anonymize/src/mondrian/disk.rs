//! Mondrian on disk: partitions that memory does not hold are cut by streaming over files, the others as always. The
//! classes are those of the rows in memory.

use lookalike_core::{Error, ErrorKind, Job, Reservation, Result, SpilledRows};

use super::cutter::{Axis, Cutter, Layout, Seen, Side, deal};
use super::part::Part;
use crate::axis::{self, NULL, Scale};
use crate::criteria::Tally;
use crate::problem::SUPPRESSED;
use crate::release::Class;
use crate::shown::Shown;
use crate::{OutputForm, Problem, Release};

mod bands;

use bands::{BandFile, BandWriter};

/// Partitions of up to so many items are small: where memory does not hold even them, the error is the caller's.
const SMALL: usize = if cfg!(test) { 1 << 8 } else { 1 << 16 };

/// Counts of up to so many ranks, or stretches of ranks, are held at a time.
const COUNTS: u64 = 1 << 21;

/// The release of rows on disk.
pub(super) fn release(rows: &SpilledRows, problem: &Problem, job: &Job) -> Result<Release> {
    let items = &problem.items;
    let layout = Layout { columns: (0..items.columns()).map(|c| (c, c)).collect() };
    let mut held = job.reserve(4 * items.len(), "the class of each row")?;
    let file = write_bands(rows, problem, &layout, job)?;
    let axes = (0..items.columns())
        .map(|c| {
            let scale = items.axis(c).scale.clone();
            let labels = match scale {
                Scale::Labels => file.labels(c)?,
                _ => 0,
            };
            Ok(Axis::new(scale, file.extents[c], || labels, layout.columns[c]))
        })
        .collect::<Result<Vec<Axis>>>()?;
    let mut solution = Solution {
        problem,
        cutter: Cutter::with_axes(problem, axes, &layout, false, job),
        class_of: vec![SUPPRESSED; items.len()],
        classes: vec![],
        shown: (0..items.columns()).map(|c| Shown::new(items.axis(c), problem.params.form, None)).collect(),
        held: &mut held,
        job,
    };
    solution.solve(file, problem.budget)?;
    Ok(Release::new(solution.class_of, solution.classes, solution.shown))
}

/// Ranks and numbers of all items.
fn write_bands(rows: &SpilledRows, problem: &Problem, layout: &Layout, job: &Job) -> Result<BandFile> {
    let items = &problem.items;
    let mut writer = BandWriter::new(layout.bands(), job)?;
    let (mut first, all) = (0, items.len() as u64);
    for (frame, length) in rows.lengths().enumerate() {
        job.check()?;
        let _working = job.reserve((8 + 4 * layout.bands()) * length, "ranking rows")?;
        let mut bands = Vec::with_capacity(layout.bands());
        for column in 0..items.columns() {
            bands.push(axis::rank(&rows.load(frame, column)?, &items.axis(column).scale)?);
        }
        bands.push((first..first + length as u32).collect());
        first += length as u32;
        writer.push(&bands)?;
        job.progress("ranking", u64::from(first), all);
    }
    writer.finish()
}

struct Solution<'p> {
    problem: &'p Problem,
    cutter: Cutter<'p>,
    class_of: Vec<u32>,
    classes: Vec<Class>,
    shown: Vec<Shown>,
    /// What `class_of`, `classes` and `shown` take.
    held: &'p mut Reservation,
    job: &'p Job,
}

impl Solution<'_> {
    /// Cuts a partition to the end; classes are added in the order in which they would lie in memory.
    fn solve(&mut self, file: BandFile, budget: usize) -> Result<()> {
        self.job.check()?;
        let columns = self.shown.len();
        // Ranks, numbers and two scratch areas of the items; then what at most so many classes show, and the check on
        // it.
        let most = file.items / (self.problem.criteria.k() as usize) + 1;
        let needed = (columns + 3) * 4 * file.items + most * (columns * (9 + 12) + size_of::<Class>() + 24);
        match self.job.reserve(needed, "partitioning rows") {
            Ok(reserved) => self.solve_in_memory(&file, budget, reserved),
            Err(error) if error.kind() != ErrorKind::Resources || file.items <= SMALL => Err(error),
            Err(error) => match self.cut(&file, budget)? {
                None => self.class(&file, error),
                Some(sides) => {
                    drop(file);
                    sides.into_iter().try_for_each(|(file, budget)| self.solve(file, budget))
                }
            },
        }
    }

    fn solve_in_memory(&mut self, file: &BandFile, budget: usize, reserved: Reservation) -> Result<()> {
        let mut bands = file.load()?;
        let (mut scratch, mut marks) = (vec![0; file.items], vec![0; file.items]);
        let part = Part::new(bands.iter_mut().map(Vec::as_mut_slice).collect(), &mut scratch, &mut marks);
        let leaves = self.cutter.solve(part, 0, budget)?;
        drop((scratch, marks));
        for leaf in &leaves {
            let class = self.classes.len() as u32;
            self.classes.push(Class { rows: leaf.len(), units: leaf.len() });
            let order = &bands[bands.len() - 1][leaf.clone()];
            order.iter().for_each(|&item| self.class_of[item as usize] = class);
        }
        self.shown.iter_mut().zip(&bands).for_each(|(shown, band)| shown.append(band, &leaves));
        drop((bands, reserved));
        let shown: usize = self.shown.iter().map(Shown::memory).sum();
        let classes = self.classes.capacity() * size_of::<Class>();
        self.held.resize(4 * self.class_of.len() + classes + shown, "classes")
    }

    /// A partition that memory does not hold as one class: few of its ranks decide what it shows, unless that is a mean,
    /// for which memory is needed.
    fn class(&mut self, file: &BandFile, memory: Error) -> Result<()> {
        if self.problem.params.form == OutputForm::Mean {
            return Err(memory);
        }
        for (column, shown) in self.shown.iter_mut().enumerate() {
            let extent = file.extents[column];
            let mut ranks = match self.cutter.axes[column].scale {
                Scale::Labels => file.seen(column)?.ranks().collect(),
                _ if extent.high == NULL => vec![],
                _ => vec![extent.low, extent.high],
            };
            ranks.extend(extent.nulls.then_some(NULL));
            shown.append(&ranks, std::slice::from_ref(&(0..ranks.len())));
        }
        let class = self.classes.len() as u32;
        self.classes.push(Class { rows: file.items, units: file.items });
        file.each(file.bands - 1, |item| self.class_of[item as usize] = class)
    }

    /// The first allowable cut of a partition as files with their budgets, in order; `None` when it is a class.
    fn cut(&mut self, file: &BandFile, budget: usize) -> Result<Option<Vec<(BandFile, usize)>>> {
        let mut candidates = vec![];
        for (column, axis) in self.cutter.axes.iter().enumerate() {
            let extent = file.extents[column];
            if extent.is_wide() || extent.is_mixed() {
                let labels = match axis.scale {
                    Scale::Labels if extent.is_wide() => file.labels(column)?,
                    _ => 0,
                };
                candidates.push((axis.relative(extent, || labels), column));
            }
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, column) in candidates {
            for (sides, limit) in self.cuts(file, column, budget)? {
                if let Some(sides) = self.settle(file, column, &sides, budget, limit)? {
                    return Ok(Some(self.split(file, column, &sides)?));
                }
            }
        }
        Ok(None)
    }

    /// The cuts of a column in the order tried: ranks at which sides end with the sizes of the sides, and the rows that
    /// each may drop.
    fn cuts(&self, file: &BandFile, column: usize, budget: usize) -> Result<Vec<(Vec<Stretch>, usize)>> {
        let extent = file.extents[column];
        let all = file.items;
        let two =
            |end: u32, front: usize| vec![Stretch { end, items: front }, Stretch { end: u32::MAX, items: all - front }];
        let mut cuts = vec![];
        if extent.is_mixed() {
            cuts.push((two(NULL, file.count(column, |r| r == NULL)?), budget));
        }
        if !extent.is_wide() {
            return Ok(cuts);
        }
        if let Scale::Tree(tree) = &self.cutter.axes[column].scale {
            let node = tree.common(extent.low - 1, extent.high - 1);
            let nodes = tree.nodes_at(node.level - 1);
            let first = nodes[extent.low as usize - 1];
            let children = (nodes[extent.high as usize - 1] - first) as usize + 1;
            let mut sides: Vec<Stretch> = (0..children).map(|_| Stretch { end: 0, items: 0 }).collect();
            file.each(column, |rank| {
                let child = if rank == NULL { 0 } else { nodes[rank as usize - 1] - first };
                let side = &mut sides[child as usize];
                (side.end, side.items) = (side.end.max(rank), side.items + 1);
            })?;
            sides.retain(|s| s.items > 0);
            cuts.push((sides, budget));
            return Ok(cuts);
        }
        let (median, below, equal) = self.median(file, column)?;
        for limit in if budget == 0 { vec![0] } else { vec![0, budget] } {
            cuts.push((two(median, below + equal), limit));
            cuts.push((two(median.wrapping_sub(1), below), limit));
        }
        Ok(cuts)
    }

    /// The lower median, missing values first, with the numbers of items below and at it.
    fn median(&self, file: &BandFile, column: usize) -> Result<(u32, usize, usize)> {
        let extent = file.extents[column];
        let lowest = u64::from(if extent.nulls { NULL } else { extent.low });
        let width = u64::from(extent.high) - lowest + 1;
        let middle = (file.items - 1) / 2;
        // Counts of stretches of ranks first where there are too many ranks.
        let step = width.div_ceil(COUNTS);
        let mut counts = vec![0u32; width.div_ceil(step) as usize];
        file.each(column, |rank| counts[((u64::from(rank) - lowest) / step) as usize] += 1)?;
        let (stretch, mut below) = place(&counts, middle);
        let start = lowest + stretch as u64 * step;
        let mut counts = vec![0u32; step as usize];
        file.each(column, |rank| {
            if let Some(count) = u64::from(rank).checked_sub(start).and_then(|r| counts.get_mut(r as usize)) {
                *count += 1;
            }
        })?;
        let (rank, before) = place(&counts, middle - below);
        below += before;
        Ok(((start + rank as u64) as u32, below, counts[rank] as usize))
    }

    /// The sides of a cut, if it is allowable.
    fn settle(
        &self,
        file: &BandFile,
        column: usize,
        stretches: &[Stretch],
        budget: usize,
        limit: usize,
    ) -> Result<Option<Vec<(u32, Side)>>> {
        let sizes: Vec<usize> = stretches.iter().map(|s| s.items).collect();
        if sizes.contains(&0) || !self.cutter.fits(&sizes, limit) {
            return Ok(None);
        }
        let criteria = &self.problem.criteria;
        let mut kept: Vec<bool> = sizes.iter().map(|items| *items as u64 >= criteria.k()).collect();
        if !criteria.only_k() {
            let items = &self.problem.items;
            let mut tallies: Vec<Tally> = stretches.iter().map(|_| Tally::default()).collect();
            tallies.iter_mut().for_each(|t| t.start(items));
            file.each_with_item(column, |rank, item| tallies[side_of(stretches, rank)].add(items, item))?;
            let judge = self.problem.judge();
            for ((tally, size), kept) in tallies.iter_mut().zip(&sizes).zip(&mut kept) {
                tally.finish();
                *kept = *kept && judge.admits_counted(tally, *size);
            }
        }
        let side = |(&items, kept): (&usize, bool)| Side { items, rows: items, kept, budget: 0 };
        let mut sides: Vec<Side> = sizes.iter().zip(kept).map(side).collect();
        let allowed = deal(&mut sides, budget, limit);
        Ok(allowed.then(|| stretches.iter().map(|s| s.end).zip(sides).collect()))
    }

    /// Writes the sides that stay into files of their own.
    fn split(&self, file: &BandFile, column: usize, sides: &[(u32, Side)]) -> Result<Vec<(BandFile, usize)>> {
        let stretches: Vec<Stretch> = sides.iter().map(|(end, s)| Stretch { end: *end, items: s.items }).collect();
        let mut writers = sides
            .iter()
            .map(|(_, side)| side.kept.then(|| BandWriter::new(file.bands, self.job)).transpose())
            .collect::<Result<Vec<_>>>()?;
        let mut places = vec![];
        file.each_block(|bands| {
            self.job.check()?;
            places.clear();
            places.extend(bands[column].iter().map(|&rank| side_of(&stretches, rank) as u32));
            for (writer, side) in writers.iter_mut().zip(0..) {
                if let Some(writer) = writer {
                    writer.push_some(bands, &places, side)?;
                }
            }
            Ok(())
        })?;
        let budgets = sides.iter().map(|(_, side)| side.budget);
        writers.into_iter().zip(budgets).filter_map(|(w, b)| w.map(|w| Ok((w.finish()?, b)))).collect()
    }
}

/// A side of a cut: its largest rank, and how many items it has.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    end: u32,
    items: usize,
}

/// Stretches ascend; the missing values are with the first.
fn side_of(stretches: &[Stretch], rank: u32) -> usize {
    stretches.iter().position(|s| rank <= s.end).unwrap_or(stretches.len() - 1)
}

/// Which of the counts holds the item at a place, and how many items are before it.
fn place(counts: &[u32], place: usize) -> (usize, usize) {
    let mut below = 0;
    for (i, &count) in counts.iter().enumerate() {
        if below + count as usize > place {
            return (i, below);
        }
        below += count as usize;
    }
    (counts.len().saturating_sub(1), below)
}

impl BandFile {
    /// The ranks that occur in a band.
    fn seen(&self, band: usize) -> Result<Seen> {
        let mut seen = Seen::up_to(self.extents[band].high);
        self.each(band, |rank| seen.add(rank))?;
        Ok(seen)
    }

    /// How many labels occur in a band.
    fn labels(&self, band: usize) -> Result<u32> {
        Ok(self.seen(band)?.count())
    }

    /// How many ranks of a band are such.
    fn count(&self, band: usize, such: impl Fn(u32) -> bool) -> Result<usize> {
        let mut count = 0;
        self.each(band, |rank| count += usize::from(such(rank)))?;
        Ok(count)
    }
}

/// The error of a band file that ends early.
fn torn() -> Error {
    Error::internal("a temporary file of ranks is shorter than what was written")
}

#[cfg(test)]
mod tests;
