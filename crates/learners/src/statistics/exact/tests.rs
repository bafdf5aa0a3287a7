//! Against scipy (`tests/golden/make/attacks_exact.py`), and by hand.

use lookalike_core::{Streams, uniform};
use serde_json::Value;

use super::*;
use crate::statistics::{Roc, sorted_keys};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../../tests/golden/attacks_exact.json")).unwrap()
}

fn rows(table: &str) -> Vec<Vec<f64>> {
    let rows = golden()[table].as_array().unwrap().clone();
    rows.iter().map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()).collect()
}

fn near(found: f64, expected: f64, context: &[f64]) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs() + 1e-300, "{context:?}: {found} is not {expected}");
}

#[test]
fn tails_agree_with_scipy() {
    for row in rows("hypergeometric") {
        let [k, marked, unmarked, drawn] = [0, 1, 2, 3].map(|i| row[i] as u64);
        near(hypergeometric_tail(k, marked, unmarked, drawn), row[4], &row);
    }
    for row in rows("fisher") {
        let [a, n, b, m] = [0, 1, 2, 3].map(|i| row[i] as u64);
        near(fisher_exact(a, n, b, m), row[4], &row);
    }
    for row in rows("mcnemar") {
        near(mcnemar_exact(row[0] as u64, row[1] as u64), row[2], &row);
    }
}

#[test]
fn rank_tests_agree_with_scipy() {
    for case in golden()["areas"].as_array().unwrap() {
        let list = |name: &str| {
            let values: Vec<f64> = case[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            sorted_keys(&values)
        };
        let (members, others) = (list("members"), list("others"));
        near(Roc::new(&members, &others).p_value(), case["p"].as_f64().unwrap(), &[]);
    }
    let same = sorted_keys(&[1.0; 9]);
    assert_eq!(Roc::new(&same, &same).p_value(), 1.0);
}

#[test]
fn tails_by_hand() {
    // Two of two marked among four, two drawn: one way of six.
    assert!((hypergeometric_tail(2, 2, 2, 2) - 1.0 / 6.0).abs() < 1e-15);
    assert!((hypergeometric_tail(1, 2, 2, 2) - 5.0 / 6.0).abs() < 1e-15);
    assert_eq!((hypergeometric_tail(0, 2, 2, 2), hypergeometric_tail(3, 2, 2, 2)), (1.0, 0.0));
    // Four drawn of two marked and three: at least one is marked.
    assert_eq!(hypergeometric_tail(1, 2, 3, 4), 1.0);
    // Three heads in three throws.
    assert!((mcnemar_exact(3, 0) - 0.125).abs() < 1e-15);
}

#[test]
fn blind_scores_pass_the_test_of_low_rates_as_often_as_it_says() {
    // 2,000 tables of 300 and 200 equal scores: p-values below .05 come up in at most 5 % of them. The count has sd
    // sqrt(2000 * .05 * .95) = 9.7; 4.9 sd more has probability below 1e-6. Rates are discrete, so that the test rejects a
    // little less; less than half as often would be a blunt test.
    let mut rejected = 0;
    for table in 0..2000 {
        let mut rng = Streams::new(7, "test").block(table);
        let mut draw = |n: usize| sorted_keys(&(0..n).map(|_| uniform(&mut rng)).collect::<Vec<_>>());
        let (members, others) = (draw(300), draw(200));
        let p = Roc::new(&members, &others).true_positives_p_value(10).unwrap();
        rejected += u32::from(p < 0.05);
    }
    assert!((50..=148).contains(&rejected), "{rejected}");
}
