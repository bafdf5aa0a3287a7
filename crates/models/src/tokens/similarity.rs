//! Which categories are alike in what goes with them in the other columns.

use lookalike_core::{Job, Result, Streams, uniform};
use rayon::prelude::*;

use crate::marginal::Marginal;

/// Quantile bins of a number, and most categories told apart, while categories of another column are compared.
const NUMBER_BINS: u64 = 8;
const CODE_BINS: usize = 16;
/// Cells of the table of categories by bins; of wider tables every n-th column is left out.
const CELLS: usize = 1 << 24;
/// Steps of the power iteration: the order of the scores matters, not their last digits.
const STEPS: usize = 24;
/// Categories whose rows are added up one after the other: sums are the same at any thread count.
const BLOCK: usize = 4096;

/// A column in few bins, the last for missing or infrequent values.
pub(crate) struct Bins {
    of_row: Vec<u8>,
    size: usize,
}

impl Bins {
    pub fn of_number(marginal: &Marginal, pieces: &[u32]) -> Self {
        let total = marginal.count.iter().sum::<u64>().max(1);
        let mut below = 0;
        // A piece goes where its middle lies.
        let bin = |c: &u64| {
            below += c;
            ((2 * below - c) * NUMBER_BINS / (2 * total)) as u8
        };
        let bin_of: Vec<u8> = marginal.count.iter().map(bin).collect();
        let of_row = pieces.iter().map(|&p| bin_of.get(p as usize).copied().unwrap_or(NUMBER_BINS as u8)).collect();
        Self { of_row, size: NUMBER_BINS as usize + 1 }
    }

    pub fn of_codes(codes: &[u32], count: &[u64]) -> Self {
        let mut order: Vec<usize> = (0..count.len()).collect();
        order.sort_by_key(|&c| std::cmp::Reverse(count[c]));
        let last = order.len().min(CODE_BINS - 1);
        let mut bin_of = vec![last as u8; count.len()];
        order.iter().take(last).zip(0..).for_each(|(&code, bin)| bin_of[code] = bin);
        let of_row = codes.iter().map(|&c| bin_of.get(c as usize).copied().unwrap_or(last as u8)).collect();
        Self { of_row, size: last + 1 }
    }
}

/// Orders the categories (`order` names them in ascending order) by the first axis of a correspondence analysis of their table
/// with the bins of all other columns (Greenacre 2017, Correspondence Analysis in Practice, ch. 8 and 18): neighbours go
/// with like values elsewhere. By code where there is nothing to compare. Time grows with rows times other columns.
pub(crate) fn order_by_profile(
    order: &mut [u32],
    codes: &[u32],
    count: &[u64],
    others: &[&Bins],
    job: &Job,
) -> Result<()> {
    let every = (order.len() * others.iter().map(|b| b.size).sum::<usize>()).div_ceil(CELLS).max(1);
    let others: Vec<&Bins> = others.iter().copied().step_by(every).collect();
    let width: usize = others.iter().map(|b| b.size).sum();
    if width == 0 {
        return Ok(());
    }
    let _memory = job.reserve(order.len() * width * 4, "the profiles of categories")?;
    let mut place = vec![u32::MAX; count.len()];
    order.iter().zip(0..).for_each(|(&code, i)| place[code as usize] = i);
    let mut table = vec![0f32; order.len() * width];
    let mut offset = 0;
    for bins in &others {
        job.check()?;
        for (&code, &bin) in codes.iter().zip(&bins.of_row) {
            // Rows without a category have no profile.
            if let Some(&i) = place.get(code as usize).filter(|&&i| i != u32::MAX) {
                table[i as usize * width + offset + bin as usize] += 1.0;
            }
        }
        offset += bins.size;
    }
    // Standardised residuals (n_cb - n_c p_b) / sqrt(n_c p_b).
    let total: f64 = order.iter().map(|&c| count[c as usize] as f64).sum();
    let mut share = vec![0f64; width];
    table.chunks(width).for_each(|row| share.iter_mut().zip(row).for_each(|(s, n)| *s += f64::from(*n) / total));
    let root: Vec<f64> = order.iter().map(|&c| libm::sqrt(count[c as usize] as f64)).collect();
    table.par_chunks_mut(width).zip(&root).for_each(|(row, root)| {
        for (cell, &p) in row.iter_mut().zip(&share) {
            *cell = if p > 0.0 { (f64::from(*cell) / root - root * p) / libm::sqrt(p) } else { 0.0 } as f32;
        }
    });
    let mut rng = Streams::new(0, "profiles").block(0);
    let mut axis: Vec<f32> = (0..width).map(|_| (uniform(&mut rng) - 0.5) as f32).collect();
    let project = |axis: &[f32]| -> Vec<f32> {
        table.par_chunks(width).map(|row| row.iter().zip(axis).map(|(x, a)| x * a).sum()).collect()
    };
    for _ in 0..STEPS {
        job.check()?;
        let scores = project(&axis);
        let sums: Vec<Vec<f32>> = table
            .par_chunks(width * BLOCK)
            .zip(scores.par_chunks(BLOCK))
            .map(|(rows, scores)| {
                let mut sum = vec![0f32; width];
                for (row, score) in rows.chunks(width).zip(scores) {
                    sum.iter_mut().zip(row).for_each(|(s, x)| *s += x * score);
                }
                sum
            })
            .collect();
        let mut next = vec![0f64; width];
        sums.iter().for_each(|part| next.iter_mut().zip(part).for_each(|(n, x)| *n += f64::from(*x)));
        let length = libm::sqrt(next.iter().map(|x| x * x).sum());
        if length <= 0.0 {
            break;
        }
        axis = next.iter().map(|x| (x / length) as f32).collect();
    }
    let scores: Vec<f64> = project(&axis).iter().zip(&root).map(|(s, root)| f64::from(*s) / root).collect();
    order.sort_by(|&a, &b| {
        let score = |c: u32| scores[place[c as usize] as usize];
        score(a).total_cmp(&score(b)).then(a.cmp(&b))
    });
    Ok(())
}
