//! Against scipy (`tests/golden/make/attacks_statistics.py`) and figures worked out elsewhere.

mod bootstrap;

use serde_json::Value;

use super::*;

fn golden(table: &str) -> Vec<Vec<f64>> {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_statistics.json")).unwrap();
    let rows = all[table].as_array().unwrap();
    rows.iter().map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()).collect()
}

fn assert_near(found: f64, expected: f64, tolerance: f64, context: impl std::fmt::Debug) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{context:?}: {found} is not {expected}");
}

#[test]
fn beta_agrees_with_scipy() {
    for row in golden("beta") {
        let [a, b, x, cdf, p] = row[..] else { panic!() };
        assert_near(beta_cdf(x, a, b), cdf, 1e-10, ("cdf", a, b, x));
        assert_near(beta_quantile(p, a, b), x, 1e-10, ("quantile", a, b, p));
    }
}

#[test]
fn beta_quantiles_have_thirteen_digits() {
    // Roots of finite binomial sums in forty digits.
    for row in golden("sharp") {
        let [a, b, p, x] = row[..] else { panic!() };
        assert_near(beta_quantile(p, a, b), x, 1e-13, ("quantile", a, b, p));
    }
}

#[test]
fn beta_at_the_ends_and_outside() {
    assert_eq!((beta_cdf(0.0, 2.0, 3.0), beta_cdf(1.0, 2.0, 3.0)), (0.0, 1.0));
    assert_eq!((beta_quantile(0.0, 2.0, 3.0), beta_quantile(1.0, 2.0, 3.0)), (0.0, 1.0));
    assert!(beta_cdf(1.5, 2.0, 3.0).is_nan() && beta_quantile(0.5, 0.0, 1.0).is_nan());
    // I_x(1, b) = 1 - (1-x)^b: worked by hand.
    assert_near(beta_cdf(0.25, 1.0, 2.0), 0.4375, 1e-14, "by hand");
}

#[test]
fn normal_agrees_with_scipy() {
    for row in golden("normal") {
        assert!((normal_quantile(row[0]) - row[1]).abs() <= 1e-12 * row[1].abs().max(1e-3), "{row:?}");
    }
    assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    assert!(normal_quantile(1.1).is_nan());
}

#[test]
fn intervals_agree_with_scipy() {
    for row in golden("intervals") {
        let [k, n, c, exact_low, exact_high, score_low, score_high] = row[..] else { panic!() };
        let exact = clopper_pearson(k as u64, n as u64, c);
        // scipy itself is 1.1e-10 off at 1 of 10,000,000.
        assert_near(exact.0, exact_low, 2e-10, ("exact low", k, n, c));
        assert_near(exact.1, exact_high, 2e-10, ("exact high", k, n, c));
        let score = wilson(k, n, c);
        assert!((score.0 - score_low).abs() < 1e-10, "{row:?} {score:?}");
        assert!((score.1 - score_high).abs() < 1e-10, "{row:?} {score:?}");
    }
    assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
}

#[test]
fn wilson_by_its_formula() {
    // Centre and half width from the reference sheet of the project.
    for (k, n, centre, half) in [
        (50.0, 500.0, 0.103049736, 0.026372173),
        (0.0, 500.0, 0.003812170, 0.003812170),
        (850.0, 1000.0, 0.848660635, 0.022129293),
    ] {
        let (low, high) = wilson(k, n, 0.95);
        assert!(((low + high) / 2.0 - centre).abs() < 1e-9, "{k}/{n}");
        assert!(((high - low) / 2.0 - half).abs() < 1e-9, "{k}/{n}");
    }
}

#[test]
fn clopper_pearson_of_the_reference_sheet() {
    for (k, low, high) in [(0, 0.0, 0.003682084), (5, 0.001625420, 0.011629471), (50, 0.037335398, 0.065390488)] {
        let found = clopper_pearson(k, 1000, 0.95);
        assert!((found.0 - low).abs() < 5e-10 && (found.1 - high).abs() < 5e-10, "{k}: {found:?}");
    }
}

#[test]
fn epsilon_of_the_reference_sheet() {
    for (tp, fp, epsilon) in [(100, 10, 1.500257), (500, 5, 3.696077)] {
        let found = epsilon_lower_bound(tp, 1000, fp, 1000, 0.05, 1e-5);
        assert!((found - epsilon).abs() < 5e-7, "{found}");
        // Swapping members with non-members and the two answers gives the same bound.
        let mirrored = epsilon_lower_bound(1000 - fp, 1000, 1000 - tp, 1000, 0.05, 1e-5);
        assert!((mirrored - epsilon).abs() < 5e-7, "{mirrored}");
    }
    assert_eq!(epsilon_lower_bound(10, 1000, 10, 1000, 0.05, 1e-5), 0.0);
    assert_eq!(epsilon_lower_bound(0, 0, 0, 0, 0.05, 1e-5), 0.0);
    assert!(epsilon_lower_bound(1000, 1000, 0, 1000, 0.05, 1e-5).is_finite());
}

#[test]
fn risks_agree_with_anonymeter() {
    // Anonymeter 1.1.0, EvaluationResults at 95 %: centre and half width of k of N.
    for (k, n, centre, half) in [
        (50.0, 500.0, 0.103049736, 0.026372173),
        (0.0, 500.0, 0.003812170, 0.003812170),
        (850.0, 1000.0, 0.848660635, 0.022129293),
    ] {
        let rate = SuccessRate::new(k, n, 0.95);
        assert!((rate.centre - centre).abs() < 1e-9 && (rate.half_width - half).abs() < 1e-9, "{k} of {n}: {rate:?}");
        // The interval is Wilson's.
        let (lo, hi) = wilson(k, n, 0.95);
        assert!((lo - (centre - half)).abs() < 1e-9 && (hi - (centre + half)).abs() < 1e-9);
    }
    // Its risk of (attempts, successes, control).
    for (n, k, control, risk, lo, hi) in [
        (500.0, 60.0, 40.0, 0.043297472, 0.003421228, 0.083173717),
        (1000.0, 100.0, 50.0, 0.052525382, 0.028650033, 0.076400731),
    ] {
        let found = residual_risk(SuccessRate::new(k, n, 0.95), Some(SuccessRate::new(control, n, 0.95)));
        for (found, expected) in [(found.risk, risk), (found.lo, lo), (found.hi, hi)] {
            assert!((found - expected).abs() < 1e-9, "{k} of {n}: {found} is not {expected}");
        }
    }
}

#[test]
fn newcombe_agrees_with_his_table() {
    // Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    for (first, second, low, high) in
        [((56.0, 70.0), (48.0, 80.0), 0.0524, 0.3339), ((9.0, 10.0), (3.0, 10.0), 0.1705, 0.8090)]
    {
        let (difference, lo, hi) = newcombe(first, second, 0.95);
        assert!((difference - (first.0 / first.1 - second.0 / second.1)).abs() < 1e-12);
        assert!((lo - low).abs() < 5e-5 && (hi - high).abs() < 5e-5, "{lo} {hi}");
    }
}
