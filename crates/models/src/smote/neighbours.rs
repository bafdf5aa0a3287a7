//! The nearest rows of every row, exactly.

use lookalike_core::{Job, Result, Values};
use rayon::prelude::*;

use crate::stored::Stored;

/// Rows looked up between two looks at the job.
const CHUNK: usize = 64;

/// A column as distances see it.
enum Axis<'a> {
    /// Numbers over their standard deviation.
    Number(Vec<f64>),
    Code(&'a [u32]),
}

impl Axis<'_> {
    #[inline]
    fn squared(&self, a: usize, b: usize) -> f64 {
        match self {
            Axis::Number(v) => match v[a] - v[b] {
                gap if gap.is_nan() => f64::from(v[a].is_nan() != v[b].is_nan()),
                gap => gap * gap,
            },
            Axis::Code(codes) => f64::from(codes[a] != codes[b]),
        }
    }
}

/// The `k` nearest other rows of every row, or all where there are fewer; the first among equals. Rows are searched outwards
/// along the number with most different values, until it alone is too far.
pub(super) fn nearest(stored: &Stored, k: usize, job: &Job) -> Result<Vec<u32>> {
    let k = k.min(stored.rows - 1);
    let _memory = job.reserve(stored.rows * (stored.columns.len() * 8 + k * 4 + 12), "neighbours of rows")?;
    let mut axes: Vec<Axis> = stored
        .columns
        .iter()
        .filter_map(|values| match values {
            Values::Number(values) => scaled(values).map(Axis::Number),
            Values::Code(codes) => Some(Axis::Code(codes)),
            Values::Omitted => None,
        })
        .collect();
    let different = |axis: &Axis| match axis {
        Axis::Number(values) => {
            let mut bits: Vec<u64> = values.iter().filter(|v| !v.is_nan()).map(|v| v.to_bits()).collect();
            bits.sort_unstable();
            bits.dedup();
            bits.len()
        }
        Axis::Code(_) => 0,
    };
    // The number to search along comes first, so that it is the first to end a comparison.
    let counts: Vec<usize> = axes.iter().map(different).collect();
    if let Some(main) = (0..axes.len()).reduce(|a, b| if counts[b] > counts[a] { b } else { a }) {
        axes.swap(0, main);
    }
    let along = |row: usize| match axes.first() {
        Some(Axis::Number(values)) => values[row],
        _ => 0.0,
    };
    let is_sorted = matches!(axes.first(), Some(Axis::Number(_)));
    let mut order: Vec<u32> = (0..stored.rows as u32).collect();
    order.sort_by(|&a, &b| {
        let (x, y) = (along(a as usize), along(b as usize));
        x.is_nan().cmp(&y.is_nan()).then(x.total_cmp(&y)).then(a.cmp(&b))
    });
    let search = |place: usize| -> Vec<u32> {
        let row = order[place] as usize;
        // Ascending by distance, then by row.
        let mut best: Vec<(f64, u32)> = vec![];
        let mut consider = |other: u32| -> bool {
            let limit = if best.len() < k { f64::INFINITY } else { best[k - 1].0 };
            let mut sum = 0.0;
            for (i, axis) in axes.iter().enumerate() {
                sum += axis.squared(row, other as usize);
                if sum > limit {
                    return i > 0 || !is_sorted;
                }
            }
            let at = best.partition_point(|b| (b.0, b.1) < (sum, other));
            if at < k {
                best.insert(at, (sum, other));
                best.truncate(k);
            }
            true
        };
        // A side ends where the first axis alone is too far: what lies beyond is further. Missing values lie at the end, all as far
        // from a value as one standard deviation, so they are no end.
        let goes_on = |near: bool, other: u32| near || along(other as usize).is_nan() || along(row).is_nan();
        let (mut low, mut high) = (place, place + 1);
        while low > 0 || high < order.len() {
            if low > 0 {
                low = if goes_on(consider(order[low - 1]), order[low - 1]) { low - 1 } else { 0 };
            }
            if high < order.len() {
                let next = order[high];
                high = if goes_on(consider(next), next) { high + 1 } else { skip_to_missing(&order, high, along) };
            }
        }
        best.into_iter().map(|b| b.1).collect()
    };
    let places: Vec<usize> = (0..stored.rows).collect();
    let found: Vec<Vec<u32>> = places
        .par_chunks(CHUNK)
        .map(|chunk| {
            job.check()?;
            Ok(chunk.iter().map(|&place| search(place)).collect::<Vec<_>>())
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let mut all = vec![0; stored.rows * k];
    for (near, &row) in found.iter().zip(&order) {
        all[row as usize * k..(row as usize + 1) * k].copy_from_slice(near);
    }
    Ok(all)
}

/// The first place after `from` whose row has no value along the axis; the end without such.
fn skip_to_missing(order: &[u32], from: usize, along: impl Fn(usize) -> f64) -> usize {
    from + 1 + order[from + 1..].partition_point(|&r| !along(r as usize).is_nan())
}

/// Values over their standard deviation; `None` where that is zero.
fn scaled(values: &[f64]) -> Option<Vec<f64>> {
    let present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    let n = present.len().max(1) as f64;
    let mean = present.iter().sum::<f64>() / n;
    let variance = present.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    let is_constant = variance <= 0.0 || !variance.is_finite();
    if is_constant && present.len() == values.len() {
        return None;
    }
    let scale = if is_constant { 1.0 } else { libm::sqrt(variance) };
    Some(values.iter().map(|v| v / scale).collect())
}
