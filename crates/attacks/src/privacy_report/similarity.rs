//! How near the synthetic rows are to the training rows, beside the holdout.

use lookalike_core::{Frame, Job, Result};

use super::{Finding, Release, ReportParams};
use crate::{DistanceParams, Metric, SearchOptions, Space, clopper_pearson, distance_report, fisher_exact, nearest};

const THREAT_MODEL: &str = "none: whoever measures these distances holds the training rows";

/// The copies, and all figures of [`distance_report`]. Figures without a test stand beside that of the holdout, as the
/// null value.
pub(super) fn findings(release: &Release<'_>, params: &ReportParams, job: &Job) -> Result<Vec<Finding>> {
    let distances = DistanceParams { metric: params.metric, seed: params.seed };
    let figures = distance_report(release.synthetic, release.train, Some(release.holdout), distances, job)?;
    let finding = |figure: crate::DistanceFigure| Finding {
        value: figure.value,
        lo: figure.lo,
        hi: figure.hi,
        null_value: figure.null_value.or(figure.holdout),
        // Copies are tested once, exactly and for any sizes, by copied_share.
        p_value: figure.p_value.filter(|_| figure.value.is_some() && figure.metric != "identical_match_share"),
        threat_model: THREAT_MODEL,
        targets: "all".into(),
        caveat: figure.note,
        ..Finding::new("similarity", "distance_report", figure.metric)
    };
    Ok(std::iter::once(copies(release, job)?).chain(figures.into_iter().map(finding)).collect())
}

/// The share of persons of the training rows of whom a row stands verbatim among the synthetic rows, beside that of the
/// holdout. Without a leak persons of both are exchangeable, so that Fisher's test is exact.
fn copies(release: &Release<'_>, job: &Job) -> Result<Finding> {
    let space = Space::fit(Metric::Gower, &[release.train, release.holdout])?;
    let synthetic = space.encode(release.synthetic, job)?;
    let copied = |frame: &Frame| -> Result<u64> {
        let found = nearest(&space, &space.encode(frame, job)?, &synthetic, SearchOptions::default(), job)?;
        let rows = (0..frame.rows()).filter(|&row| found[row].distance == 0.0);
        let mut persons: Vec<u32> = rows.map(|row| frame.units().map_or(row as u32, |u| u.codes[row])).collect();
        persons.sort_unstable();
        persons.dedup();
        Ok(persons.len() as u64)
    };
    let (train, holdout) = (release.train.unit_count() as u64, release.holdout.unit_count() as u64);
    let (ours, theirs) = (copied(release.train)?, copied(release.holdout)?);
    let (lo, hi) = clopper_pearson(ours, train, 0.95);
    Ok(Finding {
        value: Some(ours as f64 / train as f64),
        lo: Some(lo),
        hi: Some(hi),
        null_value: Some(theirs as f64 / holdout as f64),
        p_value: Some(fisher_exact(ours, train, theirs, holdout)),
        threat_model: "holds the synthetic rows and one person's record",
        targets: "all".into(),
        caveat: format!(
            "{ours} of {train} in the training rows and {theirs} of {holdout} in the holdout stand verbatim among the synthetic \
             rows; rows of few values coincide by chance"
        ),
        ..Finding::new("similarity", "identical_match", "copied_share")
    })
}
