//! The distance to the closest synthetic record as a score.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence, distances};
use crate::Metric;

/// Score -d(x, S): members are near synthetic rows.
#[derive(Debug, Clone, Copy)]
pub struct DcrAttack;

impl Attack for DcrAttack {
    fn name(&self) -> &'static str {
        "dcr"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by how near its nearest synthetic row is."
    }

    fn source(&self) -> &'static str {
        "Chen et al. 2020, GAN-Leaks, section 4.2 (full black-box), https://arxiv.org/abs/1909.03935"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM]
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn score(
        &self,
        targets: &Frame,
        evidence: &Evidence<'_>,
        options: &Options,
        _seed: u64,
        job: &Job,
    ) -> Result<Vec<f64>> {
        let found = distances(targets, evidence, false, options, job)?;
        // 0 - d rather than -d: a distance of 0 is a score of 0, not of -0.
        Ok(found.synthetic.into_iter().map(|d| 0.0 - d).collect())
    }
}
