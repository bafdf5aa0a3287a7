//! Synthetic rows around a target, within the median distance of all targets.

use lookalike_core::{Frame, Job, Options, ParamSpec, Result};

use super::{Attack, Evidence, RADIUS, distances, median, share_within};
use crate::Metric;

/// Score: the share of synthetic rows within a radius of the target, rows exactly as far counting half. The radius is the
/// median over all targets of the distance to the nearest synthetic row, which knows nothing of who is a member.
#[derive(Debug, Clone, Copy)]
pub struct MonteCarloAttack;

impl Attack for MonteCarloAttack {
    fn name(&self) -> &'static str {
        "monte_carlo"
    }

    fn summary(&self) -> &'static str {
        "Scores a target by the share of synthetic rows around it, within the median distance of all targets."
    }

    fn source(&self) -> &'static str {
        "Hilprecht et al. 2019, Monte Carlo and reconstruction membership inference attacks (PoPETs), \
         https://doi.org/10.2478/popets-2019-0067"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[Metric::PARAM, RADIUS]
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
        let synthetic = evidence.synthetic()?;
        let radius = match options.float(RADIUS.name) {
            Some(radius) => radius,
            None => median(distances(targets, evidence, false, options, job)?.synthetic),
        };
        share_within(targets, synthetic, evidence, radius, options, job)
    }
}
