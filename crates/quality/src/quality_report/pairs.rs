//! How alike pairs of columns are.

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
    let contingency = |a: &Coded, b: &Coded| distance(a, b, rows, job);
    let difference = |value: f64| Figure::new("contingency_difference", value, NO_DISTANCE).of_pair(name, other);
    let [x, y] = [a, b].map(|p| p.binned.as_ref().unwrap_or(&p.sdmetrics));
    let binned = difference(contingency(x, y)?);
    if let (Sides::Numbers { values: x, .. }, Sides::Numbers { values: y, .. }) = (&a.column.values, &b.column.values) {
        let [real, synthetic] = [0, 1].map(|side| correlation(&x[side], &y[side]));
        let reason = undefined(a, b, real.is_nan());
        let change = synthetic - real;
        // SDMetrics looks at whole columns first: one value in either table, and there is no score.
        let constant = [a, b].iter().any(|p| p.distinct.contains(&1));
        let score = if constant { f64::NAN } else { 1.0 - change.abs() / 2.0 };
        let score = Figure::new("correlation_similarity", score, PERFECT).of_pair(name, other).because(&reason);
        let change = Figure::new("correlation_difference", change, NO_DIFFERENCE).of_pair(name, other);
        let change = change.because(&reason);
        let change = match change.value {
            Some(_) => change.noting(format!("real {real:.4}, synthetic {synthetic:.4}")),
            None => change,
        };
        return Ok((score, vec![change, binned]));
    }
    let mixed = a.binned.is_some() || b.binned.is_some();
    let mut score = Figure::new("contingency_similarity", 1.0 - contingency(&a.sdmetrics, &b.sdmetrics)?, PERFECT);
    if mixed {
        score = score.noting("each relation's numbers on bins of its own range");
    }
    if rows.iter().any(|r| *r > SDMETRICS_ROWS) {
        score = score.noting("exact, of all rows; SDMetrics draws 50,000 at random");
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

/// Half the sum of absolute differences of the shares of pairs of codes.
fn distance(a: &Coded, b: &Coded, rows: [usize; 2], job: &Job) -> Result<f64> {
    let share =
        |counts: [u32; 2]| (f64::from(counts[0]) / rows[0] as f64 - f64::from(counts[1]) / rows[1] as f64).abs();
    let cells = a.cells * b.cells;
    if cells <= MAX_CELLS {
        let mut counts = vec![[0u32; 2]; cells as usize];
        for side in 0..2 {
            for (&x, &y) in a.sides[side].iter().zip(&b.sides[side]) {
                counts[(u64::from(x) * b.cells + u64::from(y)) as usize][side] += 1;
            }
        }
        return Ok(counts.into_iter().map(share).sum::<f64>() / 2.0);
    }
    let _memory = job.reserve(rows.iter().sum::<usize>() * 8, "pairs of categories")?;
    let [real, synthetic] = [0, 1].map(|side| {
        let pairs = a.sides[side].iter().zip(&b.sides[side]);
        let mut keys: Vec<u64> = pairs.map(|(&x, &y)| u64::from(x) * b.cells + u64::from(y)).collect();
        keys.sort_unstable();
        keys
    });
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while let Some(key) = [real.get(i), synthetic.get(j)].into_iter().flatten().min() {
        let run = |keys: &[u64], from: usize| keys[from..].iter().take_while(|k| *k == key).count();
        let counts = [run(&real, i), run(&synthetic, j)];
        (i, j) = (i + counts[0], j + counts[1]);
        sum += share(counts.map(|n| n as u32));
    }
    Ok(sum / 2.0)
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
        let (a, b) = (Coded { sides: sides(), cells: 3 }, Coded { sides: sides(), cells: 3 });
        let few = distance(&a, &b, [4, 5], &Job::unbounded()).unwrap();
        let wide = |c: Coded| Coded { cells: 1 << 20, ..c };
        let many = distance(&wide(a), &wide(b), [4, 5], &Job::unbounded()).unwrap();
        // Shares 1/4, 1/4, 1/2 beside 1/5, 2/5, 2/5: (0.05 + 0.15 + 0.1) / 2.
        assert!((few - 0.15).abs() < 1e-15 && (many - few).abs() < 1e-15, "{few} {many}");
    }
}
