//! Every attack: blind without leakage, sharp on copies, indifferent to order. And what goes in beside them.

use lookalike_core::{ErrorKind, Value, standard_normal};

use super::*;
use crate::MiaSummary;
use crate::test_frames::{codes, frame, numbers, shuffled, stacked, stream};

fn people(rows: usize, seed: u64) -> Frame {
    let mut rng = stream(seed);
    let mut columns: Vec<_> = (0..7)
        .map(|c| {
            let values: Vec<f64> = (0..rows).map(|_| standard_normal(&mut rng)[0]).collect();
            numbers(&format!("x{c}"), &values)
        })
        .collect();
    let group: Vec<u32> = (0..rows).map(|_| u32::from(standard_normal(&mut rng)[0] > 0.0)).collect();
    columns.push(codes("group", 2, &group));
    frame(columns)
}

/// Attacks that score at once; those that train generators are tested in `shadow_tests`.
fn quick() -> impl Iterator<Item = &'static &'static dyn Attack> {
    ATTACKS.iter().filter(|a| !a.needs_trainer())
}

fn options(attack: &dyn Attack) -> Options {
    Options::check(attack.params(), &[]).unwrap()
}

fn score(attack: &dyn Attack, targets: &Frame, synthetic: &Frame, reference: Option<&Frame>) -> Result<Vec<f64>> {
    let evidence = Evidence { synthetic, reference, trainer: None };
    attack.score(targets, &evidence, &options(attack), 1, &Job::unbounded())
}

#[test]
fn the_registry_is_in_order() {
    for (i, attack) in ATTACKS.iter().enumerate() {
        assert!(ATTACKS[..i].iter().all(|other| other.name() != attack.name()));
        assert!(attack.summary().ends_with('.') && attack.source().contains("http"), "{}", attack.name());
        assert!(attack.params().iter().all(|p| p.purpose.ends_with('.')));
        options(*attack);
    }
}

#[test]
fn scores_by_hand() {
    // Range of synthetic and reference rows together: 0 to 10. Target 3: .1 from synthetic 2, .3 from reference 0.
    let (targets, synthetic) = (frame(vec![numbers("x", &[3.0, 2.0])]), frame(vec![numbers("x", &[2.0, 10.0])]));
    let reference = frame(vec![numbers("x", &[0.0])]);
    // Densities: mean 4, sample variance (16 + 4 + 36) / 2 = 28 of the three; bandwidths are sd 2^(-1/5) and sd.
    let gaussian =
        |x: f64, variance: f64| (-x * x / (2.0 * variance)).exp() / (std::f64::consts::TAU * variance).sqrt();
    let narrow = 28.0 * 2f64.powf(-0.4);
    let of_synthetic = |x: f64| ((gaussian(x - 2.0, narrow) + gaussian(x - 10.0, narrow)) / 2.0).ln();
    let gain = |x: f64, y: f64| ((1.0 + gaussian(y - x, 28.0) / gaussian(y, 28.0)) / 2.0).ln();
    let expected = |name: &str| match name {
        "dcr" => [-0.1, 0.0],
        "dcr_diff" => [0.3 - 0.1, 0.2],
        // The radius is the median of .1 and 0.
        "monte_carlo" => [0.0, 0.5],
        // Synthetic rows are .8 apart; 2 is as far from 10.
        "local_neighbourhood" => [1.0, 0.75],
        "density" => [3.0, 2.0].map(of_synthetic),
        "domias" => [3.0, 2.0].map(|x| of_synthetic(x) - gaussian(x, 28.0).ln()),
        // All three rows count: two and one.
        "dpi" => [(2.5f64 / 1.5).ln() - 2f64.ln(); 2],
        "gen_lra" => [3.0, 2.0].map(|x| gain(x, 2.0) + gain(x, 10.0)),
        // Too few rows for a split.
        "logan" => [0.0, 0.0],
        _ => panic!("{name} has no scores worked by hand"),
    };
    for attack in quick() {
        let found = score(*attack, &targets, &synthetic, Some(&reference)).unwrap();
        for (f, e) in found.iter().zip(expected(attack.name())) {
            assert!((f - e).abs() < 1e-12, "{}: {found:?}, not {e}", attack.name());
        }
    }
    assert!(score(&DcrAttack, &targets, &synthetic, None).unwrap()[1].is_sign_positive());
}

