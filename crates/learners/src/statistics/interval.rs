//! Intervals of shares, and what they say about epsilon.

use super::{beta_quantile, normal_quantile};

/// Wilson's score interval (Wilson 1927) of a share of `successes` in `trials`, each a number of at least 0, at a
/// confidence such as 0.95. Between 0 and 1; NaN without trials. Half successes (ties) are allowed.
pub fn wilson(successes: f64, trials: f64, confidence: f64) -> (f64, f64) {
    let z = normal_quantile(0.5 + confidence / 2.0);
    let share = successes / trials;
    let denominator = 1.0 + z * z / trials;
    let centre = (share + z * z / (2.0 * trials)) / denominator;
    let half = z / denominator * (share * (1.0 - share) / trials + z * z / (4.0 * trials * trials)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The exact interval (Clopper & Pearson 1934) of a share of `successes` in `trials`: it covers the truth at least as
/// often as `confidence` says. `(0, 1)` without trials.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    (share_low(successes, trials, tail), share_high(successes, trials, tail))
}

/// The share at which so many successes or more have the probability `tail`.
fn share_low(successes: u64, trials: u64, tail: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    beta_quantile(tail, successes as f64, (trials - successes) as f64 + 1.0)
}

/// The share at which so many successes or fewer have the probability `tail`.
fn share_high(successes: u64, trials: u64, tail: f64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    beta_quantile(1.0 - tail, successes as f64 + 1.0, (trials - successes) as f64)
}

/// A lower bound of the epsilon of any (epsilon, delta)-differentially private mechanism that an attack could have
/// attained these figures against, at confidence 1 - `alpha`; 0 when the figures show nothing.
///
/// `true_positives` of `members` and `false_positives` of `non_members` were taken for members at a threshold that was
/// not chosen by looking at who is a member. With the true positive rate at least t and the false positive rate at most
/// f, one-sided exact bounds at alpha/2 each, epsilon is at least ln((t - delta)/f) and ln((1 - f - delta)/(1 - t))
/// (Kairouz et al. 2015; Nasr et al. 2021).
///
/// This is an audit only where membership was randomised, that is, where each target was put into or left out of the
/// training rows by chance. On training rows and a holdout as they happened to come it is an effect size.
pub fn epsilon_lower_bound(
    true_positives: u64,
    members: u64,
    false_positives: u64,
    non_members: u64,
    alpha: f64,
    delta: f64,
) -> f64 {
    let t = share_low(true_positives, members, alpha / 2.0);
    let f = share_high(false_positives, non_members, alpha / 2.0);
    let by_positives = libm::log((t - delta) / f);
    let by_negatives = libm::log((1.0 - f - delta) / (1.0 - t));
    // The logarithm of a negative number is NaN, which max passes over.
    0.0f64.max(by_positives).max(by_negatives)
}
