//! The distance to the closest synthetic record, calibrated by that to the closest reference record.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence, distances};
use crate::Metric;

/// Score d(x, R) - d(x, S): members are nearer to synthetic rows than the density of the population explains.
#[derive(Debug, Clone, Copy)]
pub struct DcrDiffAttack;

impl Attack for DcrDiffAttack {
    fn name(&self) -> &'static str {
        "dcr_diff"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by how much nearer its nearest synthetic row is than its nearest reference row."
    }

    fn source(&self) -> &'static str {
        "Chen et al. 2020, GAN-Leaks, section 4.5 (calibration), with reference rows instead of a reference model as in \
         van Breugel et al. 2023, DOMIAS, https://arxiv.org/abs/2302.12580"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM]
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        evidence.reference(self.name())?;
        let found = distances(targets, evidence, true, options, job)?;
        Ok(found.reference.iter().zip(&found.synthetic).map(|(r, s)| r - s).collect())
    }
}
