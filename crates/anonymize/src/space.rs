//! Items as points for methods that cluster them: how far apart they are, and what a class of them loses.
//!
//! *Numbers* are standardised: by their standard deviation over the items where distances are squared, by their range
//! where a loss is counted. *Labels* are equal or not. *Leaves* of a hierarchy are as far apart as the leaves below their
//! lowest common node, less one, are of all leaves less one. A *missing* value is 1 from every present one and 0 from
//! another missing one. An item with several values in a column stands in the middle of the lowest and the highest number,
//! and at the first of its labels or leaves.

use std::ops::Range;

use lookalike_core::{Job, Reservation, Result};
use rayon::prelude::*;

use crate::axis::NULL;
use crate::{Axis, Items, Scale};

mod remaining;
mod tree;

pub(crate) use remaining::Remaining;
pub(crate) use tree::Tree;

/// Items that one thread measures at a time; fixed, so that sums have the same bits whatever the number of threads.
const CHUNK: usize = 1 << 13;

/// Sums and extremes run in so many lanes, which the compiler turns into vector instructions.
const LANES: usize = 8;

/// One quasi-identifier of all items.
#[derive(Debug)]
pub(crate) enum Dimension<'p> {
    /// NaN where missing. Numbers times `per_deviation` have a standard deviation of 1, times `per_range` a range of 1;
    /// both are 0 where all numbers are equal.
    Numbers { values: Vec<f64>, per_deviation: f64, per_range: f64 },
    /// Ranks below `domain`; `distinct` counts those that occur, a missing value among them.
    Labels { codes: &'p [u32], domain: usize, distinct: usize },
    /// Codes of the tree.
    Leaves { codes: Vec<u32>, tree: Tree },
}

impl<'p> Dimension<'p> {
    fn new(items: &'p Items, column: usize) -> Self {
        let (axis, low, high) = (items.axis(column), items.low(column), items.high(column));
        match &axis.scale {
            Scale::Even { .. } | Scale::Numbers(_) => {
                let values = numbers(axis, low, high);
                let (per_deviation, per_range) = units(&values);
                Self::Numbers { values, per_deviation, per_range }
            }
            Scale::Labels => {
                let mut seen = vec![false; low.iter().max().map_or(0, |&r| r as usize + 1)];
                low.iter().for_each(|&r| seen[r as usize] = true);
                Self::Labels { codes: low, domain: seen.len(), distinct: seen.iter().filter(|s| **s).count() }
            }
            Scale::Tree(hierarchy) => {
                let (tree, codes) = Tree::new(hierarchy, low);
                Self::Leaves { codes, tree }
            }
        }
    }

    fn cells(&self) -> Cells {
        match self {
            Self::Numbers { values, .. } => Cells::Numbers(values.clone()),
            Self::Labels { codes, .. } => Cells::codes(codes.to_vec()),
            Self::Leaves { codes, .. } => Cells::codes(codes.clone()),
        }
    }

    /// Value of an item.
    pub fn place(&self, item: u32) -> Place {
        match self {
            Self::Numbers { values, .. } => Place::Number(values[item as usize]),
            Self::Labels { codes, .. } => Place::Code(codes[item as usize]),
            Self::Leaves { codes, .. } => Place::Code(codes[item as usize]),
        }
    }

    /// Measures squared distances from a value.
    pub fn squares(&self, from: Place) -> Ruler {
        match (self, from) {
            (Self::Numbers { .. }, Place::Number(number)) if number.is_nan() => {
                Ruler::Presence { present: 1.0, missing: 0.0 }
            }
            (Self::Numbers { per_deviation, .. }, Place::Number(centre)) => {
                Ruler::Square { centre, unit: *per_deviation }
            }
            (Self::Leaves { tree, .. }, Place::Code(NULL)) => Ruler::Table(tree.table(None, 1.0, 0.0, |w| w * w)),
            (Self::Leaves { tree, .. }, Place::Code(code)) => {
                Ruler::Table(tree.table(Some((code, code)), 0.0, 1.0, |w| w * w))
            }
            (_, Place::Code(code)) => Ruler::Equal(code),
            (_, Place::Number(_)) => Ruler::Presence { present: 0.0, missing: 0.0 },
        }
    }

    /// Squared distance of two values.
    pub fn square(&self, a: Place, b: Place) -> f64 {
        match (self, a, b) {
            (Self::Numbers { per_deviation, .. }, Place::Number(a), Place::Number(b)) => match (a.is_nan(), b.is_nan())
            {
                (true, true) => 0.0,
                (false, false) => ((a - b) * per_deviation).powi(2),
                _ => 1.0,
            },
            (_, Place::Code(a), Place::Code(b)) if a == b => 0.0,
            (Self::Leaves { tree, .. }, Place::Code(a), Place::Code(b)) if a != NULL && b != NULL => {
                tree.width(a, b).powi(2)
            }
            _ => 1.0,
        }
    }

