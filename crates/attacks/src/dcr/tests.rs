//! Against SDMetrics, hand-worked tables, and what copying does.

use lookalike_core::{Error, ErrorKind, Frame, Job, MISSING, standard_normal};
use serde_json::Value;

use super::*;
use crate::test_frames::{codes, frame, numbers, stacked, stream, with_units};

fn run(synthetic: &Frame, train: &Frame, holdout: Option<&Frame>, metric: Metric) -> DcrRows {
    dcr(synthetic, train, holdout, DcrParams { metric }, &Job::unbounded()).unwrap()
}

#[test]
fn gower_agrees_with_sdmetrics() {
    let all: Value = serde_json::from_str(include_str!("../../../../tests/golden/attacks_dcr.json")).unwrap();
    let table = |name: &str| {
        let number = |column: &str| {
            let values = all[name][column].as_array().unwrap();
            numbers(column, &values.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>())
        };
        let code = |column: &str, labels: &str| {
            let values = all[name][column].as_array().unwrap();
            let at = |v: &Value| v.as_str().and_then(|v| labels.find(v)).map_or(MISSING, |at| at as u32);
            codes(column, labels.len(), &values.iter().map(at).collect::<Vec<_>>())
        };
        frame(vec![number("age"), number("dose"), number("site"), code("sex", "FM"), code("code", "ABCDEFG")])
    };
    let found = run(&table("dataset"), &table("reference"), None, Metric::Gower).dcr;
    let expected: Vec<f64> = all["dcr"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!((f - e).abs() < 1e-12, "row {i}: {f} is not {e}");
    }
    assert_eq!(found[..2], [0.0, 0.0]);
}

#[test]
fn second_neighbours_belong_to_other_persons() {
    // Width 10. From 2: 1 at .1 and .2 (person 0), 5 at .3 (person 1).
    let train = frame(vec![numbers("x", &[1.0, 0.0, 5.0, 10.0])]);
    let synthetic = frame(vec![numbers("x", &[2.0])]);
    assert_eq!(run(&synthetic, &train, None, Metric::L1).nndr, [0.5]);
    let persons = with_units(train, vec![0, 0, 1, 1]);
    assert_eq!(run(&synthetic, &persons, None, Metric::L1).nndr, [0.1 / 0.3]);
}

#[test]
fn ranges_are_those_of_the_training_rows() {
    let train = frame(vec![numbers("x", &[0.0, 10.0])]);
    let holdout = frame(vec![numbers("x", &[0.0, 1000.0])]);
    let synthetic = frame(vec![numbers("x", &[15.0, -5000.0])]);
    let found = run(&synthetic, &train, Some(&holdout), Metric::L1);
    assert_eq!(found.dcr, [0.5, 500.0]);
    assert_eq!(found.holdout_dcr, [1.5, 500.0]);
    assert_eq!((found.train_rows, found.holdout_rows), (2, Some(2)));
    // Both of the same distance: ratio .5/1.5; 1.5/98.5.
    assert_eq!((found.nndr[0], found.holdout_nndr[0]), (0.5 / 1.5, 1.5 / 98.5));
}

#[test]
fn empty_relations() {
    let rows = frame(vec![numbers("x", &[0.0, 10.0])]);
    let none = rows.gather(&[]);
    assert_eq!(run(&none, &rows, Some(&rows), Metric::Gower).dcr, Vec::<f64>::new());
    for (train, holdout, name) in [(&none, None, "train"), (&rows, Some(&none), "holdout")] {
        let error = dcr(&rows, train, holdout, DcrParams::default(), &Job::unbounded()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().starts_with(name), "{error}");
    }
}

#[test]
fn figures_of_a_hand_worked_table() {
    let mut summary = DcrSummary::default();
    summary.update(&[0.0, 0.4, f64::NAN, 0.2], Some(&[0.1, 0.4, 0.3, f64::NAN])).unwrap();
    summary.sizes(30, 10).unwrap();
    let f = summary.finish();
    // dcr: 0, .2, .4; p05 at place .1 between 0 and .2. holdout: .1, .3, .4; place .1 between .1 and .3.
    assert_eq!((f.rows, f.median, f.identical_share), (3, Some(0.2), Some(1.0 / 3.0)));
    assert!((f.mean.unwrap() - 0.2).abs() < 1e-15 && (f.p05.unwrap() - 0.02).abs() < 1e-15, "{f:?}");
    assert!((f.holdout_mean.unwrap() - 0.8 / 3.0).abs() < 1e-15 && (f.holdout_p05.unwrap() - 0.12).abs() < 1e-15);
    assert_eq!((f.holdout_median, f.holdout_identical_share), (Some(0.3), Some(0.0)));
    // Two rows have both: one nearer, one equal.
    assert_eq!((f.share, f.null_share), (Some(0.75), Some(0.75)));
    assert_eq!((f.share_lo.unwrap(), f.share_hi.unwrap()), crate::wilson(1.5, 2.0, 0.95));
}