fn score_with(attack: &dyn Attack, given: &[(&str, Value)], frames: [&Frame; 3]) -> Vec<f64> {
    let given: Vec<(String, Value)> = given.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
    let options = Options::check(attack.params(), &given).unwrap();
    let evidence = Evidence { synthetic: frames[1], reference: Some(frames[2]), trainer: None };
    attack.score(frames[0], &evidence, &options, 1, &Job::unbounded()).unwrap()
}

#[test]
fn options_by_hand() {
    // Range 0 to 10.
    let frames = [vec![3.0, 2.0], vec![2.0, 3.0, 10.0], vec![0.0, 4.0]].map(|x| frame(vec![numbers("x", &x)]));
    let score = |attack: &dyn Attack, given: &[(&str, Value)]| {
        let [targets, synthetic, reference] = &frames;
        score_with(attack, given, [targets, synthetic, reference])
    };
    let near = |found: Vec<f64>, expected: [f64; 2]| {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?} is not {expected:?}");
    };
    // Within .1, as far as .1 counts half.
    let radius = [("radius", Value::Float(0.1))];
    near(score(&MonteCarloAttack, &radius), [0.5, 0.5]);
    near(score(&LocalNeighbourhoodAttack, &radius), [0.5, 0.5]);
    // Distances to the second nearest: of 3 synthetic .1, reference .3; of 2 synthetic .1, reference .2 (twice). r/s = 2/3.
    let knn = |k| [("estimator", Value::Text("knn".into())), ("k", Value::Int(k))];
    let sizes = (2.0f64 / 3.0).ln();
    near(score(&DomiasAttack, &knn(2)), [(0.3f64 / 0.1).ln() + sizes, (0.2f64 / 0.1).ln() + sizes]);
    // The nearest: identical synthetic rows count as 1e-6 away.
    near(score(&DomiasAttack, &knn(1)), [(0.1f64 / 1e-6).ln() + sizes, (0.2f64 / 1e-6).ln() + sizes]);
    // Of 3: itself, then 2 and 4 share the second place. Of 2: itself, then 3.
    let of = |s: f64, r: f64| ((s + 0.5) / (r + 0.5)).ln() + sizes;
    near(score(&DpiAttack, &[("k", Value::Int(2))]), [of(1.5, 0.5), of(2.0, 0.0)]);
}

#[test]
fn a_linear_classifier_finds_a_shift() {
    // Synthetic rows lie above reference rows: a target's score rises with it, and is 0 in the middle.
    let [low, high] = [0.0, 4.0].map(|by| (0..50).map(|i| f64::from(i % 10) * 0.1 + by).collect::<Vec<_>>());
    let [targets, synthetic, reference] = [vec![0.0, 2.45, 5.0], high, low].map(|x| frame(vec![numbers("x", &x)]));
    for classifier in ["logistic", "boosted_trees"] {
        let given = [("classifier", Value::Text(classifier.into()))];
        let found = score_with(&LoganAttack, &given, [&targets, &synthetic, &reference]);
        assert!(found[0] < -2.0 && found[2] > 2.0, "{classifier}: {found:?}");
        assert!(classifier == "boosted_trees" || found[1].abs() < 1e-6, "{classifier}: {found:?}");
    }
}

