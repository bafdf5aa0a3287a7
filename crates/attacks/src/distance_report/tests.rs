//! Worked by hand, against numpy and SDMetrics (`tests/golden/make/attacks_distance.py`), and by simulation.

use lookalike_core::{Job, MISSING, Stream, Streams, standard_normal, uniform};
use serde_json::Value;

use super::*;
use crate::test_frames::{codes, frame, numbers, shuffled, stacked, stream, with_units};

const PARAMS: DistanceParams = DistanceParams { metric: Metric::Gower, seed: 1 };

fn report(synthetic: &Frame, train: &Frame, holdout: Option<&Frame>) -> Vec<DistanceFigure> {
    distance_report(synthetic, train, holdout, PARAMS, &Job::unbounded()).unwrap()
}

fn named<'a>(figures: &'a [DistanceFigure], name: &str) -> &'a DistanceFigure {
    figures.iter().find(|f| f.metric == name).unwrap_or_else(|| panic!("no figure {name}"))
}

/// A frame of one number column.
fn line(values: &[f64]) -> Frame {
    frame(vec![numbers("x", values)])
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|v| (v - expected).abs() < 1e-12)
}

#[test]
fn a_tiny_table_by_hand() {
    // Train 0, 4, 10 (range 10), holdout 1, 5, 9, synthetic 0, 3, 10.
    // d(S,T) = 0, .1, 0; d(S,H) = .1, .2, .1. Second: .4, .3, .6 and .5, .2 (3 is .2 from 1 and from 5), .5.
    // d(T,T) = .4, .4, .6; d(H,H) = .4 each. d(T,S) = 0, .1, 0; d(H,S) = .1, .2, .1. d(S,S) = .3, .3, .7.
    let (train, holdout, synthetic) = (line(&[0.0, 4.0, 10.0]), line(&[1.0, 5.0, 9.0]), line(&[0.0, 3.0, 10.0]));
    let figures = report(&synthetic, &train, Some(&holdout));
    for (name, value, beside) in [
        ("dcr_mean", 0.1 / 3.0, Some(0.4 / 3.0)),
        ("dcr_median", 0.0, Some(0.1)),
        // Between the first two of 0, 0, .1 and of .1, .1, .2.
        ("dcr_p05", 0.0, Some(0.1)),
        // 0, 1/3, 0 and 1/5, 1, 1/5.
        ("nndr_mean", 1.0 / 9.0, Some(1.4 / 3.0)),
        ("nndr_median", 0.0, Some(0.2)),
        ("identical_match_share", 2.0 / 3.0, Some(0.0)),
        ("dcr_share", 1.0, None),
        ("dcr_tied_share", 0.0, None),
        ("sdmetrics_overfitting_protection", 0.0, None),
        ("median_dcr_ratio", 0.0, Some(0.25)),
        // 0 > .4, .1 > .4, 0 > .6: none.
        ("authenticity", 0.0, Some(0.0)),
        // Within a third of a year, so exactly equal: 0 and 10.
        ("hitting_rate", 2.0 / 3.0, Some(0.0)),
        // 0 < .4, .1 < .4, 0 < .6 and .1, .2, .1 < .4.
        ("epsilon_identifiability", 1.0, Some(1.0)),
        ("identifiability_excess", 0.0, None),
        // No row is farther from the other side than from its own.
        ("nnaa_train", 0.0, Some(0.0)),
        ("nnaa_holdout", 0.0, None),
        ("privacy_loss", 0.0, None),
    ] {
        let figure = named(&figures, name);
        assert!(near(figure.value, value), "{name}: {figure:?}");
        assert!(beside.map_or(figure.holdout.is_none(), |b| near(figure.holdout, b)), "{name}: {figure:?}");
    }
    assert_eq!(named(&figures, "dcr_share").null_value, Some(0.5));
    // Two of two at 1/2; too few people for the test of the share.
    assert!(near(named(&figures, "identical_match_share").p_value, 0.25));
    assert!(named(&figures, "dcr_share").p_value.is_none() && named(&figures, "dcr_share").note.contains("ten people"));
    let tenth = named(&figures, "nndr_10th");
    assert!(tenth.value.is_none() && tenth.note.contains("NULL: fewer than 10"), "{tenth:?}");
}

