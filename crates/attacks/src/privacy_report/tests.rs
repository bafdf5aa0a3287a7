//! The report on simulated people: clean releases are rarely accused, leaks are found where they are.

use lookalike_core::standard_normal;

use super::*;
use crate::test_frames::{Kind, Warned, codes, frame, numbers, random, shuffled, stacked, stream, with_units};
use crate::{ATTACKS, DcrAttack};

fn people(rows: usize, seed: u64) -> Frame {
    let mut rng = stream(seed);
    let mut columns: Vec<_> = (0..4)
        .map(|c| {
            let values: Vec<f64> = (0..rows).map(|_| (standard_normal(&mut rng)[0] * 20.0).round()).collect();
            numbers(&format!("x{c}"), &values)
        })
        .collect();
    let group: Vec<u32> = (0..rows).map(|_| u32::from(standard_normal(&mut rng)[0] > 0.0)).collect();
    columns.push(codes("group", 2, &group));
    frame(columns)
}

fn params(seed: u64) -> ReportParams {
    let quick = ATTACKS.iter().filter(|a| !a.needs_trainer());
    ReportParams {
        metric: Metric::Gower,
        attacks: quick.map(|a| (*a, Options::check(a.params(), &[]).unwrap())).collect(),
        max_targets: None,
        attempts: 100,
        columns_a: vec![],
        columns_b: vec![],
        secrets: vec![],
        methods: vec![InferenceMethod::Nearest, InferenceMethod::Learned],
        alpha: 0.05,
        seed,
    }
}

fn report(train: &Frame, holdout: &Frame, synthetic: &Frame, seed: u64) -> Vec<Finding> {
    let release = Release { train, holdout, synthetic, reference: None, trainer: None };
    privacy_report(&release, &params(seed), &Job::unbounded()).unwrap()
}

fn leaks(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|f| f.verdict == Verdict::Leak).map(|f| f.figure.as_str()).collect()
}

#[test]
fn strangers_are_accused_no_more_often_than_alpha() {
    // 15 or more of 60 accusations at a probability of at most .05 each come up with a probability below 1e-6.
    let accused = (0..60).filter(|&seed| {
        let [train, holdout, synthetic] = [0, 1, 2].map(|part| people(200, 1000 + 3 * seed + part));
        !leaks(&report(&train, &holdout, &synthetic, seed)).is_empty()
    });
    let accused = accused.count();
    assert!(accused < 15, "{accused} of 60");
}

#[test]
fn copies_of_a_few_are_found_where_they_show() {
    let [train, holdout, fresh] = [1, 2, 3].map(|seed| people(1000, seed));
    let few = stacked(&train.gather(&(0..50).collect::<Vec<_>>()), &fresh.gather(&(50..1000).collect::<Vec<_>>()));
    let found = report(&train, &holdout, &few, 1);
    assert!(leaks(&found).contains(&"copied_share"), "{:?}", leaks(&found));
    // One in twenty hardly moves averages.
    let share = found.iter().find(|f| f.figure == "dcr_share").unwrap();
    assert!(share.value.unwrap() < 0.6 && share.verdict == Verdict::NoLeakFound, "{share:?}");
    let all = report(&train, &holdout, &train, 1);
    let criteria = |f: &&Finding| f.verdict == Verdict::Leak;
    let mut seen: Vec<&str> = all.iter().filter(criteria).map(|f| f.criterion).collect();
    seen.dedup();
    assert_eq!(seen, ["similarity", "membership", "singling_out", "linkability", "attribute_inference"]);
}

#[test]
fn adjusted_p_values_are_those_of_holm() {
    let [train, holdout, synthetic] = [4, 5, 6].map(|seed| people(150, seed));
    let found = report(&train, &holdout, &synthetic, 1);
    let mut tested: Vec<(f64, f64)> = found.iter().filter_map(|f| Some((f.p_value?, f.p_adjusted?))).collect();
    tested.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (tests, mut largest) = (tested.len(), 0.0f64);
    assert!(tests > 20);
    for (i, (p, adjusted)) in tested.iter().enumerate() {
        largest = largest.max(((tests - i) as f64 * p).min(1.0));
        assert!((adjusted - largest).abs() < 1e-12, "{p}: {adjusted} is not {largest}");
    }
    assert!(found.iter().all(|f| f.p_value.is_some() == f.p_adjusted.is_some()));
}

#[test]
fn every_finding_says_what_it_is() {
    let [train, holdout, synthetic] = [7, 8, 9].map(|seed| people(150, seed));
    for finding in report(&train, &holdout, &synthetic, 1) {
        assert!(!finding.threat_model.is_empty() && !finding.targets.is_empty(), "{finding:?}");
        // Where there is no value there is a reason.
        assert!(finding.value.is_some() || !finding.caveat.is_empty(), "{finding:?}");
        assert!(finding.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)), "{finding:?}");
        if let (Some(value), Some(lo), Some(hi)) = (finding.value, finding.lo, finding.hi) {
            assert!(lo <= value && value <= hi, "{finding:?}");
        }
    }
}

