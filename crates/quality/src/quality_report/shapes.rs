//! How alike single columns are.

use rayon::prelude::*;

use crate::figure::{Better, Figure};
use crate::measured::{BINS, Columns, Measured, Sides, edges};

const PERFECT: (f64, Better) = (1.0, Better::Higher);
const NO_DISTANCE: (f64, Better) = (0.0, Better::Lower);
const NO_DIFFERENCE: (f64, Better) = (0.0, Better::Nearer);

/// Decimal places that SDMetrics rounds to before it compares numbers.
const SCALE: f64 = 1e14;

/// SDMetrics' shape score of every column, NaN where it has none, and why.
pub(super) fn scores(columns: &Columns) -> Vec<Figure> {
    columns.all.par_iter().map(score).collect()
}

fn score(column: &Measured) -> Figure {
    let (metric, value) = match &column.values {
        Sides::Numbers { values, .. } => {
            let [real, synthetic] = values.each_ref().map(|v| sorted(v, true));
            ("ks_complement", 1.0 - ks(&real, &synthetic))
        }
        Sides::Codes { values, labels } => ("tv_complement", tv_complement(values, *labels)),
    };
    Figure::new(metric, value, PERFECT).of_column(&column.name).because(without_value(column))
}

/// Distances between the two distributions of every column.
pub(super) fn distances(columns: &Columns) -> Vec<Figure> {
    columns.all.par_iter().flat_map_iter(|column| distances_of(column, columns.rows)).collect()
}

fn distances_of(column: &Measured, rows: [usize; 2]) -> Vec<Figure> {
    let reason = without_value(column);
    let (mut figures, missing) = match &column.values {
        Sides::Numbers { values, bits, unit } => {
            let [real, synthetic] = values.each_ref().map(|v| sorted(v, false));
            let unit = unit.map(|u| format!("in {u}")).unwrap_or_default();
            let edges = edges(&values[0], *bits);
            let [p, q] = values.each_ref().map(|v| shares(&bins(v, &edges), BINS as u32));
            let figures = vec![
                Figure::new("ks", ks(&real, &synthetic), NO_DISTANCE),
                Figure::new("wasserstein", wasserstein(&real, &synthetic), NO_DISTANCE).noting(unit),
                Figure::new("jensen_shannon", jensen_shannon(&p, &q), NO_DISTANCE)
                    .noting(format!("over {BINS} bins of the real range and NULL")),
            ];
            (figures, values.each_ref().map(|v| v.iter().filter(|x| x.is_nan()).count()))
        }
        Sides::Codes { values, labels } => {
            let [p, q] = values.each_ref().map(|v| shares(v, *labels));
            let figures = vec![
                Figure::new("tv", total_variation(&p, &q), NO_DISTANCE),
                Figure::new("jensen_shannon", jensen_shannon(&p, &q), NO_DISTANCE),
            ];
            (figures, values.each_ref().map(|v| v.iter().filter(|c| *c == labels).count()))
        }
    };
    if missing != [0, 0] {
        let [real, synthetic] = [0, 1].map(|side| missing[side] as f64 / rows[side] as f64);
        figures.push(Figure::new("missing_difference", synthetic - real, NO_DIFFERENCE));
    }
    figures.into_iter().map(|f| f.of_column(&column.name).because(&reason)).collect()
}

/// Which table has nothing but NULL.
fn without_value(column: &Measured) -> String {
    let empty = match &column.values {
        Sides::Numbers { values, .. } => values.each_ref().map(|v| v.iter().all(|x| x.is_nan())),
        Sides::Codes { values, labels } => values.each_ref().map(|v| v.iter().all(|c| c == labels)),
    };
    let place = match empty {
        [true, true] => "both relations",
        [true, false] => "'real'",
        _ => "'synthetic'",
    };
    format!("the column has no value in {place}")
}

/// Values that are not NULL, ascending; rounded as SDMetrics does where asked.
fn sorted(values: &[f64], rounded: bool) -> Vec<f64> {
    let round = |v: f64| {
        let scaled = v * SCALE;
        if rounded && scaled.is_finite() { scaled.round_ties_even() / SCALE } else { v }
    };
    let mut sorted: Vec<f64> = values.iter().filter(|v| !v.is_nan()).map(|v| round(*v) + 0.0).collect();
    sorted.par_sort_unstable_by(f64::total_cmp);
    sorted
}

/// Calls `step` with every distinct value of both lists, ascending, and how many of either are at most that.
fn merge(a: &[f64], b: &[f64], mut step: impl FnMut(f64, usize, usize)) {
    let (mut i, mut j) = (0, 0);
    while let Some(value) = [a.get(i), b.get(j)].into_iter().flatten().copied().reduce(f64::min) {
        i += a[i..].partition_point(|v| *v <= value);
        j += b[j..].partition_point(|v| *v <= value);
        step(value, i, j);
    }
}

/// The Kolmogorov-Smirnov statistic: the largest difference of the distribution functions. NaN of no values.
fn ks(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::NAN;
    }
    let mut largest = 0.0f64;
    merge(a, b, |_, i, j| largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs()));
    largest
}

