//! What guesses about membership say about epsilon, where membership was randomised.

use super::{binomial_sf, clopper_pearson, normal_cdf, normal_log_cdf, normal_quantile};

/// Lower bounds beyond this are not told apart.
const LARGEST_EPSILON: f64 = 500.0;

/// What a lower bound of epsilon is worth.
///
/// `audit`: each target was put into or left out of the training rows by a fair coin of its own, and the bound holds
/// at its confidence. `effect size`: training rows and others as they happened to come; the bound describes how well the
/// attack did, and other differences between the two count as well.
pub fn evidence_of(randomised: bool) -> &'static str {
    if randomised { "audit" } else { "effect size" }
}

/// Guesses about the membership of some of the targets, made without looking at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    /// Targets, each in or out of training by an independent fair coin.
    pub targets: u64,
    /// Targets about which a guess was made, at most all.
    pub guesses: u64,
    /// Guesses that were right, at most all.
    pub correct: u64,
}

impl Guesses {
    /// How likely at least so many right guesses are, at most, against any (epsilon, delta)-differentially private
    /// mechanism (Steinke, Nasr & Jagielski 2023, theorem 5.2): with B binomial of the guesses with probability
    /// e^epsilon / (1 + e^epsilon) and v right guesses, P(B >= v) + 2 delta targets max over i of P(v - i <= B < v) / i.
    pub fn p_value(&self, epsilon: f64, delta: f64) -> f64 {
        let chance = 1.0 / (1.0 + libm::exp(-epsilon));
        let tail = |at_least: u64| binomial_sf(at_least, self.guesses, chance);
        let p = tail(self.correct);
        if delta == 0.0 {
            return p;
        }
        if p >= 1.0 {
            return 1.0;
        }
        // The mean of the terms below v grows while they do, that is, down to the mode, and shrinks for good once a term
        // beyond it is below the mean. The terms are too small for numbers far from the mode, their logarithms are not.
        let odds = libm::log(chance) - libm::log1p(-chance);
        let mut log_term = log_binomial(self.correct, self.guesses, chance);
        let (mut sum, mut best, mut last) = (0.0, 0.0f64, 0.0);
        for i in 1..=self.correct {
            let place = self.correct - i;
            log_term += libm::log((place + 1) as f64 / (self.guesses - place) as f64) - odds;
            let term = libm::exp(log_term);
            sum += term;
            let mean = sum / i as f64;
            best = best.max(mean);
            if term < mean && term < last {
                break;
            }
            last = term;
        }
        (p + best * delta * 2.0 * self.targets as f64).min(1.0)
    }

    /// The largest epsilon that these guesses refute at confidence 1 - `alpha`: a lower bound of the epsilon of the
    /// mechanism; 0 when they refute none.
    pub fn epsilon(&self, alpha: f64, delta: f64) -> f64 {
        largest(|epsilon| self.p_value(epsilon, delta) <= alpha)
    }

    /// The same among Gaussian mechanisms alone, which is much tighter (Mahloujifar, Melis & Chaudhuri 2024, "Auditing
    /// f-differential privacy in one run"): the bound is the epsilon at `delta` of the most private trade-off curve of a
    /// Gaussian mechanism that is not refuted. It holds for generators whose noise composes to a Gaussian, such as those
    /// trained with DP-SGD, and not for others.
    pub fn epsilon_gaussian(&self, alpha: f64, delta: f64) -> f64 {
        if delta <= 0.0 {
            return f64::NAN;
        }
        let refuted = |epsilon| self.refutes_gaussian(mu_of_epsilon(epsilon, delta), alpha);
        largest(refuted)
    }

    /// Whether the guesses refute every mechanism of this mu: the recursion over the number of right guesses in
    /// algorithm 2 of the paper, with the blow-up Φ(Φ⁻¹(x) - mu) of the Gaussian trade-off.
    fn refutes_gaussian(&self, mu: f64, alpha: f64) -> bool {
        let (targets, guesses) = (self.targets as f64, self.guesses as f64);
        let mut right = alpha * self.correct as f64 / targets;
        let mut wrong = alpha * (self.guesses - self.correct) as f64 / targets;
        for i in (0..self.correct).rev() {
            let next = normal_cdf(normal_quantile(right) - mu);
            if next <= wrong {
                break;
            }
            right = (right + i as f64 / (self.guesses - i) as f64 * (next - wrong)).min(1.0);
            wrong = next;
        }
        right + wrong > guesses / targets
    }
}

/// The logarithm of the probability of `successes` in `trials` of a chance each, which is neither 0 nor 1.
fn log_binomial(successes: u64, trials: u64, chance: f64) -> f64 {
    let (k, n) = (successes as f64, trials as f64);
    let ways = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    ways + k * libm::log(chance) + (n - k) * libm::log1p(-chance)
}

/// Lower bound of mu of any mechanism whose trade-off curve is that of a Gaussian (Dong, Roth & Su 2022), from an attack
/// at a threshold that was not chosen by looking at who is a member, at confidence 1 - `alpha`; 0 when the figures show
/// nothing: Φ⁻¹(1 - F) - Φ⁻¹(N) with exact upper bounds F and N, at alpha/2 each, of the false positive and the false
/// negative rate.
pub fn mu_lower_bound(true_positives: u64, members: u64, false_positives: u64, non_members: u64, alpha: f64) -> f64 {
    // Both ends at 1 - alpha leave alpha/2 on each side.
    let f = clopper_pearson(false_positives, non_members, 1.0 - alpha).1;
    let n = clopper_pearson(members - true_positives, members, 1.0 - alpha).1;
    let mu = normal_quantile(1.0 - f) - normal_quantile(n);
    // A rate that may be 1 leaves infinities.
    if mu.is_nan() { 0.0 } else { mu.max(0.0) }
}

/// The smallest epsilon for which a Gaussian mechanism of this `mu` is (epsilon, delta)-differentially private (Balle &
/// Wang 2018; Dong, Roth & Su 2022, corollary 2.13), for delta in (0, 1); 0 where mu is that small, NaN outside.
pub fn epsilon_of_mu(mu: f64, delta: f64) -> f64 {
    if !(mu >= 0.0 && delta > 0.0 && delta < 1.0) {
        return f64::NAN;
    }
    largest(|epsilon| delta_of(mu, epsilon) > delta)
}

/// The mu of a Gaussian mechanism that is (epsilon, delta)-differentially private and no better.
fn mu_of_epsilon(epsilon: f64, delta: f64) -> f64 {
    bisect(|mu| delta_of(mu, epsilon) <= delta, 0.0, 200.0)
}

/// Φ(mu/2 - epsilon/mu) - e^epsilon Φ(-mu/2 - epsilon/mu).
fn delta_of(mu: f64, epsilon: f64) -> f64 {
    if mu == 0.0 {
        return 0.0;
    }
    let tail = libm::exp(epsilon + normal_log_cdf(-mu / 2.0 - epsilon / mu));
    normal_cdf(mu / 2.0 - epsilon / mu) - tail
}

/// The largest epsilon for which something holds that holds up to a point; 0 when it does not hold at 0.
fn largest(holds: impl Fn(f64) -> bool) -> f64 {
    if !holds(0.0) {
        return 0.0;
    }
    let mut high = 1.0;
    while high < LARGEST_EPSILON && holds(high) {
        high *= 2.0;
    }
    bisect(holds, 0.0, high)
}

/// The end of where something holds, from below: `low` holds.
fn bisect(holds: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}
