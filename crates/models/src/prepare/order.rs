//! Columns that never lie below others: learned as the difference, and put together again exactly.

use std::borrow::Cow;

use lookalike_core::{Column, ColumnStore, Domain, Job, NumberDomain, NumberKind, Result, Scale, Units, Values};
use rayon::prelude::*;

use super::constraints::{Pair, amount};
use super::determined::HEAD;
use crate::codec::{Reader, Writer, ensure};

/// That one column is never above another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub low: usize,
    pub high: usize,
    pub strict: bool,
}

/// Logarithm of the probability that independent columns keep the order in all rows, below which it counts as found: 1e-9.
const MAX_CHANCE: f64 = -20.7;
/// Share of pairs of independent values that have to break the order; of a smaller share models make few.
const MIN_BROKEN: f64 = 0.05;
/// Rows from which that share is found.
const SAMPLE: usize = 2048;

/// Pairs of the columns that are in order in every row that has both, the lower one present wherever the higher is, which is
/// more than ranges that hardly overlap. `all` are in canonical order.
pub(crate) fn detect(all: &ColumnStore, candidates: &[usize], job: &Job) -> Result<Vec<Edge>> {
    // Nearly all pairs out of order show it in the first rows.
    let bytes = if all.is_on_disk() { 8 * candidates.len() * all.rows().min(HEAD) } else { 0 };
    let _memory = job.reserve(bytes, "the first rows of columns that may be in order")?;
    let heads: Vec<Cow<Column>> = candidates.iter().map(|&c| all.head(c, HEAD)).collect::<Result<_>>()?;
    let places = 0..candidates.len();
    let pairs: Vec<(usize, usize)> =
        places.clone().flat_map(|a| places.clone().filter(move |&b| b != a).map(move |b| (a, b))).collect();
    let mut edges = vec![];
    for part in pairs.chunks(64) {
        job.check()?;
        let edge = |&(low, high): &(usize, usize)| {
            let Some(pair) = Pair::of(&heads[low], &heads[high]) else { return Ok(None) };
            if !in_order(&pair, &heads[low], &heads[high], HEAD) {
                return Ok(None);
            }
            let [low, high] = [low, high].map(|place| candidates[place]);
            let (a, b) = (all.column(low)?, all.column(high)?);
            let holds = in_order(&pair, &a, &b, all.rows()) && is_evident(&pair, &a, &b, all.unit_count());
            Ok(holds.then_some(Edge { low, high, strict: false }))
        };
        let found: Vec<Option<Edge>> = part.par_iter().map(edge).collect::<Result<_>>()?;
        edges.extend(found.into_iter().flatten());
    }
    Ok(edges)
}

/// Whether the first rows are in order, with the lower column present wherever the higher is.
fn in_order(pair: &Pair, low: &Column, high: &Column, rows: usize) -> bool {
    let (Some(a), Some(b)) = (low.values.numbers(), high.values.numbers()) else { return false };
    let kept = |(&a, &b): (&f64, &f64)| b.is_nan() || !a.is_nan() && !pair.breaks(a, b, false);
    a.iter().zip(b).take(rows).all(kept)
}

fn is_evident(pair: &Pair, low: &Column, high: &Column, persons: usize) -> bool {
    let [a, b] = [low, high].map(|c| c.values.numbers().unwrap_or_default());
    let rows: Vec<usize> = (0..a.len()).filter(|&r| !a[r].is_nan() && !b[r].is_nan()).collect();
    let sample = &rows[..rows.len().min(SAMPLE)];
    // Each value against some of other rows, at strides that no pattern of the rows follows.
    let (mut broken, mut compared) = (0usize, 0usize);
    for (i, &row) in sample.iter().enumerate() {
        for stride in [1, 7, 61, 503] {
            let other = sample[(i + stride) % sample.len()];
            compared += 1;
            broken += usize::from(pair.breaks(a[row], b[other], false));
        }
    }
    let share = broken as f64 / compared.max(1) as f64;
    let persons = rows.len().min(persons) as f64;
    share >= MIN_BROKEN && persons * libm::log1p(-share.min(0.999)) <= MAX_CHANCE
}

