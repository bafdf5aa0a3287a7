//! Against SDMetrics, scipy, scikit-learn and by simulation.

use lookalike_core::{ErrorKind, Frame, Job};
use serde_json::Value;

use super::*;
use crate::test_frames::{Kind, codes, frame, from_json, identifier, numbers, random, shuffled, stream, with_units};

const NULL: f64 = f64::NAN;

fn report(real: &Frame, synthetic: &Frame, metrics: &[QualityMetric]) -> Vec<Figure> {
    let params = QualityParams { metrics: metrics.to_vec(), seed: 1, ..QualityParams::default() };
    quality_report(real, synthetic, &params, &Job::unbounded()).unwrap()
}

fn of<'a>(figures: &'a [Figure], metric: &str, column: Option<&str>, other: Option<&str>) -> &'a Figure {
    let same = |f: &&Figure| f.metric == metric && f.column.as_deref() == column && f.other_column.as_deref() == other;
    figures.iter().find(same).unwrap_or_else(|| panic!("no {metric} of {column:?} {other:?}"))
}

fn same(found: &Figure, expected: &Value) {
    near(found, expected, 1e-12);
}

fn near(found: &Figure, expected: &Value, tolerance: f64) {
    let near = match (found.value, expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        (None, None) => found.note.contains("NULL: "),
        _ => false,
    };
    assert!(near, "{found:?} is not {expected}");
}

/// `tests/golden/make/quality_sdmetrics.py`.
#[test]
fn scores_are_those_of_sdmetrics() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/quality_sdmetrics.json")).unwrap();
    for case in golden.as_array().unwrap() {
        let frames = from_json(&[&case["real"], &case["synthetic"]]);
        let figures = report(&frames[0], &frames[1], &QualityMetric::COUNTED);
        for name in ["quality_score", "column_shapes", "column_pair_trends"] {
            same(of(&figures, name, None, None), &case[name]);
        }
        let metrics = |names: [&'static str; 2]| figures.iter().filter(move |f| names.contains(&f.metric));
        let shapes = case["shapes"].as_object().unwrap();
        assert_eq!(metrics(["ks_complement", "tv_complement"]).count(), shapes.len());
        for found in metrics(["ks_complement", "tv_complement"]) {
            same(found, &shapes[found.column.as_ref().unwrap()]);
        }
        let pairs = case["pairs"].as_array().unwrap();
        assert_eq!(metrics(["correlation_similarity", "contingency_similarity"]).count(), pairs.len());
        for pair in pairs {
            let names = [0, 1].map(|i| pair[i].as_str());
            let found = metrics(["correlation_similarity", "contingency_similarity"]).find(|f| {
                let columns = [f.column.as_deref(), f.other_column.as_deref()];
                columns == names || columns == [names[1], names[0]]
            });
            same(found.unwrap(), &pair[2]);
        }
        for name in ["wasserstein", "jensen_shannon"] {
            for (column, expected) in case[name].as_object().unwrap() {
                same(of(&figures, name, Some(column), None), expected);
            }
        }
    }
}

/// `tests/golden/make/quality_rows.py`.
#[test]
fn figures_of_rows_are_those_of_their_definitions() {
    let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden/quality_rows.json")).unwrap();
    let frames = from_json(&[&golden["real"], &golden["synthetic"]]);
    let figures = report(&frames[0], &frames[1], &[QualityMetric::Support, QualityMetric::Pmse]);
    for (name, expected) in golden["support"].as_object().unwrap() {
        near(of(&figures, name, None, None), expected, 1e-12);
    }
    for (name, expected) in golden["pmse"].as_object().unwrap() {
        near(of(&figures, name, None, None), expected, 1e-5);
    }
    // Authenticity has the interval of a share, of 140 rows.
    let share = of(&figures, "authenticity", None, None);
    assert_eq!(share.interval, Some(lookalike_learners::wilson((share.value.unwrap() * 140.0).round(), 140.0, 0.95)));
}

const KINDS: [Kind; 4] = [Kind::Uniform, Kind::Grid(8), Kind::Codes(4), Kind::Codes(2)];