    /// The middle of some values: the mean of numbers, the most frequent label (the smallest among equally frequent
    /// ones, a missing value last), the leaf with the least sum of squared distances. Means and leaves are missing where
    /// more than half of the values are.
    fn centre(&self, cells: &Cells) -> Place {
        match (self, cells) {
            (_, Cells::Numbers(values)) => Place::Number(mean(values)),
            (Self::Leaves { tree, .. }, Cells::Codes { codes, counts }) => {
                let missing = counts.first().map_or(0, |n| *n as usize);
                if 2 * missing > codes.len() {
                    return Place::Code(NULL);
                }
                let counts: Vec<(u32, u32)> =
                    (0..).zip(counts.iter().copied()).skip(1).filter(|(_, n)| *n > 0).collect();
                Place::Code(tree.middle(&counts))
            }
            (_, Cells::Codes { counts, .. }) => {
                let missing = counts.first().map_or(0, |n| *n);
                let mut best = (NULL, 0);
                for (code, &count) in (0..).zip(counts).skip(1).filter(|(_, n)| **n >= missing) {
                    if count > best.1 {
                        best = (code, count);
                    }
                }
                Place::Code(best.0)
            }
        }
    }
}

/// The numbers of the items: ranks of an even scale, whose sums are exact, otherwise 0 for the smallest to 1 for the
/// largest.
fn numbers(axis: &Axis, low: &[u32], high: Option<&[u32]>) -> Vec<f64> {
    let number = |rank: u32| match (&axis.scale, rank) {
        (_, NULL) => f64::NAN,
        (Scale::Numbers(_), rank) => axis.scale.number(rank),
        (_, rank) => f64::from(rank),
    };
    let halves = |(i, &rank): (usize, &u32)| number(rank) / 2.0 + number(high.map_or(rank, |h| h[i])) / 2.0;
    let mut values: Vec<f64> = low.par_iter().enumerate().map(halves).collect();
    if let Scale::Numbers(all) = &axis.scale {
        // Halves keep the difference of the largest floats finite.
        let ends = all.first().zip(all.last()).map(|(low, high)| (low / 2.0, high / 2.0 - low / 2.0));
        let (start, width) = ends.filter(|e| e.1 > 0.0).unwrap_or((0.0, f64::INFINITY));
        values.par_iter_mut().for_each(|v| *v = (*v / 2.0 - start) / width);
    }
    values
}

/// One over the standard deviation, and over the range.
fn units(values: &[f64]) -> (f64, f64) {
    let mean = mean_of_present(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - mean).powi(2)).collect();
    let (sum, count) = sum(&squares);
    let deviation = (sum / (count as f64 - 1.0)).sqrt();
    let present = || values.iter().filter(|v| !v.is_nan());
    let range = present().fold(f64::NEG_INFINITY, |a, b| a.max(*b)) - present().fold(f64::INFINITY, |a, b| a.min(*b));
    let inverse = |x: f64| if x > 0.0 && x.is_finite() { 1.0 / x } else { 0.0 };
    (inverse(deviation), inverse(range))
}

/// Sum of the numbers that are present, and how many those are.
fn sum(values: &[f64]) -> (f64, usize) {
    let chunk = |chunk: &[f64]| {
        let (mut sums, mut counts) = ([0.0; LANES], [0u64; LANES]);
        for lanes in chunk.chunks(LANES) {
            for ((sum, count), &v) in sums.iter_mut().zip(&mut counts).zip(lanes) {
                *sum += if v.is_nan() { 0.0 } else { v };
                *count += u64::from(!v.is_nan());
            }
        }
        (sums.iter().sum::<f64>(), counts.iter().sum::<u64>() as usize)
    };
    let add = |a: (f64, usize), b: (f64, usize)| (a.0 + b.0, a.1 + b.1);
    if values.len() <= CHUNK {
        return chunk(values);
    }
    let parts: Vec<_> = values.par_chunks(CHUNK).map(chunk).collect();
    parts.into_iter().fold((0.0, 0), add)
}

fn mean_of_present(values: &[f64]) -> f64 {
    let (sum, count) = sum(values);
    sum / count as f64
}

/// The mean of the numbers present; NaN where more than half are missing.
fn mean(values: &[f64]) -> f64 {
    let (sum, count) = sum(values);
    if 2 * count < values.len() { f64::NAN } else { sum / count as f64 }
}

/// A value of one quasi-identifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// NaN for a missing one.
    Number(f64),
    /// [`NULL`] for a missing one.
    Code(u32),
}

