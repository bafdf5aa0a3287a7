//! Strict multidimensional Mondrian (LeFevre, DeWitt & Ramakrishnan, ICDE 2006).
//!
//! A partition starts as the whole table. The quasi-identifiers are tried from the widest to the narrowest (ties: in
//! the order of the columns), and the first allowable cut divides the partition; without one it is a class.
//!
//! *Width* is relative to the whole table: range of a number / range in the table, labels present / labels of the
//! table for a category, leaves below the lowest common node / all leaves for a hierarchy. Missing values add no
//! width.
//!
//! *Cuts* of a column, in the order tried: missing | present, when both occur; then the children of the lowest common
//! node (hierarchy), or at the lower median m of the rows, `<= m | > m`, else `< m | >= m`. Missing values stand
//! before every other value, and with the first child of a node. Without units and hierarchies the last two cuts
//! make the result minimal: if neither is allowable, no cut of the column is, because the side of m holds at least
//! half of the rows and the other side is the larger the nearer the cut is to m.
//!
//! *Allowable* is a cut with at least k persons (rows, without units) on every side. A partition also owns a budget
//! of rows that may be dropped: the smaller sides may fall away where their rows fit into it; the median is then
//! tried on both sides without the budget first. What is left of the budget is shared among the sides that stay, in
//! proportion to their rows.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashSet;
use lookalike_core::{Domain, Error, Frame, Job, Result};
use rayon::prelude::*;

use crate::method::Method;
use crate::{Checked, Class, Hierarchy, KAnonymizeParams, Release, SUPPRESSED};

mod axis;
mod part;

use axis::{NULL, Scale};
use part::{Extent, Part};

/// Partitions of up to so many rows are cut to the end by one thread.
const SEQUENTIAL: usize = 1 << 14;

/// Strict multidimensional Mondrian.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mondrian;

impl Method for Mondrian {
    fn name(&self) -> &'static str {
        "mondrian"
    }

    fn summary(&self) -> &'static str {
        "strict multidimensional Mondrian: cuts the widest quasi-identifier at its median as long as every side keeps \
         k persons"
    }

    fn source(&self) -> &'static str {
        "LeFevre, DeWitt & Ramakrishnan, Mondrian multidimensional k-anonymity, ICDE 2006"
    }

    fn anonymize(
        &self,
        frame: &Frame,
        hierarchies: &[Option<Hierarchy>],
        params: &Checked<KAnonymizeParams>,
        job: &Job,
    ) -> Result<Release> {
        check_input(frame, hierarchies, params.k)?;
        let (rows, columns) = (frame.rows(), frame.columns().len());
        let bands = columns + 1 + usize::from(frame.units().is_some());
        let _working = job.reserve(axis::working_bytes(frame), "ranking quasi-identifiers")?;
        let mut reserved = job.reserve((bands + 2) * 4 * rows, "partitioning rows")?;
        let (mut bands, scales): (Vec<Vec<u32>>, Vec<Scale>) = axis::encode(frame, hierarchies)?.into_iter().unzip();
        drop(_working);
        job.check()?;
        bands.push((0..rows as u32).collect());
        bands.extend(frame.units().map(|u| u.codes.clone()));
        let (mut scratch, mut marks) = (vec![0; rows], vec![0; rows]);
        let mut part = Part::new(bands.iter_mut().map(Vec::as_mut_slice).collect(), &mut scratch, &mut marks);
        let axes = scales.into_iter().enumerate().map(|(c, scale)| Axis::new(c, scale, &mut part)).collect();
        let cutter = Cutter {
            axes,
            persons: frame.units().map(|_| columns + 1),
            k: params.k,
            rows: rows as u64,
            done: AtomicU64::new(0),
            job,
        };
        let leaves = cutter.solve(part, 0, params.budget(rows))?;
        let order = bands.swap_remove(columns);
        drop((bands, scratch, marks));
        reserved.resize(2 * 4 * rows, "partitioning rows")?;
        let release = Release::new(collect(&leaves, &order), leaves, order, hierarchies);
        job.count("classes", release.classes.len());
        job.count("rows_suppressed", release.suppressed());
        Ok(release)
    }
}

fn check_input(frame: &Frame, hierarchies: &[Option<Hierarchy>], k: usize) -> Result<()> {
    if frame.columns().is_empty() {
        return Err(Error::argument("quasi_identifiers is empty, it needs at least one column"));
    }
    if let Some(column) = frame.columns().iter().find(|c| matches!(c.domain, Domain::Identifier(_))) {
        return Err(Error::argument(format!(
            "quasi_identifiers: column '{}' is an identifier, which cannot be generalised: leave it out of the \
             quasi-identifiers and of the released columns",
            column.name()
        )));
    }
    if hierarchies.len() != frame.columns().len() {
        return Err(Error::internal(format!(
            "{} hierarchy slots for {} quasi-identifiers",
            hierarchies.len(),
            frame.columns().len()
        )));
    }
    if frame.rows() == 0 {
        return Err(Error::data("the input has no rows, there is nothing to anonymise"));
    }
    let (units, noun) = match frame.units() {
        None => (frame.rows(), "rows"),
        Some(units) => {
            let mut seen = vec![false; units.count as usize];
            units.codes.iter().for_each(|&u| seen[u as usize] = true);
            (seen.into_iter().filter(|s| *s).count(), "distinct persons (privacy_unit)")
        }
    };
    if units < k {
        return Err(Error::data(format!("k is {k}, but the input has only {units} {noun}: k can be at most that")));
    }
    Ok(())
}

