//! How alike pairs of columns are.

use std::collections::HashMap;

use lookalike_core::{Job, Result};
use rayon::prelude::*;

use super::shapes::{bins, digitised};
use crate::figure::{Better, Figure};
use crate::measured::{BINS, Columns, Measured, Sides, edges};

const PERFECT: (f64, Better) = (1.0, Better::Higher);
const NO_DISTANCE: (f64, Better) = (0.0, Better::Lower);
const NO_DIFFERENCE: (f64, Better) = (0.0, Better::Nearer);

/// Cells of a table of counts beyond which the cells that occur are sorted instead.
const MAX_CELLS: u64 = 1 << 20;

/// Rows above which SDMetrics draws rows.
const SDMETRICS_ROWS: usize = 50_000;

/// SDMetrics scores two number columns whose correlation in the real rows is beyond this, on either side of 0.
const LEAST_CORRELATION: f64 = 0.5;

/// SDMetrics scores any other pair whose association in the real rows, Cramér's V, is above this.
const LEAST_ASSOCIATION: f64 = 0.3;

/// Codes of a column in both tables, below `cells`.
struct Coded {
    sides: [Vec<u32>; 2],
    cells: u64,
}

/// A column as pairs need it.
struct Prepared<'a> {
    column: &'a Measured,
    /// As SDMetrics has it.
    sdmetrics: Coded,
    /// Numbers on the bins of the real values, NULL a category of its own.
    binned: Option<Coded>,
    /// Number of distinct values, up to 2.
    distinct: [usize; 2],
}

/// Pairs in the order of the columns: SDMetrics' scores, then differences.
pub(super) struct Pairs {
    /// SDMetrics' trend score of every pair.
    pub scores: Vec<Figure>,
    /// Differences of correlations and contingency.
    pub differences: Vec<Figure>,
}

pub(super) fn pairs(columns: &Columns, job: &Job) -> Result<Pairs> {
    let numbers = columns.all.iter().filter(|c| matches!(c.values, Sides::Numbers { .. })).count();
    let rows: usize = columns.rows.iter().sum();
    let _memory = job.reserve(rows * 4 * (columns.all.len() + numbers), "pairs of columns")?;
    let prepared: Vec<Prepared> = columns.all.par_iter().map(prepare).collect();
    let places: Vec<(usize, usize)> =
        (0..prepared.len()).flat_map(|a| (a + 1..columns.all.len()).map(move |b| (a, b))).collect();
    let found: Vec<(Figure, Vec<Figure>)> =
        places.par_iter().map(|&(a, b)| pair(&prepared[a], &prepared[b], columns.rows, job)).collect::<Result<_>>()?;
    let (scores, differences): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Ok(Pairs { scores, differences: differences.into_iter().flatten().collect() })
}

fn prepare(column: &Measured) -> Prepared<'_> {
    match &column.values {
        Sides::Numbers { values, bits, .. } => {
            let edges = edges(&values[0], *bits);
            let sdmetrics = Coded { sides: values.each_ref().map(|v| digitised(v, *bits)), cells: BINS as u64 + 2 };
            let binned = Coded { sides: values.each_ref().map(|v| bins(v, &edges)), cells: BINS as u64 + 1 };
            let distinct = values.each_ref().map(|v| {
                let mut present = v.iter().filter(|x| !x.is_nan());
                present.next().map_or(0, |first| 1 + usize::from(present.any(|x| x != first)))
            });
            Prepared { column, sdmetrics, binned: Some(binned), distinct }
        }
        Sides::Codes { values, labels } => {
            let coded = Coded { sides: values.clone(), cells: u64::from(*labels) + 1 };
            Prepared { column, sdmetrics: coded, binned: None, distinct: [2, 2] }
        }
    }
}