#[test]
fn copies_give_members_away_and_fresh_rows_do_not() {
    let (members, others) = (people(2000, 1), people(2000, 2));
    let (fresh, reference) = (people(2000, 3), people(2000, 4));
    let targets = stacked(&members, &others);
    let truth: Vec<bool> = (0..4000).map(|i| i < 2000).collect();
    let figures = |attack: &dyn Attack, synthetic: &Frame| {
        let mut summary = MiaSummary::default();
        summary.update(&score(attack, &targets, synthetic, Some(&reference)).unwrap(), &truth).unwrap();
        summary.finish()
    };
    // The area of a blind attack has sd sqrt((m + n + 1)/(12 m n)) = .00913; |z| > 4.9 has probability below 1e-6.
    let bound = 4.9 * (4001.0f64 / (12.0 * 2000.0 * 2000.0)).sqrt();
    let copies = |n: u32| {
        let fresh = fresh.gather(&(n..2000).collect::<Vec<_>>());
        stacked(&fresh, &members.gather(&(0..n).collect::<Vec<_>>()))
    };
    for attack in quick() {
        let none = figures(*attack, &fresh);
        assert!((none.auc.unwrap() - 0.5).abs() < bound, "{}: {none:?}", attack.name());
        let all = figures(*attack, &copies(2000));
        assert!(all.auc.unwrap() > sharpness(attack.name()), "{}: {all:?}", attack.name());
    }
    // Nothing but a copy is at distance 0: the copied 5 % move to the top, which adds about .05/2 to the area (.527 in
    // simulation); copies of all members are certain.
    for attack in [&DcrAttack as &dyn Attack, &DcrDiffAttack] {
        let (none, some) = (figures(attack, &fresh), figures(attack, &copies(100)));
        assert!((some.auc.unwrap() - 0.525).abs() < bound, "{}: {some:?}", attack.name());
        assert!(some.auc > none.auc && some.tpr_at_fpr_1.unwrap().rate > none.tpr_at_fpr_1.unwrap().rate);
        assert!(figures(attack, &copies(2000)).epsilon_lower.unwrap() > 3.0);
    }
    assert!(figures(&DcrAttack, &copies(100)).tpr_at_fpr_1.unwrap().rate >= 0.05);
}

/// Area that an attack exceeds where every synthetic row is a copied member. Those that look at the very nearest row are
/// certain; densities and classifiers smooth, and a copy is one of the ten or twenty rows that the others count.
fn sharpness(attack: &str) -> f64 {
    match attack {
        "dcr" | "dcr_diff" | "monte_carlo" => 0.99,
        "gen_lra" | "domias" => 0.88,
        "density" | "logan" => 0.8,
        "dpi" => 0.55,
        "local_neighbourhood" => 0.52,
        _ => panic!("{attack} has no sharpness"),
    }
}

#[test]
fn order_of_rows_and_other_targets_do_not_matter() {
    let (targets, synthetic, reference) = (people(200, 5), people(300, 6), people(250, 7));
    let order = shuffled(200, 1);
    let part: Vec<u32> = order[..150].to_vec();
    for attack in quick() {
        // The usual radius of monte_carlo is that of all targets together.
        let given: &[_] = if attack.name() == "monte_carlo" { &[("radius", Value::Float(0.1))] } else { &[] };
        let whole = score_with(*attack, given, [&targets, &synthetic, &reference]);
        let (synthetic, reference) = (synthetic.gather(&shuffled(300, 2)), reference.gather(&shuffled(250, 3)));
        let moved = score_with(*attack, given, [&targets.gather(&part), &synthetic, &reference]);
        let expected: Vec<f64> = part.iter().map(|&row| whole[row as usize]).collect();
        assert_eq!(moved, expected, "{}", attack.name());
    }
}

#[test]
fn what_is_missing_is_named() {
    let (rows, none) = (people(5, 8), people(0, 8));
    for attack in quick() {
        let error = score(*attack, &rows, &none, Some(&rows)).unwrap_err();
        assert!(error.kind() == ErrorKind::Data && error.message().starts_with("synthetic"), "{error}");
        if attack.needs_reference() {
            let error = score(*attack, &rows, &rows, None).unwrap_err();
            assert!(error.kind() == ErrorKind::Argument && error.message().contains("reference =>"), "{error}");
            let error = score(*attack, &rows, &rows, Some(&none)).unwrap_err();
            assert!(error.kind() == ErrorKind::Data && error.message().starts_with("reference"), "{error}");
        } else {
            let found = score(*attack, &rows, &rows, None).unwrap();
            assert!(found.len() == 5 && found.iter().all(|s| s.is_finite()), "{}: {found:?}", attack.name());
        }
        assert!(score(*attack, &none, &rows, Some(&rows)).unwrap().is_empty());
    }
}