#[test]
fn authenticity_looks_up_the_real_row() {
    // Synthetic 3 is 1 from train 2, which is 1 from train 1: not farther. Synthetic 9 is 2 from train 7, which is 5 from
    // train 2: not farther. Synthetic 4.2 is 2.2 from train 2, which is 1 from 1: authentic. Read at the number of the
    // synthetic row instead, 9 would be judged by train 2 and pass.
    let figures = report(&line(&[3.0, 9.0, 4.2]), &line(&[1.0, 2.0, 7.0]), None);
    assert!(near(named(&figures, "authenticity").value, 1.0 / 3.0), "{figures:?}");
}

#[test]
fn rare_values_weigh_more_in_identifiability() {
    // Entropies in train: x of four equally frequent values ln 4, c of 3:1 .75 ln(4/3) + .25 ln 4 = 0.562335: weights
    // 0.721348 and 1.778298. Row (0, a): the nearest other is (1, a), 1/3 * .721348 = .240449. Synthetic (0, b) is at
    // 1.778298 and no match; without weights it would be at 1/2 against 1/6. Row (3, b) has (2, a) at 2.018747 and the
    // synthetic row at .721348: identified. (1, a), (2, a): .240449 against 2.018747 and more: not.
    let train = frame(vec![numbers("x", &[0.0, 1.0, 2.0, 3.0]), codes("c", 2, &[0, 0, 0, 1])]);
    let synthetic = frame(vec![numbers("x", &[0.0]), codes("c", 2, &[1])]);
    let figure = report(&synthetic, &train, None);
    assert!(near(named(&figure, "epsilon_identifiability").value, 0.25), "{figure:?}");
    // A copy is identified, ties are not: every row of train has an equal in train here.
    let twice = stacked(&train, &train);
    assert!(near(named(&report(&train, &twice, None), "epsilon_identifiability").value, 0.0));
    assert!(near(named(&report(&train, &train, None), "epsilon_identifiability").value, 1.0));
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../tests/golden/attacks_distance.json")).unwrap()
}

fn golden_frame(all: &Value, table: &str) -> Frame {
    let column = |name: &str| all[table][name].as_array().unwrap();
    let mut columns = vec![];
    for name in ["age", "chol", "thalch"] {
        columns.push(numbers(name, &column(name).iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>()));
    }
    for name in ["sex", "cp"] {
        let mut labels: Vec<&str> = ["train", "holdout", "synthetic"]
            .iter()
            .flat_map(|t| all[*t][name].as_array().unwrap())
            .filter_map(Value::as_str)
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let code = |v: &Value| v.as_str().map_or(MISSING, |v| labels.binary_search(&v).unwrap() as u32);
        columns.push(codes(name, labels.len(), &column(name).iter().map(code).collect::<Vec<_>>()));
    }
    frame(columns)
}

#[test]
fn figures_of_heart_disease_agree_with_numpy_and_sdmetrics() {
    let all = golden();
    let [train, holdout, synthetic] = ["train", "holdout", "synthetic"].map(|t| golden_frame(&all, t));
    let figures = report(&synthetic, &train, Some(&holdout));
    let mut compared = 0;
    for (name, value) in all["t"].as_object().unwrap() {
        let figure = named(&figures, if name == "nnaa" { "nnaa_train" } else { name });
        assert!((figure.value.unwrap() - value.as_f64().unwrap()).abs() < 1e-12, "{name}: {figure:?}, {value}");
        assert!((figure.holdout.unwrap() - all["h"][name].as_f64().unwrap()).abs() < 1e-12, "{name}: {figure:?}");
        compared += 1;
    }
    for (name, value) in all["both"].as_object().unwrap() {
        let figure = named(&figures, name);
        assert!((figure.value.unwrap() - value.as_f64().unwrap()).abs() < 1e-12, "{name}: {figure:?}, {value}");
        compared += 1;
    }
    assert_eq!(compared, 17);
    for figure in &figures {
        if let (Some(low), Some(value), Some(high)) = (figure.lo, figure.value, figure.hi) {
            assert!(low <= value && value <= high, "{figure:?}");
        }
    }
}