/// The first Wasserstein distance: the area between the distribution functions. NaN of no values.
fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::NAN;
    }
    let (mut area, mut before) = (0.0, None);
    merge(a, b, |value, i, j| {
        if let Some((last, gap)) = before {
            area += (value - last) * gap;
        }
        before = Some((value, (i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs()));
    });
    area
}

/// Shares of codes; NULL comes last.
fn shares(codes: &[u32], labels: u32) -> Vec<f64> {
    counts(codes, labels + 1).into_iter().map(|n| n / codes.len() as f64).collect()
}

/// What SDMetrics counts for a category that the real rows lack.
const LACKED: f64 = 1e-6;

/// SDMetrics' TVComplement: NULL is left out, and a category that occurs in the synthetic rows alone counts as a
/// millionth of a real row. NaN of no values.
fn tv_complement(values: &[Vec<u32>; 2], labels: u32) -> f64 {
    let [mut real, synthetic] = values.each_ref().map(|v| counts(v, labels));
    if [&real, &synthetic].iter().any(|counts| counts.iter().sum::<f64>() == 0.0) {
        return f64::NAN;
    }
    real.iter_mut().zip(&synthetic).filter(|(r, s)| **r == 0.0 && **s > 0.0).for_each(|(r, _)| *r = LACKED);
    let totals = [&real, &synthetic].map(|counts| counts.iter().sum::<f64>());
    1.0 - 0.5 * real.iter().zip(&synthetic).map(|(r, s)| (s / totals[1] - r / totals[0]).abs()).sum::<f64>()
}

/// How often each code below `labels` occurs.
fn counts(codes: &[u32], labels: u32) -> Vec<f64> {
    let mut counts = vec![0u64; labels as usize];
    codes.iter().filter(|&&c| c < labels).for_each(|&c| counts[c as usize] += 1);
    counts.into_iter().map(|n| n as f64).collect()
}

fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}

/// The Jensen-Shannon distance with logarithms to base 2 (Endres & Schindelin 2003), from 0 to 1.
fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * libm::log2(2.0 * a / (a + b)) } else { 0.0 * a };
    let divergence = p.iter().zip(q).map(|(&p, &q)| 0.5 * (part(p, q) + part(q, p))).sum::<f64>();
    divergence.max(0.0).sqrt() + 0.0 * divergence
}

/// The bin of each value on the edges of another list, the outer ones open; NULL after the last.
pub(super) fn bins(values: &[f64], edges: &[f64]) -> Vec<u32> {
    let inner = &edges[1..BINS];
    let bin = |v: &f64| if v.is_nan() { BINS as u32 } else { inner.partition_point(|e| e <= v) as u32 };
    values.iter().map(bin).collect()
}

/// The bin of each value as SDMetrics has it: numpy's `digitize` on the edges of the list itself, which has a bin after
/// the last edge for the largest value and NULL alike.
pub(super) fn digitised(values: &[f64], bits: u8) -> Vec<u32> {
    let edges = edges(values, bits);
    let bin = |v: &f64| if v.is_nan() { edges.len() as u32 } else { edges.partition_point(|e| e <= v) as u32 };
    values.iter().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        // Distribution functions at 0, 1, 2, 4: 1/2, 1/2, 1, 1 beside 0, 1/2, 1/2, 1.
        let (a, b) = ([0.0, 2.0], [1.0, 4.0]);
        assert_eq!(ks(&a, &b), 0.5);
        assert_eq!(wasserstein(&a, &b), 0.5 + 2.0 * 0.5);
        assert!(ks(&a, &[]).is_nan() && wasserstein(&[], &b).is_nan());
        // Nothing in common, everything in common; a quarter moved.
        assert_eq!((jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), jensen_shannon(&[0.5, 0.5], &[0.5, 0.5])), (1.0, 0.0));
        assert_eq!(total_variation(&[0.5, 0.5], &[0.75, 0.25]), 0.25);
        // NULL is a category of its own: a, a, NULL.
        assert_eq!(shares(&[0, 0, 1], 1), [2.0 / 3.0, 1.0 / 3.0]);
        // Without NULL a and b alike, and c in the synthetic rows alone: 2, 2 and a millionth beside 1, 1, 2.
        let (all, n) = ([vec![0, 0, 1, 1, 3], vec![0, 1, 2, 2]], 4.000001);
        let expected = 1.0 - 0.5 * (2.0 * (2.0 / n - 0.25) + 0.5 - 1e-6 / n);
        assert!((tv_complement(&all, 3) - expected).abs() < 1e-15);
        assert!(tv_complement(&[vec![1], vec![0]], 1).is_nan());
    }

    #[test]
    fn bins_as_numpy_has_them() {
        // Edges 0, 1, ..., 10: the largest value is alone with NULL in the last bin of SDMetrics.
        let values = [0.0, 0.5, 1.0, 9.9, 10.0, f64::NAN];
        assert_eq!(digitised(&values, 64), [1, 1, 2, 10, 11, 11]);
        assert_eq!(bins(&values, &edges(&values, 64)), [0, 0, 1, 9, 9, 10]);
        assert_eq!(bins(&[-5.0, 50.0], &edges(&values, 64)), [0, 9]);
        assert_eq!(digitised(&[3.0, 3.0], 64), [6, 6]);
        assert_eq!(digitised(&[f64::NAN], 64), [11]);
    }
}
