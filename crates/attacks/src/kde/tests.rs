//! Densities against scipy and scikit-learn, and by hand.

use lookalike_core::{Frame, Job, MISSING};
use serde_json::Value;

use super::Density;
use crate::test_frames::{codes, frame, numbers, shuffled};

const NULL: f64 = f64::NAN;

fn densities(rows: &Frame, points: &Frame) -> Vec<f64> {
    Density::fit(rows, &[rows], &Job::unbounded()).unwrap().log_density(points, &Job::unbounded()).unwrap()
}

#[test]
fn gaussian_kernels_agree_with_scipy_and_scikit_learn() {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_kde.json")).unwrap();
    let read = |name: &str, columns: &[usize]| {
        let rows: Vec<Vec<f64>> = serde_json::from_value(all[name].clone()).unwrap();
        let column = |c: &usize| numbers(&format!("x{c}"), &rows.iter().map(|r| r[*c]).collect::<Vec<_>>());
        frame(columns.iter().map(column).collect())
    };
    for (name, columns) in [("one", vec![1]), ("three", vec![0, 1, 2])] {
        let found = densities(&read("rows", &columns), &read("points", &columns));
        let expected: Vec<f64> = serde_json::from_value(all[name].clone()).unwrap();
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 1e-9 * e.abs().max(1.0), "{name}: {f} is not {e}");
        }
    }
}

#[test]
fn categories_by_hand() {
    // Four rows, no numbers: f^2 = 4^(-1/2) = 1/2. Three categories (NULL is one): l = 1/2 * 2/3 = 1/3, so the kernel is
    // 2/3 where equal and 1/6 elsewhere. Code 0: (2 * 2/3 + 2 * 1/6) / 4 = 5/12; 1 and NULL: (2/3 + 3/6) / 4 = 7/24.
    let rows = frame(vec![codes("c", 3, &[0, 0, 1, MISSING])]);
    let found = densities(&rows, &frame(vec![codes("c", 3, &[0, 1, MISSING, 2])]));
    // A category that nobody has: 1/6 from every row.
    let expected: [f64; 4] = [5.0 / 12.0, 7.0 / 24.0, 7.0 / 24.0, 1.0 / 6.0];
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e.ln()).abs() < 1e-14, "{f} is not {}", e.ln());
    }
}

#[test]
fn null_and_numbers_together_have_a_mass_of_one() {
    let values = [0.0, 1.0, 4.0, NULL, NULL];
    let rows = frame(vec![numbers("x", &values)]);
    // Trapezoids over a range beyond which there is nothing, and the probability of NULL.
    let (step, n) = (0.01, 6001);
    let grid: Vec<f64> = (0..n).map(|i| -30.0 + step * f64::from(i)).collect();
    let mass: f64 = densities(&rows, &frame(vec![numbers("x", &grid)])).iter().map(|d| d.exp() * step).sum();
    let of_null = densities(&rows, &frame(vec![numbers("x", &[NULL])]))[0].exp();
    assert!((mass + of_null - 1.0).abs() < 1e-6, "{mass} and {of_null}");
    // f^2 = 5^(-2/5), l = f^2/2: (2 (1 - l) + 3 l) / 5.
    let l = 5f64.powf(-0.4) / 2.0;
    assert!((of_null - (2.0 + l) / 5.0).abs() < 1e-14);
}

#[test]
fn densities_are_finite_wherever_the_target_is() {
    let rows = frame(vec![numbers("x", &[1.0, 2.0, 2.5]), numbers("s", &[7.0; 3]), codes("c", 2, &[0; 3])]);
    let points = frame(vec![
        numbers("x", &[1.7e308, -1.7e308, NULL, 1.5]),
        numbers("s", &[7.0, NULL, 8.0, 7.0]),
        codes("c", 2, &[1, MISSING, 0, 0]),
    ]);
    let found = densities(&rows, &points);
    assert!(found.iter().all(|d| d.is_finite()) && found[..3].iter().all(|d| *d < found[3]), "{found:?}");
    let one = rows.gather(&[0]);
    assert!(densities(&one, &points).iter().all(|d| d.is_finite()));
}

#[test]
fn order_of_rows_does_not_matter() {
    let values: Vec<f64> = (0..1500).map(|i| if i % 7 == 0 { NULL } else { f64::from(i * i % 1009) }).collect();
    let groups: Vec<u32> = (0..1500).map(|i| i % 5).collect();
    let rows = frame(vec![numbers("x", &values), codes("c", 5, &groups)]);
    let points = rows.gather(&(0..200).collect::<Vec<_>>());
    assert_eq!(densities(&rows, &points), densities(&rows.gather(&shuffled(1500, 1)), &points));
}
