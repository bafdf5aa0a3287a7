//! Figures of a membership inference attack over all its targets.

use lookalike_core::{Error, Result};
use lookalike_learners::{Guesses, Roc, SplitBound, epsilon_by_split, sorted_keys};
use rayon::prelude::*;

/// Confidence of `epsilon_lower` is 1 less this.
const ALPHA: f64 = 0.05;
/// Delta of `epsilon_lower`.
const DELTA: f64 = 1e-5;
/// Fewest members and non-members for `p_value`.
const TESTED: usize = 10;

/// Mergeable summary of scores and the truth: the result does not depend on the order or the grouping of the targets.
///
/// It keeps the scores (8 bytes a target), because ranks are exact. NaN is NULL, as everywhere in Lookalike, and is
/// skipped: the target was not scored and is counted neither as a member nor as a non-member. Infinite scores are
/// ranked like others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MiaSummary {
    members: Vec<f64>,
    non_members: Vec<f64>,
}

/// A true positive rate with its exact 95 % interval (Clopper & Pearson 1934).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The rate.
    pub rate: f64,
    /// Lower end of its interval.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
}

/// What [`MiaSummary::finish`] returns. All rates are `None` without members or without non-members.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MiaFigures {
    /// Probability that a member scores higher than a non-member, ties counting half: 0.5 for a blind attack.
    pub auc: Option<f64>,
    /// Lower end of its 95 % interval (DeLong et al. 1988), at least 0. `None` with fewer than two members or
    /// non-members. The interval is that of a normal approximation and shrinks to a point at an area of 0 or 1; it
    /// takes targets as independent, so score persons where persons have several rows.
    pub auc_lo: Option<f64>,
    /// Upper end, at most 1.
    pub auc_hi: Option<f64>,
    /// The chance that a blind attack has an area as large or larger (Mann & Whitney 1947; normal approximation with
    /// continuity and tie correction): one-sided, because an attack that is wrong more often than not finds nobody.
    /// `None` with fewer than ten members or non-members, where the approximation is poor.
    pub p_value: Option<f64>,
    /// Largest difference of true and false positive rate over all thresholds (Yeom et al. 2018). It is chosen after
    /// looking, so even a blind attack has an advantage a little above 0.
    pub advantage: Option<f64>,
    /// True positive rate at a false positive rate of at most 10 %; `None` with fewer than 100 non-members.
    pub tpr_at_fpr_10: Option<Rate>,
    /// The same at 1 %; `None` with fewer than 1,000 non-members.
    pub tpr_at_fpr_1: Option<Rate>,
    /// The same at 0.1 %; `None` with fewer than 10,000 non-members.
    pub tpr_at_fpr_01: Option<Rate>,
    /// Lower bound of epsilon at delta 1e-5 and confidence 95 %, the best of ten thresholds that are chosen without
    /// looking at who is a member, corrected for their number; see [`crate::epsilon_lower_bound`]. An audit only where
    /// membership was randomised, an effect size otherwise.
    pub epsilon_lower: Option<f64>,
    /// Members with a score.
    pub members: u64,
    /// Non-members with a score.
    pub non_members: u64,
}

impl MiaFigures {
    /// Why figures are missing, in words; `None` when none is.
    pub fn reason(&self) -> Option<String> {
        reason(self.members, self.non_members)
    }
}

impl MiaSummary {
    /// Takes targets in: the score of each, higher for likelier members, and whether it is one.
    ///
    /// Fails (internal) when the slices differ in length.
    pub fn update(&mut self, scores: &[f64], is_member: &[bool]) -> Result<()> {
        if scores.len() != is_member.len() {
            return Err(Error::internal("scores and is_member of different lengths"));
        }
        for (&score, &is_member) in scores.iter().zip(is_member) {
            if !score.is_nan() {
                if is_member { &mut self.members } else { &mut self.non_members }.push(score);
            }
        }
        Ok(())
    }

    /// Takes in what another summary took in.
    pub fn merge(&mut self, other: &MiaSummary) {
        self.members.extend_from_slice(&other.members);
        self.non_members.extend_from_slice(&other.non_members);
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        (self.members.capacity() + self.non_members.capacity()) * size_of::<f64>()
    }

    /// The state to send elsewhere: scores of members and of non-members.
    pub fn state(&self) -> (&[f64], &[f64]) {
        (&self.members, &self.non_members)
    }

    /// The summary of a state.
    pub fn from_state(members: Vec<f64>, non_members: Vec<f64>) -> Self {
        let present = |mut scores: Vec<f64>| {
            scores.retain(|s| !s.is_nan());
            scores
        };
        Self { members: present(members), non_members: present(non_members) }
    }

