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