fn pair(a: &Prepared, b: &Prepared, rows: [usize; 2], job: &Job) -> Result<(Figure, Vec<Figure>)> {
    job.check()?;
    let (name, other) = (&a.column.name, &b.column.name);
    let difference = |value: f64| Figure::new("contingency_difference", value, NO_DISTANCE).of_pair(name, other);
    let [x, y] = [a, b].map(|p| p.binned.as_ref().unwrap_or(&p.sdmetrics));
    let (real, synthetic) = counts(x, y, rows, job)?;
    let binned = difference(distance(&real, &synthetic, rows));
    if let (Sides::Numbers { values: x, .. }, Sides::Numbers { values: y, .. }) = (&a.column.values, &b.column.values) {
        let [real, synthetic] = [0, 1].map(|side| correlation(&x[side], &y[side]));
        let reason = undefined(a, b, real.is_nan());
        let change = synthetic - real;
        // SDMetrics looks at whole columns first: one value in either table, and there is no score.
        let constant = [a, b].iter().any(|p| p.distinct.contains(&1));
        let weak = real.abs() <= LEAST_CORRELATION;
        let score = if constant || weak { f64::NAN } else { 1.0 - change.abs() / 2.0 };
        let why = match weak && !constant {
            true => format!(
                "the correlation of the real rows is {real:.4}, SDMetrics asks for more than {LEAST_CORRELATION}"
            ),
            false => reason.clone(),
        };
        let score = Figure::new("correlation_similarity", score, PERFECT).of_pair(name, other).because(why);
        let change = Figure::new("correlation_difference", change, NO_DIFFERENCE).of_pair(name, other);
        let change = change.because(&reason);
        let change = match change.value {
            Some(_) => change.noting(format!("real {real:.4}, synthetic {synthetic:.4}")),
            None => change,
        };
        return Ok((score, vec![change, binned]));
    }
    let (real, synthetic) = counts(&a.sdmetrics, &b.sdmetrics, rows, job)?;
    let association = cramers_v(&real, b.sdmetrics.cells);
    let similarity = if association > LEAST_ASSOCIATION { 1.0 - distance(&real, &synthetic, rows) } else { f64::NAN };
    let mut score = Figure::new("contingency_similarity", similarity, PERFECT).because(match association.is_nan() {
        true => "one of the columns has one value alone in 'real'".to_string(),
        false => {
            format!(
                "the association of the real rows is {association:.4}, SDMetrics asks for more than {LEAST_ASSOCIATION}"
            )
        }
    });
    if a.binned.is_some() || b.binned.is_some() {
        score = score.noting("each relation's numbers on bins of its own range");
    }
    if rows.iter().any(|r| *r > SDMETRICS_ROWS) {
        score = score.noting("of all rows; SDMetrics draws 50,000 at random");
    }
    Ok((score.of_pair(name, other), vec![binned]))
}

fn undefined(a: &Prepared, b: &Prepared, in_real: bool) -> String {
    for (side, place) in ["real", "synthetic"].into_iter().enumerate() {
        for p in [a, b] {
            match p.distinct[side] {
                0 => return format!("column '{}' has no value in '{place}'", p.column.name),
                1 => return format!("column '{}' has one value alone in '{place}'", p.column.name),
                _ => {}
            }
        }
    }
    let place = if in_real { "real" } else { "synthetic" };
    format!("rows of '{place}' with a value in both columns are too few or all alike in one")
}

/// How often each pair of codes occurs, by the pair's number and ascending.
type Counts = Vec<(u64, u32)>;

/// Pairs of codes of the real and of the synthetic rows.
fn counts(a: &Coded, b: &Coded, rows: [usize; 2], job: &Job) -> Result<(Counts, Counts)> {
    let cells = a.cells * b.cells;
    let bytes = match cells <= MAX_CELLS {
        true => cells as usize * 4,
        false => rows.iter().max().map_or(0, |r| *r) * 8,
    };
    let _memory = job.reserve(bytes, "pairs of categories")?;
    let of = |side: usize| -> Counts {
        let pairs = a.sides[side].iter().zip(&b.sides[side]).map(|(&x, &y)| u64::from(x) * b.cells + u64::from(y));
        if cells <= MAX_CELLS {
            let mut counts = vec![0u32; cells as usize];
            pairs.for_each(|pair| counts[pair as usize] += 1);
            return (0..).zip(counts).filter(|(_, n)| *n > 0).collect();
        }
        let mut keys: Vec<u64> = pairs.collect();
        keys.sort_unstable();
        keys.chunk_by(|x, y| x == y).map(|run| (run[0], run.len() as u32)).collect()
    };
    Ok((of(0), of(1)))
}

/// Half the sum of absolute differences of shares.
fn distance(real: &Counts, synthetic: &Counts, rows: [usize; 2]) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while let Some(key) = [real.get(i), synthetic.get(j)].into_iter().flatten().map(|c| c.0).min() {
        let take = |counts: &Counts, at: &mut usize| match counts.get(*at) {
            Some((k, n)) if *k == key => {
                *at += 1;
                f64::from(*n)
            }
            _ => 0.0,
        };
        let (x, y) = (take(real, &mut i), take(synthetic, &mut j));
        sum += (x / rows[0] as f64 - y / rows[1] as f64).abs();
    }
    sum / 2.0
}

