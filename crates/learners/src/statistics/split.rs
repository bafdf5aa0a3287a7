//! Lower bounds of epsilon at a threshold that some of the targets choose and the others judge.

use lookalike_core::{Stream, Streams};
use rand::RngCore;

use super::epsilon_lower_bound;

/// A lower bound of epsilon from the targets that did not choose its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitBound {
    /// The bound.
    pub epsilon: f64,
    /// Members that judged.
    pub members: u64,
    /// Members of these with a score of the threshold or more.
    pub true_positives: u64,
    /// Non-members that judged.
    pub non_members: u64,
    /// Non-members of these with a score of the threshold or more.
    pub false_positives: u64,
}

/// Thresholds that the choosing half looks at: about so many in every halving of the share of targets taken.
const PER_HALVING: u32 = 4;

/// [`epsilon_lower_bound`] of half of the targets at the threshold at which the other half has the largest. A fair coin a
/// target, drawn by its side, its rank among the scores of its side and the seed, tells the halves apart: which of
/// several targets of one score judge does not matter. Scores ascending, as integers that sort like them.
///
/// Unlike a choice of thresholds before looking, paid for with the number of them, this pays with half of the targets:
/// better where only a few scores at the very top give members away, worse with few targets. `None` when a half has no
/// members or no non-members.
pub fn epsilon_by_split(members: &[u64], non_members: &[u64], seed: u64, alpha: f64, delta: f64) -> Option<SplitBound> {
    let streams = Streams::new(seed, "threshold");
    let (members, chosen_members) = halves(members, streams.block(0));
    let (non_members, chosen_non_members) = halves(non_members, streams.block(1));
    if [&members, &chosen_members, &non_members, &chosen_non_members].iter().any(|half| half.is_empty()) {
        return None;
    }
    let mut pooled: Vec<u64> = chosen_members.iter().chain(&chosen_non_members).copied().collect();
    pooled.sort_unstable();
    let from = |sorted: &[u64], threshold: u64| (sorted.len() - sorted.partition_point(|&s| s < threshold)) as u64;
    let bound = |m: &[u64], n: &[u64], threshold| {
        let (t, f) = (from(m, threshold), from(n, threshold));
        (epsilon_lower_bound(t, m.len() as u64, f, n.len() as u64, alpha, delta), t, f)
    };
    let mut best = (f64::NEG_INFINITY, pooled[pooled.len() / 2]);
    for taken in places(pooled.len()) {
        let threshold = pooled[pooled.len() - taken];
        let epsilon = bound(&chosen_members, &chosen_non_members, threshold).0;
        if epsilon > best.0 {
            best = (epsilon, threshold);
        }
    }
    let (epsilon, true_positives, false_positives) = bound(&members, &non_members, best.1);
    Some(SplitBound {
        epsilon,
        members: members.len() as u64,
        true_positives,
        non_members: non_members.len() as u64,
        false_positives,
    })
}

/// Numbers of targets to take for members, from 1 to all but one: close to each other at both ends.
fn places(targets: usize) -> Vec<usize> {
    let mut places = vec![];
    let mut share = 0.5f64;
    let step = libm::exp2(-1.0 / f64::from(PER_HALVING));
    while share * targets as f64 >= 1.0 {
        let taken = (share * targets as f64) as usize;
        places.extend([taken, targets - taken]);
        share *= step;
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// Scores that judge and scores that choose.
fn halves(scores: &[u64], mut rng: Stream) -> (Vec<u64>, Vec<u64>) {
    scores.iter().partition(|_| rng.next_u32() & 1 == 0)
}
