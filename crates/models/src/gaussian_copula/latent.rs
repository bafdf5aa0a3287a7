//! From the correlation of what is seen (ranks with ties, splits of categories) to the correlation of the normals behind.

use crate::marginal::{edges, scores};
use crate::normal::{cumulative, density};

/// Terms of the Hermite series.
const TERMS: usize = 40;
/// Latent correlations stay inside plus and minus this.
const LARGEST: f64 = 0.995;

/// A coarsened standard normal: the intervals it is seen in, and the mean of each (its normal score).
#[derive(Debug, Clone)]
pub(crate) struct Step {
    edges: Vec<f64>,
    /// Score of each interval.
    pub scores: Vec<f64>,
    /// Mean square of the score: 1 when the normal is seen exactly, less the coarser it is.
    variance: f64,
    /// Coefficients of the score in normalised Hermite polynomials of degree 1, 2, ...
    hermite: Vec<f64>,
}

impl Step {
    /// From the rows in each interval.
    pub fn new(count: &[u64]) -> Self {
        let edges = edges(count);
        let scores = scores(&edges, count);
        let total = count.iter().sum::<u64>().max(1) as f64;
        let variance = count.iter().zip(&scores).map(|(&c, s)| c as f64 / total * s * s).sum();
        // The integral of He_k phi from a to b is He_{k-1}(a) phi(a) - He_{k-1}(b) phi(b): the sum over intervals
        // telescopes into the jumps of the score at the edges.
        let mut hermite = vec![0.0; TERMS];
        for (i, &z) in edges.iter().enumerate() {
            let jump = (scores[i + 1] - scores[i]) * density(z);
            if jump == 0.0 || !z.is_finite() {
                continue;
            }
            let (mut below, mut here) = (0.0, 1.0);
            for (k, coefficient) in hermite.iter_mut().enumerate() {
                let root = libm::sqrt((k + 1) as f64);
                *coefficient += jump * here / root;
                (below, here) = (here, (z * here - libm::sqrt(k as f64) * below) / root);
            }
        }
        Self { edges, scores, variance, hermite }
    }

    /// Mean product of two scores seen of one normal (`mirrored`: of a normal and its negative): the largest there is.
    fn extreme(&self, other: &Step, mirrored: bool) -> f64 {
        // Walk both sets of edges upwards; mirrored, edges change their sign and both edges and scores their order.
        let size = other.scores.len();
        let edge = |j: usize| if mirrored { -other.edges[other.edges.len() - 1 - j] } else { other.edges[j] };
        let score = |j: usize| if mirrored { other.scores[size - 1 - j] } else { other.scores[j] };
        let (mut i, mut j, mut sum, mut below) = (0, 0, 0.0, 0.0);
        loop {
            let a = self.edges.get(i).copied().unwrap_or(f64::INFINITY);
            let b = if j < other.edges.len() { edge(j) } else { f64::INFINITY };
            let z = a.min(b);
            let up_to = cumulative(z);
            sum += self.scores[i] * score(j) * (up_to - below);
            below = up_to;
            if z == f64::INFINITY {
                return sum;
            }
            i += usize::from(a <= z);
            j += usize::from(b <= z);
        }
    }

    /// How the covariance of two scores grows with the correlation r (of the sign given) of the normals behind them: by
    /// Mehler's formula it is sum_k r^k a_k b_k over their Hermite coefficients.
    fn mehler(&self, other: &Step, is_negative: bool) -> Mehler {
        // For negative correlations r^k is |r|^k with the odd terms' sign flipped, and so is the covariance.
        let sign = if is_negative { -1.0 } else { 1.0 };
        let (mut terms, mut power) = ([0.0; TERMS], sign);
        for (term, (a, b)) in terms.iter_mut().zip(self.hermite.iter().zip(&other.hermite)) {
            power *= sign;
            *term = power * a * b;
        }
        let rest = self.extreme(other, is_negative) * sign - terms.iter().sum::<f64>();
        Mehler { terms, rest }
    }

    /// The correlation of two latent normals whose scores correlate by `seen`.
    pub fn latent_correlation(&self, other: &Step, seen: f64) -> f64 {
        let target = seen.abs() * libm::sqrt(self.variance * other.variance);
        if target == 0.0 {
            return 0.0;
        }
        let curve = self.mehler(other, seen < 0.0);
        let (mut low, mut high) = (0.0, LARGEST);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if curve.covariance(middle) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        (0.5 * (low + high)).copysign(seen)
    }
}

/// Absolute covariance of two scores as a function of the absolute latent correlation.
struct Mehler {
    terms: [f64; TERMS],
    /// What the series leaves out at 1, where the covariance is known exactly.
    rest: f64,
}

impl Mehler {
    fn covariance(&self, r: f64) -> f64 {
        let series = self.terms.iter().rev().fold(0.0, |sum, t| (sum + t) * r);
        // The terms left out decay faster than the last one kept.
        series + self.rest * (0..TERMS + TERMS / 2).fold(1.0, |power, _| power * r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dichotomy(t: f64) -> Step {
        let below = cumulative(t);
        let n = 1e15;
        Step::new(&[(below * n) as u64, ((1.0 - below) * n) as u64])
    }

    #[test]
    fn correlation_behind_dichotomies() {
        // Phi coefficients by scipy's bivariate normal; tests/golden/make/models_correlation.py. The truncated series leaves an
        // error only near 1.
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/golden/models_correlation.json")).unwrap();
        let cases = golden["dichotomies"].as_array().unwrap();
        assert_eq!(cases.len(), 40);
        for case in cases {
            let number = |name: &str| case[name].as_f64().unwrap();
            let (a, b) = (dichotomy(number("s")), dichotomy(number("t")));
            let rho = number("rho");
            let scale = libm::sqrt(a.variance * b.variance);
            let seen = a.mehler(&b, rho < 0.0).covariance(rho.abs()) / scale * rho.signum();
            assert!((seen - number("phi")).abs() < 2e-3, "{case} {seen}");
            // Extreme cuts leave a cell of the table nearly empty, and phi hardly depends on the correlation.
            if number("s").abs() <= 0.5 {
                let found = a.latent_correlation(&b, number("phi"));
                assert!((found - rho).abs() < 2e-3, "{case} {found}");
            }
        }
    }

    #[test]
    fn extremes_by_hand() {
        // Split at the median the score is -+sqrt(2/pi): the product's mean is 2/pi at correlation 1, -2/pi at -1.
        let half = dichotomy(0.0);
        assert!((half.extreme(&half, false) - 2.0 / std::f64::consts::PI).abs() < 1e-9);
        assert!((half.extreme(&half, true) + 2.0 / std::f64::consts::PI).abs() < 1e-9);
        // Each score is a constant less its jump phi / (p (1 - p)) times the indicator of being below the cut, so the mean
        // product is both jumps times the covariance of the indicators.
        let cut = dichotomy(1.0);
        let p = 0.841_344_746_068_543;
        let jump = |z: f64, p: f64| density(z) / (p * (1.0 - p));
        let expected = jump(0.0, 0.5) * jump(1.0, p) * (0.5 - 0.5 * p);
        assert!((half.extreme(&cut, false) - expected).abs() < 1e-9);
    }
}