#[test]
fn rows_of_one_distribution_are_not_told_apart() {
    // 1,500 rows beside as many. N pmse / (c (1 - c)) is chi squared with 6 degrees of freedom: two numbers, three and one
    // of the categories' columns that are free; above 38.3 with probability 1e-6 (scipy.stats.chi2.isf(1e-6, 6) = 38.26).
    let (a, b) = (random(&KINDS, 1500, 0, &mut stream(1)), random(&KINDS, 1500, 0, &mut stream(2)));
    let figures = report(&a, &b, &[QualityMetric::Pmse, QualityMetric::TwoSample, QualityMetric::Support]);
    let value = |name| of(&figures, name, None, None).value.unwrap();
    assert!(value("pmse") * 3000.0 / 0.25 < 38.3, "{figures:?}");
    assert!((value("pmse_ratio") - value("pmse") / (6.0 * 0.125 / 3000.0)).abs() < 1e-12);
    for name in ["c2st_auc_boosted", "c2st_auc_logistic"] {
        let figure = of(&figures, name, None, None);
        let (low, high) = figure.interval.unwrap();
        // 2.5 half widths are 4.9 standard errors: 1e-6.
        assert!((figure.value.unwrap() - 0.5).abs() < 2.5 * (high - low) / 2.0, "{figure:?}");
    }
    // A real row is as likely to have its nearest neighbour among the synthetic rows as among the other real ones: 1/2, with a
    // standard error of .013; five of them, and as many again for what rows have in common.
    assert!((value("beta_recall") - 0.5).abs() < 0.13, "{figures:?}");
    // The closest real row is rather one that lies apart from the others, so that fewer than half are authentic.
    assert!((0.1..0.5).contains(&value("authenticity")), "{figures:?}");
    let coverage = of(&figures, "coverage", None, None);
    assert!((coverage.value.unwrap() - coverage.ideal.unwrap()).abs() < 0.05, "{coverage:?}");
    assert!((value("density") - 1.0).abs() < 0.1 && value("alpha_precision") > 0.9, "{figures:?}");
}

#[test]
fn copies_and_strangers_are_seen() {
    let real = random(&KINDS, 400, 9, &mut stream(3));
    let all = QualityMetric::ALL;
    let copy = report(&real, &real.gather(&shuffled(400, 5)), &all);
    let value = |figures: &[Figure], name| of(figures, name, None, None).value.unwrap();
    assert_eq!((value(&copy, "quality_score"), value(&copy, "authenticity")), (1.0, 0.0));
    assert_eq!(value(&copy, "coverage"), 1.0);
    // A quantile of 400 rows lies between two of them.
    assert!(value(&copy, "alpha_precision") > 0.99);
    // Without NULLs, which would be alike.
    let real = random(&KINDS, 400, 0, &mut stream(3));
    let far = frame(
        real.columns()
            .iter()
            .map(|c| match c.values.numbers() {
                Some(v) => numbers(c.name(), &v.iter().map(|x| x + 100.0).collect::<Vec<_>>()),
                None => c.clone(),
            })
            .collect(),
    );
    let strange = report(&real, &far, &all);
    assert_eq!((value(&strange, "coverage"), value(&strange, "density")), (0.0, 0.0));
    assert!(value(&strange, "c2st_auc_boosted") > 0.99 && value(&strange, "pmse_ratio") > 5.0);
}

#[test]
fn order_and_threads_do_not_matter() {
    let a = with_units(random(&KINDS, 300, 7, &mut stream(4)), (0..300).map(|i| i / 3).collect());
    let b = random(&KINDS, 200, 7, &mut stream(5));
    let params = QualityParams { metrics: QualityMetric::ALL.into(), max_rows: Some(150), seed: 3 };
    let run = |a: &Frame, b: &Frame| quality_report(a, b, &params, &Job::unbounded()).unwrap();
    let expected = run(&a, &b);
    assert_eq!(run(&a.gather(&shuffled(300, 1)), &b.gather(&shuffled(200, 2))), expected);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| run(&a, &b)), expected);
    let note = &of(&expected, "coverage", None, None).note;
    assert_eq!(note, "max_rows: of 150 of 300 real and 150 of 200 synthetic rows, drawn by seed");
}

#[test]
fn nothing_to_compare_is_an_error_and_little_is_null() {
    let one = frame(vec![numbers("x", &[1.0]), codes("c", 2, &[0])]);
    let run = |a: &Frame, b: &Frame| {
        let params = QualityParams { metrics: QualityMetric::ALL.into(), ..QualityParams::default() };
        quality_report(a, b, &params, &Job::unbounded())
    };
    let figures = run(&one, &one).unwrap();
    for name in
        ["pmse_ratio", "c2st_auc_boosted", "beta_recall", "authenticity", "density", "coverage", "column_pair_trends"]
    {
        let figure = of(&figures, name, None, None);
        assert!(figure.value.is_none() && figure.note.contains("NULL: "), "{figure:?}");
    }
    let nothing = frame(vec![numbers("x", &[NULL, NULL]), codes("c", 0, &[u32::MAX, u32::MAX])]);
    assert!(
        run(&nothing, &nothing)
            .unwrap()
            .iter()
            .all(|f| f.value.is_some_and(f64::is_finite) || f.note.contains("NULL: "))
    );
    let empty = frame(vec![numbers("x", &[]), codes("c", 2, &[])]);
    for (a, b, name) in [(&empty, &one, "real"), (&one, &empty, "synthetic")] {
        let error = run(a, b).unwrap_err();
        assert_eq!((error.kind(), error.message().split(':').next()), (ErrorKind::Data, Some(name)));
    }
    let names = Frame::new(3, vec![identifier("id")], None);
    assert_eq!(run(&names, &names).unwrap_err().message(), "no column is left to compare: all are identifiers");
    assert!(QualityMetric::from_name("pair").unwrap_err().message().contains("did you mean 'pairs'?"));
}
