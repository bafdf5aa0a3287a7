//! The distribution of one numeric column: atoms where enough persons share a value, straight lines between.

use lookalike_core::{Result, Units};
use rayon::prelude::*;

use crate::codec::{Reader, Writer, ensure};
use crate::normal::{cumulative, density, quantile};
use crate::rows::persons;

/// A piecewise uniform distribution with atoms. Piece i holds a share of the present values and spreads them evenly from
/// `low` to `high`; an atom has both equal.
///
/// A value is an atom when at least two rows and `min_persons` persons hold it and it is among the `knots` most frequent.
/// Values between two atoms are cut into bins of at least `min_persons` persons and about 1/`knots` of such rows, so that what
/// comes out is rarely a value that went in. Where fewer persons lie between two atoms, their rows count for the nearer atom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marginal {
    /// Rows in each piece.
    pub count: Vec<u64>,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
    /// Rows without a value.
    pub missing: u64,
}

/// Piece of a row without a value.
pub(crate) const NO_PIECE: u32 = u32::MAX;

/// Orders like the number itself.
fn sort_key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Rows start..end of the sorted column hold `value`.
struct Run {
    value: f64,
    start: usize,
    end: usize,
}

struct Piece {
    end: usize,
    low: f64,
    high: f64,
}

impl Marginal {
    /// Fits a column (NaN is missing); also returns the piece of each row.
    pub fn fit(values: &[f64], units: Option<&Units>, min_persons: u32, knots: usize) -> (Self, Vec<u32>) {
        let mut order: Vec<(u64, u32)> =
            values.iter().zip(0..).filter(|(v, _)| !v.is_nan()).map(|(v, row)| (sort_key(*v), row)).collect();
        order.par_sort_unstable();
        let mut runs: Vec<Run> = vec![];
        for (i, &(_, row)) in order.iter().enumerate() {
            let value = values[row as usize];
            match runs.last_mut() {
                Some(run) if run.value == value => run.end = i + 1,
                _ => runs.push(Run { value, start: i, end: i + 1 }),
            }
        }
        let min_persons = min_persons.max(1) as usize;
        let enough = |start: usize, end: usize| {
            end - start >= min_persons && persons(order[start..end].iter().map(|o| o.1), units) >= min_persons
        };
        let atoms = choose_atoms(&runs, enough, knots);
        let loose: usize =
            runs.iter().zip(&atoms).filter(|(_, atom)| !**atom).map(|(run, _)| run.end - run.start).sum();
        let pieces = cut(&runs, &atoms, enough, loose.div_ceil(knots).max(min_persons));
        let mut piece_of_row = vec![NO_PIECE; values.len()];
        let mut marginal =
            Marginal { count: vec![], low: vec![], high: vec![], missing: (values.len() - order.len()) as u64 };
        let mut start = 0;
        for piece in &pieces {
            for &(_, row) in &order[start..piece.end] {
                piece_of_row[row as usize] = marginal.count.len() as u32;
            }
            marginal.count.push((piece.end - start) as u64);
            marginal.low.push(piece.low);
            marginal.high.push(piece.high);
            start = piece.end;
        }
        (marginal, piece_of_row)
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.count.len()
    }

    /// True when only certain values occur.
    pub fn is_discrete(&self) -> bool {
        self.low == self.high
    }

    /// Where the pieces meet on the scale of standard normals: one fewer than pieces.
    pub fn edges(&self) -> Vec<f64> {
        edges(&self.count)
    }

    /// The logarithm of the probability of a missing value or an atom, or of the density elsewhere. Where an atom lies on the
    /// border of a bin, it is the atom.
    pub fn log_density(&self, value: f64) -> f64 {
        let total = (self.count.iter().sum::<u64>() + self.missing) as f64;
        if value.is_nan() {
            return libm::log(self.missing as f64 / total);
        }
        // Pieces are in ascending order: those that hold the value begin at the first that does not end below it.
        let first = self.high.partition_point(|&high| high < value);
        let holding = (first..self.len()).take_while(|&i| self.low[i] <= value);
        let (mut density, mut atom) = (0.0f64, None);
        for i in holding {
            let share = self.count[i] as f64 / total;
            match self.high[i] - self.low[i] {
                0.0 => atom = Some(share),
                width => density = density.max(share / width),
            }
        }
        libm::log(atom.unwrap_or(density))
    }