/// A column as the amount by which it exceeds the highest of others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sum {
    /// The column.
    pub column: usize,
    /// Columns below it, and whether strictly.
    pub of: Vec<(usize, bool)>,
    /// Domain of the difference.
    pub difference: NumberDomain,
    /// What comes out stays inside.
    pub min: f64,
    pub max: f64,
    /// Whether rows without any of the others were learned with a difference of another row: such rows have no density.
    pub is_filled: bool,
}

/// The lines of a sum's columns in one unit.
enum Lines {
    Exact { of: Vec<(i128, i128)>, column: (i128, i128), difference: (i128, i128) },
    Float { of: Vec<(f64, f64)>, column: (f64, f64) },
}

/// Integers up to here are exact as f64.
const EXACT: i128 = 1 << 53;

/// Ranges of columns that tell no one's extremes, by column.
pub(crate) type Ranges = Vec<Option<(f64, f64)>>;

impl Sum {
    /// Of columns in order in every row; also the difference. `None` where the column stands in a row without any of the others, or
    /// where the differences have no exact form. `ranges` holds those of the other columns and gets its own.
    pub fn fit(
        all: &ColumnStore,
        column: usize,
        of: Vec<(usize, bool)>,
        ranges: &mut Ranges,
        min_persons: u32,
    ) -> Result<Option<(Self, Column)>> {
        let read: Vec<Cow<Column>> = of.iter().map(|(c, _)| all.column(*c)).collect::<Result<_>>()?;
        let others: Option<Vec<&[f64]>> = read.iter().map(|c| c.values.numbers()).collect();
        let own = all.column(column)?;
        let (Some(others), Some(values)) = (others, own.values.numbers()) else { return Ok(None) };
        Ok(Self::of(all, column, of, (values, &others), ranges, min_persons))
    }

    fn of(
        all: &ColumnStore,
        column: usize,
        of: Vec<(usize, bool)>,
        (values, others): (&[f64], &[&[f64]]),
        ranges: &mut Ranges,
        min_persons: u32,
    ) -> Option<(Self, Column)> {
        let columns = all.headers();
        let Domain::Number(domain) = columns[column].domain else { return None };
        let mut sum = Self { column, of, difference: domain, min: f64::NAN, max: f64::NAN, is_filled: false };
        let of_row = |row: usize| others.iter().map(move |v| v[row]);
        let differences: Vec<f64> = match sum.lines(columns)? {
            Lines::Exact { of, column, .. } => {
                let exact: Vec<Option<i128>> = (0..all.rows())
                    .into_par_iter()
                    .map(|row| {
                        let base = highest(&of, of_row(row))?;
                        (!values[row].is_nan()).then(|| amount(column, values[row]) - base)
                    })
                    .collect();
                let base = exact.iter().flatten().copied().min()?;
                let step = exact.iter().flatten().fold(0, |g, d| gcd(g, d - base)).max(1);
                let most = exact.iter().flatten().map(|d| (d - base) / step).max()?;
                if most > EXACT || base < 0 {
                    return None;
                }
                let kind = NumberKind::Integer { base: i64::try_from(base).ok()?, step: i64::try_from(step).ok()? };
                sum.difference = NumberDomain { kind, min: 0.0, max: most as f64 };
                exact.iter().map(|d| d.map_or(f64::NAN, |d| ((d - base) / step) as f64)).collect()
            }
            Lines::Float { of, column } => {
                let mut places = sum.of.iter().map(|(c, _)| *c).chain([sum.column]).map(|c| places(&columns[c]));
                let decimals = places.try_fold(0, |most: u8, p| p.map(|p| most.max(p)));
                let difference = |row: usize| {
                    let base = highest_float(&of, of_row(row))?;
                    (!values[row].is_nan()).then(|| round(column.0 + column.1 * values[row] - base, decimals))
                };
                let found: Vec<f64> = (0..all.rows()).map(|row| difference(row).unwrap_or(f64::NAN)).collect();
                let present = || found.iter().copied().filter(|v| !v.is_nan());
                let (min, max) = (present().reduce(f64::min)?, present().reduce(f64::max)?);
                if min < 0.0 || !max.is_finite() {
                    return None;
                }
                sum.difference = NumberDomain { kind: NumberKind::Float { decimals, bits: 64 }, min, max };
                found
            }
        };
        if (0..all.rows()).any(|r| !values[r].is_nan() && others.iter().all(|v| v[r].is_nan())) {
            return None;
        }
        // Without any of the others the difference says nothing, and one of another row stands in for it: so the share of rows without
        // the column is right in what a model without dependence makes, too.
        let stands = |r: &usize| others.iter().any(|v| !v[*r].is_nan());
        let donors: Vec<usize> = (0..all.rows()).filter(stands).collect();
        sum.is_filled = donors.len() < all.rows();
        let mut differences = differences;
        for (i, row) in (0..all.rows()).filter(|r| !stands(r)).enumerate() {
            differences[row] = differences[donors[i % donors.len().max(1)]];
        }
        let own = range(values, domain, all.units(), min_persons);
        (sum.min, sum.max) = own;
        // The highest value of the others has to have one above it. It is no higher than the highest of this column.
        let highest = sum.of.iter().map(|(c, _)| ranges[*c].map_or(f64::NAN, |r| r.1));
        if let Some(lowest) = sum.floor(columns, highest, &sum.lines(columns)?) {
            sum.max = sum.max.max(lowest).min(domain.max);
        }
        ranges[column] = Some((sum.min, sum.max));
        let column = Column {
            domain: Domain::Number(sum.difference),
            values: Values::Number(differences),
            ..columns[column].clone()
        };
        Some((sum, column))
    }

