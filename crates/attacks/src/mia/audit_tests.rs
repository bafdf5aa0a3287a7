//! Against dp-accounting, scipy and statsmodels (`tests/golden/make/attacks_audit.py`), and by simulation.

use lookalike_core::{Streams, uniform};
use lookalike_learners::normal_log_cdf;
use rand::RngCore;
use serde_json::Value;

use super::*;
use crate::*;

fn assert_near(found: f64, expected: f64, tolerance: f64, context: impl std::fmt::Debug) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{context:?}: {found} is not {expected}");
}

fn golden(table: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_audit.json")).unwrap();
    all[table].as_array().unwrap().clone()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn audits_of_the_reference_sheet() {
    let guesses = Guesses { targets: 1000, guesses: 100, correct: 95 };
    assert!((guesses.epsilon(0.05, 1e-5) - 2.165176).abs() < 5e-7);
    assert!((guesses.epsilon_gaussian(0.05, 1e-5) - 3.323300).abs() < 5e-7);
}

#[test]
fn audits_agree_with_every_term_of_the_papers() {
    for row in golden("audits") {
        let [m, r, v, delta, alpha, epsilon, gaussian, p] = floats(&row)[..] else { panic!() };
        let guesses = Guesses { targets: m as u64, guesses: r as u64, correct: v as u64 };
        assert_near(guesses.epsilon(alpha, delta), epsilon, 1e-8, ("epsilon", m, r, v));
        assert_near(guesses.epsilon_gaussian(alpha, delta), gaussian, 1e-7, ("gaussian", m, r, v));
        assert_near(guesses.p_value(1.0, delta), p, 1e-9, ("p", m, r, v));
    }
    // No guess and no right guess refute nothing.
    for guesses in [Guesses { targets: 9, guesses: 0, correct: 0 }, Guesses { targets: 9, guesses: 9, correct: 0 }] {
        assert_eq!((guesses.epsilon(0.05, 1e-5), guesses.epsilon_gaussian(0.05, 1e-5)), (0.0, 0.0));
    }
}

#[test]
fn gaussian_privacy_agrees_with_dp_accounting() {
    for row in golden("mu") {
        let [mu, delta, epsilon] = floats(&row)[..] else { panic!() };
        assert_near(epsilon_of_mu(mu, delta), epsilon, 1e-6, (mu, delta));
    }
    assert_eq!(epsilon_of_mu(0.0, 1e-5), 0.0);
    assert!(epsilon_of_mu(1.0, 0.0).is_nan() && epsilon_of_mu(f64::NAN, 0.1).is_nan());
    for row in golden("bounds") {
        let [tp, p, fp, n, alpha, mu] = floats(&row)[..] else { panic!() };
        let found = mu_lower_bound(tp as u64, p as u64, fp as u64, n as u64, alpha);
        assert!((found - mu).abs() < 1e-9, "{row:?} {found}");
    }
    assert_eq!(mu_lower_bound(0, 0, 0, 0, 0.05), 0.0);
}

#[test]
fn normal_tails_agree_with_scipy() {
    for row in golden("cdf") {
        let [x, cdf, log] = floats(&row)[..] else { panic!() };
        assert_near(normal_cdf(x), cdf, 1e-13, x);
        assert_near(normal_log_cdf(x), log, 1e-10, x);
    }
}

#[test]
fn adjusted_p_values_agree_with_statsmodels() {
    for case in golden("multiple") {
        let p = floats(&case["p"]);
        for (found, name) in [(bonferroni(&p), "bonferroni"), (holm(&p), "holm")] {
            let expected = floats(&case[name]);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {found:?} {expected:?}");
        }
    }
    assert!(holm(&[]).is_empty());
}

#[test]
fn p_values_agree_with_scipy() {
    for row in golden("shares") {
        let [k, n, share, p] = floats(&row)[..] else { panic!() };
        assert_near(share_p_value(k, n as u64, share), p, 1e-10, (k, n, share));
        assert_near(share_p_value(k + 0.5, n as u64, share), p, 1e-10, "half a success is none");
    }
    for case in golden("areas") {
        let member: Vec<bool> = case["member"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
        let mut summary = MiaSummary::default();
        summary.update(&floats(&case["score"]), &member).unwrap();
        assert_near(summary.finish().p_value.unwrap(), case["p"].as_f64().unwrap(), 1e-10, "area");
    }
    // 1.96 standard errors above: 2.5 %.
    assert!((normal_p_value(0.5 + 1.959964 * 0.1, 0.5, 0.1) - 0.025).abs() < 1e-7);
}

/// Scores of randomised response: a coin of its own decides whether a target is in, and the answer is right with the
/// probability e^epsilon / (1 + e^epsilon), which is exactly epsilon-differentially private.
fn randomised_response(targets: usize, epsilon: f64, seed: u64) -> (Vec<f64>, Vec<bool>) {
    let mut rng = Streams::new(seed, "test").block(0);
    let chance = 1.0 / (1.0 + libm::exp(-epsilon));
    let draw = |_| {
        let is_member = rng.next_u32() & 1 == 1;
        let right = uniform(&mut rng) < chance;
        // A fraction that says nothing breaks the ties.
        (f64::from(u8::from(is_member == right)) + 0.5 * uniform(&mut rng), is_member)
    };
    (0..targets).map(draw).unzip()
}

#[test]
fn bounds_hold_against_randomised_response_and_come_near() {
    let (epsilon, runs) = (1.5, 400);
    let (mut one_run, mut by_split, mut nearest) = (0, 0, 0.0f64);
    for seed in 0..runs {
        let (scores, is_member) = randomised_response(600, epsilon, seed);
        let mut summary = MiaSummary::default();
        summary.update(&scores, &is_member).unwrap();
        let found = summary.guess(600).epsilon(0.05, 0.0);
        one_run += u32::from(found > epsilon);
        nearest = nearest.max(found.min(epsilon));
        by_split += u32::from(summary.epsilon_by_split(seed, 0.05, 0.0).unwrap().epsilon > epsilon);
    }
    // At most 5 % each. Binomial (400, 0.05) exceeds 44 with probability 7e-7 (scipy.stats.binom.sf(44, 400, 0.05)).
    assert!(one_run <= 44 && by_split <= 44, "{one_run} {by_split} of {runs}");
    assert!(nearest > 1.3, "the audit is far from tight: {nearest}");
}

#[test]
fn guesses_are_at_both_ends_and_never_among_ties() {
    let mut summary = MiaSummary::default();
    summary.update(&[9.0, 8.0, 5.0, 5.0, 5.0, 2.0, 1.0], &[true, false, true, false, true, false, true]).unwrap();
    let guess = |n| {
        let g = summary.guess(n);
        (g.guesses, g.correct)
    };
    // 9 in (right); 9, 8 in (one right) and 1 out (wrong); also 2 out (right); the three 5s tie where guesses end.
    assert_eq!((guess(0), guess(1), guess(3), guess(4)), ((0, 0), (1, 1), (3, 1), (4, 2)));
    assert_eq!((guess(5), guess(6)), ((4, 2), (4, 2)));
    assert_eq!(summary.guess(7).targets, 7);
    assert_eq!(MiaSummary::default().guess(5), Guesses { targets: 0, guesses: 0, correct: 0 });
}

#[test]
fn a_threshold_at_the_very_top_is_found() {
    // 40 of 1,000 members score above everybody else, the others like non-members. With no false positive among about
    // 500, 8 of 500 members bound epsilon by 0.06 and 14 by 0.76 (epsilon_lower_bound with scipy's beta.ppf); fewer than 8
    // of the 40 are on either side with the probability 4e-5, and the seeds here are fixed.
    let members: Vec<f64> =
        (0..1000).map(|i| if i < 40 { 2.0 + f64::from(i) } else { (f64::from(i) - 40.0) / 960.0 }).collect();
    let others: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0).collect();
    let summary = MiaSummary::from_state(members, others);
    let found: Vec<_> = (0..5).map(|seed| summary.epsilon_by_split(seed, 0.05, 1e-5).unwrap()).collect();
    assert!(found.iter().all(|b| b.epsilon > 0.06 && b.false_positives == 0), "{found:?}");
    assert_ne!(found[0], found[1]);
    assert_eq!(found[0], summary.epsilon_by_split(0, 0.05, 1e-5).unwrap());
    assert_eq!(MiaSummary::from_state(vec![1.0], vec![0.0]).epsilon_by_split(0, 0.05, 0.0), None);
}
