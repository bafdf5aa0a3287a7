//! Against scikit-learn, and by hand.

use lookalike_core::{ErrorKind, MISSING};
use serde_json::Value;

use super::*;
use crate::test_frames::{Kind, codes, frame, from_json, numbers, random, shuffled, stream, with_units};

fn params(target: &str) -> UtilityParams {
    UtilityParams { target: target.into(), task: None, positive: None, seed: 1 }
}

fn of<'a>(figures: &'a [UtilityFigure], learner: &str, trained_on: &str, metric: &str) -> &'a UtilityFigure {
    let same = |f: &&UtilityFigure| f.learner == learner && f.trained_on == trained_on && f.metric == metric;
    figures.iter().find(same).unwrap_or_else(|| panic!("no {metric} of {learner} on {trained_on}"))
}

/// `tests/golden/make/quality_rows.py`.
#[test]
fn linear_learners_are_judged_as_by_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/quality_rows.json")).unwrap();
    let frames = from_json(&[&golden["real"], &golden["test"], &golden["synthetic"]]);
    let mut compared = 0;
    for (target, expected) in golden["learners"].as_object().unwrap() {
        let figures =
            utility_report(&frames[0], &frames[1], &frames[2], None, &params(target), &Job::unbounded()).unwrap();
        for (trained_on, expected) in expected.as_object().unwrap() {
            for (metric, expected) in expected.as_object().unwrap() {
                let found = of(&figures, "linear", trained_on, metric);
                let (value, expected) = (found.value.unwrap(), expected.as_f64().unwrap());
                assert!((value - expected).abs() < 1e-5 * expected.abs().max(1.0), "{target}: {found:?} {expected}");
                if let Some((low, high)) = found.interval {
                    assert!(low <= value && value <= high, "{found:?}");
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * (6 + 6 + 3));
}

/// y is x but for the synthetic rows, which say the opposite.
fn tables() -> [Frame; 2] {
    let x: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
    let y: Vec<u32> = (0..100).map(|i| i % 2).collect();
    let opposite: Vec<u32> = y.iter().map(|y| 1 - y).collect();
    [frame(vec![numbers("x", &x), codes("y", 2, &y)]), frame(vec![numbers("x", &x), codes("y", 2, &opposite)])]
}

#[test]
fn what_is_learned_is_what_was_seen() {
    let [real, synthetic] = tables();
    let figures = utility_report(&real, &real, &synthetic, Some(&real), &params("y"), &Job::unbounded()).unwrap();
    assert_eq!(figures.len(), 3 * 2 * 6);
    for learner in ["boosted_trees", "linear"] {
        for (trained_on, expected) in [("synthetic", 0.0), ("train", 1.0), ("second", 1.0)] {
            for metric in ["accuracy", "f1", "f1_macro", "auc"] {
                let found = of(&figures, learner, trained_on, metric);
                assert_eq!(found.value, Some(expected), "{found:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_measured_is_null() {
    let [real, synthetic] = tables();
    let run = |train: &Frame, test: &Frame, synthetic: &Frame| {
        utility_report(train, test, synthetic, None, &params("y"), &Job::unbounded())
    };
    let null = |f: &UtilityFigure| f.value.is_none() && f.interval.is_none() && f.note.contains("NULL: ");
    let one = frame(vec![numbers("x", &[0.0, 1.0, 1.0]), codes("y", 2, &[0, 0, MISSING])]);
    let figures = run(&real, &real, &one).unwrap();
    assert!(figures.iter().filter(|f| f.trained_on == "synthetic").all(null), "{figures:?}");
    let figures = run(&real, &one, &synthetic).unwrap();
    assert!(figures.iter().all(|f| (f.metric == "auc") == null(f)), "{figures:?}");
    let none = frame(vec![numbers("x", &[0.0]), codes("y", 2, &[MISSING])]);
    let figures = run(&none, &real, &synthetic).unwrap();
    assert!(figures.iter().filter(|f| f.trained_on == "train").all(null), "{figures:?}");
    assert_eq!(run(&real, &none, &synthetic).unwrap_err().kind(), ErrorKind::Data);
    let empty = frame(vec![numbers("x", &[]), codes("y", 2, &[])]);
    assert_eq!(run(&real, &real, &empty).unwrap_err().message(), "synthetic: the relation has no rows");
    // Numbers of two values are classes, of more they are numbers; a test of one number has no spread to explain.
    let job = Job::unbounded();
    let of_x = |test: &Frame| utility_report(&real, test, &synthetic, None, &params("x"), &job).unwrap();
    assert_eq!(of_x(&real)[0].metric, "accuracy");
    let regression = UtilityParams { task: Some(Task::Regression), ..params("x") };
    let figures = utility_report(&real, &real.gather(&[0, 2]), &synthetic, None, &regression, &job).unwrap();
    assert!(figures.iter().all(|f| (f.metric == "r2") == null(f)), "{figures:?}");
    let wrong = |p: UtilityParams| utility_report(&real, &real, &synthetic, None, &p, &job).unwrap_err();
    assert_eq!(wrong(params("z")).kind(), ErrorKind::Argument);
    assert_eq!(wrong(UtilityParams { positive: Some("7".into()), ..params("y") }).kind(), ErrorKind::Argument);
    assert_eq!(wrong(UtilityParams { task: Some(Task::Regression), ..params("y") }).kind(), ErrorKind::Argument);
}

#[test]
fn order_does_not_matter_and_persons_widen_intervals() {
    let kinds = [Kind::Uniform, Kind::Grid(5), Kind::Codes(3)];
    let rows = |seed, n| random(&kinds, n, 8, &mut stream(seed));
    let (train, test, synthetic) = (rows(1, 300), rows(2, 100), rows(3, 200));
    let test = Frame::stack(&[&test, &test, &test, &test]).unwrap();
    let persons = with_units(test.clone(), (0..400).map(|i| i % 100).collect());
    let run = |a: &Frame, b: &Frame, c: &Frame, target| {
        utility_report(a, b, c, None, &params(target), &Job::unbounded()).unwrap()
    };
    for target in ["c0", "c2"] {
        let expected = run(&train, &persons, &synthetic, target);
        let moved = run(&train.gather(&shuffled(300, 4)), &persons.gather(&shuffled(400, 5)), &synthetic, target);
        assert_eq!(moved, expected);
        let metric = if target == "c0" { "mae" } else { "log_loss" };
        let width = |figures: &[UtilityFigure]| {
            let (low, high) = of(figures, "linear", "train", metric).interval.unwrap();
            high - low
        };
        // Four equal rows a person: the interval is twice as wide, each end uncertain by some 4 %.
        let ratio = width(&expected) / width(&run(&train, &test, &synthetic, target));
        assert!(1.7 < ratio && ratio < 2.3, "{target}: {ratio}");
    }
}