/// The class of each row, from the leaves' stretches of the rows in leaf order.
fn collect(leaves: &[Class], order: &[u32]) -> Vec<u32> {
    let mut class_of = vec![SUPPRESSED; order.len()];
    for (class, leaf) in (0..).zip(leaves) {
        order[leaf.members()].iter().for_each(|&row| class_of[row as usize] = class);
    }
    class_of
}

/// A quasi-identifier and what its widths are relative to.
struct Axis {
    scale: Scale,
    whole: f64,
}

impl Axis {
    fn new(column: usize, scale: Scale, part: &mut Part<'_>) -> Self {
        let all = 0..part.len();
        let extent = Extent::of(part.band(column, all.clone()));
        let whole = match &scale {
            Scale::Even | Scale::Numbers(_) if extent.is_wide() => scale.distance(extent.low, extent.high),
            Scale::Even | Scale::Numbers(_) => 1.0,
            Scale::Labels => f64::from(part.distinct(column, all, extent)),
            Scale::Tree(hierarchy) => f64::from(hierarchy.leaf_count()),
        };
        Self { scale, whole }
    }

    /// Width of a stretch relative to the table, 0 to 1.
    fn width(&self, column: usize, part: &mut Part<'_>, range: Range<usize>, extent: Extent) -> f64 {
        if !extent.is_wide() {
            return 0.0;
        }
        let width = match &self.scale {
            Scale::Even | Scale::Numbers(_) => self.scale.distance(extent.low, extent.high),
            Scale::Labels => f64::from(part.distinct(column, range, extent)),
            Scale::Tree(tree) => f64::from(tree.leaves_below(tree.common(extent.low - 1, extent.high - 1))),
        };
        width / self.whole
    }
}

/// One side of a cut.
#[derive(Debug, Clone, Copy)]
struct Side {
    rows: usize,
    kept: bool,
    budget: usize,
}

/// Buffers of one thread, so that small partitions allocate nothing.
#[derive(Default)]
struct Work {
    /// Rows that the partition being cut may drop.
    budget: usize,
    candidates: Vec<(f64, usize, Extent)>,
    sizes: Vec<usize>,
    sides: Vec<Side>,
    persons: HashSet<u32>,
}

struct Cutter<'j> {
    axes: Vec<Axis>,
    /// Band of the persons.
    persons: Option<usize>,
    k: usize,
    rows: u64,
    done: AtomicU64,
    job: &'j Job,
}

