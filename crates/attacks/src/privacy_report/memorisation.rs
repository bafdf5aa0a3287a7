//! Does the generator remember single rows? Canaries planted in a twin of it.

use lookalike_core::{Job, Result};

use super::{Finding, Release, ReportParams};
use crate::{ExposureMethod, ExposureParams, NULL_EXPOSURE, Trainer, exposure};

const THREAT_MODEL: &str = "knows the generator and rows like those it was trained on";

/// Canaries, and random rows that each is ranked among.
const PARAMS: ExposureParams = ExposureParams { canaries: 20, repeats: 1, references: 1000, method: None };

/// The mean exposure of rows that are planted once each.
pub(super) fn findings(
    release: &Release<'_>,
    trainer: &dyn Trainer,
    params: &ReportParams,
    job: &Job,
) -> Result<Vec<Finding>> {
    let found = exposure(release.train, trainer, PARAMS, params.seed, job)?;
    let by = match found.method {
        ExposureMethod::Likelihood => "likelihood",
        ExposureMethod::Distance => "distance to the rows of the twin",
    };
    Ok(vec![Finding {
        value: Some(found.mean),
        null_value: Some(NULL_EXPOSURE),
        p_value: Some(found.p_value),
        threat_model: THREAT_MODEL,
        targets: format!("{} rows planted once each in a twin of model '{}'", PARAMS.canaries, trainer.model()),
        caveat: format!(
            "bits, ranked by {by} among {} random rows; says nothing about rows like many others",
            PARAMS.references
        ),
        ..Finding::new("memorisation", "exposure", "mean_exposure")
    }])
}
