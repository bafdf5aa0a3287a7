//! The density of the synthetic rows.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence};
use crate::kde::Density;

/// Score log p(x), the kernel density of the synthetic rows at the target.
#[derive(Debug, Clone, Copy)]
pub struct DensityAttack;

impl Attack for DensityAttack {
    fn name(&self) -> &'static str {
        "density"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by the logarithm of the density of the synthetic rows around it."
    }

    fn source(&self) -> &'static str {
        "Houssiau et al. 2022, TAPAS (density estimation), https://arxiv.org/abs/2211.06550"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        _options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        Density::fit(evidence.synthetic()?, &evidence.held(), job)?.log_density(targets, job)
    }
}