/// What each value of a quasi-identifier adds to a figure.
#[derive(Debug)]
pub(crate) enum Ruler {
    /// The squared distance from a number, 1 for a missing value.
    Square { centre: f64, unit: f64 },
    /// The width of a range with the number in it plus `present`, or `missing`.
    Span { low: f64, high: f64, unit: f64, present: f64, missing: f64 },
    /// One of two figures.
    Presence { present: f64, missing: f64 },
    /// 1 for every other code.
    Equal(u32),
    /// Figure by code.
    Table(Vec<f64>),
}

impl Ruler {
    fn add(&self, cells: &Cells, range: Range<usize>, out: &mut [f64]) {
        match (self, cells) {
            (&Ruler::Square { centre, unit }, Cells::Numbers(values)) => {
                for (out, value) in out.iter_mut().zip(&values[range]) {
                    let d = (value - centre) * unit;
                    *out += if value.is_nan() { 1.0 } else { d * d };
                }
            }
            (&Ruler::Span { low, high, unit, present, missing }, Cells::Numbers(values)) => {
                for (out, &value) in out.iter_mut().zip(&values[range]) {
                    let top = if value > high { value } else { high };
                    let bottom = if value < low { value } else { low };
                    *out += if value.is_nan() { missing } else { (top - bottom) * unit + present };
                }
            }
            (&Ruler::Presence { present, missing }, Cells::Numbers(values)) => {
                for (out, value) in out.iter_mut().zip(&values[range]) {
                    *out += if value.is_nan() { missing } else { present };
                }
            }
            (&Ruler::Equal(wanted), Cells::Codes { codes, .. }) => {
                for (out, &code) in out.iter_mut().zip(&codes[range]) {
                    *out += f64::from(u8::from(code != wanted));
                }
            }
            (Ruler::Table(table), Cells::Codes { codes, .. }) => {
                for (out, &code) in out.iter_mut().zip(&codes[range]) {
                    *out += table[code as usize];
                }
            }
            // A dimension and its rulers hold the same kind of value.
            _ => {}
        }
    }
}

/// Values of some items in one quasi-identifier, side by side.
#[derive(Debug)]
enum Cells {
    Numbers(Vec<f64>),
    /// With the number of items at each code.
    Codes {
        codes: Vec<u32>,
        counts: Vec<u32>,
    },
}

impl Cells {
    fn codes(codes: Vec<u32>) -> Self {
        let mut counts = vec![0; codes.iter().max().map_or(0, |&c| c as usize + 1)];
        codes.iter().for_each(|&c| counts[c as usize] += 1);
        Self::Codes { codes, counts }
    }
}

/// All items as points.
#[derive(Debug)]
pub(crate) struct Space<'p> {
    dimensions: Vec<Dimension<'p>>,
    items: usize,
    _memory: Reservation,
}

impl<'p> Space<'p> {
    /// Of these items; reserves memory for [`Space::remaining`] as well.
    pub fn new(items: &'p Items, job: &Job) -> Result<Self> {
        let bytes = (0..items.columns()).map(|c| match items.axis(c).scale {
            Scale::Even { .. } | Scale::Numbers(_) => 3 * 8,
            Scale::Labels => 2 * 4,
            Scale::Tree(_) => 6 * 4,
        });
        let memory = job.reserve((bytes.sum::<usize>() + 2 * 8 + 3 * 4) * items.len(), "clustering rows")?;
        let dimensions = (0..items.columns()).map(|c| Dimension::new(items, c)).collect();
        Ok(Self { dimensions, items: items.len(), _memory: memory })
    }

    /// The quasi-identifiers.
    pub fn dimensions(&self) -> &[Dimension<'p>] {
        &self.dimensions
    }

    /// All items, to be taken one after the other.
    pub fn remaining(&self) -> Remaining {
        Remaining::new(self.dimensions.iter().map(Dimension::cells).collect(), self.items as u32)
    }

    /// The values of an item.
    pub fn point(&self, item: u32) -> Vec<Place> {
        self.dimensions.iter().map(|d| d.place(item)).collect()
    }

    /// Rulers of the squared distance from a point.
    pub fn squares(&self, from: &[Place]) -> Vec<Ruler> {
        self.dimensions.iter().zip(from).map(|(d, &place)| d.squares(place)).collect()
    }

    /// The middle of some items.
    pub fn centre(&self, members: &[u32]) -> Vec<Place> {
        let gather = |codes: &[u32]| Cells::codes(members.iter().map(|&i| codes[i as usize]).collect());
        let centre = |d: &Dimension<'_>| match d {
            Dimension::Numbers { values, .. } => {
                d.centre(&Cells::Numbers(members.iter().map(|&i| values[i as usize]).collect()))
            }
            Dimension::Labels { codes, .. } => d.centre(&gather(codes)),
            Dimension::Leaves { codes, .. } => d.centre(&gather(codes)),
        };
        self.dimensions.iter().map(centre).collect()
    }
}