    pub fn save(&self, w: &mut Writer) {
        w.list(&self.count, |w, c| w.u64(*c));
        w.f64s(&self.low);
        w.f64s(&self.high);
        w.u64(self.missing);
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let marginal = Marginal { count: r.counts()?, low: r.f64s()?, high: r.f64s()?, missing: r.count()? };
        ensure(marginal.low.len() == marginal.len() && marginal.high.len() == marginal.len())?;
        ensure(marginal.low.iter().zip(&marginal.high).all(|(l, h)| l <= h))?;
        Ok(marginal)
    }
}

/// Normal quantiles of the cumulative shares between neighbouring counts.
pub(crate) fn edges(count: &[u64]) -> Vec<f64> {
    let total = count.iter().sum::<u64>() as f64;
    let mut sum = 0;
    let inner = &count[..count.len().saturating_sub(1)];
    inner
        .iter()
        .map(|c| {
            sum += c;
            quantile(sum as f64 / total)
        })
        .collect()
}

/// Mean of a standard normal inside each interval between the edges.
pub(crate) fn scores(edges: &[f64], count: &[u64]) -> Vec<f64> {
    let total = count.iter().sum::<u64>() as f64;
    let mut below = 0.0;
    count
        .iter()
        .enumerate()
        .map(|(i, &c)| {
            let above = edges.get(i).map_or(0.0, |&z| density(z));
            let score = if c == 0 { 0.0 } else { (below - above) / (c as f64 / total) };
            below = above;
            score
        })
        .collect()
}

fn choose_atoms(runs: &[Run], enough: impl Fn(usize, usize) -> bool, knots: usize) -> Vec<bool> {
    let mut atoms: Vec<bool> = runs.iter().map(|r| r.end - r.start >= 2 && enough(r.start, r.end)).collect();
    let mut lengths: Vec<usize> =
        runs.iter().zip(&atoms).filter(|(_, atom)| **atom).map(|(r, _)| r.end - r.start).collect();
    if lengths.len() > knots {
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let limit = lengths[knots];
        atoms.iter_mut().zip(runs).for_each(|(atom, r)| *atom &= r.end - r.start > limit);
    }
    if let ([_], [atom]) = (runs, &mut atoms[..]) {
        *atom = true;
    }
    atoms
}

/// Pieces from atoms and the gaps between them; `target` is the number of rows wanted in a bin.
fn cut(runs: &[Run], atoms: &[bool], enough: impl Fn(usize, usize) -> bool, target: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = vec![];
    let mut i = 0;
    while i < runs.len() {
        if atoms[i] {
            pieces.push(Piece { end: runs[i].end, low: runs[i].value, high: runs[i].value });
            i += 1;
            continue;
        }
        let end = (i..runs.len()).find(|&k| atoms[k]).unwrap_or(runs.len());
        let gap = &runs[i..end];
        let (left, right) = (i.checked_sub(1).map(|k| runs[k].value), runs.get(end).map(|r| r.value));
        let is_large = enough(gap[0].start, gap[gap.len() - 1].end);
        if !is_large && (left.is_some() || right.is_some()) {
            // Rows left over here fall to the atom on the right: it starts where the last piece ends.
            for run in gap {
                let nearer_left = match (left, right) {
                    (Some(l), Some(r)) => run.value - l <= r - run.value,
                    (l, _) => l.is_some(),
                };
                if let (true, Some(piece)) = (nearer_left, pieces.last_mut()) {
                    piece.end = run.end;
                }
            }
        } else {
            cut_gap(gap, left, right, &enough, target, &mut pieces);
        }
        i = end;
    }
    pieces
}

