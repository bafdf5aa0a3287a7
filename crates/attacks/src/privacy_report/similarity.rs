//! How near the synthetic rows are to the training rows, beside the holdout.

use lookalike_core::{Job, Result};

use super::{Finding, Release, ReportParams};
use crate::{DistanceParams, distance_report};

const THREAT_MODEL: &str = "none: whoever measures these distances holds the training rows";

/// All figures of [`distance_report`]. Figures without a test stand beside that of the holdout, as the null value.
pub(super) fn findings(release: &Release<'_>, params: &ReportParams, job: &Job) -> Result<Vec<Finding>> {
    let distances = DistanceParams { metric: params.metric, seed: params.seed };
    let figures = distance_report(release.synthetic, release.train, Some(release.holdout), distances, job)?;
    let finding = |figure: crate::DistanceFigure| Finding {
        value: figure.value,
        lo: figure.lo,
        hi: figure.hi,
        null_value: figure.null_value.or(figure.holdout),
        p_value: figure.p_value.filter(|_| figure.value.is_some()),
        threat_model: THREAT_MODEL,
        targets: "all".into(),
        caveat: figure.note,
        ..Finding::new("similarity", "distance_report", figure.metric)
    };
    Ok(figures.into_iter().map(finding).collect())
}
