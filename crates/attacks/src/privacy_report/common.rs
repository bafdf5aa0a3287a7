//! Rows that the relations have in common, which make other findings too small or too large.

use lookalike_core::{Job, Result};

use super::{Finding, Release};
use crate::targets::common_rows;

/// A count for every pair of relations that should have no rows in common; warns where one is above 0.
pub(super) fn findings(release: &Release<'_>, job: &Job) -> Result<Vec<Finding>> {
    let (train, holdout, reference) = (release.train, release.holdout, release.reference);
    let pairs = [
        (
            "train_rows_in_holdout",
            Some(holdout),
            train,
            "by chance, or because the holdout holds people of train: what is known of them counts on both sides, so all \
             findings that compare the two are too small",
        ),
        (
            "train_rows_in_reference",
            reference,
            train,
            "by chance, or because the attacker's rows are training rows: attacks that compare with them take members for \
             others, so these findings are too small",
        ),
        (
            "holdout_rows_in_reference",
            reference,
            holdout,
            "by chance, or because the attacker's rows are targets: attacks that compare with them know them for others, \
             so these findings are too large",
        ),
    ];
    let mut found = vec![];
    for (figure, others, rows, effect) in pairs {
        let Some(others) = others else { continue };
        let count = common_rows(rows, others, job)?;
        let mut caveat = format!("of {} rows, by all compared columns", rows.rows());
        if count > 0 {
            caveat = format!("{caveat}: {effect}");
            job.warn(&format!("{figure}: {count} {caveat}"));
        }
        found.push(Finding {
            value: Some(count as f64),
            threat_model: "none: whoever counts these rows holds all relations",
            targets: "all".into(),
            caveat,
            ..Finding::new("all", "data", figure)
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use lookalike_core::{Frame, Options};

    use super::*;
    use crate::privacy_report::{ReportParams, Verdict, privacy_report};
    use crate::test_frames::{Kind, Warned, random, stacked, stream, with_units};
    use crate::{Attack, DcrAttack, Metric};

    fn people(rows: usize, seed: u64) -> Frame {
        random(&[Kind::Uniform, Kind::Codes(3)], rows, 0, &mut stream(seed))
    }

    fn params() -> ReportParams {
        ReportParams {
            metric: Metric::Gower,
            attacks: vec![(&DcrAttack, Options::check(DcrAttack.params(), &[]).unwrap())],
            max_targets: None,
            attempts: 10,
            columns_a: vec![],
            columns_b: vec![],
            secrets: vec![],
            alpha: 0.05,
            seed: 1,
        }
    }

    /// The findings on rows in common, and the warnings.
    fn common(train: &Frame, holdout: &Frame, reference: Option<&Frame>) -> (Vec<Finding>, Vec<String>) {
        let synthetic = people(30, 3);
        let release = Release { train, holdout, synthetic: &synthetic, reference, trainer: None };
        let (job, warned) = Warned::job();
        let mut found = privacy_report(&release, &params(), &job).unwrap();
        found.retain(|finding| finding.attack == "data");
        (found, warned.messages())
    }

    #[test]
    fn rows_in_common_are_counted_and_warned_of() {
        let (train, holdout) = (people(40, 1), people(20, 2));
        let (found, warnings) = common(&train, &holdout, None);
        assert_eq!((found.len(), found[0].value, warnings.len()), (1, Some(0.0), 0));
        // Three training rows are in the holdout, one of them twice; the reference has the first five and two of the holdout.
        let holdout = stacked(&holdout, &train.gather(&[7, 8, 9, 9]));
        let reference = stacked(&people(15, 4), &stacked(&train.gather(&[0, 1, 2, 3, 4]), &holdout.gather(&[0, 1])));
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
        let persons = |rows: usize, seed| with_units(people(rows, seed), (0..rows as u32).map(|r| r / 2).collect());
        let (train, holdout, synthetic) = (persons(80, 1), persons(20, 2), people(30, 3));
        let params = ReportParams { max_targets: Some(4), ..params() };
        let release =
            Release { train: &train, holdout: &holdout, synthetic: &synthetic, reference: None, trainer: None };
        let found = privacy_report(&release, &params, &Job::unbounded()).unwrap();
        let auc = found.iter().find(|f| f.figure == "auc").unwrap();
        assert_eq!(auc.targets, "at most 4 drawn from 40 and 5");
    }
}