    fn lines(&self, columns: &[Column]) -> Option<Lines> {
        let scales: Vec<Scale> = self.of.iter().map(|(c, _)| Scale::of(&columns[*c])).collect::<Option<_>>()?;
        let own = Scale::of(&columns[self.column])?;
        let places = scales.iter().chain([&own]).map(|s| s.places).max()?;
        let exact: Option<Vec<_>> = scales.iter().map(|s| s.line(places)).collect();
        let difference = match self.difference.kind {
            NumberKind::Integer { base, step } => (i128::from(base), i128::from(step)),
            NumberKind::Float { .. } => (0, 1),
        };
        Some(match (exact, own.line(places)) {
            (Some(of), Some(column)) => Lines::Exact { of, column, difference },
            _ => Lines::Float { of: scales.iter().map(Scale::float_line).collect(), column: own.float_line() },
        })
    }

    /// The lowest encoded value on the column's grid that keeps the order with the given values of the others; `None` when
    /// all of these are missing.
    fn floor(&self, columns: &[Column], others: impl Iterator<Item = f64> + Clone, lines: &Lines) -> Option<f64> {
        let strict = self.of.iter().map(|(_, strict)| *strict);
        match lines {
            Lines::Exact { of, column, .. } => {
                let present = of.iter().zip(others).zip(strict).filter(|((_, v), _)| !v.is_nan());
                let lowest = present.map(|((line, v), strict)| amount(*line, v) + i128::from(strict)).max()?;
                Some(ceil_div(lowest - column.0, column.1) as f64)
            }
            Lines::Float { of, column } => {
                let base = highest_float(of, others.clone())?;
                let breaks = |x: f64| {
                    let amount = column.0 + column.1 * x;
                    let mut pairs = of.iter().zip(others.clone()).zip(strict.clone()).filter(|((_, v), _)| !v.is_nan());
                    pairs.any(|((line, v), strict)| {
                        let other = line.0 + line.1 * v;
                        other > amount || strict && other == amount
                    })
                };
                let Domain::Number(domain) = columns[self.column].domain else { return None };
                let mut x = on_grid((base - column.0) / column.1, &domain);
                for _ in 0..64 {
                    if !breaks(x) {
                        break;
                    }
                    x = next_on_grid(x, &domain);
                }
                Some(x)
            }
        }
    }

