//! Exact tests that need nothing but the exchangeability of members and non-members.

use super::beta_cdf;

/// Probability that `drawn` balls from `marked` and `unmarked` ones, without putting back, hold at least `at_least`
/// marked ones: the upper tail of the hypergeometric distribution. 1 when fewer could not be drawn, 0 when so many
/// cannot. About 1e-12 relative.
pub fn hypergeometric_tail(at_least: u64, marked: u64, unmarked: u64, drawn: u64) -> f64 {
    let (most, least) = (marked.min(drawn), drawn.saturating_sub(unmarked));
    if at_least <= least {
        return 1.0;
    }
    if at_least > most {
        return 0.0;
    }
    let probability = |k: u64| {
        let ways = ln_choose(marked, k) + ln_choose(unmarked, drawn - k);
        libm::exp(ways - ln_choose(marked + unmarked, drawn))
    };
    // P[X = k + 1] / P[X = k]
    let ratio =
        |k: u64| (marked - k) as f64 * (drawn - k) as f64 / ((k + 1) as f64 * (unmarked + k + 1 - drawn) as f64);
    // The smaller tail is summed, away from the mean: its terms shrink.
    let mean = drawn as f64 * marked as f64 / (marked + unmarked) as f64;
    let (mut sum, negligible) = (0.0, 1e-17);
    if at_least as f64 > mean {
        let mut term = probability(at_least);
        for k in at_least..=most {
            sum += term;
            if term < negligible * sum || k == most {
                break;
            }
            term *= ratio(k);
        }
        sum.min(1.0)
    } else {
        let mut term = probability(at_least - 1);
        for k in (least..at_least).rev() {
            sum += term;
            if term < negligible * sum || k == least {
                break;
            }
            term /= ratio(k - 1);
        }
        (1.0 - sum).clamp(0.0, 1.0)
    }
}

/// One-sided p-value of Fisher's exact test (Fisher 1935): the probability of at least so many successes in the first
/// group when both groups succeed alike.
pub fn fisher_exact(successes: u64, trials: u64, other_successes: u64, other_trials: u64) -> f64 {
    let (marked, all) = (successes + other_successes, trials + other_trials);
    hypergeometric_tail(successes, marked, all - marked, trials)
}

/// One-sided p-value of the exact test of McNemar (1947) on pairs: of those in which exactly one side succeeded, the
/// first side did `first` times and the other `second` times; each is a fair coin when both succeed alike.
pub fn mcnemar_exact(first: u64, second: u64) -> f64 {
    if first == 0 { 1.0 } else { beta_cdf(0.5, first as f64, second as f64 + 1.0) }
}

/// Logarithm of the binomial coefficient.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests;
