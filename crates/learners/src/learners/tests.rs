//! Learners against scikit-learn and by hand; features by hand.

use lookalike_core::{Frame, Job, MISSING};
use serde_json::Value;

use super::*;
use crate::test_frames::{codes, frame, identifier, numbers, shuffled};

const NULL: f64 = f64::NAN;

fn matrix(rows: &[Vec<f64>]) -> Matrix {
    Matrix { rows: rows.len(), columns: rows[0].len(), values: rows.concat() }
}

fn encode(fitted_on: &[&Frame], frame: &Frame) -> Vec<Vec<f64>> {
    let features = Features::fit(fitted_on, |_| true).unwrap();
    let x = features.encode(frame, &Job::unbounded()).unwrap();
    (0..x.rows).map(|r| x.row(r).to_vec()).collect()
}

#[test]
fn features_by_hand() {
    // x: mean 2, sd 1 over both frames, with NULLs. s has one value. c: codes 0 and 2 occur, NULL does not.
    let a =
        frame(vec![identifier("id"), numbers("x", &[1.0, NULL]), numbers("s", &[5.0, 5.0]), codes("c", 3, &[2, 0])]);
    let b = frame(vec![identifier("id"), numbers("x", &[3.0]), numbers("s", &[5.0]), codes("c", 3, &[2])]);
    assert_eq!(encode(&[&a, &b], &a), [[-1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]);
    // What the frames lack: code 1, NULL of c, another s; a value far out.
    let c = frame(vec![
        identifier("id"),
        numbers("x", &[5.0, 1e300]),
        numbers("s", &[6.0, NULL]),
        codes("c", 3, &[1, MISSING]),
    ]);
    assert_eq!(encode(&[&a, &b], &c), [[3.0, 0.0, 0.0, 0.0], [1e6, 0.0, 0.0, 0.0]]);
    let chosen = Features::fit(&[&a, &b], |c| c == 3).unwrap();
    assert_eq!(chosen.encode(&a, &Job::unbounded()).unwrap().values, [0.0, 1.0, 1.0, 0.0]);
    // Numbers whose sum overflows.
    let far = frame(vec![numbers("x", &[1.7e308, -1.7e308])]);
    assert_eq!(encode(&[&far], &far), [[1.0], [-1.0]]);
}

#[test]
fn rare_categories_share_a_column() {
    // 300 categories: 0 to 199 twice, 200 to 299 once. The first 56 of those have a column each, the others share one.
    let all: Vec<u32> = (0..300).chain(0..200).collect();
    let f = frame(vec![codes("c", 301, &all)]);
    let features = Features::fit(&[&f], |_| true).unwrap();
    assert_eq!(features.columns(), 257);
    let probe = frame(vec![codes("c", 301, &[199, 255, 256, 299, 300])]);
    let x = features.encode(&probe, &Job::unbounded()).unwrap();
    let hot: Vec<usize> = (0..5).map(|r| x.row(r).iter().position(|v| *v == 1.0).unwrap()).collect();
    assert_eq!(hot, [199, 255, 256, 256, 256]);
}

struct Golden {
    all: Value,
    x: Vec<Vec<f64>>,
    train: Vec<bool>,
    diagnosis: Vec<u32>,
}

impl Golden {
    fn read() -> Self {
        let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_learners.json")).unwrap();
        let x = serde_json::from_value(all["x"].clone()).unwrap();
        let train = serde_json::from_value(all["train"].clone()).unwrap();
        let diagnosis = serde_json::from_value(all["diagnosis"].clone()).unwrap();
        Self { all, x, train, diagnosis }
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        serde_json::from_value(self.all[name].clone()).unwrap()
    }

    fn rows(&self, name: &str) -> Vec<Vec<f64>> {
        serde_json::from_value(self.all[name].clone()).unwrap()
    }

    fn training(&self) -> Matrix {
        let rows: Vec<Vec<f64>> = self.of_training(&self.x);
        matrix(&rows)
    }

    fn of_training<T: Clone>(&self, values: &[T]) -> Vec<T> {
        values.iter().zip(&self.train).filter(|(_, train)| **train).map(|(v, _)| v.clone()).collect()
    }

    /// Diagnoses cut off at a largest one, of the training rows.
    fn labels(&self, most: u32) -> Vec<u32> {
        self.of_training(&self.diagnosis).into_iter().map(|d| d.min(most)).collect()
    }
}

#[test]
fn logistic_regression_agrees_with_scikit_learn() {
    let golden = Golden::read();
    let x = golden.training();
    let fit = |most| logistic(&x, &golden.labels(most), most as usize + 1, 2.0, &Job::unbounded()).unwrap();
    for (f, e) in fit(1).weights().iter().zip(golden.numbers("logistic_two")) {
        assert!((f - e).abs() < 1e-6, "{f} is not {e}");
    }
    // Intercepts of many classes are free up to a constant: those of scikit-learn are moved to the same sum.
    let (found, mut expected) = (fit(2).weights().to_vec(), golden.rows("logistic_many"));
    let sum = |of: &dyn Fn(usize) -> f64| (0..3).map(of).sum::<f64>();
    let moved = (sum(&|c| found[c * 6 + 5]) - sum(&|c| expected[c][5])) / 3.0;
    expected.iter_mut().for_each(|w| w[5] += moved);
    for (f, e) in found.iter().zip(expected.concat()) {
        assert!((f - e).abs() < 1e-6, "{f} is not {e}");
    }
}

#[test]
fn boosted_trees_agree_with_scikit_learn() {
    let golden = Golden::read();
    let (x, job) = (golden.training(), Job::unbounded());
    let params = BoostedParams { rounds: 30, leaves: 8, min_rows: 10, ridge: 1.0, ..BoostedParams::default() };
    // Derivatives of scikit-learn are in single precision: a few splits may differ, most rows may not.
    let near = |found: &[f64], expected: &[f64], what: &str| {
        let off = found.iter().zip(expected).filter(|(f, e)| (*f - *e).abs() > 1e-4).count();
        assert!(off * 20 <= found.len(), "{what}: {off} of {} differ", found.len());
    };
    let two = boosted(&x, Target::Classes(&golden.labels(1), 2), params, &job).unwrap();
    let odds: Vec<f64> = golden.x.iter().map(|row| two.log_odds(row)).collect();
    near(&odds, &golden.numbers("trees_two"), "two classes");
    let tested = odds.iter().zip(&golden.train).zip(&golden.diagnosis).filter(|((_, train), _)| !**train);
    let (sick, well): (Vec<_>, Vec<_>) = tested.map(|((odds, _), d)| (*odds, *d)).partition(|(_, d)| *d > 0);
    let keys = |of: Vec<(f64, u32)>| crate::sorted_keys(&of.into_iter().map(|(odds, _)| odds).collect::<Vec<_>>());
    let auc = crate::Roc::new(&keys(sick), &keys(well)).auc().area;
    let expected = golden.all["trees_two_auc"].as_f64().unwrap();
    assert!((auc - expected).abs() < 0.005, "{auc} is not {expected}");

    let many = boosted(&x, Target::Classes(&golden.labels(2), 3), params, &job).unwrap();
    let found: Vec<f64> = golden.x.iter().flat_map(|row| many.probabilities(row)).collect();
    near(&found, &golden.rows("trees_many").concat(), "three classes");

    let numbers: Vec<f64> = golden.of_training(&golden.diagnosis).into_iter().map(f64::from).collect();
    let number = boosted(&x, Target::Numbers(&numbers), params, &job).unwrap();
    let found: Vec<f64> = golden.x.iter().map(|row| number.number(row)).collect();
    near(&found, &golden.numbers("trees_number"), "numbers");
}

#[test]
fn one_tree_by_hand() {
    // Numbers 0, 0, 3, 3 beside 1, 2, 3, 4: mean 1.5, residuals -1.5 and 1.5, the split is at 2.5, half a step each.
    let x = matrix(&[vec![1.0], vec![2.0], vec![3.0], vec![4.0]]);
    let params = BoostedParams { rounds: 1, shrinkage: 0.5, leaves: 2, min_rows: 1, ..BoostedParams::default() };
    let grown = boosted(&x, Target::Numbers(&[0.0, 0.0, 3.0, 3.0]), params, &Job::unbounded()).unwrap();
    assert_eq!([2.0, 2.5, 2.6, 100.0].map(|v| grown.number(&[v])), [0.75, 0.75, 2.25, 2.25]);
    // With a ridge of 2 a leaf of two rows makes half the step: 1.5 * 2 / (2 + 2) * 0.5.
    let ridged = BoostedParams { ridge: 2.0, ..params };
    let grown = boosted(&x, Target::Numbers(&[0.0, 0.0, 3.0, 3.0]), ridged, &Job::unbounded()).unwrap();
    assert_eq!(grown.number(&[4.0]), 1.5 + 0.375);
    // Classes 0, 0, 1, 1: log odds 0, p = 1/2, a leaf's step is -(-2 * 1/2)/(2 * 1/4) = 2, half of it 1.
    let grown = boosted(&x, Target::Classes(&[0, 0, 1, 1], 2), params, &Job::unbounded()).unwrap();
    assert_eq!((grown.log_odds(&[4.0]), grown.log_odds(&[1.0])), (1.0, -1.0));
    assert!((grown.probabilities(&[4.0])[1] - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-15);
}

#[test]
fn classes_without_rows_have_no_probability() {
    let (x, job) = (matrix(&[vec![1.0], vec![2.0], vec![3.0]]), Job::unbounded());
    let params = BoostedParams { rounds: 2, min_rows: 1, ..BoostedParams::default() };
    let linear = logistic(&x, &[1, 1, 1], 3, 1.0, &job).unwrap();
    assert_eq!((linear.probabilities(&[9.0]), linear.log_odds(&[9.0])), (vec![0.0, 1.0, 0.0], f64::INFINITY));
    let trees = boosted(&x, Target::Classes(&[0, 2, 2], 4), params, &job).unwrap();
    let found = trees.probabilities(&[1.0]);
    assert!(found[0] > 1.0 / 3.0 && found[1] == 0.0 && found[3] == 0.0 && (found[0] + found[2] - 1.0).abs() < 1e-12);
    assert_eq!(trees.log_odds(&[1.0]), f64::NEG_INFINITY);
    assert!(logistic(&x, &[0, 1, 3], 3, 1.0, &job).is_err() && logistic(&x, &[0, 1], 3, 1.0, &job).is_err());
    assert!(boosted(&x, Target::Numbers(&[]), params, &job).is_err());
    assert!(logistic(&Matrix { rows: 0, columns: 1, values: vec![] }, &[], 2, 1.0, &job).is_err());
}

#[test]
fn order_of_rows_and_threads_do_not_matter() {
    let golden = Golden::read();
    let (x, labels) = (golden.training(), golden.labels(2));
    let params = BoostedParams { rounds: 5, ..BoostedParams::default() };
    let learn = |x: &Matrix, labels: &[u32]| {
        let job = Job::unbounded();
        let trees = boosted(x, Target::Classes(labels, 3), params, &job).unwrap();
        (logistic(x, labels, 3, 0.1, &job).unwrap(), trees)
    };
    let once = learn(&x, &labels);
    for (seed, threads) in [(1, 1), (2, 3)] {
        let order = shuffled(x.rows, seed);
        let moved: Vec<u32> = order.iter().map(|&r| labels[r as usize]).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| learn(&x.gather(&order), &moved)) == once);
    }
}