    /// The column from the others and the difference.
    pub fn apply(&self, columns: &[Column], others: &[&[f64]], difference: &[f64]) -> Vec<f64> {
        let (Some(lines), Domain::Number(domain)) = (self.lines(columns), &columns[self.column].domain) else {
            return vec![f64::NAN; difference.len()];
        };
        let value = |(row, &d): (usize, &f64)| {
            let of_row = others.iter().map(|v| v[row]);
            let Some(lowest) = self.floor(columns, of_row.clone(), &lines).filter(|_| !d.is_nan()) else {
                return f64::NAN;
            };
            let value = match &lines {
                Lines::Exact { of, column, difference } => {
                    let sum = highest(of, of_row).map_or(0, |base| base + amount(*difference, d)) - column.0;
                    // The nearest on the grid.
                    (2 * sum + column.1).div_euclid(2 * column.1) as f64
                }
                Lines::Float { of, column } => {
                    on_grid((highest_float(of, of_row).unwrap_or(0.0) + d - column.0) / column.1, domain)
                }
            };
            // The order goes before the range, which has room for it.
            value.min(self.max).max(self.min).max(lowest)
        };
        difference.iter().enumerate().map(value).collect()
    }

    /// The way in: the difference of given rows, NaN where the column is missing, and infinite where the rows break the order or
    /// hold the column without any of the others.
    pub fn undo(&self, columns: &[Column], others: &[&[f64]], values: &[f64]) -> Vec<f64> {
        let Some(lines) = self.lines(columns) else { return vec![f64::INFINITY; values.len()] };
        let value = |(row, &v): (usize, &f64)| {
            let of_row = others.iter().map(|o| o[row]);
            if v.is_nan() {
                return f64::NAN;
            }
            match (self.floor(columns, of_row.clone(), &lines), &lines) {
                (Some(lowest), Lines::Exact { of, column, difference }) if v >= lowest => {
                    let exact = amount(*column, v) - highest(of, of_row).unwrap_or(0) - difference.0;
                    exact as f64 / difference.1 as f64
                }
                (Some(lowest), Lines::Float { of, column }) if v >= lowest => {
                    column.0 + column.1 * v - highest_float(of, of_row).unwrap_or(0.0)
                }
                _ => f64::INFINITY,
            }
        };
        values.iter().enumerate().map(value).collect()
    }

    /// Logarithm of the steps of the difference in a step of the column: a density counts in these.
    pub fn log_steps(&self, columns: &[Column]) -> f64 {
        match self.lines(columns) {
            Some(Lines::Exact { column, difference, .. }) => libm::log(column.1 as f64 / difference.1 as f64),
            Some(Lines::Float { column, .. }) => libm::log(column.1),
            None => 0.0,
        }
    }

    pub fn save(&self, w: &mut Writer) {
        w.u32(self.column as u32);
        w.list(&self.of, |w, (column, strict)| {
            w.u32(*column as u32);
            w.u32(u32::from(*strict));
        });
        match self.difference.kind {
            NumberKind::Integer { base, step } => {
                w.u32(0);
                w.u64(base as u64);
                w.u64(step as u64);
            }
            NumberKind::Float { decimals, .. } => {
                w.u32(1);
                w.u64(decimals.map_or(u64::MAX, u64::from));
                w.u64(0);
            }
        }
        [self.difference.min, self.difference.max, self.min, self.max].into_iter().for_each(|v| w.f64(v));
        w.u32(u32::from(self.is_filled));
    }