#[test]
fn figures_without_rows_or_holdout() {
    assert_eq!(DcrSummary::default().finish(), DcrFigures::default());
    let mut summary = DcrSummary::default();
    summary.update(&[0.5], None).unwrap();
    let f = summary.finish();
    assert_eq!((f.mean, f.p05, f.share, f.holdout_mean, f.null_share), (Some(0.5), Some(0.5), None, None, None));
    assert!(summary.update(&[0.5], Some(&[])).is_err());
}

#[test]
fn summaries_merge_in_any_order_but_not_across_comparisons() -> Result<(), Error> {
    let values: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 1000) / 3e3).collect();
    let holdout: Vec<f64> = values.iter().rev().copied().collect();
    let mut whole = DcrSummary::default();
    whole.update(&values, Some(&holdout))?;
    whole.sizes(8, 2)?;
    let mut merged = DcrSummary::default();
    for (d, h) in values.chunks(83).zip(holdout.chunks(83)).rev() {
        let mut part = DcrSummary::default();
        part.update(d, Some(h))?;
        part.sizes(8, 2)?;
        merged.merge(&part)?;
    }
    assert_eq!(merged.finish(), whole.finish());
    let (d, h, sizes) = merged.state();
    assert_eq!((d.len(), h.len(), sizes), (1000, 1000, Some((8, 2))));
    assert!(merged.memory() >= 16_000);
    assert_eq!(merged.sizes(8, 3).unwrap_err().kind(), ErrorKind::Data);
    Ok(())
}

fn gaussian(rows: usize, seed: u64) -> Frame {
    let mut rng = stream(seed);
    let columns = (0..8).map(|c| {
        let values: Vec<f64> = (0..rows.div_ceil(2)).flat_map(|_| standard_normal(&mut rng)).take(rows).collect();
        numbers(&format!("x{c}"), &values)
    });
    frame(columns.collect())
}

#[test]
fn copies_are_found_and_fresh_rows_are_no_nearer() {
    let (train, holdout, fresh) = (gaussian(2000, 1), gaussian(2000, 2), gaussian(2000, 3));
    let figures = |synthetic: &Frame| {
        let rows = run(synthetic, &train, Some(&holdout), Metric::Euclidean);
        let mut summary = DcrSummary::default();
        summary.update(&rows.dcr, Some(&rows.holdout_dcr)).unwrap();
        summary.sizes(rows.train_rows, rows.holdout_rows.unwrap()).unwrap();
        summary.finish()
    };
    // Fresh rows are as near to either: the share has sd about .5/sqrt(2000) (in simulation .0109); |z| > 4.9 has
    // probability below 1e-6.
    let none = figures(&fresh);
    assert_eq!((none.identical_share, none.null_share), (Some(0.0), Some(0.5)));
    assert!((none.share.unwrap() - 0.5).abs() < 4.9 * 0.0112, "{none:?}");
    // 100 copies among 2,000 rows: exactly 5 % are identical, and the other 1,900 keep their shares, so the share rises
    // by at most 5 % and to .525 on average.
    let some = figures(&stacked(
        &fresh.gather(&(100..2000).collect::<Vec<_>>()),
        &train.gather(&(0..100).collect::<Vec<_>>()),
    ));
    assert_eq!((some.identical_share, some.holdout_identical_share), (Some(0.05), Some(0.0)));
    assert!((some.share.unwrap() - 0.525).abs() < 4.9 * 0.0112, "{some:?}");
    assert!(some.share > none.share);
    let all = figures(&train);
    assert_eq!((all.identical_share, all.share, all.mean), (Some(1.0), Some(1.0), Some(0.0)));
}