    /// The figures over all targets taken in. Needs as much memory again while it runs.
    pub fn finish(&self) -> MiaFigures {
        let mut figures = MiaFigures {
            members: self.members.len() as u64,
            non_members: self.non_members.len() as u64,
            ..MiaFigures::default()
        };
        if self.members.is_empty() || self.non_members.is_empty() {
            return figures;
        }
        let (members, non_members) = rayon::join(|| sorted_keys(&self.members), || sorted_keys(&self.non_members));
        let roc = Roc::new(&members, &non_members);
        let auc = roc.auc();
        figures.auc = Some(auc.area);
        figures.auc_lo = auc.interval.map(|i| i.0);
        figures.auc_hi = auc.interval.map(|i| i.1);
        figures.p_value = (members.len().min(non_members.len()) >= TESTED).then(|| roc.p_value());
        figures.advantage = Some(auc.advantage);
        let rate = |one_in| roc.true_positives_at(one_in).map(|o| Rate { rate: o.rate, lo: o.low, hi: o.high });
        figures.tpr_at_fpr_10 = rate(10);
        figures.tpr_at_fpr_1 = rate(100);
        figures.tpr_at_fpr_01 = rate(1000);
        figures.epsilon_lower = Some(roc.epsilon_lower(ALPHA, DELTA));
        figures
    }

    /// A lower bound of epsilon with the threshold chosen by a random half of the targets and judged by the other, beside
    /// `epsilon_lower`, which fixes thresholds before looking; see [`SplitBound`]. `None` with too few targets to split.
    pub fn epsilon_by_split(&self, seed: u64, alpha: f64, delta: f64) -> Option<SplitBound> {
        epsilon_by_split(&sorted_keys(&self.members), &sorted_keys(&self.non_members), seed, alpha, delta)
    }

    /// Guesses "member" for the highest scores and "non-member" for the lowest, half of `guesses` each (the odd one goes
    /// to the highest), and counts those that are right. Which targets are guessed is decided by the scores alone; of
    /// scores that tie where the guesses end none is guessed, so that the guesses may be fewer.
    pub fn guess(&self, guesses: u64) -> Guesses {
        let (members, non_members) = (sorted_keys(&self.members), sorted_keys(&self.non_members));
        let mut pooled: Vec<u64> = members.iter().chain(&non_members).copied().collect();
        pooled.par_sort_unstable();
        let targets = pooled.len();
        let wanted = (guesses.min(targets as u64)) as usize;
        let (top, bottom) = (wanted.div_ceil(2), wanted / 2);
        let above = |sorted: &[u64], score: u64| (sorted.len() - sorted.partition_point(|&s| s <= score)) as u64;
        let below = |sorted: &[u64], score: u64| sorted.partition_point(|&s| s < score) as u64;
        // The first score that is not to be guessed; without one all are.
        let (mut made, mut correct) = (0, 0);
        let barrier = |place: Option<usize>| place.and_then(|p| pooled.get(p)).copied();
        let top_barrier = barrier((targets - top).checked_sub(1));
        let count = |f: &dyn Fn(&[u64]) -> u64| (f(&members), f(&non_members));
        let (m, n) = count(&|sorted| top_barrier.map_or(sorted.len() as u64, |score| above(sorted, score)));
        made += m + n;
        correct += m;
        let (m, n) = match barrier(Some(bottom)) {
            Some(score) => count(&|sorted| below(sorted, score)),
            None => (0, 0),
        };
        made += m + n;
        correct += n;
        Guesses { targets: targets as u64, guesses: made, correct }
    }
}

/// Which figures so many members and non-members do not allow.
fn reason(members: u64, non_members: u64) -> Option<String> {
    let count = |n: u64, what: &str| match n {
        0 => format!("no {what} was scored"),
        1 => format!("there is 1 {what}"),
        n => format!("there are {} {what}s", thousands(n)),
    };
    if members == 0 || non_members == 0 {
        let missing = if members == 0 { "member" } else { "non-member" };
        return Some(format!("every rate needs members and non-members, {}", count(0, missing)));
    }
    let mut reasons = vec![];
    let fewer = if members < non_members { (members, "member") } else { (non_members, "non-member") };
    if fewer.0 < 2 {
        reasons.push(format!("auc_lo and auc_hi need 2 members and 2 non-members, {}", count(fewer.0, fewer.1)));
    }
    if fewer.0 < TESTED as u64 {
        reasons.push(format!("p_value needs {TESTED} members and {TESTED} non-members, {}", count(fewer.0, fewer.1)));
    }
    let rates = [("tpr_at_fpr_10", 100), ("tpr_at_fpr_1", 1000), ("tpr_at_fpr_01", 10_000)];
    for (name, needed) in rates.into_iter().filter(|(_, needed)| non_members < *needed) {
        reasons.push(format!("{name} needs {} non-members, {}", thousands(needed), count(non_members, "non-member")));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// A number with commas.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod tests;
