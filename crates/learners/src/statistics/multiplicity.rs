//! p-values, and what becomes of them when there are several.

use super::{beta_cdf, normal_cdf};

/// p-values multiplied by their number, at most 1 (Bonferroni): the chance that any of so many tests that find nothing
/// looks like this is at most the result. In the order given.
pub fn bonferroni(p_values: &[f64]) -> Vec<f64> {
    p_values.iter().map(|p| (p * p_values.len() as f64).min(1.0)).collect()
}

/// p-values adjusted step by step (Holm 1979): as safe as [`bonferroni`], never larger. In the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (mut adjusted, mut largest) = (vec![0.0; p_values.len()], 0.0f64);
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(p_values[i] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// The chance that a figure lies so far above its null value by chance: one-sided, for a figure that is about normal
/// with this standard error, such as DeLong's of an area under the curve against 1/2. NaN for a standard error of 0
/// at the null value.
pub fn normal_p_value(figure: f64, null_value: f64, standard_error: f64) -> f64 {
    normal_cdf((null_value - figure) / standard_error)
}

/// The chance of so many successes or more in so many trials when each has the chance `null_share`: the exact one-sided
/// test of a share. Half successes, from ties, are rounded down, which makes the result no smaller. 1 without any.
pub fn share_p_value(successes: f64, trials: u64, null_share: f64) -> f64 {
    let successes = successes.floor().min(trials as f64);
    if successes < 1.0 { 1.0 } else { beta_cdf(null_share, successes, trials as f64 - successes + 1.0) }
}