/// Cramér's V of a table of counts (Cramér 1946), NULL a category; NaN with one row or column.
fn cramers_v(counts: &Counts, width: u64) -> f64 {
    let mut columns: HashMap<u64, u64> = HashMap::new();
    counts.iter().for_each(|(pair, n)| *columns.entry(pair % width).or_default() += u64::from(*n));
    let by_row = || counts.chunk_by(|a, b| a.0 / width == b.0 / width);
    let least = by_row().count().min(columns.len());
    if least < 2 {
        return f64::NAN;
    }
    // Chi squared over the number of rows is the sum of n_ij^2 / (n_i n_j), less 1.
    let mut sum = 0.0;
    for cells in by_row() {
        let row = cells.iter().map(|c| u64::from(c.1)).sum::<u64>() as f64;
        for (pair, n) in cells {
            let n = f64::from(*n);
            sum += n * n / (row * columns[&(pair % width)] as f64);
        }
    }
    ((sum - 1.0).max(0.0) / (least - 1) as f64).sqrt()
}

/// Pearson's correlation over rows with both values; NaN where either does not vary.
fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let complete = || x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan());
    let Some((&x0, &y0)) = complete().next() else { return f64::NAN };
    if complete().all(|(x, _)| *x == x0) || complete().all(|(_, y)| *y == y0) {
        return f64::NAN;
    }
    let n = complete().count() as f64;
    // Differences from a value that occurs keep their digits where values are far from 0.
    let (mx, my) = complete().fold((0.0, 0.0), |(a, b), (x, y)| (a + (x - x0), b + (y - y0)));
    let (mx, my) = (x0 + mx / n, y0 + my / n);
    // Scaled, so that squares neither overflow nor vanish.
    let (wx, wy) = complete().fold((0.0f64, 0.0f64), |(a, b), (x, y)| (a.max((x - mx).abs()), b.max((y - my).abs())));
    let [xx, yy, xy] = complete().fold([0.0; 3], |[xx, yy, xy], (x, y)| {
        let (x, y) = ((x - mx) / wx, (y - my) / wy);
        [xx + x * x, yy + y * y, xy + x * y]
    });
    (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_by_hand() {
        // Without the row that has a NULL: (0, 0), (1, 2), (2, 1): deviations -1 0 1 and -1 1 0, r = 1/2.
        let (x, y) = ([0.0, 1.0, 2.0, f64::NAN], [0.0, 2.0, 1.0, 9.0]);
        assert!((correlation(&x, &y) - 0.5).abs() < 1e-15);
        let far = x.map(|v| 1e200 * v);
        assert!((correlation(&far, &y) - 0.5).abs() < 1e-15);
        assert!(correlation(&[1.0, 1.0], &[1.0, 2.0]).is_nan() && correlation(&[], &[]).is_nan());
    }

    #[test]
    fn many_cells_are_counted_like_few() {
        let sides = || [vec![0, 1, 2, 2], vec![0, 2, 2, 1, 1]];
        let of = |cells: u64| {
            let (a, b) = (Coded { sides: sides(), cells }, Coded { sides: sides(), cells });
            let (real, synthetic) = counts(&a, &b, [4, 5], &Job::unbounded()).unwrap();
            (distance(&real, &synthetic, [4, 5]), cramers_v(&real, cells))
        };
        let ((few, v), (many, w)) = (of(3), of(1 << 20));
        // Shares 1/4, 1/4, 1/2 beside 1/5, 2/5, 2/5: (0.05 + 0.15 + 0.1) / 2.
        assert!((few - 0.15).abs() < 1e-15 && (many - few).abs() < 1e-15, "{few} {many}");
        assert!((v - 1.0).abs() < 1e-12 && v == w, "a column beside itself: {v} {w}");
    }

    #[test]
    fn association_by_hand() {
        // 2 0 / 1 1: sums of rows 2, 2, of columns 3, 1; 4/6 + 1/6 + 1/2 - 1 = 1/3.
        assert!((cramers_v(&vec![(0, 2), (2, 1), (3, 1)], 2) - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(cramers_v(&vec![(0, 2), (2, 1)], 2).is_nan());
    }
}
