//! Against the reference sheet, scikit-learn, hand-worked lists and the definitions.

use serde_json::Value;

use super::*;
use crate::test_frames::{shuffled, stream};
use lookalike_core::uniform;

const POSITIVES: [f64; 10] = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54, 0.53, 0.505, 0.4, 0.3];
const NEGATIVES: [f64; 10] = [0.85, 0.65, 0.52, 0.51, 0.45, 0.39, 0.38, 0.37, 0.35, 0.2];

fn summary(members: &[f64], non_members: &[f64]) -> MiaSummary {
    MiaSummary::from_state(members.to_vec(), non_members.to_vec())
}

#[test]
fn delong_of_the_reference_sheet() {
    let figures = summary(&POSITIVES, &NEGATIVES).finish();
    assert_eq!(figures.auc, Some(0.72));
    assert!((figures.auc_lo.unwrap() - 0.476249).abs() < 5e-7, "{figures:?}");
    assert!((figures.auc_hi.unwrap() - 0.963751).abs() < 5e-7, "{figures:?}");
    let (members, non_members) = (sorted_keys(&POSITIVES), sorted_keys(&NEGATIVES));
    let error = Roc::new(&members, &non_members).auc().standard_error.unwrap();
    assert!((error - 0.124365).abs() < 5e-7, "{error}");
    // From .53 up: 7 of 10 members against .85 and .65.
    assert_eq!(figures.advantage, Some(0.5));
    // Ten non-members measure no rate at 10 %.
    assert_eq!(figures.tpr_at_fpr_10, None);
}