impl Cutter<'_> {
    /// Cuts to the end; the classes in the order of their rows, which begin at `start`.
    fn solve(&self, mut part: Part<'_>, start: usize, budget: usize) -> Result<Vec<Class>> {
        self.job.check()?;
        if part.len() <= SEQUENTIAL {
            return Ok(self.solve_small(part, start, budget));
        }
        let (all, mut work) = (0..part.len(), Work::default());
        if !self.cut(&mut part, all.clone(), budget, &mut work) {
            self.progress(all.len());
            return Ok(vec![self.class(&mut part, all, start)]);
        }
        let sides = work.sides;
        let starts = sides.iter().scan(start, |next, side| {
            let mine = *next;
            *next += side.rows;
            Some(mine)
        });
        let parts = part.split(sides.iter().map(|s| s.rows));
        let tasks: Vec<_> = parts.into_iter().zip(starts).zip(&sides).filter(|(_, side)| side.kept).collect();
        let classes: Vec<Vec<Class>> = tasks
            .into_par_iter()
            .map(|((part, start), side)| self.solve(part, start, side.budget))
            .collect::<Result<_>>()?;
        Ok(classes.concat())
    }

    /// The same on one thread, with the partitions still to be cut on a stack.
    fn solve_small(&self, mut part: Part<'_>, start: usize, budget: usize) -> Vec<Class> {
        let (mut classes, mut work) = (vec![], Work::default());
        let mut stack = vec![(0..part.len(), budget)];
        while let Some((range, budget)) = stack.pop() {
            if !self.cut(&mut part, range.clone(), budget, &mut work) {
                classes.push(self.class(&mut part, range, start));
                continue;
            }
            let mut end = range.end;
            for side in work.sides.iter().rev() {
                if side.kept {
                    stack.push((end - side.rows..end, side.budget));
                }
                end -= side.rows;
            }
        }
        self.progress(part.len());
        classes
    }

    fn progress(&self, rows: usize) {
        let done = self.done.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        self.job.progress("anonymising", done, self.rows);
    }

    fn class(&self, part: &mut Part<'_>, range: Range<usize>, start: usize) -> Class {
        let rows = range.len();
        let units = self.persons.map_or(rows, |band| part.persons(band, range.clone()));
        Class::new(rows, units, start + range.start)
    }

    /// Makes the first allowable cut of a stretch: its rows lie side by side afterwards, as `work.sides` says.
    fn cut(&self, part: &mut Part<'_>, range: Range<usize>, budget: usize, work: &mut Work) -> bool {
        if budget == 0 && range.len() < 2 * self.k {
            return false;
        }
        work.budget = budget;
        work.candidates.clear();
        for (column, axis) in self.axes.iter().enumerate() {
            let extent = Extent::of(part.band(column, range.clone()));
            if extent.is_wide() || extent.is_mixed() {
                work.candidates.push((axis.width(column, part, range.clone(), extent), column, extent));
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
        work: &mut Work,
    ) -> bool {
        let budget = work.budget;
        if extent.is_mixed() {
            let missing = part.band(column, range.clone()).iter().filter(|r| **r == NULL).count();
            if self.cut_at(part, column, range.clone(), (NULL, missing), budget, work) {
                return true;
            }
        }
        if !extent.is_wide() {
            return false;
        }
        if let Scale::Tree(tree) = &self.axes[column].scale {
            let node = tree.common(extent.low - 1, extent.high - 1);
            let mut sizes = std::mem::take(&mut work.sizes);
            part.mark_children(column, range.clone(), extent, tree.nodes_at(node.level - 1), &mut sizes);
            let allowed = self.fits(&sizes, budget) && {
                part.gather_marked(range.clone(), &sizes);
                self.settle(part, range, &sizes, budget, work)
            };
            work.sizes = sizes;
            return allowed;
        }
        let median = part.median(column, range.clone(), extent);
        let (mut below, mut equal) = (0, 0);
        for &rank in part.band(column, range.clone()) {
            below += usize::from(rank < median);
            equal += usize::from(rank == median);
        }
        let cuts = [(median, below + equal), (median.wrapping_sub(1), below)];
        let limits = if budget == 0 { &[0][..] } else { &[0, budget] };
        limits.iter().any(|&limit| {
            // A cut with an empty side is no cut.
            cuts.iter()
                .filter(|(_, front)| 0 < *front && *front < range.len())
                .any(|&cut| self.cut_at(part, column, range.clone(), cut, limit, work))
        })
    }

    /// Cuts at `(threshold, rows with a rank of at most that)`, if that is allowable with at most `limit` rows dropped.
    fn cut_at(
        &self,
        part: &mut Part<'_>,
        column: usize,
        range: Range<usize>,
        (threshold, front): (u32, usize),
        limit: usize,
        work: &mut Work,
    ) -> bool {
        let sizes = [front, range.len() - front];
        self.fits(&sizes, limit) && {
            part.move_to_front(column, range.clone(), threshold);
            self.settle(part, range, &sizes, limit, work)
        }
    }

    /// Whether a cut can be allowable, judged by rows alone: persons are never more.
    fn fits(&self, sizes: &[usize], limit: usize) -> bool {
        let small: usize = sizes.iter().filter(|s| **s < self.k).sum();
        small <= limit && sizes.iter().any(|s| *s >= self.k)
    }

    /// Decides which sides of a cut, already lying side by side, stay, and shares the partition's budget among them.
    /// False when more than `limit` rows would be dropped.
    fn settle(&self, part: &Part<'_>, range: Range<usize>, sizes: &[usize], limit: usize, work: &mut Work) -> bool {
        work.sides.clear();
        let (mut start, mut dropped) = (range.start, 0);
        for &rows in sizes {
            let kept = rows >= self.k && self.has_persons(part, start..start + rows, &mut work.persons);
            dropped += if kept { 0 } else { rows };
            work.sides.push(Side { rows, kept, budget: 0 });
            start += rows;
        }
        let kept = range.len() - dropped;
        if dropped > limit || kept == 0 {
            return false;
        }
        // Differences of rounded cumulative shares: nothing is lost and the sum is exact.
        let (rest, mut before) = ((work.budget - dropped) as u128, 0u128);
        for side in work.sides.iter_mut().filter(|s| s.kept) {
            let after = before + side.rows as u128;
            side.budget = (rest * after / kept as u128 - rest * before / kept as u128) as usize;
            before = after;
        }
        true
    }

    fn has_persons(&self, part: &Part<'_>, range: Range<usize>, seen: &mut HashSet<u32>) -> bool {
        let Some(band) = self.persons else { return true };
        seen.clear();
        part.band(band, range).iter().any(|&person| seen.insert(person) && seen.len() >= self.k)
    }
}