fn cut_gap(
    gap: &[Run],
    left: Option<f64>,
    right: Option<f64>,
    enough: &impl Fn(usize, usize) -> bool,
    target: usize,
    pieces: &mut Vec<Piece>,
) {
    // Bins as ranges of runs.
    let mut bins: Vec<(usize, usize)> = vec![];
    let mut first = 0;
    for k in 0..gap.len() {
        if gap[k].end - gap[first].start >= target && enough(gap[first].start, gap[k].end) {
            bins.push((first, k));
            first = k + 1;
        }
    }
    if first < gap.len() {
        match bins.last_mut() {
            Some(bin) => bin.1 = gap.len() - 1,
            None => bins.push((0, gap.len() - 1)),
        }
    }
    let middle = |a: f64, b: f64| a + (b - a) * 0.5;
    // Values of a bin stand for the space around them: half the typical distance beyond the outermost one.
    let margin = |(a, b): (usize, usize), neighbour: f64, edge: f64| {
        let spacing = if b > a { (gap[b].value - gap[a].value) / (b - a) as f64 } else { f64::INFINITY };
        (0.5 * spacing).min((neighbour - edge).abs() * 0.5)
    };
    for (k, &(a, b)) in bins.iter().enumerate() {
        let (first, last) = (gap[a].value, gap[b].value);
        let low = if a > 0 {
            middle(gap[a - 1].value, first)
        } else {
            left.map_or(first, |l| first - margin(bins[k], l, first))
        };
        let high = if b + 1 < gap.len() {
            middle(last, gap[b + 1].value)
        } else {
            right.map_or(last, |r| last + margin(bins[k], r, last))
        };
        pieces.push(Piece { end: gap[b].end, low, high });
    }
}

/// Looks values up by standard normals: the quantile function of a [`Marginal`] on that scale.
#[derive(Debug, Clone)]
pub(crate) struct Quantiles {
    pieces: Vec<QuantilePiece>,
    /// First piece to try, by bucket of z.
    start: Vec<u32>,
    buckets_per_unit: f32,
}

#[derive(Debug, Clone)]
struct QuantilePiece {
    /// Upper edge.
    edge: f32,
    /// z of `low`.
    from: f32,
    low: f64,
    high: f64,
    slope: f64,
    /// Probability below the piece and inside it, for wide pieces; a line in z is near enough in narrow ones.
    wide: Option<(f64, f64)>,
}

/// Pieces of a larger share are wide; the outermost always are, for they have no edge.
const NARROW: f64 = 1.0 / 128.0;

/// Most buckets a unit of z, over -8..8; columns of few pieces have fewer.
const MAX_BUCKETS_PER_UNIT: usize = 256;
const REACH: f32 = 8.0;

impl Quantiles {
    /// Prepares the lookup; `None` without any value.
    pub fn new(marginal: &Marginal) -> Option<Self> {
        if marginal.len() == 0 {
            return None;
        }
        let edges = marginal.edges();
        let total = marginal.count.iter().sum::<u64>() as f64;
        let mut before = 0;
        let pieces: Vec<QuantilePiece> = (0..marginal.len())
            .map(|i| {
                let (below, share) = (before as f64 / total, marginal.count[i] as f64 / total);
                before += marginal.count[i];
                let (low, high) = (marginal.low[i], marginal.high[i]);
                let from = i.checked_sub(1).map_or(f64::NEG_INFINITY, |k| edges[k]);
                let to = edges.get(i).copied().unwrap_or(f64::INFINITY);
                let is_wide = low < high && (share > NARROW || !from.is_finite() || !to.is_finite());
                let slope = if !is_wide && to > from { (high - low) / (to - from) } else { 0.0 };
                let wide = is_wide.then_some((below, share));
                QuantilePiece { edge: to as f32, from: from.max(-1e3) as f32, low, high, slope, wide }
            })
            .collect();
        let buckets_per_unit = pieces.len().next_power_of_two().min(MAX_BUCKETS_PER_UNIT) as f32;
        let buckets = (2.0 * REACH * buckets_per_unit) as usize;
        let mut first = 0;
        let start = (0..buckets)
            .map(|b| {
                // A little below the bucket's own edge, so that rounding of z never skips a piece.
                let z = b as f32 / buckets_per_unit - REACH - 1e-4;
                while b > 0 && pieces[first].edge <= z {
                    first += 1;
                }
                first as u32
            })
            .collect();
        Some(Self { pieces, start, buckets_per_unit })
    }

    /// The value at `z`.
    pub fn value(&self, z: f32) -> f64 {
        // The last edge is infinite: what is below it has a piece.
        let z = z.min(f32::MAX);
        let bucket = ((z + REACH) * self.buckets_per_unit) as usize;
        let mut i = self.start[bucket.min(self.start.len() - 1)] as usize;
        while z >= self.pieces[i].edge {
            i += 1;
        }
        let piece = &self.pieces[i];
        let value = match piece.wide {
            None => piece.low + piece.slope * f64::from(z - piece.from),
            Some((below, share)) => piece.low + (piece.high - piece.low) * ((cumulative(f64::from(z)) - below) / share),
        };
        value.clamp(piece.low, piece.high)
    }
}

#[cfg(test)]
mod tests;