#[test]
fn areas_and_rates_agree_with_scikit_learn() {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_statistics.json")).unwrap();
    let mut measured = 0;
    for case in all["areas"].as_array().unwrap() {
        let scores: Vec<f64> = case["score"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let member: Vec<bool> = case["member"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
        let mut summary = MiaSummary::default();
        summary.update(&scores, &member).unwrap();
        let figures = summary.finish();
        assert!((figures.auc.unwrap() - case["auc"].as_f64().unwrap()).abs() < 1e-12);
        assert!((figures.advantage.unwrap() - case["advantage"].as_f64().unwrap()).abs() < 1e-12);
        for (rate, name) in [(figures.tpr_at_fpr_10, "tpr_10"), (figures.tpr_at_fpr_1, "tpr_1")] {
            if let Some(rate) = rate {
                assert!((rate.rate - case[name].as_f64().unwrap()).abs() < 1e-12, "{name} {rate:?}");
                assert!(rate.lo <= rate.rate && rate.rate <= rate.hi);
                measured += 1;
            }
        }
    }
    assert_eq!(measured, 3);
}

/// Placements one by one: the definition of DeLong's variance.
fn naive_delong(members: &[f64], non_members: &[f64]) -> (f64, f64) {
    let wins = |a: f64, b: f64| {
        if a > b {
            1.0
        } else if a == b {
            0.5
        } else {
            0.0
        }
    };
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let over = |a: f64| mean(&non_members.iter().map(|&b| wins(a, b)).collect::<Vec<_>>());
    let under = |b: f64| mean(&members.iter().map(|&a| wins(a, b)).collect::<Vec<_>>());
    let v10: Vec<f64> = members.iter().map(|&a| over(a)).collect();
    let v01: Vec<f64> = non_members.iter().map(|&b| under(b)).collect();
    let variance = |v: &[f64]| v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / (v.len() - 1) as f64;
    (mean(&v10), (variance(&v10) / v10.len() as f64 + variance(&v01) / v01.len() as f64).sqrt())
}

#[test]
fn delong_with_ties_is_that_of_the_definition() {
    let mut rng = stream(3);
    for grid in [3.0, 20.0, 1e6] {
        let mut draw =
            |n: usize, lift: f64| -> Vec<f64> { (0..n).map(|_| ((uniform(&mut rng) + lift) * grid).floor()).collect() };
        let (members, non_members) = (draw(70, 0.2), draw(45, 0.0));
        let (area, error) = naive_delong(&members, &non_members);
        let (a, b) = (sorted_keys(&members), sorted_keys(&non_members));
        let found = Roc::new(&a, &b).auc();
        assert!(
            (found.area - area).abs() < 1e-12 && (found.standard_error.unwrap() - error).abs() < 1e-12,
            "{found:?}"
        );
    }
}

#[test]
fn ties_never_raise_the_false_positive_rate() {
    // 100 non-members, 11 of them at the top score: passing any of them would be 11 % for 10 %, so only members above
    // count. 1 of 4 members is.
    let mut non_members = vec![0.0; 89];
    non_members.extend([1.0; 11]);
    let figures = summary(&[2.0, 1.0, 1.0, 0.0], &non_members).finish();
    assert_eq!(figures.tpr_at_fpr_10.unwrap().rate, 0.25);
    // With ten at the top, all of them may pass.
    let mut non_members = vec![0.0; 90];
    non_members.extend([1.0; 10]);
    let figures = summary(&[2.0, 1.0, 1.0, 0.0], &non_members).finish();
    assert_eq!(figures.tpr_at_fpr_10.unwrap().rate, 0.75);
    // 99 non-members are too few.
    assert_eq!(summary(&[1.0], &non_members[..99]).finish().tpr_at_fpr_10, None);
}

#[test]
fn one_sided_and_missing_scores() {
    let figures = summary(&[1.0, f64::NAN], &[]).finish();
    assert_eq!(figures, MiaFigures { members: 1, ..MiaFigures::default() });
    assert_eq!(MiaSummary::default().finish(), MiaFigures::default());
    let mut with_gaps = MiaSummary::default();
    with_gaps.update(&[1.0, f64::NAN, 0.0, f64::NAN], &[true, true, false, false]).unwrap();
    let figures = with_gaps.finish();
    assert_eq!((figures.members, figures.non_members, figures.auc, figures.auc_lo), (1, 1, Some(1.0), None));
    assert!(with_gaps.update(&[1.0], &[]).is_err());
    assert_eq!(
        figures.reason().unwrap(),
        "auc_lo and auc_hi need 2 members and 2 non-members, there is 1 non-member; \
        p_value needs 10 members and 10 non-members, there is 1 non-member; \
        tpr_at_fpr_10 needs 100 non-members, there is 1 non-member; \
        tpr_at_fpr_1 needs 1,000 non-members, there is 1 non-member; \
        tpr_at_fpr_01 needs 10,000 non-members, there is 1 non-member"
    );
    let scores: Vec<f64> = (0..10_000).map(f64::from).collect();
    assert_eq!(summary(&scores, &scores).finish().reason(), None);
    let few = summary(&scores, &scores[..1200]).finish().reason().unwrap();
    assert_eq!(few, "tpr_at_fpr_01 needs 10,000 non-members, there are 1,200 non-members");
    assert_eq!(
        summary(&[1.0], &[]).finish().reason().unwrap(),
        "every rate needs members and non-members, no non-member was scored"
    );
    // Zero of either sign is one score; infinities are ranked.
    assert_eq!(summary(&[-0.0], &[0.0]).finish().auc, Some(0.5));
    assert_eq!(summary(&[f64::INFINITY], &[f64::MAX, f64::NEG_INFINITY]).finish().auc, Some(1.0));
}

#[test]
fn order_and_grouping_do_not_matter() {
    let mut rng = stream(4);
    let scores: Vec<f64> = (0..20_000).map(|_| (uniform(&mut rng) * 500.0).round()).collect();
    let member: Vec<bool> = (0..20_000).map(|i| i % 3 == 0).collect();
    let mut whole = MiaSummary::default();
    whole.update(&scores, &member).unwrap();
    let order = shuffled(scores.len(), 9);
    let mut merged = MiaSummary::default();
    for part in order.chunks(777) {
        let mut one = MiaSummary::default();
        let pick = |i: &u32| (scores[*i as usize], member[*i as usize]);
        let (scores, member): (Vec<f64>, Vec<bool>) = part.iter().map(pick).unzip();
        one.update(&scores, &member).unwrap();
        let (members, non_members) = one.state();
        merged.merge(&summary(members, non_members));
    }
    assert_eq!(merged.finish(), whole.finish());
    assert!(merged.memory() >= 20_000 * 8);
    assert!(whole.finish().tpr_at_fpr_01.is_some());
}

#[test]
fn blind_and_perfect_attacks() {
    let mut rng = stream(5);
    let blind: Vec<f64> = (0..4000).map(|_| uniform(&mut rng)).collect();
    let figures = summary(&blind[..2000], &blind[2000..]).finish();
    // The area of a blind attack has variance (m + n + 1)/(12 m n); |z| > 4.9 has probability below 1e-6.
    let bound = 4.9 * (4001.0f64 / (12.0 * 2000.0 * 2000.0)).sqrt();
    assert!((figures.auc.unwrap() - 0.5).abs() < bound, "{figures:?}");
    assert_eq!(figures.epsilon_lower, Some(0.0));
    let members: Vec<f64> = blind[..2000].iter().map(|s| s + 1.0).collect();
    let figures = summary(&members, &blind[2000..]).finish();
    assert_eq!((figures.auc, figures.advantage), (Some(1.0), Some(1.0)));
    assert_eq!(figures.tpr_at_fpr_1.unwrap().rate, 1.0);
    // Zero of 2,000 at alpha .05 over ten thresholds, two sides: 1 - .0025^(1/2000) bounds either error rate by hand.
    let error = 1.0 - 0.0025f64.powf(1.0 / 2000.0);
    let by_hand = ((1.0 - error - 1e-5) / error).ln();
    assert!((figures.epsilon_lower.unwrap() - by_hand).abs() < 1e-9, "{figures:?}");
}
