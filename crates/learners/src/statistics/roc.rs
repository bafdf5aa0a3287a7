//! Figures of a score that is to tell members from non-members, from both lists in ascending order.

use rayon::prelude::*;

use super::{clopper_pearson, epsilon_lower_bound, hypergeometric_tail, normal_p_value, normal_quantile};

/// Scores as integers that sort like the numbers.
pub struct Roc<'a> {
    members: &'a [u64],
    non_members: &'a [u64],
}

/// Area under the curve with its 95 % interval; no interval with fewer than two members or non-members.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// The area: the chance that a member scores higher than a non-member, ties counting half.
    pub area: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// The largest difference of true and false positive rate.
    pub advantage: f64,
}

/// True positive rate at a false positive rate, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operating {
    /// The rate.
    pub rate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Scores as integers in the same order, ascending.
pub fn sorted_keys(scores: &[f64]) -> Vec<u64> {
    let key = |score: &f64| {
        let bits = (score + 0.0).to_bits(); // -0.0 and 0.0 are one score
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    let mut keys: Vec<u64> = scores.iter().map(key).collect();
    keys.par_sort_unstable();
    keys
}

impl<'a> Roc<'a> {
    /// Of sorted scores, neither list empty.
    pub fn new(members: &'a [u64], non_members: &'a [u64]) -> Self {
        Self { members, non_members }
    }

    /// Area under the curve, its DeLong variance (DeLong et al. 1988) from the placements in one pass over both lists
    /// (Sun & Xu 2014), ties counting half, and the largest difference of true and false positive rate.
    ///
    /// Sums are integers: placements are counted in halves.
    pub fn auc(&self) -> Auc {
        let (m, n) = (self.members.len() as u64, self.non_members.len() as u64);
        let (mut i, mut j) = (0usize, 0usize);
        // Twice the placements of members among non-members and the other way round: sums and sums of squares.
        let (mut sum, mut member_squares, mut non_member_squares) = (0u128, 0u128, 0u128);
        let mut advantage = 0i128;
        while i < self.members.len() || j < self.non_members.len() {
            let value = match (self.members.get(i), self.non_members.get(j)) {
                (Some(&a), Some(&b)) => a.min(b),
                (Some(&a), None) => a,
                (None, Some(&b)) => b,
                (None, None) => break,
            };
            // Taking all from `value` up for members.
            let (positives, false_positives) = (m - i as u64, n - j as u64);
            advantage =
                advantage.max(i128::from(positives) * i128::from(n) - i128::from(false_positives) * i128::from(m));
            let tied_members = run(self.members, i, value) as u64;
            let tied_non_members = run(self.non_members, j, value) as u64;
            let below = u128::from(2 * j as u64 + tied_non_members);
            let above = u128::from(2 * (m - i as u64) - tied_members);
            sum += below * u128::from(tied_members);
            member_squares += below * below * u128::from(tied_members);
            non_member_squares += above * above * u128::from(tied_non_members);
            i += tied_members as usize;
            j += tied_non_members as usize;
        }
        let (pairs, m_f, n_f) = (m as f64 * n as f64, m as f64, n as f64);
        let area = sum as f64 / 2.0 / pairs;
        let standard_error = (m > 1 && n > 1).then(|| {
            // Variance of placements p/(2 n) over m members is (m Σp² - (Σp)²) / (4 n² m (m-1)), in integers up to the
            // division where they fit, and Σp is the same sum seen from either side.
            let spread =
                |squares: u128, count: u64| match squares.checked_mul(u128::from(count)).zip(sum.checked_mul(sum)) {
                    Some((a, b)) => (a - b) as f64,
                    None => squares as f64 * count as f64 - sum as f64 * sum as f64,
                };
            let by_members = spread(member_squares, m) / (4.0 * n_f * n_f * m_f * (m_f - 1.0));
            let by_non_members = spread(non_member_squares, n) / (4.0 * m_f * m_f * n_f * (n_f - 1.0));
            (by_members / m_f + by_non_members / n_f).max(0.0).sqrt()
        });
        let interval = standard_error.map(|se| {
            let half = normal_quantile(0.975) * se;
            ((area - half).max(0.0), (area + half).min(1.0))
        });
        Auc { area, standard_error, interval, advantage: advantage as f64 / pairs }
    }

    /// The one-sided p-value of the area against 1/2 (Mann & Whitney 1947): the normal approximation with half a pair as
    /// correction for continuity and with the variance that ties leave.
    pub fn p_value(&self) -> f64 {
        let (m, n) = (self.members.len() as f64, self.non_members.len() as f64);
        let total = m + n;
        let (mut i, mut j, mut ties) = (0, 0, 0u128);
        while let Some(value) = [self.members.get(i), self.non_members.get(j)].into_iter().flatten().min().copied() {
            let tied = run(self.members, i, value) as u64;
            let tied_non_members = run(self.non_members, j, value) as u64;
            let t = u128::from(tied + tied_non_members);
            ties += t * t * t - t;
            i += tied as usize;
            j += tied_non_members as usize;
        }
        let variance = m * n / 12.0 * (total + 1.0 - ties as f64 / (total * (total - 1.0)));
        if variance <= 0.0 {
            return 1.0; // One tie of all says nothing.
        }
        normal_p_value(self.auc().area * m * n - 0.5, m * n / 2.0, variance.sqrt())
    }

    /// True positive rate where at most one non-member in `one_in` is taken for a member; `None` with fewer than
    /// 10 `one_in` non-members, where it cannot be measured.
    ///
    /// The threshold lies above the highest score that may not be passed, so that ties never push the false positive
    /// rate over what was asked.
    pub fn true_positives_at(&self, one_in: u64) -> Option<Operating> {
        let n = self.non_members.len() as u64;
        if n < 10 * one_in {
            return None;
        }
        let barrier = self.non_members[(n - 1 - n / one_in) as usize];
        let members = self.members.len() as u64;
        let positives = members - self.members.partition_point(|&s| s <= barrier) as u64;
        let (low, high) = clopper_pearson(positives, members, 0.95);
        Some(Operating { rate: positives as f64 / members as f64, low, high })
    }

    /// One-sided exact p-value of [`Roc::true_positives_at`]: the probability of at least so many members above the
    /// threshold when members and non-members are exchangeable. With t members and at most j non-members up there, at
    /// most j of the first t + j in a random order are non-members. Ties make it larger, never smaller.
    pub fn true_positives_p_value(&self, one_in: u64) -> Option<f64> {
        let (m, n) = (self.members.len() as u64, self.non_members.len() as u64);
        let positives = (self.true_positives_at(one_in)?.rate * m as f64).round() as u64;
        Some(hypergeometric_tail(positives, m, n, positives + n / one_in))
    }

    /// The largest [`epsilon_lower_bound`] over thresholds that take the top half, quarter, eighth, ... (ten of them) of
    /// all targets for members, with `alpha` shared among them. The thresholds do not look at who is a member.
    pub fn epsilon_lower(&self, alpha: f64, delta: f64) -> f64 {
        const THRESHOLDS: u32 = 10;
        let (m, n) = (self.members.len(), self.non_members.len());
        let mut best = 0.0f64;
        for halvings in 1..=THRESHOLDS {
            let taken = ((m + n) >> halvings).max(1);
            let threshold = self.largest(taken);
            let positives = m - self.members.partition_point(|&s| s < threshold);
            let false_positives = n - self.non_members.partition_point(|&s| s < threshold);
            best = best.max(epsilon_lower_bound(
                positives as u64,
                m as u64,
                false_positives as u64,
                n as u64,
                alpha / f64::from(THRESHOLDS),
                delta,
            ));
        }
        best
    }

    /// The k-th largest of all scores, k from 1.
    fn largest(&self, k: usize) -> u64 {
        // At least k scores are as large as this one, and fewer are larger.
        let reaches = |value: u64| {
            let m = self.members.len() - self.members.partition_point(|&s| s < value);
            let n = self.non_members.len() - self.non_members.partition_point(|&s| s < value);
            m + n >= k
        };
        let (mut low, mut high) = (0u64, u64::MAX);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if reaches(middle) { low = middle } else { high = middle - 1 }
        }
        low
    }
}

/// How many values from `start` on equal `value`.
fn run(sorted: &[u64], start: usize, value: u64) -> usize {
    sorted[start..].iter().take_while(|&&v| v == value).count()
}