#[test]
fn order_of_rows_does_not_matter_and_persons_are_what_is_attacked() {
    let [train, holdout, synthetic] = [10, 11, 12].map(|seed| people(150, seed));
    let moved = |frame: &Frame, seed| frame.gather(&shuffled(150, seed));
    let once = report(&train, &holdout, &synthetic, 3);
    assert_eq!(report(&moved(&train, 1), &moved(&holdout, 2), &moved(&synthetic, 3), 3), once);
    // Three rows a person: 50 persons each side.
    let persons = |frame: Frame| with_units(frame, (0..150).map(|row| row / 3).collect());
    let found = report(&persons(train.clone()), &persons(holdout), &train, 3);
    let copied = found.iter().find(|f| f.figure == "copied_share").unwrap();
    assert_eq!(copied.value, Some(1.0));
    assert!(copied.caveat.starts_with("50 of 50 in the training rows"), "{}", copied.caveat);
}

#[test]
fn what_is_missing_is_named() {
    let (rows, none) = (people(20, 1), people(0, 1));
    for (train, holdout, synthetic, name) in
        [(&none, &rows, &rows, "train"), (&rows, &none, &rows, "holdout"), (&rows, &rows, &none, "synthetic")]
    {
        let release = Release { train, holdout, synthetic, reference: None, trainer: None };
        let error = privacy_report(&release, &params(1), &Job::unbounded()).unwrap_err();
        assert!(error.message().starts_with(name), "{error}");
    }
}

/// People of two columns, for what does not look at them.
fn pairs(rows: usize, seed: u64) -> Frame {
    random(&[Kind::Uniform, Kind::Codes(3)], rows, 0, &mut stream(seed))
}

fn brief() -> ReportParams {
    let attacks = vec![(&DcrAttack as &'static dyn Attack, Options::check(DcrAttack.params(), &[]).unwrap())];
    ReportParams { attacks, attempts: 10, ..params(1) }
}

/// The findings on rows in common, and the warnings.
fn common(train: &Frame, holdout: &Frame, reference: Option<&Frame>) -> (Vec<Finding>, Vec<String>) {
    let synthetic = pairs(30, 3);
    let release = Release { train, holdout, synthetic: &synthetic, reference, trainer: None };
    let (job, warned) = Warned::job();
    let mut found = privacy_report(&release, &brief(), &job).unwrap();
    found.retain(|finding| finding.attack == "data");
    (found, warned.messages())
}

#[test]
fn rows_in_common_are_counted_and_warned_of() {
    let (train, holdout) = (pairs(40, 1), pairs(20, 2));
    let (found, warnings) = common(&train, &holdout, None);
    assert_eq!((found.len(), found[0].value, warnings.len()), (1, Some(0.0), 0));
    // Three training rows are in the holdout, one of them twice; the reference has the first five and two of the holdout.
    let holdout = stacked(&holdout, &train.gather(&[7, 8, 9, 9]));
    let reference = stacked(&pairs(15, 4), &stacked(&train.gather(&[0, 1, 2, 3, 4]), &holdout.gather(&[0, 1])));
    let (found, warnings) = common(&train, &holdout, Some(&reference));
    let counts: Vec<(&str, f64)> = found.iter().map(|f| (f.figure.as_str(), f.value.unwrap())).collect();
    let expected =
        [("train_rows_in_holdout", 3.0), ("train_rows_in_reference", 5.0), ("holdout_rows_in_reference", 2.0)];
    assert_eq!(counts, expected);
    assert!(found.iter().all(|f| f.verdict == Verdict::Descriptive && f.criterion == "all"));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings[1]
            .starts_with("train_rows_in_reference: 5 of 40 rows, by all compared columns: by chance, or because")
    );
}

#[test]
fn half_a_holdout_counts_the_persons_it_has() {
    // 40 persons of two rows; half of the ten of the holdout are reference, so five are left to draw from.
    let persons = |rows: usize, seed| with_units(pairs(rows, seed), (0..rows as u32).map(|r| r / 2).collect());
    let (train, holdout, synthetic) = (persons(80, 1), persons(20, 2), pairs(30, 3));
    let params = ReportParams { max_targets: Some(4), ..brief() };
    let release = Release { train: &train, holdout: &holdout, synthetic: &synthetic, reference: None, trainer: None };
    let found = privacy_report(&release, &params, &Job::unbounded()).unwrap();
    let auc = found.iter().find(|f| f.figure == "auc").unwrap();
    assert_eq!(auc.targets, "at most 4 drawn from 40 and 5");
}

#[test]
fn an_attack_that_cannot_be_run_leaves_the_others() {
    // A column without values and one with one value beside two that vary.
    let people = |seed| {
        let rows = pairs(60, seed);
        let columns = vec![numbers("none", &[f64::NAN; 60]), codes("same", 1, &[0; 60])];
        frame(rows.columns().iter().cloned().chain(columns).collect())
    };
    let [train, holdout, synthetic] = [1, 2, 3].map(people);
    let found = report(&train, &holdout, &synthetic, 1);
    for (figure, attack) in [("risk of none", "nearest"), ("risk of same", "nearest"), ("risk of none", "learned")] {
        let finding = found.iter().find(|f| f.figure == figure && f.attack == attack).unwrap();
        assert!(finding.p_value.is_none_or(|p| p == 1.0) && !finding.caveat.is_empty(), "{finding:?}");
    }
    assert!(found.iter().filter(|f| f.criterion == "membership").all(|f| !f.value.is_some_and(f64::is_nan)));
    assert!(found.iter().any(|f| f.figure == "risk of c0" && f.value.is_some()));
}