/// Independent standard normal rows of eight columns.
fn normals(rows: usize, rng: &mut Stream) -> Frame {
    let column = |c: usize, rng: &mut Stream| {
        let values: Vec<f64> = (0..rows).map(|_| standard_normal(rng)[0]).collect();
        numbers(&format!("c{c}"), &values)
    };
    frame((0..8).map(|c| column(c, rng)).collect())
}

#[test]
fn without_leakage_the_figures_are_their_null_values() {
    let runs = 30;
    let (mut share, mut unequal, mut loss, mut excess, mut covered) = (0.0, 0.0, 0.0, 0.0, 0);
    let (rows, quarter) = (400usize, 100usize);
    for run in 0..runs {
        let mut rng = Streams::new(run, "null").block(0);
        let [train, holdout, synthetic] = [0; 3].map(|_| normals(rows, &mut rng));
        let figures = report(&synthetic, &train, Some(&holdout));
        let dcr_share = named(&figures, "dcr_share");
        share += dcr_share.value.unwrap() / runs as f64;
        covered += u32::from(dcr_share.lo.unwrap() <= 0.5 && 0.5 <= dcr_share.hi.unwrap());
        loss += named(&figures, "privacy_loss").value.unwrap() / runs as f64;
        excess += named(&figures, "identifiability_excess").value.unwrap() / runs as f64;
        let few = holdout.gather(&(0..quarter as u32).collect::<Vec<_>>());
        let figures = report(&synthetic, &train, Some(&few));
        unequal += named(&figures, "dcr_share").value.unwrap() / runs as f64;
        assert_eq!(named(&figures, "dcr_share").null_value, Some(0.8));
        assert!(named(&figures, "nnaa_train").note.contains("the mean of 5 draws of 100 rows"));
        assert_eq!(named(&figures, "identifiability_excess").p_value, None);
    }
    // Shares of independent rows: sd at most 0.5 / sqrt(400) and sqrt(.16 / 400), plus as much again for the rows that
    // they are near to, which are drawn as well; a mean of 30 runs within 4.9 of its standard deviations.
    let bound = |sd: f64| 4.9 * sd * 2f64.sqrt() / (runs as f64).sqrt();
    assert!((share - 0.5).abs() < bound(0.5 / 20.0), "{share}");
    assert!((unequal - 0.8).abs() < bound(0.4 / 20.0), "{unequal}");
    // Differences of two means of two such shares.
    assert!(loss.abs() < bound(0.5 / 20.0) && excess.abs() < 2.0 * bound(0.5 / 20.0), "{loss} {excess}");
    // Binomial (30, .05): 11 or more misses are rarer than 1e-6 (scipy.stats.binom.sf(10, 30, .05)).
    assert!(covered > 19, "{covered}");
}

#[test]
fn copies_are_seen_by_matches_before_they_are_by_shares() {
    let mut rng = stream(8);
    let [train, holdout, fresh] = [0; 3].map(|_| normals(1000, &mut rng));
    // 5 % copies: the first 50 rows of train.
    let order: Vec<u32> = (0..1000).collect();
    let synthetic = stacked(&train.gather(&order[..50]), &fresh.gather(&order[50..]));
    let figures = report(&synthetic, &train, Some(&holdout));
    let copies = named(&figures, "identical_match_share");
    // 50 matches against none: 2^-50.
    assert!(near(copies.value, 0.05) && copies.holdout == Some(0.0) && copies.p_value.unwrap() < 1e-14, "{copies:?}");
    assert!(named(&figures, "dcr_share").p_value.unwrap() > 1e-6);
    // All copies.
    let figures = report(&train, &train, Some(&holdout));
    for (name, value) in [
        ("identical_match_share", 1.0),
        ("dcr_share", 1.0),
        ("hitting_rate", 1.0),
        ("authenticity", 0.0),
        ("epsilon_identifiability", 1.0),
        ("nnaa_train", 0.0),
        ("dcr_baseline", 0.0),
    ] {
        assert!(near(named(&figures, name).value, value), "{name}: {:?}", named(&figures, name));
    }
    assert!(named(&figures, "privacy_loss").value.unwrap() > 0.4);
    assert!(named(&figures, "identifiability_excess").p_value.unwrap() < 1e-14);
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let mut rng = stream(9);
    let mut table = |rows: usize| {
        let table = crate::test_frames::random(
            &[crate::test_frames::Kind::Grid(6), crate::test_frames::Kind::Uniform, crate::test_frames::Kind::Codes(3)],
            rows,
            9,
            &mut rng,
        );
        with_units(table, (0..rows as u32).map(|r| r / 3).collect())
    };
    let (train, holdout, synthetic) = (table(60), table(45), table(51));
    let figures = report(&synthetic, &train, Some(&holdout));
    let moved = |f: &Frame, seed| f.gather(&shuffled(f.rows(), seed));
    assert_eq!(report(&moved(&synthetic, 1), &moved(&train, 2), Some(&moved(&holdout, 3))), figures);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| report(&synthetic, &train, Some(&holdout))), figures);
    // Persons have intervals from resampling.
    assert!(named(&figures, "dcr_share").lo.is_some() && named(&figures, "dcr_median").lo.is_none());
}