    /// `columns` are the input's.
    pub fn load(r: &mut Reader, columns: &[Column]) -> Result<Self> {
        let column = r.u32()? as usize;
        let of = r.list(8, |r| Ok((r.u32()? as usize, r.u32()?)))?;
        let (kind, first, second) = (r.u32()?, r.u64()?, r.u64()?);
        let kind = match kind {
            0 => NumberKind::Integer { base: first as i64, step: second as i64 },
            _ => NumberKind::Float { decimals: u8::try_from(first).ok().filter(|d| *d <= 30), bits: 64 },
        };
        let difference = NumberDomain { kind, min: r.f64()?, max: r.f64()? };
        let sum = Self {
            column,
            of: of.iter().map(|(c, strict)| (*c, *strict == 1)).collect(),
            difference,
            min: r.f64()?,
            max: r.f64()?,
            is_filled: r.u32()? != 0,
        };
        let measure = |c: usize| columns.get(c).and_then(Scale::of).map(|s| s.measure);
        ensure(!of.is_empty() && measure(column).is_some() && of.iter().all(|(_, strict)| *strict <= 1))?;
        ensure(sum.of.iter().all(|(c, _)| *c != column && measure(*c) == measure(column)))?;
        let bounded = |v: f64| (0.0..=EXACT as f64).contains(&v);
        ensure(match (kind, sum.lines(columns)) {
            (NumberKind::Integer { base, step }, Some(Lines::Exact { .. })) => {
                base >= 0 && step > 0 && bounded(difference.min) && bounded(difference.max)
            }
            (NumberKind::Float { .. }, Some(Lines::Float { .. })) => {
                difference.min >= 0.0 && difference.max.is_finite()
            }
            _ => false,
        })?;
        let Domain::Number(domain) = columns[column].domain else { return Err(crate::codec::inconsistent()) };
        ensure(difference.min <= difference.max && sum.min <= sum.max)?;
        ensure(domain.min <= sum.min && sum.max <= domain.max)?;
        Ok(sum)
    }
}

/// The range of a column with its extremes blunted.
pub(crate) fn range(values: &[f64], domain: NumberDomain, units: Option<&Units>, min_persons: u32) -> (f64, f64) {
    let blunted = super::blunt(values, domain, units, min_persons as usize).1;
    (blunted.min, blunted.max)
}

fn highest(lines: &[(i128, i128)], values: impl Iterator<Item = f64>) -> Option<i128> {
    lines.iter().zip(values).filter(|(_, v)| !v.is_nan()).map(|(line, v)| amount(*line, v)).max()
}

fn highest_float(lines: &[(f64, f64)], values: impl Iterator<Item = f64>) -> Option<f64> {
    lines.iter().zip(values).filter(|(_, v)| !v.is_nan()).map(|(line, v)| line.0 + line.1 * v).reduce(f64::max)
}

fn ceil_div(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Decimal places of a column; `None` without a limit.
fn places(column: &Column) -> Option<u8> {
    match column.domain {
        Domain::Number(NumberDomain { kind: NumberKind::Float { decimals, .. }, .. }) => decimals,
        _ => Scale::of(column).map(|s| s.places),
    }
}

fn round(value: f64, places: Option<u8>) -> f64 {
    let Some(places) = places else { return value };
    let scale = 10f64.powi(i32::from(places));
    let rounded = (value * scale).round() / scale;
    if rounded.is_finite() { rounded } else { value }
}

/// The nearest value on a column's grid, its range aside.
fn on_grid(value: f64, domain: &NumberDomain) -> f64 {
    NumberDomain { min: f64::MIN, max: f64::MAX, ..*domain }.snap(value)
}

/// The next value above on a column's grid.
fn next_on_grid(value: f64, domain: &NumberDomain) -> f64 {
    match domain.kind {
        NumberKind::Integer { .. } => value.floor() + 1.0,
        NumberKind::Float { decimals, bits } => {
            let step = decimals.map_or(0.0, |places| 10f64.powi(-i32::from(places)));
            let ulp = match bits {
                16 => value.abs().max(1e-7) / 1024.0,
                32 => f64::from((value as f32).next_up()) - value,
                _ => value.next_up() - value,
            };
            on_grid(value + step.max(ulp), domain)
        }
    }
}