#[test]
fn ridge_by_hand() {
    // Deviations of x: -1, 0, 1; of y: -2, 0, 2, so 4 / (2 + 2) with a penalty of 2. A column of one value gets nothing.
    let x = matrix(&[vec![1.0, 5.0], vec![2.0, 5.0], vec![3.0, 5.0]]);
    let line = ridge(&x, &[1.0, 3.0, 5.0], 2.0, &Job::unbounded()).unwrap();
    assert_eq!((line.weights(), line.intercept()), (&[1.0, 0.0][..], 1.0));
    assert_eq!(line.number(&[4.0, 7.0]), 5.0);
    assert!(
        ridge(&x, &[1.0], 2.0, &Job::unbounded()).is_err() && ridge(&x, &[1.0; 3], 0.0, &Job::unbounded()).is_err()
    );
}

#[test]
fn ridge_solves_its_equations_in_any_order() {
    let golden = Golden::read();
    let (x, job) = (golden.training(), Job::unbounded());
    let y: Vec<f64> = golden.of_training(&golden.diagnosis).into_iter().map(f64::from).collect();
    let line = ridge(&x, &y, 0.5, &job).unwrap();
    // At the optimum the columns' products with the errors are the penalty times the weights, and errors add up to 0.
    let errors: Vec<f64> = (0..x.rows).map(|r| y[r] - line.number(x.row(r))).collect();
    assert!(errors.iter().sum::<f64>().abs() < 1e-9);
    for (c, w) in line.weights().iter().enumerate() {
        let product: f64 = (0..x.rows).map(|r| x.row(r)[c] * errors[r]).sum();
        assert!((product - 0.5 * w).abs() < 1e-9, "column {c}: {product} {w}");
    }
    let order = shuffled(x.rows, 3);
    let moved: Vec<f64> = order.iter().map(|&r| y[r as usize]).collect();
    assert_eq!(ridge(&x.gather(&order), &moved, 0.5, &job).unwrap(), line);
}

#[test]
fn independent_columns_by_hand() {
    let of = |rows: &[Vec<f64>]| independent_columns(&matrix(rows), &Job::unbounded()).unwrap();
    // The third column is the sum of the others, the fourth is constant.
    let sums = [[1.0, 0.0, 1.0, 5.0], [0.0, 1.0, 1.0, 5.0], [1.0, 1.0, 2.0, 5.0], [0.0, 0.0, 0.0, 5.0]];
    assert_eq!(of(&sums.map(Vec::from)), 2);
    // One-hot columns of three categories: the last is what the intercept and the others leave.
    let hot = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]];
    assert_eq!(of(&hot.map(Vec::from)), 2);
    assert_eq!(of(&[vec![3.0], vec![3.0]]), 0);
}