#[test]
fn intervals_of_quantiles_cover() {
    // Uniform rows: the median is 1/2. Binomial bounds at 4.9 standard deviations of 2,000 runs; the interval is exact
    // but for discreteness, so it covers at least 95 %, and with 101 rows at most 97 %.
    let runs = 2000;
    let mut covered = 0;
    for run in 0..runs {
        let mut rng = Streams::new(run, "median").block(0);
        let values = measure::sorted((0..101).map(|_| uniform(&mut rng)));
        let (low, high) = measure::quantile_interval(&values, 0.5).unwrap();
        covered += u32::from(low <= 0.5 && 0.5 <= high);
    }
    let found = f64::from(covered) / runs as f64;
    assert!(found > 0.95 - 4.9 * 0.0049 && found < 0.97 + 4.9 * 0.0039, "{found}");
    // Five rows have no interval of the median at 95 %: all of them cover with 1 - 2/32.
    assert_eq!(measure::quantile_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.5), None);
    // Six have: 1 - 2/64 = 96.9 %.
    assert_eq!(measure::quantile_interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.5), Some((1.0, 6.0)));
}

#[test]
fn missing_figures_say_why() {
    let figures = report(&line(&[1.0, 2.0]), &line(&[0.0, 3.0]), None);
    for figure in &figures {
        assert_eq!(figure.value.is_none(), figure.note.contains("NULL: "), "{figure:?}");
        assert!(figure.holdout.is_none());
    }
    // One training row has no neighbours, and a constant column no entropy.
    let figures = report(&line(&[1.0, 2.0]), &line(&[1.0]), Some(&line(&[1.0])));
    for name in
        ["nndr_mean", "authenticity", "median_dcr_ratio", "epsilon_identifiability", "nnaa_train", "privacy_loss"]
    {
        let figure = named(&figures, name);
        assert!(figure.value.is_none() && figure.note.contains("NULL: "), "{figure:?}");
    }
    let job = Job::unbounded();
    let error = distance_report(&line(&[1.0]), &line(&[]), None, PARAMS, &job).unwrap_err();
    assert_eq!(error.message(), "train: the relation has no rows to measure distances between");
}

#[test]
fn the_test_of_the_share_counts_people_not_rows() {
    let line = |values: Vec<f64>| frame(vec![numbers("x", &values)]);
    let train = line((0..10).map(|i| f64::from(10 * i)).collect());
    let holdout = line((0..10).map(|i| f64::from(10 * i + 5)).collect());
    let p_value = |synthetic: Vec<f64>| {
        let figures = report(&line(synthetic), &train, Some(&holdout));
        named(&figures, "dcr_share").p_value.unwrap()
    };
    // One row at each of the ten of train and at two of the holdout: 12 weights of 1 among 20 people, 6 expected, variance
    // 100 / (400 * 19) * (20 * 12 - 144) = 1.263, so z = 4 / 1.124 = 3.559.
    let spread = (0..10).map(|i| f64::from(10 * i)).chain([5.0, 15.0]).collect();
    assert!((p_value(spread) - 1.862e-4).abs() < 1e-6);
    // Ten rows at one person: one weight of 10, variance 100 / 7600 * (20 * 100 - 100) = 25, so z = 5 / 5 = 1.
    assert!((p_value(vec![20.0; 10]) - 0.158655).abs() < 1e-6);
}
