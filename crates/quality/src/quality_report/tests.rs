//! Against SDMetrics, scipy, scikit-learn and by simulation.

use lookalike_core::{Frame, Job, MISSING, uniform};
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
    let near = match (found.value, expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
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
